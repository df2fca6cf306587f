//! `Keeper`: many users' sessions over one store and one transport, for threads.

use core::time::Duration;
use std::sync::Arc;

use cotter_core::{
    BlockingTokenStore, BlockingTransport, Clock, Entropy, Error, Policy, Provider, Verify,
};

use super::desk::Desk;
use super::drive::World;
use super::flight::{self, Flight};
use super::session::Session;
use crate::clock;
use crate::entry::Entry;
use crate::keeper_map::Map;
use crate::observer::Observer;
use crate::settings::{Common, Settings, Shutdown};
use crate::sync::Mutex;

/// How often a shutdown looks whether sign-ins and sign-outs are done.
const GLANCE: Duration = Duration::from_millis(5);

/// How many locks sign-ins and sign-outs share: one session's are done one after the other.
const TURNSTILES: usize = 64;

/// Waits on the thread.
///
/// The default sleeps; tests put one here that moves a manual clock instead.
pub trait Sleeper: Send + Sync + core::fmt::Debug {
    /// Returns after `duration`.
    fn sleep(&self, duration: Duration);
}

#[derive(Debug)]
struct ThreadSleeper;

impl Sleeper for ThreadSleeper {
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) common: Common,
    pub(super) world: World,
    pub(super) map: Map<Flight>,
    turnstiles: Vec<Mutex<()>>,
}

impl Shared {
    /// Sign-ins and sign-outs of one session go through here one by one, so that what is shown last
    /// is what was stored last.
    pub(super) fn turnstile(&self, name: &str) -> &Mutex<()> {
        let sum = name.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31) ^ usize::from(byte));
        &self.turnstiles[sum % TURNSTILES]
    }
}

/// Keeps the sessions of many users: one provider, one store, one transport, one policy.
///
/// The blocking twin of the async `Keeper`.
///
/// ```
/// use cotter_core::{OAuthToken, Provider};
/// use cotter_session::blocking::Keeper;
/// use cotter_store_memory::Memory;
/// # use cotter_testkit::ScriptedTransport;
/// # let transport = ScriptedTransport::new();
///
/// let keeper = Keeper::builder(Provider::oauth2("https://auth.example/token", "my-app")?)
///     .store(Memory::new())
///     .transport(transport)
///     .build()?;
/// let login: OAuthToken =
///     r#"{"access_token":"of ada","refresh_token":"r1","expires_in":3600}"#.parse()?;
/// keeper.session("ada")?.sign_in(login)?;
/// assert_eq!(keeper.session("ada")?.access_token()?.expose(), "of ada");
/// assert!(keeper.session("grace")?.access_token().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
}

impl Keeper {
    /// Begins to put a keeper together.
    #[must_use]
    pub fn builder(provider: Provider) -> KeeperBuilder {
        KeeperBuilder {
            settings: Settings::new(provider),
            store: None,
            transport: None,
            sleeper: Arc::new(ThreadSleeper),
        }
    }

    /// The session called `name`: any text up to 4096 bytes, a user id say.
    ///
    /// # Errors
    /// `Config` if the name is too long; `Unavailable` if as many sessions as the keeper may hold
    /// are in use.
    pub fn session(&self, name: &str) -> Result<Session, Error> {
        let (shared, boot) = (&self.shared, self.shared.world.clock.boot());
        let entry = shared.map.entry(name, boot, || shared.common.session_key(name))?;
        Ok(Session::new(Arc::clone(shared), entry))
    }

    /// The names of the sessions in the store that belong to this provider and client.
    ///
    /// # Errors
    /// `Store` if the store cannot list.
    pub fn sessions(&self) -> Result<Vec<String>, Error> {
        let keys = self.shared.world.store_call(|store| store.list())?;
        let own = &self.shared.common.key;
        let mut names: Vec<String> = keys
            .iter()
            .filter(|key| key.provider() == own.provider() && key.client() == own.client())
            .filter(|key| !key.is_reserved())
            .map(|key| key.session().to_owned())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// How many sessions are held in memory.
    #[must_use]
    pub fn held_in_memory(&self) -> usize {
        self.shared.map.len()
    }

    /// Refuses new exchanges, waits for what is under way (exchanges, sign-ins, sign-outs), tries once
    /// more to store what is not stored yet, and says what is not durable after `deadline`.
    #[must_use]
    pub fn shutdown(&self, deadline: Duration) -> Shutdown {
        shut_down(&self.shared, &self.shared.map.close(), deadline)
    }
}

pub(super) fn shut_down(
    shared: &Shared,
    entries: &[Arc<Entry<Flight>>],
    deadline: Duration,
) -> Shutdown {
    for entry in entries {
        entry.close();
    }
    let end = clock::deadline(deadline);
    let mut left: Vec<_> = entries.iter().collect();
    // All in turn: a flight that hangs holds up nobody else's tokens.
    while !clock::until(end).is_zero() {
        left.retain(|entry| {
            if clock::until(end).is_zero() {
                return true;
            }
            match entry.lead_keeping(Flight::new) {
                Some((flight, ticket)) => {
                    let _ = flight::fly(shared, entry, &flight, ticket);
                    entry.has_kept() || entry.is_working()
                }
                None => entry.is_working(),
            }
        });
        let pause = Duration::from_millis(50).min(clock::until(end));
        match left.iter().find_map(|entry| entry.flight()) {
            Some(flight) => drop(flight.wait(pause, || false)),
            None if left.is_empty() => break,
            None if left.iter().any(|entry| entry.has_kept()) => shared.world.sleeper.sleep(pause),
            // Nobody is told when a sign-in ends, or a flight that one has detached.
            None => std::thread::sleep(GLANCE.min(pause)),
        }
    }
    let name = |entry: &Arc<Entry<Flight>>| entry.key().session().to_owned();
    Shutdown {
        not_durable: entries
            .iter()
            .filter(|entry| entry.has_kept() || entry.has_unpersisted_view())
            .map(name)
            .collect(),
        unfinished: entries.iter().filter(|entry| entry.is_working()).map(name).collect(),
    }
}

/// Puts a [`Keeper`] together; a store and a transport are needed, the rest has defaults.
#[derive(Debug)]
#[must_use]
pub struct KeeperBuilder {
    settings: Settings,
    store: Option<Arc<dyn BlockingTokenStore>>,
    transport: Option<Arc<dyn BlockingTransport>>,
    sleeper: Arc<dyn Sleeper>,
}

impl KeeperBuilder {
    /// Where tokens rest. It is called on a thread of its own, one call after the other; who waits for one
    /// longer than the policy's store deadline is told `Timeout`.
    pub fn store(mut self, store: impl BlockingTokenStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Who carries requests.
    pub fn transport(mut self, transport: impl BlockingTransport + 'static) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// The windows, budgets and back-offs.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// The clock; the machine's own by default.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// Who sleeps; the thread by default.
    pub fn sleeper(mut self, sleeper: impl Sleeper + 'static) -> Self {
        self.sleeper = Arc::new(sleeper);
        self
    }

    /// The randomness; the operating system's by default.
    pub fn entropy(mut self, entropy: impl Entropy + 'static) -> Self {
        self.settings.entropy = Arc::new(entropy);
        self
    }

    /// Who is told what happens.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }

    /// Who checks the signature of every set that the server hands over; nobody by default, since
    /// the sets come over TLS from the server itself.
    pub fn verify_with(mut self, verifier: impl Verify + 'static) -> Self {
        self.settings.verifier = Some(Arc::new(verifier));
        self
    }

    /// How many sessions are held in memory; 100 000 by default.
    pub fn max_sessions(mut self, most: usize) -> Self {
        self.settings.most_sessions = most;
        self
    }

    /// The keeper.
    ///
    /// # Errors
    /// `Config` if there is no store or no transport, or if they cannot do what the provider needs.
    pub fn build(self) -> Result<Keeper, Error> {
        let store = self.store.ok_or_else(|| Error::config("no store was given"))?;
        let transport = self.transport.ok_or_else(|| Error::config("no transport was given"))?;
        let most = self.settings.most_sessions;
        let common = self.settings.check(store.capabilities())?;
        let world = World {
            store: Desk::new(store, common.policy.store_deadline),
            transport,
            clock: Arc::clone(&common.clock),
            sleeper: self.sleeper,
        };
        let turnstiles = (0..TURNSTILES).map(|_| Mutex::new(())).collect();
        Ok(Keeper { shared: Arc::new(Shared { common, world, map: Map::new(most), turnstiles }) })
    }
}

/// Puts a single [`Session`] together; a keeper with one name.
#[derive(Debug)]
#[must_use]
pub struct SessionBuilder {
    keeper: KeeperBuilder,
    name: String,
}

impl SessionBuilder {
    pub(super) fn new(provider: Provider) -> Self {
        Self { keeper: Keeper::builder(provider), name: String::from("default") }
    }

    /// The session's name; `default` unless set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Where tokens rest. It is called on a thread of its own, one call after the other; who waits for one
    /// longer than the policy's store deadline is told `Timeout`.
    pub fn store(mut self, store: impl BlockingTokenStore + 'static) -> Self {
        self.keeper = self.keeper.store(store);
        self
    }

    /// Who carries requests.
    pub fn transport(mut self, transport: impl BlockingTransport + 'static) -> Self {
        self.keeper = self.keeper.transport(transport);
        self
    }

    /// The windows, budgets and back-offs.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.keeper = self.keeper.policy(policy);
        self
    }

    /// The clock; the machine's own by default.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.keeper = self.keeper.clock(clock);
        self
    }

    /// Who sleeps; the thread by default.
    pub fn sleeper(mut self, sleeper: impl Sleeper + 'static) -> Self {
        self.keeper = self.keeper.sleeper(sleeper);
        self
    }

    /// The randomness; the operating system's by default.
    pub fn entropy(mut self, entropy: impl Entropy + 'static) -> Self {
        self.keeper = self.keeper.entropy(entropy);
        self
    }

    /// Who is told what happens.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.keeper = self.keeper.observer(observer);
        self
    }

    /// Who checks the signature of every set that the server hands over; nobody by default, since
    /// the sets come over TLS from the server itself.
    pub fn verify_with(mut self, verifier: impl Verify + 'static) -> Self {
        self.keeper = self.keeper.verify_with(verifier);
        self
    }

    /// The session.
    ///
    /// # Errors
    /// `Config` if there is no store or no transport, or if they cannot do what the provider needs.
    pub fn build(self) -> Result<Session, Error> {
        self.keeper.build()?.session(&self.name)
    }
}
