//! Whether the Secret Service can be believed when it says that there is no entry.

use cotter_core::{StoreError, StoreErrorKind};
use dbus_secret_service::{EncryptionType, Error, SecretService};

use crate::core_ring::{LOCKED_HINT, Said, UNAVAILABLE_HINT, printable};

/// `Locked` unless there is a default collection and it is open: a daemon that has not been
/// unlocked answers a search with "nothing found".
pub(crate) fn usable() -> Result<(), StoreError> {
    let look = || {
        let service = SecretService::connect(EncryptionType::Plain)?;
        let collection = service.get_default_collection()?;
        collection.is_locked()
    };
    let locked = |message: &'static str| {
        Err(StoreError::new(StoreErrorKind::Locked, message).with_hint(LOCKED_HINT))
    };
    match look() {
        Ok(false) => Ok(()),
        Ok(true) | Err(Error::Locked | Error::Prompt) => locked("the Secret Service is locked"),
        Err(Error::NoResult) => {
            locked("the Secret Service is locked, or has no keyring to keep secrets in yet")
        }
        Err(error) => {
            Err(StoreError::new(StoreErrorKind::Unavailable, "the Secret Service does not answer")
                .with_hint(UNAVAILABLE_HINT)
                .with_source(Said(printable(&error.to_string()))))
        }
    }
}
