//! Spending the refresh token: note it, send it once, and classify whatever comes back.

use alloc::boxed::Box;
use alloc::string::ToString;
use core::time::Duration;

use http::Response;

use super::Outcome;
use super::acquire::{Flight, Pause, Seen};
use crate::error::{Error, ServerSaid, SignInReason};
use crate::event::Event;
use crate::provider::Rotation;
use crate::record::{Fingerprint, Journal, Record, Refusal};
use crate::revision::Revision;
use crate::secret::SecretBytes;
use crate::step::{Ask, Save, Send, Step};
use crate::store::{Expected, Loaded, StoreError, Swap};
use crate::time::{BootTime, Now};
use crate::transport::{Sent, TransportError};
use crate::wire::Answer;

/// What a save after the exchange needs of a lease that lapses.
const SAVE_SHARE: Duration = Duration::from_secs(5);

/// How often a request that certainly was not sent is tried again.
const RETRIES_UNSENT: u32 = 1;

/// How often a request that was answered unspent is tried again.
const RETRIES_BUSY: u32 = 2;

impl Flight {
    /// Writes "this token is being spent" before it is, which also shows that the store can write.
    pub(super) fn write_journal(self: Box<Self>, now: Now, mut seen: Box<Seen>) -> Step<Outcome> {
        // Whether the server can be reached is about to be found out anew.
        seen.record.unreachable = None;
        if self.in_grace(&seen, now) {
            let pending = seen.record.journal;
            return self.send(now, seen, pending);
        }
        // Other processes are to know as well that a resource server refused it.
        let access = seen.record.access.as_ref();
        let current = access.map(|access| Fingerprint::of(access.token.expose()));
        let rejected = if current.is_some() && current == self.memory.rejected {
            current
        } else {
            seen.record.rejected
        };
        let mark = rejected != seen.record.rejected;
        let rotates = self.cx.rotates(&seen.record);
        if !rotates && !mark {
            return self.send(now, seen, None);
        }
        let pending = seen.record.journal;
        seen.record.rejected = rejected;
        if rotates {
            let attempt = pending.map_or(0, |journal| journal.attempt);
            seen.record.journal = Some(Journal {
                attempted_at: now.wall,
                boot: now.boot,
                boot_id: now.boot_id,
                attempt: attempt.saturating_add(1),
            });
        }
        self.save(seen, move |mut flight, now, seen, answer| match answer {
            Ok(Swap::Done) => {
                flight.compare_rejection(&seen.record);
                flight.send(now, seen, pending)
            }
            Ok(Swap::Conflict { .. }) => flight.start_over(now),
            Err(error) if error.is_uncertain() => flight.was_journaled(seen, pending, error),
            Err(error) => flight.store_failed(now, error),
        })
    }

    /// Saves `seen` under the revision after its own; `then` gets it with the new one.
    pub(super) fn save(
        self: Box<Self>,
        mut seen: Box<Seen>,
        then: impl FnOnce(Box<Self>, Now, Box<Seen>, Result<Swap, StoreError>) -> Step<Outcome>
        + core::marker::Send
        + 'static,
    ) -> Step<Outcome> {
        let expected = Expected::Revision(seen.revision);
        let new = seen.revision.next();
        let question =
            Save { key: self.cx.key.clone(), record: seen.record.encode(), expected, new };
        Step::Save(Ask::new(question, move |now, answer| {
            if matches!(answer, Ok(Swap::Done)) {
                seen.revision = new;
            }
            then(self, now, seen, answer)
        }))
    }

    /// The record changed under this flight: look at it anew.
    pub(super) fn start_over(mut self: Box<Self>, now: Now) -> Step<Outcome> {
        if self.another_round() {
            self.load(Self::after_lease)
        } else {
            self.changing_too_fast(now)
        }
    }

    /// The journal's write was cut off; only if it stands there is the token spent.
    fn was_journaled(
        mut self: Box<Self>,
        mut seen: Box<Seen>,
        pending: Option<Journal>,
        error: StoreError,
    ) -> Step<Outcome> {
        let new = seen.revision.next();
        Step::Load(Ask::new(
            self.cx.key.clone(),
            move |now, answer: Result<Option<Loaded>, StoreError>| match answer {
                Ok(Some(loaded)) if loaded.revision == new => {
                    seen.revision = new;
                    self.compare_rejection(&seen.record);
                    self.send(now, seen, pending)
                }
                Ok(Some(_) | None) | Err(_) => self.store_failed(now, error),
            },
        ))
    }

    /// Sends the refresh token; `pending` notes that it may have been spent before.
    pub(super) fn send(
        self: Box<Self>,
        now: Now,
        seen: Box<Seen>,
        pending: Option<Journal>,
    ) -> Step<Outcome> {
        let Some(refresh) = &seen.record.refresh else {
            return self.fail(
                now,
                Error::sign_in_required(SignInReason::NoRefreshToken),
                Pause::None,
            );
        };
        let request = self.cx.provider.refresh_request(refresh);
        let question = Send { request, not_after: self.not_after(now, &seen.record) };
        Step::Send(Ask::new(question, move |now, reply| self.replied(now, seen, pending, reply)))
    }

    /// The end of the send budget, of the flight, of the lease less the save's share, and of the
    /// grace, whichever comes first.
    fn not_after(&self, now: Now, record: &Record) -> BootTime {
        // Who waited long for a lease still gets one whole send budget.
        let end = self.started.saturating_add(self.cx.policy.longest_flight());
        let end = self.save_by(end.min(now.boot.saturating_add(self.send_budget())));
        match record.journal.as_ref().and_then(|journal| self.grace_left(journal, now)) {
            Some(left) => end.min(now.boot.saturating_add(left)),
            None => end,
        }
    }

    fn in_grace(&self, seen: &Seen, now: Now) -> bool {
        seen.record.journal.as_ref().is_some_and(|journal| self.grace_left(journal, now).is_some())
    }

    /// Sends the same request again after a pause. What may be spent goes out only while the grace
    /// lasts (rule 11); past it, the flight ends with `error` and the note stays.
    fn send_again(
        mut self: Box<Self>,
        pause: Duration,
        seen: Box<Seen>,
        pending: Option<Journal>,
        error: Error,
    ) -> Step<Outcome> {
        self.tries = self.tries.saturating_add(1);
        let has_grace = matches!(self.cx.provider.rotation(), Rotation::Grace(_));
        self.sleep(pause, move |flight, now| {
            if pending.is_some() && has_grace && !flight.in_grace(&seen, now) {
                return flight.stays_uncertain(now, error);
            }
            flight.send(now, seen, pending)
        })
    }

    /// `end`, or the last moment at which a lease that lapses still leaves time for a save.
    pub(super) fn save_by(&self, end: BootTime) -> BootTime {
        let Some(lasts) = self.lease.as_ref().and_then(|lease| lease.ends_in) else { return end };
        let share = SAVE_SHARE.min(lasts / 4);
        end.min(self.leased_at.saturating_add(lasts).saturating_sub(share))
    }

    fn replied(
        self: Box<Self>,
        now: Now,
        seen: Box<Seen>,
        pending: Option<Journal>,
        reply: Result<Response<SecretBytes>, TransportError>,
    ) -> Step<Outcome> {
        let response = match reply {
            Ok(response) => response,
            Err(error) if error.sent() == Sent::No => {
                return self.unsent(now, seen, pending, error);
            }
            Err(error) => {
                let failure = Error::unavailable("the answer of the server was lost", None, true);
                return self.uncertain(now, seen, failure.with_transport(error));
            }
        };
        match self.cx.provider.judge_at(&response, &seen.record.secrets(), Some(now.wall)) {
            Answer::Granted(set) => self.granted(now, seen, *set),
            Answer::Refused(said) => self.refused(now, seen, pending, said),
            Answer::Misconfigured(said) => {
                let error = Error::config(
                    "the server rejected the request, not the refresh token; \
                     check the API key, the address and the network in between",
                );
                self.unspent(now, seen, pending, error.with_server(said), Pause::Own)
            }
            Answer::Busy { said, retry_after } => self.busy(now, seen, pending, said, retry_after),
            Answer::Uncertain { said, retry_after } => {
                let error = Error::unavailable(
                    "the server failed and may have spent the refresh token",
                    retry_after,
                    true,
                );
                self.uncertain(now, seen, error.with_server(said))
            }
        }
    }

    fn unsent(
        mut self: Box<Self>,
        now: Now,
        mut seen: Box<Seen>,
        pending: Option<Journal>,
        error: TransportError,
    ) -> Step<Outcome> {
        if error.is_config() {
            let failure = Error::config("the request was not sent").with_transport(error);
            return self.unspent(now, seen, pending, failure, Pause::Own);
        }
        let pause = Duration::from_millis(150) + self.dice.up_to(Duration::from_millis(150));
        let failure = Error::unavailable("the server cannot be reached", None, false);
        let failure = failure.with_transport(error);
        if self.tries < RETRIES_UNSENT && self.may_wait(now, pause) {
            return self.send_again(pause, seen, pending, failure);
        }
        // All who wait for the lease would find the same, one after the other: it is written down.
        seen.record.unreachable = Some(now);
        self.unspent(now, seen, pending, failure, Pause::Own)
    }

    fn busy(
        mut self: Box<Self>,
        now: Now,
        seen: Box<Seen>,
        pending: Option<Journal>,
        said: ServerSaid,
        retry_after: Option<Duration>,
    ) -> Step<Outcome> {
        let pause = retry_after.unwrap_or_else(|| self.cx.policy.backoff(self.tries + 1));
        let pause = pause.saturating_add(self.dice.up_to(Duration::from_millis(250)));
        let (says, then) = match retry_after {
            Some(_) => ("the server asks to wait", Pause::Asked(pause)),
            None => ("the server is too busy", Pause::AtLeast(pause)),
        };
        let error = Error::unavailable(says, Some(pause), false).with_server(said);
        if self.tries < RETRIES_BUSY && self.may_wait(now, pause) {
            return self.send_again(pause, seen, pending, error);
        }
        self.unspent(now, seen, pending, error, then)
    }

    /// Whether a pause fits the flight, and nobody is better served at once.
    fn may_wait(&self, now: Now, pause: Duration) -> bool {
        let served = self.view.as_ref().is_some_and(|view| view.serves(&self.goal, now.boot));
        let needed = pause.saturating_add(self.send_budget() / 4);
        let lease_lasts = now.boot.saturating_add(needed) < self.save_by(BootTime::NEVER);
        !served && needed < self.budget_left(now) && lease_lasts
    }

    /// The token certainly was not spent this time: the note of it is taken back (rule 17).
    fn unspent(
        self: Box<Self>,
        now: Now,
        mut seen: Box<Seen>,
        pending: Option<Journal>,
        error: Error,
        pause: Pause,
    ) -> Step<Outcome> {
        // An earlier attempt with the same token stays open, as it was: nothing was added to it.
        let noted = core::mem::replace(&mut seen.record.journal, pending);
        if noted == pending && seen.record.unreachable.is_none() {
            return self.fail(now, error, pause);
        }
        self.save(seen, move |mut flight, now, seen, answer| {
            if matches!(answer, Ok(Swap::Done)) {
                flight.see(&seen.record, seen.revision, now);
            }
            flight.fail(now, error, pause)
        })
    }

    /// The token may be spent. Within a grace the same request goes out again; else the note stays,
    /// and rule 10 says when the token may be presented.
    fn uncertain(mut self: Box<Self>, now: Now, seen: Box<Seen>, error: Error) -> Step<Outcome> {
        let left = seen.record.journal.as_ref().and_then(|j| self.grace_left(j, now));
        let own = Duration::from_millis(200)
            .saturating_mul(1 << self.tries.min(4))
            .saturating_add(self.dice.up_to(Duration::from_millis(100)));
        let pause = error.retry_after().map_or(own, |asked| asked.max(own));
        let fits = pause < self.budget_left(now);
        if left.is_some_and(|left| pause < left) && fits {
            let pending = seen.record.journal;
            return self.send_again(pause, seen, pending, error);
        }
        self.stays_uncertain(now, error)
    }

    fn stays_uncertain(mut self: Box<Self>, now: Now, error: Error) -> Step<Outcome> {
        self.events.push(Event::Uncertain);
        // What stands in it is the server's own word.
        let pause = error.retry_after().map_or(Pause::Own, Pause::Asked);
        self.fail(now, error, pause)
    }

    /// Refused: unless somebody else has rotated it meanwhile, this token is dead (rule 9).
    fn refused(
        self: Box<Self>,
        now: Now,
        seen: Box<Seen>,
        pending: Option<Journal>,
        said: ServerSaid,
    ) -> Step<Outcome> {
        let Some(sent) = Self::fingerprint(&seen) else { return self.start_over(now) };
        Step::Load(Ask::new(self.cx.key.clone(), move |now, answer: Result<Option<Loaded>, _>| {
            let stands = match &answer {
                Ok(Some(loaded)) => stored(loaded).is_some_and(|record| record.refresh_is(sent)),
                // Nobody can say otherwise: believe the server.
                Err(_) => true,
                Ok(None) => false,
            };
            match answer {
                Ok(loaded) if !stands => self.changed_meanwhile(now, loaded),
                Ok(Some(loaded)) => {
                    let record = stored(&loaded).unwrap_or(seen.record);
                    let seen = Box::new(Seen { record, revision: loaded.revision });
                    self.mark_refused(now, seen, sent, pending, said)
                }
                _ => self.mark_refused(now, seen, sent, pending, said),
            }
        }))
    }

    fn changed_meanwhile(mut self: Box<Self>, now: Now, loaded: Option<Loaded>) -> Step<Outcome> {
        if self.another_round() {
            self.after_lease(now, loaded)
        } else {
            self.changing_too_fast(now)
        }
    }

    fn mark_refused(
        self: Box<Self>,
        now: Now,
        mut seen: Box<Seen>,
        sent: Fingerprint,
        pending: Option<Journal>,
        said: ServerSaid,
    ) -> Step<Outcome> {
        let earlier = seen.record.refusal.as_ref().filter(|refusal| refusal.token == sent);
        let rotation_lost =
            earlier.map_or_else(|| pending.is_some(), |refusal| refusal.rotation_lost);
        let count = earlier.map_or(0, |refusal| refusal.count);
        let code = said.code.clone().filter(|code| !code.is_empty());
        seen.record.refusal = Some(Refusal {
            token: sent,
            at: now.wall,
            until: now.wall.saturating_add(self.cx.policy.refusal(count)),
            count: count.saturating_add(1),
            rotation_lost,
            code: code.unwrap_or_else(|| said.status.to_string()),
        });
        // The question that the journal left open is answered.
        seen.record.journal = None;
        let reason = if rotation_lost { SignInReason::RotationLost } else { SignInReason::Refused };
        let error = Error::sign_in_required(reason).with_server(said);
        self.save(seen, move |mut flight, now, seen, answer| {
            if matches!(answer, Ok(Swap::Done)) {
                flight.see(&seen.record, seen.revision, now);
                flight.memory.trouble = None;
                flight.fail(now, error, Pause::None)
            } else {
                // Not stored: at least this process remembers it.
                let pause = flight.cx.policy.refusal_first;
                flight.fail(now, error, Pause::AtLeast(pause))
            }
        })
    }
}

pub(super) fn stored(loaded: &Loaded) -> Option<Record> {
    loaded.record.as_ref().ok().and_then(|bytes| Record::decode(bytes).ok())
}

/// What two records of one key have in common.
pub(super) fn same_lineage(a: Revision, b: Revision) -> bool {
    a.lineage == b.lineage
}
