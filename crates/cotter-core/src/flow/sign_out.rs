//! Forgetting a session: done when the removal is durable, however stuck a server is (rule 13).

use alloc::boxed::Box;

use http::{Request, Response};

use super::{Context, Publication, done};
use crate::error::{Error, SignInReason};
use crate::record::Record;
use crate::secret::SecretBytes;
use crate::step::{Ask, Remove, Send, Step};
use crate::store::{Loaded, StoreError, StoreErrorKind, Swap};
use crate::time::Now;
use crate::transport::TransportError;

/// How often the record may change under a sign-out.
const ROUNDS: u32 = 20;

/// How a sign-out ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedOut {
    /// Whether there was a session to forget.
    pub was_signed_in: bool,
    /// Whether the server has revoked the refresh token; `None` where the provider has no way to
    /// (Cotter has none), or nothing was there to revoke.
    pub revoked: Option<bool>,
}

/// Begins a sign-out: load and remove until nothing stands, then revoke where the provider can.
///
/// A record that cannot be opened is removed as well, except one that a newer version wrote.
pub fn sign_out(cx: Context, now: Now) -> Step<Result<SignedOut, Error>> {
    let _ = now;
    Box::new(Exit { cx, rounds: 0, revoke: None, found: false }).load()
}

type Out = Step<Result<SignedOut, Error>>;

struct Exit {
    cx: Context,
    rounds: u32,
    revoke: Option<Request<SecretBytes>>,
    found: bool,
}

impl Exit {
    fn load(self: Box<Self>) -> Out {
        Step::Load(Ask::new(
            self.cx.key.clone(),
            move |_, answer: Result<Option<Loaded>, StoreError>| match answer {
                Ok(None) => self.removed(),
                Ok(Some(loaded)) => self.remove(loaded),
                Err(error) => done(Err(error.into())),
            },
        ))
    }

    fn remove(mut self: Box<Self>, loaded: Loaded) -> Out {
        self.found = true;
        match loaded.record.and_then(|bytes| Record::decode(&bytes)) {
            Err(error) if error.kind() == StoreErrorKind::TooNew => {
                return done(Err(error.into()));
            }
            Err(_) => {}
            Ok(record) => {
                let token = record.refresh.as_ref();
                self.revoke = token.and_then(|token| self.cx.provider.revoke_request(token));
            }
        }
        let question = Remove { key: self.cx.key.clone(), expected: loaded.revision };
        Step::Remove(Ask::new(question, move |_, answer: Result<Swap, StoreError>| match answer {
            Ok(Swap::Done) => self.removed(),
            Ok(Swap::Conflict { .. }) => self.again(None),
            Err(error) if error.is_uncertain() => self.again(Some(error)),
            Err(error) => done(Err(error.into())),
        }))
    }

    fn again(mut self: Box<Self>, error: Option<StoreError>) -> Out {
        self.rounds += 1;
        if self.rounds < ROUNDS {
            return self.load();
        }
        done(Err(error.map_or_else(
            || Error::unavailable("the session keeps changing in the store", None, false),
            Error::from,
        )))
    }

    fn removed(self: Box<Self>) -> Out {
        Step::Publish(Ask::new(Publication::Absent(SignInReason::SignedOut), move |now, ()| {
            self.revoke_at_server(now)
        }))
    }

    fn revoke_at_server(mut self: Box<Self>, now: Now) -> Out {
        let was_signed_in = self.found;
        let Some(request) = self.revoke.take() else {
            return done(Ok(SignedOut { was_signed_in, revoked: None }));
        };
        let not_after = now.boot.saturating_add(self.cx.policy.send_budget);
        Step::Send(Ask::new(
            Send { request, not_after },
            move |_, reply: Result<Response<SecretBytes>, TransportError>| {
                let revoked = Some(reply.is_ok_and(|response| response.status().is_success()));
                done(Ok(SignedOut { was_signed_in, revoked }))
            },
        ))
    }
}
