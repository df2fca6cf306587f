//! Carries one HTTP request for cotter, by ureq, blocking the thread.
//!
//! [`Ureq`] builds its own agents, because the tokens of a session need more than an agent has by
//! default: at most one request on the wire per call. So there are no redirects, no retries, no
//! cookies, no connections kept for later; https only, but for this machine itself; one deadline
//! over everything from the name's resolution to the last byte of the body.
//!
//! ```no_run
//! # fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use core::time::Duration;
//! use cotter_core::{BlockingTransport, SecretBytes};
//! use cotter_transport_ureq::Ureq;
//!
//! let transport = Ureq::builder().user_agent("tea/1.0").build()?;
//! let request = http::Request::get("https://auth.example/keys").body(SecretBytes::default())?;
//! let response = transport.send(request, Duration::from_secs(10))?;
//! # Ok(())
//! # }
//! ```
//!
//! The environment counts: `HTTPS_PROXY` (or `ALL_PROXY`) and `NO_PROXY` when the transport is
//! built, `SSL_CERT_FILE` in place of the system's certificates.
//!
//! A response may have a body of 64 KiB, a head of 64 KiB, and 512 KiB in all, with everything that
//! stands between and after (interim responses, sizes of chunks, trailers): more is not read. What
//! comes through a proxy before the request has begun may have 64 KiB too.
//!
//! Where ureq's feature `gzip`, `brotli` or `charset` is switched on by anybody in the tree, a body
//! that its headers call compressed, or text of another charset, is opened, and no setting of ureq's
//! keeps it from that; the limit of the body then counts opened bytes.

mod builder;
mod deadline;
mod except;
mod failure;
mod limit;
mod names;
mod roots;
mod tunnel;

use core::fmt;
use core::time::Duration;
use std::io::{self, Read};
use std::sync::Arc;

use cotter_core::{
    BlockingTransport, Error, MAX_RESPONSE, PlainHttp, SecretBytes, TransportError, check_address,
    is_loopback,
};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, Version};
use ureq::{Agent, AsSendBody, SendBody};

pub use crate::builder::Builder;
use crate::builder::Settings;
use crate::deadline::{Deadline, Late};
use crate::limit::Begun;

/// Longer than anybody waits for a token; beyond it ureq's clock would overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The blocking transport; a clone is another handle to the same settings.
#[derive(Clone)]
pub struct Ureq {
    agents: Agents,
    plain_http: PlainHttp,
}

#[derive(Clone)]
enum Agents {
    Finished(Agent),
    /// One agent for each request: an agent has a cookie jar whenever anybody in the tree switches
    /// ureq's feature `cookies` on, and no setting keeps it empty.
    Settings(Arc<Settings>),
}

impl Ureq {
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

    /// A transport around a finished agent, whose connector, resolver, proxy and certificates hold.
    ///
    /// # Danger
    /// Its middleware and its cookies, where ureq's feature for them is on, can send a refresh token
    /// twice or elsewhere, which ends sessions; nothing here can see or undo them. Redirects and
    /// kept connections are not used, and the deadline, the limits of head and body and the rule about
    /// plain http hold all the same; what stands between head and body is not counted, and a proxy
    /// of its own that sends its answer byte by byte can hold a request beyond the deadline.
    #[must_use]
    pub const fn danger_from_agent(agent: Agent) -> Self {
        Self { agents: Agents::Finished(agent), plain_http: PlainHttp::Loopback }
    }

    fn run(
        &self,
        request: Request<impl AsSendBody>,
        timeout: Duration,
        begun: &Begun,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let loopback = request.uri().host().is_some_and(is_loopback);
        let (agent, connect_timeout) = match &self.agents {
            Agents::Finished(agent) => (agent.clone(), builder::CONNECT_TIMEOUT.min(timeout)),
            Agents::Settings(settings) => {
                let span = settings.connect_timeout.min(timeout);
                (settings.agent(request.uri(), loopback, span, begun.clone()), span)
            }
        };
        let request = agent
            .configure_request(request)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Too old at once: a kept connection that the server closes takes a request with it.
            .max_idle_age(Duration::ZERO)
            .timeout_global(Some(timeout))
            .timeout_resolve(Some(connect_timeout))
            .timeout_connect(Some(connect_timeout));
        // Plain http goes no further than this machine, not even to a proxy.
        let request = if loopback { request.proxy(None) } else { request };
        agent.run(request.build())
    }
}

impl BlockingTransport for Ureq {
    fn send(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        let timeout = timeout.min(LONGEST);
        self.exchange(request, timeout, Deadline::after(timeout))
    }
}

impl Ureq {
    fn exchange(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
        deadline: Deadline,
    ) -> Result<Response<SecretBytes>, TransportError> {
        let (parts, body) = request.into_parts();
        check_address(&parts.uri, self.plain_http)?;

        let mut request = Request::new(());
        let takes_one = [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
        *request.method_mut() = parts.method;
        *request.uri_mut() = parts.uri;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = parts.headers;
        request.headers_mut().remove(TRANSFER_ENCODING);
        request.headers_mut().remove(CONTENT_LENGTH);

        let begun = Begun::default();
        let response = if body.is_empty() {
            let answer = match takes_one {
                true => self.run(request.map(|()| b"".as_slice()), timeout, &begun),
                false => self.run(request, timeout, &begun),
            };
            answer.map_err(|error| match &self.agents {
                Agents::Finished(_) => failure::without_body(error),
                Agents::Settings(_) => failure::told(error, begun.is_so()),
            })?
        } else {
            let length = HeaderValue::from(body.len());
            request.headers_mut().insert(CONTENT_LENGTH, length);
            let mut reader = Watched { rest: body.expose(), begun: false, deadline };
            let answer =
                self.run(request.map(|()| SendBody::from_reader(&mut reader)), timeout, &begun);
            answer.map_err(|error| failure::told(error, reader.begun))?
        };
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, read(body)?))
    }
}

impl fmt::Debug for Ureq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ureq").field("plain_http", &self.plain_http).finish_non_exhaustive()
    }
}

/// A body that knows whether the client has asked for it.
struct Watched<'a> {
    rest: &'a [u8],
    begun: bool,
    deadline: Deadline,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.begun && self.deadline.has_passed() {
            return Err(io::Error::other(Late));
        }
        self.begun = true;
        self.rest.read(buffer)
    }
}

/// The body, up to the limit, within the deadline that the request carries on.
fn read(mut body: ureq::Body) -> Result<SecretBytes, TransportError> {
    let announced = body.content_length().unwrap_or(0);
    if announced > MAX_RESPONSE as u64 {
        return Err(TransportError::too_long());
    }
    // Roomy enough not to move, since what a vector leaves behind is not wiped.
    let mut bytes = Vec::with_capacity(MAX_RESPONSE + 64);
    let outcome = body.as_reader().take(MAX_RESPONSE as u64 + 1).read_to_end(&mut bytes);
    let bytes = SecretBytes::from(bytes);
    match outcome {
        Ok(_) if bytes.len() > MAX_RESPONSE => Err(TransportError::too_long()),
        Ok(_) => Ok(bytes),
        Err(error) => Err(failure::in_response(error.into())),
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
        let transport = Ureq::builder().no_proxy().build().unwrap();
        let send = |deadline| {
            let body = SecretBytes::from(b"PLANTED".as_slice());
            let request = Request::post(server.url("/")).body(body).unwrap();
            transport.exchange(request, Duration::from_secs(20), deadline)
        };
        let error = send(Deadline::past()).unwrap_err();
        assert_eq!(error.sent(), Sent::No, "{error:?}");
        assert!(error.to_string().contains("deadline"), "{error}");
        assert_eq!(server.requests().len(), 0);
        assert!(send(Deadline::after(Duration::from_secs(20))).is_ok());
    }
}
