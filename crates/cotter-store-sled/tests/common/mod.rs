//! What the tests of this crate share.
#![allow(unreachable_pub, dead_code, reason = "each test file takes what it needs")]

use std::path::Path;
use std::sync::Arc;

use cotter_core::{Entropy, Lineage, Revision, SecretBytes, StoreError, StoreKey};
use cotter_seal::{Given, SealKey};
use cotter_store_sled::{SledOptions, SledStore};
use cotter_testkit::{Kept, SeededEntropy};
use tempfile::TempDir;

pub fn source() -> Given {
    Given::new(SealKey::from_bytes([7; 32]))
}

pub fn entropy() -> Arc<dyn Entropy> {
    #[derive(Debug)]
    struct Os;
    impl Entropy for Os {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), cotter_core::entropy::EntropyUnavailable> {
            getrandom::fill(buffer).map_err(|_| cotter_core::entropy::EntropyUnavailable)
        }
    }
    Arc::new(Os)
}

pub fn seeded(seed: u64) -> Arc<dyn Entropy> {
    Arc::new(SeededEntropy::new(seed))
}

pub fn open(folder: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(folder, &source(), entropy())
}

pub fn open_within(folder: &Path, wait: core::time::Duration) -> Result<SledStore, StoreError> {
    SledOptions::new().with_lock_timeout(wait).open(folder, &source(), entropy())
}

pub fn open_in_new_folder() -> Kept<SledStore, TempDir> {
    let folder = tempfile::tempdir().unwrap();
    Kept::new(open(&folder.path().join("store")).unwrap(), folder)
}

pub fn key(session: &str) -> StoreKey {
    StoreKey::new("https://auth.example", "client", session).unwrap()
}

pub fn first(lineage: u8) -> Revision {
    Revision::first(Lineage::from_bytes([lineage; 16]))
}

pub fn record(text: &str) -> SecretBytes {
    SecretBytes::from(text.as_bytes())
}
