//! Everything that a released version put into a keyring is still read. The golden file is never
//! changed; a new version adds its own. A line is an entry: its name, then its bytes in hexadecimal.
#![allow(clippy::unwrap_used, reason = "it is a test")]

mod common;

use common::{Fake, PATIENCE, first, key, record};
use cotter_core::{BlockingTokenStore as _, Expected, Swap};
use cotter_seal::{KeySource as _, SealKey};
use cotter_store_keyring::{KeyringKey, KeyringStore};
use cotter_testkit::SeededEntropy;
use tempfile::TempDir;

const VERSION_1: &str = include_str!("golden/v1.txt");

fn store(fake: &Fake, locks: &TempDir) -> KeyringStore {
    let entropy = std::sync::Arc::new(SeededEntropy::new(1));
    KeyringStore::with_backend(fake.clone(), locks.path(), entropy, PATIENCE).unwrap()
}

fn source(fake: &Fake, locks: &TempDir) -> KeyringKey {
    KeyringKey::with_backend(fake.clone(), "golden", locks.path(), PATIENCE).unwrap()
}

/// A record that fits into one entry, one in pieces, and two sealing keys.
fn write() -> String {
    let (fake, locks) = (Fake::limited(2560), tempfile::tempdir().unwrap());
    let store = store(&fake, &locks);
    for (session, length) in [("short", 100), ("long", 6000)] {
        let saved = store.save(&key(session), &record(length, 7), Expected::Absent, first(1));
        assert_eq!(saved.unwrap(), Swap::Done);
    }
    let source = source(&fake, &locks);
    source.create_if_absent(&SeededEntropy::new(2)).unwrap();
    source.add_key(&SeededEntropy::new(3)).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let line = |(name, bytes): (&String, &Vec<u8>)| format!("{name} {}\n", hex(bytes));
    fake.state().entries.iter().map(line).collect()
}

fn golden() -> Fake {
    let fake = Fake::limited(2560);
    for line in VERSION_1.lines() {
        let (name, hex) = line.split_once(' ').unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes = (0..hex.len()).step_by(2).map(byte).collect();
        fake.state().entries.insert(name.to_owned(), bytes);
    }
    fake
}

#[test]
fn version_1_is_read_and_written_over() {
    let (fake, locks) = (golden(), tempfile::tempdir().unwrap());
    let store = store(&fake, &locks);
    assert_eq!(store.list().unwrap().len(), 2);
    for (session, length) in [("short", 100), ("long", 6000)] {
        let loaded = store.load(&key(session)).unwrap().unwrap();
        assert_eq!((loaded.revision, loaded.record.unwrap()), (first(1), record(length, 7)));
        let (expected, next) = (Expected::Revision(first(1)), first(1).next());
        let saved = store.save(&key(session), &record(10, 8), expected, next).unwrap();
        assert_eq!(saved, Swap::Done);
        assert_eq!(store.remove(&key(session), next).unwrap(), Swap::Done);
    }
    assert!(fake.names("record-").is_empty() && fake.names("piece-").is_empty());
    let ids: Vec<_> = source(&fake, &locks).keys(&[]).unwrap().ids().collect();
    let made = [3, 2].map(|seed| SealKey::generate(&SeededEntropy::new(seed)).unwrap().id());
    assert_eq!(ids, made);
}

/// Written the same way today, byte for byte, as long as the newest version is 1.
#[test]
fn version_1_is_still_what_is_written() {
    assert_eq!(write(), VERSION_1);
}

/// Run by hand, once, when a version is added.
#[test]
#[ignore = "writes a new golden file"]
fn write_golden_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1.txt");
    assert!(VERSION_1.is_empty(), "it is frozen");
    std::fs::write(path, write()).unwrap();
}
