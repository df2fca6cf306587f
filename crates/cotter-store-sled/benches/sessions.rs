//! What a load costs among a hundred, ten thousand and a hundred thousand sessions, and what a
//! durable save costs as a ratio to the bare system calls.
//!
//! `cargo bench -p cotter-store-sled`; `COTTER_BENCH_SESSIONS` sets the largest number.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a benchmark")]

use core::time::Duration;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cotter_core::{BlockingTokenStore, Expected, Lineage, Revision, SecretBytes, StoreKey, Swap};
use cotter_seal::{Given, SealKey};
use cotter_store_sled::{SledOptions, SledStore};
use cotter_testkit::SeededEntropy;

/// As long as a record of three tokens.
const RECORD: usize = 3000;

fn open(folder: &Path) -> SledStore {
    let source = Given::new(SealKey::from_bytes([7; 32]));
    SledOptions::new().with_entropy(Arc::new(SeededEntropy::new(1))).open(folder, source).unwrap()
}

fn key(n: usize) -> StoreKey {
    StoreKey::new("https://auth.example", "client", &format!("user {n}")).unwrap()
}

fn first() -> Revision {
    Revision::first(Lineage::from_bytes([1; 16]))
}

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    saves();
    let most = std::env::var("COTTER_BENCH_SESSIONS").ok().and_then(|n| n.parse().ok());
    let most = most.unwrap_or(100_000);
    // In memory, where filling takes a minute and not an hour; loads touch no disk either way.
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let base = base.unwrap();
    let record = SecretBytes::from(vec![7; RECORD]);
    let folder = base.path().join("store");
    let mut filled = 0;
    for sessions in [100, 10_000, 100_000].into_iter().filter(|n| *n <= most) {
        let store = open(&folder);
        let began = Instant::now();
        for n in filled..sessions {
            store.save(&key(n), &record, Expected::Absent, first()).unwrap();
        }
        let each = began.elapsed() / u32::try_from(sessions - filled).unwrap();
        filled = sessions;
        store.close().unwrap();
        drop(store);

        let began = Instant::now();
        let store = open(&folder);
        let opened = began.elapsed();
        let load = |n| {
            let loaded = store.load(&key(n)).unwrap().unwrap();
            assert_eq!(loaded.record.unwrap().len(), RECORD);
        };
        // Each session for the first time, then a hundred of them again and again.
        let mut cold = measure(2000.min(sessions), |n| load(n * 7919 % sessions));
        let mut warm = measure(5000, |n| load(n % 100 * 7919 % sessions));
        let ((cold, _), (warm, most)) = (quantiles(&mut cold), quantiles(&mut warm));
        store.close().unwrap();
        let size = fs::metadata(folder.join("database/db")).unwrap().len() / 1024 / 1024;
        println!(
            "{sessions:>7} sessions: load {warm:?} (95%: {most:?}), the first time {cold:?}, \
             open {opened:?}, log {size} MiB, save without a disk {each:?}"
        );
    }
}

fn saves() {
    let base = tempfile::tempdir_in(".").unwrap();
    let record = vec![7; RECORD];
    let mut floor = measure(200, |n| {
        let (new, path) = (base.path().join("new"), base.path().join("floor"));
        let mut file = File::create(&new).unwrap();
        file.write_all(&record).unwrap();
        file.sync_all().unwrap();
        fs::rename(&new, &path).unwrap();
        File::open(base.path()).unwrap().sync_all().unwrap();
        let _ = n;
    });
    let store = open(&base.path().join("store"));
    let record = SecretBytes::from(record);
    store.save(&key(0), &record, Expected::Absent, first()).unwrap();
    let mut revision = first();
    let mut times = measure(200, |_| {
        let next = revision.next();
        let swap = store.save(&key(0), &record, Expected::Revision(revision), next).unwrap();
        assert_eq!(swap, Swap::Done);
        revision = next;
    });
    store.close().unwrap();
    let ((floor, _), (half, most)) = (quantiles(&mut floor), quantiles(&mut times));
    println!("save {half:?} (95%: {most:?}); write, fsync, rename, fsync of the folder {floor:?}");
    println!("ratio {:.2}", half.as_secs_f64() / floor.as_secs_f64());
}

fn measure(times: usize, mut work: impl FnMut(usize)) -> Vec<Duration> {
    let timed = |n| {
        let began = Instant::now();
        work(n);
        began.elapsed()
    };
    (0..times).map(timed).collect()
}

fn quantiles(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 95 / 100])
}
