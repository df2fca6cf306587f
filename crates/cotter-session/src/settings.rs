//! What the builders of both faces collect, and the checks that both make.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::Arc;

use cotter_core::device::DeviceSeed;
use cotter_core::flow::{Context, Enrolment};
use cotter_core::login::{ENTROPY, HostedPage, PendingLogin, SignedIdentity, User};
use cotter_core::{
    Ask, Capabilities, Clock, Entropy, Error, Fingerprint, Handed, Lineage, Now, OAuthToken,
    Policy, Provider, Rotation, Step, StoreKey, Verified, Verify,
};
use zeroize::Zeroizing;

use crate::clock::SystemClock;
use crate::entropy::OsEntropy;
use crate::observer::Observer;

/// How many sessions a keeper holds in memory unless told otherwise.
pub(crate) const MOST_SESSIONS: usize = 100_000;

/// What does not differ between the two faces.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) provider: Provider,
    pub(crate) policy: Policy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) verifier: Option<Arc<dyn Verify>>,
    pub(crate) most_sessions: usize,
}

impl Settings {
    pub(crate) fn new(provider: Provider) -> Self {
        Self {
            provider,
            policy: Policy::default(),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy::new()),
            observer: None,
            verifier: None,
            most_sessions: MOST_SESSIONS,
        }
    }

    /// Checks that everything fits together, once, before the first token.
    pub(crate) fn check(self, store: Capabilities) -> Result<Common, Error> {
        self.policy.validate()?;
        self.provider.validate()?;
        let rotates = self.provider.rotation() != Rotation::None;
        if rotates && store.shared && !(store.lease && store.compare_and_set) {
            return Err(Error::config(
                "this store is shared but has no lease or no compare-and-set; \
                 with a provider that rotates refresh tokens two processes would lose the session",
            ));
        }
        Ok(Common {
            key: self.provider.store_key("")?,
            provider: Arc::new(self.provider),
            policy: Arc::new(self.policy),
            clock: self.clock,
            entropy: self.entropy,
            observer: self.observer,
            verifier: self.verifier.map(|verifier| Arc::new(Careful(verifier)) as Arc<dyn Verify>),
            store,
        })
    }
}

/// A verifier that may panic: what it cannot judge is not handed out, and the new refresh token is
/// stored all the same (rules 4 and 20).
#[derive(Debug)]
struct Careful(Arc<dyn Verify>);

impl Verify for Careful {
    fn verify(&self, tokens: Handed, now: Now) -> Step<Verified> {
        careful(catch_unwind(AssertUnwindSafe(|| self.0.verify(tokens, now))))
    }
}

fn careful(step: std::thread::Result<Step<Verified>>) -> Step<Verified> {
    match step {
        Err(_) => Step::Done(Verified::Unsound("verifier_panicked")),
        Ok(Step::Send(ask)) => {
            let (request, then) = ask.split();
            Step::Send(Ask::new(request, |now, reply| {
                careful(catch_unwind(AssertUnwindSafe(|| then.answer(now, reply))))
            }))
        }
        Ok(Step::Sleep(ask)) => {
            let (pause, then) = ask.split();
            Step::Sleep(Ask::new(pause, |now, ()| {
                careful(catch_unwind(AssertUnwindSafe(|| then.answer(now, ()))))
            }))
        }
        Ok(step) => step,
    }
}

/// What every session of a keeper shares, whichever face it has.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) key: StoreKey,
    pub(crate) provider: Arc<Provider>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) verifier: Option<Arc<dyn Verify>>,
    pub(crate) store: Capabilities,
}

impl Common {
    /// How long one caller waits for another. A flight keeps to its budget; what it may add is one
    /// exchange and one save.
    pub(crate) fn patience(&self) -> Duration {
        self.policy.longest_flight().saturating_mul(2)
    }

    pub(crate) fn context(&self, key: &StoreKey) -> Context {
        let mut seed = [0; 8];
        // Without randomness the jitter is gone, nothing else.
        let _ = self.entropy.fill(&mut seed);
        Context {
            provider: Arc::clone(&self.provider),
            policy: Arc::clone(&self.policy),
            store: self.store,
            key: key.clone(),
            seed: u64::from_le_bytes(seed),
            verifier: self.verifier.clone(),
        }
    }

    /// The key of the session called `name`.
    pub(crate) fn session_key(&self, name: &str) -> Result<StoreKey, Error> {
        let key = self.key.with_session(name)?;
        if key.is_reserved() {
            return Err(Error::config(
                "a session cannot have this name: a device is kept under it",
            ));
        }
        Ok(key)
    }

    /// What an enrolment of this user's device needs.
    pub(crate) fn enrolment(&self, user_id: String, name: &str) -> Result<Enrolment, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        self.entropy
            .fill(&mut *seed)
            .map_err(|error| Error::config("a device's key needs randomness").with_source(error))?;
        let seed = DeviceSeed::new(*seed);
        Ok(Enrolment { user_id, name: name.to_owned(), seed, lineage: self.lineage()? })
    }

    /// Begins a login that comes back to `redirect_url`.
    pub(crate) fn begin(
        &self,
        page: &HostedPage,
        redirect_url: &str,
    ) -> Result<PendingLogin, Error> {
        let mut bytes = Zeroizing::new([0; ENTROPY]);
        self.entropy.fill(&mut *bytes).map_err(|error| {
            Error::config("a login needs randomness for its secrets").with_source(error)
        })?;
        page.begin(&self.provider, redirect_url, &bytes)
    }

    /// A name for a new lineage.
    pub(crate) fn lineage(&self) -> Result<Lineage, Error> {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes).map_err(|error| {
            Error::config("a sign-in needs randomness to name it").with_source(error)
        })?;
        Ok(Lineage::from_bytes(bytes))
    }
}

/// The fingerprint of the refresh token in a set, if there is one.
pub(crate) fn fingerprint(tokens: &OAuthToken) -> Option<Fingerprint> {
    tokens.refresh_token().map(|token| Fingerprint::of(token.expose()))
}

pub(crate) fn held_elsewhere() -> Error {
    Error::config(
        "another session of this keeper holds the same refresh token; \
         two sessions that share one would lose it at the first refresh",
    )
}

/// Whom a login has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedIn {
    /// The address that was verified, by the server's signature.
    pub identity: SignedIdentity,
    /// The user, where the server said.
    pub user: Option<User>,
}

/// What a shutdown leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// Sessions whose newest tokens live in memory only and end with the process.
    pub not_durable: Vec<String>,
    /// Sessions of which an exchange, a sign-in or a sign-out was still under way at the deadline.
    pub unfinished: Vec<String>,
}

impl Shutdown {
    /// Whether everything is stored and nothing is under way.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.not_durable.is_empty() && self.unfinished.is_empty()
    }
}
