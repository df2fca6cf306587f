use core::pin::Pin;
use std::sync::Arc;

use cotter_core::Clock;
use cotter_jwks::RemoteVerifier;
use cotter_jwt::{AccessClaims, Invalid, Verifier};

/// A verdict that may have to be waited for.
pub type Verdict<'a> =
    Pin<Box<dyn Future<Output = Result<Arc<AccessClaims>, Invalid>> + Send + 'a>>;

/// Verifies access tokens for a [`BearerLayer`](crate::BearerLayer).
pub trait VerifyAccess: Send + Sync + core::fmt::Debug {
    /// Verifies this token, now.
    fn verify<'a>(&'a self, token: &'a str) -> Verdict<'a>;
}

impl VerifyAccess for RemoteVerifier {
    fn verify<'a>(&'a self, token: &'a str) -> Verdict<'a> {
        Box::pin(self.verify_access_token(token))
    }
}

/// Verifies by keys that are already at hand.
#[derive(Clone, Debug)]
pub struct StaticVerifier {
    clock: Arc<dyn Clock>,
    verifier: Verifier,
}

impl StaticVerifier {
    /// Verifies with the keys of `verifier`, by the time that `clock` tells.
    #[must_use]
    pub fn new(verifier: Verifier, clock: impl Clock + 'static) -> Self {
        Self { clock: Arc::new(clock), verifier }
    }
}

impl VerifyAccess for StaticVerifier {
    fn verify<'a>(&'a self, token: &'a str) -> Verdict<'a> {
        let verdict = self.verifier.verify_access_token(token, self.clock.now().wall).map(Arc::new);
        Box::pin(core::future::ready(verdict))
    }
}
