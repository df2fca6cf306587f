//! Carries one HTTP request for cotter, by reqwest, on tokio.
//!
//! [`Reqwest`] builds its own client, because the tokens of a session need more than a client has
//! by default: at most one request on the wire per call. So there are no redirects, no retries, no
//! cookies, no connections kept for later, no decompression; https only, but for this machine
//! itself; one deadline over everything from the name's resolution to the last byte of the body.
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use core::time::Duration;
//! use cotter_core::{SecretBytes, Transport};
//! use cotter_transport_reqwest::Reqwest;
//!
//! let transport = Reqwest::builder().user_agent("tea/1.0").build()?;
//! let request = http::Request::get("https://auth.example/keys").body(SecretBytes::default())?;
//! let response = transport.send(request, Duration::from_secs(10)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The environment counts: `HTTPS_PROXY` (or `ALL_PROXY`) and `NO_PROXY` when the transport is
//! built, `SSL_CERT_FILE` in place of the system's certificates.
//!
//! A response may have a body of 64 KiB and a head of 64 KiB; more of the body is not read, and
//! reqwest itself stops at heads, trailers and extensions of chunks that go on and on. What reqwest
//! drops unseen, interim responses (1xx) and zeros before the size of a chunk, cannot be counted
//! here, as no layer of it lets a wrapper around the connection: a server that sends nothing else is
//! listened to until the deadline, in bounded memory.

mod body;
mod builder;
mod deadline;
mod roots;

use core::fmt;
use core::time::Duration;

use async_trait::async_trait;
use cotter_core::{
    Error, MAX_RESPONSE, PlainHttp, SecretBytes, Transport, TransportError, check_address,
};
use http::{Request, Response, Version};
use reqwest::{Client, Url};

use crate::body::Begun;
pub use crate::builder::Builder;
use crate::deadline::{Deadline, Late};

/// The async transport; a clone is another handle to the same client.
#[derive(Clone)]
pub struct Reqwest {
    client: Client,
    plain_http: PlainHttp,
}

impl Reqwest {
    /// The transport with nothing changed.
    ///
    /// # Errors
    /// `Config` if the proxy or the certificates that the environment names are unusable.
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// A transport with settings.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A transport around a finished client, whose settings hold.
    ///
    /// # Danger
    /// Its redirects, retries, cookies and kept connections can send a refresh token twice or
    /// elsewhere, which ends sessions; nothing here can see or undo them. The deadline, the limit of
    /// the response and the rule about plain http hold all the same.
    #[must_use]
    pub const fn danger_from_client(client: Client) -> Self {
        Self { client, plain_http: PlainHttp::Loopback }
    }

    async fn exchange(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
        deadline: Deadline,
    ) -> Result<Response<SecretBytes>, TransportError> {
        let (parts, body) = request.into_parts();
        check_address(&parts.uri, self.plain_http)?;
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|_| TransportError::config("the address is no URL"))?;

        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.version_mut() = Version::HTTP_11;
        *request.timeout_mut() = Some(timeout);
        let begun = body::attach(&mut request, body, deadline);

        let response = match self.client.execute(request).await {
            Ok(response) => response,
            Err(error) => return Err(failed(error, &begun)),
        };
        let status = response.status();
        let headers = response.headers().clone();
        let head: usize =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if head > MAX_RESPONSE {
            return Err(TransportError::too_long());
        }
        let body = read(response).await?;

        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

#[async_trait]
impl Transport for Reqwest {
    async fn send(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        self.exchange(request, timeout, Deadline::after(timeout)).await
    }
}

impl fmt::Debug for Reqwest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reqwest").field("plain_http", &self.plain_http).finish_non_exhaustive()
    }
}

/// The body, up to the limit, within the deadline that the request carries on.
async fn read(mut response: reqwest::Response) -> Result<SecretBytes, TransportError> {
    let announced = response.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > MAX_RESPONSE {
        return Err(TransportError::too_long());
    }
    let mut body = SecretBytes::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(|error| {
        let message = match error.is_timeout() {
            true => "the response did not end in time",
            false => "the response broke off",
        };
        TransportError::maybe_sent(message).with_source(error.without_url())
    })? {
        if chunk.len() > MAX_RESPONSE - body.len() {
            return Err(TransportError::too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a request that got no response head means.
///
/// A client asks for a body only once it is connected, and before it writes anything. So where the
/// body was never asked for, nothing was sent, whatever the client calls the error; where there is
/// no body, only an error of the connection proves that.
fn failed(error: reqwest::Error, begun: &Begun) -> TransportError {
    let not_sent = begun.never() || error.is_connect() || error.is_builder();
    let message = match (not_sent, error.is_timeout()) {
        _ if Late::stopped(&error) => "the deadline passed before the request was sent",
        (true, true) => "no connection to the server came about in time",
        (true, false) => "no connection to the server came about",
        (false, true) => "the server did not answer in time",
        (false, false) => "the connection broke before the server answered",
    };
    let error = error.without_url();
    if not_sent {
        TransportError::not_sent(message).with_source(error)
    } else {
        TransportError::maybe_sent(message).with_source(error)
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use core::time::Duration;

    use cotter_core::{SecretBytes, Sent};
    use cotter_testkit::wire::{Reply, Server};

    use super::*;

    /// As after a suspend between the connection and the body.
    #[test]
    fn rule_02_a_deadline_that_passed_while_the_machine_slept_sends_nothing() {
        let server = Server::start(|_| Reply::ok("{}"));
        let transport = Reqwest::builder().no_proxy().build().unwrap();
        let send = |deadline| {
            let body = SecretBytes::from(b"PLANTED".as_slice());
            let request = Request::post(server.url("/")).body(body).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(transport.exchange(
                request,
                Duration::from_secs(20),
                deadline,
            ))
        };
        let error = send(Deadline::past()).unwrap_err();
        assert_eq!(error.sent(), Sent::No, "{error:?}");
        assert!(error.to_string().contains("deadline"), "{error}");
        assert_eq!(server.requests().len(), 0);
        assert!(send(Deadline::after(Duration::from_secs(20))).is_ok());
    }
}
