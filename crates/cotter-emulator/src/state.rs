//! Everything the server knows, behind one lock that is never held across an await.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use core::time::Duration;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Config;
use crate::counters::Counters;
use crate::event::Events;
use crate::fault::Queue;
use crate::keys::{IdentityKey, KeyRing};
use crate::login::Logins;
use crate::tokens::Families;
use crate::users::Users;

/// The state proper.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) keys: KeyRing,
    pub(crate) identity: IdentityKey,
    pub(crate) users: Users,
    pub(crate) families: Families,
    pub(crate) logins: Logins,
    pub(crate) events: Events,
    pub(crate) counters: Counters,
    pub(crate) faults: Queue,
}

impl Core {
    /// What `handle` answers; all that it changed is put back.
    pub(crate) fn undone<T>(&mut self, handle: impl FnOnce(&mut Self) -> T) -> T {
        let users = self.users.clone();
        let families = self.families.clone();
        let logins = self.logins.clone();
        let events = self.events.clone();
        let counters = self.counters;
        let answer = handle(self);
        self.users = users;
        self.families = families;
        self.logins = logins;
        self.events = events;
        self.counters.undo(&counters);
        answer
    }
}

/// What handlers and the handle share.
#[derive(Debug)]
pub(crate) struct App {
    core: Mutex<Core>,
    initial: Config,
    origin: String,
    paused: watch::Sender<bool>,
    arrivals: watch::Sender<u64>,
    arrived: Condvar,
}

impl App {
    pub(crate) fn new(config: Config, origin: String) -> Self {
        let core = Core {
            keys: KeyRing::new(config.kid.clone()),
            config: config.clone(),
            clock: Clock::default(),
            identity: IdentityKey::new(),
            users: Users::default(),
            families: Families::default(),
            logins: Logins::default(),
            events: Events::default(),
            counters: Counters::default(),
            faults: Queue::default(),
        };
        Self {
            core: Mutex::new(core),
            initial: config,
            origin,
            paused: watch::Sender::new(false),
            arrivals: watch::Sender::new(0),
            arrived: Condvar::new(),
        }
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Users, families, codes, events, counters, faults, clock and switches as at the start; the
    /// keys stay.
    pub(crate) fn reset(&self) {
        let mut core = self.core();
        core.config = self.initial.clone();
        core.clock = Clock::default();
        core.users = Users::default();
        core.families.clear();
        core.logins = Logins::default();
        core.events = Events::default();
        core.counters = Counters::default();
        core.faults.clear();
        drop(core);
        self.arrivals.send_replace(0);
        self.pause(false);
    }

    /// Holds refresh requests after their arrival, or lets them go.
    pub(crate) fn pause(&self, hold: bool) {
        self.paused.send_replace(hold);
    }

    /// Waits until refresh requests may go on: never at once, so that those that are here together
    /// are counted together.
    pub(crate) async fn gate(&self) {
        let mut paused = self.paused.subscribe();
        // The sender lives in `self`, so this can't fail.
        let _ = paused.wait_for(|held| !*held).await;
        let hold = self.core().config.hold;
        if hold.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(hold).await;
        }
    }

    /// Notes that a refresh request for `presented` is here, until the guard goes.
    pub(crate) fn arrive(app: &Arc<Self>, presented: Option<&str>) -> InHand {
        let mut core = app.core();
        core.counters.refresh_requests += 1;
        let family = presented.and_then(|token| core.families.family_of(token));
        if let Some(id) = family {
            let most = core.families.enter(id);
            core.counters.max_in_flight = core.counters.max_in_flight.max(most);
        }
        let arrivals = core.counters.refresh_requests;
        drop(core);
        app.arrivals.send_replace(arrivals);
        app.arrived.notify_all();
        InHand { app: Arc::clone(app), family }
    }

    /// Blocks until `n` refresh requests have arrived since the start or the last reset.
    pub(crate) fn wait_for(&self, n: u64, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut core = self.core();
        while core.counters.refresh_requests < n {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.arrived.wait_timeout(core, left);
            core = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits without blocking until `n` refresh requests have arrived.
    pub(crate) async fn arrivals(&self, n: u64) {
        let mut arrivals = self.arrivals.subscribe();
        let _ = arrivals.wait_for(|count| *count >= n).await;
    }
}

/// A refresh request in hand: it goes with the body of the answer, once that is written.
#[derive(Debug)]
pub(crate) struct InHand {
    app: Arc<App>,
    family: Option<u64>,
}

impl Drop for InHand {
    fn drop(&mut self) {
        if let Some(id) = self.family {
            self.app.core().families.leave(id);
        }
    }
}
