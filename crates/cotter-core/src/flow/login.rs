//! A login by the hosted page: its code becomes tokens, once.

use super::ask::ask;
use super::sign_in::{check, replaceable};
use super::{Context, done, plausible};
use crate::error::Error;
use crate::login::{AuthorizationCode, PendingLogin, SignedIdentity, User, VerifyIdentity};
use crate::provider::Provider;
use crate::step::{Ask, Step};
use crate::store::{Loaded, StoreError};
use crate::time::Now;
use crate::token::OAuthToken;
use crate::wire::json::Object;
use crate::wire::login::exchange;

/// What a login brought: checked, and stored nowhere yet.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoggedIn {
    /// What to [sign in](super::sign_in) with.
    pub tokens: OAuthToken,
    /// Who the user is: the address that was verified.
    pub identity: SignedIdentity,
    /// The user, where the server said.
    pub user: Option<User>,
}

/// Begins to look whether a sign-in could be stored at all, before a person is asked for anything.
///
/// Ends in `Store` if the record cannot be read or must not be replaced, and in `Config` if the clock
/// shows no date.
pub fn may_sign_in(cx: &Context, now: Now) -> Step<Result<(), Error>> {
    if let Err(error) = plausible(now) {
        return done(Err(error));
    }
    Step::Load(Ask::new(cx.key.clone(), |_, answer: Result<Option<Loaded>, StoreError>| {
        done(match answer {
            Ok(Some(loaded)) => replaceable(loaded.record).map_err(Error::from),
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }))
}

/// Begins to exchange a login's code for tokens: exactly one request, which is never repeated.
///
/// A lost answer is `Unavailable` and uncertain: the code may be spent, and the user has to begin
/// anew. `Denied` if the server refuses the code; `Config` if tokens or identity are another
/// project's, or signed by another key; `Protocol` if tokens or identity are missing, or the identity
/// has expired. Nothing is stored, so whoever was signed in still is.
pub fn login(
    cx: &Context,
    pending: PendingLogin,
    code: AuthorizationCode,
    now: Now,
) -> Step<Result<LoggedIn, Error>> {
    if let Err(error) = plausible(now) {
        return done(Err(error));
    }
    if !pending.belongs_to(&cx.provider) {
        return done(Err(Error::config("the login was begun with another project or server")));
    }
    let call = exchange(&cx.provider, &pending, &code);
    let (provider, identity) = (cx.provider.clone(), pending.identity);
    ask(cx, call, now, move |now, answer| judge(&provider, &*identity, now, &answer?))
}

fn judge(
    provider: &Provider,
    identity: &dyn VerifyIdentity,
    now: Now,
    answer: &Object<'_>,
) -> Result<LoggedIn, Error> {
    let tokens = answer.object("oauth_token").map(|set| OAuthToken::from_object(&set));
    let tokens = tokens.ok_or_else(|| Error::protocol("the login brought no tokens"))?;
    if tokens.access_token().is_none() {
        return Err(Error::protocol("the login brought no access token"));
    }
    check(provider, &tokens)?;
    let unsigned = || Error::protocol("the login brought no signed identity");
    let receiver = answer.object("token").ok_or_else(unsigned)?.text("receiver");
    if receiver.is_none_or(|receiver| *receiver != provider.client_id()) {
        return Err(Error::config("the identity that the login brought is for another project"));
    }
    let token = answer.get("token").ok_or_else(unsigned)?;
    let identity = identity.verify_identity(token.get().as_bytes(), now.wall)?;
    // No decision rests on it, so that an odd one costs nobody the login.
    let user = answer.object("user").and_then(|user| User::read(&user).ok().flatten());
    Ok(LoggedIn { tokens, identity, user })
}
