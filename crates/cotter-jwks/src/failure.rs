use core::fmt;
use std::sync::Arc;

use cotter_core::{Sent, TransportError};
use http::StatusCode;

/// Why the keys could not be fetched.
///
/// It may be logged: no address and nothing of an answer is in it. What the transport said is its
/// source.
///
/// ```
/// use cotter_jwks::{FetchFailure, FetchFailureKind};
///
/// fn hint(failure: &FetchFailure) -> &'static str {
///     match failure.kind() {
///         FetchFailureKind::Refused => "change the address",
///         FetchFailureKind::Status(_) | FetchFailureKind::NotKeys => "is that the jwks_uri?",
///         _ => "try again",
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct FetchFailure {
    kind: FetchFailureKind,
    source: Option<Arc<TransportError>>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchFailureKind {
    /// The fetch was given up: its transport panicked, or its runtime ended.
    GivenUp,
    /// The request may have reached the server; no whole answer came back.
    NoAnswer,
    /// The answer is no JWK set.
    NotKeys,
    /// No connection to the server came about.
    NotReached,
    /// The transport refuses the request, and always will: a set-up to be changed.
    Refused,
    /// The server answered with this status, which is none of success.
    Status(StatusCode),
    /// The answer is longer than a transport reads.
    TooLong,
}

impl FetchFailure {
    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> FetchFailureKind {
        self.kind
    }
}

impl From<FetchFailureKind> for FetchFailure {
    fn from(kind: FetchFailureKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<TransportError> for FetchFailure {
    fn from(error: TransportError) -> Self {
        let kind = match error.sent() {
            _ if error.is_config() => FetchFailureKind::Refused,
            _ if error.is_too_long() => FetchFailureKind::TooLong,
            Sent::No => FetchFailureKind::NotReached,
            Sent::Maybe => FetchFailureKind::NoAnswer,
        };
        Self { kind, source: Some(Arc::new(error)) }
    }
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for FetchFailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GivenUp => "the fetch of the keys was given up",
            Self::NoAnswer => "no whole answer came from where the keys are",
            Self::NotKeys => "what stands where the keys should be is no JWK set",
            Self::NotReached => "where the keys are could not be reached",
            Self::Refused => "the keys may not be fetched from there",
            Self::Status(status) => {
                // The number alone: a reason phrase of its own is the server's text.
                return write!(
                    f,
                    "the server of the keys answered with status {}",
                    status.as_u16()
                );
            }
            Self::TooLong => "what stands where the keys should be is too long",
        })
    }
}

impl core::error::Error for FetchFailure {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
