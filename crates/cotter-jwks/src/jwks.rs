use core::time::Duration;
use std::sync::Arc;

use cotter_core::{Clock, Error};
use cotter_jwt::RemotePolicy;
use http::Uri;

use crate::clock::StdClock;

/// Where an issuer's keys are, and how to go about them.
#[derive(Clone, Debug)]
pub struct Jwks {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: RemotePolicy,
    pub(crate) remember: usize,
    pub(crate) timeout: Duration,
    pub(crate) uri: Uri,
}

impl Jwks {
    /// The keys at this URL; a provider's `jwks_uri`, say.
    ///
    /// # Errors
    /// [`cotter_core::ErrorKind::Config`] if this is no absolute http URL.
    pub fn at(url: &str) -> Result<Self, Error> {
        let uri: Uri =
            url.parse().map_err(|_| Error::config("the address of the keys is no URL"))?;
        if !matches!(uri.scheme_str(), Some("https" | "http")) || uri.host().is_none() {
            return Err(Error::config("the address of the keys is no absolute http URL"));
        }
        Ok(Self {
            clock: Arc::new(StdClock),
            policy: RemotePolicy::default(),
            remember: 0,
            timeout: Duration::from_secs(5),
            uri,
        })
    }

    /// Goes by another clock: one that counts suspend, or one that a test moves.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How long keys are good for.
    #[must_use]
    pub const fn policy(mut self, policy: RemotePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Remembers this many verified tokens of each kind; none by default.
    #[must_use]
    pub const fn remember(mut self, tokens: usize) -> Self {
        self.remember = tokens;
        self
    }

    /// How long one fetch may take; five seconds by default.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
