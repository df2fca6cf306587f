//! The one place that reads the machine's clocks.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cotter_core::{BootId, BootTime, Clock, Entropy, Now, Timestamp};

use crate::entropy::OsEntropy;

/// The machine's own clocks: wall time, and boot time that counts suspend where the platform tells
/// it (Linux); elsewhere the time since this process first asked, under a boot id of its own.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clocks.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now { wall: wall(), boot: boot(), boot_id: boot_id() }
    }

    #[cfg(target_os = "linux")]
    fn boot(&self) -> BootTime {
        coarse::boot()
    }

    #[cfg(not(target_os = "linux"))]
    fn boot(&self) -> BootTime {
        boot()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn wall() -> Timestamp {
    let now = SystemTime::now();
    let millis = match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    Timestamp::from_unix_millis(millis)
}

#[cfg(target_os = "linux")]
fn boot() -> BootTime {
    BootTime::from_millis(millis(rustix::time::ClockId::Boottime))
}

#[cfg(target_os = "linux")]
fn millis(clock: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(millis)
}

#[cfg(not(target_os = "linux"))]
fn boot() -> BootTime {
    since_first_asked()
}

/// The boot clock for the path of a fresh token, to a few milliseconds and at a third of the price.
///
/// There is no coarse boot clock. There are a coarse monotonic one, which stands still in suspend, and a
/// coarse wall clock, which does not: as long as the two run together there was no suspend, and the boot
/// clock is as far ahead of the monotonic one as it was. When they part, it is read.
#[cfg(target_os = "linux")]
mod coarse {
    use core::cell::Cell;

    use cotter_core::BootTime;
    use rustix::time::ClockId;

    use super::millis;

    /// How far the two clocks may part, slewed as they may be, before the boot clock is read; in ms.
    const APART: u64 = 500;

    thread_local! {
        /// How far the wall clock, and how far the boot clock, is ahead of the monotonic one.
        static AHEAD: Cell<(u64, u64)> = const { Cell::new((u64::MAX, 0)) };
    }

    pub(super) fn boot() -> BootTime {
        let monotonic = millis(ClockId::MonotonicCoarse);
        let wall = millis(ClockId::RealtimeCoarse).wrapping_sub(monotonic);
        let (wall_then, boot) = AHEAD.get();
        if wall.abs_diff(wall_then) <= APART {
            return BootTime::from_millis(monotonic.wrapping_add(boot));
        }
        let precise = millis(ClockId::Boottime);
        AHEAD.set((wall, precise.wrapping_sub(monotonic)));
        BootTime::from_millis(precise)
    }
}

/// A clock that starts with the process; an hour ahead, so that "a while ago" can be said.
#[cfg_attr(target_os = "linux", allow(dead_code))]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn since_first_asked() -> BootTime {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(Instant::now);
    BootTime::from_millis(3_600_000).saturating_add(first.elapsed())
}

fn boot_id() -> BootId {
    static ID: OnceLock<BootId> = OnceLock::new();
    *ID.get_or_init(|| kernels_boot_id().unwrap_or_else(own_boot_id))
}

/// The kernel's name for this run of the machine.
fn kernels_boot_id() -> Option<BootId> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (digits.len() == 32).then(|| BootId::from_bytes(id))
}

/// A name that no other process shares, so that nobody else reads our boot times.
fn own_boot_id() -> BootId {
    let mut id = [0; 16];
    if OsEntropy::new().fill(&mut id).is_err() {
        let pid = u64::from(std::process::id());
        let nanos = u64::try_from(wall().as_unix_millis()).unwrap_or(0);
        id[..8].copy_from_slice(&pid.to_be_bytes());
        id[8..].copy_from_slice(&nanos.to_be_bytes());
    }
    BootId::from_bytes(id)
}

/// Waits that a thread makes for another; the deadline is on the condition variable's own clock.
#[cfg(feature = "blocking")]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn deadline(after: core::time::Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after).unwrap_or_else(|| now + core::time::Duration::from_secs(86_400))
}

/// The same for a task, on tokio's clock.
#[cfg(feature = "async")]
pub(crate) fn task_deadline(after: core::time::Duration) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    now.checked_add(after).unwrap_or_else(|| now + core::time::Duration::from_secs(86_400))
}

/// How long until `deadline`; zero if it has passed.
#[cfg(feature = "blocking")]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn until(deadline: Instant) -> core::time::Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_run_and_name_their_boot() {
        let clock = SystemClock::new();
        let (a, b) = (clock.now(), clock.now());
        assert!(a.wall.is_plausible());
        assert!(b.boot >= a.boot);
        assert_eq!(a.boot_id, b.boot_id);
        assert_ne!(a.boot_id, BootId::from_bytes([0; 16]));
        assert!(since_first_asked() <= since_first_asked());
    }

    #[test]
    fn the_quick_boot_clock_is_the_boot_clock_to_a_few_milliseconds() {
        let clock = SystemClock::new();
        for _ in 0..50 {
            let (before, quick, after) = (clock.now().boot, clock.boot(), clock.now().boot);
            let slack = core::time::Duration::from_millis(50);
            assert!(before <= quick.saturating_add(slack) && quick <= after.saturating_add(slack));
            std::thread::sleep(core::time::Duration::from_millis(3));
        }
    }
}
