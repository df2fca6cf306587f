//! Everything that a released version stored still opens. A file here is never changed; a new
//! version adds its own.

use cotter_core::SecretBytes;
use cotter_seal::{Given, SealKey, Vault};

use crate::{Counting, key, record, revision};

const HEADER: &[u8] = include_bytes!("../golden/v1-header.bin");
const RECORD: &[u8] = include_bytes!("../golden/v1-record.bin");
const NAME: &str = include_str!("../golden/v1-name.txt");
const PLAIN_HEADER: &[u8] = include_bytes!("../golden/v1-plain-header.bin");
const PLAIN_RECORD: &[u8] = include_bytes!("../golden/v1-plain-record.bin");
const PLAIN_NAME: &str = include_str!("../golden/v1-plain-name.txt");
pub(crate) const MOVING_HEADER: &[u8] = include_bytes!("../golden/v1-moving-header.bin");

pub(crate) fn golden_key() -> SealKey {
    SealKey::from_bytes(core::array::from_fn(|n| n as u8))
}

#[test]
fn version_1_opens() {
    let vault = Vault::open("golden", HEADER, &Given::new(golden_key())).unwrap();
    assert_eq!(vault.name(&key("golden")).to_hex(), NAME.trim());
    let loaded = vault.load(&key("golden"), RECORD).unwrap();
    assert_eq!(loaded.revision, revision(77));
    assert_eq!(loaded.record.unwrap(), record());
}

#[test]
fn version_1_unsealed_opens() {
    let vault = Vault::danger_open_unsealed("golden", PLAIN_HEADER).unwrap();
    assert_eq!(vault.name(&key("golden")).to_hex(), PLAIN_NAME.trim());
    let loaded = vault.load(&key("golden"), PLAIN_RECORD).unwrap();
    assert_eq!(loaded.revision, revision(77));
    assert_eq!(loaded.record.unwrap(), record());
}

/// Written the same way today, byte for byte, as long as the newest version is 1.
#[test]
fn version_1_is_still_what_is_written() {
    let (sealed, plain) = write();
    assert_eq!(sealed, [HEADER, RECORD, NAME.trim().as_bytes()]);
    assert_eq!(plain, [PLAIN_HEADER, PLAIN_RECORD, PLAIN_NAME.trim().as_bytes()]);
    assert_eq!(write_moving(), MOVING_HEADER);
}

/// The header of a store on its way to another key source.
fn write_moving() -> Vec<u8> {
    let vault = Vault::open("golden", HEADER, &Given::new(golden_key())).unwrap();
    let to = Given::new(SealKey::from_bytes([7; 32]));
    let begun = vault.begin_move(&to, &Counting::default()).unwrap().unwrap();
    begun.header().to_bytes()
}

fn write() -> ([Vec<u8>; 3], [Vec<u8>; 3]) {
    let entropy = Counting::default();
    let sealed = Vault::create("golden", &Given::new(golden_key()), &entropy).unwrap();
    let plain = Vault::danger_create_unsealed("golden").unwrap();
    let files = |vault: Vault| {
        let content = SecretBytes::from(record().expose());
        let stored = vault.seal(&key("golden"), &content, revision(77), &entropy).unwrap();
        [vault.header().to_bytes(), stored, vault.name(&key("golden")).to_hex().into_bytes()]
    };
    (files(sealed), files(plain))
}

/// Run by hand, once, when a version is added.
#[test]
#[ignore = "writes new golden files"]
fn write_golden_files() {
    let (sealed, plain) = write();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/");
    put(format!("{folder}v1-moving-header.bin"), write_moving());
    for (prefix, files) in [("v1-", sealed), ("v1-plain-", plain)] {
        for (name, bytes) in ["header.bin", "record.bin", "name.txt"].iter().zip(files) {
            put(format!("{folder}{prefix}{name}"), bytes);
        }
    }
}

fn put(path: String, bytes: Vec<u8>) {
    match std::fs::read(&path) {
        Ok(old) if !old.is_empty() => assert_eq!(old, bytes, "{path} is frozen"),
        _ => std::fs::write(path, bytes).unwrap(),
    }
}
