//! The sealing key in a keyring (rule 7).
#![allow(clippy::unwrap_used, reason = "it is a test")]

mod common;

use core::time::Duration;

use common::{Fake, PATIENCE, entropy};
use cotter_core::StoreErrorKind;
use cotter_seal::{KeySource, SealKey, Vault};
use cotter_store_keyring::KeyringKey;
use tempfile::TempDir;

fn source(fake: &Fake, locks: &TempDir) -> KeyringKey {
    KeyringKey::with_backend(fake.clone(), "cotter", locks.path(), PATIENCE).unwrap()
}

#[test]
fn a_store_gets_the_key_back_that_it_was_made_with() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    let entropy = entropy();
    let made = Vault::create("file", &source(&fake, &locks), entropy.as_ref()).unwrap();
    let header = made.header().to_bytes();
    let opened = Vault::open("file", &header, &source(&fake, &locks)).unwrap();
    assert_eq!(opened.header().key(), made.header().key());
    assert_eq!(opened.header().source(), "keyring");
}

#[test]
fn rule_07_an_existing_entry_is_never_overwritten() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    source(&fake, &locks).create_if_absent(entropy().as_ref()).unwrap();
    let key = source(&fake, &locks).keys(&[]).unwrap().newest().id();
    source(&fake, &locks).create_if_absent(entropy().as_ref()).unwrap();
    assert_eq!(source(&fake, &locks).keys(&[]).unwrap().newest().id(), key);

    // Nor is one that is no key at all.
    let name = fake.names("key-")[0].clone();
    fake.state().entries.insert(name.clone(), b"somebody else's".to_vec());
    source(&fake, &locks).create_if_absent(entropy().as_ref()).unwrap();
    assert_eq!(fake.state().entries[&name], b"somebody else's");
    let error = source(&fake, &locks).keys(&[]).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
}

#[test]
fn rule_07_many_at_once_make_one_key() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    fake.state().slow = Duration::from_millis(5);
    let ids: Vec<_> = std::thread::scope(|scope| {
        let make = || {
            let source = source(&fake, &locks);
            source.create_if_absent(entropy().as_ref()).unwrap();
            source.keys(&[]).unwrap().newest().id()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(fake.state().log.len(), 1, "the entry was written once");
}

#[test]
fn rule_07_a_missing_key_is_not_a_locked_keyring_and_none_is_made_for_reading() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    let error = source(&fake, &locks).keys(&[]).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyMissing);
    assert!(error.hint().is_some());
    assert!(fake.state().entries.is_empty());
    for kind in [StoreErrorKind::Locked, StoreErrorKind::Unavailable] {
        fake.state().fails = Some(kind);
        assert_eq!(source(&fake, &locks).keys(&[]).unwrap_err().kind(), kind);
        let error = source(&fake, &locks).create_if_absent(entropy().as_ref()).unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}

#[test]
fn another_key_than_the_header_names_is_wrong() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    let made = Vault::create("file", &source(&fake, &locks), entropy().as_ref()).unwrap();
    let name = fake.names("key-")[0].clone();
    let other = SealKey::from_bytes([9; 32]).to_base64();
    fake.state().entries.insert(name.clone(), other.as_bytes().to_vec());
    let header = made.header().to_bytes();
    let error = Vault::open("file", &header, &source(&fake, &locks)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyWrong);

    fake.state().entries.remove(&name);
    let error = Vault::open("file", &header, &source(&fake, &locks)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyMissing);
}

#[test]
fn several_lines_are_several_keys_the_newest_first() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    source(&fake, &locks).create_if_absent(entropy().as_ref()).unwrap();
    let name = fake.names("key-")[0].clone();
    let (new, old) = (SealKey::from_bytes([1; 32]), SealKey::from_bytes([2; 32]));
    let text = format!("{}\n{}\n", new.to_base64().as_str(), old.to_base64().as_str());
    fake.state().entries.insert(name, text.into_bytes());
    let keys = source(&fake, &locks).keys(&[]).unwrap();
    assert_eq!(keys.ids().collect::<Vec<_>>(), [new.id(), old.id()]);
}

#[test]
fn a_new_key_seals_and_the_old_ones_open_until_they_are_forgotten() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    let error = source(&fake, &locks).add_key(entropy().as_ref()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyMissing);
    assert!(fake.state().entries.is_empty(), "a first key is made with a store only");

    source(&fake, &locks).create_if_absent(entropy().as_ref()).unwrap();
    let ids = || source(&fake, &locks).keys(&[]).unwrap().ids().collect::<Vec<_>>();
    let first = ids();
    source(&fake, &locks).add_key(entropy().as_ref()).unwrap();
    source(&fake, &locks).add_key(entropy().as_ref()).unwrap();
    let all = ids();
    assert_eq!((all.len(), &all[2..]), (3, first.as_slice()));

    source(&fake, &locks).forget_old_keys().unwrap();
    assert_eq!(ids(), all[..1]);
    source(&fake, &locks).forget_old_keys().unwrap();
    assert_eq!(ids(), all[..1]);
}

#[test]
fn processes_that_add_keys_at_once_lose_none() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    source(&fake, &locks).create_if_absent(entropy().as_ref()).unwrap();
    fake.state().slow = Duration::from_millis(2);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| source(&fake, &locks).add_key(entropy().as_ref()).unwrap());
        }
    });
    assert_eq!(source(&fake, &locks).keys(&[]).unwrap().iter().count(), 7);
}

#[test]
fn a_keyring_that_hangs_ends_in_time_and_a_half_made_key_is_found_again() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    let soon = Duration::from_millis(150);
    let stuck = KeyringKey::with_backend(fake.clone(), "cotter", locks.path(), soon).unwrap();
    fake.hold();
    let error = stuck.create_if_absent(entropy().as_ref()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Timeout);
    fake.let_go();
    source(&fake, &locks).create_if_absent(entropy().as_ref()).unwrap();
    assert_eq!(fake.names("key-").len(), 1);
    source(&fake, &locks).keys(&[]).unwrap();
}

#[test]
fn it_prints_neither_key_nor_label() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    let source = KeyringKey::with_backend(fake.clone(), "PLANTED", locks.path(), PATIENCE).unwrap();
    source.create_if_absent(entropy().as_ref()).unwrap();
    let name = fake.names("key-")[0].clone();
    let secret = String::from_utf8(fake.state().entries[&name].clone()).unwrap();
    let printed = format!("{source:?} {} {}", source.describe(), source.kind());
    assert!(
        !printed.contains(&secret) && !printed.contains("PLANTED") && !name.contains("PLANTED")
    );
}
