//! What both drivers share: everything but the waiting.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cotter_core::{BootTime, SecretBytes, Timestamp, TransportError};
use cotter_jwt::{
    AccessClaims, CachedVerifier, Flight, IdClaims, Invalid, Judged, KeySet, Plan, Reason, Remote,
    Ticket, Verifier, Wanted,
};
use http::header::{ACCEPT, AGE, CACHE_CONTROL};
use http::{HeaderMap, Method, Request, Response};

use crate::failure::{FetchFailure, FetchFailureKind};
use crate::jwks::Jwks;

#[derive(Debug)]
pub(crate) struct Shared {
    cached: RwLock<CachedVerifier>,
    pub(crate) jwks: Jwks,
    /// Judges what needs no key, and so needs no lock.
    keyless: Verifier,
    last_failure: Mutex<Option<FetchFailure>>,
    /// Until this moment on the boot clock a remembered token needs no look at the keys' age.
    quiet_until: AtomicU64,
    remote: Mutex<Remote>,
}

/// One token, and what it has been through.
pub(crate) struct Attempt {
    /// It names no key, and none of those at hand has made its signature.
    in_vain: bool,
    kid: Option<String>,
    ticket: Ticket,
}

impl Attempt {
    fn wanted(&self) -> Wanted<'_> {
        if self.in_vain { Wanted::Other } else { self.kid.as_deref().into() }
    }

    /// Whether a key that is not at hand may turn this verdict: that of a token without a `kid`
    /// which has not been asked about yet.
    fn is_open(&self, verdict: Invalid) -> bool {
        let by_keys = matches!(verdict.reason(), Reason::NoKey | Reason::Signature);
        self.kid.is_none() && !self.in_vain && by_keys
    }
}

/// What is left to do for it.
pub(crate) enum Next {
    Fetch,
    Judge,
}

/// What came of wanting to fetch.
pub(crate) enum TakeOff<S: AsRef<Shared>> {
    Flying(Landing<S>),
    /// There is no need any more.
    Needless,
    /// Somebody else is under way.
    Taken,
}

impl Shared {
    pub(crate) fn new(jwks: Jwks, verifier: Verifier) -> Self {
        let keyless = verifier.keys(KeySet::empty());
        Self {
            cached: RwLock::new(CachedVerifier::new(keyless.clone(), jwks.remember)),
            keyless,
            last_failure: Mutex::new(None),
            quiet_until: AtomicU64::new(0),
            remote: Mutex::new(Remote::new(jwks.policy)),
            jwks,
        }
    }

    pub(crate) fn recall<C: Kind>(&self, token: &str) -> Option<Arc<C>> {
        if self.jwks.remember == 0 {
            return None;
        }
        let now = self.jwks.clock.now();
        let quiet = now.boot < BootTime::from_millis(self.quiet_until.load(Ordering::Acquire));
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        quiet.then(|| C::recall(&cached, token, now.wall)).flatten()
    }

    /// What no key could save does not get as far as an attempt, which may cost a fetch.
    pub(crate) fn arrive(&self, token: &str) -> Result<Attempt, Invalid> {
        let kid = self.keyless.claimed_kid(token)?;
        Ok(Attempt { in_vain: false, kid, ticket: self.remote().arrive() })
    }

    pub(crate) fn next(&self, attempt: &Attempt) -> Result<Next, Invalid> {
        self.plan(&mut self.remote(), attempt)
    }

    /// The same, unless the token is to wait for keys and its claims say that none would help.
    pub(crate) fn next_unless_ruled_out<C: Kind>(
        &self,
        token: &str,
        attempt: &Attempt,
    ) -> Result<Next, Invalid> {
        let next = self.next(attempt);
        let waits = match &next {
            Ok(Next::Fetch) => true,
            Ok(Next::Judge) => false,
            Err(invalid) => invalid.retry_after().is_some(),
        };
        let why = waits.then(|| self.rule_out::<C>(token)).flatten();
        why.map_or(next, Err)
    }

    /// What speaks against the token whatever its signature is.
    pub(crate) fn rule_out<C: Kind>(&self, token: &str) -> Option<Invalid> {
        C::rule_out(&self.keyless, token, self.jwks.clock.now().wall)
    }

    pub(crate) fn last_failure(&self) -> Option<FetchFailure> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn plan(&self, remote: &mut Remote, attempt: &Attempt) -> Result<Next, Invalid> {
        match remote.plan(attempt.wanted(), attempt.ticket, self.jwks.clock.boot()) {
            Plan::Fetch => Ok(Next::Fetch),
            Plan::Refuse(reason) => Err(reason.into()),
            Plan::Use(_) => Ok(Next::Judge),
        }
    }

    /// Begins a fetch if there still is need of one and nobody else is at it, all in one look.
    pub(crate) fn take_off<S: AsRef<Self>>(
        this: S,
        attempt: &Attempt,
    ) -> Result<TakeOff<S>, Invalid> {
        let shared = this.as_ref();
        let mut remote = shared.remote();
        if let Next::Judge = shared.plan(&mut remote, attempt)? {
            return Ok(TakeOff::Needless);
        }
        if remote.is_flying() {
            return Ok(TakeOff::Taken);
        }
        let flight = Some(remote.begin(attempt.wanted(), shared.jwks.clock.boot()));
        drop(remote);
        Ok(TakeOff::Flying(Landing { flight, shared: this }))
    }

    /// Whether to go on with the keys at hand, since somebody is fetching newer ones already.
    pub(crate) fn will_do(&self, attempt: &Attempt) -> bool {
        self.remote().will_do(attempt.wanted(), self.jwks.clock.boot())
    }

    /// The verdict; none where newer keys might give another, and may be fetched now.
    pub(crate) fn conclude<C: Kind>(
        &self,
        token: &str,
        attempt: &mut Attempt,
    ) -> Result<Option<Arc<C>>, Invalid> {
        match self.judge(token) {
            Err(verdict) if attempt.is_open(verdict) => {
                attempt.in_vain = true;
                match self.next(attempt)? {
                    Next::Fetch => Ok(None),
                    Next::Judge => Err(verdict),
                }
            }
            verdict => verdict.map(Some),
        }
    }

    fn judge<C: Kind>(&self, token: &str) -> Result<Arc<C>, Invalid> {
        let now = self.jwks.clock.now().wall;
        let judged = {
            let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
            C::judge(&cached, token, now)?
        };
        if self.jwks.remember > 0 && judged.is_new() {
            C::remember(&mut self.cached.write().unwrap_or_else(PoisonError::into_inner), &judged);
        }
        Ok(Arc::clone(judged.claims()))
    }

    /// The request for the keys: no credential goes with it.
    pub(crate) fn request(&self) -> Request<SecretBytes> {
        let mut request = Request::new(SecretBytes::default());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.jwks.uri.clone();
        let json = http::HeaderValue::from_static("application/json");
        request.headers_mut().insert(ACCEPT, json);
        request
    }

    fn land(&self, flight: Flight, answer: Option<Result<Response<SecretBytes>, TransportError>>) {
        let now = self.jwks.clock.boot();
        let outcome = self.read(answer);
        let mut remote = self.remote();
        let (keys, failure) = match outcome {
            Ok(keys) => (Some(keys), None),
            Err(failure) => (None, Some(failure)),
        };
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        let changed = remote.complete(flight, now, keys);
        // Under the lock, so that whoever is told to go on finds the keys in place.
        if let Some(keys) = changed {
            self.cached.write().unwrap_or_else(PoisonError::into_inner).replace_keys(keys);
        }
        self.quiet_until.store(remote.quiet_until().as_millis(), Ordering::Release);
    }

    /// The keys, and how long they are fresh.
    fn read(
        &self,
        answer: Option<Result<Response<SecretBytes>, TransportError>>,
    ) -> Result<(KeySet, Duration), FetchFailure> {
        let response = answer.ok_or(FetchFailureKind::GivenUp)??;
        if !response.status().is_success() {
            return Err(FetchFailureKind::Status(response.status()).into());
        }
        let keys = KeySet::from_json(response.body().expose());
        let keys = keys.map_err(|_| FetchFailureKind::NotKeys)?;
        Ok((keys, self.fresh_for(response.headers())))
    }

    /// All lines of `Cache-Control` are one list, and of several ages the first counts (RFC 9111
    /// section 5.1).
    fn fresh_for(&self, headers: &HeaderMap) -> Duration {
        let lines: Vec<_> = headers
            .get_all(CACHE_CONTROL)
            .iter()
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        let age = headers.get(AGE).and_then(|age| age.to_str().ok());
        self.jwks.policy.fresh_for(lines.iter().map(AsRef::as_ref), age)
    }

    fn remote(&self) -> MutexGuard<'_, Remote> {
        self.remote.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a flight whatever happens: a transport that panics counts as one that failed.
pub(crate) struct Landing<S: AsRef<Shared>> {
    flight: Option<Flight>,
    shared: S,
}

impl<S: AsRef<Shared>> Landing<S> {
    pub(crate) fn with(mut self, answer: Result<Response<SecretBytes>, TransportError>) {
        if let Some(flight) = self.flight.take() {
            self.shared.as_ref().land(flight, Some(answer));
        }
    }
}

impl<S: AsRef<Shared>> Drop for Landing<S> {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.shared.as_ref().land(flight, None);
        }
    }
}

/// The two kinds of tokens.
pub(crate) trait Kind: Sized {
    fn judge(cached: &CachedVerifier, token: &str, now: Timestamp)
    -> Result<Judged<Self>, Invalid>;
    fn recall(cached: &CachedVerifier, token: &str, now: Timestamp) -> Option<Arc<Self>>;
    fn remember(cached: &mut CachedVerifier, judged: &Judged<Self>);
    fn rule_out(verifier: &Verifier, token: &str, now: Timestamp) -> Option<Invalid>;
}

impl Kind for AccessClaims {
    fn judge(
        cached: &CachedVerifier,
        token: &str,
        now: Timestamp,
    ) -> Result<Judged<Self>, Invalid> {
        cached.judge_access_token(token, now)
    }

    fn recall(cached: &CachedVerifier, token: &str, now: Timestamp) -> Option<Arc<Self>> {
        cached.recall_access(token, now)
    }

    fn remember(cached: &mut CachedVerifier, judged: &Judged<Self>) {
        cached.remember_access(judged);
    }

    fn rule_out(verifier: &Verifier, token: &str, now: Timestamp) -> Option<Invalid> {
        verifier.rule_out_access_token(token, now)
    }
}

impl Kind for IdClaims {
    fn judge(
        cached: &CachedVerifier,
        token: &str,
        now: Timestamp,
    ) -> Result<Judged<Self>, Invalid> {
        cached.judge_id_token(token, now)
    }

    fn recall(cached: &CachedVerifier, token: &str, now: Timestamp) -> Option<Arc<Self>> {
        cached.recall_id(token, now)
    }

    fn remember(cached: &mut CachedVerifier, judged: &Judged<Self>) {
        cached.remember_id(judged);
    }

    fn rule_out(verifier: &Verifier, token: &str, now: Timestamp) -> Option<Invalid> {
        verifier.rule_out_id_token(token, now)
    }
}
