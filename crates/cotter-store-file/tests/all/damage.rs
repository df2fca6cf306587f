use std::fs;
use std::path::{Path, PathBuf};

use cotter_core::{BlockingTokenStore as _, Expected, LeaseAnswer, Revision, StoreErrorKind, Swap};
use cotter_store_file::{FileStore, Given};

use crate::{assert_holds, bytes, file_ending, key, lineage, open, put, refused, seal_key};

fn store() -> (tempfile::TempDir, PathBuf, FileStore, Revision) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let store = open(&folder);
    let revision = put(&store, "ada", "tokens");
    (home, folder, store, revision)
}

/// Every flip of one byte and every truncation.
fn harmed(whole: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let flipped = (0..whole.len()).flat_map(|at| {
        [0x01, 0x80, 0xff].map(|bits| {
            let mut bytes = whole.to_vec();
            bytes[at] ^= bits;
            bytes
        })
    });
    flipped.chain((0..whole.len()).map(|length| whole[..length].to_vec()))
}

#[test]
fn a_harmed_record_is_damaged_replaced_by_a_sign_in_and_removed_by_a_sign_out() {
    let (_home, folder, store, _) = store();
    let path = file_ending(&folder, ".rec");
    let whole = fs::read(&path).unwrap();
    for (n, harmed) in harmed(&whole).enumerate() {
        fs::write(&path, &harmed).unwrap();
        let loaded = store.load(&key("ada")).unwrap().expect("not absent");
        assert_eq!(loaded.record.unwrap_err().kind(), StoreErrorKind::Damaged);
        assert_eq!(store.list().unwrap_err().kind(), StoreErrorKind::Damaged);

        let new = lineage(2);
        let found = Swap::Conflict { found: Some(loaded.revision) };
        let late = store.save(&key("ada"), &bytes("x"), Expected::Absent, new).unwrap();
        assert_eq!(late, found);
        // Syncs are slow: a sample is replaced and removed.
        if n % 97 == 0 {
            let expected = Expected::Revision(loaded.revision);
            let swap = store.save(&key("ada"), &bytes("new"), expected, new).unwrap();
            assert_eq!(swap, Swap::Done);
            assert_holds(&store, "ada", "new");
            fs::write(&path, &harmed).unwrap();
            assert_eq!(store.remove(&key("ada"), loaded.revision).unwrap(), Swap::Done);
            assert!(store.load(&key("ada")).unwrap().is_none());
        }
    }
}

#[test]
fn a_harmed_header_opens_nothing_and_says_absent_of_nothing() {
    let (_home, folder, store, _) = store();
    let path = folder.join("cotter.header");
    let whole = fs::read(&path).unwrap();
    for harmed in harmed(&whole) {
        fs::write(&path, &harmed).unwrap();
        let error = FileStore::open(&folder, Given::new(seal_key(1))).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Damaged);
        assert_eq!(refused(store.load(&key("ada"))), StoreErrorKind::Damaged);
        assert_eq!(refused(store.load(&key("nobody"))), StoreErrorKind::Damaged);
    }
    fs::write(&path, &whole).unwrap();
    assert_holds(&store, "ada", "tokens");
    assert_holds(&open(&folder), "ada", "tokens");
}

#[test]
fn harm_to_lock_files_harms_nothing() {
    let (_home, folder, store, revision) = store();
    store.try_lease(&key("ada"), core::time::Duration::ZERO).unwrap();
    for suffix in [".cas", ".lease", "cotter.lock"] {
        for content in [b"".as_slice(), b"\xff\xff garbage", &[b'9'; 5000]] {
            fs::write(file_ending(&folder, suffix), content).unwrap();
            let swap =
                store.save(&key("ada"), &bytes("tokens"), Expected::Revision(revision), revision);
            assert_eq!(swap.unwrap(), Swap::Done);
            assert!(store.try_lease(&key("ada"), core::time::Duration::ZERO).is_ok());
            assert_holds(&open(&folder), "ada", "tokens");
        }
    }
}

#[test]
fn a_record_that_was_moved_to_another_name_is_damaged() {
    let (_home, folder, store, _) = store();
    let ada = file_ending(&folder, ".rec");
    put(&store, "bob", "bob's");
    let bob = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let bob =
        bob.filter(|path| *path != ada).find(|path| path.extension().is_some_and(|e| e == "rec"));
    fs::copy(&ada, bob.unwrap()).unwrap();
    assert_eq!(refused(store.load(&key("bob"))), StoreErrorKind::Damaged);
    assert_holds(&store, "ada", "tokens");
    let survey = store.survey().unwrap();
    assert_eq!(survey.iter().filter(|found| found.key.is_ok()).count(), 1);
    assert_eq!(survey.len(), 2);
}

#[test]
fn rule_07_records_without_their_header_are_damaged_and_get_no_new_key() {
    let (_home, folder, store, _) = store();
    fs::remove_file(folder.join("cotter.header")).unwrap();
    assert_eq!(refused(store.load(&key("ada"))), StoreErrorKind::Damaged);
    assert_eq!(refused(store.load(&key("nobody"))), StoreErrorKind::Damaged);
    for error in [
        FileStore::open(&folder, Given::new(seal_key(1))).unwrap_err(),
        FileStore::open_existing(&folder, Given::new(seal_key(1))).unwrap_err(),
        FileStore::header(&folder).unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::Damaged);
    }
    assert!(!folder.join("cotter.header").exists());
}

#[test]
fn a_folder_that_was_removed_while_open_is_gone_and_not_empty() {
    let (_home, folder, store, revision) = store();
    let held = store.try_lease(&key("bob"), core::time::Duration::ZERO).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let LeaseAnswer::Granted(lease) = held else { panic!("nobody has it") };
    store.release(&key("bob"), lease.owner).unwrap();
    let absent = Expected::Absent;
    let next = revision.next();
    for error in [
        store.load(&key("ada")).unwrap_err(),
        store.save(&key("bob"), &bytes("x"), absent, revision).unwrap_err(),
        store.save(&key("ada"), &bytes("x"), Expected::Revision(revision), next).unwrap_err(),
        store.remove(&key("ada"), revision).unwrap_err(),
        store.try_lease(&key("ada"), core::time::Duration::ZERO).unwrap_err(),
        store.list().unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    }
    assert!(!folder.exists(), "nothing is made anew behind the user's back");
}

#[test]
fn a_folder_that_comes_and_goes_is_never_taken_for_an_empty_one() {
    let (home, folder, store, _) = store();
    let aside = home.path().join("aside");
    let stop = core::sync::atomic::AtomicBool::new(false);
    let stopped = || stop.load(core::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stopped() {
                fs::rename(&folder, &aside).unwrap();
                fs::rename(&aside, &folder).unwrap();
            }
        });
        let (mut opened, mut gone, mut lied) = (0, 0, 0);
        for _ in 0..20_000 {
            match store.load(&key("ada")) {
                Ok(Some(_)) => opened += 1,
                Ok(None) => lied += 1,
                Err(_) => gone += 1,
            }
        }
        stop.store(true, core::sync::atomic::Ordering::Relaxed);
        assert!(opened > 0 && gone > 0, "nothing was tested: {opened} {gone}");
        assert_eq!(lied, 0, "of {opened} and {gone}");
    });
}

#[test]
fn another_store_in_the_place_of_a_removed_one_is_seen() {
    let (_home, folder, store, _) = store();
    fs::remove_dir_all(&folder).unwrap();
    let other = open(&folder);
    assert!(store.load(&key("ada")).unwrap().is_none());
    put(&other, "ada", "other");
    assert_holds(&store, "ada", "other");

    fs::remove_dir_all(&folder).unwrap();
    FileStore::open(&folder, Given::new(seal_key(2))).unwrap();
    assert_eq!(refused(store.load(&key("ada"))), StoreErrorKind::KeyWrong);
}

#[test]
fn what_a_newer_cotter_wrote_is_refused_and_left_alone() {
    let (_home, folder, store, revision) = store();
    for file in [file_ending(&folder, ".rec"), folder.join("cotter.header")] {
        let whole = fs::read(&file).unwrap();
        let newer = as_version_2(&whole);
        fs::write(&file, &newer).unwrap();
        let new = lineage(2);
        for error in [
            store.load(&key("ada")).unwrap_err(),
            store.save(&key("ada"), &bytes("x"), Expected::Absent, new).unwrap_err(),
            store.save(&key("ada"), &bytes("x"), Expected::Revision(revision), new).unwrap_err(),
            store.remove(&key("ada"), revision).unwrap_err(),
            store.list().unwrap_err(),
        ] {
            assert_eq!(error.kind(), StoreErrorKind::TooNew);
        }
        assert_eq!(fs::read(&file).unwrap(), newer);
        fs::write(&file, &whole).unwrap();
    }
    assert_holds(&store, "ada", "tokens");
}

#[test]
fn temporary_files_of_the_dead_are_swept_and_others_kept() {
    let (_home, folder, store, revision) = store();
    let record = file_ending(&folder, ".rec");
    let stale = |name: &Path| folder.join("tmp").join(format!("{}.0123", name.display()));
    let mine = stale(Path::new(record.file_name().unwrap()));
    let others = stale(Path::new("00.rec"));
    for path in [&mine, &others] {
        fs::write(path, "half a rec").unwrap();
    }
    assert_eq!(store.remove(&key("ada"), revision).unwrap(), Swap::Done);
    assert!(!mine.exists() && others.exists());

    // Without the folder for them, the next writer makes it again.
    fs::remove_dir_all(folder.join("tmp")).unwrap();
    put(&store, "ada", "again");
    assert_eq!(fs::read_dir(folder.join("tmp")).unwrap().count(), 0);
}

fn as_version_2(whole: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    let mut bytes = whole[..whole.len() - 8].to_vec();
    bytes[3] = 2;
    let hash = sha2::Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash[..8]);
    bytes
}
