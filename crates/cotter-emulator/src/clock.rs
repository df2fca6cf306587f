//! The server's clock: the system's, moved by an offset on request.

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

/// Go's zero time in Unix seconds: what Cotter puts into `auth_time` when it knows none.
pub(crate) const GO_ZERO: i64 = -62_135_596_800;

/// How a record that was never deleted says so.
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

/// A wall clock with an offset.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_s: i64,
}

impl Clock {
    pub(crate) const fn set_offset(&mut self, seconds: i64) {
        self.offset_s = seconds;
    }

    pub(crate) const fn offset(&self) -> i64 {
        self.offset_s
    }

    /// Unix time in milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        millis(real).saturating_add(self.offset_s.saturating_mul(1000))
    }

    /// Unix time in whole seconds.
    pub(crate) fn now_s(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// The value of the `Date` header.
    pub(crate) fn http_date(&self) -> String {
        // The header has four digits for the year and knows nothing before 1970.
        let ms = u64::try_from(self.now_ms()).unwrap_or(0).min(253_402_300_799_000);
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(ms))
    }
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A duration in seconds, rounded up: `exp` is a whole number.
pub(crate) fn seconds(duration: Duration) -> i64 {
    let up = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    i64::try_from(up).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(ms: i64) -> String {
    let (days, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (h, m) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (s, f) = (in_day / 1000 % 60, in_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{f:03}Z")
}

/// The Gregorian date of a day counted from 1970-01-01.
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let doe = shifted.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::{Clock, rfc3339, seconds};
    use core::time::Duration;

    #[test]
    fn dates_are_gregorian() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_767_225_600_042), "2026-01-01T00:00:00.042Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn part_of_a_second_counts_as_one() {
        assert_eq!(seconds(Duration::from_millis(500)), 1);
        assert_eq!(seconds(Duration::from_secs(2)), 2);
        assert_eq!(seconds(Duration::ZERO), 0);
    }

    #[test]
    fn offset_moves_the_clock() {
        let mut clock = Clock::default();
        let before = clock.now_s();
        clock.set_offset(-1_000_000);
        assert!((clock.now_s() + 1_000_000 - before).abs() <= 1);
    }
}
