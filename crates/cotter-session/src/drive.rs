//! The async driver: does what a step asks, answers it, and goes on to the next.
//!
//! Every future of an adapter is made inside of one that is watched: an adapter written by hand may panic
//! before it has a future to return.

use core::future::Future;
use core::time::Duration;

use cotter_core::flow::Publication;
use cotter_core::{LeaseAnswer, LeaseOwner, Step, StoreKey, TransportError};

use crate::world::{Caught, World};

/// How much later than its own deadline a transport is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Drives a flow to its end. `publish` shows what the flow has to show; it must not block.
pub(crate) async fn drive<T>(
    mut step: Step<T>,
    world: &World,
    publish: impl Fn(&Publication) + Send + Sync,
) -> T {
    let mut leased = Leased { world, held: None };
    loop {
        step = match step {
            Step::Load(ask) => {
                let (key, then) = ask.split();
                let answer = world.store_call(async { world.store.load(&key).await }).await;
                then.answer(world.clock.now(), answer)
            }
            Step::Save(ask) => {
                let (save, then) = ask.split();
                let call = async {
                    world.store.save(&save.key, &save.record, save.expected, save.new).await
                };
                let answer = world.store_call(call).await;
                then.answer(world.clock.now(), answer)
            }
            Step::Remove(ask) => {
                let (remove, then) = ask.split();
                let call = async { world.store.remove(&remove.key, remove.expected).await };
                let answer = world.store_call(call).await;
                then.answer(world.clock.now(), answer)
            }
            Step::Lease(ask) => {
                let (lease, then) = ask.split();
                let call = async { world.store.try_lease(&lease.key, lease.ttl).await };
                let answer = world.store_call(call).await;
                if let Ok(LeaseAnswer::Granted(granted)) = &answer {
                    leased.held = Some((lease.key, granted.owner));
                }
                then.answer(world.clock.now(), answer)
            }
            Step::Release(ask) => {
                let (release, then) = ask.split();
                let call = async { world.store.release(&release.key, release.owner).await };
                let answer = world.store_call(call).await;
                leased.held = None;
                then.answer(world.clock.now(), answer)
            }
            Step::Send(ask) => {
                let (send, then) = ask.split();
                let timeout = send.not_after.saturating_since(world.clock.boot());
                let answer = if timeout.is_zero() {
                    Err(TransportError::not_sent("the time for this request had passed"))
                } else {
                    let call = Caught(Box::pin(async {
                        world.transport.send(send.request, timeout).await
                    }));
                    match tokio::time::timeout(timeout.saturating_add(PATIENCE), call).await {
                        Ok(Some(answer)) => answer,
                        Ok(None) => Err(TransportError::maybe_sent("the transport panicked")),
                        Err(_) => Err(TransportError::maybe_sent("no answer in time")),
                    }
                };
                then.answer(world.clock.now(), answer)
            }
            Step::Sleep(ask) => {
                let (duration, then) = ask.split();
                world.sleeper.sleep(duration).await;
                then.answer(world.clock.now(), ())
            }
            Step::Publish(ask) => {
                let (publication, then) = ask.split();
                publish(&publication);
                then.answer(world.clock.now(), ())
            }
            Step::Done(value) => {
                leased.held = None;
                return value;
            }
        };
    }
}

/// Gives a lease back if the task is dropped in the middle of a flow.
struct Leased<'a> {
    world: &'a World,
    held: Option<(StoreKey, LeaseOwner)>,
}

impl Drop for Leased<'_> {
    fn drop(&mut self) {
        let Some((key, owner)) = self.held.take() else { return };
        // Nobody will await it: one poll starts it (and ends it, in stores that need no more).
        let mut release = Caught(Box::pin(async { self.world.store.release(&key, owner).await }));
        let mut cx = core::task::Context::from_waker(core::task::Waker::noop());
        let _ = core::pin::Pin::new(&mut release).poll(&mut cx);
    }
}
