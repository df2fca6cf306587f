//! One exchange for everyone who waits: the flight runs in a task of its own, so that a caller who
//! goes away takes nothing with him.

use core::time::Duration;
use std::sync::Arc;

use cotter_core::flow::{Unpersisted, acquire, look};
use cotter_core::{Error, Goal, View};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::drive::drive;
use crate::entry::{Entry, Landed, Ticket};
use crate::keeper::Shared;
use crate::observer::tell;

/// How a flight ended, if it has.
type Landing = Option<Result<Arc<View>, Error>>;

/// A flight that callers can wait for.
#[derive(Debug)]
pub(crate) struct Flight {
    goal: Goal,
    generation: u64,
    landing: watch::Sender<Landing>,
}

impl crate::entry::Flight for Flight {
    fn goal(&self) -> &Goal {
        &self.goal
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn detach(&self) {
        self.landing.send_replace(Some(Err(cut_off())));
    }

    fn stir(&self) {
        self.landing.send_modify(|_| ());
    }
}

impl Flight {
    pub(crate) fn new(goal: Goal, generation: u64) -> Self {
        Self { goal, generation, landing: watch::Sender::new(None) }
    }

    /// Waits for the end, which everyone gets alike, or until `served`: then the answer is `None`.
    pub(crate) async fn landed_or(&self, served: impl Fn() -> bool) -> Landing {
        let mut landing = self.landing.subscribe();
        // The sender lives in `self`, so the channel cannot close.
        match landing.wait_for(|landing| landing.is_some() || served()).await {
            Ok(landing) => landing.clone(),
            Err(_) => Some(Err(cut_off())),
        }
    }

    /// The same, but no longer than until `end`: a flight that its runtime no longer polls ends when
    /// somebody polls that again, which may be never.
    pub(crate) async fn landed_by(
        &self,
        end: Instant,
        served: impl Fn() -> bool,
    ) -> Result<Landing, Error> {
        tokio::time::timeout_at(end, self.landed_or(served)).await.map_err(|_| {
            Error::unavailable("the refresh of another task took too long", None, false)
        })
    }
}

fn cut_off() -> Error {
    Error::unavailable("the refresh was cut off; its outcome is not known", None, true)
}

/// Starts a flight in a task of its own.
pub(crate) fn start(
    shared: &Arc<Shared>,
    entry: &Arc<Entry<Flight>>,
    flight: Arc<Flight>,
    ticket: Ticket<Flight>,
) {
    let guard = Guard { entry: Arc::clone(entry), flight: Some(flight) };
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        // Dropping the guard answers the waiters and frees the slot.
        return;
    };
    let work = fly(Arc::clone(shared), Arc::clone(entry), guard, ticket);
    #[cfg(feature = "tracing")]
    let work =
        tracing::Instrument::instrument(work, tracing::debug_span!(target: "cotter", "flight"));
    runtime.spawn(work);
}

async fn fly(
    shared: Arc<Shared>,
    entry: Arc<Entry<Flight>>,
    mut guard: Guard,
    ticket: Ticket<Flight>,
) {
    let Some(flight) = guard.flight.clone() else { return };
    let Ticket { generation, memory, view, kept, .. } = ticket;
    let cx = shared.common.context(entry.key());
    let step = acquire(cx, flight.goal.clone(), memory, view, kept, shared.world.clock.now());
    let outcome = drive(step, &shared.world, |publication| {
        shared.map.follow(&entry, || entry.publish(generation, publication));
    })
    .await;
    guard.flight = None;
    let landed = shared.map.follow(&entry, || entry.land(&flight, outcome));
    flight.landing.send_replace(Some(landed.result.clone()));
    settle(&shared, &entry, generation, landed).await;
}

/// What is left after a landing: observers, leases to give back, sets to store.
async fn settle(shared: &Arc<Shared>, entry: &Arc<Entry<Flight>>, generation: u64, landed: Landed) {
    if let Some(kept) = landed.abandoned {
        abandon(shared, kept).await;
    }
    tell(shared.common.observer.as_ref(), entry.key(), &landed.events);
    if landed.unpersisted {
        keep_trying(Arc::clone(shared), Arc::clone(entry), generation);
    }
}

/// Gives back the lease of a set that nobody will keep.
pub(crate) async fn abandon(shared: &Arc<Shared>, kept: Unpersisted) {
    drive(kept.abandon(), &shared.world, |_| ()).await;
}

/// Stores what is in memory only, in the background, until it is stored or replaced (rule 1).
pub(crate) fn keep_trying(shared: Arc<Shared>, entry: Arc<Entry<Flight>>, generation: u64) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let Some(keeping) = Keeping::begin(&entry) else { return };
    runtime.spawn(async move {
        let pause = shared.common.policy.backoff_first;
        shared.world.sleeper.sleep(pause.max(Duration::from_millis(10))).await;
        drop(keeping);
        if !entry.is_current(generation) {
            return;
        }
        if let Some((flight, ticket)) = entry.lead_keeping(Flight::new) {
            start(&shared, &entry, flight, ticket);
        }
    });
}

/// One task at most waits to store what is kept.
struct Keeping(Arc<Entry<Flight>>);

impl Keeping {
    fn begin(entry: &Arc<Entry<Flight>>) -> Option<Self> {
        entry.begin_keeping().then(|| Self(Arc::clone(entry)))
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.stop_keeping();
    }
}

/// Looks at the store on behalf of everyone.
pub(crate) async fn look_again(
    shared: &Arc<Shared>,
    entry: &Arc<Entry<Flight>>,
    ticket: Ticket<Flight>,
) {
    let mut guard = Looking { entry: Some(Arc::clone(entry)) };
    let Ticket { generation, memory, view, landings, .. } = ticket;
    let cx = shared.common.context(entry.key());
    let step = look(cx, memory, view, shared.world.clock.now());
    let outcome = drive(step, &shared.world, |_| ()).await;
    guard.entry = None;
    let landed = shared.map.follow(entry, || entry.looked(generation, landings, outcome));
    tell(shared.common.observer.as_ref(), entry.key(), &landed.events);
}

struct Looking {
    entry: Option<Arc<Entry<Flight>>>,
}

impl Drop for Looking {
    fn drop(&mut self) {
        if let Some(entry) = &self.entry {
            entry.stop_looking();
        }
    }
}

/// Answers the waiters and frees the slot if the task is dropped before it lands.
#[derive(Debug)]
struct Guard {
    entry: Arc<Entry<Flight>>,
    flight: Option<Arc<Flight>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(flight) = &self.flight {
            self.entry.crashed(flight);
            flight.landing.send_replace(Some(Err(cut_off())));
        }
    }
}
