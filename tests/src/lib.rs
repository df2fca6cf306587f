//! What the scenarios under `tests/tests` share: one session behind one set of blocking calls,
//! whichever face it has, so that a scenario is written once and run on both.

mod person;

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cotter::login::{BlockingUserAgent, HostedPage, SignedInUser, User};
use cotter::{
    AccessToken, Error, Event, OAuthToken, Observer, Policy, Provider, Rotation, SignedIn, Status,
    StoreKey, Verify,
};
use cotter_emulator::Emulator;
use cotter_testkit::{FaultStore, ManualClock};

pub use self::person::{Agent, Awaited, BACK, Person};

/// A store of this process that can be told to fail.
pub type Store = FaultStore<cotter::store::Memory>;

/// A provider that no test reaches: a scripted transport answers for it.
#[must_use]
pub fn scripted_provider() -> Provider {
    // The address and the client are constants that a provider takes.
    Provider::oauth2("https://auth.example/token", "client").expect("both are well-formed")
}

/// A runtime of one thread, polled only where a test says so.
#[must_use]
pub fn lone_runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a machine that runs tests has room for a timer")
}

/// One session, whichever face it has.
pub trait Face: Send + Sync {
    /// Signs in with an oauth_token object.
    fn sign_in(&self, json: &str) -> Result<(), Error>;
    /// An access token.
    fn access(&self) -> Result<AccessToken, Error>;
    /// An access token valid for this long.
    fn access_for(&self, at_least: Duration) -> Result<AccessToken, Error>;
    /// An ID token, as text.
    fn id(&self) -> Result<String, Error>;
    /// The refresh token, as text.
    fn refresh_token(&self) -> Result<String, Error>;
    /// The status.
    fn status(&self) -> Result<Status, Error>;
    /// A forced exchange.
    fn refresh(&self) -> Result<AccessToken, Error>;
    /// Another token than this one.
    fn rejected(&self, token: &AccessToken) -> Result<AccessToken, Error>;
    /// Signs out.
    fn sign_out(&self) -> Result<(), Error>;
    /// What may be handed out at once.
    fn cached(&self) -> Option<AccessToken>;
    /// Whether a shutdown leaves nothing behind.
    fn shuts_down_clean(&self) -> bool;
    /// Signs in by the hosted page.
    fn sign_in_with(
        &self,
        page: HostedPage,
        agent: &dyn BlockingUserAgent,
    ) -> Result<SignedIn, Error>;
    /// Who is signed in.
    fn who(&self) -> Result<SignedInUser, Error>;
    /// Looks a user up.
    fn find_user(&self, identifier: &str) -> Result<Option<User>, Error>;
    /// Makes a user.
    fn create_user(&self, identifier: &str) -> Result<User, Error>;
}

/// Which face.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "there are three")]
pub enum Kind {
    /// tokio and reqwest.
    Async,
    /// tokio and reqwest, on a store whose calls block.
    Offloaded,
    /// Threads and ureq.
    Blocking,
}

/// Everything around a session: server, clock, store, and what was observed.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests take it apart")]
pub struct Rig {
    /// Which face sessions of this rig have.
    pub kind: Kind,
    /// The server.
    pub server: Emulator,
    /// The clock that moves only when the test moves it.
    pub clock: ManualClock,
    /// The store.
    pub store: Arc<Store>,
    /// What observers were told.
    pub events: Log,
    /// How the provider is declared.
    pub rotation: Rotation,
    /// The numbers to go by.
    pub policy: Policy,
    /// Who verifies what the server hands over.
    pub verifier: Option<Arc<dyn Verify>>,
}

/// What an observer was told.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<Event>>>);

impl Log {
    /// What was told so far, taken.
    #[must_use]
    pub fn take(&self) -> Vec<Event> {
        core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Log {
    /// What was told up to and with `event`; observers hear of things after callers do.
    ///
    /// # Panics
    /// If it is not told within five seconds.
    #[must_use]
    pub fn until(&self, event: Event) -> Vec<Event> {
        let mut told = Vec::new();
        for _ in 0..5_000 {
            told.extend(self.take());
            if told.contains(&event) {
                return told;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("{event:?} was not told, but {told:?}");
    }
}

impl Observer for Log {
    fn observe(&self, _key: &StoreKey, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

/// Sleeps by moving the clock.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests build it")]
pub struct Leap(pub ManualClock);

#[async_trait]
impl cotter::Sleeper for Leap {
    async fn sleep(&self, duration: Duration) {
        self.0.advance(duration);
        tokio::task::yield_now().await;
    }
}

impl cotter::blocking::Sleeper for Leap {
    fn sleep(&self, duration: Duration) {
        self.0.advance(duration);
    }
}

impl Rig {
    /// A rig with a server of its own.
    ///
    /// # Panics
    /// If no server can be started.
    #[must_use]
    pub fn new(kind: Kind, config: cotter_emulator::Config) -> Self {
        Self {
            kind,
            server: Emulator::start(config).expect("the emulator starts on loopback"),
            clock: ManualClock::new(),
            store: Arc::new(FaultStore::new(cotter::store::Memory::new())),
            events: Log::default(),
            rotation: Rotation::Strict,
            policy: Policy::default(),
            verifier: None,
        }
    }

    /// A session on this rig's store; each call gives one with a memory of its own, as another
    /// process would have it.
    ///
    /// # Panics
    /// If the parts do not fit together.
    #[must_use]
    pub fn session(&self) -> Box<dyn Face> {
        let provider = Provider::cotter(self.server.api_key_id())
            .and_then(|provider| provider.with_base_url(self.server.base_url()))
            .expect("the emulator has a good address")
            .with_rotation(self.rotation);
        match self.kind {
            Kind::Async | Kind::Offloaded => {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .expect("a runtime can be had");
                let builder = cotter::Session::builder(provider);
                let session = match self.kind {
                    Kind::Offloaded => builder.blocking_store(Arc::clone(&self.store)),
                    _ => builder.store(Arc::clone(&self.store)),
                };
                let session = match &self.verifier {
                    Some(verifier) => session.verify_with(Arc::clone(verifier)),
                    None => session,
                };
                let session = session
                    .transport(
                        cotter::transport::Reqwest::builder().no_proxy().build().expect("a client"),
                    )
                    .clock(self.clock.clone())
                    .sleeper(Leap(self.clock.clone()))
                    .observer(self.events.clone())
                    .policy(self.policy.clone())
                    .build()
                    .expect("the parts fit");
                Box::new(Asynchronous { runtime, session })
            }
            Kind::Blocking => {
                let builder = cotter::blocking::Session::builder(provider);
                let builder = match &self.verifier {
                    Some(verifier) => builder.verify_with(Arc::clone(verifier)),
                    None => builder,
                };
                let session = builder
                    .store(Arc::clone(&self.store))
                    .transport(
                        cotter::transport::Ureq::builder().no_proxy().build().expect("an agent"),
                    )
                    .clock(self.clock.clone())
                    .sleeper(Leap(self.clock.clone()))
                    .observer(self.events.clone())
                    .policy(self.policy.clone())
                    .build()
                    .expect("the parts fit");
                Box::new(session)
            }
        }
    }

    /// A session that ada has just signed in to.
    ///
    /// # Panics
    /// If she cannot.
    #[must_use]
    pub fn signed_in(&self) -> Box<dyn Face> {
        let session = self.session();
        session.sign_in(&self.server.token_set(ADA)).expect("a fresh set signs in");
        session
    }

    /// How many exchanges the server has made.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.server.counters().exchanges
    }

    /// How many requests for an exchange the server has seen.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.server.counters().refresh_requests
    }

    /// Moves the clock so that access and ID token are due, but usable.
    pub fn until_stale(&self) {
        self.clock.advance(Duration::from_secs(3_570));
    }

    /// Moves the clock so that access and ID token have ended.
    pub fn until_expired(&self) {
        self.clock.advance(Duration::from_secs(3_601));
    }
}

/// Who signs in.
pub const ADA: &str = "ada@example.test";

struct Asynchronous {
    runtime: tokio::runtime::Runtime,
    session: cotter::Session,
}

impl Asynchronous {
    /// Where the refresh of a stale token goes on in the background: waits until it has landed, so
    /// that a scenario reads the same on both faces.
    fn settled<T>(&self, result: T) -> T {
        self.runtime.block_on(async {
            for _ in 0..2_000 {
                if !self.session.is_refreshing() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        result
    }
}

impl Face for Asynchronous {
    fn sign_in(&self, json: &str) -> Result<(), Error> {
        self.runtime.block_on(self.session.sign_in(json.parse::<OAuthToken>()?))
    }
    fn access(&self) -> Result<AccessToken, Error> {
        let token = self.runtime.block_on(self.session.access_token());
        self.settled(token)
    }
    fn access_for(&self, at_least: Duration) -> Result<AccessToken, Error> {
        let token = self.runtime.block_on(self.session.access_token_valid_for(at_least));
        self.settled(token)
    }
    fn id(&self) -> Result<String, Error> {
        let token = self.runtime.block_on(self.session.id_token());
        self.settled(token).map(|token| token.expose().to_owned())
    }
    fn refresh_token(&self) -> Result<String, Error> {
        let token = self.runtime.block_on(self.session.refresh_token())?;
        Ok(token.expose().to_owned())
    }
    fn status(&self) -> Result<Status, Error> {
        self.runtime.block_on(self.session.status())
    }
    fn refresh(&self) -> Result<AccessToken, Error> {
        self.runtime.block_on(self.session.refresh())
    }
    fn rejected(&self, token: &AccessToken) -> Result<AccessToken, Error> {
        self.runtime.block_on(self.session.refresh_rejected(token))
    }
    fn sign_out(&self) -> Result<(), Error> {
        self.runtime.block_on(self.session.sign_out()).map(|_| ())
    }
    fn cached(&self) -> Option<AccessToken> {
        self.session.cached_access_token()
    }
    fn shuts_down_clean(&self) -> bool {
        self.runtime.block_on(self.session.shutdown(Duration::from_secs(5))).is_clean()
    }
    fn sign_in_with(
        &self,
        page: HostedPage,
        agent: &dyn BlockingUserAgent,
    ) -> Result<SignedIn, Error> {
        self.runtime.block_on(self.session.sign_in_with(page, Awaited(agent)))
    }
    fn who(&self) -> Result<SignedInUser, Error> {
        self.runtime.block_on(self.session.signed_in_user())
    }
    fn find_user(&self, identifier: &str) -> Result<Option<User>, Error> {
        self.runtime.block_on(self.session.find_user(identifier))
    }
    fn create_user(&self, identifier: &str) -> Result<User, Error> {
        self.runtime.block_on(self.session.create_user(identifier))
    }
}

impl Face for cotter::blocking::Session {
    fn sign_in(&self, json: &str) -> Result<(), Error> {
        self.sign_in(json.parse::<OAuthToken>()?)
    }
    fn access(&self) -> Result<AccessToken, Error> {
        self.access_token()
    }
    fn access_for(&self, at_least: Duration) -> Result<AccessToken, Error> {
        self.access_token_valid_for(at_least)
    }
    fn id(&self) -> Result<String, Error> {
        self.id_token().map(|token| token.expose().to_owned())
    }
    fn refresh_token(&self) -> Result<String, Error> {
        self.refresh_token().map(|token| token.expose().to_owned())
    }
    fn status(&self) -> Result<Status, Error> {
        self.status()
    }
    fn refresh(&self) -> Result<AccessToken, Error> {
        self.refresh()
    }
    fn rejected(&self, token: &AccessToken) -> Result<AccessToken, Error> {
        self.refresh_rejected(token)
    }
    fn sign_out(&self) -> Result<(), Error> {
        self.sign_out().map(|_| ())
    }
    fn cached(&self) -> Option<AccessToken> {
        self.cached_access_token()
    }
    fn shuts_down_clean(&self) -> bool {
        self.shutdown(Duration::from_secs(5)).is_clean()
    }
    fn sign_in_with(
        &self,
        page: HostedPage,
        agent: &dyn BlockingUserAgent,
    ) -> Result<SignedIn, Error> {
        self.sign_in_with(page, agent)
    }
    fn who(&self) -> Result<SignedInUser, Error> {
        self.signed_in_user()
    }
    fn find_user(&self, identifier: &str) -> Result<Option<User>, Error> {
        self.find_user(identifier)
    }
    fn create_user(&self, identifier: &str) -> Result<User, Error> {
        self.create_user(identifier)
    }
}
