//! A store whose sealing key moves from one kind of source to the next, killed on the way at every
//! named point.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "it is a test")]

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cotter::core::{Expected, Lineage, Revision, Swap};
use cotter::seal::{Cost, Given, KeySource, Passphrase, SealKey};
use cotter::store::{File, KeyFile, Sled};
use cotter::{BlockingTokenStore, OsEntropy, SecretBytes, StoreError, StoreErrorKind, StoreKey};
use cotter_store_keyring::{Backend, KeyringKey};

const SESSIONS: [&str; 3] = ["ada", "bob", "eve"];
const KINDS: [&str; 4] = ["key-file", "keyring", "passphrase", "given"];

/// A keyring that other processes share: entries are files.
#[derive(Debug)]
struct Ring(PathBuf);

impl Backend for Ring {
    fn max_secret(&self) -> Option<usize> {
        None
    }

    fn get(&mut self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        Ok(fs::read(self.0.join(name)).ok().map(SecretBytes::from))
    }

    fn set(&mut self, name: &str, secret: &SecretBytes) -> Result<(), StoreError> {
        fs::write(self.0.join(name), secret.expose()).unwrap();
        Ok(())
    }

    fn delete(&mut self, name: &str) -> Result<(), StoreError> {
        fs::remove_file(self.0.join(name)).unwrap();
        Ok(())
    }
}

fn ring(home: &Path) -> KeyringKey {
    let folder = home.join("ring");
    fs::create_dir_all(&folder).unwrap();
    KeyringKey::with_backend(Ring(folder), "cotter", home.join("locks"), Duration::from_secs(60))
        .unwrap()
}

/// The nth kind of source.
fn source(n: usize, home: &Path) -> Box<dyn KeySource> {
    match KINDS[n] {
        "key-file" => Box::new(KeyFile::new(home.join("key"))),
        "keyring" => Box::new(ring(home)),
        "passphrase" => Box::new(Passphrase::new("correct horse").with_cost(Cost::LEAST)),
        _ => Box::new(Given::new(SealKey::from_bytes([7; 32]))),
    }
}

/// A file store or a sled store.
enum Store {
    File(File),
    Sled(Box<Sled>),
}

impl Store {
    fn open(kind: &str, home: &Path, source: Box<dyn KeySource>) -> Result<Self, StoreError> {
        let folder = home.join("store");
        Ok(match kind {
            "file" => Self::File(File::open(folder, source)?),
            _ => Self::Sled(Box::new(Sled::open(folder, source)?)),
        })
    }

    fn open_moving(kind: &str, home: &Path, n: usize) -> Self {
        let (folder, from, to) = (home.join("store"), source(n, home), source(n + 1, home));
        match kind {
            "file" => Self::File(File::open_moving(folder, from, to).unwrap().unwrap()),
            _ => {
                let store = Sled::open_moving(folder, from, to).unwrap();
                Self::Sled(Box::new(store.unwrap()))
            }
        }
    }

    fn reseal(&self) -> usize {
        match self {
            Self::File(store) => {
                let done = store.reseal().unwrap();
                assert_eq!(done.left, 0);
                done.moved
            }
            Self::Sled(store) => store.reseal().unwrap(),
        }
    }

    fn inner(&self) -> &dyn BlockingTokenStore {
        match self {
            Self::File(store) => store,
            Self::Sled(store) => store.as_ref(),
        }
    }

    /// A store sealed by the nth source, with a record for each session.
    fn make(kind: &str, home: &Path, n: usize) {
        let store = Self::open(kind, home, source(n, home)).unwrap();
        for session in SESSIONS {
            let (record, first) = (SecretBytes::from(session.as_bytes()), revision());
            let swap = store.inner().save(&key(session), &record, Expected::Absent, first);
            assert_eq!(swap.unwrap(), Swap::Done);
        }
    }

    #[track_caller]
    fn assert_whole(&self, what: &str) {
        assert_eq!(self.inner().list().unwrap().len(), SESSIONS.len(), "{what}");
        for session in SESSIONS {
            let loaded = self.inner().load(&key(session)).unwrap().unwrap();
            assert_eq!(loaded.revision, revision(), "{what}");
            assert_eq!(loaded.record.unwrap().expose(), session.as_bytes(), "{what}");
        }
    }
}

fn key(session: &str) -> StoreKey {
    StoreKey::new("https://auth.example", "client", session).unwrap()
}

fn revision() -> Revision {
    Revision::first(Lineage::from_bytes([5; 16]))
}

#[track_caller]
fn assert_refused(kind: &str, home: &Path, n: usize) {
    let error = Store::open(kind, home, source(n, home)).err().expect("the source is the old one");
    assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
}

fn through_every_kind_of_source(kind: &str) {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    Store::make(kind, home, 0);
    for n in 0..KINDS.len() - 1 {
        let moving = Store::open_moving(kind, home, n);
        moving.assert_whole("begun");
        assert_eq!(moving.reseal(), SESSIONS.len());
        moving.assert_whole("ended");
        assert_eq!(moving.reseal(), 0);
        drop(moving);
        let moved = Store::open(kind, home, source(n + 1, home)).unwrap();
        moved.assert_whole("opened by the new source");
        drop(moved);
        assert_refused(kind, home, n);
    }
    if kind == "file" {
        let header = File::header(home.join("store")).unwrap().unwrap();
        assert_eq!((header.source(), header.next_source()), ("given", None));
    }
}

#[test]
fn a_file_store_moves_through_every_kind_of_source() {
    through_every_kind_of_source("file");
}

#[test]
fn a_sled_store_moves_through_every_kind_of_source() {
    through_every_kind_of_source("sled");
}

/// A move in a process of its own, for the tests below to kill.
#[test]
#[ignore = "run by the tests below, and killed"]
fn moving_child() {
    let Some(home) = std::env::var_os("COTTER_TEST_HOME") else { return };
    let kind = std::env::var("COTTER_TEST_STORE").unwrap();
    let n = std::env::var("COTTER_TEST_SOURCE").unwrap().parse().unwrap();
    Store::open_moving(&kind, Path::new(&home), n).reseal();
}

/// Whether a move from the nth source died at `point`; either way it can be ended afterwards.
fn killed_at(kind: &str, n: usize, point: &str) -> bool {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    Store::make(kind, home, n);
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "moving_child", "--ignored"])
        .env("COTTER_TEST_HOME", home)
        .env("COTTER_TEST_STORE", kind)
        .env("COTTER_TEST_SOURCE", n.to_string())
        .env("COTTER_CRASH_AT", point)
        .output()
        .unwrap()
        .status;
    assert!(status.success() || status.code().is_none(), "{point}: {status}");

    let store = Store::open_moving(kind, home, n);
    store.assert_whole(point);
    store.reseal();
    drop(store);
    Store::open(kind, home, source(n + 1, home)).unwrap().assert_whole(point);
    assert_refused(kind, home, n);
    !status.success()
}

fn at_every_point(kind: &str, points: &[&str]) {
    for point in points {
        let mut times = 1;
        while killed_at(kind, 0, &format!("{point}:{times}")) {
            times += 1;
        }
        assert!(times > 1, "{point} was never reached");
    }
}

#[test]
fn a_file_store_is_killed_anywhere_on_the_way() {
    at_every_point(
        "file",
        &[
            "before-move",
            "before-temp",
            "after-temp-write",
            "after-file-sync",
            "after-rename",
            "after-folder-sync",
            "before-reseal-header",
            "after-reseal-header",
        ],
    );
    // Where the new source has parameters, which are drawn once.
    for point in ["before-move", "after-rename:1", "after-rename:3"] {
        assert!(killed_at("file", 1, point), "{point}");
    }
}

#[test]
fn a_sled_store_is_killed_anywhere_on_the_way() {
    let points = [
        "before-header",
        "after-header",
        "before-database",
        "before-write",
        "after-apply",
        "after-flush",
        "before-mark",
        "in-mark",
        "after-mark",
    ];
    at_every_point("sled", &points);
    for point in ["before-header:1", "after-header:1", "after-mark:2"] {
        assert!(killed_at("sled", 1, point), "{point}");
    }
}

#[test]
fn the_key_in_a_keyring_is_followed_by_a_new_one() {
    for kind in ["file", "sled"] {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        Store::make(kind, home, 1);
        let old = ring(home).keys(&[]).unwrap();
        ring(home).add_key(&OsEntropy::new()).unwrap();
        let store = Store::open(kind, home, source(1, home)).unwrap();
        store.assert_whole("both keys");
        assert_eq!(store.reseal(), SESSIONS.len());
        drop(store);
        ring(home).forget_old_keys().unwrap();
        Store::open(kind, home, source(1, home)).unwrap().assert_whole("the new key");
        let error = Store::open(kind, home, Box::new(Given::from(old))).err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
    }
}
