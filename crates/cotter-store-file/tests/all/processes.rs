use core::time::Duration;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Instant, SystemTime};

use cotter_core::{BlockingTokenStore as _, Expected, LeaseAnswer, StoreErrorKind, Swap};

use crate::{assert_holds, bytes, file_ending, key, open, put};

const TTL: Duration = Duration::from_secs(60);

/// A test of this file, marked `ignore`, in a process of its own.
pub(crate) fn child(test: &str, folder: &Path, variables: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env("COTTER_TEST_FOLDER", folder)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn folder() -> std::path::PathBuf {
    std::env::var("COTTER_TEST_FOLDER").unwrap().into()
}

/// Waits until the child has printed this.
pub(crate) fn wait_for(child: &mut Child, wanted: &str) {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains(wanted)), "{wanted} never came");
}

#[test]
fn rule_14_a_lease_excludes_other_processes_and_ends_with_its_holder() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    put(&store, "ada", "tokens");
    for _ in 0..5 {
        let began = SystemTime::now() - Duration::from_secs(1);
        let mut holder = child("processes::lease_child", home.path(), &[]);
        wait_for(&mut holder, "held");
        let LeaseAnswer::Held(who) = store.try_lease(&key("ada"), TTL).unwrap() else {
            panic!("two processes have one lease");
        };
        assert_eq!(who.pid, Some(holder.id()));
        let since = who.since.unwrap().as_unix_millis();
        let began = began.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        assert!((0..60_000).contains(&(i128::from(since) - began as i128)), "{since} {began}");
        // Others are not kept from anything else.
        assert_holds(&store, "ada", "tokens");
        assert!(
            matches!(store.try_lease(&key("bob"), TTL).unwrap(), LeaseAnswer::Granted(_))
                || holder.id() > 0
        );

        holder.kill().unwrap();
        holder.wait().unwrap();
        let LeaseAnswer::Granted(lease) = store.try_lease(&key("ada"), TTL).unwrap() else {
            panic!("the dead hold a lease");
        };
        assert_eq!((lease.ends_in, lease.lapsed), (None, false));
        store.release(&key("ada"), lease.owner).unwrap();
    }
}

#[test]
#[ignore = "run by rule_14_a_lease_excludes_other_processes_and_ends_with_its_holder"]
fn lease_child() {
    let store = open(&folder());
    assert!(matches!(store.try_lease(&key("ada"), TTL).unwrap(), LeaseAnswer::Granted(_)));
    println!("held");
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn rule_14_two_stores_in_one_process_exclude_each_other() {
    let home = tempfile::tempdir().unwrap();
    let (one, other) = (open(home.path()), open(home.path()));
    let LeaseAnswer::Granted(lease) = one.try_lease(&key("ada"), TTL).unwrap() else {
        panic!("nobody has it");
    };
    let LeaseAnswer::Held(who) = other.try_lease(&key("ada"), TTL).unwrap() else {
        panic!("two stores have one lease");
    };
    assert_eq!(who.pid, Some(std::process::id()));
    other.release(&key("ada"), lease.owner).unwrap();
    assert!(matches!(other.try_lease(&key("ada"), TTL).unwrap(), LeaseAnswer::Held(_)));
    drop(one);
    assert!(matches!(other.try_lease(&key("ada"), TTL).unwrap(), LeaseAnswer::Granted(_)));
}

#[test]
fn processes_that_swap_one_record_lose_no_update() {
    const PROCESSES: u64 = 6;
    const ROUNDS: u64 = 40;
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    put(&store, "ada", "0");
    let rounds = ROUNDS.to_string();
    let variables = [("COTTER_TEST_ROUNDS", rounds.as_str())];
    let mut children: Vec<_> =
        (0..PROCESSES).map(|_| child("processes::swap_child", home.path(), &variables)).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let revision = store.load(&key("ada")).unwrap().unwrap().revision;
    assert_eq!(revision.counter, PROCESSES * ROUNDS + 1);
    assert_holds(&store, "ada", &(PROCESSES * ROUNDS).to_string());
}

#[test]
#[ignore = "run by processes_that_swap_one_record_lose_no_update"]
fn swap_child() {
    let store = open(&folder()).with_lock_wait(Duration::from_secs(60));
    let rounds: u64 = std::env::var("COTTER_TEST_ROUNDS").unwrap().parse().unwrap();
    let mut done = 0;
    while done < rounds {
        let there = store.load(&key("ada")).unwrap().unwrap();
        let record = there.record.unwrap();
        let count: u64 = core::str::from_utf8(record.expose()).unwrap().parse().unwrap();
        assert_eq!(there.revision.counter, count + 1);
        let expected = Expected::Revision(there.revision);
        let next = bytes(&(count + 1).to_string());
        match store.save(&key("ada"), &next, expected, there.revision.next()).unwrap() {
            Swap::Done => done += 1,
            Swap::Conflict { found } => assert_ne!(found, Some(there.revision)),
        }
    }
}

#[cfg(unix)]
#[test]
fn a_stuck_writer_is_named_after_a_bounded_wait() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).with_lock_wait(Duration::from_millis(200));
    let revision = put(&store, "ada", "tokens");
    let cas = file_ending(home.path(), ".cas");
    let stuck = std::fs::OpenOptions::new().write(true).open(&cas).unwrap();
    rustix::fs::flock(&stuck, rustix::fs::FlockOperation::LockExclusive).unwrap();

    let began = Instant::now();
    let expected = Expected::Revision(revision);
    let error = store.save(&key("ada"), &bytes("x"), expected, revision.next()).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!(error.kind(), StoreErrorKind::Locked);
    let hint = error.hint().unwrap();
    assert!(hint.contains(&format!("process {}", std::process::id())), "{hint}");
    assert!(hint.contains("since"), "{hint}");
    assert_eq!(store.remove(&key("ada"), revision).unwrap_err().kind(), StoreErrorKind::Locked);

    // Readers and other sessions never notice.
    assert_holds(&store, "ada", "tokens");
    put(&store, "bob", "x");
    drop(stuck);
    assert_eq!(store.remove(&key("ada"), revision).unwrap(), Swap::Done);
}
