//! A process killed at random: what it acknowledged is there, and nothing older comes back.
//!
//! `COTTER_TEST_KILLS` sets how many are killed.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test")]

mod common;

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{first, key, open, open_within};
use cotter_core::{BlockingTokenStore, Expected, Revision, SecretBytes, Swap};

const CHILD: &str = "COTTER_TEST_SLED_WRITER";
const KEYS: usize = 3;

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
    loop {
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

#[test]
fn nothing_that_was_acknowledged_is_lost_to_a_kill() {
    let kills = std::env::var("COTTER_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let base = tempfile::tempdir().unwrap();
    let mut folder = base.path().join("0");
    let mut acknowledged = [0_u64; KEYS];
    let mut writes = 0;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for kill in 0..kills {
        // Every fourth begins with no store, and is killed while it makes one.
        if kill % 4 == 3 {
            folder = base.path().join(kill.to_string());
            acknowledged = [0; KEYS];
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes", "--nocapture"])
            .env(CHILD, &folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
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
        for line in reader.join().unwrap() {
            let words: Vec<_> = line.split(' ').collect();
            if let ["SAVED", n, counter] = words[..] {
                acknowledged[n.parse::<usize>().unwrap()] = counter.parse().unwrap();
                writes += 1;
            }
        }

        let store = open_within(&folder, Duration::from_secs(10))
            .unwrap_or_else(|error| panic!("kill {kill} after {after:?}: {error:?}"));
        for (n, counter) in acknowledged.iter_mut().enumerate() {
            match store.load(&key(&n.to_string())).unwrap() {
                Some(loaded) => {
                    let found = loaded.revision.counter;
                    assert!(found >= *counter, "kill {kill}: {found} came back for {counter}");
                    assert!(found <= *counter + 1, "kill {kill}: {found} was never acknowledged");
                    assert_eq!(loaded.record.unwrap(), content(loaded.revision), "kill {kill}");
                    *counter = found;
                }
                None => assert_eq!(*counter, 0, "kill {kill}: a record is gone"),
            }
        }
        store.close().unwrap();
    }
    println!("{kills} kills, {writes} writes acknowledged");
    assert!(writes > kills, "hardly anything was written");
}
