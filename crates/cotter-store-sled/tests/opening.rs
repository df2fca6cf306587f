//! Who may open a store, with which key, and what an opened one leaves in its folder.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test")]

mod common;

use core::time::Duration;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use common::{first, key, open, open_within, record, source};
use cotter_core::{
    BlockingTokenStore, Entropy, Expected, SecretBytes, StoreError, StoreErrorKind, Swap,
};
use cotter_seal::{Given, KeySource, Keys, SealKey};
use cotter_store_sled::SledStore;

const CHILD: &str = "COTTER_TEST_SLED_OWNER";

/// Another process, that opens the folder, says so, and keeps it until its input ends.
#[test]
fn child_that_owns_the_folder() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let store = open(Path::new(&folder)).unwrap();
    store.save(&key("child"), &record("c"), Expected::Absent, first(1)).unwrap();
    println!("\nREADY");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

fn spawn_owner(folder: &Path) -> std::process::Child {
    use std::io::{BufRead as _, BufReader};
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_owns_the_folder", "--nocapture"])
        .env(CHILD, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "READY"), "the owner did not open the folder");
    child
}

#[test]
fn a_second_process_is_told_who_has_it_within_a_bound() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    let mut owner = spawn_owner(&folder);

    let began = Instant::now();
    let error = open_within(&folder, Duration::from_millis(300)).unwrap_err();
    let waited = began.elapsed();
    assert_eq!(error.kind(), StoreErrorKind::Locked);
    assert!(error.to_string().contains(&owner.id().to_string()), "{error}");
    assert!(error.hint().unwrap().contains("file store"), "{:?}", error.hint());
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(5), "{waited:?}");

    // Who waits gets it once the owner has ended, even by a kill.
    let waiting =
        std::thread::spawn(move || open_within(&folder, Duration::from_secs(60)).unwrap());
    std::thread::sleep(Duration::from_millis(100));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let store = waiting.join().unwrap();
    assert_eq!(store.load(&key("child")).unwrap().unwrap().record.unwrap(), record("c"));
}

#[test]
fn a_second_handle_in_this_process_is_refused_too() {
    let base = tempfile::tempdir().unwrap();
    let store = open(&base.path().join("store")).unwrap();
    let error = open_within(&base.path().join("store"), Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Locked);
    drop(store);
    open(&base.path().join("store")).unwrap();
}

#[test]
fn a_closed_store_can_be_opened_at_once_many_times_over() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    let mut revision = first(1);
    open(&folder).unwrap().save(&key("a"), &record("0"), Expected::Absent, revision).unwrap();
    for n in 0..20 {
        let store = open_within(&folder, Duration::from_secs(5)).unwrap();
        let next = revision.next();
        let text = record(&n.to_string());
        let swap = store.save(&key("a"), &text, Expected::Revision(revision), next).unwrap();
        assert_eq!(swap, Swap::Done);
        revision = next;
        store.close().unwrap();
        assert_eq!(store.load(&key("a")).unwrap_err().kind(), StoreErrorKind::Unavailable);
        // Nobody holds it any more: no wait is needed.
        open_within(&folder, Duration::ZERO).unwrap().close().unwrap();
        drop(store);
    }
}

#[test]
fn rule_07_a_wrong_key_is_not_an_empty_store() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    let store = open(&folder).unwrap();
    store.save(&key("a"), &record("a"), Expected::Absent, first(1)).unwrap();
    store.close().unwrap();

    let other = Given::new(SealKey::from_bytes([8; 32]));
    let error = SledStore::open(&folder, &other).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
    let error = SledStore::open(&folder, NoKey).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyMissing);
    assert!(open(&folder).unwrap().load(&key("a")).unwrap().is_some());
}

#[derive(Debug)]
struct NoKey;

impl KeySource for NoKey {
    fn kind(&self) -> &str {
        "given"
    }
    fn describe(&self) -> &str {
        "nothing"
    }
    fn keys(&self, _: &[u8]) -> Result<Keys, StoreError> {
        Err(StoreError::new(StoreErrorKind::KeyMissing, "there is no key"))
    }
    fn create_if_absent(&self, _: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }
}

#[test]
fn a_store_that_could_not_get_its_key_is_made_at_the_next_try() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    let error = SledStore::open(&folder, NoKey).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyMissing);
    open(&folder).unwrap();
}

#[test]
fn opening_what_exists_makes_nothing() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    assert!(SledStore::open_existing(&folder, source()).unwrap().is_none());
    assert!(SledStore::open_moving(&folder, source(), source()).unwrap().is_none());
    assert!(!folder.exists());
    open(&folder).unwrap().close().unwrap();
    assert!(SledStore::open_existing(&folder, source()).unwrap().is_some());
}

#[test]
fn a_new_key_reseals_everything_and_the_old_one_is_refused_after() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    let store = open(&folder).unwrap();
    for n in 0..5 {
        let name = key(&n.to_string());
        store.save(&name, &record("r"), Expected::Absent, first(1)).unwrap();
    }
    store.close().unwrap();

    let new = || SealKey::from_bytes([8; 32]);
    let both = Given::new(new()).with_old(SealKey::from_bytes([7; 32]));
    let store = SledStore::open(&folder, &both).unwrap();
    assert_eq!(store.reseal().unwrap(), 5);
    assert_eq!(store.reseal().unwrap(), 0);
    assert_eq!(store.list().unwrap().len(), 5);
    store.close().unwrap();

    assert_eq!(open(&folder).unwrap_err().kind(), StoreErrorKind::KeyWrong);
    let store = SledStore::open(&folder, Given::new(new())).unwrap();
    let loaded = store.load(&key("3")).unwrap().unwrap();
    assert_eq!((loaded.revision, loaded.record.unwrap()), (first(1), record("r")));
}

#[cfg(unix)]
#[test]
fn links_and_folders_open_to_others_are_refused() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let base = tempfile::tempdir().unwrap();
    let (real, link) = (base.path().join("real"), base.path().join("link"));
    open(&real).unwrap().close().unwrap();
    symlink(&real, &link).unwrap();
    assert_eq!(open(&link).unwrap_err().kind(), StoreErrorKind::Forbidden);
    fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(open(&real).unwrap_err().kind(), StoreErrorKind::Forbidden);
    fs::set_permissions(&real, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(base.path().join("file"), b"").unwrap();
    assert_eq!(open(&base.path().join("file")).unwrap_err().kind(), StoreErrorKind::Forbidden);
    open(&real).unwrap();
}

#[cfg(unix)]
#[test]
fn files_are_the_owners_alone_and_hold_nothing_in_clear() {
    use std::os::unix::fs::PermissionsExt as _;
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    let store = open(&folder).unwrap();
    let planted = ["PLANTED-TOKEN", "PLANTED-SESSION", "client-PLANTED", "planted.example"];
    let name =
        cotter_core::StoreKey::new("https://planted.example", planted[2], planted[1]).unwrap();
    let mut revision = first(1);
    store.save(&name, &record(planted[0]), Expected::Absent, revision).unwrap();
    for length in [10_000, 400_000] {
        let next = revision.next();
        let long = SecretBytes::from(planted[0].as_bytes().repeat(length / 10));
        store.save(&name, &long, Expected::Revision(revision), next).unwrap();
        revision = next;
    }
    let look = |what: &str| {
        let mut count = 0;
        walk(&folder, &mut |path, metadata| {
            let mode = metadata.permissions().mode() & 0o777;
            let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "{} {what}", path.display());
            if metadata.is_file() {
                count += 1;
                let bytes = fs::read(path).unwrap();
                for planted in planted {
                    let found = bytes.windows(planted.len()).any(|w| w == planted.as_bytes());
                    assert!(!found, "{planted} in {}", path.display());
                }
            }
        });
        assert!(count > 4, "{count} files");
    };
    look("while it is open");
    store.remove(&name, revision).unwrap();
    store.close().unwrap();
    open(&folder).unwrap().close().unwrap();
    look("after it was closed");
}

#[cfg(unix)]
fn walk(path: &Path, look: &mut dyn FnMut(&Path, &fs::Metadata)) {
    let metadata = fs::symlink_metadata(path).unwrap();
    look(path, &metadata);
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), look);
        }
    }
}

#[test]
fn a_folder_removed_while_in_use_is_an_error_and_no_empty_store() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    let store = open(&folder).unwrap();
    store.save(&key("a"), &record("a"), Expected::Absent, first(1)).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let next = Expected::Revision(first(1));
    let error = store.save(&key("a"), &record("b"), next, first(1).next()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    if let Ok(found) = store.load(&key("a")) {
        assert_eq!(found.unwrap().record.unwrap(), record("a"));
    }
}

#[test]
fn thousands_of_sessions_share_one_open_store() {
    let base = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&base.path().join("store")).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = Arc::clone(&store);
            scope.spawn(move || {
                for n in 0..50 {
                    let key = key(&format!("{thread} {n}"));
                    let record = record(&format!("record {thread} {n}"));
                    store.save(&key, &record, Expected::Absent, first(1)).unwrap();
                    assert_eq!(store.load(&key).unwrap().unwrap().record.unwrap(), record);
                }
            });
        }
    });
    assert_eq!(store.list().unwrap().len(), 400);
}
