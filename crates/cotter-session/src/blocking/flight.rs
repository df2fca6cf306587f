//! One exchange for all threads that wait: the first one flies, the others wait for it.

use core::time::Duration;
use std::sync::{Arc, PoisonError};

use cotter_core::flow::{Unpersisted, acquire, look};
use cotter_core::{Error, Goal, View};

use super::drive::drive;
use super::keeper::Shared;
use crate::clock;
use crate::entry::{Entry, Ticket};
use crate::observer::tell;
use crate::sync::{Condvar, Mutex};

/// How a flight ended, if it has.
type Landing = Option<Result<Arc<View>, Error>>;

/// A flight that other threads can wait for.
#[derive(Debug)]
pub(crate) struct Flight {
    goal: Goal,
    generation: u64,
    landing: Mutex<Landing>,
    landed: Condvar,
}

impl crate::entry::Flight for Flight {
    fn goal(&self) -> &Goal {
        &self.goal
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn detach(&self) {
        self.land(Err(cut_off()));
    }

    fn stir(&self) {
        // Under the lock: nobody is between his look at what is shown and his wait.
        let _landing = self.landing.lock().unwrap_or_else(PoisonError::into_inner);
        self.landed.notify_all();
    }
}

fn cut_off() -> Error {
    Error::unavailable("the refresh was cut off; its outcome is not known", None, true)
}

impl Flight {
    pub(super) fn new(goal: Goal, generation: u64) -> Self {
        Self { goal, generation, landing: Mutex::new(None), landed: Condvar::new() }
    }

    /// Waits for the end, which everyone gets alike, or until `served`: then the answer is `None`.
    /// `patience` bounds the wait.
    pub(super) fn wait(&self, patience: Duration, served: impl Fn() -> bool) -> Landing {
        let end = clock::deadline(patience);
        let mut landing = self.landing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(result) = &*landing {
                return Some(result.clone());
            }
            if served() {
                return None;
            }
            let left = clock::until(end);
            if left.is_zero() {
                return Some(Err(Error::unavailable(
                    "another thread's refresh took too long",
                    None,
                    false,
                )));
            }
            landing =
                self.landed.wait_timeout(landing, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn land(&self, result: Result<Arc<View>, Error>) {
        *self.landing.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.landed.notify_all();
    }
}

/// Flies on this thread, for everyone.
pub(super) fn fly(
    shared: &Shared,
    entry: &Arc<Entry<Flight>>,
    flight: &Arc<Flight>,
    ticket: Ticket<Flight>,
) -> Result<Arc<View>, Error> {
    let mut guard = Guard { entry, flight, landed: false };
    let Ticket { generation, memory, view, kept, .. } = ticket;
    let cx = shared.common.context(entry.key());
    let step = acquire(cx, flight.goal.clone(), memory, view, kept, shared.world.clock.now());
    let outcome = drive(step, &shared.world, |publication| {
        shared.map.follow(entry, || entry.publish(generation, publication));
    });
    guard.landed = true;
    let landed = shared.map.follow(entry, || entry.land(flight, outcome));
    flight.land(landed.result.clone());
    if let Some(kept) = landed.abandoned {
        abandon(shared, kept);
    }
    tell(shared.common.observer.as_ref(), entry.key(), &landed.events);
    landed.result
}

/// Gives back the lease of a set that nobody will keep.
pub(super) fn abandon(shared: &Shared, kept: Unpersisted) {
    drive(kept.abandon(), &shared.world, |_| ());
}

/// Looks at the store on behalf of everyone.
pub(super) fn look_again(shared: &Shared, entry: &Arc<Entry<Flight>>, ticket: Ticket<Flight>) {
    let mut guard = Looking { entry, looked: false };
    let Ticket { generation, memory, view, landings, .. } = ticket;
    let cx = shared.common.context(entry.key());
    let outcome = drive(look(cx, memory, view, shared.world.clock.now()), &shared.world, |_| ());
    guard.looked = true;
    let landed = shared.map.follow(entry, || entry.looked(generation, landings, outcome));
    tell(shared.common.observer.as_ref(), entry.key(), &landed.events);
}

/// Lets others look if a clock panics through this look.
struct Looking<'a> {
    entry: &'a Arc<Entry<Flight>>,
    looked: bool,
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        if !self.looked {
            self.entry.stop_looking();
        }
    }
}

/// Answers the waiters and frees the slot if a clock or a sleeper panics through the flight.
struct Guard<'a> {
    entry: &'a Arc<Entry<Flight>>,
    flight: &'a Arc<Flight>,
    landed: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.landed {
            self.entry.crashed(self.flight);
            self.flight.land(Err(cut_off()));
        }
    }
}
