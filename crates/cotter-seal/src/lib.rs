//! Hides records: AES-256-GCM, bound to their name, layout and revision.
//!
//! A store that keeps its records sealed has one [`Vault`]. It is made by [`Vault::create`] around
//! a [`KeySource`], its [`Header`] is kept beside the records, and everything that is stored goes
//! through [`Vault::name`], [`Vault::seal`] and [`Vault::load`]:
//!
//! ```
//! use cotter_core::{Lineage, Revision, SecretBytes, StoreKey};
//! use cotter_seal::{Given, SealKey, Vault};
//! # #[derive(Debug)] struct Os;
//! # impl cotter_core::Entropy for Os {
//! #     fn fill(&self, b: &mut [u8]) -> Result<(), cotter_core::entropy::EntropyUnavailable> {
//! #         Ok(b.fill(7))
//! #     }
//! # }
//! # let entropy = Os;
//! let source = Given::new(SealKey::from_bytes([42; 32]));
//! let vault = Vault::create("example", &source, &entropy)?;
//! let header = vault.header().to_bytes(); // stored once
//!
//! let key = StoreKey::new("https://auth.example", "client", "ada")?;
//! let first = Revision::first(Lineage::from_bytes([1; 16]));
//! let record = SecretBytes::from(b"tokens".as_slice());
//! let stored = vault.seal(&key, &record, first, &entropy)?; // stored as vault.name(&key)
//!
//! let vault = Vault::open("example", &header, &source)?;
//! assert_eq!(vault.load(&key, &stored)?.record?, record);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it protects
//!
//! Who reads the stored bytes learns how many records there are, how long they are, their
//! revisions, and which of them changed. Who writes them can bring back an older record of the
//! same name, or remove one; no seal can prevent that, and the session compares lineage and
//! sequence with what it has seen. They cannot change a record, nor move it under another name,
//! nor give it another revision.
//!
//! # A key for every record
//!
//! AES-GCM breaks when a nonce is used twice under one key, and 96-bit nonces drawn at random may
//! be used for 2^32 messages at most (NIST SP 800-38D). A server that journals and saves a million
//! refreshes an hour gets there in three months, and no process can count what the others write.
//! So each write draws a salt of 256 bits, and HKDF-SHA256 makes of it and the sealing key both
//! the AES key and the nonce of this one message. Two writes share them only if their salts are
//! equal: after 2^64 writes the chance is below 2^-128. No counter is kept, nothing is lost in a
//! crash, and a copied store or a restored backup cannot repeat a nonce.
//!
//! # What is stored
//!
//! Numbers are big-endian. Everything stored, in this and every later version, begins with three
//! letters and a version byte and ends with the first 8 bytes of the SHA-256 of all before; the
//! checksum only tells rot from a wrong key and a rotten version byte from a newer cotter.
//!
//! | record | bytes |
//! |---|---|
//! | `CSR`, version 1 | 4 |
//! | layout of the inside, 1 | 2 |
//! | revision: lineage, counter | 16 + 8 |
//! | key id | 8 |
//! | salt | 32 |
//! | sealed: length of the store key (4), store key, record | as long |
//! | tag | 16 |
//! | checksum | 8 |
//!
//! Key and nonce are the first 32 and the next 12 bytes of HKDF-SHA256 with the sealing key as
//! input, the salt, and `cotter-seal v1 record` as info. Associated data are all bytes before the
//! sealed ones and the record's name, which is HMAC-SHA256 of the store key's bytes under the name
//! key. A key id is 8 bytes of HKDF-SHA256 without salt under `cotter-seal v1 key id`.
//!
//! | header | bytes |
//! |---|---|
//! | `CSH`, version 1 | 4 |
//! | kind, key source, its parameters, each behind its length in 2 bytes | as long |
//! | 1 if sealed, 0 if not (then nothing follows but the checksum) | 1 |
//! | key id | 8 |
//! | salt | 32 |
//! | sealed: the name key | 32 |
//! | tag | 16 |
//! | checksum | 8 |
//!
//! Its info is `cotter-seal v1 header`, its associated data all bytes before the sealed ones. While a
//! store moves to another key source, the key source is two words around `>`, and the parameters
//! are the first one's behind their length in 2 bytes, then the second one's.

#![no_std]

extern crate alloc;

mod aead;
mod derive;
mod envelope;
mod frame;
mod header;
mod key;
mod moving;
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
