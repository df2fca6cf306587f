//! What the async driver touches: store, transport, clock, sleep.

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use cotter_core::{Clock, Error, StoreError, StoreErrorKind, TokenStore, Transport};
use tokio::runtime::Handle;

/// Waits, asynchronously.
///
/// The default sleeps on tokio's timer; tests put one here that moves a manual clock instead.
#[async_trait]
pub trait Sleeper: Send + Sync + core::fmt::Debug {
    /// Returns after `duration`.
    async fn sleep(&self, duration: Duration);
}

/// tokio's timer.
#[derive(Debug)]
pub(crate) struct TokioSleeper;

#[async_trait]
impl Sleeper for TokioSleeper {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sleeper: Arc<dyn Sleeper>,
    pub(crate) store_deadline: Duration,
}

impl World {
    /// A call of the store, with a deadline and no way to panic out of it.
    pub(crate) async fn store_call<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.store_deadline, Caught(Box::pin(call))).await {
            Ok(Some(answer)) => answer,
            Ok(None) => Err(StoreError::new(StoreErrorKind::Other, "the store panicked")),
            Err(_) => Err(StoreError::new(
                StoreErrorKind::Timeout,
                "the store did not answer in time; a write may have happened",
            )),
        }
    }
}

/// The runtime that this is called on, if it is one that a session can work on.
///
/// # Errors
/// `Config` if there is none, or one without timers, which every deadline needs.
pub(crate) fn runtime() -> Result<Handle, Error> {
    let runtime = Handle::try_current().map_err(|error| {
        Error::config("an async session needs a tokio runtime; there is a blocking one without")
            .with_source(error)
    })?;
    // tokio says whether there are timers in no other way: a sleep panics where there are none.
    catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).map_err(|_| {
        Error::config("an async session needs a tokio runtime with its timers enabled")
    })?;
    Ok(runtime)
}

/// A future whose panics become `None`.
pub(crate) struct Caught<F>(pub(crate) Pin<Box<F>>);

impl<F: Future> Future for Caught<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // An adapter that panicked is not polled again; its caller is answered for it.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    }
}
