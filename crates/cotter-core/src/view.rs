//! What callers see of a session: tokens with deadlines on one clock.

use alloc::sync::Arc;
use core::time::Duration;

use crate::error::{Error, SignInReason};
use crate::life::Freshness;
use crate::policy::Policy;
use crate::provider::Unfit;
use crate::record::{Fingerprint, Record, Timed};
use crate::revision::Revision;
use crate::secret::{AccessToken, IdToken};
use crate::time::{BootTime, Now};

/// A token that may be handed out until a moment on the boot clock.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Visible<T> {
    /// The token.
    pub token: T,
    /// Until then nobody need think about it.
    pub fresh_until: BootTime,
    /// Until then it may be handed out.
    pub usable_until: BootTime,
    /// Until then it was granted a moment ago, and another exchange would bring the same (rule 16);
    /// [`BootTime::PAST`] if it came from a sign-in.
    pub recent_until: BootTime,
}

impl<T> Visible<T> {
    fn new(timed: &Timed<T>, exchanged: bool, now: Now, policy: &Policy, jitter: Duration) -> Self
    where
        T: Clone,
    {
        let total = timed.life.total;
        // How much of its life has passed, by whichever clock says more.
        let age = total.saturating_sub(timed.life.left(now));
        let moment = Duration::from_secs(10).min(total / 2).saturating_sub(age);
        Self {
            token: timed.token.clone(),
            fresh_until: timed.life.fresh_until(now, policy, jitter),
            usable_until: timed.life.usable_until(now, policy),
            recent_until: if exchanged && !moment.is_zero() {
                now.boot.saturating_add(moment)
            } else {
                BootTime::PAST
            },
        }
    }

    /// The verdict at this moment.
    pub fn freshness(&self, boot: BootTime) -> Freshness {
        if boot < self.fresh_until {
            Freshness::Fresh
        } else if boot < self.usable_until {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }

    /// Whether it was granted so recently that asking again at once would bring the same.
    fn just_granted(&self, boot: BootTime) -> Option<Duration> {
        let left = self.recent_until.saturating_since(boot);
        (!left.is_zero()).then_some(left)
    }
}

/// What a session's callers see from one publication to the next; never changed, only replaced.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct View {
    /// The revision of the record it was made from.
    pub revision: Revision,
    /// How many refresh tokens the lineage has had.
    pub seq: u64,
    /// The access token, if there is one that may be shown.
    pub access: Option<Visible<AccessToken>>,
    /// The ID token.
    pub id: Option<Visible<IdToken>>,
    /// Recognises the refresh token.
    pub refresh: Option<Fingerprint>,
    /// When the store should be looked at again; [`BootTime::NEVER`] where nobody shares it.
    pub look_again: BootTime,
    /// Why the newest set is not handed out.
    pub held: Option<Unfit>,
    /// Whether what is shown is not durable.
    pub unpersisted: bool,
}

impl View {
    pub(crate) fn new(
        record: &Record,
        revision: Revision,
        now: Now,
        policy: &Policy,
        jitter: Duration,
        shared: bool,
        rejected: Option<Fingerprint>,
    ) -> Self {
        let exchanged = record.exchanged;
        let mut access = record
            .access
            .as_ref()
            .map(|access| Visible::new(access, exchanged, now, policy, jitter));
        if let Some(shown) = &mut access {
            let fingerprint = Some(Fingerprint::of(shown.token.expose()));
            if fingerprint == record.rejected || fingerprint == rejected {
                shown.fresh_until = BootTime::PAST;
                shown.usable_until = BootTime::PAST;
            }
        }
        Self {
            revision,
            seq: record.seq,
            access,
            id: record.id.as_ref().map(|id| Visible::new(id, exchanged, now, policy, jitter)),
            refresh: record.refresh_fingerprint(),
            look_again: if shared {
                now.boot.saturating_add(policy.look_again)
            } else {
                BootTime::NEVER
            },
            held: record.held,
            unpersisted: false,
        }
    }

    /// The same view without this access token, which a resource server refused.
    #[must_use]
    pub fn without_access(&self, rejected: &AccessToken) -> Option<Self> {
        let shown = self.access.as_ref().filter(|shown| shown.token == *rejected)?;
        let mut view = self.clone();
        view.access = Some(Visible {
            fresh_until: BootTime::PAST,
            usable_until: BootTime::PAST,
            ..shown.clone()
        });
        Some(view)
    }

    /// Until when the access token can be handed out without a second thought.
    #[must_use]
    pub fn fast_until(&self) -> BootTime {
        match &self.access {
            // What is in memory only is stored by whoever takes the slow path.
            Some(access) if !self.unpersisted => access.fresh_until.min(self.look_again),
            _ => BootTime::PAST,
        }
    }

    /// The verdict on the token that `want` names.
    #[must_use]
    pub fn freshness(&self, want: Want, boot: BootTime) -> Freshness {
        match want {
            Want::Access => self.access.as_ref().map_or(Freshness::Expired, |t| t.freshness(boot)),
            Want::Id => self.id.as_ref().map_or(Freshness::Expired, |t| t.freshness(boot)),
        }
    }

    /// Whether any access token may still be handed out.
    #[must_use]
    pub fn has_usable_access(&self, boot: BootTime) -> bool {
        self.freshness(Want::Access, boot) != Freshness::Expired
    }

    /// Whether any token may still be handed out.
    pub(crate) fn has_usable_token(&self, boot: BootTime) -> bool {
        self.has_usable_access(boot) || self.freshness(Want::Id, boot) != Freshness::Expired
    }

    /// Whether this view is all that `goal` asks for.
    #[must_use]
    pub fn meets(&self, goal: &Goal, boot: BootTime) -> bool {
        let fresh = self.freshness(goal.want, boot) == Freshness::Fresh;
        match &goal.force {
            Force::No => fresh && self.lasts(goal, boot),
            Force::Now => false,
            Force::Keep => true,
            Force::Rejected(token) => {
                self.serves(goal, boot)
                    && self.access.as_ref().is_some_and(|shown| shown.token != *token)
            }
        }
    }

    /// Whether this view may answer `goal` if nothing better can be had.
    #[must_use]
    pub fn serves(&self, goal: &Goal, boot: BootTime) -> bool {
        let usable = self.freshness(goal.want, boot) != Freshness::Expired;
        match &goal.force {
            Force::No => usable && self.lasts(goal, boot),
            Force::Now => false,
            Force::Keep => usable,
            Force::Rejected(token) => {
                usable && self.access.as_ref().is_some_and(|shown| shown.token != *token)
            }
        }
    }

    /// Why there is no ID token to hand out although an exchange was made.
    pub(crate) fn no_id_token(&self) -> Error {
        Error::protocol(match self.id {
            None => "the server sends no ID token",
            Some(_) => "the server sends no new ID token, and the last one has ended",
        })
    }

    fn lasts(&self, goal: &Goal, boot: BootTime) -> bool {
        let until = match goal.want {
            Want::Access => self.access.as_ref().map(|token| token.usable_until),
            Want::Id => self.id.as_ref().map(|token| token.usable_until),
        };
        goal.at_least.is_zero()
            || until.is_some_and(|until| until.saturating_since(boot) >= goal.at_least)
    }

    /// Why an exchange now would bring nothing new, though `goal` is not met (rule 16).
    #[must_use]
    pub fn pointless(&self, goal: &Goal, boot: BootTime) -> Option<Error> {
        let left = self.access.as_ref().and_then(|access| access.just_granted(boot))?;
        let access = self.access.as_ref()?;
        let refused_at_once = || {
            Some(Error::unavailable(
                "the access token was granted a moment ago and is refused already; \
                 asking for another at once would not help",
                Some(left),
                false,
            ))
        };
        match &goal.force {
            Force::Now | Force::Keep => None,
            Force::Rejected(token)
                if access.token == *token || access.usable_until == BootTime::PAST =>
            {
                refused_at_once()
            }
            Force::Rejected(_) => None,
            // Of the tokens that were granted a moment ago only a rejected one is past its use.
            Force::No if goal.want == Want::Access && access.usable_until == BootTime::PAST => {
                refused_at_once()
            }
            // The one that is there is from an earlier grant, or was over when it came.
            Force::No
                if goal.want == Want::Id
                    && self.freshness(Want::Id, boot) == Freshness::Expired =>
            {
                Some(self.no_id_token())
            }
            Force::No
                if self.freshness(goal.want, boot) != Freshness::Expired
                    && !self.lasts(goal, boot) =>
            {
                Some(Error::config("the server's tokens do not live as long as was asked for"))
            }
            Force::No => None,
        }
    }
}

/// Which token a caller is after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "these two tokens are refreshed")]
pub enum Want {
    /// The access token.
    #[default]
    Access,
    /// The ID token.
    Id,
}

/// Whether an exchange is demanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "core handles each")]
pub enum Force {
    /// Only if the token needs it.
    #[default]
    No,
    /// Exchange now.
    Now,
    /// None: only what could not be stored yet is to be stored.
    Keep,
    /// This access token was refused by a resource server: another one.
    Rejected(AccessToken),
}

/// What a caller wants of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Goal {
    /// Which token.
    pub want: Want,
    /// How long it must still be usable.
    pub at_least: Duration,
    /// Whether an exchange is demanded.
    pub force: Force,
}

impl Goal {
    /// An access token that is usable now.
    #[must_use]
    pub fn access() -> Self {
        Self::default()
    }

    /// An access token that is usable for this long.
    #[must_use]
    pub fn access_for(at_least: Duration) -> Self {
        Self { at_least, ..Self::default() }
    }

    /// An ID token that is usable now.
    #[must_use]
    pub fn id() -> Self {
        Self { want: Want::Id, ..Self::default() }
    }

    /// An ID token that is usable for this long.
    #[must_use]
    pub fn id_for(at_least: Duration) -> Self {
        Self { at_least, ..Self::id() }
    }

    /// A new access token, whatever is there.
    #[must_use]
    pub fn refresh() -> Self {
        Self { force: Force::Now, ..Self::default() }
    }

    /// That what could not be stored yet is stored, and nothing else.
    #[must_use]
    pub fn keep() -> Self {
        Self { force: Force::Keep, ..Self::default() }
    }

    /// Another access token than this one.
    #[must_use]
    pub fn instead_of(rejected: AccessToken) -> Self {
        Self { force: Force::Rejected(rejected), ..Self::default() }
    }
}

/// What a session remembers between flights, beside its view.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Memory {
    /// The newest record seen: its revision and how many refresh tokens its lineage has had.
    pub seen: Option<(Revision, u64)>,
    /// The access token that a resource server refused last.
    pub rejected: Option<Fingerprint>,
    /// That token again, once the record says so too or has another in its place.
    pub noted: Option<Fingerprint>,
    /// What went wrong last, and until when nobody tries again.
    pub trouble: Option<Arc<Trouble>>,
    /// Whether this session was signed out here, whether or not it had been looked at before.
    pub signed_out: bool,
}

/// A failure that callers share until its pause is over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trouble {
    /// What they get.
    pub error: Error,
    /// Until when.
    pub until: BootTime,
    /// Until when the server itself asked to wait; [`BootTime::PAST`] if it did not.
    pub asked_until: BootTime,
    /// How many failures there were in a row.
    pub failures: u32,
    /// Whether nobody tries only because there is a usable token.
    pub resting: bool,
}

/// What to do for a caller, judged from memory alone.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a session handles each")]
pub enum Verdict {
    /// Hand out what is there.
    Serve,
    /// Look at the store again before anything else: others share it, and it was a while ago.
    Look,
    /// Hand out what is there; somebody should see to a better one.
    ServeAndFly,
    /// Nothing to hand out: fly.
    Fly,
    /// Fail at once.
    Fail(Error),
}

impl Memory {
    /// What to do for `goal`, with `view` published, at this moment (rules 16 and 18).
    #[must_use]
    pub fn verdict(&self, view: Option<&View>, goal: &Goal, boot: BootTime) -> Verdict {
        let paused = self.paused(goal, boot);
        let Some(view) = view else {
            return paused.map_or(Verdict::Fly, |trouble| Verdict::Fail(trouble.error.clone()));
        };
        let look = boot >= view.look_again;
        if view.meets(goal, boot) {
            return if look { Verdict::Look } else { Verdict::Serve };
        }
        // No other process is to serve it either: the flight writes that down, and fails alike.
        if matches!(goal.force, Force::Rejected(_)) && self.owes_note(view) {
            return Verdict::Fly;
        }
        if let Some(error) = view.pointless(goal, boot) {
            return Verdict::Fail(error);
        }
        match (view.serves(goal, boot), paused) {
            // What others did to the store is noticed during a pause as well.
            (true, Some(_)) if look => Verdict::Look,
            (true, Some(_)) => Verdict::Serve,
            (true, None) => Verdict::ServeAndFly,
            (false, Some(_)) if look => Verdict::Look,
            (false, Some(trouble)) => Verdict::Fail(trouble.error.clone()),
            (false, None) => Verdict::Fly,
        }
    }

    /// What went wrong last, as long as nobody tries again for `goal`.
    pub(crate) fn paused(&self, goal: &Goal, boot: BootTime) -> Option<&Arc<Trouble>> {
        self.trouble.as_ref().filter(|trouble| match goal.force {
            // Whoever insists waits only where the server asked for it.
            Force::Now => boot < trouble.asked_until,
            _ => boot < trouble.until,
        })
    }

    /// Whether the access token that `view` has was rejected and the record does not say so yet.
    #[must_use]
    pub fn owes_note(&self, view: &View) -> bool {
        let rejected = self.rejected.filter(|_| self.rejected != self.noted);
        rejected.is_some_and(|rejected| {
            let access = view.access.as_ref();
            access.is_some_and(|access| Fingerprint::of(access.token.expose()) == rejected)
        })
    }

    /// Why there is nothing under the key: never, or no longer.
    pub(crate) fn absence(&self) -> SignInReason {
        match self.seen {
            None if !self.signed_out => SignInReason::NeverSignedIn,
            _ => SignInReason::SignedOut,
        }
    }
}
