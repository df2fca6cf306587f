use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use cotter_core::BootTime;

use crate::freshness::{Freshness, seconds};
use crate::keyset::KeySet;
use crate::reason::Reason;

/// How long keys that were fetched are good for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RemotePolicy {
    /// How long after a fetch for a key that is not there no second one is made, and how long after
    /// the first of several failures none; at least 10 seconds.
    pub cool_down: Duration,
    /// How many unknown `kid`s are remembered as such.
    pub max_unknown: usize,
    /// The longest that a server's `max-age` is believed.
    pub max_ttl: Duration,
    /// The shortest time between two fetches that nothing but age calls for. With none, a server
    /// that wants nothing kept is asked for each token anew.
    pub min_ttl: Duration,
    /// How long old keys are used when new ones cannot be fetched.
    pub stale_if_error: Duration,
    /// How long keys are fresh when the server does not say.
    pub ttl: Duration,
    /// How long a `kid` that was looked for in vain is not looked for again, even when the cool-down
    /// is over; never beyond the time that the keys are fresh.
    pub unknown_ttl: Duration,
}

impl Default for RemotePolicy {
    fn default() -> Self {
        Self {
            cool_down: Self::MIN_COOL_DOWN,
            max_unknown: 256,
            max_ttl: Duration::from_secs(24 * 3600),
            min_ttl: Duration::from_secs(30),
            stale_if_error: Duration::from_secs(24 * 3600),
            ttl: Duration::from_secs(600),
            unknown_ttl: Duration::from_secs(30),
        }
    }
}

impl RemotePolicy {
    /// The shortest cool-down there is.
    pub const MIN_COOL_DOWN: Duration = Duration::from_secs(10);
    const MAX_BACK_OFF: Duration = Duration::from_secs(60);

    /// How long an answer with these headers is fresh (RFC 9111 section 4.2).
    ///
    /// All lines of `Cache-Control` count as one list. What contradicts itself or cannot be read is
    /// stale at once (section 4.2.1), and numbers too large to hold are as large as can be.
    ///
    /// ```
    /// use core::time::Duration;
    /// use cotter_jwt::RemotePolicy;
    ///
    /// let policy = RemotePolicy::default();
    /// let fresh = policy.fresh_for(["public", "max-age=3600"], Some("600"));
    /// assert_eq!(fresh, Duration::from_secs(3000));
    /// assert_eq!(policy.fresh_for(None, None), policy.ttl);
    /// assert_eq!(policy.fresh_for(["max-age=3600", "no-cache"], None), policy.min_ttl);
    /// ```
    #[must_use]
    pub fn fresh_for<'a>(
        &self,
        cache_control: impl IntoIterator<Item = &'a str>,
        age: Option<&str>,
    ) -> Duration {
        let fresh = match Freshness::of(cache_control) {
            Freshness::Unsaid => self.ttl,
            Freshness::Stale => Duration::ZERO,
            Freshness::Seconds(most) => {
                let age = age.and_then(|age| seconds(age.trim())).unwrap_or_default();
                Duration::from_secs(most.saturating_sub(age))
            }
        };
        fresh.clamp(self.min_ttl.min(self.max_ttl), self.max_ttl)
    }

    fn back_off(&self, failures: u32) -> Duration {
        let first = self.cool_down.max(Self::MIN_COOL_DOWN);
        first.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(Self::MAX_BACK_OFF)
    }
}

/// Keys that live at a URL: when to fetch them, what to use meanwhile, when to say "not now".
///
/// It decides and does nothing: a driver (`cotter-jwks` has an async and a blocking one) asks
/// [`plan`](Self::plan), fetches with one flight at a time, and reports.
///
/// ```text
/// arrive -> ticket
/// plan(wanted, ticket) -> Use(keys)      verify with them
///                         Refuse(reason) answer it
///                         Fetch          begin -> GET -> complete, then plan again with the ticket
/// ```
///
/// However many tokens with made-up `kid`s arrive, they cause one fetch in a cool-down. The token
/// whose own fetch has not brought its key is refused for good ([`Reason::KidUnknown`]), and so are
/// others of its `kid` for a short time once the cool-down is over; in the cool-down any is told to
/// come again ([`Reason::KidUnknownForNow`]).
///
/// A token that names no key is verified with those at hand. If none of them has made its signature,
/// plan once more with [`Wanted::Other`]: that fetches within the same cool-down.
///
/// ```
/// use cotter_core::BootTime;
/// use cotter_jwt::{KeySet, Plan, Remote, RemotePolicy};
///
/// let mut remote = Remote::new(RemotePolicy::default());
/// let now = BootTime::from_millis(1_000);
/// let ticket = remote.arrive();
/// assert!(matches!(remote.plan(Some("1"), ticket, now), Plan::Fetch));
///
/// let flight = remote.begin(Some("1"), now);
/// let keys = KeySet::from_json(r#"{"keys":[{"kty":"EC","kid":"1"}]}"#)?;
/// remote.complete(flight, now, Some((keys, RemotePolicy::default().ttl)));
/// assert!(matches!(remote.plan(Some("1"), ticket, now), Plan::Use(_)));
/// # Ok::<(), cotter_jwt::KeySetError>(())
/// ```
#[derive(Debug)]
pub struct Remote {
    begun: u64,
    failures: u32,
    fetched: Option<Fetched>,
    /// The fetch under way; whoever cannot do without is to wait for it.
    flying: Option<u64>,
    /// Not before this moment again because the last fetch failed.
    next_try: BootTime,
    /// Not before this moment again for a key that is not there.
    next_try_for_other: BootTime,
    policy: RemotePolicy,
    unknown: VecDeque<(BootTime, String)>,
}

#[derive(Debug)]
struct Fetched {
    flight: u64,
    fresh_until: BootTime,
    keys: Arc<KeySet>,
    stale_until: BootTime,
}

/// What to do for one token.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver that misses an arm must not compile")]
pub enum Plan {
    /// Fetch the keys, or wait for the fetch that is under way; then plan again.
    Fetch,
    /// Answer this.
    Refuse(Reason),
    /// Verify with these.
    Use(Arc<KeySet>),
}

/// Which key a token asks for.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver that misses an arm must not compile")]
pub enum Wanted<'a> {
    /// It names none.
    Any,
    /// The one of this `kid`.
    Kid(&'a str),
    /// It names none, and none of those at hand has made its signature.
    Other,
}

impl<'a> From<Option<&'a str>> for Wanted<'a> {
    fn from(kid: Option<&'a str>) -> Self {
        kid.map_or(Self::Any, Self::Kid)
    }
}

/// Which fetches one token has seen begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// A fetch under way.
#[derive(Debug)]
#[must_use = "a fetch has to be completed"]
pub struct Flight(u64);

impl Remote {
    /// No keys yet.
    #[must_use]
    pub fn new(policy: RemotePolicy) -> Self {
        Self {
            begun: 0,
            failures: 0,
            fetched: None,
            flying: None,
            next_try: BootTime::PAST,
            next_try_for_other: BootTime::PAST,
            policy,
            unknown: VecDeque::new(),
        }
    }

    /// What it goes by.
    #[must_use]
    pub const fn policy(&self) -> &RemotePolicy {
        &self.policy
    }

    /// A token has come. Only a fetch that begins after this can show that its key does not exist.
    #[must_use]
    pub const fn arrive(&self) -> Ticket {
        Ticket(self.begun)
    }

    /// What to do for a token that asks for this key.
    #[must_use]
    pub fn plan<'a>(
        &mut self,
        wanted: impl Into<Wanted<'a>>,
        ticket: Ticket,
        now: BootTime,
    ) -> Plan {
        let wanted = wanted.into();
        let too_early = self.wait(self.next_try, now);
        let Some(fetched) = &self.fetched else { return unless(too_early) };
        // What was fetched for this very token is good for it, however short its life.
        let own = fetched.flight > ticket.0;
        let usable = own || now < fetched.stale_until;
        if !usable && too_early.is_some() {
            return unless(too_early);
        }
        if !self.lacks(wanted) {
            // Old keys serve while new ones cannot be had.
            let good = own || usable && (now < fetched.fresh_until || now < self.next_try);
            return if good { Plan::Use(Arc::clone(&fetched.keys)) } else { Plan::Fetch };
        }
        match wanted {
            Wanted::Kid(kid) if own => {
                self.note_unknown(kid, now);
                Plan::Refuse(Reason::KidUnknown)
            }
            Wanted::Kid(kid) => {
                let in_vain = now < self.in_vain_until(kid).min(fetched.fresh_until);
                match self.wait(self.next_try.max(self.next_try_for_other), now) {
                    Some(retry_after) => Plan::Refuse(Reason::KidUnknownForNow { retry_after }),
                    None if in_vain && self.flying.is_none() => Plan::Refuse(Reason::KidUnknown),
                    None => Plan::Fetch,
                }
            }
            Wanted::Any | Wanted::Other => {
                let too_early = self.wait(self.next_try.max(self.next_try_for_other), now);
                let settled = usable && (own || too_early.is_some());
                if settled { Plan::Use(Arc::clone(&fetched.keys)) } else { Plan::Fetch }
            }
        }
    }

    /// A fetch begins, for a token that asks for this key. One at a time is for the driver to see
    /// to.
    pub fn begin<'a>(&mut self, wanted: impl Into<Wanted<'a>>, now: BootTime) -> Flight {
        self.begun += 1;
        if self.lacks(wanted.into()) {
            let cool_down = self.policy.cool_down.max(RemotePolicy::MIN_COOL_DOWN);
            self.next_try_for_other = now.saturating_add(cool_down);
        }
        self.flying = Some(self.begun);
        Flight(self.begun)
    }

    /// The fetch has ended: with keys and how long they are fresh, or with nothing usable.
    ///
    /// Gives the keys if they are others than before. An answer that comes after that of a later
    /// fetch is dropped: it must not bring a key back that was removed.
    pub fn complete(
        &mut self,
        flight: Flight,
        now: BootTime,
        outcome: Option<(KeySet, Duration)>,
    ) -> Option<Arc<KeySet>> {
        self.flying = self.flying.filter(|flying| *flying != flight.0);
        if self.fetched.as_ref().is_some_and(|fetched| fetched.flight > flight.0) {
            return None;
        }
        let Some((keys, fresh)) = outcome else {
            self.failures = self.failures.saturating_add(1);
            self.next_try = now.saturating_add(self.policy.back_off(self.failures));
            return None;
        };
        self.failures = 0;
        self.next_try = BootTime::PAST;
        self.unknown.retain(|(_, kid)| !keys.knows(kid));
        let fresh_until = now.saturating_add(fresh);
        let same = self.fetched.take().map(|old| old.keys).filter(|old| old.id() == keys.id());
        let changed = same.is_none();
        let keys = same.unwrap_or_else(|| Arc::new(keys));
        self.fetched = Some(Fetched {
            flight: flight.0,
            fresh_until,
            keys: Arc::clone(&keys),
            stale_until: fresh_until.saturating_add(self.policy.stale_if_error),
        });
        changed.then_some(keys)
    }

    /// Until when nothing but a key that is not there can call for a fetch.
    #[must_use]
    pub fn quiet_until(&self) -> BootTime {
        self.fetched.as_ref().map_or(BootTime::PAST, |fetched| {
            fetched.fresh_until.max(self.next_try).min(fetched.stale_until)
        })
    }

    /// Whether the keys at hand will do for a token that asks for this key, while somebody else
    /// fetches newer ones.
    #[must_use]
    pub fn will_do<'a>(&self, wanted: impl Into<Wanted<'a>>, now: BootTime) -> bool {
        let usable = self.fetched.as_ref().is_some_and(|fetched| now < fetched.stale_until);
        usable && !self.lacks(wanted.into())
    }

    /// Whether a fetch is under way.
    #[must_use]
    pub const fn is_flying(&self) -> bool {
        self.flying.is_some()
    }

    /// How long to stay away from the server; not at all if an answer of its is on the way.
    fn wait(&self, until: BootTime, now: BootTime) -> Option<Duration> {
        (now < until && self.flying.is_none()).then(|| until.saturating_since(now))
    }

    /// Whether there are keys, and what is wanted is not among them.
    fn lacks(&self, wanted: Wanted<'_>) -> bool {
        self.fetched.as_ref().is_some_and(|fetched| match wanted {
            Wanted::Any => false,
            Wanted::Kid(kid) => !fetched.keys.knows(kid),
            Wanted::Other => true,
        })
    }

    fn in_vain_until(&self, kid: &str) -> BootTime {
        let known = self.unknown.iter().find(|(_, known)| known == kid);
        known.map_or(BootTime::PAST, |(until, _)| *until)
    }

    fn note_unknown(&mut self, kid: &str, now: BootTime) {
        self.unknown.retain(|(until, known)| now < *until && known != kid);
        if self.unknown.len() >= self.policy.max_unknown {
            self.unknown.pop_front();
        }
        if self.policy.max_unknown > 0 {
            self.unknown
                .push_back((now.saturating_add(self.policy.unknown_ttl), String::from(kid)));
        }
    }
}

/// Fetch, unless it is too early for it.
const fn unless(too_early: Option<Duration>) -> Plan {
    match too_early {
        Some(retry_after) => Plan::Refuse(Reason::KeysUnavailable { retry_after }),
        None => Plan::Fetch,
    }
}
