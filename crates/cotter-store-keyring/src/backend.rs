//! The seam between this crate and a keyring: entries of secret bytes under a name.

use core::fmt;

use cotter_core::{SecretBytes, StoreError};

/// A keyring, as this crate needs it: secret bytes under short names of ASCII letters, digits, `-`.
///
/// Implement it for a keyring that this crate does not know. Calls come from one thread at a time
/// and may take as long as they like: who waits for them has a deadline of its own.
pub trait Backend: Send + fmt::Debug {
    /// The longest secret that one entry takes, in bytes; `None` for no limit worth minding.
    fn max_secret(&self) -> Option<usize>;

    /// The secret under `name`; `None` only where the keyring was open and has none.
    ///
    /// # Errors
    /// `Locked` where the keyring is locked, `Unavailable` where there is none.
    fn get(&mut self, name: &str) -> Result<Option<SecretBytes>, StoreError>;

    /// Puts `secret` under `name`, whatever was there.
    ///
    /// # Errors
    /// As [`get`](Self::get); `TooLarge` if the secret is too long.
    fn set(&mut self, name: &str, secret: &SecretBytes) -> Result<(), StoreError>;

    /// Removes what is under `name`, if anything is.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn delete(&mut self, name: &str) -> Result<(), StoreError>;
}
