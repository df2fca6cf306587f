//! The numbers that a session goes by, all in one place.

use core::time::Duration;

use crate::error::Error;

/// The windows, budgets and back-offs of a session.
///
/// ```
/// use core::time::Duration;
/// use cotter_core::Policy;
///
/// let policy = Policy::default().with_early_window(Duration::from_secs(120));
/// assert_eq!(policy.send_budget, Duration::from_secs(10));
/// assert_eq!(policy.flight_budget, Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// How long before its end a token is refreshed; 60 s, never more than half its life.
    pub early_window: Duration,
    /// How long before its end a token is no longer handed out; 5 s, never more than a tenth of
    /// its life.
    pub margin: Duration,
    /// What one exchange may take, connecting included; 10 s.
    pub send_budget: Duration,
    /// What a whole flight may take, waiting included; 30 s. Who waits longer than this allows for
    /// another process's lease makes one attempt more and no other.
    pub flight_budget: Duration,
    /// How long to wait for another process's lease; 20 s, which leaves a send budget of the flight's.
    pub lock_wait: Duration,
    /// How long a flight waits until a refresh token that may be spent has rested enough to be
    /// presented again; if more is left, it ends at once and says how much. No limit by default but
    /// the flight's budget.
    pub rest_wait: Duration,
    /// How long a lease that lapses by itself is asked for; 60 s.
    pub lease_ttl: Duration,
    /// How long one call of a store is waited for; 5 s. In a store whose calls block, that includes the time
    /// behind others in its queue.
    pub store_deadline: Duration,
    /// On a store that others share: how old a snapshot may be before somebody looks again; 5 s.
    pub look_again: Duration,
    /// The first pause after a failure; doubles; 1 s.
    pub backoff_first: Duration,
    /// The longest pause after failures; 60 s.
    pub backoff_most: Duration,
    /// How long a refusal is remembered at first; doubles; 1 h.
    pub refusal_first: Duration,
    /// How long a refusal is remembered at most; 24 h.
    pub refusal_most: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            early_window: Duration::from_secs(60),
            margin: Duration::from_secs(5),
            send_budget: Duration::from_secs(10),
            flight_budget: Duration::from_secs(30),
            lock_wait: Duration::from_secs(20),
            rest_wait: Duration::MAX,
            lease_ttl: Duration::from_secs(60),
            store_deadline: Duration::from_secs(5),
            look_again: Duration::from_secs(5),
            backoff_first: Duration::from_secs(1),
            backoff_most: Duration::from_secs(60),
            refusal_first: Duration::from_secs(3600),
            refusal_most: Duration::from_secs(24 * 3600),
        }
    }
}

impl Policy {
    /// How long before its end a token is refreshed.
    #[must_use]
    pub const fn with_early_window(mut self, window: Duration) -> Self {
        self.early_window = window;
        self
    }

    /// What one exchange may take.
    #[must_use]
    pub const fn with_send_budget(mut self, budget: Duration) -> Self {
        self.send_budget = budget;
        self
    }

    /// What a whole flight may take.
    #[must_use]
    pub const fn with_flight_budget(mut self, budget: Duration) -> Self {
        self.flight_budget = budget;
        self
    }

    /// How long to wait for another process's lease.
    #[must_use]
    pub const fn with_lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// How long a flight waits for a token that has to rest.
    #[must_use]
    pub const fn with_rest_wait(mut self, wait: Duration) -> Self {
        self.rest_wait = wait;
        self
    }

    /// How long a lease that lapses is asked for.
    #[must_use]
    pub const fn with_lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = ttl;
        self
    }

    /// What one call of a store may take.
    #[must_use]
    pub const fn with_store_deadline(mut self, deadline: Duration) -> Self {
        self.store_deadline = deadline;
        self
    }

    /// How old a snapshot of a shared store may be.
    #[must_use]
    pub const fn with_look_again(mut self, interval: Duration) -> Self {
        self.look_again = interval;
        self
    }

    /// The pauses after failures: the first, and the most that doubling leads to.
    #[must_use]
    pub const fn with_backoff(mut self, first: Duration, most: Duration) -> Self {
        self.backoff_first = first;
        self.backoff_most = most;
        self
    }

    /// Whether the numbers fit together.
    ///
    /// # Errors
    /// `Config` if a flight could outlast a lease, or an exchange a flight.
    pub fn validate(&self) -> Result<(), Error> {
        if self.flight_budget >= self.lease_ttl {
            return Err(Error::config("the flight budget must be below the lease's time to live"));
        }
        if self.send_budget.is_zero() || self.send_budget > self.flight_budget {
            return Err(Error::config(
                "the send budget must be positive and fit the flight budget",
            ));
        }
        Ok(())
    }

    /// What a flight takes at most: its budget, or the wait for a lease and one exchange after it.
    #[must_use]
    pub fn longest_flight(&self) -> Duration {
        self.flight_budget.max(self.lock_wait.saturating_add(self.send_budget))
    }

    /// The pause after this many failures in a row.
    #[must_use]
    pub fn backoff(&self, failures: u32) -> Duration {
        doubled(self.backoff_first, failures, self.backoff_most)
    }

    /// How long the nth refusal of one token is remembered.
    #[must_use]
    pub fn refusal(&self, earlier: u32) -> Duration {
        doubled(self.refusal_first, earlier.saturating_add(1), self.refusal_most)
    }
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    let factor = 1u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(most)
}

/// A few dice, thrown from a seed that the driver drew: jitter as an input.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A span from zero up to (not including) `most`; splitmix64, which is enough for jitter.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(z.checked_rem(millis).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let policy = Policy::default();
        let pauses: alloc::vec::Vec<u64> = (0..9).map(|n| policy.backoff(n).as_secs()).collect();
        assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(policy.backoff(u32::MAX), Duration::from_secs(60));
        assert_eq!(policy.refusal(0).as_secs(), 3600);
        assert_eq!(policy.refusal(1).as_secs(), 7200);
        assert_eq!(policy.refusal(50).as_secs(), 86_400);
    }

    #[test]
    fn numbers_that_do_not_fit_together_are_a_config_error() {
        assert!(Policy::default().validate().is_ok());
        assert!(Policy::default().with_flight_budget(Duration::from_secs(60)).validate().is_err());
        assert!(Policy::default().with_send_budget(Duration::from_secs(31)).validate().is_err());
        assert!(Policy::default().with_send_budget(Duration::ZERO).validate().is_err());
    }

    #[test]
    fn dice_stay_below_their_bound_and_repeat_with_their_seed() {
        let mut a = Dice::new(7);
        let mut b = Dice::new(7);
        for _ in 0..1000 {
            let thrown = a.up_to(Duration::from_millis(50));
            assert!(thrown < Duration::from_millis(50));
            assert_eq!(thrown, b.up_to(Duration::from_millis(50)));
        }
        assert_eq!(a.up_to(Duration::ZERO), Duration::ZERO);
    }
}
