//! How long a token lives, by both clocks (rule 24).

use core::time::Duration;

use crate::claims::Peek;
use crate::policy::Policy;
use crate::time::{BootId, BootTime, Now, Timestamp};

/// Whether a token is handed out, refreshed, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "three verdicts decide everything")]
pub enum Freshness {
    /// Hand it out.
    Fresh,
    /// Inside the early window: refresh, and hand it out meanwhile or if that fails.
    Stale,
    /// Do not hand it out.
    Expired,
}

/// When a token was received and when it ends, by wall and by boot clock, whichever ends first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Life {
    /// When it came, by the wall clock.
    pub received_at: Timestamp,
    /// When it came, by the boot clock.
    pub received_boot: BootTime,
    /// Which boot that was.
    pub boot_id: BootId,
    /// When it ends, by the wall clock.
    pub ends_at: Timestamp,
    /// Its whole life, from which the windows are derived.
    pub total: Duration,
}

impl Life {
    /// The life of a token that a server just granted: the shorter of `expires_in` and
    /// `exp - iat`, counted from receipt; the absolute `exp` where nothing else exists; over at
    /// once where there is no readable end.
    pub(crate) fn granted(now: Now, peek: &Peek, expires_in: Option<Duration>) -> Self {
        let claimed = match (peek.expires_at, peek.issued_at) {
            (Some(exp), Some(iat)) => Some(exp.saturating_since(iat)),
            _ => None,
        };
        // A JWT whose `exp` is missing or broken is bounded by `expires_in` alone.
        let total = match (expires_in, claimed) {
            (Some(a), Some(b)) => a.min(b),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => {
                peek.expires_at.map_or(Duration::ZERO, |exp| exp.saturating_since(now.wall))
            }
        };
        Self::counted(now, total, now.wall.saturating_add(total))
    }

    /// The life of a token that came from elsewhere and may be old: its absolute `exp` stands, and
    /// `expires_in` counts only where there is none.
    pub(crate) fn imported(now: Now, peek: &Peek, expires_in: Option<Duration>) -> Self {
        let Some(exp) = peek.expires_at else {
            // A JWT without a readable `exp` does not live for ever.
            let total = expires_in.unwrap_or(Duration::ZERO);
            return Self::counted(now, total, now.wall.saturating_add(total));
        };
        let left = exp.saturating_since(now.wall);
        let total = peek.issued_at.map_or(left, |iat| exp.saturating_since(iat));
        // A token cannot outlive its whole life, however slow this machine's clock is.
        Self::counted(now, total, exp.min(now.wall.saturating_add(total)))
    }

    fn counted(now: Now, total: Duration, ends_at: Timestamp) -> Self {
        Self {
            received_at: now.wall,
            received_boot: now.boot,
            boot_id: now.boot_id,
            ends_at: ends_at.min(Timestamp::MAX),
            total,
        }
    }

    /// How much is left, by whichever clock ends first.
    #[must_use]
    pub fn left(&self, now: Now) -> Duration {
        // A wall clock that was set back lends no more than the whole life.
        let by_wall = self.ends_at.saturating_since(now.wall).min(self.total);
        if now.boot_id != self.boot_id {
            return by_wall;
        }
        let lasts = self.ends_at.saturating_since(self.received_at);
        by_wall.min(lasts.saturating_sub(now.boot.saturating_since(self.received_boot)))
    }

    /// How long before its end it is refreshed.
    #[must_use]
    pub fn window(&self, policy: &Policy) -> Duration {
        policy.early_window.min(self.total / 2)
    }

    /// How long before its end it is no longer handed out.
    #[must_use]
    pub fn margin(&self, policy: &Policy) -> Duration {
        policy.margin.min(self.total / 10)
    }

    /// The verdict now, without jitter.
    #[must_use]
    pub fn judge(&self, now: Now, policy: &Policy) -> Freshness {
        let left = self.left(now);
        if left <= self.margin(policy) {
            Freshness::Expired
        } else if left <= self.window(policy) || self.received_in_the_future(now) {
            Freshness::Stale
        } else {
            Freshness::Fresh
        }
    }

    /// A wall clock that was set back since, and no boot clock to say so: not fresh.
    pub(crate) fn received_in_the_future(&self, now: Now) -> bool {
        now.boot_id != self.boot_id
            && self.received_at > now.wall.saturating_add(Duration::from_secs(1))
    }

    /// The boot time at which it stops being fresh, `jitter` included.
    pub(crate) fn fresh_until(&self, now: Now, policy: &Policy, jitter: Duration) -> BootTime {
        if self.received_in_the_future(now) {
            return BootTime::PAST;
        }
        let early = self.window(policy).saturating_add(jitter).min(self.total / 2);
        // However short the window: what is no longer handed out is not fresh.
        deadline(now, self.left(now), early.max(self.margin(policy)))
    }

    /// The boot time at which it is no longer handed out.
    pub(crate) fn usable_until(&self, now: Now, policy: &Policy) -> BootTime {
        deadline(now, self.left(now), self.margin(policy))
    }
}

fn deadline(now: Now, left: Duration, early: Duration) -> BootTime {
    match left.checked_sub(early) {
        Some(rest) if !rest.is_zero() => now.boot.saturating_add(rest),
        _ => BootTime::PAST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: BootId = BootId::from_bytes([1; 16]);

    fn at(wall: i64, boot: u64) -> Now {
        Now {
            wall: Timestamp::from_unix_seconds(wall),
            boot: BootTime::from_millis(boot * 1000),
            boot_id: BOOT,
        }
    }

    fn jwt(iat: Option<i64>, exp: Option<i64>) -> Peek {
        Peek {
            is_jwt: true,
            expires_at: exp.map(Timestamp::from_unix_seconds),
            issued_at: iat.map(Timestamp::from_unix_seconds),
            ..Peek::default()
        }
    }

    fn secs(n: u64) -> Option<Duration> {
        Some(Duration::from_secs(n))
    }

    #[test]
    fn rule_24_a_granted_life_is_the_shorter_of_two_counted_from_receipt() {
        // The server's clock is a day behind: its `exp` lies in our past, the token lives.
        let now = at(1_000_000, 50);
        let life = Life::granted(now, &jwt(Some(900_000), Some(903_600)), secs(3600));
        assert_eq!(life.left(now), Duration::from_secs(3600));
        let life = Life::granted(now, &jwt(Some(0), Some(60)), secs(3600));
        assert_eq!(life.total, Duration::from_secs(60));
        let life = Life::granted(now, &jwt(Some(0), Some(3600)), secs(30));
        assert_eq!(life.total, Duration::from_secs(30));
    }

    #[test]
    fn rule_24_a_token_without_a_readable_end_is_expired_not_eternal() {
        let now = at(1_000_000, 50);
        let policy = Policy::default();
        for peek in [jwt(Some(1), None), jwt(None, None), Peek::default()] {
            assert_eq!(Life::granted(now, &peek, None).judge(now, &policy), Freshness::Expired);
            assert_eq!(Life::imported(now, &peek, None).judge(now, &policy), Freshness::Expired);
        }
        // The end before the beginning.
        let life = Life::granted(now, &jwt(Some(50), Some(10)), secs(3600));
        assert_eq!(life.judge(now, &policy), Freshness::Expired);
    }

    #[test]
    fn rule_24_an_imported_token_keeps_its_absolute_end() {
        let now = at(1_000_000, 50);
        let life = Life::imported(now, &jwt(Some(998_000), Some(1_001_600)), secs(3600));
        assert_eq!(life.left(now), Duration::from_secs(1600));
        assert_eq!(life.total, Duration::from_secs(3600));
        // This machine's clock is a year slow: still no more than its whole life.
        let slow = at(1_000, 50);
        let life = Life::imported(slow, &jwt(Some(998_000), Some(1_001_600)), None);
        assert_eq!(life.left(slow), Duration::from_secs(3600));
        // Opaque: only `expires_in` says anything.
        assert_eq!(Life::imported(now, &Peek::default(), secs(90)).left(now).as_secs(), 90);
    }

    #[test]
    fn rule_24_a_clock_that_jumps_back_never_makes_a_token_fresher() {
        let policy = Policy::default();
        let life = Life::granted(at(1_000_000, 100), &Peek::default(), secs(3600));
        // An hour has passed by the boot clock, the wall clock says none has.
        assert_eq!(life.judge(at(1_000_000, 3700), &policy), Freshness::Expired);
        // A jump forward ends it at once.
        assert_eq!(life.judge(at(1_003_600, 100), &policy), Freshness::Expired);
        // After a reboot there is only the wall clock, and it says "before receipt": not fresh.
        let rebooted = Now { boot_id: BootId::from_bytes([2; 16]), ..at(999_000, 5) };
        assert_eq!(life.judge(rebooted, &policy), Freshness::Stale);
        assert_eq!(life.fresh_until(rebooted, &policy, Duration::ZERO), BootTime::PAST);
    }

    #[test]
    fn rule_24_a_clock_set_back_across_a_boot_lends_no_second_life() {
        let policy = Policy::default();
        let life = Life::granted(at(1_000_000, 100), &Peek::default(), secs(3600));
        let five_days_back = Now { boot_id: BootId::from_bytes([2; 16]), ..at(568_000, 5) };
        assert_eq!(life.left(five_days_back), Duration::from_secs(3600));
        // Stale at once, and over one life later by the only clock that goes on.
        assert_eq!(life.judge(five_days_back, &policy), Freshness::Stale);
        let until = life.usable_until(five_days_back, &policy);
        assert_eq!(until.as_millis(), 5_000 + 3_595_000);
    }

    #[test]
    fn rule_24_windows_shrink_with_short_lives() {
        let policy = Policy::default();
        let now = at(1_000_000, 100);
        let verdict = |total: u64, passed: u64| {
            let life = Life::granted(now, &Peek::default(), secs(total));
            life.judge(at(1_000_000 + i64::try_from(passed).unwrap(), 100 + passed), &policy)
        };
        // total, last fresh second, first stale, last stale, first expired
        for (total, fresh, stale, last, dead) in
            [(3600, 3539, 3540, 3594, 3595), (60, 29, 30, 54, 55), (10, 4, 5, 8, 9)]
        {
            assert_eq!(verdict(total, fresh), Freshness::Fresh, "{total}");
            assert_eq!(verdict(total, stale), Freshness::Stale, "{total}");
            assert_eq!(verdict(total, last), Freshness::Stale, "{total}");
            assert_eq!(verdict(total, dead), Freshness::Expired, "{total}");
        }
    }

    #[test]
    fn deadlines_agree_with_the_verdict() {
        let policy = Policy::default();
        let now = at(1_000_000, 100);
        let life = Life::granted(now, &Peek::default(), secs(3600));
        assert_eq!(life.fresh_until(now, &policy, Duration::ZERO).as_millis(), 3_640_000);
        assert_eq!(life.usable_until(now, &policy).as_millis(), 3_695_000);
        // Jitter makes it earlier, never past half of the life.
        let jitter = Duration::from_secs(100_000);
        assert_eq!(life.fresh_until(now, &policy, jitter).as_millis(), 1_900_000);
    }

    #[test]
    fn absurd_times_do_not_panic() {
        let policy = Policy::default();
        for wall in [i64::MIN, -1, 0, i64::MAX] {
            for exp in [Some(i64::MIN), Some(i64::MAX), Some(0), None] {
                for expires_in in [None, Some(Duration::MAX), Some(Duration::ZERO)] {
                    let now = at(wall, 1);
                    for life in [
                        Life::granted(now, &jwt(exp, exp), expires_in),
                        Life::imported(now, &jwt(Some(5), exp), expires_in),
                    ] {
                        let _ = life.judge(at(0, u64::MAX / 1000), &policy);
                        let _ = life.fresh_until(now, &policy, Duration::MAX);
                    }
                }
            }
        }
    }

    #[test]
    fn rule_24_what_is_no_longer_handed_out_is_not_fresh_however_short_the_window() {
        let now = at(1000, 0);
        let life = Life::granted(now, &Peek::default(), Some(Duration::from_secs(3600)));
        for window in [0, 1, 4, 60] {
            let policy = Policy::default().with_early_window(Duration::from_secs(window));
            let usable = life.usable_until(now, &policy);
            assert_eq!(usable.as_millis(), 3_595_000);
            assert!(life.fresh_until(now, &policy, Duration::ZERO) <= usable, "{window}");
        }
    }
}
