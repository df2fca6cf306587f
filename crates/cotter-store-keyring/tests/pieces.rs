//! Long records over a keyring with Windows' limit, cut off between any two changes.
#![allow(clippy::unwrap_used, reason = "it is a test")]

mod common;

use common::{Fake, PATIENCE, first, key, record, store_at};
use cotter_core::{BlockingTokenStore, Expected, StoreErrorKind, Swap};

const WINDOWS: usize = 2560;

#[test]
fn a_short_record_is_one_entry_and_a_long_one_several() {
    let (fake, locks) = (Fake::limited(WINDOWS), tempfile::tempdir().unwrap());
    let store = store_at(&fake, locks.path(), PATIENCE);
    store.save(&key("short"), &record(1000, 1), Expected::Absent, first(1)).unwrap();
    assert_eq!(fake.names("piece-").len(), 0);
    store.save(&key("long"), &record(6000, 2), Expected::Absent, first(1)).unwrap();
    assert_eq!(fake.names("piece-").len(), 3);
    assert_eq!(fake.names("intent-").len(), 0);
    assert!(fake.state().entries.values().all(|secret| secret.len() <= WINDOWS));

    // Short again: no piece stays behind.
    let expected = Expected::Revision(first(1));
    store.save(&key("long"), &record(10, 3), expected, first(1).next()).unwrap();
    assert_eq!(fake.names("piece-").len(), 0);
    assert_eq!(fake.names("intent-").len(), 0);
}

#[test]
fn the_entry_that_counts_is_written_after_the_pieces() {
    let (fake, locks) = (Fake::limited(WINDOWS), tempfile::tempdir().unwrap());
    let store = store_at(&fake, locks.path(), PATIENCE);
    store.save(&key("a"), &record(6000, 2), Expected::Absent, first(1)).unwrap();
    let log = fake.state().log.clone();
    let last_piece = log.iter().rposition(|name| name.starts_with("piece-")).unwrap();
    let manifest = log.iter().position(|name| name.starts_with("record-")).unwrap();
    let intent = log.iter().position(|name| name.starts_with("intent-")).unwrap();
    assert!(intent < last_piece && last_piece < manifest, "{log:?}");
    assert_eq!(log.iter().filter(|name| name.starts_with("record-")).count(), 1);
}

/// The lengths before and after, so that each way between one entry and several is taken.
const WAYS: [(usize, usize); 4] = [(6000, 9000), (6000, 100), (100, 6000), (100, 200)];

#[test]
fn a_crash_between_any_two_changes_leaves_the_old_record_or_the_new_one() {
    for (before, after) in WAYS {
        let mut died = 0;
        for changes in 0.. {
            let (fake, locks) = (Fake::limited(WINDOWS), tempfile::tempdir().unwrap());
            let store = store_at(&fake, locks.path(), PATIENCE);
            store.save(&key("a"), &record(before, 1), Expected::Absent, first(1)).unwrap();

            fake.state().changes_left = Some(changes);
            let expected = Expected::Revision(first(1));
            let saved = store.save(&key("a"), &record(after, 2), expected, first(1).next());
            let finished = fake.state().changes_left != Some(0);
            fake.state().changes_left = None;
            died += usize::from(saved.is_err());
            drop(store);

            // The next process.
            let store = store_at(&fake, locks.path(), PATIENCE);
            let loaded = store.load(&key("a")).unwrap().expect("neither crash loses the record");
            let (old, new) = (record(before, 1), record(after, 2));
            let stands = loaded.record.unwrap();
            if loaded.revision == first(1) {
                assert!(saved.is_err() && stands == old, "{before} to {after}, {changes}");
            } else {
                assert!(loaded.revision == first(1).next() && stands == new, "{changes}");
            }
            assert_eq!(store.list().unwrap(), [key("a")]);

            // What was left over goes with the next write, or with a sweep.
            if changes % 2 == 0 {
                store.sweep().unwrap();
            } else {
                let expected = Expected::Revision(loaded.revision);
                store.save(&key("a"), &record(6000, 3), expected, first(3)).unwrap();
            }
            let needed = fake.names("piece-").len();
            let length = store.load(&key("a")).unwrap().unwrap().record.unwrap().len();
            let pieces = if length > 2000 { (length + 100).div_ceil(WINDOWS) } else { 0 };
            assert_eq!(needed, pieces, "{before} to {after}, cut off after {changes}");
            assert_eq!(fake.names("intent-").len(), 0);
            if finished {
                break;
            }
        }
        assert!(died > 0, "{before} to {after} was never cut off");
    }
}

#[test]
fn a_crash_in_a_removal_can_be_finished_and_leaves_no_secret() {
    for changes in 0.. {
        let (fake, locks) = (Fake::limited(WINDOWS), tempfile::tempdir().unwrap());
        let store = store_at(&fake, locks.path(), PATIENCE);
        store.save(&key("a"), &record(6000, 1), Expected::Absent, first(1)).unwrap();
        fake.state().changes_left = Some(changes);
        let _ = store.remove(&key("a"), first(1));
        let finished = fake.state().changes_left != Some(0);
        fake.state().changes_left = None;

        let store = store_at(&fake, locks.path(), PATIENCE);
        if let Some(loaded) = store.load(&key("a")).unwrap() {
            assert_eq!(loaded.record.unwrap(), record(6000, 1), "cut off after {changes}");
            assert_eq!(store.remove(&key("a"), first(1)).unwrap(), Swap::Done);
        } else {
            store.sweep().unwrap();
        }
        assert!(store.load(&key("a")).unwrap().is_none());
        assert_eq!(fake.names("piece-").len(), 0, "cut off after {changes}");
        assert_eq!(fake.names("record-").len(), 0);
        assert_eq!(store.list().unwrap(), []);
        if finished {
            break;
        }
    }
}

#[test]
fn a_piece_that_is_gone_or_changed_is_damage_that_a_sign_in_replaces() {
    for flip in [false, true] {
        let (fake, locks) = (Fake::limited(WINDOWS), tempfile::tempdir().unwrap());
        let store = store_at(&fake, locks.path(), PATIENCE);
        store.save(&key("a"), &record(6000, 1), Expected::Absent, first(1)).unwrap();
        let piece = fake.names("piece-")[1].clone();
        if flip {
            fake.state().entries.get_mut(&piece).unwrap()[7] ^= 1;
        } else {
            fake.state().entries.remove(&piece);
        }
        let loaded = store.load(&key("a")).unwrap().unwrap();
        assert_eq!(loaded.revision, first(1));
        assert_eq!(loaded.record.unwrap_err().kind(), StoreErrorKind::Damaged);
        let expected = Expected::Revision(first(1));
        let swap = store.save(&key("a"), &record(6000, 2), expected, first(2)).unwrap();
        assert_eq!(swap, Swap::Done);
        assert_eq!(store.load(&key("a")).unwrap().unwrap().record.unwrap(), record(6000, 2));
        assert_eq!(fake.names("piece-").len(), 3);
    }
}

#[test]
fn every_flipped_byte_of_every_entry_is_damage() {
    let (fake, locks) = (Fake::limited(300), tempfile::tempdir().unwrap());
    let store = store_at(&fake, locks.path(), PATIENCE);
    store.save(&key("a"), &record(500, 1), Expected::Absent, first(1)).unwrap();
    store.save(&key("b"), &record(50, 1), Expected::Absent, first(1)).unwrap();
    let whole = fake.state().entries.clone();
    for (name, secret) in &whole {
        for at in 0..secret.len() {
            fake.state().entries.get_mut(name).unwrap()[at] ^= 0x10;
            for (session, length) in [("a", 500), ("b", 50)] {
                match store.load(&key(session)).unwrap().expect("never absent").record {
                    Ok(stands) => assert_eq!(stands, record(length, 1), "byte {at} of {name}"),
                    Err(error) => assert_eq!(error.kind(), StoreErrorKind::Damaged),
                }
            }
            match store.list() {
                Ok(keys) => assert_eq!(keys.len(), 2, "byte {at} of {name}"),
                Err(error) => assert_eq!(error.kind(), StoreErrorKind::Damaged),
            }
            fake.state().entries.clone_from(&whole);
        }
    }
}

#[test]
fn no_entry_tells_a_name() {
    let (fake, locks) = (Fake::limited(WINDOWS), tempfile::tempdir().unwrap());
    let store = store_at(&fake, locks.path(), PATIENCE);
    store.save(&key("ada@example.test"), &record(6000, 1), Expected::Absent, first(1)).unwrap();
    store.try_lease(&key("ada@example.test"), PATIENCE).unwrap();
    let mut names: Vec<String> = fake.state().entries.keys().cloned().collect();
    for entry in std::fs::read_dir(locks.path()).unwrap() {
        names.push(entry.unwrap().file_name().into_string().unwrap());
    }
    for name in &names {
        for planted in ["ada", "example", "client", "auth"] {
            assert!(!name.contains(planted), "{name}");
        }
    }
}
