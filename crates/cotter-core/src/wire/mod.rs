//! The wire: requests to a provider and what its answers mean.

pub(crate) mod address;
pub(crate) mod api;
pub(crate) mod cotter;
pub(crate) mod device;
pub(crate) mod fit;
pub(crate) mod json;
pub(crate) mod login;
pub(crate) mod oauth2;
mod retry_after;
mod said;

use alloc::boxed::Box;
use core::time::Duration;

use http::{Response, StatusCode};

use crate::error::ServerSaid;
use crate::secret::SecretBytes;
use crate::time::Timestamp;
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

/// What a status means by itself, before anybody looks at the body (rules 17 and 18).
enum ByStatus {
    /// 2xx: the body says.
    Success,
    /// 408, every 5xx, and what is no final status of HTTP: the token may have been spent.
    Uncertain,
    /// 429.
    Busy,
    /// 4xx that may be a refusal: the body says.
    Client,
    /// Redirects: no answer of a token endpoint.
    Redirect,
}

fn by_status(status: StatusCode) -> ByStatus {
    match status.as_u16() {
        200..=299 => ByStatus::Success,
        429 => ByStatus::Busy,
        408 => ByStatus::Uncertain,
        400..=499 => ByStatus::Client,
        300..=399 => ByStatus::Redirect,
        _ => ByStatus::Uncertain,
    }
}

/// The answer to a status that needs no second look at the body.
fn settled(
    response: &Response<SecretBytes>,
    status: &ByStatus,
    said: ServerSaid,
    now: Option<Timestamp>,
) -> Answer {
    let retry_after = retry_after::read(response.headers(), now);
    match status {
        ByStatus::Busy => Answer::Busy { said, retry_after },
        ByStatus::Redirect | ByStatus::Client => Answer::Misconfigured(said),
        ByStatus::Uncertain | ByStatus::Success => Answer::Uncertain { said, retry_after },
    }
}

#[cfg(test)]
mod judge_tests;
#[cfg(test)]
mod tests;
