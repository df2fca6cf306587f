//! Seals cotter's records.
#![no_std]

extern crate alloc;

mod aead;
mod derive;
mod envelope;
mod frame;
mod header;
mod key;
mod name;
mod plain;
mod sealer;
mod source;
mod vault;

#[cfg(feature = "passphrase")]
mod passphrase;

use cotter_core::{Entropy, StoreError, StoreErrorKind};

pub use envelope::Outside;
pub use header::Header;
pub use key::{KeyId, Keys, SealKey};
pub use name::RecordName;
#[cfg(feature = "passphrase")]
pub use passphrase::{Cost, Passphrase};
pub use sealer::{Context, Sealer};
pub use source::{Given, KeySource};
pub use vault::Vault;

fn fill(entropy: &dyn Entropy, buffer: &mut [u8]) -> Result<(), StoreError> {
    entropy.fill(buffer).map_err(|error| {
        StoreError::new(StoreErrorKind::Unavailable, "no randomness to seal with")
            .with_source(error)
    })
}
