//! The store contract in both worlds, and what only a clock moved by hand can show.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use core::time::Duration;
use std::sync::Arc;

use cotter_core::{
    BlockingTokenStore, Expected, LeaseAnswer, Lineage, Revision, SecretBytes, StoreKey, Swap,
};
use cotter_store_memory::Memory;
use cotter_testkit::ManualClock;

cotter_testkit::store_contract!(blocking plain, Memory::new);
cotter_testkit::store_contract!(blocking shared, Memory::shared);
cotter_testkit::store_contract!(async plain_async, || async { Memory::new() });

const TTL: Duration = Duration::from_secs(30);

fn key(session: &str) -> StoreKey {
    StoreKey::new("https://auth.example", "client", session).unwrap()
}

#[test]
fn a_lease_ends_exactly_at_its_time_to_live() {
    let clock = ManualClock::new();
    let store = Memory::with_clock(Arc::new(clock.clone()));
    let LeaseAnswer::Granted(first) = store.try_lease(&key("a"), TTL).unwrap() else {
        panic!("a free lease was not granted")
    };
    assert_eq!((first.ends_in, first.lapsed), (Some(TTL), false));

    clock.advance(TTL - Duration::from_millis(1));
    assert!(matches!(store.try_lease(&key("a"), TTL).unwrap(), LeaseAnswer::Held(_)));

    clock.advance(Duration::from_millis(1));
    let LeaseAnswer::Granted(second) = store.try_lease(&key("a"), TTL).unwrap() else {
        panic!("a lapsed lease was not granted")
    };
    assert!(second.lapsed);
    assert_ne!(second.owner, first.owner);
}

#[test]
fn a_step_of_the_wall_clock_ends_no_lease() {
    let clock = ManualClock::new();
    let store = Memory::with_clock(Arc::new(clock.clone()));
    assert!(matches!(store.try_lease(&key("a"), TTL).unwrap(), LeaseAnswer::Granted(_)));
    clock.step_wall(1_000_000_000);
    assert!(matches!(store.try_lease(&key("a"), TTL).unwrap(), LeaseAnswer::Held(_)));
}

#[test]
fn a_held_lease_says_by_whom_and_since_when() {
    let clock = ManualClock::new();
    let store = Memory::with_clock(Arc::new(clock.clone()));
    store.try_lease(&key("a"), TTL).unwrap();
    let LeaseAnswer::Held(holder) = store.try_lease(&key("a"), TTL).unwrap() else {
        panic!("the lease was given twice")
    };
    assert_eq!(holder.pid, Some(std::process::id()));
    assert_eq!(holder.since, Some(cotter_core::Clock::now(&clock).wall));
}

#[test]
fn a_clone_sees_the_same_records() {
    let store = Memory::new();
    let first = Revision::first(Lineage::from_bytes([1; 16]));
    let record = SecretBytes::from(b"r".as_slice());
    assert_eq!(store.save(&key("a"), &record, Expected::Absent, first).unwrap(), Swap::Done);
    let other = store.clone();
    drop(store);
    assert!(other.load(&key("a")).unwrap().is_some());
    assert!(Memory::new().load(&key("a")).unwrap().is_none());
}

#[test]
fn it_prints_neither_records_nor_names() {
    let store = Memory::new();
    let first = Revision::first(Lineage::from_bytes([1; 16]));
    let record = SecretBytes::from(b"PLANTED".as_slice());
    store.save(&key("ada@example.test"), &record, Expected::Absent, first).unwrap();
    let printed = format!("{store:?} {store:#?}");
    assert!(!printed.contains("PLANTED") && !printed.contains("ada"), "{printed}");
}

#[test]
fn only_the_shared_store_says_it_is_shared() {
    assert!(!BlockingTokenStore::capabilities(&Memory::new()).shared);
    assert!(BlockingTokenStore::capabilities(&Memory::shared()).shared);
}
