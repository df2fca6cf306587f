//! The wire: requests to a provider and what its answers mean.

use alloc::boxed::Box;
use core::time::Duration;

use crate::error::ServerSaid;
use crate::token::OAuthToken;

/// What a token endpoint's answer means for the refresh token that was sent.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "every outcome is classified, and core handles each")]
pub enum Answer {
    /// A 2xx with a JSON object: take it, then judge it.
    Granted(Box<OAuthToken>),
    /// The refresh token is dead for good.
    Refused(ServerSaid),
    /// Answered without spending the token, and it will be the same until the set-up changes.
    Misconfigured(ServerSaid),
    /// Answered without spending the token; try later.
    Busy {
        /// What the server said.
        said: ServerSaid,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The token may have been spent.
    Uncertain {
        /// What the server said.
        said: ServerSaid,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
}
