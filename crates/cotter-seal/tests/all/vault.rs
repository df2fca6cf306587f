use cotter_core::{SecretBytes, StoreErrorKind};
use cotter_seal::{Given, Outside, RecordName, Vault};

use crate::{Counting, Dry, given, key, record, revision, seal_key};

#[test]
fn a_record_comes_back_from_an_opened_header() {
    let entropy = Counting::default();
    let made = Vault::create("test", &given(1), &entropy).unwrap();
    let opened = Vault::open("test", &made.header().to_bytes(), &given(1)).unwrap();
    for content in [b"".as_slice(), b"x", &[0; 100_000]] {
        let content = SecretBytes::from(content);
        let stored = made.seal(&key("ada"), &content, revision(3), &entropy).unwrap();
        let loaded = opened.load(&key("ada"), &stored).unwrap();
        assert_eq!(loaded.revision, revision(3));
        assert_eq!(loaded.record.unwrap(), content);
        assert_eq!(opened.revision(&stored).unwrap(), revision(3));
        let name = opened.name(&key("ada"));
        assert_eq!(name, made.name(&key("ada")));
        assert_eq!(opened.key(name, &stored).unwrap(), key("ada"));
    }
}

#[test]
fn nothing_stored_says_whose_or_what_it_is() {
    let entropy = Counting::default();
    let vault = Vault::create("test", &given(1), &entropy).unwrap();
    let ada = key("PLANTED-SESSION");
    let stored = vault.seal(&ada, &record(), revision(1), &entropy).unwrap();
    let name = vault.name(&ada).to_hex();
    let header = vault.header().to_bytes();
    for bytes in [&stored, &header, name.as_bytes()] {
        let text = String::from_utf8_lossy(bytes);
        for planted in ["PLANTED", "auth.example"] {
            assert!(!text.contains(planted));
        }
        assert!(!bytes.windows(32).any(|window| window == [1; 32]), "the key itself");
    }
    let printed = format!("{vault:?} {:?} {:?}", vault.header(), vault.name(&ada));
    assert!(!printed.contains("PLANTED") && !printed.contains("1, 1, 1"), "{printed}");
}

#[test]
fn names_depend_on_the_store_and_not_on_the_sealing_key() {
    let entropy = Counting::default();
    let one = Vault::create("test", &given(1), &entropy).unwrap();
    let other = Vault::create("test", &given(1), &entropy).unwrap();
    assert_ne!(one.name(&key("ada")), other.name(&key("ada")));
    assert_ne!(one.name(&key("ada")), one.name(&key("bob")));
}

#[test]
fn equal_records_are_sealed_differently_every_time() {
    let entropy = Counting::default();
    let vault = Vault::create("test", &given(1), &entropy).unwrap();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1000 {
        let stored = vault.seal(&key("ada"), &record(), revision(1), &entropy).unwrap();
        assert!(seen.insert(stored[38..70].to_vec()), "a salt came twice");
        assert!(seen.insert(stored[70..].to_vec()), "a ciphertext came twice");
    }
}

#[test]
fn records_cannot_change_places_or_revisions() {
    let entropy = Counting::default();
    let vault = Vault::create("test", &given(1), &entropy).unwrap();
    let stored = vault.seal(&key("ada"), &record(), revision(1), &entropy).unwrap();

    let moved = vault.load(&key("bob"), &stored).unwrap();
    assert_eq!(moved.record.unwrap_err().kind(), StoreErrorKind::Damaged);
    let name = RecordName::from_bytes([3; 32]);
    assert_eq!(vault.key(name, &stored).unwrap_err().kind(), StoreErrorKind::Damaged);

    // With the checksum made good, so that only the seal stands in the way.
    let mut newer = stored;
    newer[6..30].copy_from_slice(&revision(2).to_bytes());
    let newer = with_checksum(newer);
    assert_eq!(Outside::read(&newer).unwrap().revision, revision(2));
    let loaded = vault.load(&key("ada"), &newer).unwrap();
    assert_eq!(loaded.revision, revision(2));
    assert_eq!(loaded.record.unwrap_err().kind(), StoreErrorKind::Damaged);
}

#[test]
fn a_forger_without_the_key_gets_nothing_opened() {
    let entropy = Counting::default();
    let vault = Vault::create("test", &given(1), &entropy).unwrap();
    let stored = vault.seal(&key("ada"), &record(), revision(1), &entropy).unwrap();
    for at in 0..stored.len() - 8 {
        let mut forged = stored.clone();
        forged[at] ^= 1;
        let forged = with_checksum(forged);
        match vault.load(&key("ada"), &forged) {
            Ok(loaded) => {
                let error = loaded.record.unwrap_err();
                let wanted = match at {
                    30..38 => StoreErrorKind::KeyWrong,
                    _ => StoreErrorKind::Damaged,
                };
                assert_eq!(error.kind(), wanted, "byte {at}");
            }
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::TooNew, "byte {at}");
                assert!((3..6).contains(&at), "byte {at}");
            }
        }
    }
}

#[test]
fn a_wrong_key_is_told_from_a_missing_one_and_from_damage() {
    let entropy = Counting::default();
    let vault = Vault::create("test", &given(1), &entropy).unwrap();
    let header = vault.header().to_bytes();
    let error = Vault::open("test", &header, &given(2)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
    let hint = error.hint().unwrap();
    for id in [seal_key(1).id(), seal_key(2).id()] {
        assert!(hint.contains(&id.to_string()), "{hint}");
    }

    let other = Vault::create("test", &given(2), &entropy).unwrap();
    let stored = other.seal(&key("ada"), &record(), revision(1), &entropy).unwrap();
    let loaded = vault.load(&key("ada"), &stored).unwrap();
    assert_eq!(loaded.revision, revision(1));
    assert_eq!(loaded.record.unwrap_err().kind(), StoreErrorKind::KeyWrong);
}

#[test]
fn resealing_moves_everything_to_the_newest_key_and_renames_nothing() {
    let entropy = Counting::default();
    let old = Vault::create("test", &given(1), &entropy).unwrap();
    let name = old.name(&key("ada"));
    let stored = old.seal(&key("ada"), &record(), revision(5), &entropy).unwrap();
    assert!(old.reseal(name, &stored, &entropy).unwrap().is_none());
    assert!(old.reseal_header(&entropy).unwrap().is_none());

    let both = Given::new(seal_key(2)).with_old(seal_key(1));
    let vault = Vault::open("test", &old.header().to_bytes(), &both).unwrap();
    assert_eq!(vault.name(&key("ada")), name);
    let resealed = vault.reseal(name, &stored, &entropy).unwrap().expect("it was old");
    assert!(vault.reseal(name, &resealed, &entropy).unwrap().is_none());
    // Interrupted here, both keys still open everything.
    for bytes in [&stored, &resealed] {
        assert_eq!(vault.load(&key("ada"), bytes).unwrap().record.unwrap(), record());
    }
    let moved = vault.reseal_header(&entropy).unwrap().expect("the header was old");

    let new = Vault::open("test", &moved.header().to_bytes(), &given(2)).unwrap();
    assert_eq!(new.name(&key("ada")), name);
    let loaded = new.load(&key("ada"), &resealed).unwrap();
    assert_eq!((loaded.revision, loaded.record.unwrap()), (revision(5), record()));
    let error = Vault::open("test", &moved.header().to_bytes(), &given(1)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
}

#[test]
fn a_store_that_is_not_sealed_is_opened_by_its_own_name_only() {
    let entropy = Dry;
    let plain = Vault::danger_create_unsealed("test").unwrap();
    let header = plain.header().to_bytes();
    assert_eq!(plain.header().key(), None);
    let plain = Vault::danger_open_unsealed("test", &header).unwrap();
    let stored = plain.seal(&key("ada"), &record(), revision(1), &entropy).unwrap();
    assert_eq!(plain.load(&key("ada"), &stored).unwrap().record.unwrap(), record());
    let moved = plain.load(&key("bob"), &stored).unwrap().record.unwrap_err();
    assert_eq!(moved.kind(), StoreErrorKind::Damaged);

    let error = Vault::open("test", &header, &given(1)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    let sealed = Vault::create("test", &given(1), &Counting::default()).unwrap();
    let error = Vault::danger_open_unsealed("test", &sealed.header().to_bytes()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    // Nor does a plain record pass for a sealed one.
    let loaded = sealed.load(&key("ada"), &stored).unwrap();
    assert_eq!(loaded.record.unwrap_err().kind(), StoreErrorKind::Damaged);
}

#[test]
fn a_store_of_another_kind_is_not_opened() {
    let vault = Vault::create("file", &given(1), &Counting::default()).unwrap();
    let error = Vault::open("sled", &vault.header().to_bytes(), &given(1)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
}

#[test]
fn without_randomness_nothing_is_sealed() {
    let error = Vault::create("test", &given(1), &Dry).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let vault = Vault::create("test", &given(1), &Counting::default()).unwrap();
    let error = vault.seal(&key("ada"), &record(), revision(1), &Dry).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

pub(crate) fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    use sha2::Digest as _;
    let end = bytes.len() - 8;
    let hash = sha2::Sha256::digest(&bytes[..end]);
    bytes[end..].copy_from_slice(&hash[..8]);
    bytes
}
