//! Plain reads: they never touch the network and never change anything.

use alloc::string::ToString;

use super::{Context, done};
use crate::error::{Error, SignInReason};
use crate::provider::Unfit;
use crate::record::Record;
use crate::secret::RefreshToken;
use crate::status::Status;
use crate::step::{Ask, Step};
use crate::store::{Loaded, StoreError};
use crate::time::Now;
use crate::view::Memory;

/// Begins a look at how the session stands.
pub fn inspect(cx: Context) -> Step<Result<Status, Error>> {
    Step::Load(Ask::new(cx.key.clone(), move |now, answer: Result<Option<Loaded>, StoreError>| {
        done(match answer {
            Ok(None) => Ok(Status::signed_out()),
            Ok(Some(loaded)) => status(&cx, now, loaded),
            Err(error) => Err(error.into()),
        })
    }))
}

fn status(cx: &Context, now: Now, loaded: Loaded) -> Result<Status, Error> {
    let record = Record::decode(&loaded.record?)?;
    Ok(Status::of(&record, loaded.revision, now, &cx.policy))
}

/// Begins a plain read of the refresh token.
pub fn refresh_token(cx: Context, memory: Memory) -> Step<Result<RefreshToken, Error>> {
    Step::Load(Ask::new(cx.key, move |_, answer| done(read_refresh(&memory, answer))))
}

fn read_refresh(
    memory: &Memory,
    answer: Result<Option<Loaded>, StoreError>,
) -> Result<RefreshToken, Error> {
    let Some(loaded) = answer? else { return Err(Error::sign_in_required(memory.absence())) };
    refresh_of(&Record::decode(&loaded.record?)?)
}

/// The refresh token of a record, unless it is another user's or client's.
pub(super) fn refresh_of(record: &Record) -> Result<RefreshToken, Error> {
    if let Some(unfit @ (Unfit::OtherUser | Unfit::MixedUsers | Unfit::OtherAudience)) = record.held
    {
        let reason = unfit.to_string();
        return Err(Error::protocol(alloc::format!("the newest set is held back: {reason}")));
    }
    let token = record.refresh.as_ref().map(RefreshToken::duplicate);
    token.ok_or_else(|| Error::sign_in_required(SignInReason::NoRefreshToken))
}
