//! Users: looked up, made, and the one who is signed in.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::ask::ask;
use super::{Context, done};
use crate::error::Error;
use crate::login::{SignedInUser, User};
use crate::record::Record;
use crate::step::{Ask, Step};
use crate::store::{Loaded, StoreError};
use crate::time::Now;
use crate::view::Memory;
use crate::wire::login as wire;

/// Begins to look a user up by email address, phone number or name; `None` is nobody.
///
/// Ends in `Config` if the provider is not Cotter or does not know the project, and in `Unavailable`
/// if it cannot be asked.
pub fn find_user(cx: &Context, identifier: &str, now: Now) -> Step<Result<Option<User>, Error>> {
    if let Err(error) = may_ask(cx, identifier) {
        return done(Err(error));
    }
    ask(cx, wire::find_user(&cx.provider, identifier), now, |_, answer| match answer {
        Ok(object) => User::read(&object),
        Err(error) if says_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    })
}

/// Begins to make a user. Signing in makes one as well (protocol page 5.26).
///
/// Ends in `Denied` if there is one of that name, and as [`find_user`] does; an answer that was lost
/// leaves open whether there is one now.
pub fn create_user(cx: &Context, identifier: &str, now: Now) -> Step<Result<User, Error>> {
    if let Err(error) = may_ask(cx, identifier) {
        return done(Err(error));
    }
    ask(cx, wire::create_user(&cx.provider, identifier), now, |_, answer| {
        User::read(&answer?)?.ok_or_else(|| Error::protocol("the server made no user"))
    })
}

fn may_ask(cx: &Context, identifier: &str) -> Result<(), Error> {
    if !cx.provider.is_cotter() {
        return Err(Error::config("only Cotter is asked for users"));
    }
    if identifier.is_empty() || identifier.len() > 1024 {
        return Err(Error::config("the user's address is empty or too long"));
    }
    Ok(())
}

/// A 404 in the server's own words; without them it is an address where no server of ours is.
fn says_not_found(error: &Error) -> bool {
    error.server().is_some_and(|said| said.status == 404 && said.message.is_some())
}

/// Begins to read who is signed in, from what is stored: no network, and no verdict on the tokens.
///
/// The name is the ID token's, else the access token's (protocol page 5.7), so that it is there
/// offline and changes with the tokens; one that has ended says it as well.
pub fn signed_in_user(cx: Context, memory: Memory) -> Step<Result<SignedInUser, Error>> {
    Step::Load(Ask::new(cx.key, move |_, answer| done(read(&memory, answer))))
}

fn read(
    memory: &Memory,
    answer: Result<Option<Loaded>, StoreError>,
) -> Result<SignedInUser, Error> {
    let Some(loaded) = answer? else { return Err(Error::sign_in_required(memory.absence())) };
    let record = Record::decode(&loaded.record?)?;
    let id = record.id.as_ref().and_then(|id| id.token.claims().ok());
    let access = record.access.as_ref().and_then(|access| access.token.claims().ok());
    let own = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let of_id = |get: fn(&crate::IdClaims) -> Option<&str>| own(id.as_ref().and_then(get));
    let of_access =
        |get: fn(&crate::AccessClaims) -> Option<&str>| own(access.as_ref().and_then(get));
    let user: Option<String> = record.user;
    Ok(SignedInUser {
        id: user
            .or_else(|| of_id(crate::IdClaims::user_id))
            .or_else(|| of_access(crate::AccessClaims::user_id)),
        identifier: of_id(crate::IdClaims::identifier)
            .or_else(|| of_access(crate::AccessClaims::identifier)),
        auth_method: record.auth_method,
    })
}
