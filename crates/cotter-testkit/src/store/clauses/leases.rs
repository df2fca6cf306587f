//! The clauses about leases.

use core::time::Duration;
use std::collections::HashSet;
use std::time::Instant;

use cotter_core::{Expected, Lease, LeaseAnswer, LeaseOwner, Swap};

use super::{TTL, assert_holds, first, in_threads, key};
use crate::store::Subject;

const SHORT: Duration = Duration::from_millis(60);
const PATIENCE: Duration = Duration::from_secs(10);

pub fn a_lease_excludes_everybody_else(store: &Subject) {
    let Some(lease) = lease(store, "a", TTL) else { return };
    assert!(!lease.lapsed, "a lease that nobody held cannot have lapsed");
    assert!(lease.ends_in.is_none_or(|end| !end.is_zero() && end <= TTL), "{:?}", lease.ends_in);
    for _ in 0..3 {
        let began = Instant::now();
        let answer = store.try_lease(&key("a"), TTL);
        assert!(matches!(answer, LeaseAnswer::Held(_)), "{answer:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "a request for a lease never waits");
    }
}

pub fn a_released_lease_is_free(store: &Subject) {
    let Some(mut held) = lease(store, "a", TTL) else { return };
    for _ in 0..3 {
        store.release(&key("a"), held.owner);
        let LeaseAnswer::Granted(next) = store.try_lease(&key("a"), TTL) else {
            panic!("a released lease is not free")
        };
        assert!(!next.lapsed, "a released lease has not lapsed");
        assert_ne!(next.owner, held.owner, "an owner is used twice");
        held = next;
    }
}

pub fn a_stranger_releases_nothing(store: &Subject) {
    let Some(first) = lease(store, "a", TTL) else { return };
    let mut close = *first.owner.as_bytes();
    close[15] ^= 1;
    store.release(&key("a"), LeaseOwner::from_bytes(close));
    assert!(matches!(store.try_lease(&key("a"), TTL), LeaseAnswer::Held(_)));

    // Nor does a former owner, nor the owner of another key.
    store.release(&key("a"), first.owner);
    let Some(_second) = lease(store, "a", TTL) else { return };
    store.release(&key("a"), first.owner);
    let other = lease(store, "b", TTL).expect("a free lease is granted");
    store.release(&key("a"), other.owner);
    assert!(matches!(store.try_lease(&key("a"), TTL), LeaseAnswer::Held(_)));
}

pub fn leases_of_different_keys_are_independent(store: &Subject) {
    let Some(a) = lease(store, "a", TTL) else { return };
    assert!(lease(store, "b", TTL).is_some());
    assert!(lease(store, "A", TTL).is_some());
    store.release(&key("a"), a.owner);
    assert!(matches!(store.try_lease(&key("b"), TTL), LeaseAnswer::Held(_)));
}

/// Sign-in, import and sign-out take no lease.
pub fn a_lease_holds_up_no_reader_and_no_writer(store: &Subject) {
    let Some(_lease) = lease(store, "a", TTL) else { return };
    let key = key("a");
    assert_eq!(store.save(&key, b"1", Expected::Absent, first(1)), Swap::Done);
    assert_holds(store, &key, first(1), b"1");
    assert_eq!(store.remove(&key, first(1)), Swap::Done);
    assert!(matches!(store.try_lease(&key, TTL), LeaseAnswer::Held(_)), "removal ends no lease");
}

pub fn one_of_many_gets_the_lease(store: &Subject) {
    if !store.capabilities().lease {
        return;
    }
    for round in 0..8 {
        let key = key(&format!("round {round}"));
        let granted = in_threads(|_| match store.try_lease(&key, TTL) {
            LeaseAnswer::Granted(lease) => Some(lease),
            _ => None,
        });
        assert_eq!(granted.len(), 1, "{granted:?}");
    }
}

pub fn a_lease_ends_by_itself_and_is_taken_over_as_lapsed(store: &Subject) {
    let Some(held) = lease(store, "a", SHORT) else { return };
    if held.ends_in.is_none() {
        return;
    }
    let next = wait_for_lapse(store);
    assert!(next.lapsed, "what was taken over from somebody must say so");
    assert_ne!(next.owner, held.owner);
    assert!(matches!(store.try_lease(&key("a"), TTL), LeaseAnswer::Held(_)));
}

pub fn a_lease_is_held_until_its_end(store: &Subject) {
    for n in 1..=5 {
        let session = n.to_string();
        let began = Instant::now();
        let Some(held) = lease(store, &session, n * Duration::from_millis(300)) else { return };
        let Some(ends_in) = held.ends_in else { return };
        std::thread::sleep(ends_in / 2);
        let answer = store.try_lease(&key(&session), TTL);
        // A machine that slept through the end of it proves nothing: once more, with more time.
        if began.elapsed() < ends_in {
            assert!(matches!(answer, LeaseAnswer::Held(_)), "half of it has passed: {answer:?}");
            return;
        }
    }
}

pub fn every_lease_has_an_owner_of_its_own(store: &Subject) {
    if !store.capabilities().lease {
        return;
    }
    let mut owners = HashSet::new();
    for round in 0..4 {
        let held =
            ["a", "b", "c"].map(|name| (name, lease(store, name, TTL).expect("it can").owner));
        for (name, owner) in held {
            assert!(owners.insert(owner), "an owner of round {round} is used twice");
            store.release(&key(name), owner);
        }
    }
}

pub fn who_let_a_lease_lapse_cannot_release_its_successor(store: &Subject) {
    let Some(held) = lease(store, "a", SHORT) else { return };
    if held.ends_in.is_none() {
        return;
    }
    wait_for_lapse(store);
    store.release(&key("a"), held.owner);
    assert!(matches!(store.try_lease(&key("a"), TTL), LeaseAnswer::Held(_)));
}

/// A lease on a key that nobody holds; `None` from stores that have none.
fn lease(store: &Subject, session: &str, ttl: Duration) -> Option<Lease> {
    if !store.capabilities().lease {
        return None;
    }
    match store.try_lease(&key(session), ttl) {
        LeaseAnswer::Granted(lease) => Some(lease),
        answer => panic!("a free lease was not granted: {answer:?}"),
    }
}

fn wait_for_lapse(store: &Subject) -> Lease {
    let began = Instant::now();
    loop {
        match store.try_lease(&key("a"), TTL) {
            LeaseAnswer::Granted(lease) => return lease,
            _ if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            answer => panic!("a lease of {SHORT:?} did not end: {answer:?}"),
        }
    }
}
