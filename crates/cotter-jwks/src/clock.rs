//! The one place that reads the machine's clocks.

use core::time::Duration;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cotter_core::{BootId, BootTime, Clock, Now, Timestamp};

/// Wall time, and the time since this process first asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StdClock;

impl Clock for StdClock {
    fn now(&self) -> Now {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp::EPOCH.saturating_add(since),
            Err(before) => Timestamp::EPOCH.saturating_sub(before.duration()),
        };
        Now { wall, boot: self.boot(), boot_id: BootId::from_bytes([0; 16]) }
    }

    fn boot(&self) -> BootTime {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        let since: Duration = FIRST.get_or_init(Instant::now).elapsed();
        BootTime::PAST.saturating_add(since).saturating_add(Duration::from_millis(1))
    }
}
