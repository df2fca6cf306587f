//! The clauses of the store contract; [`store_contract!`](crate::store_contract) runs them.
//!
//! Each takes an empty store and panics where the store breaks the contract.
#![allow(missing_docs, reason = "each name is its sentence")]

mod leases;

use core::time::Duration;
use std::collections::HashSet;
use std::time::Instant;

use cotter_core::{
    Expected, LeaseAnswer, Lineage, MAX_SESSION_NAME, Revision, SecretBytes, StoreErrorKind,
    StoreKey, Swap,
};

use super::Subject;
pub use leases::*;

const WRITERS: u8 = 8;
const TTL: Duration = Duration::from_secs(300);
const MEBIBYTE: usize = 1024 * 1024;

pub fn a_record_comes_back_byte_for_byte(store: &Subject) {
    let every_byte: Vec<u8> = (0..=255).collect();
    for (n, record) in
        [b"".as_slice(), b"{}", b"\0", b"\r\n", every_byte.as_slice()].iter().enumerate()
    {
        let key = key(&n.to_string());
        assert_eq!(store.save(&key, record, Expected::Absent, first(1)), Swap::Done);
        let (revision, loaded) = store.load(&key).expect("a saved record is there");
        assert_eq!(revision, first(1));
        assert_eq!(loaded.expose(), *record, "record {n}");
    }
}

pub fn a_record_that_was_never_saved_is_none(store: &Subject) {
    assert!(store.load(&key("a")).is_none());
    store.save(&key("b"), b"b", Expected::Absent, first(1));
    assert!(store.load(&key("a")).is_none());
}

pub fn a_save_over_the_expected_revision_replaces_the_record(store: &Subject) {
    let key = key("a");
    let mut revision = first(1);
    store.save(&key, b"the first, and the longest of all", Expected::Absent, revision);
    for record in ["second", "", "third"] {
        let next = revision.next();
        let swap = store.save(&key, record.as_bytes(), Expected::Revision(revision), next);
        assert_eq!(swap, Swap::Done);
        assert_holds(store, &key, next, record.as_bytes());
        revision = next;
    }
    let other = first(2);
    assert_eq!(store.save(&key, b"4", Expected::Revision(revision), other), Swap::Done);
    assert_holds(store, &key, other, b"4");
}

pub fn a_save_that_expects_absence_does_not_replace_a_record(store: &Subject) {
    if !store.capabilities().compare_and_set {
        return;
    }
    let key = key("a");
    store.save(&key, b"old", Expected::Absent, first(1));
    let swap = store.save(&key, b"new", Expected::Absent, first(2));
    assert_eq!(swap, Swap::Conflict { found: Some(first(1)) });
    assert_holds(store, &key, first(1), b"old");
}

pub fn a_save_that_expects_a_record_does_not_create_one(store: &Subject) {
    if !store.capabilities().compare_and_set {
        return;
    }
    let swap = store.save(&key("a"), b"new", Expected::Revision(first(1)), first(1).next());
    assert_eq!(swap, Swap::Conflict { found: None });
    assert!(store.load(&key("a")).is_none());
}

pub fn a_save_that_expects_another_revision_changes_nothing(store: &Subject) {
    if !store.capabilities().compare_and_set {
        return;
    }
    let key = key("a");
    let there = first(1).next();
    store.save(&key, b"old", Expected::Absent, there);
    // Another counter, another lineage, and one that differs in the last bit only.
    let mut close = [1; 16];
    close[15] ^= 1;
    let close = Revision { lineage: Lineage::from_bytes(close), counter: there.counter };
    for wrong in [first(1), there.next(), first(2), first(2).next(), close] {
        let swap = store.save(&key, b"new", Expected::Revision(wrong), first(3));
        assert_eq!(swap, Swap::Conflict { found: Some(there) }, "expecting {wrong:?}");
        assert_holds(store, &key, there, b"old");
    }
}

pub fn a_removal_leaves_nothing(store: &Subject) {
    let key = key("a");
    store.save(&key, b"record", Expected::Absent, first(1));
    assert_eq!(store.remove(&key, first(1)), Swap::Done);
    assert!(store.load(&key).is_none());
    if store.capabilities().listing {
        assert_eq!(store.list().expect("it can list"), []);
    }
    assert_eq!(store.save(&key, b"again", Expected::Absent, first(2)), Swap::Done);
    assert_holds(store, &key, first(2), b"again");
}

pub fn a_removal_that_expects_another_revision_changes_nothing(store: &Subject) {
    if !store.capabilities().compare_and_set {
        return;
    }
    let key = key("a");
    store.save(&key, b"record", Expected::Absent, first(1));
    for wrong in [first(1).next(), first(2)] {
        let swap = store.remove(&key, wrong);
        assert_eq!(swap, Swap::Conflict { found: Some(first(1)) });
        assert_holds(store, &key, first(1), b"record");
    }
}

pub fn a_removal_of_nothing_is_a_conflict(store: &Subject) {
    if store.capabilities().compare_and_set {
        assert_eq!(store.remove(&key("a"), first(1)), Swap::Conflict { found: None });
    }
}

pub fn a_removed_and_reused_key_does_not_match_its_old_revision(store: &Subject) {
    if !store.capabilities().compare_and_set {
        return;
    }
    let key = key("a");
    store.save(&key, b"old", Expected::Absent, first(1));
    store.remove(&key, first(1));
    store.save(&key, b"new", Expected::Absent, first(2));

    let found = Swap::Conflict { found: Some(first(2)) };
    let late = store.save(&key, b"late", Expected::Revision(first(1)), first(1).next());
    assert_eq!(late, found);
    assert_eq!(store.remove(&key, first(1)), found);
    assert_holds(store, &key, first(2), b"new");
}

pub fn concurrent_writers_lose_no_update(store: &Subject) {
    if !store.capabilities().compare_and_set {
        return;
    }
    const ROUNDS: u8 = 8;
    let key = key("a");
    store.save(&key, &0_u64.to_be_bytes(), Expected::Absent, first(1));
    let increment = || {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let (revision, record) = store.load(&key).expect("the record stays");
            let count = u64::from_be_bytes(record.expose().try_into().expect("eight bytes"));
            assert_eq!(count + 1, revision.counter, "a record under a revision not its own");
            let expected = Expected::Revision(revision);
            match store.save(&key, &(count + 1).to_be_bytes(), expected, revision.next()) {
                Swap::Done => return,
                Swap::Conflict { found } => assert_ne!(found, Some(revision), "no conflict at all"),
            }
            assert!(Instant::now() < deadline, "a writer got nowhere");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| (0..ROUNDS).for_each(|_| increment()));
        }
    });
    let total = u64::from(WRITERS) * u64::from(ROUNDS);
    let (revision, record) = store.load(&key).expect("the record stays");
    assert_eq!(record.expose(), total.to_be_bytes());
    assert_eq!(revision.counter, total + 1);
}

pub fn concurrent_creators_are_told_apart(store: &Subject) {
    if !store.capabilities().compare_and_set {
        return;
    }
    for round in 0..8 {
        let key = key(&format!("round {round}"));
        let create = |n: u8| store.save(&key, &[n], Expected::Absent, first(n)) == Swap::Done;
        let winners = in_threads(|n| create(n).then_some(n));
        let [winner] = winners[..] else { panic!("{} created one record", winners.len()) };
        assert_holds(store, &key, first(winner), &[winner]);
    }
}

pub fn a_removal_and_a_save_at_once_are_told_apart(store: &Subject) {
    if !store.capabilities().compare_and_set {
        return;
    }
    for round in 0..12 {
        let key = key(&format!("round {round}"));
        let there = first(1);
        store.save(&key, b"old", Expected::Absent, there);
        // Half of them remove what the other half replaces. The one half, the other, or neither is
        // a moment late, so that either comes between the steps of the other.
        let expected = Expected::Revision(there);
        let swap = |n: u8| {
            if n % 2 == round % 3 {
                std::thread::sleep(Duration::from_millis(1));
            }
            match n % 2 {
                0 => store.remove(&key, there),
                _ => store.save(&key, &[n], expected, there.next()),
            }
        };
        let winners = in_threads(|n| (swap(n) == Swap::Done).then_some(n));
        let [winner] = winners[..] else { panic!("{} swapped one revision", winners.len()) };
        match winner % 2 {
            0 => assert!(store.load(&key).is_none(), "a record stands where it was removed"),
            _ => assert_holds(store, &key, there.next(), &[winner]),
        }
    }
}

pub fn records_of_one_mebibyte_fit_or_are_too_large(store: &Subject) {
    let length = store.capabilities().max_record.map_or(MEBIBYTE, |max| max.min(MEBIBYTE));
    let record: Vec<u8> = (0..=250).cycle().take(length).collect();
    assert_eq!(store.save(&key("a"), &record, Expected::Absent, first(1)), Swap::Done);
    assert_holds(store, &key("a"), first(1), &record);
}

pub fn a_record_over_the_limit_is_too_large_and_changes_nothing(store: &Subject) {
    let Some(max) = store.capabilities().max_record.filter(|max| *max < 64 * MEBIBYTE) else {
        return;
    };
    let key = key("a");
    let record = SecretBytes::from(vec![b'x'; max + 1]);
    let error = store.try_save(&key, &record, Expected::Absent, first(1)).expect_err("too large");
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    assert!(store.load(&key).is_none());

    store.save(&key, b"old", Expected::Absent, first(1));
    let expected = Expected::Revision(first(1));
    let error = store.try_save(&key, &record, expected, first(1).next()).expect_err("too large");
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    assert_holds(store, &key, first(1), b"old");
}

pub fn odd_session_names_keep_apart(store: &Subject) {
    let long = "x".repeat(MAX_SESSION_NAME);
    let almost = format!("{}y", &long[1..]);
    let names = [
        "",
        ".",
        "..",
        "../",
        "../a",
        "/",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "C:",
        "con",
        "nul.txt",
        "a\0",
        "a\0b",
        "a",
        "A",
        "Ada",
        "ada",
        "ADA",
        " a",
        "a ",
        "a.",
        "*",
        "?",
        "%2e%2e",
        "\n",
        "\u{7f}",
        "żółw",
        "z\u{307}ółw",
        "日本語",
        "🦀",
        "\u{202e}a",
        "\u{feff}a",
        "a:b",
        "a\u{1f}b",
        "ada@example.test",
        "'; drop table records; --",
        &long,
        &almost,
        &long[..255],
        &long[..256],
    ];
    for name in names {
        let swap = store.save(&key(name), name.as_bytes(), Expected::Absent, first(1));
        assert_eq!(swap, Swap::Done, "{name:?} is taken for another name");
    }
    for name in names {
        assert_holds(store, &key(name), first(1), name.as_bytes());
    }
    if store.capabilities().listing {
        let listed: HashSet<_> = store.list().expect("it can list").into_iter().collect();
        assert_eq!(listed, names.into_iter().map(key).collect());
    }
    for name in names {
        assert_eq!(store.remove(&key(name), first(1)), Swap::Done, "{name:?}");
        assert!(store.load(&key(name)).is_none(), "{name:?}");
    }
}

pub fn keys_do_not_mix_across_provider_client_and_session(store: &Subject) {
    // Pairs that an unframed concatenation of the parts would take for one another.
    let keys = [
        ("https://a.example", "b", "c"),
        ("https://a.example", "bc", ""),
        ("https://a.example", "", "bc"),
        ("https://a.example", "c", "b"),
        ("https://a.example/b", "", "c"),
        ("https://a.example/b", "c", ""),
        ("https://a.exampl", "eb", "c"),
        ("http://a.example", "b", "c"),
        ("https://a.example:8443", "b", "c"),
    ]
    .map(|(provider, client, session)| StoreKey::new(provider, client, session).expect("valid"));
    for (n, key) in (0_u8..).zip(&keys) {
        assert_eq!(store.save(key, &[n], Expected::Absent, first(n)), Swap::Done, "key {n}");
    }
    for (n, key) in (0_u8..).zip(&keys) {
        assert_holds(store, key, first(n), &[n]);
    }
    assert_eq!(store.remove(&keys[0], first(0)), Swap::Done);
    for (n, key) in (0_u8..).zip(&keys).skip(1) {
        assert_holds(store, key, first(n), &[n]);
    }
}

pub fn a_listing_is_exact(store: &Subject) {
    if !store.capabilities().listing {
        return;
    }
    let list = || {
        let listed = store.list().expect("it can list");
        let count = listed.len();
        let set: HashSet<_> = listed.into_iter().collect();
        assert_eq!(set.len(), count, "a key is listed twice");
        set
    };
    assert!(list().is_empty());
    for name in ["a", "b", "c"] {
        store.save(&key(name), b"r", Expected::Absent, first(1));
    }
    store.save(&key("a"), b"s", Expected::Revision(first(1)), first(1).next());
    store.remove(&key("b"), first(1));
    if let LeaseAnswer::Granted(_) = store.try_lease(&key("d"), TTL) {
        // A lease alone is no record.
    }
    assert_eq!(list(), HashSet::from([key("a"), key("c")]));
}

pub fn what_the_store_cannot_do_it_says(store: &Subject) {
    let capabilities = store.capabilities();
    let unsupported = store.try_lease(&key("a"), TTL) == LeaseAnswer::Unsupported;
    assert_eq!(unsupported, !capabilities.lease, "leases and capabilities disagree");
    match store.list() {
        Ok(_) => assert!(capabilities.listing, "it lists and says that it cannot"),
        Err(error) => {
            assert_eq!(error.kind(), StoreErrorKind::Unsupported);
            assert!(!capabilities.listing, "it says that it can list");
        }
    }
    assert_eq!(store.capabilities(), capabilities, "capabilities are constant");
}

pub fn an_error_names_no_session(store: &Subject) {
    let key = key("PLANTED-NAME");
    let record = b"PLANTED-RECORD";
    store.save(&key, record, Expected::Absent, first(1));
    let mut printed = format!("{store:?} {store:#?} {:?}", store.try_load(&key));
    if let Some(max) = store.capabilities().max_record.filter(|max| *max < 64 * MEBIBYTE) {
        let large = SecretBytes::from(b"PLANTED-RECORD".repeat(max / 14 + 1));
        let error = store.try_save(&key, &large, Expected::Revision(first(1)), first(2));
        let error = error.expect_err("too large");
        printed += &format!("{error} {error:?} {:?}", error.hint());
    }
    if let Err(error) = store.list() {
        printed += &format!("{error} {error:?} {:?}", error.hint());
    }
    assert!(!printed.contains("PLANTED"), "{printed}");
}

fn key(session: &str) -> StoreKey {
    StoreKey::new("https://auth.example", "client", session).expect("a valid key")
}

fn first(lineage: u8) -> Revision {
    Revision::first(Lineage::from_bytes([lineage; 16]))
}

#[track_caller]
fn assert_holds(store: &Subject, key: &StoreKey, revision: Revision, record: &[u8]) {
    let (found, bytes) = store.load(key).expect("a record stands there");
    assert_eq!(found, revision, "another revision stands there");
    assert!(bytes.expose() == record, "another record stands there, of {} bytes", bytes.len());
}

/// What `work` gave in each of several threads that begin together.
fn in_threads<T: Send>(work: impl Fn(u8) -> Option<T> + Sync) -> Vec<T> {
    let start = std::sync::Barrier::new(usize::from(WRITERS));
    let run = |n| {
        start.wait();
        work(n)
    };
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS).map(|n| scope.spawn(move || run(n))).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect()
    })
}
