//! The blocking driver: the same loop as the async one, without `.await`.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use cotter_core::flow::Publication;
use cotter_core::{
    BlockingTokenStore, BlockingTransport, Clock, LeaseAnswer, LeaseOwner, Step, StoreError,
    StoreKey, TransportError,
};

use super::desk::Desk;
use super::keeper::Sleeper;

#[derive(Debug)]
pub(super) struct World {
    pub(super) store: Desk,
    pub(super) transport: Arc<dyn BlockingTransport>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sleeper: Arc<dyn Sleeper>,
}

impl World {
    /// A call of the store, with a deadline and no way to panic out of it.
    pub(super) fn store_call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn BlockingTokenStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.store.call(call, |_, _| ())
    }
}

/// Drives a flow to its end. `publish` shows what the flow has to show.
pub(super) fn drive<T>(mut step: Step<T>, world: &World, publish: impl Fn(&Publication)) -> T {
    let mut leased = Leased { world, held: None };
    loop {
        step = match step {
            Step::Load(ask) => {
                let (key, then) = ask.split();
                let answer = world.store_call(move |store| store.load(&key));
                then.answer(world.clock.now(), answer)
            }
            Step::Save(ask) => {
                let (save, then) = ask.split();
                let answer = world.store_call(move |store| {
                    store.save(&save.key, &save.record, save.expected, save.new)
                });
                then.answer(world.clock.now(), answer)
            }
            Step::Remove(ask) => {
                let (remove, then) = ask.split();
                let answer =
                    world.store_call(move |store| store.remove(&remove.key, remove.expected));
                then.answer(world.clock.now(), answer)
            }
            Step::Lease(ask) => {
                let (lease, then) = ask.split();
                let (key, unread) = (lease.key.clone(), lease.key.clone());
                let answer = world.store.call(
                    move |store| store.try_lease(&lease.key, lease.ttl),
                    move |store, answer| {
                        // Granted to somebody who no longer waits for it.
                        if let LeaseAnswer::Granted(granted) = answer {
                            let _ = store.release(&unread, granted.owner);
                        }
                    },
                );
                if let Ok(LeaseAnswer::Granted(granted)) = &answer {
                    leased.held = Some((key, granted.owner));
                }
                then.answer(world.clock.now(), answer)
            }
            Step::Release(ask) => {
                let (release, then) = ask.split();
                let answer =
                    world.store_call(move |store| store.release(&release.key, release.owner));
                leased.held = None;
                then.answer(world.clock.now(), answer)
            }
            Step::Send(ask) => {
                let (send, then) = ask.split();
                let timeout = send.not_after.saturating_since(world.clock.boot());
                let answer = if timeout.is_zero() {
                    Err(TransportError::not_sent("the time for this request had passed"))
                } else {
                    catch_unwind(AssertUnwindSafe(|| world.transport.send(send.request, timeout)))
                        .unwrap_or_else(|_| {
                            Err(TransportError::maybe_sent("the transport panicked"))
                        })
                };
                then.answer(world.clock.now(), answer)
            }
            Step::Sleep(ask) => {
                let (duration, then) = ask.split();
                world.sleeper.sleep(duration);
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

/// Gives a lease back if a clock or a sleeper panics in the middle of a flow.
struct Leased<'a> {
    world: &'a World,
    held: Option<(StoreKey, LeaseOwner)>,
}

impl Drop for Leased<'_> {
    fn drop(&mut self) {
        if let Some((key, owner)) = self.held.take() {
            let _ = self.world.store_call(move |store| store.release(&key, owner));
        }
    }
}
