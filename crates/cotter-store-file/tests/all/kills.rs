//! Processes that are killed, at named points and at random ones.

use core::time::Duration;
use std::io::Read as _;
use std::path::Path;
use std::process::Child;

use cotter_core::{
    BlockingTokenStore as _, Expected, LeaseAnswer, Lineage, Revision, StoreErrorKind, Swap,
};
use cotter_store_file::{FileStore, KeyFile};

use crate::processes::{child, folder, wait_for};
use crate::{bytes, key, open};

/// Every one there is on the way of a save or a removal.
const POINTS: [&str; 8] = [
    "before-temp",
    "after-temp-write",
    "after-file-sync",
    "after-rename",
    "after-folder-sync",
    "before-remove",
    "in-remove",
    "after-remove",
];

/// Signs in, refreshes and signs out without end, and says before and after what it does.
#[test]
#[ignore = "run by the tests below, and killed"]
fn writing_child() {
    println!(); // the harness leaves its line open
    let store = open(&folder());
    let session = key("ada");
    let mut standing = store.load(&session).unwrap().map(|loaded| loaded.revision);
    for n in u64::from(std::process::id()) << 20.. {
        let LeaseAnswer::Granted(lease) = store.try_lease(&session, Duration::ZERO).unwrap() else {
            panic!("somebody dead has the lease");
        };
        let next = match standing {
            None => {
                let mut lineage = [0; 16];
                lineage[..8].copy_from_slice(&n.to_be_bytes());
                Some(Revision::first(Lineage::from_bytes(lineage)))
            }
            Some(revision) if n % 5 == 0 => {
                println!("try {}", text(None));
                assert_eq!(store.remove(&session, revision).unwrap(), Swap::Done);
                None
            }
            Some(revision) => Some(revision.next()),
        };
        if let Some(next) = next {
            println!("try {}", text(Some(next)));
            let record = bytes(&text(Some(next)));
            let expected = standing.map_or(Expected::Absent, Expected::Revision);
            assert_eq!(store.save(&session, &record, expected, next).unwrap(), Swap::Done);
        }
        println!("did {}", text(next));
        standing = next;
        store.release(&session, lease.owner).unwrap();
    }
}

fn text(revision: Option<Revision>) -> String {
    match revision {
        None => String::from("nothing"),
        Some(revision) => format!("{:?}", revision.to_bytes()),
    }
}

/// Waits until the child is at work; gives what it has said so far.
fn wait_until_at_work(child: &mut Child) -> Vec<u8> {
    let mut said = Vec::new();
    let mut buffer = [0; 1024];
    while !said.windows(4).any(|window| window == b"try ") {
        let read = child.stdout.as_mut().unwrap().read(&mut buffer).unwrap();
        assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&buffer[..read]);
    }
    said
}

/// Reads what else a dead child said, and holds the store to it. Gives what stands there now.
fn check(mut child: Child, mut said: Vec<u8>, before: &str, folder: &Path) -> String {
    child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
    let said = String::from_utf8(said).unwrap();
    child.wait().unwrap();
    assert!(!said.contains("panicked") && !said.contains("FAILED"), "{said}");
    let last = |word: &str| {
        let mut lines = said.lines().rev().filter_map(|line| line.strip_prefix(word));
        lines.next().map(String::from)
    };
    let done = last("did ").unwrap_or_else(|| String::from(before));
    let begun = last("try ");

    let store = open(folder);
    let loaded = store.load(&key("ada")).unwrap();
    let standing = text(loaded.as_ref().map(|loaded| loaded.revision));
    assert!(
        standing == done || Some(&standing) == begun.as_ref(),
        "{standing} stands there; {done} was done and {begun:?} begun"
    );
    if let Some(loaded) = loaded {
        assert!(loaded.record.unwrap() == bytes(&standing), "a record under another's revision");
    }
    assert_eq!(store.list().unwrap().len(), usize::from(standing != "nothing"));
    let LeaseAnswer::Granted(lease) = store.try_lease(&key("ada"), Duration::ZERO).unwrap() else {
        panic!("the dead hold a lease");
    };
    store.release(&key("ada"), lease.owner).unwrap();
    standing
}

#[test]
fn a_kill_at_any_named_point_leaves_the_old_record_or_the_new_one() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()));
    let mut standing = String::from("nothing");
    for point in POINTS {
        for times in 1..=4 {
            let at = format!("{point}:{times}");
            let killed = child("kills::writing_child", home.path(), &[("COTTER_CRASH_AT", &at)]);
            standing = check(killed, Vec::new(), &standing, home.path());
        }
    }
    // What crashed writers left is swept by the next ones.
    let store = open(home.path());
    let revision = Revision::first(Lineage::from_bytes([8; 16]));
    let found = store.load(&key("ada")).unwrap().map(|loaded| loaded.revision);
    let expected = found.map_or(Expected::Absent, Expected::Revision);
    store.save(&key("ada"), &bytes("x"), expected, revision).unwrap();
    assert_eq!(std::fs::read_dir(home.path().join("tmp")).unwrap().count(), 0);
}

/// 200 kills; `COTTER_KILLS` says otherwise.
#[test]
fn a_kill_at_a_random_moment_leaves_the_old_record_or_the_new_one() {
    let kills = std::env::var("COTTER_KILLS").ok().and_then(|text| text.parse().ok());
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()));
    let mut standing = String::from("nothing");
    let mut seed = 0x9e37_79b9_u32;
    let mut moved = 0;
    for _ in 0..kills.unwrap_or(200) {
        let mut killed = child("kills::writing_child", home.path(), &[]);
        let said = wait_until_at_work(&mut killed);
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_micros(u64::from(seed >> 16) % 16_000));
        killed.kill().unwrap();
        let now = check(killed, said, &standing, home.path());
        moved += u32::from(now != standing);
        standing = now;
    }
    assert!(moved > 20, "most were killed before they had done anything: {moved}");
}

#[test]
fn a_kill_while_a_store_is_made_keeps_it_from_nobody() {
    for point in [
        "before-key",
        "in-key-file",
        "before-header",
        "before-temp",
        "after-temp-write",
        "after-file-sync",
        "after-rename",
        "after-folder-sync",
    ] {
        let home = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let variables = [("COTTER_CRASH_AT", point)];
            let mut killed = child("kills::making_child", home.path(), &variables);
            killed.wait().unwrap();
        }
        let (path, source) = (home.path().join("store"), home.path().join("key"));
        match FileStore::open_existing(&path, KeyFile::new(&source)) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::KeyMissing, "{point}"),
        }
        let store = FileStore::open(&path, KeyFile::new(&source)).unwrap();
        crate::put(&store, "ada", "tokens");
        let again = FileStore::open(&path, KeyFile::new(&source)).unwrap();
        crate::assert_holds(&again, "ada", "tokens");
    }
}

#[test]
#[ignore = "run by a_kill_while_a_store_is_made_keeps_it_from_nobody"]
fn making_child() {
    let source = KeyFile::new(folder().join("key"));
    FileStore::open(folder().join("store"), source).unwrap();
    println!("made");
}

#[test]
fn a_store_that_nobody_kills_is_made() {
    let home = tempfile::tempdir().unwrap();
    let mut made = child("kills::making_child", home.path(), &[]);
    wait_for(&mut made, "made");
    assert!(made.wait().unwrap().success());
}
