//! A store's files, as anybody may have left them: nothing panics, and nothing opens but what was sealed.
#![no_main]

use core::fmt::Debug;

use cotter_core::entropy::EntropyUnavailable;
use cotter_core::{Entropy, Lineage, Revision, SecretBytes, StoreKey};
use cotter_seal::{Given, Header, SealKey, Vault};
use libfuzzer_sys::fuzz_target;

#[derive(Debug)]
struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
        bytes.fill(7);
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let source = Given::new(SealKey::from_bytes([42; 32]));
    let vault = Vault::create("file", &source, &Sevens).unwrap();
    let key = StoreKey::new("https://auth.example", "client", "ada").unwrap();
    let record = SecretBytes::from(b"tokens".as_slice());
    let first = Revision::first(Lineage::from_bytes([1; 16]));
    let sealed = vault.seal(&key, &record, first, &Sevens).unwrap();

    if let Ok(loaded) = vault.load(&key, bytes) {
        assert_eq!(loaded.record.is_ok(), bytes == sealed);
    }
    if let Ok(header) = Header::from_bytes(bytes) {
        assert_eq!(Header::from_bytes(&header.to_bytes()).unwrap().kind(), header.kind());
    }
    let _ = Vault::open("file", bytes, &source);

    // The same with one place of a good record changed: the checksum alone must not save it.
    if let [place, change, ..] = *bytes {
        let mut changed = sealed.clone();
        let place = usize::from(place) % changed.len();
        changed[place] ^= change;
        let loaded = vault.load(&key, &changed);
        assert_eq!(loaded.is_ok_and(|loaded| loaded.record.is_ok()), change == 0);
    }
});
