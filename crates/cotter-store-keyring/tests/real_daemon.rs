//! Real keyrings. `tests/keyring/secret-service.sh` prepares each state, says which one it is in
//! `COTTER_TEST_KEYRING`, runs what is ignored here, and counts the checks that each state has made; a
//! test whose state it is not makes none.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test")]
#![cfg(all(feature = "native", target_os = "linux"))]

mod common;

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::path::Path;
use std::time::Instant;

use common::{entropy, first, key, record};
use cotter_core::{
    BlockingTokenStore, Expected, LeaseAnswer, SecretBytes, StoreError, StoreErrorKind, Swap,
};
use cotter_seal::{KeySource, Vault};
use cotter_store_keyring::{Backend, KeyringKey, KeyringStore, OsKeyring};
use cotter_testkit::Kept;
use cotter_testkit::store::{Subject, clauses};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

fn in_state(wanted: &str) -> bool {
    let asked = std::env::var("COTTER_TEST_SECRET_SERVICE").is_ok_and(|value| value == "1");
    let state = std::env::var("COTTER_TEST_KEYRING").unwrap_or_default();
    if asked && state == wanted {
        return true;
    }
    println!("not in this state: \"{wanted}\"");
    false
}

fn done(check: &str) {
    println!("\nok {check}");
}

/// A part of the one keyring, so that every test begins with an empty one.
#[derive(Debug)]
struct Part<B>(B, String);

impl<B: Backend> Part<B> {
    fn new(backend: B) -> Self {
        static PARTS: AtomicU64 = AtomicU64::new(0);
        let part = PARTS.fetch_add(1, Ordering::Relaxed);
        Self(backend, format!("test-{}-{part}-", std::process::id()))
    }
}

impl<B: Backend> Backend for Part<B> {
    fn max_secret(&self) -> Option<usize> {
        self.0.max_secret()
    }
    fn get(&mut self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        self.0.get(&format!("{}{name}", self.1))
    }
    fn set(&mut self, name: &str, secret: &SecretBytes) -> Result<(), StoreError> {
        self.0.set(&format!("{}{name}", self.1), secret)
    }
    fn delete(&mut self, name: &str) -> Result<(), StoreError> {
        self.0.delete(&format!("{}{name}", self.1))
    }
}

fn part_of<B: Backend + 'static>(backend: B) -> Kept<KeyringStore, TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let store =
        KeyringStore::with_backend(Part::new(backend), folder.path(), entropy(), DEADLINE).unwrap();
    Kept::new(store, folder)
}

fn native(locks: &Path) -> KeyringStore {
    KeyringStore::with_backend(OsKeyring::native(), locks, entropy(), DEADLINE).unwrap()
}

/// Every clause, each on an empty part.
fn contract<B: Backend + 'static>(backend: fn() -> B, what: &str) {
    macro_rules! run {
        ($($clause:ident)*) => {$(
            clauses::$clause(&Subject::blocking(|| part_of(backend())));
            done(&format!("{what}: {}", stringify!($clause).replace('_', " ")));
        )*};
    }
    run!(
        a_record_comes_back_byte_for_byte
        a_record_that_was_never_saved_is_none
        a_save_over_the_expected_revision_replaces_the_record
        a_save_that_expects_absence_does_not_replace_a_record
        a_save_that_expects_a_record_does_not_create_one
        a_save_that_expects_another_revision_changes_nothing
        a_removal_leaves_nothing
        a_removal_that_expects_another_revision_changes_nothing
        a_removal_of_nothing_is_a_conflict
        a_removed_and_reused_key_does_not_match_its_old_revision
        concurrent_writers_lose_no_update
        concurrent_creators_are_told_apart
        records_of_one_mebibyte_fit_or_are_too_large
        a_record_over_the_limit_is_too_large_and_changes_nothing
        odd_session_names_keep_apart
        keys_do_not_mix_across_provider_client_and_session
        a_listing_is_exact
        a_lease_excludes_everybody_else
        a_released_lease_is_free
        a_lease_holds_up_no_reader_and_no_writer
        what_the_store_cannot_do_it_says
        an_error_names_no_session
    );
}

#[test]
#[ignore = "needs a keyring; tests/keyring/secret-service.sh runs it"]
fn unlocked_contract() {
    if in_state("unlocked") {
        contract(OsKeyring::native, "Secret Service");
    }
}

#[test]
#[ignore = "needs a keyring; tests/keyring/secret-service.sh runs it"]
fn unlocked_key_and_record() {
    if !in_state("unlocked") {
        return;
    }
    let locks = tempfile::tempdir().unwrap();
    let store = native(locks.path());
    store.probe().unwrap();
    done("Secret Service: a probe writes, reads back and removes");
    let swap = store.save(&key("PLANTED"), &record(3000, 7), Expected::Absent, first(1)).unwrap();
    assert_eq!(swap, Swap::Done);
    let source = || {
        let ring = OsKeyring::native();
        KeyringKey::with_backend(ring, "PLANTED", locks.path(), DEADLINE).unwrap()
    };
    let made = Vault::create("file", &source(), entropy().as_ref()).unwrap();
    source().create_if_absent(entropy().as_ref()).unwrap();
    let opened = Vault::open("file", &made.header().to_bytes(), &source()).unwrap();
    assert_eq!(opened.header().key(), made.header().key());
    done("Secret Service: the sealing key comes back and is not overwritten");
}

/// Another process that shares the keyring, and finds the lock files where everybody does.
fn process(test: &str) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("COTTER_TEST_CHILD", "1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

fn shared() -> KeyringStore {
    native(&cotter_store_keyring::runtime_folder())
}

const SWAPS: u64 = 15;

#[test]
#[ignore = "run by unlocked_two_processes"]
fn swapping_process() {
    if std::env::var_os("COTTER_TEST_CHILD").is_none() {
        return;
    }
    let store = shared();
    let mut done = 0;
    while done < SWAPS {
        let there = store.load(&key("SHARED")).unwrap().unwrap();
        let read = there.record.unwrap();
        let count: u64 = core::str::from_utf8(read.expose()).unwrap().parse().unwrap();
        let next = SecretBytes::from((count + 1).to_string().as_bytes());
        let expected = Expected::Revision(there.revision);
        if store.save(&key("SHARED"), &next, expected, there.revision.next()).unwrap() == Swap::Done
        {
            done += 1;
        }
    }
}

#[test]
#[ignore = "run by unlocked_two_processes, and killed"]
fn leasing_process() {
    if std::env::var_os("COTTER_TEST_CHILD").is_none() {
        return;
    }
    let store = shared();
    assert!(matches!(store.try_lease(&key("SHARED"), DEADLINE), Ok(LeaseAnswer::Granted(_))));
    println!("\nheld");
    let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
}

#[test]
#[ignore = "needs a keyring; tests/keyring/secret-service.sh runs it"]
fn unlocked_two_processes() {
    if !in_state("unlocked") {
        return;
    }
    let store = shared();
    let zero = SecretBytes::from(b"0".as_slice());
    assert_eq!(store.save(&key("SHARED"), &zero, Expected::Absent, first(1)).unwrap(), Swap::Done);
    let mut children = [process("swapping_process"), process("swapping_process")];
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let loaded = store.load(&key("SHARED")).unwrap().unwrap();
    let total = (2 * SWAPS).to_string();
    assert_eq!(loaded.record.unwrap().expose(), total.as_bytes());
    assert_eq!(loaded.revision.counter, first(1).counter + 2 * SWAPS);
    done(&format!("Secret Service: two processes swap one record {total} times and lose none"));

    let mut holder = process("leasing_process");
    let lines = std::io::BufReader::new(holder.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(lines).map_while(Result::ok);
    assert!(lines.any(|line| line == "held"));
    let LeaseAnswer::Held(who) = store.try_lease(&key("SHARED"), DEADLINE).unwrap() else {
        panic!("two processes have one lease");
    };
    assert_eq!(who.pid, Some(holder.id()));
    holder.kill().unwrap();
    holder.wait().unwrap();
    let freed = store.try_lease(&key("SHARED"), DEADLINE).unwrap();
    assert!(matches!(freed, LeaseAnswer::Granted(_)), "the dead hold a lease");
    done("Secret Service: a lease excludes another process and ends with it");
    store.remove(&key("SHARED"), loaded.revision).unwrap();
}

#[test]
#[ignore = "needs a keyring; tests/keyring/secret-service.sh runs it"]
fn unlocked_again_after_a_restart() {
    if !in_state("restarted") {
        return;
    }
    let locks = tempfile::tempdir().unwrap();
    let loaded = native(locks.path()).load(&key("PLANTED")).unwrap().unwrap();
    assert_eq!((loaded.revision, loaded.record.unwrap()), (first(1), record(3000, 7)));
    done("Secret Service: a record survives the daemon");
    let ring = OsKeyring::native();
    let source = KeyringKey::with_backend(ring, "PLANTED", locks.path(), DEADLINE).unwrap();
    source.keys(&[]).unwrap();
    done("Secret Service: the sealing key survives the daemon");
}

fn refused(kind: StoreErrorKind, what: &str) {
    let locks = tempfile::tempdir().unwrap();
    let store = native(locks.path());
    let began = Instant::now();
    let check = |error: StoreError, call: &str| {
        assert_eq!(error.kind(), kind, "{call}: {error:?}");
        assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{call}");
        done(&format!("{what}: {call} is {kind:?}: {error}"));
    };
    check(store.load(&key("never saved")).unwrap_err(), "a load of what was never saved");
    check(store.load(&key("PLANTED")).unwrap_err(), "a load");
    let save = store.save(&key("new"), &record(10, 1), Expected::Absent, first(1));
    check(save.unwrap_err(), "a save");
    check(store.remove(&key("PLANTED"), first(1)).unwrap_err(), "a removal");
    check(store.list().unwrap_err(), "a listing");
    check(store.probe().unwrap_err(), "a probe");
    let ring = OsKeyring::native();
    let source = KeyringKey::with_backend(ring, "PLANTED", locks.path(), DEADLINE).unwrap();
    check(source.keys(&[]).unwrap_err(), "the sealing key");
    check(source.create_if_absent(entropy().as_ref()).unwrap_err(), "making a sealing key");
    assert!(matches!(store.try_lease(&key("a"), DEADLINE), Ok(LeaseAnswer::Granted(_))));
    assert!(began.elapsed() < DEADLINE, "it took {:?}", began.elapsed());
}

#[test]
#[ignore = "needs a keyring; tests/keyring/secret-service.sh runs it"]
fn locked() {
    if in_state("locked") {
        refused(StoreErrorKind::Locked, "locked");
    }
}

#[test]
#[ignore = "needs a keyring; tests/keyring/secret-service.sh runs it"]
fn never_unlocked() {
    if in_state("never-unlocked") {
        refused(StoreErrorKind::Locked, "no keyring made yet");
    }
}

#[test]
#[ignore = "needs a keyring; tests/keyring/secret-service.sh runs it"]
fn absent() {
    if in_state("absent") {
        refused(StoreErrorKind::Unavailable, "no daemon");
    }
}

/// The daemon is stopped by the test itself, in the middle of a call.
#[test]
#[ignore = "needs a keyring; tests/keyring/secret-service.sh runs it"]
fn hanging() {
    if !in_state("hanging") {
        return;
    }
    let pid = std::env::var("COTTER_TEST_DAEMON_PID").unwrap();
    let signal = |signal: &str| {
        let sent = std::process::Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    };
    let locks = tempfile::tempdir().unwrap();
    let soon = Duration::from_millis(500);
    let ring = Part::new(OsKeyring::native());
    let store = KeyringStore::with_backend(ring, locks.path(), entropy(), soon).unwrap();
    // Connected before it hangs.
    assert!(store.load(&key("a")).unwrap().is_none());
    signal("-STOP");
    let began = Instant::now();
    let save = store.save(&key("a"), &record(10, 1), Expected::Absent, first(1));
    let waited = began.elapsed();
    signal("-CONT");
    let error = save.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Timeout, "{error:?}");
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    done(&format!("hanging: a save is uncertain after {} ms", waited.as_millis()));

    let began = Instant::now();
    while store.load(&key("a")).is_err() {
        assert!(began.elapsed() < DEADLINE, "it does not come back");
    }
    done("hanging: it is used again once it answers");
}

#[cfg(feature = "keyutils")]
#[test]
#[ignore = "needs a keyring; tests/keyring/secret-service.sh runs it"]
fn kernel() {
    if !in_state("kernel") {
        return;
    }
    contract(OsKeyring::keyutils, "kernel keyring");
}
