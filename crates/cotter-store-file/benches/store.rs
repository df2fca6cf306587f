//! What a durable, sealed save costs over its floor, and a load among many sessions.
//!
//! The floor of a save is writing the same bytes to a file, syncing it, renaming it and syncing the
//! folder. Both are measured in turns, as disks have moods; the ratio of the medians is the price.
//! The sessions of the second part are laid out by a writer that syncs nothing.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench may panic and print")]

use core::time::Duration;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use cotter_core::{
    BlockingTokenStore as _, Entropy, Expected, Lineage, Revision, SecretBytes, StoreKey, Swap,
};
use cotter_seal::Vault;
use cotter_store_file::{FileStore, Given, SealKey};

/// What a record of three tokens is about as long as.
const LENGTH: usize = 2048;

fn main() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    // Beside the build, where a disk is; the folder for temporary files may be memory.
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    saves(home.path(), rounds);
    for sessions in [1, 1_000, 100_000] {
        loads(&home.path().join(sessions.to_string()), sessions);
    }
}

fn saves(home: &Path, rounds: usize) {
    let store = open(&home.join("store"));
    let floor = home.join("floor");
    fs::create_dir(&floor).unwrap();
    let record = record();
    let mut revision = first();
    store.save(&key(0), &record, Expected::Absent, revision).unwrap();
    let length = record_file(&home.join("store")).len();
    let bytes = vec![7; usize::try_from(length).unwrap()];

    let (mut saves, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        floors.push(time(|| write_floor(&floor, &bytes)));
        let next = revision.next();
        saves.push(time(|| {
            let swap = store.save(&key(0), &record, Expected::Revision(revision), next).unwrap();
            assert_eq!(swap, Swap::Done);
        }));
        revision = next;
    }
    let (save, floor) = (median(saves), median(floors));
    let ratio = save.as_secs_f64() / floor.as_secs_f64();
    println!("save of {length} bytes   {save:>10.1?}   floor {floor:.1?}   ratio {ratio:.2}");
}

fn write_floor(folder: &Path, bytes: &[u8]) {
    let temporary = folder.join("temporary");
    let mut file = File::create(&temporary).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    fs::rename(&temporary, folder.join("record")).unwrap();
    File::open(folder).unwrap().sync_all().unwrap();
}

fn loads(folder: &Path, sessions: u64) {
    let store = open(folder);
    let header = fs::read(folder.join("cotter.header")).unwrap();
    let vault = Vault::open("file", &header, &source()).unwrap();
    let record = record();
    for n in 0..sessions {
        let sealed = vault.seal(&key(n), &record, first(), &Os).unwrap();
        let path = folder.join(vault.name(&key(n)).to_hex() + ".rec");
        fs::write(path, sealed).unwrap();
    }
    // Spread over all of them, each loaded once before: what is measured is not the disk.
    let chosen: Vec<_> = (0..1000).map(|n| key(n * 7919 % sessions)).collect();
    let load = |key: &StoreKey| assert!(store.load(key).unwrap().unwrap().record.is_ok());
    chosen.iter().for_each(load);
    let present = median(chosen.iter().map(|key| time(|| load(key))).collect());
    let absent = key(u64::MAX);
    let miss = (0..1000).map(|_| time(|| assert!(store.load(&absent).unwrap().is_none())));
    let miss = median(miss.collect());
    println!(
        "load among {sessions:>6} sessions {present:>10.1?}   of one that is not there {miss:.1?}"
    );
    if sessions > 1 {
        let list = time(|| assert_eq!(store.list().unwrap().len() as u64, sessions));
        println!("list of {sessions:>6} sessions {list:>10.1?}");
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn open(folder: &Path) -> FileStore {
    FileStore::open(folder, source()).unwrap()
}

fn source() -> Given {
    Given::new(SealKey::from_bytes([1; 32]))
}

fn key(n: u64) -> StoreKey {
    StoreKey::new("https://auth.example", "client", &format!("user {n}")).unwrap()
}

fn first() -> Revision {
    Revision::first(Lineage::from_bytes([1; 16]))
}

fn record() -> SecretBytes {
    SecretBytes::from(vec![b'x'; LENGTH])
}

fn record_file(folder: &Path) -> fs::Metadata {
    let mut entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let record = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|end| end == "rec");
    entries.find(record).unwrap().metadata().unwrap()
}

#[derive(Debug)]
struct Os;

impl Entropy for Os {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), cotter_core::entropy::EntropyUnavailable> {
        getrandom::fill(buffer).map_err(|_| cotter_core::entropy::EntropyUnavailable)
    }
}
