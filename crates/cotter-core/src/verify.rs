//! Whether a server signed what it handed over: asked of whoever knows its keys.

use alloc::sync::Arc;
use core::fmt;

use crate::secret::{AccessToken, IdToken};
use crate::step::Step;
use crate::time::Now;

/// Says whether tokens that a server handed over carry its signature.
///
/// A session that has one asks it at each sign-in and after each refresh, when the new refresh token
/// is stored already. What is [`Unsound`](Verified::Unsound) is never handed out; keys that cannot
/// be had keep nobody from anything (rule 4).
///
/// ```
/// use cotter_core::{Handed, Now, Step, Verified, Verify};
///
/// /// Believes nobody.
/// #[derive(Debug)]
/// struct Never;
///
/// impl Verify for Never {
///     fn verify(&self, _: Handed, _: Now) -> Step<Verified> {
///         Step::Done(Verified::Unsound("bad_signature"))
///     }
/// }
/// ```
pub trait Verify: Send + Sync + fmt::Debug {
    /// Begins to judge these tokens.
    ///
    /// Keys are fetched by [`Step::Send`], and [`Step::Sleep`] waits for somebody else's fetch; any
    /// other step, and one that does not fit the flight's budget, counts as
    /// [`Undecided`](Verified::Undecided). Whether a token has ended is none of its business.
    fn verify(&self, tokens: Handed, now: Now) -> Step<Verified>;
}

impl<V: Verify + ?Sized> Verify for Arc<V> {
    fn verify(&self, tokens: Handed, now: Now) -> Step<Verified> {
        (**self).verify(tokens, now)
    }
}

/// What is to be verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Handed {
    /// The access token, where it is a JWT addressed to this client; Cotter's always is.
    pub access_token: Option<AccessToken>,
    /// The ID token.
    pub id_token: Option<IdToken>,
}

impl Handed {
    /// These tokens.
    #[must_use]
    pub const fn new(access_token: Option<AccessToken>, id_token: Option<IdToken>) -> Self {
        Self { access_token, id_token }
    }
}

/// What a verifier found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "flows handle each")]
pub enum Verified {
    /// The server signed them.
    Sound,
    /// It did not, for this reason: a name for programs, without anything of the token.
    Unsound(&'static str),
    /// Nobody can say: the keys cannot be had now.
    Undecided,
}
