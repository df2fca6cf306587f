//! A granted set: keep it first, judge it after (rules 1, 3 and 4).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use super::acquire::{Flight, Pause, Seen};
use super::exchange::{same_lineage, stored};
use super::read::refresh_of;
use super::vouch::vouch;
use super::{Outcome, Publication};
use crate::claims::peek;
use crate::error::Error;
use crate::event::Event;
use crate::life::{Freshness, Life};
use crate::provider::{Provider, Unfit};
use crate::record::{Fingerprint, Record, Timed};
use crate::revision::Revision;
use crate::secret::RefreshToken;
use crate::step::{Ask, GiveLease, Send, Step};
use crate::store::{Loaded, StoreError, Swap};
use crate::time::{BootTime, Now};
use crate::token::OAuthToken;
use crate::verify::Verified;
use crate::view::{Force, Goal, Want};

/// How often a save is tried inside one flight.
const SAVES: u32 = 3;

/// A granted set that is in memory only, because the store could not take it.
///
/// Hand it back to [`acquire`](super::acquire), which stores it before anything else. While it
/// lives, so does the flight's lease: nobody presents the token that it replaced.
pub struct Unpersisted(Box<Kept>);

struct Kept {
    flight: Box<Flight>,
    grant: Grant,
}

impl core::fmt::Debug for Unpersisted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Unpersisted(..)")
    }
}

impl Unpersisted {
    pub(super) fn resume(
        self,
        goal: Goal,
        rejected: Option<Fingerprint>,
        now: Now,
    ) -> Step<Outcome> {
        let Kept { mut flight, mut grant } = *self.0;
        flight.goal = goal;
        flight.memory.rejected = rejected.or(flight.memory.rejected);
        flight.polls = 0;
        flight.tries = 0;
        flight.started = now.boot;
        flight.began = now;
        flight.rounds = 0;
        flight.found = None;
        flight.events.clear();
        grant.saves = 0;
        grant.resumed = true;
        flight.keep(grant)
    }

    /// A second one of the same, for whoever keeps the first until a flight with this one has landed.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let Kept { flight, grant } = &*self.0;
        let seen = Seen { record: grant.seen.record.duplicate(), revision: grant.seen.revision };
        Self(Box::new(Kept {
            flight: flight.clone(),
            grant: Grant {
                seen: Box::new(seen),
                unjudged: grant.unjudged.as_ref().map(|unjudged| Box::new(unjudged.duplicate())),
                ..*grant
            },
        }))
    }

    /// The newest refresh token, which only this process has.
    ///
    /// # Errors
    /// As for a stored one: `Protocol` if it belongs to a set that is held back as somebody else's.
    pub fn refresh_token(&self) -> Result<RefreshToken, Error> {
        refresh_of(&self.0.grant.seen.record)
    }

    /// Gives it up, because another sign-in took its place: only the lease is given back.
    pub fn abandon(self) -> Step<()> {
        let Kept { mut flight, .. } = *self.0;
        match flight.lease.take() {
            None => Step::Done(()),
            Some(lease) => {
                let question = GiveLease { key: flight.cx.key.clone(), owner: lease.owner };
                Step::Release(Ask::new(question, |_, _| Step::Done(())))
            }
        }
    }
}

/// What is being kept: the record with the new tokens, over the revision it replaces.
struct Grant {
    seen: Box<Seen>,
    /// The refresh token that was spent for it.
    spent: Option<Fingerprint>,
    /// Why the set is not handed out, if so.
    unfit: Option<Unfit>,
    saves: u32,
    resumed: bool,
    /// The set itself, while it cannot be judged without keys that have to be fetched.
    unjudged: Option<Box<Unjudged>>,
}

/// A set whose refresh token is kept, and that waits for its verifier.
struct Unjudged {
    set: OAuthToken,
    received: Now,
    /// What was begun; a copy begins it anew.
    verification: Option<Step<Verified>>,
}

impl Unjudged {
    fn duplicate(&self) -> Self {
        Self { set: self.set.duplicate(), received: self.received, verification: None }
    }
}

impl Flight {
    /// Takes the answer of a 2xx: the new refresh token is kept whatever else is in it.
    pub(super) fn granted(
        mut self: Box<Self>,
        now: Now,
        mut seen: Box<Seen>,
        set: OAuthToken,
    ) -> Step<Outcome> {
        let spent = Self::fingerprint(&seen);
        let user = known_as(&self.cx.provider, &seen.record, &set);
        let mut unfit = self.cx.provider.check(&set, user.as_deref()).err();
        let mut unjudged = None;
        let verification = if unfit.is_none() { self.cx.verification(&set, now) } else { None };
        match verification {
            None => {}
            Some(Step::Done(verified)) => unfit = self.verified(verified),
            Some(verification) => {
                // Its keys have to be fetched first, but the refresh token is kept before that.
                unfit = Some(Unfit::Unverified);
                let set = set.duplicate();
                let verification = Some(verification);
                unjudged = Some(Box::new(Unjudged { set, received: now, verification }));
            }
        }
        merge(&self.cx.provider, &mut seen.record, set, unfit, now);
        self.keep(Grant { seen, spent, unfit, saves: 0, resumed: false, unjudged })
    }

    fn verified(&mut self, verified: Verified) -> Option<Unfit> {
        match verified {
            Verified::Sound => None,
            Verified::Unsound(_) => Some(Unfit::Unverified),
            Verified::Undecided => {
                self.events.push(Event::Unverified);
                None
            }
        }
    }

    /// The refresh token is durable: now the keys may take their time.
    fn judge(self: Box<Self>, now: Now, seen: Box<Seen>, unjudged: Unjudged) -> Step<Outcome> {
        let Unjudged { set, received, verification } = unjudged;
        let verification = verification
            .or_else(|| self.cx.verification(&set, now))
            .unwrap_or(Step::Done(Verified::Undecided));
        let end = self.save_by(now.boot.saturating_add(self.budget_left(now)));
        vouch(verification, now, end, move |now, verified| {
            self.judged(now, seen, set, received, verified)
        })
    }

    fn judged(
        mut self: Box<Self>,
        now: Now,
        mut seen: Box<Seen>,
        set: OAuthToken,
        received: Now,
        verified: Verified,
    ) -> Step<Outcome> {
        let spent = Self::fingerprint(&seen);
        let unfit = self.verified(verified);
        if unfit.is_none() {
            merge(&self.cx.provider, &mut seen.record, set, None, received);
        }
        let grant = Grant { seen, spent, unfit, saves: 0, resumed: false, unjudged: None };
        if unfit.is_none() { self.keep(grant) } else { self.kept(now, grant) }
    }

    fn keep(self: Box<Self>, mut grant: Grant) -> Step<Outcome> {
        grant.saves += 1;
        let Grant { seen, spent, unfit, saves, resumed, unjudged } = grant;
        self.save(seen, move |flight, now, seen, answer| {
            let grant = Grant { seen, spent, unfit, saves, resumed, unjudged };
            match answer {
                Ok(Swap::Done) => flight.kept(now, grant),
                Ok(Swap::Conflict { .. }) => flight.what_stands_there(grant, true),
                Err(error) if error.is_uncertain() => flight.what_stands_there(grant, false),
                Err(error) => flight.save_again(now, grant, error),
            }
        })
    }

    /// Durable: now it may be seen, and judged.
    fn kept(mut self: Box<Self>, now: Now, grant: Grant) -> Step<Outcome> {
        let Grant { seen, unfit, resumed, unjudged, .. } = grant;
        if let Some(unjudged) = unjudged {
            return self.judge(now, seen, *unjudged);
        }
        self.learn(&seen.record, seen.revision, now);
        match (resumed, unfit) {
            (true, _) => self.events.push(Event::Persisted),
            (false, None) => self.events.push(Event::Refreshed),
            // An answer without any token: whether the one that was sent is spent, nobody knows.
            (false, Some(_)) if seen.record.journal.is_some() => self.events.push(Event::Uncertain),
            // Callers hear why it is held back; there is nothing new for anybody.
            (false, Some(_)) => {}
        }
        let Some(view) = self.view.clone() else { return self.absent(now) };
        Step::Publish(Ask::new(Publication::Signed(view), move |now, ()| match unfit {
            None if resumed => self.go_on(now),
            None => self.hand_over(now),
            Some(unfit) => {
                let message = alloc::format!("the server's answer is not handed out: {unfit}");
                let pause = self.cx.policy.backoff_first;
                self.fail(now, Error::protocol(message), Pause::AtLeast(pause))
            }
        }))
    }

    /// What an earlier flight was granted is stored at last: is it what this one is after?
    fn go_on(mut self: Box<Self>, now: Now) -> Step<Outcome> {
        let Some(view) = self.view.clone() else { return self.absent(now) };
        self.memory.trouble = None;
        if view.meets(&self.goal, now.boot) {
            return self.end(Ok(view));
        }
        self.anew(now)
    }

    /// Judges the record anew, under another lease: the one that was kept with a set may be old.
    fn anew(self: Box<Self>, _: Now) -> Step<Outcome> {
        self.release(|flight| flight.load(Self::before_lease))
    }

    /// The exchange did what it could; does it answer what was asked?
    fn hand_over(mut self: Box<Self>, now: Now) -> Step<Outcome> {
        let Some(view) = self.view.clone() else { return self.absent(now) };
        if self.goal.want == Want::Id && view.freshness(Want::Id, now.boot) == Freshness::Expired {
            let error = view.no_id_token();
            return self.fail(now, error, Pause::None);
        }
        if view.freshness(self.goal.want, now.boot) == Freshness::Expired {
            let error = Error::protocol("the server granted a token that has ended already");
            let pause = self.cx.policy.backoff_first;
            return self.fail(now, error, Pause::AtLeast(pause));
        }
        if !view.serves(&Goal { force: Force::No, ..self.goal.clone() }, now.boot) {
            self.events.push(Event::ShorterThanAsked);
        }
        self.memory.trouble = None;
        self.end(Ok(view))
    }

    /// What was granted is what this process has seen; nobody else's set is adopted here.
    fn learn(&mut self, record: &Record, revision: Revision, now: Now) {
        self.memory.seen = Some((revision, record.seq));
        self.see(record, revision, now);
    }

    /// Rule 3: a conflict or a time-out on the save after a grant.
    fn what_stands_there(mut self: Box<Self>, grant: Grant, conflict: bool) -> Step<Outcome> {
        let again = self.another_round();
        Step::Load(Ask::new(self.cx.key.clone(), move |now, answer: Result<Option<Loaded>, _>| {
            let loaded = match answer {
                Ok(loaded) => loaded,
                Err(error) => return self.unpersisted(now, grant, error),
            };
            let Some(loaded) = loaded else { return self.signed_out_meanwhile(now, &grant) };
            if !same_lineage(loaded.revision, grant.seen.revision) {
                return self.superseded(now, &grant, &loaded);
            }
            // Whatever it is that cannot be read: what was granted is not given up for it.
            let record = match loaded.record.and_then(|bytes| Record::decode(&bytes)) {
                Ok(record) => record,
                Err(error) => return self.unpersisted(now, grant, error),
            };
            let theirs = record.refresh_fingerprint();
            let mine = Self::fingerprint(&grant.seen);
            let mut grant = grant;
            // A provider that kept the refresh token: the revision tells whether this save happened.
            let rotated = mine != grant.spent;
            if theirs == mine && (rotated || loaded.revision == grant.seen.revision.next()) {
                grant.seen.revision = loaded.revision;
                return self.kept(now, grant);
            }
            // Past the budget, or the lease, others wait in vain for a store that hangs; the set is as safe
            // in memory. One that answers takes it, whoever has the lease now.
            let leased = grant.resumed || now.boot < self.save_by(BootTime::NEVER);
            let in_time = leased && !self.budget_left(now).is_zero();
            let again = again && (in_time || conflict);
            if theirs == grant.spent && again {
                grant.seen.revision = loaded.revision;
                return self.keep(grant);
            }
            if theirs == grant.spent {
                let error = StoreError::new(
                    crate::store::StoreErrorKind::Timeout,
                    "the new tokens could not be saved in time",
                );
                return self.unpersisted(now, grant, error);
            }
            self.go_on_with_theirs(now, &grant)
        }))
    }

    fn go_on_with_theirs(self: Box<Self>, now: Now, grant: &Grant) -> Step<Outcome> {
        if grant.resumed { self.anew(now) } else { self.start_over(now) }
    }

    /// Signed out during the exchange: the new set is dropped, and revoked where that can be done.
    fn signed_out_meanwhile(mut self: Box<Self>, now: Now, grant: &Grant) -> Step<Outcome> {
        self.memory.seen = Some((grant.seen.revision, grant.seen.record.seq));
        self.revoke(now, grant, Self::absent)
    }

    /// Another sign-in stands there: the new set is dropped, and revoked only where that cannot
    /// harm the other one (rule 25).
    fn superseded(self: Box<Self>, now: Now, grant: &Grant, theirs: &Loaded) -> Step<Outcome> {
        // The same refresh token may have been signed in anew, and an answer that brought none of its
        // own has nothing to revoke. What cannot be read may hold it as well.
        let mine = Self::fingerprint(&grant.seen);
        let theirs = stored(theirs).map(|record| record.refresh_fingerprint());
        let harmless = mine != grant.spent && theirs.is_some_and(|theirs| theirs != mine);
        if harmless && self.cx.provider.revokes_single_tokens() {
            let then = if grant.resumed { Self::anew } else { Self::start_over };
            self.revoke(now, grant, then)
        } else {
            self.go_on_with_theirs(now, grant)
        }
    }

    fn revoke(
        self: Box<Self>,
        now: Now,
        grant: &Grant,
        then: fn(Box<Self>, Now) -> Step<Outcome>,
    ) -> Step<Outcome> {
        let token = grant.seen.record.refresh.as_ref();
        let Some(request) = token.and_then(|token| self.cx.provider.revoke_request(token)) else {
            return then(self, now);
        };
        let not_after = now.boot.saturating_add(self.send_budget());
        Step::Send(Ask::new(Send { request, not_after }, move |now, _| then(self, now)))
    }

    fn save_again(mut self: Box<Self>, now: Now, grant: Grant, error: StoreError) -> Step<Outcome> {
        let pause = Duration::from_millis(50).saturating_mul(1 << grant.saves.min(4));
        let pause = pause + self.dice.up_to(pause);
        if grant.saves < SAVES && pause < self.budget_left(now) {
            return self.sleep(pause, move |flight, _| flight.keep(grant));
        }
        self.unpersisted(now, grant, error)
    }

    /// Rule 1: callers get the new token and are told; the lease is kept; the save is tried later.
    fn unpersisted(
        mut self: Box<Self>,
        now: Now,
        grant: Grant,
        error: StoreError,
    ) -> Step<Outcome> {
        let resumed = grant.resumed;
        self.learn(&grant.seen.record, grant.seen.revision, now);
        self.events.push(Event::Unpersisted);
        let view = self.view.take().map(|view| {
            let mut view = (*view).clone();
            view.unpersisted = true;
            Arc::new(view)
        });
        self.view.clone_from(&view);
        let fit = grant.unfit.is_none();
        // Who insists on an exchange is answered by the one that was made for him, no earlier one.
        let served = view.clone().filter(|view| {
            let fresh = view.freshness(self.goal.want, now.boot) != Freshness::Expired;
            fit && if resumed { view.serves(&self.goal, now.boot) } else { fresh }
        });
        let result = served.ok_or_else(|| Error::from(error));
        let publish = view.map(Publication::Signed);
        let memory = self.memory.clone();
        let events = core::mem::take(&mut self.events);
        let kept = Unpersisted(Box::new(Kept { flight: self, grant }));
        super::done(Outcome { result, publish, memory, events, unpersisted: Some(kept) })
    }
}

/// Puts a granted set into the record. What fails a check is not handed out, but its refresh token
/// is kept: the one it replaced is spent.
fn merge(
    provider: &Provider,
    record: &mut Record,
    set: OAuthToken,
    unfit: Option<Unfit>,
    now: Now,
) {
    let set = set.into_parts();
    // What an answer without any token says of the one that was sent is anybody's guess.
    if set.refresh_token.is_some() || set.access_token.is_some() {
        record.journal = None;
    }
    // Nothing further is exchanged for another user, whether or not there is a new refresh token.
    if matches!(unfit, Some(Unfit::OtherUser | Unfit::MixedUsers)) {
        record.held = unfit;
    }
    if let Some(refresh) = set.refresh_token {
        if record.refresh.as_ref() != Some(&refresh) {
            record.seq = record.seq.saturating_add(1);
            record.rotates = true;
            record.refusal = None;
            record.refresh = Some(refresh);
        }
        record.held = unfit;
    } else if unfit.is_none() {
        record.held = None;
    }
    if unfit.is_some() {
        return;
    }
    record.refusal = None;
    record.rejected = None;
    record.exchanged = true;
    record.unreachable = None;
    if let Some(access) = set.access_token {
        let life = Life::granted(now, &peek(access.expose()), set.expires_in);
        record.access = Some(Timed { token: access, life });
    }
    if let Some(id) = set.id_token {
        let life = Life::granted(now, &peek(id.expose()), None);
        record.id = Some(Timed { token: id, life });
    }
    if !set.token_type.is_empty() {
        record.token_type = set.token_type;
    }
    record.auth_method = set.auth_method.or_else(|| record.auth_method.take());
    record.scope = set.scope.or_else(|| record.scope.take());
    if record.user.is_none() {
        record.user = user_of(provider, record);
    }
}

/// Who the tokens of this record belong to. Where the access token is addressed to a resource server,
/// the ID token says so: the other may know the user by another name.
pub(super) fn user_of(provider: &Provider, record: &Record) -> Option<String> {
    let access = record.access.as_ref().map(|access| peek(access.token.expose()));
    let access = access.unwrap_or_default();
    let id = record.id.as_ref().and_then(|id| peek(id.token.expose()).user_id);
    if provider.may_look_into(&access) { access.user_id.or(id) } else { id.or(access.user_id) }
}

/// By what name the tokens of `set` would know the user. An access token for a resource server that
/// comes alone is compared with its like only.
fn known_as(provider: &Provider, record: &Record, set: &OAuthToken) -> Option<String> {
    let theirs = set.access_token().map(|access| peek(access.expose())).unwrap_or_default();
    if set.id_token().is_none() && record.id.is_some() && !provider.may_look_into(&theirs) {
        let access = record.access.as_ref()?;
        return peek(access.token.expose()).user_id;
    }
    record.user.clone()
}
