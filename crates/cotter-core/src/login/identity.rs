//! The signed identity: proof that an address was verified.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use crate::error::Error;
use crate::time::Timestamp;

/// Says whether Cotter signed an identity (protocol page 3.6).
///
/// `cotter_jwt::SignedObjects` is one: it knows Cotter's public key, or a test server's.
pub trait VerifyIdentity: Send + Sync + fmt::Debug {
    /// Judges the JSON of a signed identity: signature, receiver, expiry.
    ///
    /// # Errors
    /// Why it does not hold; `Config` where a wrong set-up (another key, another project) would look
    /// the same, else `Protocol`.
    fn verify_identity(&self, object: &[u8], now: Timestamp) -> Result<SignedIdentity, Error>;
}

impl<T: VerifyIdentity + ?Sized> VerifyIdentity for Arc<T> {
    fn verify_identity(&self, object: &[u8], now: Timestamp) -> Result<SignedIdentity, Error> {
        T::verify_identity(self, object, now)
    }
}

/// A verified identity: what the signature covers, no more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedIdentity {
    /// The email address or phone number that was verified.
    pub identifier: String,
    /// `EMAIL` or `PHONE`.
    pub identifier_type: String,
    /// Until when the verification is good.
    pub expires_at: Timestamp,
}

impl SignedIdentity {
    /// An identity that was found to be signed.
    #[must_use]
    pub fn new(
        identifier: impl Into<String>,
        identifier_type: impl Into<String>,
        expires_at: Timestamp,
    ) -> Self {
        Self { identifier: identifier.into(), identifier_type: identifier_type.into(), expires_at }
    }
}
