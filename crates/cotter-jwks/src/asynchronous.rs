use std::sync::Arc;

use cotter_core::Transport;
use cotter_jwt::{AccessClaims, AccessText, IdClaims, IdText, Invalid, Verifier};
use tokio::sync::Mutex;

use crate::failure::FetchFailure;
use crate::jwks::Jwks;
use crate::shared::{Attempt, Kind, Next, Shared, TakeOff};

/// Verifies tokens by keys that live at a URL.
///
/// Cloning is cheap, and clones share keys, memory and the one fetch at a time. A fetch goes on
/// when the caller that began it is dropped.
#[derive(Clone, Debug)]
pub struct RemoteVerifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Held by the one fetch under way.
    gate: Arc<Mutex<()>>,
    shared: Shared,
    transport: Box<dyn Transport>,
}

impl AsRef<Shared> for RemoteVerifier {
    fn as_ref(&self) -> &Shared {
        &self.0.shared
    }
}

impl Jwks {
    /// Verifies by these keys, fetched over `transport`; the keys that `verifier` has are not used.
    #[must_use]
    pub fn verify_with(
        self,
        verifier: Verifier,
        transport: impl Transport + 'static,
    ) -> RemoteVerifier {
        RemoteVerifier(Arc::new(Inner {
            gate: Arc::new(Mutex::new(())),
            shared: Shared::new(self, verifier),
            transport: Box::new(transport),
        }))
    }
}

impl RemoteVerifier {
    /// Verifies an access token. Call it on a tokio runtime.
    ///
    /// # Errors
    /// [`Invalid`], with the reason; one with a `retry_after` is no verdict about the token.
    pub async fn verify_access_token<'a>(
        &self,
        token: impl Into<AccessText<'a>>,
    ) -> Result<Arc<AccessClaims>, Invalid> {
        self.verify(token.into().as_str()).await
    }

    /// Verifies an ID token. Call it on a tokio runtime.
    ///
    /// # Errors
    /// [`Invalid`], with the reason; one with a `retry_after` is no verdict about the token.
    pub async fn verify_id_token<'a>(
        &self,
        token: impl Into<IdText<'a>>,
    ) -> Result<Arc<IdClaims>, Invalid> {
        self.verify(token.into().as_str()).await
    }

    /// Why the last fetch brought no keys; `None` if it did, or if there was none.
    ///
    /// What [`Reason::KeysUnavailable`](cotter_jwt::Reason::KeysUnavailable) does not say, for logs
    /// and for whoever set this up. Old keys may serve all the same.
    #[must_use]
    pub fn last_failure(&self) -> Option<FetchFailure> {
        self.0.shared.last_failure()
    }

    async fn verify<C: Kind>(&self, token: &str) -> Result<Arc<C>, Invalid> {
        let shared = &self.0.shared;
        if let Some(claims) = shared.recall(token) {
            return Ok(claims);
        }
        let mut attempt = shared.arrive(token)?;
        loop {
            while let Next::Fetch = shared.next_unless_ruled_out::<C>(token, &attempt)? {
                if !self.fetch(&attempt).await? {
                    break;
                }
            }
            if let Some(claims) = shared.conclude(token, &mut attempt)? {
                return Ok(claims);
            }
        }
    }

    /// Fetches, or waits for who does; false if the keys at hand will do meanwhile.
    async fn fetch(&self, attempt: &Attempt) -> Result<bool, Invalid> {
        let shared = &self.0.shared;
        let gate = match Arc::clone(&self.0.gate).try_lock_owned() {
            Ok(gate) => gate,
            Err(_) if shared.will_do(attempt) => return Ok(false),
            Err(_) => Arc::clone(&self.0.gate).lock_owned().await,
        };
        let TakeOff::Flying(landing) = Shared::take_off(self.clone(), attempt)? else {
            // Somebody else has fetched while this one waited.
            return Ok(true);
        };
        let this = self.clone();
        let flight = tokio::spawn(async move {
            // A panic lands the flight as failed first, and opens the gate then.
            let (_gate, landing) = (gate, landing);
            let answer =
                this.0.transport.send(this.0.shared.request(), this.0.shared.jwks.timeout).await;
            landing.with(answer);
        });
        drop(flight.await);
        Ok(true)
    }
}
