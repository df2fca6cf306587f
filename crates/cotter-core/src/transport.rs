//! What core needs of an HTTP client: one whole request out, one whole response back.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};

use crate::secret::SecretBytes;

/// The largest response body that a transport reads, in bytes.
pub const MAX_RESPONSE: usize = 64 * 1024;

/// Carries one request, asynchronously.
///
/// The contract (checked by the suite `transport_contract!` of cotter-testkit): at most one request
/// on the wire per call; no redirects, retries, cookies or early data; the body is read up to
/// [`MAX_RESPONSE`] and no further; the call ends within `timeout`; every status is an `Ok`;
/// plain http only to loopback. Errors hold no URL, header or body.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends `request` and gives the whole response, all within `timeout`.
    ///
    /// # Errors
    /// A [`TransportError`] that says whether the request may have reached the server.
    async fn send(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError>;
}

/// Carries one request, blocking the thread; the contract of [`Transport`].
pub trait BlockingTransport: Send + Sync + fmt::Debug {
    /// Sends `request` and gives the whole response, all within `timeout`.
    ///
    /// # Errors
    /// A [`TransportError`] that says whether the request may have reached the server.
    fn send(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn send(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        T::send(self, request, timeout).await
    }
}

impl<T: BlockingTransport + ?Sized> BlockingTransport for Arc<T> {
    fn send(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        T::send(self, request, timeout)
    }
}

/// Whether a failed request may have reached the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer, and none may be guessed")]
pub enum Sent {
    /// Certainly not: looking up the name, connecting or the TLS handshake failed, or the request
    /// was refused here.
    No,
    /// It may have: anything after the first byte.
    Maybe,
}

/// A request got no whole response.
///
/// ```
/// use cotter_core::{Sent, TransportError};
///
/// let error = TransportError::maybe_sent("the connection was reset");
/// assert_eq!(error.sent(), Sent::Maybe);
/// ```
#[derive(Debug)]
pub struct TransportError {
    sent: Sent,
    nature: Nature,
    message: Cow<'static, str>,
    source: Option<Box<dyn core::error::Error + Send + Sync>>,
}

/// What is known of a failure besides that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    Any,
    Config,
    TooLong,
}

impl TransportError {
    /// The request certainly did not reach the server.
    #[must_use]
    pub fn not_sent(message: impl Into<Cow<'static, str>>) -> Self {
        Self { sent: Sent::No, nature: Nature::Any, message: message.into(), source: None }
    }

    /// The request may have reached the server; the default where in doubt.
    #[must_use]
    pub fn maybe_sent(message: impl Into<Cow<'static, str>>) -> Self {
        Self { sent: Sent::Maybe, nature: Nature::Any, message: message.into(), source: None }
    }

    /// The request was refused here and always will be: plain http to a foreign host, say.
    #[must_use]
    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self { sent: Sent::No, nature: Nature::Config, message: message.into(), source: None }
    }

    /// The server answered more than [`MAX_RESPONSE`].
    ///
    /// ```
    /// use cotter_core::{Sent, TransportError};
    ///
    /// let error = TransportError::too_long();
    /// assert!(error.is_too_long() && error.sent() == Sent::Maybe);
    /// ```
    #[must_use]
    pub const fn too_long() -> Self {
        let message = Cow::Borrowed("the response is longer than 64 KiB");
        Self { sent: Sent::Maybe, nature: Nature::TooLong, message, source: None }
    }

    /// The same error, with the client's own beneath it; that one must name no URL.
    #[must_use]
    pub fn with_source(mut self, source: impl core::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Whether the request may have reached the server.
    #[must_use]
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// Whether only a change of the set-up can help.
    #[must_use]
    pub const fn is_config(&self) -> bool {
        matches!(self.nature, Nature::Config)
    }

    /// Whether the server answered more than a transport reads.
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        matches!(self.nature, Nature::TooLong)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
