//! A session over the store that is there, with everything else made only when it is needed.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use cotter::blocking::{Keeper, Session};
use cotter::core::{Expected, LeaseAnswer, LeaseOwner, Loaded, Revision, Sent, Swap};
use cotter::transport::Ureq;
use cotter::{
    BlockingTokenStore, BlockingTransport, Capabilities, Error, Event, Observer, Provider,
    SecretBytes, StoreError, StoreKey, TransportError,
};
use http::{Request, Response};

use crate::failure::{self, Code, Failure};
use crate::output;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::stores::{self, Opened, Place, Store};

/// What looking up a name may take, and connecting after it: an offline machine is told within five
/// seconds that it is.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);

/// How often it is looked whether a token has rested.
const POLL: Duration = Duration::from_millis(500);

/// A request that failed to leave after this long is not worth a second try.
const QUICK: Duration = Duration::from_millis(700);

/// How long the program goes on trying to store what was granted, before it gives the session up.
const KEEP_TRYING: Duration = Duration::from_secs(30);

const SHORT_LIVED: &str = "the server's tokens do not live as long as was asked for";

/// The store, and the sessions in it.
#[derive(Debug)]
pub(crate) struct World<'a> {
    settings: &'a Settings,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) place: Place,
    pub(crate) progress: Arc<Progress>,
    watch: Arc<Watch>,
}

impl<'a> World<'a> {
    /// Over the store that is there; `None` where nothing was ever stored.
    pub(crate) fn open(settings: &'a Settings) -> Result<Option<Self>, Failure> {
        // Before any store is touched: without an id there is nothing to look for.
        settings.provider()?;
        let progress = Arc::new(Progress::new(settings.quiet));
        let opened = stores::open(settings, &progress)?;
        Ok(opened.map(|opened| Self::over(settings, opened, progress)))
    }

    /// Over a store that is made if there is none.
    pub(crate) fn create(settings: &'a Settings) -> Result<Self, Failure> {
        settings.provider()?;
        let progress = Arc::new(Progress::new(settings.quiet));
        Ok(Self::over(settings, stores::create(settings, &progress)?, progress))
    }

    /// Over the store that is there; nobody is signed in where there is none.
    pub(crate) fn need(settings: &'a Settings) -> Result<Self, Failure> {
        Self::open(settings)?
            .ok_or_else(|| Failure::new(Code::SignInRequired, "nobody is signed in"))
    }

    fn over(settings: &'a Settings, opened: Opened, progress: Arc<Progress>) -> Self {
        let Opened { store, place } = opened;
        tracing::info!(kind = place.kind, path = place.path, key = place.key_source, "store");
        Self { settings, store, place, progress, watch: Arc::default() }
    }

    /// The session that the settings name.
    pub(crate) fn session(&self) -> Result<Session, Failure> {
        self.session_of(self.settings.provider()?, &self.settings.session)
    }

    pub(crate) fn session_of(&self, provider: Provider, name: &str) -> Result<Session, Failure> {
        let session = self.keeper(provider)?.session(name);
        session.map_err(|error| Failure::from(error).with_hint("give another name with --session"))
    }

    pub(crate) fn keeper(&self, provider: Provider) -> Result<Keeper, Failure> {
        let store = Watched {
            store: Arc::clone(&self.store),
            // A file is there at once, and so is a database that is open.
            slow: self.place.kind.as_deref() == Some("keyring"),
            progress: Arc::clone(&self.progress),
        };
        Ok(Keeper::builder(provider)
            .store(store)
            .transport(Lazy {
                watch: Some(Arc::clone(&self.watch)),
                ..Lazy::new(self.settings.timeout, Arc::clone(&self.progress))
            })
            .policy(self.settings.policy())
            .observer(Watching(Arc::clone(&self.watch)))
            .build()?)
    }

    /// What `ask` gives. Where nothing but the rest of a token that may be spent stands in its way,
    /// and the server answers, the rest is waited for: an offline machine is told at once.
    pub(crate) fn rested<T>(&self, ask: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
        let resting = |answer: &Result<T, Failure>| {
            let uncertain = answer.as_ref().err().is_some_and(|why| why.code == Code::Uncertain);
            uncertain && !self.watch.asked.load(Ordering::Relaxed)
        };
        let mut answer = ask();
        if resting(&answer) && self.is_reachable()? {
            self.progress.say("waiting until an exchange that broke off must be over");
            let end = Instant::now() + self.settings.timeout.saturating_add(POLL);
            while resting(&answer) && Instant::now() < end {
                thread::sleep(POLL);
                answer = ask();
            }
        }
        answer
    }

    /// Whether the server answers a plain GET of its keys.
    fn is_reachable(&self) -> Result<bool, Failure> {
        let Some(request) = self.settings.provider()?.jwks_request() else { return Ok(false) };
        let client = Lazy::new(CONNECT, Arc::clone(&self.progress));
        Ok(client.send(request, CONNECT.min(self.settings.timeout)).is_ok())
    }

    /// Does not let go of a set that could not be stored: it is the only one that still works.
    pub(crate) fn make_durable(&self, session: &Session) -> Result<(), Failure> {
        if self.watch.shorter.load(Ordering::Relaxed) {
            output::warn(self.settings, SHORT_LIVED);
        }
        if !self.watch.unpersisted.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.progress.say("the new tokens cannot be stored; trying again");
        let left = session.shutdown(KEEP_TRYING);
        self.progress.done();
        if left.is_clean() {
            return Ok(());
        }
        let why = "the new tokens could not be stored, and the old refresh token is spent: \
                   this session is lost";
        Err(Failure::new(Code::Store, why).with_hint(
            "repair the store (`cotter doctor` names it), then sign in again: cotter import FILE",
        ))
    }
}

/// Remembers what a session has to say beside its answers.
#[derive(Debug, Default)]
struct Watch {
    /// Something was to be sent.
    asked: AtomicBool,
    unpersisted: AtomicBool,
    shorter: AtomicBool,
}

#[derive(Clone, Debug)]
struct Watching(Arc<Watch>);

impl Observer for Watching {
    fn observe(&self, _key: &StoreKey, event: Event) {
        match event {
            Event::Unpersisted => self.0.unpersisted.store(true, Ordering::Relaxed),
            Event::Persisted => self.0.unpersisted.store(false, Ordering::Relaxed),
            Event::ShorterThanAsked => self.0.shorter.store(true, Ordering::Relaxed),
            _ => {}
        }
    }
}

/// Sends nothing: for what must not touch the network.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl BlockingTransport for Nowhere {
    fn send(
        &self,
        _request: Request<SecretBytes>,
        _timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        Err(TransportError::not_sent("this command does not use the network"))
    }
}

/// The HTTP client, made when the first request wants to leave: most runs of the program send none.
#[derive(Debug)]
pub(crate) struct Lazy {
    timeout: Duration,
    client: OnceLock<Result<Ureq, Error>>,
    /// Why not, if so.
    unreachable: OnceLock<String>,
    progress: Arc<Progress>,
    watch: Option<Arc<Watch>>,
}

impl Lazy {
    pub(crate) const fn new(timeout: Duration, progress: Arc<Progress>) -> Self {
        let unreachable = OnceLock::new();
        Self { timeout, client: OnceLock::new(), unreachable, progress, watch: None }
    }
}

impl BlockingTransport for Lazy {
    fn send(
        &self,
        request: Request<SecretBytes>,
        timeout: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        if let Some(watch) = &self.watch {
            watch.asked.store(true, Ordering::Relaxed);
        }
        if let Some(why) = self.unreachable.get() {
            return Err(TransportError::not_sent(why.clone()));
        }
        let make = || Ureq::builder().connect_timeout(CONNECT.min(self.timeout)).build();
        let client = match self.client.get_or_init(make) {
            Ok(client) => client,
            Err(error) => {
                return Err(TransportError::config(error.to_string()).with_source(error.clone()));
            }
        };
        self.progress.say("waiting for the server");
        let begun = Instant::now();
        let answer = client.send(request, timeout);
        let millis = begun.elapsed().as_millis();
        match &answer {
            Ok(response) => tracing::debug!(status = response.status().as_u16(), millis, "answer"),
            Err(error) => tracing::debug!(%error, sent = ?error.sent(), millis, "no answer"),
        }
        if let Err(error) = &answer
            && error.sent() == Sent::No
            && begun.elapsed() > QUICK
        {
            let _ = self.unreachable.set(failure::chain(error));
        }
        answer
    }
}

/// The store, and what is said while it makes one wait.
#[derive(Debug)]
struct Watched {
    store: Arc<dyn Store>,
    slow: bool,
    progress: Arc<Progress>,
}

impl Watched {
    fn ask<T>(&self, work: impl FnOnce(&dyn Store) -> T) -> T {
        let store = &*self.store;
        if self.slow {
            self.progress.during("waiting for the keyring", || work(store))
        } else {
            work(store)
        }
    }
}

impl BlockingTokenStore for Watched {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let loaded = self.ask(|store| store.load(key));
        match &loaded {
            Ok(Some(loaded)) => {
                tracing::trace!(revision = loaded.revision.counter, "loaded");
            }
            Ok(None) => tracing::trace!("nothing to load"),
            Err(error) => tracing::debug!(%error, "not loaded"),
        }
        loaded
    }

    fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        let saved = self.ask(|store| store.save(key, record, expected, new));
        match &saved {
            Ok(swap) => tracing::trace!(done = *swap == Swap::Done, revision = new.counter, "save"),
            Err(error) => tracing::debug!(%error, "not saved"),
        }
        saved
    }

    fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        self.ask(|store| store.remove(key, expected))
    }

    fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        let answer = self.store.try_lease(key, ttl);
        match &answer {
            Ok(LeaseAnswer::Held(_)) => {
                self.progress.say("waiting for another process that refreshes this session");
            }
            Ok(_) => self.progress.say("refreshing"),
            Err(error) => tracing::debug!(%error, "no lease"),
        }
        answer
    }

    fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        self.store.release(key, owner)
    }

    fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        self.ask(|store| store.list())
    }
}
