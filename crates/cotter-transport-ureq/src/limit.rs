//! A layer around the connection that counts what comes, and knows whether anything went.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::sync::Arc;

use cotter_core::MAX_RESPONSE;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport,
};

/// What one response may bring in all. A body in chunks of one byte each is six times as long on the
/// wire; its own limit, and the head's, are kept elsewhere.
const MOST: usize = 8 * MAX_RESPONSE;

/// The last link of a chain of connectors, for one request.
///
/// By the time it is asked, there is a connection with all its handshakes.
#[derive(Debug)]
pub(crate) struct Limit {
    proxied: bool,
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
    pub(crate) const fn new(proxied: bool, begun: Begun) -> Self {
        Self { proxied, begun }
    }
}

impl<In: Transport> Connector<In> for Limit {
    type Out = Either<In, Counted<In>>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(inner) = chained else { return Ok(None) };
        // The connection to the proxy, which the same chain makes on the way, is none to the server.
        if self.proxied && details.config.proxy().is_none() {
            return Ok(Some(Either::A(inner)));
        }
        let begun = self.begun.clone();
        Ok(Some(Either::B(Counted { inner, begun, left: MOST })))
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
        let before = self.inner.buffers().input().len();
        let more = self.inner.await_input(timeout)?;
        let came = self.inner.buffers().input().len().saturating_sub(before);
        match self.left.checked_sub(came) {
            Some(left) => self.left = left,
            None => return Err(Error::Io(io::Error::other(TooLong))),
        }
        Ok(more)
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

/// More came than a response may bring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooLong;

impl TooLong {
    /// Whether this is what ended a request.
    pub(crate) fn ended(error: &Error) -> bool {
        matches!(error, Error::Io(error) if error.get_ref().is_some_and(|it| it.is::<Self>()))
    }
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more than 512 KiB came")
    }
}

impl core::error::Error for TooLong {}
