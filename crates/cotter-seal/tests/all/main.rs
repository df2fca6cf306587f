//! What a sealed store can rely on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod damage;
mod golden;
mod independent;
mod keys;
mod moving;
#[cfg(feature = "passphrase")]
mod passphrase;
mod vault;

use core::sync::atomic::{AtomicU64, Ordering};

use cotter_core::entropy::EntropyUnavailable;
use cotter_core::{Entropy, Lineage, Revision, SecretBytes, StoreKey};
use cotter_seal::{Given, SealKey};

/// Bytes that repeat from run to run and never within one.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable> {
        for chunk in buffer.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&number.to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// A system without randomness.
#[derive(Debug)]
struct Dry;

impl Entropy for Dry {
    fn fill(&self, _buffer: &mut [u8]) -> Result<(), EntropyUnavailable> {
        Err(EntropyUnavailable)
    }
}

fn seal_key(byte: u8) -> SealKey {
    SealKey::from_bytes([byte; 32])
}

fn given(byte: u8) -> Given {
    Given::new(seal_key(byte))
}

fn key(session: &str) -> StoreKey {
    StoreKey::new("https://auth.example", "PLANTED-CLIENT", session).unwrap()
}

fn revision(counter: u64) -> Revision {
    Revision { lineage: Lineage::from_bytes([9; 16]), counter }
}

fn record() -> SecretBytes {
    SecretBytes::from(b"PLANTED-RECORD with tokens".as_slice())
}
