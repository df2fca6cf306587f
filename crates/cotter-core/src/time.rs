//! Time as values: core is told what time it is and never asks.

use core::time::Duration;

/// A moment of wall time, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Arithmetic saturates; no value panics.
///
/// ```
/// use core::time::Duration;
/// use cotter_core::Timestamp;
///
/// let issued = Timestamp::from_unix_seconds(1_767_225_600);
/// assert_eq!(issued.saturating_add(Duration::from_secs(60)).as_unix_seconds(), 1_767_225_660);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first moment of 1970.
    pub const EPOCH: Self = Self(0);
    /// The last second of the year 9999; what lies beyond is no date that anybody means.
    pub const MAX: Self = Self(253_402_300_799_000);

    /// The moment that lies `seconds` after (or, negative, before) 1970.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The moment that lies `millis` milliseconds after (or before) 1970.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn as_unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_unix_millis(self) -> i64 {
        self.0
    }

    /// This moment and `span` later.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis_i64(span)))
    }

    /// This moment and `span` earlier.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis_i64(span)))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Whether this is a date between 1970 and 9999, the only ones that a token can have.
    #[must_use]
    pub fn is_plausible(self) -> bool {
        (Self::EPOCH..=Self::MAX).contains(&self)
    }
}

fn millis_i64(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A moment on the boot clock, in milliseconds since the machine started; it counts suspend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(u64);

impl BootTime {
    /// A moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);
    /// The moment of boot: a deadline that has always passed.
    pub const PAST: Self = Self(0);

    /// The moment `millis` milliseconds after boot.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since boot.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This moment and `span` later.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis_u64(span)))
    }

    /// This moment and `span` earlier.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis_u64(span)))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn millis_u64(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Names one run of the machine, so that a stored boot time is not read under another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BootId([u8; 16]);

impl BootId {
    /// The name of no boot: a time under it is read by nobody.
    pub(crate) const UNKNOWN: Self = Self([0; 16]);

    /// A boot id from its bytes: the kernel's, or random bytes drawn once per process.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What time it is, by both clocks, read once for each answer that a driver gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "two clocks and the boot's name are all there is")]
pub struct Now {
    /// Wall time; may jump.
    pub wall: Timestamp,
    /// Boot time; only moves forward, and counts suspend.
    pub boot: BootTime,
    /// Which boot `boot` belongs to.
    pub boot_id: BootId,
}

/// Tells the time to a driver.
///
/// Implement it to run sessions on a clock of your own; tests use a manual one.
///
/// ```
/// use cotter_core::{BootId, BootTime, Clock, Now, Timestamp};
///
/// /// Stands still.
/// #[derive(Debug)]
/// struct Noon;
///
/// impl Clock for Noon {
///     fn now(&self) -> Now {
///         Now {
///             wall: Timestamp::from_unix_seconds(1_767_268_800),
///             boot: BootTime::from_millis(0),
///             boot_id: BootId::from_bytes([0; 16]),
///         }
///     }
/// }
/// assert_eq!(Noon.now().wall.as_unix_seconds(), 1_767_268_800);
/// ```
pub trait Clock: Send + Sync + core::fmt::Debug {
    /// Both clocks.
    fn now(&self) -> Now;

    /// The boot clock alone; the only thing that the path of a fresh token reads.
    fn boot(&self) -> BootTime {
        self.now().boot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_spans_saturate_instead_of_panicking() {
        let far = Timestamp::from_unix_seconds(i64::MAX);
        assert_eq!(far.as_unix_millis(), i64::MAX);
        assert_eq!(far.saturating_add(Duration::MAX).as_unix_millis(), i64::MAX);
        let early = Timestamp::from_unix_seconds(i64::MIN);
        assert_eq!(early.saturating_sub(Duration::MAX).as_unix_millis(), i64::MIN);
        assert_eq!(early.saturating_since(far), Duration::ZERO);
        assert_eq!(BootTime::NEVER.saturating_add(Duration::from_secs(1)), BootTime::NEVER);
    }

    #[test]
    fn only_dates_between_1970_and_9999_are_plausible() {
        assert!(Timestamp::EPOCH.is_plausible());
        assert!(Timestamp::MAX.is_plausible());
        assert!(!Timestamp::from_unix_seconds(-1).is_plausible());
        assert!(!Timestamp::from_unix_seconds(253_402_300_800).is_plausible());
    }
}
