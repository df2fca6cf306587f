use core::time::Duration;
use std::sync::Arc;

use cotter_core::{Clock, Error, PlainHttp, check_address};
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
    /// [`cotter_core::ErrorKind::Config`] if this is no absolute https URL, or names a user; http
    /// is allowed to this machine (loopback), as the transports allow it.
    ///
    /// ```
    /// use cotter_jwks::Jwks;
    ///
    /// assert!(Jwks::at("https://www.cotter.app/api/v0/token/jwks").is_ok());
    /// assert!(Jwks::at("http://127.0.0.1:1234/token/jwks").is_ok());
    /// assert!(Jwks::at("http://www.cotter.app/api/v0/token/jwks").is_err());
    /// ```
    pub fn at(url: &str) -> Result<Self, Error> {
        Self::of(url, PlainHttp::Loopback)
    }

    /// The keys at this URL, which may be plain http to another machine: **whoever is on the way
    /// says which tokens are good**. The transport has to be told as well.
    ///
    /// # Errors
    /// [`cotter_core::ErrorKind::Config`] if this is no absolute http URL, or names a user.
    ///
    /// ```
    /// use cotter_jwks::Jwks;
    ///
    /// assert!(Jwks::danger_plain_http_at("http://keys.internal/jwks").is_ok());
    /// assert!(Jwks::danger_plain_http_at("http://me:secret@keys.internal/jwks").is_err());
    /// assert!(Jwks::danger_plain_http_at("http://keys.internal:99999/jwks").is_err());
    /// ```
    pub fn danger_plain_http_at(url: &str) -> Result<Self, Error> {
        Self::of(url, PlainHttp::Anywhere)
    }

    fn of(url: &str, plain_http: PlainHttp) -> Result<Self, Error> {
        let uri: Uri =
            url.parse().map_err(|_| Error::config("the address of the keys is no URL"))?;
        check_address(&uri, plain_http)
            .map_err(|error| Error::config(format!("the keys cannot be fetched: {error}")))?;
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
