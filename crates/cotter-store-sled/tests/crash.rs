//! A process killed at named points and at random: what it acknowledged is there, and nothing
//! older comes back.
//!
//! `COTTER_KILLS` sets how many are killed at random.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test")]

mod common;

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{first, key, open, open_within};
use cotter_core::{BlockingTokenStore, Expected, Revision, SecretBytes, Swap};
use tempfile::TempDir;

const CHILD: &str = "COTTER_TEST_SLED_WRITER";
const KEYS: usize = 3;

/// Every one on the way of a save or a removal.
const WRITING: [&str; 6] =
    ["before-write", "after-apply", "after-flush", "before-mark", "in-mark", "after-mark"];

/// Every one on the way to a new store.
const MAKING: [&str; 6] = [
    "before-header",
    "after-header",
    "before-first-mark",
    "after-first-mark",
    "before-database",
    "after-database",
];

fn content(revision: Revision) -> SecretBytes {
    // Sometimes long enough for a file of its own.
    let length = if revision.counter.is_multiple_of(16) { 150_000 } else { 2000 };
    let byte = (revision.counter % 251) as u8;
    SecretBytes::from(vec![byte; length])
}

/// Another process, that writes until it is killed and says what it has saved.
#[test]
fn child_that_writes() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let store = open(Path::new(&folder)).unwrap();
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nOPEN").unwrap();
    for _ in 0..10_000 {
        for n in 0..KEYS {
            let name = key(&n.to_string());
            let (expected, next) = match store.load(&name).unwrap() {
                Some(loaded) => (Expected::Revision(loaded.revision), loaded.revision.next()),
                None => (Expected::Absent, first(1)),
            };
            assert_eq!(store.save(&name, &content(next), expected, next).unwrap(), Swap::Done);
            writeln!(out, "SAVED {n} {}", next.counter).unwrap();
            out.flush().unwrap();
        }
    }
}

/// A store, and what killed processes said that they had saved in it.
struct Victim {
    base: TempDir,
    folder: PathBuf,
    acknowledged: [u64; KEYS],
    writes: usize,
}

impl Victim {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("0");
        Self { base, folder, acknowledged: [0; KEYS], writes: 0 }
    }

    /// Goes on with no store at all.
    fn begin_anew(&mut self, name: &str) {
        self.folder = self.base.path().join(name);
        self.acknowledged = [0; KEYS];
    }

    fn child(&self, point: Option<&str>) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes", "--nocapture"])
            .env(CHILD, &self.folder)
            .envs(point.map(|point| ("COTTER_CRASH_AT", point)))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Takes down what a dead child said, and holds the store to it.
    fn check(&mut self, kill: &str, said: &[String]) {
        for line in said {
            let words: Vec<_> = line.split(' ').collect();
            if let ["SAVED", n, counter] = words[..] {
                self.acknowledged[n.parse::<usize>().unwrap()] = counter.parse().unwrap();
                self.writes += 1;
            }
        }
        let store = open_within(&self.folder, Duration::from_secs(10))
            .unwrap_or_else(|error| panic!("{kill}: {error:?}"));
        for (n, counter) in self.acknowledged.iter_mut().enumerate() {
            match store.load(&key(&n.to_string())).unwrap() {
                Some(loaded) => {
                    let found = loaded.revision.counter;
                    assert!(found >= *counter, "{kill}: {found} came back for {counter}");
                    assert!(found <= *counter + 1, "{kill}: {found} was never acknowledged");
                    assert_eq!(loaded.record.unwrap(), content(loaded.revision), "{kill}");
                    *counter = found;
                }
                None => assert_eq!(*counter, 0, "{kill}: a record is gone"),
            }
        }
        store.close().unwrap();
    }

    /// A child that kills itself at `point`.
    fn kill_at(&mut self, point: &str) {
        let dead = self.child(Some(point)).wait_with_output().unwrap();
        let said = String::from_utf8(dead.stdout).unwrap();
        assert!(dead.status.code().is_none(), "{point} was never reached: {said}");
        let lines: Vec<_> = said.lines().map(String::from).collect();
        self.check(point, &lines);
    }
}

#[cfg(unix)]
#[test]
fn nothing_that_was_acknowledged_is_lost_to_a_kill_at_a_named_point() {
    let mut victim = Victim::new();
    for point in WRITING {
        for times in [1, 2, 3, 16] {
            victim.kill_at(&format!("{point}:{times}"));
        }
    }
    for point in MAKING {
        victim.begin_anew(point);
        victim.kill_at(point);
        victim.kill_at("after-mark");
    }
}

#[test]
fn nothing_that_was_acknowledged_is_lost_to_a_kill_at_a_random_moment() {
    let kills = std::env::var("COTTER_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let mut victim = Victim::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for kill in 0..kills {
        // Every fourth begins with no store, and is killed while it makes one.
        if kill % 4 == 3 {
            victim.begin_anew(&kill.to_string());
        }
        let mut child = victim.child(None);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (begun, wait) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let tell = |line: &String| {
                let _ = begun.send(line.starts_with("SAVED"));
            };
            lines.map_while(Result::ok).inspect(tell).collect::<Vec<_>>()
        });
        // The others are killed while they write.
        if kill % 4 != 3 {
            assert!(wait.iter().any(|saved| saved), "kill {kill}: it wrote nothing");
        }
        let after = Duration::from_millis(state % if kill % 4 == 3 { 300 } else { 60 });
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
        victim.check(&format!("kill {kill} after {after:?}"), &reader.join().unwrap());
    }
    println!("{kills} kills, {} writes acknowledged", victim.writes);
    assert!(victim.writes > kills, "hardly anything was written");
}
