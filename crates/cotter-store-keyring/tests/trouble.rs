//! Keyrings that hang, are locked or are not there; and the lock files that stand in for what no
//! keyring has.
#![allow(clippy::unwrap_used, reason = "it is a test")]

mod common;

use core::time::Duration;
use std::time::Instant;

use common::{Fake, PATIENCE, first, key, record, store_at};
use cotter_core::{BlockingTokenStore, Expected, LeaseAnswer, StoreErrorKind, Swap};

const SOON: Duration = Duration::from_millis(150);

#[test]
fn a_write_that_hangs_is_uncertain_and_nothing_overtakes_it() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    let store = store_at(&fake, locks.path(), SOON);
    fake.hold();
    let error = store.save(&key("a"), &record(10, 1), Expected::Absent, first(1)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Timeout);
    assert!(error.is_uncertain() && error.hint().is_some());

    // The later one has not begun when its time is over, and never will.
    let began = Instant::now();
    let error = store.save(&key("b"), &record(10, 2), Expected::Absent, first(2)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(store.load(&key("a")).is_err(), "a load does not wait for ever");

    fake.let_go();
    let loaded = patiently(|| store.load(&key("a")).ok().flatten());
    assert_eq!(loaded.revision, first(1));
    assert_eq!(loaded.record.unwrap(), record(10, 1));
    assert!(patiently(|| store.load(&key("b")).ok()).is_none(), "it was written all the same");
}

#[test]
fn a_write_that_hangs_keeps_other_processes_from_writing_the_same_record() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    let stuck = store_at(&fake, locks.path(), SOON);
    fake.hold();
    let error = stuck.save(&key("a"), &record(10, 1), Expected::Absent, first(1)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Timeout);

    let other = store_at(&fake, locks.path(), SOON);
    let error = other.save(&key("a"), &record(10, 2), Expected::Absent, first(2)).unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::Locked | StoreErrorKind::Timeout));
    fake.let_go();
    patiently(|| stuck.load(&key("a")).ok().flatten());
    let swap = store_at(&fake, locks.path(), PATIENCE)
        .save(&key("a"), &record(10, 3), Expected::Absent, first(3))
        .unwrap();
    assert_eq!(swap, Swap::Conflict { found: Some(first(1)) });
}

#[test]
fn a_locked_or_missing_keyring_is_never_an_absent_record() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    let store = store_at(&fake, locks.path(), PATIENCE);
    for kind in [StoreErrorKind::Locked, StoreErrorKind::Unavailable] {
        fake.state().fails = Some(kind);
        assert_eq!(store.load(&key("a")).unwrap_err().kind(), kind);
        let error = store.save(&key("a"), &record(1, 1), Expected::Absent, first(1)).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(store.remove(&key("a"), first(1)).unwrap_err().kind(), kind);
        assert_eq!(store.list().unwrap_err().kind(), kind);
        assert_eq!(store.probe().unwrap_err().kind(), kind);
        assert_eq!(store.sweep().unwrap_err().kind(), kind);
    }
    fake.state().fails = None;
    store.probe().unwrap();
    assert!(fake.state().entries.is_empty(), "a probe leaves nothing behind");
}

#[test]
fn two_processes_share_records_leases_and_swaps() {
    let (fake, locks) = (Fake::default(), tempfile::tempdir().unwrap());
    let one = store_at(&fake, locks.path(), PATIENCE);
    let two = store_at(&fake, locks.path(), PATIENCE);
    let LeaseAnswer::Granted(lease) = one.try_lease(&key("a"), PATIENCE).unwrap() else {
        panic!("a free lease was not granted")
    };
    let LeaseAnswer::Held(holder) = two.try_lease(&key("a"), PATIENCE).unwrap() else {
        panic!("a lease was granted twice")
    };
    assert_eq!(holder.pid, Some(std::process::id()));
    assert!(holder.since.is_some());
    one.release(&key("a"), lease.owner).unwrap();
    assert!(matches!(two.try_lease(&key("a"), PATIENCE).unwrap(), LeaseAnswer::Granted(_)));

    one.save(&key("a"), &record(1, 1), Expected::Absent, first(1)).unwrap();
    let swap = two.save(&key("a"), &record(1, 2), Expected::Absent, first(2)).unwrap();
    assert_eq!(swap, Swap::Conflict { found: Some(first(1)) });
    assert_eq!(two.list().unwrap(), [key("a")]);
}

#[test]
fn two_processes_that_count_lose_no_update() {
    let (fake, locks) = (Fake::limited(128), tempfile::tempdir().unwrap());
    let path = locks.path();
    fake.state().slow = Duration::from_millis(2);
    let start = store_at(&fake, path, PATIENCE);
    start.save(&key("a"), &record(0, 0), Expected::Absent, first(1)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let fake = &fake;
            scope.spawn(move || {
                let store = store_at(fake, path, PATIENCE);
                for _ in 0..10 {
                    loop {
                        let loaded = store.load(&key("a")).unwrap().unwrap();
                        let length = loaded.record.unwrap().len();
                        let expected = Expected::Revision(loaded.revision);
                        let next = record(length + 1, 7);
                        let swap = store.save(&key("a"), &next, expected, loaded.revision.next());
                        if swap.unwrap() == Swap::Done {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(start.load(&key("a")).unwrap().unwrap().record.unwrap().len(), 30);
}

#[cfg(unix)]
#[test]
fn a_folder_for_locks_that_others_can_write_to_is_refused() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let base = tempfile::tempdir().unwrap();
    let open = base.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let linked = base.path().join("linked");
    symlink(base.path(), &linked).unwrap();
    for folder in [open, linked] {
        let store = cotter_store_keyring::KeyringStore::with_backend(
            Fake::default(),
            folder,
            common::entropy(),
            PATIENCE,
        );
        assert_eq!(store.unwrap_err().kind(), StoreErrorKind::Forbidden);
    }
}

#[test]
fn who_only_reads_makes_no_folder_and_no_file_for_locks() {
    let base = tempfile::tempdir().unwrap();
    let locks = base.path().join("run/cotter");
    let fake = Fake::default();
    let source =
        cotter_store_keyring::KeyringKey::with_backend(fake.clone(), "cotter", &locks, PATIENCE);
    cotter_seal::KeySource::keys(&source.unwrap(), b"").unwrap_err();
    let store = store_at(&fake, &locks, PATIENCE);
    assert!(store.load(&key("a")).unwrap().is_none() && store.list().unwrap().is_empty());
    assert!(!locks.exists());

    store.save(&key("a"), &record(1, 1), Expected::Absent, first(1)).unwrap();
    assert!(locks.exists());
    // As after a restart of the machine.
    std::fs::remove_dir_all(base.path().join("run")).unwrap();
    let store = store_at(&fake, &locks, PATIENCE);
    assert_eq!(store.load(&key("a")).unwrap().unwrap().revision, first(1));
    assert_eq!(store.list().unwrap(), [key("a")]);
    assert!(!locks.exists());
    assert!(matches!(store.try_lease(&key("a"), PATIENCE).unwrap(), LeaseAnswer::Granted(_)));
    assert!(locks.exists());
}

#[cfg(unix)]
#[test]
fn a_folder_for_locks_that_somebody_else_makes_meanwhile_is_refused() {
    use std::os::unix::fs::symlink;
    let base = tempfile::tempdir().unwrap();
    let locks = base.path().join("locks");
    let store = store_at(&Fake::default(), &locks, PATIENCE);
    symlink(base.path(), &locks).unwrap();
    let error = store.try_lease(&key("a"), PATIENCE).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Forbidden);
}

fn patiently<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        match ask() {
            Some(answer) => return answer,
            None if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(10)),
            None => panic!("no answer"),
        }
    }
}
