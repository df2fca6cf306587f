//! Where sealing keys come from.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use cotter_core::{Entropy, StoreError};

use crate::key::{Keys, SealKey};

/// Gives the sealing keys of one store.
///
/// A store calls it in this order (rule 7: no key is made beside sealed records, none is ever
/// overwritten):
///
/// - where the store has a header: [`keys`](Self::keys) with the parameters that stand in it;
/// - where it has neither a header nor a record, and only under the store's own lock:
///   [`create_if_absent`](Self::create_if_absent), then [`keys`](Self::keys) with the parameters
///   it gave. What was read back is used and its name written to the header; what was generated
///   is forgotten.
pub trait KeySource: Send + Sync + fmt::Debug {
    /// Which kind of source this is, in at most 32 bytes of ASCII; the header records it.
    ///
    /// Known: `given`, `environment`, `key-file`, `keyring`, `passphrase`.
    fn kind(&self) -> &str;

    /// Where the key is, for errors and reports ("the environment variable COTTER_STORE_KEY").
    fn describe(&self) -> &str;

    /// The keys, the newest first.
    ///
    /// # Errors
    /// [`StoreErrorKind::KeyMissing`](cotter_core::StoreErrorKind::KeyMissing) if the source has
    /// none; `Locked`, `Unavailable`, `Timeout` or `Forbidden` if it cannot say.
    fn keys(&self, parameters: &[u8]) -> Result<Keys, StoreError>;

    /// Makes a key if the source has none, durably, and leaves one that is there alone.
    ///
    /// Gives what is to be kept in the store's header (at most 1024 bytes, not secret), empty for
    /// most sources. A source that cannot make keys does nothing; `keys` will say what is missing.
    ///
    /// # Errors
    /// If the key could not be made.
    fn create_if_absent(&self, entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError>;
}

macro_rules! behind {
    ($pointer:ident) => {
        impl<S: KeySource + ?Sized> KeySource for $pointer<S> {
            fn kind(&self) -> &str {
                S::kind(self)
            }
            fn describe(&self) -> &str {
                S::describe(self)
            }
            fn keys(&self, parameters: &[u8]) -> Result<Keys, StoreError> {
                S::keys(self, parameters)
            }
            fn create_if_absent(&self, entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
                S::create_if_absent(self, entropy)
            }
        }
    };
}

impl<S: KeySource + ?Sized> KeySource for &S {
    fn kind(&self) -> &str {
        S::kind(self)
    }
    fn describe(&self) -> &str {
        S::describe(self)
    }
    fn keys(&self, parameters: &[u8]) -> Result<Keys, StoreError> {
        S::keys(self, parameters)
    }
    fn create_if_absent(&self, entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        S::create_if_absent(self, entropy)
    }
}

behind!(Arc);
behind!(Box);

/// Keys that the caller has, from wherever.
///
/// ```
/// use cotter_seal::{Given, SealKey};
///
/// let source = Given::new(SealKey::from_bytes([7; 32]))
///     .with_old(SealKey::from_bytes([6; 32]));
/// # let _ = source;
/// ```
#[derive(Debug)]
pub struct Given(Keys);

impl Given {
    /// This key.
    #[must_use]
    pub fn new(key: SealKey) -> Self {
        Self(Keys::new(key))
    }

    /// And an older one, that opens what was sealed with it.
    #[must_use]
    pub fn with_old(self, old: SealKey) -> Self {
        Self(self.0.with_old(old))
    }
}

impl From<Keys> for Given {
    fn from(keys: Keys) -> Self {
        Self(keys)
    }
}

impl KeySource for Given {
    fn kind(&self) -> &str {
        "given"
    }

    fn describe(&self) -> &str {
        "the key that the program was given"
    }

    fn keys(&self, _parameters: &[u8]) -> Result<Keys, StoreError> {
        Ok(self.0.duplicate())
    }

    fn create_if_absent(&self, _entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }
}
