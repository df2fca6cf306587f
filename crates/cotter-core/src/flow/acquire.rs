//! A token that is valid now: look, take the lease, look again, exchange.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow::{self, Break, Continue};
use core::time::Duration;

use super::{Context, Outcome, Publication, Unpersisted, done, plausible};
use crate::error::{Error, ErrorKind, SignInReason};
use crate::event::Event;
use crate::policy::Dice;
use crate::provider::{Rotation, Unfit};
use crate::record::{Fingerprint, Record};
use crate::revision::Revision;
use crate::step::{Ask, GiveLease, Step, TakeLease};
use crate::store::{Holder, Lease, LeaseAnswer, Loaded, StoreError, StoreErrorKind};
use crate::time::{BootTime, Now};
use crate::transport::TransportError;
use crate::view::{Force, Goal, Memory, Trouble, View};

/// How many times a flight starts over because the record changed under it.
const ROUNDS: u32 = 5;

/// The shortest and the longest pause between two looks at a lease that somebody else has.
const POLL: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// Begins a flight that ends with a token for `goal`, or with the reason why there is none.
///
/// `memory` is what the last flight of this session left, `shown` what its callers see, `kept` a
/// granted set that could not be stored then and is stored first now.
pub fn acquire(
    cx: Context,
    goal: Goal,
    memory: Memory,
    shown: Option<Arc<View>>,
    kept: Option<Unpersisted>,
    now: Now,
) -> Step<Outcome> {
    match kept {
        Some(kept) => kept.resume(goal, memory.rejected, now),
        None => Flight::new(cx, goal, memory, shown, now).begin(now),
    }
}

/// Begins a look at the store, without any exchange: what others did there is taken over.
///
/// A store that cannot answer leaves things as they are until the next look.
pub fn look(cx: Context, memory: Memory, shown: Option<Arc<View>>, now: Now) -> Step<Outcome> {
    let mut flight = Flight::new(cx, Goal::access(), memory, shown, now);
    flight.looking = true;
    Step::Load(Ask::new(flight.cx.key.clone(), move |now, answer| match answer {
        Ok(loaded) => match flight.look(now, loaded) {
            Continue((flight, _)) => match flight.view.clone() {
                Some(view) => flight.end(Ok(view)),
                None => flight.absent(now),
            },
            Break(step) => step,
        },
        Err(error) => flight.look_later(now, error),
    }))
}

/// One flight: everything it knows between two steps.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) cx: Context,
    pub(super) goal: Goal,
    pub(super) memory: Memory,
    pub(super) dice: Dice,
    pub(super) started: BootTime,
    /// When it began to wait: before it started, if the store was waited for.
    pub(super) began: Now,
    pub(super) lease: Option<Lease>,
    /// When the lease was granted.
    pub(super) leased_at: BootTime,
    pub(super) events: Vec<Event>,
    /// How often the record changed under this flight.
    pub(super) rounds: u32,
    /// What this flight found first.
    pub(super) found: Option<Arc<View>>,
    /// How often this flight has asked for the lease.
    pub(super) polls: u32,
    /// How often the request certainly was not sent, or answered unspent.
    pub(super) tries: u32,
    /// Whether this is only a look: no exchange, no lease.
    pub(super) looking: bool,
    /// What was learned last.
    pub(super) view: Option<Arc<View>>,
    /// What callers see.
    pub(super) shown: Option<Revision>,
}

/// How long everybody goes without trying after a failure.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pause {
    /// Not at all.
    None,
    /// As long as the back-off says.
    Own,
    /// The same, but at least this long.
    AtLeast(Duration),
    /// The same, since the server named this time: who insists keeps to it as well (rule 18).
    Asked(Duration),
}

/// A record with the revision it was loaded at.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) record: Record,
    pub(super) revision: Revision,
}

type Next = fn(Box<Flight>, Now, Option<Loaded>) -> Step<Outcome>;

impl Flight {
    fn new(
        cx: Context,
        goal: Goal,
        memory: Memory,
        view: Option<Arc<View>>,
        now: Now,
    ) -> Box<Self> {
        let dice = Dice::new(cx.seed);
        Box::new(Self {
            cx,
            goal,
            memory,
            dice,
            started: now.boot,
            began: now,
            lease: None,
            leased_at: now.boot,
            events: Vec::new(),
            rounds: 0,
            found: None,
            polls: 0,
            tries: 0,
            looking: false,
            shown: view.as_ref().map(|view| view.revision),
            view,
        })
    }

    fn begin(self: Box<Self>, now: Now) -> Step<Outcome> {
        match plausible(now) {
            Ok(()) => self.load(Self::before_lease),
            Err(error) => self.fail(now, error, Pause::None),
        }
    }

    pub(super) fn load(self: Box<Self>, next: Next) -> Step<Outcome> {
        Step::Load(Ask::new(self.cx.key.clone(), move |now, answer| match answer {
            Ok(loaded) => next(self, now, loaded),
            Err(error) => self.store_failed(now, error),
        }))
    }

    pub(super) fn before_lease(self: Box<Self>, now: Now, loaded: Option<Loaded>) -> Step<Outcome> {
        match self.look(now, loaded) {
            Continue((flight, _)) => flight.show(now, |flight, _| flight.go_for_the_lease()),
            Break(step) => step,
        }
    }

    /// Shows what was found, if nobody here has seen it yet: who can use it need not wait for the exchange
    /// (rule 18), and whose tokens they are is known before one of them is spent.
    fn show(
        mut self: Box<Self>,
        now: Now,
        then: impl FnOnce(Box<Self>, Now) -> Step<Outcome> + Send + 'static,
    ) -> Step<Outcome> {
        match self.view.clone().filter(|view| self.is_news(view, now)) {
            Some(view) => {
                self.shown = Some(view.revision);
                Step::Publish(Ask::new(Publication::Signed(view), move |now, ()| then(self, now)))
            }
            None => then(self, now),
        }
    }

    fn is_news(&self, view: &View, now: Now) -> bool {
        let (shown, found) = (self.shown, view.revision);
        shown.is_none_or(|shown| shown.lineage != found.lineage)
            || shown != Some(found) && view.has_usable_token(now.boot)
    }

    fn go_for_the_lease(self: Box<Self>) -> Step<Outcome> {
        if self.lease.is_some() { self.load(Self::after_lease) } else { self.take_lease() }
    }

    pub(super) fn after_lease(self: Box<Self>, now: Now, loaded: Option<Loaded>) -> Step<Outcome> {
        match self.look(now, loaded) {
            Continue((flight, seen)) => {
                flight.show(now, |flight, now| flight.wait_out_journal(now, seen))
            }
            Break(step) => step,
        }
    }

    /// The store cannot say: what is shown stays, until the next look.
    fn look_later(mut self: Box<Self>, now: Now, error: StoreError) -> Step<Outcome> {
        let Some(view) = self.view.take() else { return self.end(Err(error.into())) };
        let mut view = (*view).clone();
        view.look_again = now.boot.saturating_add(self.cx.policy.look_again);
        let view = Arc::new(view);
        self.view = Some(Arc::clone(&view));
        self.end(Ok(view))
    }

    /// Judges what the store holds: either the flight ends here, or an exchange is wanted.
    fn look(
        mut self: Box<Self>,
        now: Now,
        loaded: Option<Loaded>,
    ) -> ControlFlow<Step<Outcome>, (Box<Self>, Box<Seen>)> {
        let Some(loaded) = loaded else { return Break(self.absent(now)) };
        let revision = loaded.revision;
        let decoded = loaded.record.and_then(|bytes| Record::decode(&bytes));
        let record = match decoded {
            Ok(record) => record,
            Err(error) => return Break(self.unreadable(now, error)),
        };
        if self.is_older_than_seen(&record, revision) {
            let error = StoreError::new(
                StoreErrorKind::Damaged,
                "the store brought back an older record of this session",
            )
            .with_hint("sign in again; the refresh token in the old record is spent");
            return Break(self.unreadable(now, error));
        }
        self.give_way_to_a_sign_in(revision);
        self.see(&record, revision, now);
        if self.looking {
            return Continue((self, Box::new(Seen { record, revision })));
        }
        let goal_met = self.view.as_ref().is_some_and(|view| view.meets(&self.goal, now.boot));
        if goal_met || self.others_refreshed(now) {
            return Break(self.satisfied(now));
        }
        if let Some(error) =
            self.view.as_ref().and_then(|view| view.pointless(&self.goal, now.boot))
        {
            return Break(self.fail(now, error, Pause::None));
        }
        // Nobody flies during a pause but to write a rejection down.
        if let Some(trouble) = self.memory.paused(&self.goal, now.boot) {
            if matches!(self.goal.force, Force::Rejected(_)) {
                let error = trouble.error.clone();
                return Break(self.fail(now, error, Pause::None));
            }
        }
        if let Some(error) = self.no_exchange(&record, now) {
            return Break(self.give_up(now, error));
        }
        // Rule 18: who waited while somebody found the server out of reach has the answer to that.
        if record.was_unreachable(self.began, now) {
            let found = TransportError::not_sent("another process has just tried");
            let error = Error::unavailable("the server cannot be reached", None, false);
            return Break(self.fail(now, error.with_transport(found), Pause::Own));
        }
        Continue((self, Box::new(Seen { record, revision })))
    }

    /// Signed in meanwhile: who wanted an exchange of the old tokens is answered by the new ones, and
    /// their refresh token is not spent for him.
    fn give_way_to_a_sign_in(&mut self, revision: Revision) {
        let found = self.found.as_ref().map(|found| found.revision.lineage);
        if found.is_some_and(|found| found != revision.lineage) && self.goal.force == Force::Now {
            self.goal.force = Force::No;
        }
    }

    /// Whether somebody else has brought a token that serves since this flight began: it is taken over
    /// even if it is due already, or processes whose tokens live for seconds would refresh in turn.
    fn others_refreshed(&self, now: Now) -> bool {
        let (Some(found), Some(view)) = (&self.found, &self.view) else { return false };
        let token = |view: &View| view.access.as_ref().map(|shown| shown.token.clone());
        token(found) != token(view) && view.serves(&self.goal, now.boot)
    }

    /// What stands there cannot be used: a look leaves what is shown, a flight ends.
    fn unreadable(self: Box<Self>, now: Now, error: StoreError) -> Step<Outcome> {
        if self.looking { self.look_later(now, error) } else { self.store_failed(now, error) }
    }

    /// No exchange may be tried: who holds a usable token is not to ask again at once.
    fn give_up(mut self: Box<Self>, now: Now, error: Error) -> Step<Outcome> {
        let usable_until = self.usable_until();
        if now.boot < usable_until {
            let until = now.boot.saturating_add(self.cx.policy.backoff_most).min(usable_until);
            self.memory.trouble = Some(Arc::new(Trouble {
                error: error.clone(),
                until,
                asked_until: BootTime::PAST,
                failures: self.memory.trouble.as_ref().map_or(0, |trouble| trouble.failures),
                resting: true,
            }));
        }
        self.fail(now, error, Pause::None)
    }

    /// Until when the access token that was found may be handed out.
    fn usable_until(&self) -> BootTime {
        let access = self.view.as_ref().and_then(|view| view.access.as_ref());
        access.map_or(BootTime::PAST, |access| access.usable_until)
    }

    /// Rule 15: what is older than something this process has seen is neither adopted nor sent.
    fn is_older_than_seen(&self, record: &Record, revision: Revision) -> bool {
        self.memory
            .seen
            .is_some_and(|(seen, seq)| seen.lineage == revision.lineage && record.seq < seq)
    }

    /// Takes note of the record, and makes the view of it that callers will get.
    pub(super) fn see(&mut self, record: &Record, revision: Revision, now: Now) {
        let seen = self.memory.seen;
        if seen.is_some_and(|(seen, seq)| seen.lineage != revision.lineage || seq < record.seq) {
            self.events.push(Event::Adopted);
            self.memory.trouble = None;
        }
        self.memory.seen = Some((revision, record.seq));
        // A 401 that comes late says nothing of the token that has taken its place.
        match &self.goal.force {
            Force::Rejected(token) if record.access_is(token) => {
                self.memory.rejected = Some(Fingerprint::of(token.expose()));
            }
            _ => {}
        }
        self.compare_rejection(record);
        let view = Arc::new(self.cx.view(record, revision, now, self.memory.rejected));
        self.found.get_or_insert_with(|| Arc::clone(&view));
        self.view = Some(view);
    }

    /// Why no exchange may be tried on this record, whoever asks.
    fn no_exchange(&self, record: &Record, now: Now) -> Option<Error> {
        if let Some(unfit @ (Unfit::OtherUser | Unfit::MixedUsers)) = record.held {
            return Some(Error::protocol(alloc::format!("the newest set is held back: {unfit}")));
        }
        if record.refresh.is_none() {
            return Some(Error::sign_in_required(SignInReason::NoRefreshToken));
        }
        if self.goal.force != Force::Now {
            if let Some(refusal) = record.standing_refusal(now) {
                return Some(Error::sign_in_required(if refusal.rotation_lost {
                    SignInReason::RotationLost
                } else {
                    SignInReason::Refused
                }));
            }
        }
        // A note that stands while somebody else has the lease is of an exchange under way, not of
        // one that was cut off: only under the lease does it say anything.
        if self.cx.store.lease && self.lease.is_none() {
            return None;
        }
        // Rule 10: while anything can be handed out, a token that may be spent is not presented.
        let journal = record.journal.as_ref().filter(|_| self.cx.rotates(record))?;
        let usable = self.usable_until().saturating_since(now.boot);
        if self.grace_left(journal, now).is_none() && !usable.is_zero() {
            let next = "it is tried again when the access token has ended";
            let wait = usable.max(self.uncertain_wait(journal, now));
            return Some(self.still_uncertain(wait, next));
        }
        None
    }

    pub(super) fn send_budget(&self) -> Duration {
        match self.cx.provider.rotation() {
            Rotation::Grace(grace) => self.cx.policy.send_budget.min(grace / 3),
            _ => self.cx.policy.send_budget,
        }
    }

    /// How long the flight may still go on with whatever it likes.
    pub(super) fn budget_left(&self, now: Now) -> Duration {
        let passed = now.boot.saturating_since(self.started);
        self.cx.policy.flight_budget.saturating_sub(passed)
    }

    pub(super) fn sleep(
        self: Box<Self>,
        wait: Duration,
        next: impl FnOnce(Box<Self>, Now) -> Step<Outcome> + Send + 'static,
    ) -> Step<Outcome> {
        Step::Sleep(Ask::new(wait, move |now, ()| next(self, now)))
    }

    fn take_lease(self: Box<Self>) -> Step<Outcome> {
        if !self.cx.store.lease {
            return self.load(Self::after_lease);
        }
        let question = TakeLease { key: self.cx.key.clone(), ttl: self.cx.policy.lease_ttl };
        Step::Lease(Ask::new(question, move |now, answer| self.leased(now, answer)))
    }

    fn leased(
        mut self: Box<Self>,
        now: Now,
        answer: Result<LeaseAnswer, StoreError>,
    ) -> Step<Outcome> {
        match answer {
            Ok(LeaseAnswer::Granted(lease)) => {
                self.began.boot = self.began.boot.saturating_sub(lease.waited);
                self.began.wall = self.began.wall.saturating_sub(lease.waited);
                self.lease = Some(lease);
                self.leased_at = now.boot;
                self.load(Self::after_lease)
            }
            Ok(LeaseAnswer::Unsupported) => self.load(Self::after_lease),
            Ok(LeaseAnswer::Held(holder)) => self.wait_for_lease(now, &holder),
            Err(error) => self.store_failed(now, error),
        }
    }

    fn wait_for_lease(mut self: Box<Self>, now: Now, holder: &Holder) -> Step<Outcome> {
        // Rule 18: who holds a usable token never waits for a lease.
        if let Some(view) = self.view.as_ref().filter(|view| view.serves(&self.goal, now.boot)) {
            let view = Arc::clone(view);
            return self.end(Ok(view));
        }
        let passed = now.boot.saturating_since(self.started);
        if passed >= self.cx.policy.lock_wait {
            let error = Error::unavailable(
                alloc::format!("the session is being refreshed by {holder} and was not in time"),
                Some(self.cx.policy.backoff_first),
                false,
            )
            .with_source(StoreError::new(StoreErrorKind::Locked, "the lease is held"));
            return self.fail(now, error, Pause::Own);
        }
        self.polls = self.polls.saturating_add(1);
        let pause =
            POLL.0.saturating_mul(1u32.checked_shl(self.polls / 4).unwrap_or(u32::MAX)).min(POLL.1);
        let pause = pause / 2 + self.dice.up_to(pause);
        self.sleep(pause, |flight, _| flight.load(Self::before_lease))
    }

    /// Nothing stands under the key.
    pub(super) fn absent(mut self: Box<Self>, _now: Now) -> Step<Outcome> {
        let reason = self.memory.absence();
        self.events.push(Event::SignInRequired(reason));
        self.view = None;
        self.memory.trouble = None;
        self.release(move |flight| {
            flight.finish(
                Err(Error::sign_in_required(reason)),
                Some(Publication::Absent(reason)),
                None,
            )
        })
    }

    /// The store failed; what is in memory may still serve.
    pub(super) fn store_failed(self: Box<Self>, now: Now, error: StoreError) -> Step<Outcome> {
        self.fail(now, Error::from(error), Pause::Own)
    }

    pub(super) fn satisfied(mut self: Box<Self>, now: Now) -> Step<Outcome> {
        self.memory.trouble = None;
        match self.view.clone() {
            Some(view) => self.end(Ok(view)),
            None => self.absent(now),
        }
    }

    /// Ends with `error`, or with the token that is there if it still serves.
    pub(super) fn fail(mut self: Box<Self>, now: Now, error: Error, pause: Pause) -> Step<Outcome> {
        self.pause(now, &error, pause);
        if let ErrorKind::SignInRequired(reason) = error.kind() {
            self.events.push(Event::SignInRequired(reason));
        }
        match self.view.clone().filter(|view| view.serves(&self.goal, now.boot)) {
            Some(view) => {
                self.events.push(Event::ServedStale(error.kind()));
                self.end(Ok(view))
            }
            None => self.end(Err(error)),
        }
    }

    fn pause(&mut self, now: Now, error: &Error, pause: Pause) {
        let (least, asked) = match pause {
            Pause::None => return,
            Pause::Own => (Duration::ZERO, None),
            Pause::AtLeast(least) => (least, None),
            Pause::Asked(asked) => (asked, Some(asked)),
        };
        let earlier = self.memory.trouble.as_ref();
        let failures = earlier.map_or(0, |trouble| trouble.failures).saturating_add(1);
        let own = self.cx.policy.backoff(failures);
        let own = own.saturating_add(self.dice.up_to(own / 8));
        let mut trouble = Trouble {
            error: error.clone(),
            until: now.boot.saturating_add(least.max(own)),
            asked_until: asked.map_or(BootTime::PAST, |asked| now.boot.saturating_add(asked)),
            failures,
            resting: false,
        };
        // What the server asked for is not forgotten over something else that goes wrong meanwhile.
        if let Some(earlier) = earlier.filter(|earlier| earlier.asked_until > trouble.asked_until) {
            trouble.asked_until = earlier.asked_until;
            if earlier.asked_until > trouble.until {
                trouble.error = earlier.error.clone();
                trouble.until = earlier.asked_until;
            }
        }
        self.memory.trouble = Some(Arc::new(trouble));
    }

    /// Gives the lease back and publishes what was learned.
    pub(super) fn close(self: Box<Self>, result: Result<Arc<View>, Error>) -> Step<Outcome> {
        self.release(move |flight| {
            let publish = flight.view.clone().map(Publication::Signed);
            flight.finish(result, publish, None)
        })
    }

    /// Gives the lease back, if there is one; whether that works is of no consequence.
    pub(super) fn release(
        mut self: Box<Self>,
        then: impl FnOnce(Box<Self>) -> Step<Outcome> + Send + 'static,
    ) -> Step<Outcome> {
        match self.lease.take() {
            None => then(self),
            Some(lease) => {
                let question = GiveLease { key: self.cx.key.clone(), owner: lease.owner };
                Step::Release(Ask::new(question, move |_, _| then(self)))
            }
        }
    }

    pub(super) fn finish(
        self: Box<Self>,
        result: Result<Arc<View>, Error>,
        publish: Option<Publication>,
        unpersisted: Option<Unpersisted>,
    ) -> Step<Outcome> {
        done(Outcome { result, publish, memory: self.memory, events: self.events, unpersisted })
    }

    /// Whether the record may be looked at once more because it changed under this flight.
    pub(super) fn another_round(&mut self) -> bool {
        self.rounds = self.rounds.saturating_add(1);
        self.rounds <= ROUNDS
    }

    pub(super) fn changing_too_fast(self: Box<Self>, now: Now) -> Step<Outcome> {
        let pause = self.cx.policy.backoff_first;
        let error =
            Error::unavailable("the session keeps changing in the store", Some(pause), false);
        self.fail(now, error, Pause::AtLeast(pause))
    }

    pub(super) fn fingerprint(seen: &Seen) -> Option<Fingerprint> {
        seen.record.refresh_fingerprint()
    }
}
