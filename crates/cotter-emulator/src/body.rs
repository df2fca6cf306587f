//! Bodies that arrive slowly or not whole, and one that keeps something until it is sent.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;

use axum::body::{Body as Any, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// A body sent piece by piece, with a pause before each but the first.
#[derive(Debug)]
pub(crate) struct Paced {
    pieces: VecDeque<Bytes>,
    pause: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    started: bool,
    breaks: bool,
    declared: u64,
}

impl Paced {
    /// The first half of `body`; then the connection breaks.
    pub(crate) fn half(body: &Bytes) -> Self {
        let declared = body.len() as u64;
        let pieces = VecDeque::from([body.slice(..body.len() / 2)]);
        // The pause lets the half reach the wire before the connection breaks.
        let pause = Duration::from_millis(20);
        Self { pieces, pause, waiting: None, started: false, breaks: true, declared }
    }

    /// All of `body`, in at most 16 pieces.
    pub(crate) fn drip(body: &Bytes, pause: Duration) -> Self {
        let size = body.len().div_ceil(16).max(1);
        let pieces = (0..body.len())
            .step_by(size)
            .map(|at| body.slice(at..body.len().min(at + size)))
            .collect();
        let declared = body.len() as u64;
        Self { pieces, pause, waiting: None, started: false, breaks: false, declared }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.pieces.is_empty() && !self.breaks {
            return Poll::Ready(None);
        }
        if self.started {
            let pause = self.pause;
            let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(pause)));
            if waiting.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.waiting = None;
        }
        self.started = true;
        let next = self.pieces.pop_front();
        Poll::Ready(Some(next.map(Frame::data).ok_or_else(|| io::Error::other("a half is enough"))))
    }

    fn size_hint(&self) -> SizeHint {
        // Asked before the first frame only: it becomes the Content-Length.
        SizeHint::with_exact(self.declared)
    }
}

/// A body that keeps `T` until the last of it has gone to the connection.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    body: Any,
    _kept: T,
}

impl<T> Kept<T> {
    pub(crate) const fn new(body: Any, kept: T) -> Self {
        Self { body, _kept: kept }
    }
}

impl<T: Unpin> Body for Kept<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
