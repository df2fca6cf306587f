//! Time that moves when the test moves it.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cotter_core::{BootId, BootTime, Clock, Now, Timestamp};

/// A clock that the test moves by hand; a clone is another handle to it.
///
/// It begins on 2026-01-01, one hour after boot.
///
/// ```
/// use core::time::Duration;
/// use cotter_core::Clock;
/// use cotter_testkit::ManualClock;
///
/// let clock = ManualClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// clock.step_wall(-3600);
///
/// let after = clock.now();
/// assert_eq!(after.boot.saturating_since(before.boot), Duration::from_secs(60));
/// assert_eq!(after.wall.as_unix_seconds(), before.wall.as_unix_seconds() + 60 - 3600);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    now: Now,
    boots: u128,
}

impl ManualClock {
    /// A clock at its beginning.
    #[must_use]
    pub fn new() -> Self {
        let now = Now {
            wall: Timestamp::from_unix_seconds(1_767_225_600),
            boot: BootTime::from_millis(3_600_000),
            boot_id: boot_id(1),
        };
        Self(Arc::new(Mutex::new(State { now, boots: 1 })))
    }

    /// Time passes: both clocks move on.
    pub fn advance(&self, span: Duration) {
        let mut state = self.state();
        state.now.wall = state.now.wall.saturating_add(span);
        state.now.boot = state.now.boot.saturating_add(span);
    }

    /// Only the boot clock moves on, as if the wall clock stood.
    pub fn advance_boot(&self, span: Duration) {
        let mut state = self.state();
        state.now.boot = state.now.boot.saturating_add(span);
    }

    /// Somebody sets the wall clock forward by `seconds`, or, negative, back.
    pub fn step_wall(&self, seconds: i64) {
        let mut state = self.state();
        let span = Duration::from_secs(seconds.unsigned_abs());
        state.now.wall = if seconds < 0 {
            state.now.wall.saturating_sub(span)
        } else {
            state.now.wall.saturating_add(span)
        };
    }

    /// Somebody sets the wall clock.
    pub fn set_wall(&self, wall: Timestamp) {
        self.state().now.wall = wall;
    }

    /// Sets the boot clock, back too, which no real one does.
    pub fn set_boot(&self, boot: BootTime) {
        self.state().now.boot = boot;
    }

    /// The machine sleeps for `span`; both clocks count that.
    pub fn suspend(&self, span: Duration) {
        self.advance(span);
    }

    /// The machine starts anew: another boot id, and the boot clock one second after its beginning.
    /// The wall clock goes on; [`advance`](Self::advance) it by the time that this took.
    pub fn reboot(&self) {
        let mut state = self.state();
        state.boots += 1;
        state.now.boot_id = boot_id(state.boots);
        state.now.boot = BootTime::from_millis(1000);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        self.state().now
    }
}

const fn boot_id(count: u128) -> BootId {
    BootId::from_bytes(count.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_the_same_clock() {
        let clock = ManualClock::new();
        let other = clock.clone();
        clock.suspend(Duration::from_secs(5));
        assert_eq!(other.now(), clock.now());
    }

    #[test]
    fn a_reboot_changes_the_boot_id_and_sets_the_boot_clock_back() {
        let clock = ManualClock::new();
        let before = clock.now();
        clock.reboot();
        let after = clock.now();
        assert_ne!(after.boot_id, before.boot_id);
        assert!(after.boot < before.boot);
        assert_eq!(after.wall, before.wall);
    }

    #[test]
    fn either_clock_can_be_moved_alone() {
        let clock = ManualClock::new();
        let before = clock.now();
        clock.advance_boot(Duration::from_secs(1));
        assert_eq!(clock.now().wall, before.wall);
        clock.set_wall(Timestamp::EPOCH);
        clock.set_boot(BootTime::PAST);
        assert_eq!((clock.now().wall, clock.now().boot), (Timestamp::EPOCH, BootTime::PAST));
    }
}
