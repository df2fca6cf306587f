//! What a save and a load of a record cost in memory: what every other store adds to.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a benchmark")]

use core::time::Duration;
use std::time::Instant;

use cotter_core::{
    BlockingTokenStore as _, Expected, Lineage, Revision, SecretBytes, StoreKey, Swap,
};
use cotter_store_memory::Memory;

/// What a record of three tokens is about as long as.
const LENGTH: usize = 2048;

fn main() {
    for sessions in [1, 1_000, 100_000] {
        let store = Memory::new();
        let first = Revision::first(Lineage::from_bytes([1; 16]));
        let record = SecretBytes::from(vec![7; LENGTH]);
        for n in 0..sessions {
            store.save(&key(n), &record, Expected::Absent, first).unwrap();
        }
        let (middle, mut revision) = (key(sessions / 2), first);
        let save = median(|| {
            let expected = Expected::Revision(revision);
            revision = revision.next();
            assert_eq!(store.save(&middle, &record, expected, revision).unwrap(), Swap::Done);
        });
        let load = median(|| assert!(store.load(&middle).unwrap().unwrap().record.is_ok()));
        println!("among {sessions:>6} sessions: save {save:?}, load {load:?}");
    }
}

fn key(n: usize) -> StoreKey {
    StoreKey::new("https://auth.example", "client", &format!("user {n}")).unwrap()
}

fn median(mut work: impl FnMut()) -> Duration {
    let timed = |_| {
        let began = Instant::now();
        work();
        began.elapsed()
    };
    let mut times: Vec<_> = (0..2000).map(timed).collect();
    times.sort_unstable();
    times[times.len() / 2]
}
