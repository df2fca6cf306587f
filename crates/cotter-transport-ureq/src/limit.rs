//! A layer around the connection that counts what comes, and knows whether anything went.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use cotter_core::MAX_RESPONSE;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, Either, NextTimeout, Transport,
};

use crate::tunnel::{Tunnel, until};

/// What one response may bring in all. A body in chunks of one byte each is six times as long on the
/// wire; its own limit, and the head's, are kept elsewhere.
const MOST: usize = 8 * MAX_RESPONSE;

type Connection = Box<dyn Transport>;

/// ureq's own connector with limits, for one request.
#[derive(Debug)]
pub(crate) struct Limit {
    connector: DefaultConnector,
    proxied_until: Option<Instant>,
    begun: Begun,
}

/// Whether a byte of the request was handed to a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begun(Arc<AtomicBool>);

impl Begun {
    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Limit {
    /// Where there is a proxy, there is time until then for the whole way through it to the server.
    pub(crate) fn new(proxied_until: Option<Instant>, begun: Begun) -> Self {
        Self { connector: DefaultConnector::default(), proxied_until, begun }
    }

    /// Connects in what is left of the time: ureq grants all of it to each step of the way through a
    /// proxy, the look-up of its name and the connection to it among them.
    fn connect_until(
        &self,
        end: Instant,
        details: &ConnectionDetails<'_>,
    ) -> Result<Option<Connection>, Error> {
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: (details.current_time)(),
            timeout: until(end, details.timeout)?,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        self.connector.connect(&details, None)
    }
}

impl Connector for Limit {
    type Out = Either<Tunnel<Connection>, Counted<Connection>>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let connection = match self.proxied_until {
            Some(end) => self.connect_until(end, details)?,
            None => self.connector.connect(details, chained)?,
        };
        let Some(inner) = connection else { return Ok(None) };
        let begun = self.begun.clone();
        Ok(Some(match self.proxied_until {
            // The connection to the proxy, which is made here too on the way, is none to the server.
            Some(end) if details.config.proxy().is_none() => {
                Either::A(Tunnel::new(inner, begun, end))
            }
            _ => Either::B(Counted { inner, begun, left: MOST }),
        }))
    }
}

/// A connection for one request.
pub(crate) struct Counted<T> {
    inner: T,
    begun: Begun,
    left: usize,
}

impl<T: Transport> Transport for Counted<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.begun.0.store(true, Ordering::Release);
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        counted(&mut self.inner, timeout, &mut self.left, MOST)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl<T: fmt::Debug> fmt::Debug for Counted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("left", &self.left).finish_non_exhaustive()
    }
}

/// Awaits input, and takes it off what is `left` of the `most` that may come.
pub(crate) fn counted(
    inner: &mut impl Transport,
    timeout: NextTimeout,
    left: &mut usize,
    most: usize,
) -> Result<bool, Error> {
    let before = inner.buffers().input().len();
    let more = inner.await_input(timeout)?;
    let came = inner.buffers().input().len().saturating_sub(before);
    *left = left.checked_sub(came).ok_or_else(|| Error::Io(io::Error::other(TooLong(most))))?;
    Ok(more)
}

/// More bytes came than this, which is all that may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooLong(usize);

impl TooLong {
    /// Whether this is what ended a request.
    pub(crate) fn ended(error: &Error) -> bool {
        matches!(error, Error::Io(error) if error.get_ref().is_some_and(|it| it.is::<Self>()))
    }
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} KiB came", self.0 / 1024)
    }
}

impl core::error::Error for TooLong {}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::thread;

    use cotter_testkit::wire::{Reply, Server};
    use http::Uri;
    use ureq::config::Config;
    use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
    use ureq::{Agent, Proxy};

    use super::*;

    /// Finds every name, but not in time.
    #[derive(Debug)]
    struct Slow;

    impl Resolver for Slow {
        fn resolve(
            &self,
            uri: &Uri,
            config: &Config,
            timeout: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, Error> {
            thread::sleep(Duration::from_millis(400));
            DefaultResolver::default().resolve(uri, config, timeout)
        }
    }

    #[test]
    fn a_name_of_a_proxy_that_took_all_of_the_time_leaves_none_to_connect() {
        let proxy = Server::start(|_| Reply::ok("{}"));
        let span = Duration::from_millis(200);
        let config = Agent::config_builder()
            .proxy(Some(Proxy::new(&proxy.url("")).unwrap()))
            .timeout_connect(Some(span))
            .build();
        let limit = Limit::new(Some(Instant::now() + span), Begun::default());
        let agent = Agent::with_parts(config, limit, Slow);
        let error = agent.get("https://auth.example/").call().unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error:?}");
        assert_eq!(proxy.connections(), 0);
    }
}
