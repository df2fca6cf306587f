//! From one key source to another.

use core::sync::atomic::{AtomicBool, Ordering};

use cotter_core::{Entropy, StoreError, StoreErrorKind};
use cotter_seal::{Header, KeySource, Keys, RecordName, SealKey, Vault};

use crate::golden::{MOVING_HEADER, golden_key};
use crate::{Counting, Dry, given, key, record, revision, seal_key};

/// A source of any kind, whose parameters have to come back.
#[derive(Debug)]
struct Source {
    kind: &'static str,
    key: u8,
    made: AtomicBool,
}

impl Source {
    fn new(kind: &'static str, key: u8) -> Self {
        Self { kind, key, made: AtomicBool::new(false) }
    }
}

impl KeySource for Source {
    fn kind(&self) -> &str {
        self.kind
    }

    fn describe(&self) -> &str {
        "a source of the test"
    }

    fn keys(&self, parameters: &[u8]) -> Result<Keys, StoreError> {
        if parameters == [self.key] {
            return Ok(Keys::new(seal_key(self.key)));
        }
        Err(StoreError::new(StoreErrorKind::KeyWrong, "somebody else's parameters"))
    }

    fn create_if_absent(&self, _entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        self.made.store(true, Ordering::Relaxed);
        Ok(vec![self.key])
    }
}

/// A store of one record, as its bytes lie there.
struct Stored {
    header: Vec<u8>,
    name: RecordName,
    record: Vec<u8>,
}

impl Stored {
    fn new(source: &Source) -> Self {
        let entropy = Counting::default();
        let vault = Vault::create("test", source, &entropy).unwrap();
        let name = vault.name(&key("ada"));
        let record = vault.seal(&key("ada"), &record(), revision(5), &entropy).unwrap();
        Self { header: vault.header().to_bytes(), name, record }
    }

    fn open(&self, from: &Source, to: &Source) -> Vault {
        Vault::open_moving("test", &self.header, from, to).unwrap()
    }

    #[track_caller]
    fn assert_opens(&self, vault: &Vault) {
        assert_eq!(vault.name(&key("ada")), self.name);
        let loaded = vault.load(&key("ada"), &self.record).unwrap();
        assert_eq!((loaded.revision, loaded.record.unwrap()), (revision(5), record()));
    }

    #[track_caller]
    fn assert_refuses(&self, source: &Source) {
        let error = Vault::open("test", &self.header, source).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
    }
}

#[test]
fn every_step_from_one_kind_of_source_to_another_leaves_a_store_that_opens() {
    for kinds in [("key-file", "keyring"), ("passphrase", "passphrase")] {
        let (from, to) = (Source::new(kinds.0, 1), Source::new(kinds.1, 2));
        let mut stored = Stored::new(&from);

        // Not begun: nothing was made yet.
        let vault = stored.open(&from, &to);
        assert!(!to.made.load(Ordering::Relaxed));
        assert!(vault.reseal_header(&Dry).unwrap().is_none());

        // Begun: the header says so, and who has the old source alone goes on.
        let vault = vault.begin_move(&to, &Counting::default()).unwrap().unwrap();
        stored.header = vault.header().to_bytes();
        let header = Header::from_bytes(&stored.header).unwrap();
        assert_eq!((header.source(), header.next_source()), (kinds.0, Some(kinds.1)));
        stored.assert_opens(&Vault::open("test", &stored.header, &from).unwrap());
        let error = Vault::open("test", &stored.header, &given(9)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
        assert!(error.hint().unwrap().contains(&format!("another one ({})", kinds.1)));

        // Cut off there and begun again: it goes on where it was.
        let vault = stored.open(&from, &to);
        assert!(vault.begin_move(&to, &Dry).unwrap().is_none());
        stored.assert_opens(&vault);
        let moved = vault.reseal(stored.name, &stored.record, &Counting::default()).unwrap();
        stored.record = moved.unwrap();

        // And there: the record is the new source's, the header still the old one's.
        let vault = stored.open(&from, &to);
        stored.assert_opens(&vault);
        assert!(vault.reseal(stored.name, &stored.record, &Dry).unwrap().is_none());
        let old = Vault::open("test", &stored.header, &from).unwrap();
        let loaded = old.load(&key("ada"), &stored.record).unwrap();
        assert_eq!(loaded.record.unwrap_err().kind(), StoreErrorKind::KeyWrong);

        // Ended.
        let done = vault.reseal_header(&Counting::default()).unwrap().unwrap();
        stored.header = done.header().to_bytes();
        assert_eq!((done.header().source(), done.header().next_source()), (kinds.1, None));
        stored.assert_opens(&Vault::open("test", &stored.header, &to).unwrap());
        stored.assert_refuses(&from);

        // Once more changes nothing.
        let vault = stored.open(&from, &to);
        stored.assert_opens(&vault);
        assert!(vault.begin_move(&to, &Dry).unwrap().is_none());
        assert!(vault.reseal_header(&Dry).unwrap().is_none());
    }
}

#[test]
fn one_key_may_move_to_another_kind_of_source() {
    let (from, to) = (Source::new("given", 1), Source::new("key-file", 1));
    let mut stored = Stored::new(&from);
    let vault = stored.open(&from, &to).begin_move(&to, &Counting::default()).unwrap().unwrap();
    assert!(vault.reseal(stored.name, &stored.record, &Dry).unwrap().is_none());
    let done = vault.reseal_header(&Counting::default()).unwrap().unwrap();
    stored.header = done.header().to_bytes();
    assert_eq!((done.header().source(), done.header().next_source()), ("key-file", None));
    stored.assert_opens(&Vault::open("test", &stored.header, &to).unwrap());
}

#[test]
fn a_source_whose_kind_cannot_be_written_down_is_refused() {
    let vault = Vault::create("test", &given(1), &Counting::default()).unwrap();
    for kind in ["a>b", "a-kind-of-source-that-is-far-too-long-to-be-one"] {
        let to = Source::new(kind, 2);
        assert!(vault.begin_move(&to, &Counting::default()).is_err(), "{kind}");
    }
}

#[test]
fn a_store_that_is_not_sealed_has_no_source_to_leave() {
    let plain = Vault::danger_create_unsealed("test").unwrap();
    let error = plain.begin_move(&given(1), &Counting::default()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    let header = plain.header().to_bytes();
    let error = Vault::open_moving("test", &header, &given(1), &given(2)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
}

/// The header of a move under way, as version 1 writes it.
#[test]
fn a_golden_move_goes_on() {
    let from = cotter_seal::Given::new(golden_key());
    let to = cotter_seal::Given::new(SealKey::from_bytes([7; 32]));
    let vault = Vault::open_moving("golden", MOVING_HEADER, &from, &to).unwrap();
    assert_eq!((vault.header().source(), vault.header().next_source()), ("given", Some("given")));
    assert!(vault.begin_move(&to, &Dry).unwrap().is_none());
    assert!(vault.reseal_header(&Counting::default()).unwrap().is_some());
}

#[test]
fn a_flipped_or_cut_header_of_a_move_is_damage() {
    let open = |header: &[u8]| {
        let from = cotter_seal::Given::new(golden_key());
        Vault::open_moving("golden", header, &from, &given(7)).unwrap_err().kind()
    };
    for at in 0..MOVING_HEADER.len() {
        let mut flipped = MOVING_HEADER.to_vec();
        flipped[at] ^= 1;
        assert_eq!(open(&flipped), StoreErrorKind::Damaged, "byte {at}");
        assert_eq!(open(&MOVING_HEADER[..at]), StoreErrorKind::Damaged, "cut at {at}");
        // And where the checksum is right all the same, it is what is sealed that is not.
        let sealed = crate::vault::with_checksum(flipped);
        let from = cotter_seal::Given::new(golden_key());
        if at < MOVING_HEADER.len() - 8 {
            assert!(Vault::open_moving("golden", &sealed, &from, &given(7)).is_err(), "byte {at}");
        }
    }
}
