//! What the kernel is asked to do before a save returns, as strace saw it; what a power cut would
//! leave of that; and a disk that is full.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test")]
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{first, key, open, open_within, record, skipped};
use cotter_core::{BlockingTokenStore, Expected, SecretBytes, StoreErrorKind, Swap};

const CHILD: &str = "COTTER_TEST_SLED_TRACED";
const SAVES: u64 = 30;

/// Another process, that saves and marks each acknowledgement in its trace.
#[test]
fn child_that_is_traced() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let folder = Path::new(&folder);
    let store = open(folder).unwrap();
    let mut revision = first(1);
    acknowledge(folder, 0);
    for n in 1..=SAVES {
        let expected = if n == 1 { Expected::Absent } else { Expected::Revision(revision) };
        revision = if n == 1 { revision } else { revision.next() };
        assert_eq!(store.save(&key("a"), &content(n), expected, revision).unwrap(), Swap::Done);
        acknowledge(folder, n);
    }
    store.remove(&key("a"), revision).unwrap();
    acknowledge(folder, SAVES + 1);
    std::process::exit(0);
}

fn content(n: u64) -> SecretBytes {
    let length = if n % 10 == 7 { 200_000 } else { 3000 };
    SecretBytes::from(vec![(n % 251) as u8; length])
}

/// A system call of no effect that strace shows.
fn acknowledge(folder: &Path, n: u64) {
    let _ = fs::remove_file(folder.join(format!("acknowledged-{n}")));
}

/// One system call that succeeded, with its path where it has a descriptor.
#[derive(Debug)]
enum Call {
    Write { path: String, at: Option<u64>, bytes: Vec<u8> },
    Create { path: String },
    Truncate { path: String, length: u64 },
    Rename { from: String, to: String },
    Unlink { path: String },
    Mkdir { path: String },
    Sync { path: String },
    Flush,
    Acknowledged(u64),
}

fn trace(folder: &Path, into: &Path) -> Option<Vec<Call>> {
    let traced = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "1000000", "-o"])
        .arg(into)
        .arg("-e")
        .arg(
            "trace=openat,write,pwrite64,ftruncate,fsync,fdatasync,sync_file_range,rename,\
             renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,lseek",
        )
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_is_traced", "--nocapture", "--test-threads", "1"])
        .env(CHILD, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match traced {
        Ok(status) if status.success() => {}
        other => {
            skipped(&format!("strace is not here or may not trace ({other:?})"));
            return None;
        }
    }
    let text = fs::read_to_string(into).unwrap();
    Some(read_trace(&text, folder.to_str().unwrap()))
}

/// Lines cut by another thread's are put together again.
fn read_trace(text: &str, folder: &str) -> Vec<Call> {
    let mut begun: BTreeMap<String, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(pid.to_owned(), start.to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once("resumed>")) {
            Some((_, end)) => format!("{}{end}", begun.remove(pid).unwrap_or_default()),
            None => rest.to_owned(),
        };
        if let Some(call) = read_call(&whole, folder) {
            calls.push(call);
        }
    }
    calls
}

fn read_call(line: &str, folder: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (args, result) = rest.rsplit_once(" = ")?;
    let args = args.trim_end().strip_suffix(')')?;
    let strings: Vec<Vec<u8>> = args.split('"').skip(1).step_by(2).map(unescape).collect();
    let text = |n: usize| strings.get(n).map(|s| String::from_utf8_lossy(s).into_owned());
    // Descriptors are shown as 7</path>, the path in the same escapes.
    let described = || {
        let shown = args.split_once('<')?.1.split_once('>')?.0;
        let path = String::from_utf8(unescape(shown)).ok()?;
        path.starts_with(folder).then_some(path)
    };
    let last = || args.rsplit(", ").next()?.parse::<u64>().ok();
    if let Some(path) = text(0)
        && let Some(n) = path.rsplit_once("acknowledged-").map(|(_, n)| n)
    {
        return Some(Call::Acknowledged(n.parse().ok()?));
    }
    if result.starts_with('-') {
        return None;
    }
    Some(match name {
        "openat" => {
            let path = text(0).filter(|path| path.starts_with(folder))?;
            if !args.contains("O_CREAT") {
                return None;
            }
            Call::Create { path }
        }
        "write" => Call::Write { path: described()?, at: None, bytes: strings.into_iter().next()? },
        "pwrite64" => {
            Call::Write { path: described()?, at: last(), bytes: strings.into_iter().next()? }
        }
        "lseek" => {
            let path = described()?;
            let at = result.trim().parse().ok()?;
            // A write that follows is at this place.
            Call::Write { path, at: Some(at), bytes: Vec::new() }
        }
        "ftruncate" => Call::Truncate { path: described()?, length: last()? },
        "fsync" | "fdatasync" => Call::Sync { path: described()? },
        "sync_file_range" => Call::Flush,
        "rename" | "renameat" | "renameat2" => Call::Rename { from: text(0)?, to: text(1)? },
        "unlink" | "unlinkat" => {
            Call::Unlink { path: text(0).filter(|path| path.starts_with(folder))? }
        }
        "mkdir" | "mkdirat" => Call::Mkdir { path: text(0)? },
        _ => return None,
    })
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        if let ([b'x', high, low, ..], b'\\') = (tail, byte) {
            let digit = |digit: &u8| (*digit as char).to_digit(16).unwrap_or(0) as u8;
            bytes.push(digit(high) << 4 | digit(low));
            rest = &tail[3..];
        } else {
            bytes.push(*byte);
            rest = tail;
        }
    }
    bytes
}

#[test]
fn rule_15_every_save_ends_in_syncs_of_the_log_and_the_mark() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("store");
    let Some(calls) = trace(&folder, &base.path().join("trace")) else { return };
    let (mut log, mut marks, mut flushes, mut saves) = (0, 0, 0, 0);
    let (mut log_dirty, mut marks_dirty) = (false, false);
    for call in &calls {
        match call {
            Call::Write { path, bytes, .. } if !bytes.is_empty() => {
                log_dirty |= path.ends_with("/database/db") || path.contains("/blobs/");
                marks_dirty |= path.ends_with("/marks");
            }
            Call::Sync { path } if path.ends_with("/database/db") => {
                log += 1;
                log_dirty = false;
            }
            Call::Sync { path } if path.ends_with("/marks") => {
                assert!(!log_dirty, "the mark is raised before the log is synced");
                marks += 1;
                marks_dirty = false;
            }
            Call::Flush => flushes += 1,
            Call::Acknowledged(_) => {
                saves += 1;
                assert!(!log_dirty, "acknowledgement {saves} before the log was synced");
                assert!(!marks_dirty, "acknowledgement {saves} before the mark was synced");
            }
            _ => {}
        }
    }
    println!(
        "{saves} acknowledged: {log} fsyncs of the log, {marks} of the mark, {flushes} flushes"
    );
    assert_eq!(saves, SAVES + 2, "the trace was not understood");
    assert!(log > SAVES && marks > SAVES);
}

/// A disk that loses what was not synced: the recorded calls are replayed up to any point, and of
/// what was written to a file since its last sync, each write is kept or dropped by chance. Names
/// are kept, as a file system with a journal does once the folder was synced.
#[test]
fn rule_15_a_power_cut_anywhere_leaves_what_was_acknowledged() {
    let base =
        tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" })
            .unwrap();
    let folder = base.path().join("store");
    let Some(calls) = trace(&folder, &base.path().join("trace")) else { return };
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    // From the first call on: a store may be cut off while it is made.
    let cuts: Vec<usize> = (1..calls.len())
        .filter(|at| matches!(calls[*at], Call::Sync { .. } | Call::Acknowledged(_) | Call::Flush))
        .collect();
    let mut held = [0, 0];
    for cut in cuts {
        let target = base.path().join("cut");
        let acknowledged = replay(&calls[..cut], &folder, &target, &mut next);
        let store = open_within(&target, core::time::Duration::from_secs(10))
            .unwrap_or_else(|error| panic!("cut at {cut}, after {acknowledged}: {error:?}"));
        let counter = store.load(&key("a")).unwrap().map(|loaded| {
            let counter = loaded.revision.counter;
            assert_eq!(loaded.record.unwrap(), content(counter), "cut at {cut}");
            counter
        });
        let found = match counter {
            Some(counter) => counter,
            None if acknowledged >= SAVES => SAVES + 1,
            None => 0,
        };
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "cut at {cut}: {found} stands, {acknowledged} was acknowledged"
        );
        held[usize::from(found != acknowledged)] += 1;
        drop(store);
        fs::remove_dir_all(&target).unwrap();
    }
    println!("{} cuts left the last acknowledged record, {} the next one", held[0], held[1]);
    assert!(held[0] > 30, "too few cuts to mean anything");
}

#[derive(Default)]
struct Replayed {
    durable: Vec<u8>,
    /// Since the last sync.
    since: Vec<(u64, Vec<u8>)>,
    at: u64,
}

/// Says what had been acknowledged.
fn replay(calls: &[Call], folder: &Path, target: &Path, next: &mut impl FnMut() -> u64) -> u64 {
    let mut files: BTreeMap<String, Replayed> = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    let mut acknowledged = 0;
    for call in calls {
        match call {
            Call::Create { path } => {
                files.entry(path.clone()).or_default().at = 0;
            }
            Call::Write { path, at, bytes } if bytes.is_empty() => {
                files.entry(path.clone()).or_default().at = at.unwrap();
            }
            Call::Write { path, at, bytes } => {
                let file = files.entry(path.clone()).or_default();
                let begin = at.unwrap_or(file.at);
                if at.is_none() {
                    file.at += bytes.len() as u64;
                }
                file.since.push((begin, bytes.clone()));
            }
            Call::Truncate { path, length } => {
                let file = files.entry(path.clone()).or_default();
                file.apply(|_| true);
                file.durable.resize(*length as usize, 0);
            }
            Call::Sync { path } => {
                if let Some(file) = files.get_mut(path) {
                    file.apply(|_| true);
                }
            }
            Call::Rename { from, to } => {
                if let Some(file) = files.remove(from) {
                    files.insert(to.clone(), file);
                }
            }
            Call::Unlink { path } => {
                files.remove(path);
            }
            Call::Mkdir { path } => folders.push(PathBuf::from(path)),
            Call::Flush => {}
            Call::Acknowledged(n) => acknowledged = *n,
        }
    }
    for path in folders {
        if let Ok(inside) = path.strip_prefix(folder) {
            let path = target.join(inside);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
                .unwrap();
        }
    }
    for (path, mut file) in files {
        file.apply(|_| next().is_multiple_of(2));
        let inside = Path::new(&path).strip_prefix(folder).unwrap();
        fs::write(target.join(inside), &file.durable).unwrap();
    }
    acknowledged
}

impl Replayed {
    fn apply(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        for (at, bytes) in self.since.drain(..) {
            if keep(&bytes) {
                let (at, end) = (at as usize, at as usize + bytes.len());
                if self.durable.len() < end {
                    self.durable.resize(end, 0);
                }
                self.durable[at..end].copy_from_slice(&bytes);
            }
        }
    }
}

/// A small file system, gone when dropped; `None` where none can be mounted.
struct Small(PathBuf);

impl Small {
    fn mount(on: &Path, size: &str) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"])
            .arg(on)
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(on.to_path_buf()));
        }
        skipped("no small file system can be mounted here");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Runs the named test in a process of its own and says that it did: a sled that has met a full
/// disk may hold on to threads that every other sled of its process waits for.
fn ran_alone(name: &str) -> bool {
    const ALONE: &str = "COTTER_TEST_SLED_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return false;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(ALONE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{name} failed in its own process");
    true
}

#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    if ran_alone("a_full_disk_is_named_and_loses_nothing") {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let Some(_mounted) = Small::mount(base.path(), "24m") else { return };
    let folder = base.path().join("store");
    let ballast = base.path().join("ballast");
    let store = open(&folder).unwrap();
    let kept = record("kept");
    store.save(&key("kept"), &kept, Expected::Absent, first(1)).unwrap();

    // Fills up by saving: refused before sled is in trouble, and still read.
    let mut revision = first(1);
    let mut saved = 0;
    let error = loop {
        let long = SecretBytes::from(vec![saved as u8; 100_000]);
        let name = key(&format!("long {saved}"));
        match store.save(&name, &long, Expected::Absent, first(2)) {
            Ok(_) => saved += 1,
            Err(error) => break error,
        }
        assert!(saved < 1000, "it never fills up");
    };
    assert_eq!(error.kind(), StoreErrorKind::Full, "{error:?}");
    assert!(error.hint().is_some());
    assert!(saved > 3);
    assert_eq!(store.load(&key("kept")).unwrap().unwrap().record.unwrap(), kept);
    store.close().unwrap();

    // Somebody else takes what is left: nothing works, by name, and nothing is lost.
    let mut rest = fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut rest, &[1; 4096]).is_ok() {}
    while std::io::Write::write_all(&mut rest, &[1]).is_ok() {}
    match open(&folder) {
        Ok(store) => {
            assert_eq!(store.load(&key("kept")).unwrap().unwrap().record.unwrap(), kept);
            let next = revision.next();
            let save = store.save(&key("kept"), &kept, Expected::Revision(revision), next);
            assert_eq!(save.unwrap_err().kind(), StoreErrorKind::Full);
        }
        Err(error) => {
            assert_eq!(error.kind(), StoreErrorKind::Full, "{error:?}");
            assert!(error.hint().unwrap().contains("free some space"));
        }
    }
    drop(rest);
    fs::remove_file(&ballast).unwrap();
    let store = open(&folder).unwrap();
    assert_eq!(store.load(&key("kept")).unwrap().unwrap().record.unwrap(), kept);
    assert_eq!(store.list().unwrap().len(), saved + 1);
    revision = store.load(&key("kept")).unwrap().unwrap().revision;
    assert_eq!(revision, first(1));
}

/// sled writes more than it is given; when that meets the end of the disk, sled itself fails, and
/// waits for ever as it goes.
#[test]
fn a_disk_that_fills_under_sled_ends_in_an_error_and_not_in_a_hang() {
    if ran_alone("a_disk_that_fills_under_sled_ends_in_an_error_and_not_in_a_hang") {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let Some(_mounted) = Small::mount(base.path(), "128m") else { return };
    let folder = base.path().join("store");
    let ballast = base.path().join("ballast");
    let store = open(&folder).unwrap();
    for n in 0..5 {
        let long = SecretBytes::from(vec![n; 900_000]);
        store.save(&key(&format!("long {n}")), &long, Expected::Absent, first(1)).unwrap();
    }
    // Opened again, it does not know how great the neighbours of a short record are.
    store.close().unwrap();
    let store = open(&folder).unwrap();
    let rest = fs::File::create(&ballast).unwrap();
    let free = rustix::fs::statvfs(base.path()).unwrap();
    let leave = 2 * 1024 * 1024 + 64 * 1024;
    let size = free.f_bavail * free.f_frsize - leave;
    std::io::copy(&mut std::io::Read::take(std::io::repeat(1), size), &mut &rest).unwrap();
    drop(rest);

    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut saved = 0;
        let error = loop {
            let name = key(&format!("short {saved}"));
            match store.save(&name, &record("short"), Expected::Absent, first(1)) {
                Ok(_) => saved += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), StoreErrorKind::Full, "{error:?}");
        println!("{saved} short records fitted; then: {error}");
        // With room again it goes on, or says what to do; both at once.
        fs::remove_file(&ballast).unwrap();
        match store.load(&key("short 0")) {
            Ok(found) => assert_eq!(found.unwrap().record.unwrap(), record("short")),
            Err(error) => {
                println!("afterwards: {error}");
                assert_eq!(error.kind(), StoreErrorKind::Full, "{error:?}");
                assert!(error.hint().unwrap().contains("start the program again"));
            }
        }
        drop(store);
        sender.send(saved).unwrap();
    });
    let saved = match receiver.recv_timeout(core::time::Duration::from_secs(60)) {
        Ok(saved) => saved,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(_) => std::panic::resume_unwind(thread.join().unwrap_err()),
    };
    // Another process finds everything: sled's lock goes with the first one at the latest.
    let copied = base.path().join("copy");
    let status = Command::new("cp").arg("-a").args([&folder, &copied]).status().unwrap();
    assert!(status.success());
    let store = open(&copied).unwrap();
    for n in 0..saved {
        let loaded = store.load(&key(&format!("short {n}"))).unwrap().unwrap();
        assert_eq!(loaded.record.unwrap(), record("short"), "short {n}");
    }
    assert!(store.load(&key("long 4")).unwrap().is_some());
}
