//! The connection to a proxy, until the request begins to go through it.

use core::fmt;
use std::time::Instant;

use cotter_core::MAX_RESPONSE;
use ureq::Error;
use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use crate::limit::{Begun, counted};

/// What may come before the request begins: the proxy's answer and the server's handshake.
const MOST: usize = MAX_RESPONSE;

/// A connection to a proxy that has no more time than there is for a connection to the server.
///
/// ureq grants the whole time to each read of the proxy's answer: one byte now and then would keep
/// a request for ever. What comes once the request has begun has other limits.
pub(crate) struct Tunnel<T> {
    inner: T,
    begun: Begun,
    end: Instant,
    left: usize,
}

impl<T> Tunnel<T> {
    pub(crate) const fn new(inner: T, begun: Begun, end: Instant) -> Self {
        Self { inner, begun, end, left: MOST }
    }
}

/// This timeout, but no longer than to the `end`.
pub(crate) fn until(end: Instant, timeout: NextTimeout) -> Result<NextTimeout, Error> {
    let left = end.saturating_duration_since(Instant::now());
    // ureq makes a second of no time at all.
    if left.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    Ok(NextTimeout { after: timeout.after.min(Duration::Exact(left)), ..timeout })
}

impl<T: Transport> Transport for Tunnel<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = if self.begun.is_so() { timeout } else { until(self.end, timeout)? };
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if self.begun.is_so() {
            return self.inner.await_input(timeout);
        }
        let timeout = until(self.end, timeout)?;
        counted(&mut self.inner, timeout, &mut self.left, MOST)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl<T> fmt::Debug for Tunnel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("left", &self.left).finish_non_exhaustive()
    }
}
