//! What a directory of sealed records holds up under.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
mod damage;
#[cfg(unix)]
mod disk;
mod golden;
mod keys;
mod kills;
#[cfg(unix)]
mod modes;
mod processes;
mod reseal;
mod secrets;

use std::path::Path;

use cotter_core::{
    BlockingTokenStore as _, Expected, Lineage, Loaded, Revision, SecretBytes, StoreError,
    StoreErrorKind, StoreKey, Swap,
};
use cotter_store_file::{FileStore, Given, SealKey};

fn seal_key(byte: u8) -> SealKey {
    SealKey::from_bytes([byte; 32])
}

fn open(folder: &Path) -> FileStore {
    FileStore::open(folder, Given::new(seal_key(1))).unwrap()
}

fn key(session: &str) -> StoreKey {
    StoreKey::new("https://auth.example", "PLANTED-CLIENT", session).unwrap()
}

fn lineage(byte: u8) -> Revision {
    Revision::first(Lineage::from_bytes([byte; 16]))
}

fn bytes(text: &str) -> SecretBytes {
    SecretBytes::from(text.as_bytes())
}

/// Puts a first record under `session`.
fn put(store: &FileStore, session: &str, text: &str) -> Revision {
    let revision = lineage(1);
    let swap = store.save(&key(session), &bytes(text), Expected::Absent, revision);
    assert_eq!(swap.unwrap(), Swap::Done);
    revision
}

#[track_caller]
fn assert_holds(store: &FileStore, session: &str, text: &str) {
    let loaded = store.load(&key(session)).unwrap().expect("a record stands there");
    assert!(loaded.record.unwrap() == bytes(text), "another record stands there");
}

/// What the error says one can do, wherever a load puts it.
#[track_caller]
fn refused(loaded: Result<Option<Loaded>, StoreError>) -> StoreErrorKind {
    match loaded {
        Err(error) => error.kind(),
        Ok(None) => panic!("said to be absent"),
        Ok(Some(loaded)) => loaded.record.expect_err("opened").kind(),
    }
}

/// The only file in `folder` whose name ends so.
fn file_ending(folder: &Path, suffix: &str) -> std::path::PathBuf {
    let mut found = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    found.find(|path| path.to_str().unwrap().ends_with(suffix)).expect("there is one")
}

/// Says past the harness, which keeps what passing tests print, that something was not tested.
#[cfg(unix)]
fn skipped(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
