use cotter_core::{SecretBytes, StoreErrorKind};
use cotter_seal::{Header, Outside, Vault};
use proptest::prelude::*;

use crate::vault::with_checksum;
use crate::{Counting, given, key, record, revision};

fn stores() -> [(Vault, Vec<u8>); 2] {
    let entropy = Counting::default();
    let sealed = Vault::create("test", &given(1), &entropy).unwrap();
    let plain = Vault::danger_create_unsealed("test").unwrap();
    [sealed, plain].map(|vault| {
        let stored = vault.seal(&key("ada"), &record(), revision(4), &entropy).unwrap();
        (vault, stored)
    })
}

/// It must be refused as damaged, under a revision by which it can be replaced.
fn assert_damaged(vault: &Vault, bytes: &[u8]) {
    let loaded = vault.load(&key("ada"), bytes).unwrap();
    assert_eq!(loaded.record.unwrap_err().kind(), StoreErrorKind::Damaged);
    assert_eq!(vault.revision(bytes).unwrap(), loaded.revision);
    let again = vault.load(&key("ada"), bytes).unwrap();
    assert_eq!(again.revision, loaded.revision);
}

#[test]
fn every_flipped_bit_of_a_record_is_damage() {
    for (vault, stored) in stores() {
        for at in 0..stored.len() {
            for bit in 0..8 {
                let mut bytes = stored.clone();
                bytes[at] ^= 1 << bit;
                assert_damaged(&vault, &bytes);
            }
        }
    }
}

#[test]
fn every_truncation_and_every_byte_too_many_is_damage() {
    for (vault, stored) in stores() {
        for length in 0..stored.len() {
            assert_damaged(&vault, &stored[..length]);
            assert_damaged(&vault, &stored[length + 1..]);
        }
        for byte in [0, b'x'] {
            assert_damaged(&vault, &[&stored[..], &[byte]].concat());
        }
        assert_damaged(&vault, &[&stored[..], &stored[..]].concat());
        assert_damaged(&vault, &vec![0; stored.len()]);
    }
}

#[test]
fn the_revision_outlives_damage_elsewhere() {
    let [(vault, stored), _] = stores();
    let mut bytes = stored;
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(vault.load(&key("ada"), &bytes).unwrap().revision, revision(4));
}

#[test]
fn unreadable_bytes_have_revisions_of_their_own() {
    let [(vault, _), _] = stores();
    let one = vault.load(&key("ada"), b"garbage").unwrap().revision;
    let other = vault.load(&key("ada"), b"garbagf").unwrap().revision;
    assert_eq!(one.counter, 0, "no revision that was ever issued");
    assert_ne!(one, other);
}

#[test]
fn every_flipped_bit_of_a_header_is_damage() {
    for (vault, _) in stores() {
        let header = vault.header().to_bytes();
        let open = |bytes: &[u8]| match vault.header().key() {
            Some(_) => Vault::open("test", bytes, &given(1)),
            None => Vault::danger_open_unsealed("test", bytes),
        };
        open(&header).unwrap();
        for at in 0..header.len() {
            for bit in 0..8 {
                let mut bytes = header.clone();
                bytes[at] ^= 1 << bit;
                assert_eq!(open(&bytes).unwrap_err().kind(), StoreErrorKind::Damaged, "{at}");
            }
            assert_eq!(open(&header[..at]).unwrap_err().kind(), StoreErrorKind::Damaged, "{at}");
        }
    }
}

#[test]
fn a_forged_header_is_damaged_or_another_keys() {
    let [(vault, _), _] = stores();
    let header = vault.header().to_bytes();
    for at in 0..header.len() - 8 {
        let mut bytes = header.clone();
        bytes[at] ^= 1;
        let kind = Vault::open("test", &with_checksum(bytes), &given(1)).unwrap_err().kind();
        let known = [
            StoreErrorKind::Damaged,
            StoreErrorKind::KeyWrong,
            StoreErrorKind::TooNew,
            StoreErrorKind::Unsupported,
        ];
        assert!(known.contains(&kind), "byte {at}: {kind:?}");
    }
}

#[test]
fn what_a_newer_version_wrote_is_too_new_and_has_no_revision_to_replace_it_by() {
    for (vault, stored) in stores() {
        for (at, value) in [(3, 2), (3, 255), (5, 2)] {
            let mut bytes = stored.clone();
            bytes[at] = value;
            let bytes = with_checksum(bytes);
            for error in [
                vault.load(&key("ada"), &bytes).unwrap_err(),
                vault.revision(&bytes).unwrap_err(),
                vault.key(vault.name(&key("ada")), &bytes).unwrap_err(),
            ] {
                assert_eq!(error.kind(), StoreErrorKind::TooNew);
            }
        }
        let mut header = vault.header().to_bytes();
        header[3] = 2;
        let error = Header::from_bytes(&with_checksum(header)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::TooNew);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..4) {
        let letters: &[u8] = [b"CSR\x01\0\x01".as_slice(), b"CPR\x01\0\x01", b"CSH\x01", b""][kind as usize];
        let bytes = with_checksum([letters, &body, &[0; 8]].concat());
        let _ = Header::from_bytes(&bytes);
        let _ = Outside::read(&bytes);
        for (vault, _) in stores() {
            if let Ok(loaded) = vault.load(&key("ada"), &bytes) {
                prop_assert!(loaded.record.is_err());
                prop_assert_eq!(vault.revision(&bytes).unwrap(), loaded.revision);
            }
        }
        let _ = Vault::open("test", &bytes, &given(1));
        let _ = SecretBytes::from(bytes);
    }
}
