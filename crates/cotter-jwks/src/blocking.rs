//! The same for threads.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use cotter_core::BlockingTransport;
use cotter_jwt::{AccessClaims, AccessText, IdClaims, IdText, Invalid, Verifier};

use crate::failure::FetchFailure;
use crate::jwks::Jwks;
use crate::shared::{Attempt, Kind, Next, Shared, TakeOff};

/// Verifies tokens by keys that live at a URL, blocking the thread.
///
/// Cloning is cheap, and clones share keys, memory and the one fetch at a time.
#[derive(Clone, Debug)]
pub struct RemoteVerifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Held by the one fetch under way.
    gate: Mutex<()>,
    shared: Shared,
    transport: Box<dyn BlockingTransport>,
}

impl AsRef<Shared> for RemoteVerifier {
    fn as_ref(&self) -> &Shared {
        &self.0.shared
    }
}

impl Jwks {
    /// Verifies by these keys, fetched over `transport`; the keys that `verifier` has are not used.
    #[must_use]
    pub fn verify_blocking_with(
        self,
        verifier: Verifier,
        transport: impl BlockingTransport + 'static,
    ) -> RemoteVerifier {
        RemoteVerifier(Arc::new(Inner {
            gate: Mutex::new(()),
            shared: Shared::new(self, verifier),
            transport: Box::new(transport),
        }))
    }
}

impl RemoteVerifier {
    /// Verifies an access token.
    ///
    /// # Errors
    /// [`Invalid`], with the reason; one with a `retry_after` is no verdict about the token.
    pub fn verify_access_token<'a>(
        &self,
        token: impl Into<AccessText<'a>>,
    ) -> Result<Arc<AccessClaims>, Invalid> {
        self.verify(token.into().as_str())
    }

    /// Verifies an ID token.
    ///
    /// # Errors
    /// [`Invalid`], with the reason; one with a `retry_after` is no verdict about the token.
    pub fn verify_id_token<'a>(
        &self,
        token: impl Into<IdText<'a>>,
    ) -> Result<Arc<IdClaims>, Invalid> {
        self.verify(token.into().as_str())
    }

    /// Why the last fetch brought no keys; `None` if it did, or if there was none.
    ///
    /// What [`Reason::KeysUnavailable`](cotter_jwt::Reason::KeysUnavailable) does not say, for logs
    /// and for whoever set this up. Old keys may serve all the same.
    #[must_use]
    pub fn last_failure(&self) -> Option<FetchFailure> {
        self.0.shared.last_failure()
    }

    fn verify<C: Kind>(&self, token: &str) -> Result<Arc<C>, Invalid> {
        let shared = &self.0.shared;
        if let Some(claims) = shared.recall(token) {
            return Ok(claims);
        }
        let mut attempt = shared.arrive(token)?;
        loop {
            while let Next::Fetch = shared.next_unless_ruled_out::<C>(token, &attempt)? {
                if !self.fetch(&attempt)? {
                    break;
                }
            }
            if let Some(claims) = shared.conclude(token, &mut attempt)? {
                return Ok(claims);
            }
        }
    }

    /// Fetches, or waits for who does; false if the keys at hand will do meanwhile.
    fn fetch(&self, attempt: &Attempt) -> Result<bool, Invalid> {
        let shared = &self.0.shared;
        let _gate = match self.0.gate.try_lock() {
            Ok(gate) => gate,
            Err(TryLockError::Poisoned(gate)) => gate.into_inner(),
            Err(TryLockError::WouldBlock) if shared.will_do(attempt) => return Ok(false),
            Err(TryLockError::WouldBlock) => {
                self.0.gate.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        let TakeOff::Flying(landing) = Shared::take_off(self, attempt)? else {
            // Somebody else has fetched while this one waited.
            return Ok(true);
        };
        landing.with(self.0.transport.send(shared.request(), shared.jwks.timeout));
        Ok(true)
    }
}
