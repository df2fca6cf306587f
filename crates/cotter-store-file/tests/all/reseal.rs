use std::process::Command;

use cotter_core::{BlockingTokenStore as _, Expected, StoreErrorKind, Swap};
use cotter_store_file::{FileStore, Given};

use crate::{assert_holds, bytes, file_ending, key, lineage, open, put, refused, seal_key};

fn both() -> Given {
    Given::new(seal_key(2)).with_old(seal_key(1))
}

#[test]
fn everything_moves_to_the_newest_key_and_keeps_name_and_revision() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let old = open(&folder);
    for n in 0..20 {
        put(&old, &n.to_string(), &format!("tokens {n}"));
    }
    let store = FileStore::open(&folder, both()).unwrap();
    let done = store.reseal().unwrap();
    assert_eq!((done.moved, done.left), (20, 0));
    assert_eq!(store.reseal().unwrap().moved, 0);

    let new = FileStore::open(&folder, Given::new(seal_key(2))).unwrap();
    for n in 0..20 {
        assert_holds(&new, &n.to_string(), &format!("tokens {n}"));
        let revision = new.load(&key(&n.to_string())).unwrap().unwrap().revision;
        assert_eq!(revision, lineage(1));
    }
    assert_eq!(new.list().unwrap().len(), 20);
    let error = FileStore::open(&folder, Given::new(seal_key(1))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyWrong);

    // Who still has it open with the old key is refused before anything is written.
    let record = std::fs::read(file_ending(&folder, ".rec")).unwrap();
    for n in 0..20 {
        let session = n.to_string();
        assert_eq!(refused(old.load(&key(&session))), StoreErrorKind::KeyWrong);
        let expected = Expected::Revision(lineage(1));
        let error = old.save(&key(&session), &bytes("x"), expected, lineage(1).next());
        assert_eq!(error.unwrap_err().kind(), StoreErrorKind::KeyWrong);
    }
    assert_eq!(std::fs::read(file_ending(&folder, ".rec")).unwrap(), record);
}

#[test]
fn a_record_that_cannot_be_opened_is_counted_and_left() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    put(&open(&folder), "ada", "tokens");
    std::fs::write(file_ending(&folder, ".rec"), "harmed").unwrap();
    let store = FileStore::open(&folder, both()).unwrap();
    put(&store, "bob", "tokens");
    let done = store.reseal().unwrap();
    assert_eq!((done.moved, done.left), (0, 1));
    assert_eq!(refused(store.load(&key("ada"))), StoreErrorKind::Damaged);
}

#[test]
fn writers_at_work_meanwhile_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    for n in 0..4 {
        put(&open(&folder), &n.to_string(), "0");
    }
    let stop = core::sync::atomic::AtomicBool::new(false);
    let last: Vec<u64> = std::thread::scope(|scope| {
        let write = |n: usize| {
            let (store, stop) = (FileStore::open(&folder, both()).unwrap(), &stop);
            move || {
                let mut revision = lineage(1);
                while !stop.load(core::sync::atomic::Ordering::Relaxed) {
                    let (expected, next) = (Expected::Revision(revision), revision.next());
                    let text = bytes(&revision.counter.to_string());
                    let swap = store.save(&key(&n.to_string()), &text, expected, next).unwrap();
                    assert_eq!(swap, Swap::Done);
                    revision = next;
                }
                revision.counter
            }
        };
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(write(n))).collect();
        // Back and forth, so that each round finds everything under the other key.
        for round in 0..6_u8 {
            let (new, old) = (seal_key(1 + round % 2), seal_key(2 - round % 2));
            let store = FileStore::open(&folder, Given::new(new).with_old(old)).unwrap();
            store.reseal().unwrap();
        }
        stop.store(true, core::sync::atomic::Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let store = FileStore::open(&folder, both()).unwrap();
    for (n, last) in last.into_iter().enumerate() {
        assert_eq!(store.load(&key(&n.to_string())).unwrap().unwrap().revision.counter, last);
        assert_holds(&store, &n.to_string(), &(last - 1).to_string());
    }
}

#[test]
fn writers_with_the_old_key_alone_leave_nothing_that_the_new_one_does_not_open() {
    const WRITERS: u64 = 8;
    let home = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let folder = home.path().join(round.to_string());
        put(&open(&folder), "shared", "x");
        let written: u64 = std::thread::scope(|scope| {
            let write = |n: u64| {
                let store = open(&folder);
                move || {
                    // New sessions and one that all of them queue for, until the key is refused.
                    for written in 0.. {
                        let swap = || {
                            let there = store.load(&key("shared"))?.expect("it is never removed");
                            there.record?;
                            let (expected, next) =
                                (Expected::Revision(there.revision), there.revision.next());
                            store.save(&key("shared"), &bytes("x"), expected, next)?;
                            let new = key(&format!("{n} {written}"));
                            store.save(&new, &bytes("x"), Expected::Absent, lineage(1))
                        };
                        match swap() {
                            Ok(swap) => assert_eq!(swap, Swap::Done),
                            Err(error) => {
                                assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
                                return written;
                            }
                        }
                    }
                    unreachable!("the key is refused at last")
                }
            };
            let threads: Vec<_> = (0..WRITERS).map(|n| scope.spawn(write(n))).collect();
            std::thread::sleep(core::time::Duration::from_millis(5));
            FileStore::open(&folder, both()).unwrap().reseal().unwrap();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let new = FileStore::open(&folder, Given::new(seal_key(2))).unwrap();
        assert_eq!(new.list().unwrap().len() as u64, written + 1);
    }
}

#[test]
fn it_can_be_interrupted_anywhere() {
    let home = tempfile::tempdir().unwrap();
    for (n, at) in [
        "before-temp",
        "after-temp-write:2",
        "after-file-sync:3",
        "after-rename",
        "after-rename:3",
        "after-folder-sync:3",
        "before-reseal-header",
        "after-temp-write:4",
        "after-rename:4",
        "after-reseal-header",
    ]
    .into_iter()
    .enumerate()
    {
        let folder = home.path().join(n.to_string());
        for session in ["a", "b", "c"] {
            put(&open(&folder), session, session);
        }
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "reseal::reseal_child", "--ignored"])
            .env("COTTER_TEST_FOLDER", &folder)
            .env("COTTER_CRASH_AT", at)
            .output()
            .unwrap()
            .status;
        assert!(!status.success(), "{at} was not reached");
        let store = FileStore::open(&folder, both()).unwrap();
        for session in ["a", "b", "c"] {
            assert_holds(&store, session, session);
        }
        assert_eq!(store.reseal().unwrap().left, 0);
        let new = FileStore::open(&folder, Given::new(seal_key(2))).unwrap();
        for session in ["a", "b", "c"] {
            assert_holds(&new, session, session);
        }
    }
}

#[test]
#[ignore = "run by it_can_be_interrupted_anywhere"]
fn reseal_child() {
    let folder = std::env::var("COTTER_TEST_FOLDER").unwrap();
    FileStore::open(folder, both()).unwrap().reseal().unwrap();
}
