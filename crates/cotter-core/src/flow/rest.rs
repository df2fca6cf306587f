//! How long a refresh token that may be spent rests before it is presented again (rules 2, 10 and 11).

use alloc::boxed::Box;
use core::time::Duration;

use super::Outcome;
use super::acquire::{Flight, Pause, Seen};
use crate::error::Error;
use crate::provider::Rotation;
use crate::record::Journal;
use crate::step::Step;
use crate::store::Swap;
use crate::time::Now;

impl Flight {
    pub(super) fn still_uncertain(&self, wait: Duration, next: &str) -> Error {
        Error::unavailable(
            alloc::format!(
                "an earlier refresh was cut off and its refresh token may be spent; {next}"
            ),
            Some(wait.max(self.cx.policy.backoff_first)),
            true,
        )
    }

    /// Within a declared grace: how long the identical request may still be sent (rule 11).
    pub(super) fn grace_left(&self, journal: &Journal, now: Now) -> Option<Duration> {
        let Rotation::Grace(grace) = self.cx.provider.rotation() else { return None };
        if journal.boot_id != now.boot_id || journal.boot > now.boot {
            return None;
        }
        let margin = (grace / 10).min(Duration::from_secs(2));
        let elapsed = now.boot.saturating_since(journal.boot);
        grace.checked_sub(margin)?.checked_sub(elapsed).filter(|left| !left.is_zero())
    }

    /// How long a token that may be spent has to rest before it is presented again (rule 10).
    pub(super) fn uncertain_wait(&self, journal: &Journal, now: Now) -> Duration {
        let rest = self.cx.policy.send_budget.max(self.cx.policy.backoff(journal.attempt));
        let passed = if journal.boot_id == now.boot_id {
            now.boot.saturating_since(journal.boot)
        } else {
            now.wall.saturating_since(journal.attempted_at)
        };
        rest.saturating_sub(passed)
    }

    pub(super) fn wait_out_journal(
        mut self: Box<Self>,
        now: Now,
        mut seen: Box<Seen>,
    ) -> Step<Outcome> {
        let journal = seen.record.journal.filter(|_| self.cx.rotates(&seen.record));
        let Some(journal) = journal else { return self.write_journal(now, seen) };
        if journal.is_of_the_future(now) {
            // A time in the future counts as now; it is written down, or it would for ever.
            seen.record.journal = Some(journal.of_unknown_boot(now));
            return self.save(seen, |flight, now, seen, answer| match answer {
                Ok(Swap::Done) => flight.wait_out_journal(now, seen),
                Ok(Swap::Conflict { .. }) => flight.start_over(now),
                Err(error) => flight.store_failed(now, error),
            });
        }
        let rest = match self.grace_left(&journal, now) {
            Some(_) => Duration::ZERO,
            None => self.uncertain_wait(&journal, now),
        };
        let lapsed = self.lease.as_mut().is_some_and(|lease| core::mem::take(&mut lease.lapsed));
        // Rule 2: the holder who let the lease lapse may still be sending.
        let wait = if lapsed { rest.max(self.send_budget()) } else { rest };
        if wait.is_zero() {
            return self.write_journal(now, seen);
        }
        // Who took a lapsed lease over waits however long that is, if this flight has the time.
        let too_long = !lapsed && rest > self.cx.policy.rest_wait;
        if too_long || wait.saturating_add(self.send_budget()) > self.budget_left(now) {
            let next = "it has to rest before it is tried again";
            if !lapsed || self.grace_left(&journal, now).is_some() {
                let error = self.still_uncertain(wait, next);
                return self.fail(now, error, Pause::AtLeast(wait));
            }
            // Rule 2 binds whoever comes next as well, who gets a lease that nobody let lapse.
            let note = journal.of_unknown_boot(now);
            let wait = self.uncertain_wait(&note, now);
            let error = self.still_uncertain(wait, next);
            seen.record.journal = Some(note);
            return self.save(seen, move |mut flight, now, _, answer| {
                if matches!(answer, Ok(Swap::Conflict { .. })) {
                    if let Some(lease) = &mut flight.lease {
                        lease.lapsed = true;
                    }
                    return flight.start_over(now);
                }
                flight.fail(now, error, Pause::AtLeast(wait))
            });
        }
        self.sleep(wait, |flight, _| flight.load(Self::after_lease))
    }
}
