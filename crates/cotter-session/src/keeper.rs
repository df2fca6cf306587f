//! `Keeper`: many users' sessions over one store and one transport.

use core::time::Duration;
use std::sync::Arc;

use cotter_core::{
    BlockingTokenStore, Clock, Entropy, Error, Policy, Provider, TokenStore, Transport, Verify,
};

use crate::entry::Entry;
use crate::flight::{self, Flight};
use crate::keeper_map::Map;
use crate::observer::Observer;
use crate::offload::Offload;
use crate::session::Session;
use crate::settings::{Common, Settings, Shutdown};
use crate::world::{Sleeper, TokioSleeper, World, runtime};

/// How often a shutdown looks whether sign-ins and sign-outs are done.
const GLANCE: Duration = Duration::from_millis(5);

/// How many locks sign-ins and sign-outs share: one session's are done one after the other.
const TURNSTILES: usize = 64;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) common: Common,
    pub(crate) world: World,
    pub(crate) map: Map<Flight>,
    turnstiles: Vec<tokio::sync::Mutex<()>>,
}

impl Shared {
    /// Sign-ins and sign-outs of one session go through here one by one, so that what is shown last
    /// is what was stored last.
    ///
    /// # Errors
    /// `Unavailable` if one before takes too long: its runtime may not be polled any more.
    pub(crate) async fn turn(&self, name: &str) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        let sum = name.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31) ^ usize::from(byte));
        let turn = self.turnstiles[sum % TURNSTILES].lock();
        tokio::time::timeout(self.common.patience(), turn).await.map_err(|_| {
            Error::unavailable("another sign-in or sign-out took too long", None, false)
        })
    }
}

/// Keeps the sessions of many users: one provider, one store, one transport, one policy.
///
/// Sessions are cheap handles, independent of each other; a bounded number of them is held in
/// memory, the rest rests in the store.
///
/// ```
/// use core::time::Duration;
/// use cotter_core::{OAuthToken, Provider};
/// use cotter_session::Keeper;
/// use cotter_store_memory::Memory;
/// # use cotter_testkit::ScriptedTransport;
/// # let transport = ScriptedTransport::new();
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
///
/// let keeper = Keeper::builder(Provider::oauth2("https://auth.example/token", "my-app")?)
///     .store(Memory::new())
///     .transport(transport)
///     .max_sessions(10_000)
///     .build()?;
/// for user in ["ada", "grace"] {
///     let login: OAuthToken =
///         format!(r#"{{"access_token":"of {user}","refresh_token":"r of {user}","expires_in":3600}}"#)
///             .parse()?;
///     keeper.session(user)?.sign_in(login).await?;
/// }
/// assert_eq!(keeper.session("grace")?.access_token().await?.expose(), "of grace");
/// assert_eq!(keeper.sessions().await?, ["ada", "grace"]);
///
/// let left = keeper.shutdown(Duration::from_secs(10)).await;
/// assert!(left.not_durable.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
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
            sleeper: Arc::new(TokioSleeper),
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
    /// `Store` if the store cannot list; `Config` without a tokio runtime that has timers.
    pub async fn sessions(&self) -> Result<Vec<String>, Error> {
        runtime()?;
        let world = &self.shared.world;
        let keys = world.store_call(async { world.store.list().await }).await?;
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

    /// Refuses new exchanges, waits for what is under way (exchanges, sign-ins, sign-outs) and for
    /// tokens that are not stored yet, and says what is not durable after `deadline`. Without a tokio
    /// runtime that has timers it says so at once.
    pub async fn shutdown(&self, deadline: Duration) -> Shutdown {
        shut_down(&self.shared, &self.shared.map.close(), deadline).await
    }
}

pub(crate) async fn shut_down(
    shared: &Arc<Shared>,
    entries: &[Arc<Entry<Flight>>],
    deadline: Duration,
) -> Shutdown {
    for entry in entries {
        entry.close();
    }
    let all_done = async {
        // Begun together: a flight that hangs holds up nobody else's tokens.
        for entry in entries {
            if let Some((flight, ticket)) = entry.lead_keeping(Flight::new) {
                flight::start(shared, entry, flight, ticket);
            }
        }
        for entry in entries {
            loop {
                if let Some(flight) = entry.flight() {
                    let _ = flight.landed_or(|| false).await;
                } else if let Some((flight, ticket)) = entry.lead_keeping(Flight::new) {
                    flight::start(shared, entry, Arc::clone(&flight), ticket);
                    let _ = flight.landed_or(|| false).await;
                    shared.world.sleeper.sleep(Duration::from_millis(50)).await;
                } else if entry.is_working() {
                    // Nobody is told when a sign-in ends, or a flight that one has detached.
                    tokio::time::sleep(GLANCE).await;
                } else {
                    break;
                }
            }
        }
    };
    // Without a runtime there is nobody to wait on.
    if runtime().is_ok() {
        let _ = tokio::time::timeout(deadline, all_done).await;
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
    store: Option<Arc<dyn TokenStore>>,
    transport: Option<Arc<dyn Transport>>,
    sleeper: Arc<dyn Sleeper>,
}

impl KeeperBuilder {
    /// Where tokens rest.
    pub fn store(mut self, store: impl TokenStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Where tokens rest, in a store whose calls block: they run on a thread of its own.
    pub fn blocking_store(self, store: impl BlockingTokenStore + 'static) -> Self {
        self.store(Offload::new(store))
    }

    /// Who carries requests.
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
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

    /// Who sleeps; tokio's timer by default.
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
            store,
            transport,
            clock: Arc::clone(&common.clock),
            sleeper: self.sleeper,
            store_deadline: common.policy.store_deadline,
        };
        let turnstiles = (0..TURNSTILES).map(|_| tokio::sync::Mutex::new(())).collect();
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
    pub(crate) fn new(provider: Provider) -> Self {
        Self { keeper: Keeper::builder(provider), name: String::from("default") }
    }

    /// The session's name; `default` unless set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Where tokens rest.
    pub fn store(mut self, store: impl TokenStore + 'static) -> Self {
        self.keeper = self.keeper.store(store);
        self
    }

    /// Where tokens rest, in a store whose calls block: they run on a thread of its own.
    pub fn blocking_store(mut self, store: impl BlockingTokenStore + 'static) -> Self {
        self.keeper = self.keeper.blocking_store(store);
        self
    }

    /// Who carries requests.
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
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

    /// Who sleeps; tokio's timer by default.
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
