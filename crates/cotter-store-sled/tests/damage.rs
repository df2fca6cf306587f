//! Whatever is flipped: a named error or the record unchanged, never another one, never nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test")]

mod common;

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use common::{first, key, open, open_within, source};
use cotter_core::{
    BlockingTokenStore, Expected, Revision, SecretBytes, StoreErrorKind, StoreKey, Swap,
};
use cotter_seal::Vault;

const SESSIONS: usize = 10;
const ROUNDS: u64 = 4;
/// As long as real ones, and one that sled keeps in a file of its own.
const LENGTHS: [usize; 5] = [3000, 800, 0, 5000, 300_000];

fn session(n: usize) -> StoreKey {
    key(&format!("session {n}"))
}

fn content(n: usize, round: u64) -> SecretBytes {
    let length = if n == 7 { LENGTHS[4] } else { LENGTHS[n % 4] };
    let seed = (n as u64 * 31 + round * 7) % 251;
    SecretBytes::from((0..length as u64).map(|i| ((i * 13 + seed) % 251) as u8).collect::<Vec<_>>())
}

/// A store whose records were each replaced several times, and one removed.
fn fill(folder: &Path) -> Revision {
    let store = open(folder).unwrap();
    let mut revision = first(1);
    for round in 0..ROUNDS {
        let expected = if round == 0 { Expected::Absent } else { Expected::Revision(revision) };
        revision = if round == 0 { revision } else { revision.next() };
        for n in 0..SESSIONS {
            let saved = store.save(&session(n), &content(n, round), expected, revision);
            assert_eq!(saved.unwrap(), Swap::Done);
        }
    }
    store.save(&key("removed"), &content(0, 0), Expected::Absent, first(2)).unwrap();
    store.remove(&key("removed"), first(2)).unwrap();
    store.close().unwrap();
    revision
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    #[cfg(unix)]
    fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else if entry.file_name() != "lock" {
            found.push(entry.path());
        }
    }
    found.sort();
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Unchanged,
    Refused(StoreErrorKind),
    OneRefused(StoreErrorKind),
}

/// Panics where a wrong record, an old one or none comes back.
fn look(folder: &Path, revision: Revision) -> Outcome {
    let store = match open_within(folder, Duration::from_secs(5)) {
        Ok(store) => store,
        Err(error) => return Outcome::Refused(error.kind()),
    };
    let mut outcome = Outcome::Unchanged;
    for n in 0..SESSIONS {
        match store.load(&session(n)) {
            Ok(Some(loaded)) => match loaded.record {
                Ok(record) => {
                    assert_eq!(loaded.revision, revision, "an old revision of session {n}");
                    assert!(record == content(n, ROUNDS - 1), "a wrong record for session {n}");
                }
                Err(error) => outcome = Outcome::OneRefused(error.kind()),
            },
            Ok(None) => panic!("session {n} is taken for one that never signed in"),
            Err(error) => outcome = Outcome::OneRefused(error.kind()),
        }
    }
    match store.load(&key("removed")) {
        Ok(None) | Err(_) => {}
        Ok(Some(_)) => panic!("a removed record came back"),
    }
    if let Ok(keys) = store.list() {
        assert_eq!(keys.len(), SESSIONS, "a listing that lacks some");
    }
    outcome
}

/// sled may hang over damaged files; a test must not.
fn look_within_a_minute(folder: PathBuf, revision: Revision) -> Outcome {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || sender.send(look(&folder, revision)));
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Ok(outcome) => outcome,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
    }
}

#[test]
fn five_hundred_flipped_bytes_in_all_files() {
    // In memory where there is such a place, since a thousand syncs prove nothing here.
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let base = base.unwrap();
    let whole = base.path().join("whole");
    let revision = fill(&whole);
    assert_eq!(look(&whole, revision), Outcome::Unchanged);
    let mut paths = Vec::new();
    files(&whole, &mut paths);
    assert!(paths.iter().any(|path| path.parent().unwrap().ends_with("blobs")), "{paths:?}");
    let images: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    // The log is mostly empty; half of the flips go where something is.
    let written: Vec<Vec<usize>> = images
        .iter()
        .map(|image| (0..image.len()).filter(|at| image[*at] != 0).collect())
        .collect();

    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let (mut unchanged, mut refused, mut one_refused) = (0, 0, 0);
    for flip in 0..500 {
        // Every file gets its share, however small it is.
        let file = random(paths.len());
        let at = match flip % 2 {
            0 if !written[file].is_empty() => written[file][random(written[file].len())],
            _ if images[file].is_empty() => continue,
            _ => random(images[file].len()),
        };
        let bit = 1 << random(8);
        let folder = base.path().join("flipped");
        copy(&whole, &folder);
        let mut image = images[file].clone();
        image[at] ^= bit;
        let name = paths[file].strip_prefix(&whole).unwrap();
        fs::write(folder.join(name), image).unwrap();

        let about = format!("flip {flip}: bit {bit:#x} of byte {at} of {}", name.display());
        println!("{about}");
        match look_within_a_minute(folder.clone(), revision) {
            Outcome::Unchanged => unchanged += 1,
            Outcome::Refused(kind) => {
                refused += 1;
                assert!(expected(kind), "{about}: {kind:?}");
            }
            Outcome::OneRefused(kind) => {
                one_refused += 1;
                assert!(expected(kind), "{about}: {kind:?}");
            }
        }
        fs::remove_dir_all(&folder).unwrap();
    }
    println!("{unchanged} unchanged, {refused} stores refused, {one_refused} records refused");
    assert!(refused + one_refused > 50, "the flips hit nothing");
}

/// What damage may be called; never "locked" or "full", which would send people elsewhere.
fn expected(kind: StoreErrorKind) -> bool {
    matches!(kind, StoreErrorKind::Damaged | StoreErrorKind::KeyWrong)
}

#[test]
fn every_flipped_byte_of_a_sealed_value() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    let store = open(&folder).unwrap();
    let record = SecretBytes::from(vec![b'x'; 600]);
    store.save(&key("a"), &record, Expected::Absent, first(1)).unwrap();
    store.close().unwrap();
    drop(store);

    let header = fs::read(folder.join("header")).unwrap();
    let vault = Vault::open("sled", &header, &source()).unwrap();
    let mut at = vec![b'r'];
    at.extend_from_slice(vault.name(&key("a")).as_bytes());
    let sealed = {
        let db = sled::open(folder.join("database")).unwrap();
        db.get(&at).unwrap().unwrap().to_vec()
    };
    for n in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[n] ^= 0x20;
        match vault.load(&key("a"), &flipped) {
            Ok(loaded) => {
                let error = loaded.record.unwrap_err();
                assert_eq!(error.kind(), StoreErrorKind::Damaged, "byte {n}");
            }
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::TooNew, "byte {n}"),
        }
    }
    for n in [0, 3, 4, 10, 40, 60, sealed.len() / 2, sealed.len() - 9, sealed.len() - 1] {
        let mut flipped = sealed.clone();
        flipped[n] ^= 0x20;
        put(&folder, &at, &flipped);
        let store = open(&folder).unwrap();
        let loaded = store.load(&key("a")).unwrap().unwrap();
        assert_eq!(loaded.record.unwrap_err().kind(), StoreErrorKind::Damaged, "byte {n}");

        // A sign-in replaces it by the revision that was loaded, and a sign-out would remove it.
        let expected = Expected::Revision(loaded.revision);
        assert_eq!(store.save(&key("a"), &record, expected, first(9)).unwrap(), Swap::Done);
        assert_eq!(store.load(&key("a")).unwrap().unwrap().record.unwrap(), record);
        let expected = Expected::Revision(first(9));
        store.save(&key("a"), &record, expected, first(1)).unwrap();
        store.close().unwrap();
    }
}

fn put(folder: &Path, at: &[u8], value: &[u8]) {
    let db = loop {
        match sled::open(folder.join("database")) {
            Ok(db) => break db,
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    db.insert(at, value).unwrap();
    db.flush().unwrap();
}

#[test]
fn a_lost_record_is_damage_and_not_absence() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    let record = SecretBytes::from(b"r".as_slice());
    let store = open(&folder).unwrap();
    store.save(&key("a"), &record, Expected::Absent, first(1)).unwrap();
    store.save(&key("b"), &record, Expected::Absent, first(1)).unwrap();
    store.close().unwrap();

    let vault = Vault::open("sled", &fs::read(folder.join("header")).unwrap(), &source()).unwrap();
    let name = *vault.name(&key("a")).as_bytes();
    let forget = |kind: u8| {
        let db = sled::open(folder.join("database")).unwrap();
        db.remove([&[kind], name.as_slice()].concat()).unwrap();
        db.flush().unwrap();
        drop(db);
        std::thread::sleep(Duration::from_millis(200));
    };
    forget(b'r');
    let store = open(&folder).unwrap();
    let loaded = store.load(&key("a")).unwrap().expect("not absent");
    assert_eq!(loaded.revision, first(1));
    assert_eq!(loaded.record.unwrap_err().kind(), StoreErrorKind::Damaged);
    assert_eq!(store.list().unwrap_err().kind(), StoreErrorKind::Damaged);
    assert!(store.load(&key("b")).unwrap().unwrap().record.is_ok());
    store.close().unwrap();

    forget(b'v');
    assert_eq!(open(&folder).unwrap_err().kind(), StoreErrorKind::Damaged);
}

#[test]
fn an_older_database_beside_a_newer_mark_is_damaged() {
    let base = tempfile::tempdir().unwrap();
    let (folder, old) = (base.path().join("store"), base.path().join("old"));
    let record = SecretBytes::from(b"r".as_slice());
    let store = open(&folder).unwrap();
    store.save(&key("a"), &record, Expected::Absent, first(1)).unwrap();
    store.close().unwrap();
    copy(&folder, &old);

    let store = open(&folder).unwrap();
    let next = first(1).next();
    store.save(&key("a"), &record, Expected::Revision(first(1)), next).unwrap();
    store.close().unwrap();

    fs::copy(folder.join("marks"), old.join("marks")).unwrap();
    assert_eq!(open(&old).unwrap_err().kind(), StoreErrorKind::Damaged);
}

#[test]
fn a_database_that_is_gone_is_not_an_empty_one() {
    let base = tempfile::tempdir().unwrap();
    let whole = base.path().join("whole");
    let store = open(&whole).unwrap();
    store.save(&key("a"), &SecretBytes::default(), Expected::Absent, first(1)).unwrap();
    store.close().unwrap();
    for gone in ["header", "marks", "database", "database/db", "database/conf"] {
        let folder = base.path().join(gone.replace('/', "-"));
        copy(&whole, &folder);
        let path = folder.join(gone);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        match open(&folder) {
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Damaged, "without {gone}"),
            Ok(store) => assert!(store.load(&key("a")).unwrap().unwrap().record.is_ok(), "{gone}"),
        }
    }
}

#[test]
fn a_snapshot_that_was_cut_off_is_no_damage() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    let store = open(&folder).unwrap();
    store.save(&key("a"), &SecretBytes::default(), Expected::Absent, first(1)).unwrap();
    store.close().unwrap();
    for cut in [b"".as_slice(), b"a few bytes", &[7; 500]] {
        fs::write(folder.join("database/snap.00000000FFFFFFFF.generating"), cut).unwrap();
        let store = open(&folder).unwrap();
        assert!(store.load(&key("a")).unwrap().unwrap().record.is_ok());
        store.close().unwrap();
    }
}
