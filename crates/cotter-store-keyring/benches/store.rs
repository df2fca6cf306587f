//! What a save and a load of a whole record cost apart from the keyring: the lock files, the thread
//! that calls the keyring, the pieces.
//!
//! The keyring is a table in memory. A real one adds its own time for each call of it, so their
//! number is printed too.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a benchmark")]

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::HashMap;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use cotter_core::{
    BlockingTokenStore as _, Expected, Lineage, Revision, SecretBytes, StoreError, StoreKey, Swap,
};
use cotter_store_keyring::{Backend, KeyringStore};
use cotter_testkit::SeededEntropy;

/// What a record of three tokens is about as long as, and one that needs pieces where entries have
/// Windows' limit.
const LENGTHS: [usize; 2] = [2048, 6144];
const ROUNDS: u32 = 500;

/// A keyring in memory that counts.
#[derive(Clone, Debug, Default)]
struct Table {
    entries: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    calls: Arc<AtomicU64>,
    max: Option<usize>,
}

impl Table {
    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.entries.lock().unwrap()
    }
}

impl Backend for Table {
    fn max_secret(&self) -> Option<usize> {
        self.max
    }

    fn get(&mut self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        Ok(self.entries().get(name).map(|bytes| SecretBytes::from(bytes.as_slice())))
    }

    fn set(&mut self, name: &str, secret: &SecretBytes) -> Result<(), StoreError> {
        self.entries().insert(name.to_owned(), secret.expose().to_vec());
        Ok(())
    }

    fn delete(&mut self, name: &str) -> Result<(), StoreError> {
        self.entries().remove(name);
        Ok(())
    }
}

fn main() {
    for max in [None, Some(2560)] {
        for length in LENGTHS {
            measure(max, length);
        }
    }
}

fn measure(max: Option<usize>, length: usize) {
    let table = Table { max, ..Table::default() };
    let folder = tempfile::tempdir().unwrap();
    let entropy = Arc::new(SeededEntropy::new(1));
    let deadline = Duration::from_secs(60);
    let store = KeyringStore::with_backend(table.clone(), folder.path(), entropy, deadline);
    let store = store.unwrap();
    let key = StoreKey::new("https://auth.example", "client", "ada").unwrap();
    let record = SecretBytes::from(vec![7; length]);
    let mut revision = Revision::first(Lineage::from_bytes([1; 16]));
    store.save(&key, &record, Expected::Absent, revision).unwrap();

    let (save, saves) = timed(&table, || {
        let next = revision.next();
        let swap = store.save(&key, &record, Expected::Revision(revision), next).unwrap();
        assert_eq!(swap, Swap::Done);
        revision = next;
    });
    let (load, loads) = timed(&table, || {
        assert_eq!(store.load(&key).unwrap().unwrap().record.unwrap().len(), length);
    });
    let limit = max.map_or_else(|| String::from("no limit"), |max| format!("limit {max}"));
    println!(
        "{length} bytes, {limit}: save {save:.1?} ({saves} calls of the keyring), load {load:.1?} ({loads})"
    );
}

/// The median, and the calls of the keyring for each round.
fn timed(table: &Table, mut work: impl FnMut()) -> (Duration, u64) {
    table.calls.store(0, Ordering::Relaxed);
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[times.len() / 2], table.calls.load(Ordering::Relaxed) / u64::from(ROUNDS))
}
