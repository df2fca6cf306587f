use cotter_core::StoreErrorKind;
use cotter_seal::{Cost, KeySource as _, Passphrase, Vault};

use crate::{Counting, key, record, revision};

fn cheap(words: &str) -> Passphrase {
    Passphrase::new(words).with_cost(Cost::LEAST)
}

#[test]
fn words_open_what_they_sealed_at_the_cost_that_was_stored() {
    let entropy = Counting::default();
    let made = Vault::create("test", &cheap("correct horse"), &entropy).unwrap();
    let stored = made.seal(&key("ada"), &record(), revision(1), &entropy).unwrap();
    let header = made.header().to_bytes();
    assert_eq!(made.header().source(), "passphrase");

    // The default cost plays no part: the header's own holds.
    let opened = Vault::open("test", &header, &Passphrase::new("correct horse")).unwrap();
    assert_eq!(opened.load(&key("ada"), &stored).unwrap().record.unwrap(), record());
    let error = Vault::open("test", &header, &cheap("wrong horse")).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
}

#[test]
fn every_store_has_a_salt_of_its_own() {
    let entropy = Counting::default();
    let one = Vault::create("test", &cheap("same"), &entropy).unwrap();
    let other = Vault::create("test", &cheap("same"), &entropy).unwrap();
    assert_ne!(one.header().key(), other.header().key());
}

#[test]
fn new_words_take_over_from_old_ones() {
    let entropy = Counting::default();
    let old = Vault::create("test", &cheap("old"), &entropy).unwrap();
    let both = cheap("new").with_old("old");
    let vault = Vault::open("test", &old.header().to_bytes(), &both).unwrap();
    let moved = vault.reseal_header(&entropy).unwrap().unwrap();
    Vault::open("test", &moved.header().to_bytes(), &cheap("new")).unwrap();
}

#[test]
fn parameters_out_of_bounds_are_refused_before_any_work() {
    let source = cheap("words");
    let good = source.create_if_absent(&Counting::default()).unwrap();
    source.keys(&good).unwrap();
    for at in 1..13 {
        for value in [0, 255] {
            let mut bad = good.clone();
            bad[at] = value;
            if bad == good {
                continue;
            }
            // Only a byte of the memory's size can be off and still be within the bounds.
            if let Err(error) = source.keys(&bad) {
                assert_eq!(error.kind(), StoreErrorKind::Damaged, "byte {at}");
            } else {
                assert!(matches!(at, 3 | 4), "byte {at} = {value}");
            }
        }
    }
    for length in 1..good.len() {
        assert_eq!(source.keys(&good[..length]).unwrap_err().kind(), StoreErrorKind::Damaged);
    }
    assert_eq!(source.keys(&[]).unwrap_err().kind(), StoreErrorKind::KeyWrong);
    assert_eq!(source.keys(&[2]).unwrap_err().kind(), StoreErrorKind::TooNew);
}

#[test]
fn a_cost_is_brought_within_bounds() {
    assert_eq!(Cost::new(0, 0, 0), Cost::LEAST);
    assert_eq!(Cost::new(u32::MAX, u32::MAX, u32::MAX), Cost::MOST);
}

#[test]
fn argon2id_agrees_with_another_implementation() {
    // argon2-cffi 25.1: `hash_secret_raw(b"words", b"0123456789abcdef", time_cost=1,
    // memory_cost=8192, parallelism=1, hash_len=32, type=Type.ID, version=19)`
    let mut parameters = vec![1];
    for number in [8192_u32, 1, 1] {
        parameters.extend_from_slice(&number.to_be_bytes());
    }
    parameters.extend_from_slice(b"0123456789abcdef");
    let keys = cheap("words").keys(&parameters).unwrap();
    let hex: String = keys.newest().expose().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "f96150dfa527e4911e7295d43e057becefc1879aa20a426890f89fdbbcd58a42");
}
