//! What the tests of this crate share.
#![allow(unreachable_pub, dead_code, reason = "each test file takes what it needs")]

use std::path::Path;

use cotter_core::{Lineage, Revision, SecretBytes, StoreError, StoreKey};
use cotter_seal::{Given, SealKey};
use cotter_store_sled::{SledOptions, SledStore};
use cotter_testkit::Kept;
use tempfile::TempDir;

pub fn source() -> Given {
    Given::new(SealKey::from_bytes([7; 32]))
}

pub fn open(folder: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(folder, source())
}

pub fn open_within(folder: &Path, wait: core::time::Duration) -> Result<SledStore, StoreError> {
    SledOptions::new().with_lock_wait(wait).open(folder, source())
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

/// Says past the harness, which keeps what passing tests print, that something was not tested.
pub fn skipped(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

pub fn record(text: &str) -> SecretBytes {
    SecretBytes::from(text.as_bytes())
}
