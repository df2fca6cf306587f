//! What happened to a session, for whoever watches; never a secret.

use crate::error::{ErrorKind, SignInReason};

/// What happened to a session.
///
/// ```
/// use cotter_core::Event;
///
/// let tells_the_user = |event: Event| matches!(event, Event::SignInRequired(_));
/// assert!(!tells_the_user(Event::Refreshed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A new set of tokens was granted, is durable, and is handed out.
    Refreshed,
    /// Another process refreshed or signed in; its set was adopted.
    Adopted,
    /// The user has to sign in.
    SignInRequired(SignInReason),
    /// The refresh token may have been spent; the answer was lost.
    Uncertain,
    /// A new set was granted and could not be stored; it lives in memory only.
    Unpersisted,
    /// What could not be stored before is stored now.
    Persisted,
    /// A refresh failed for this reason, and callers got the token that was there.
    ServedStale(ErrorKind),
    /// The keys of the server could not be had, and its newest set is used unverified.
    Unverified,
    /// The server granted a token that lives shorter than a caller asked for.
    ShorterThanAsked,
}
