//! A database that a released version wrote is still read and written over. The golden file is never
//! changed; a new version adds its own. A line is a file: its name, its length, and its bytes in
//! hexadecimal up to the zeros that it ends with.
#![allow(clippy::unwrap_used, reason = "it is a test")]

mod common;

use std::fs;
use std::path::Path;

use common::{first, key, open, record};
use cotter_core::{BlockingTokenStore as _, Expected, Swap};

const VERSION_1: &str = include_str!("golden/v1.txt");

fn unpack(folder: &Path) {
    for line in VERSION_1.lines() {
        let (name, rest) = line.split_once(' ').unwrap();
        let (length, hex) = rest.split_once(' ').unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let mut content: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        content.resize(length.parse().unwrap(), 0);
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
    }
    #[cfg(unix)]
    for entry in [folder.to_path_buf(), folder.join("database")] {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(entry, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn version_1_is_read_and_written_over() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    unpack(&folder);
    let store = open(&folder).unwrap();
    assert_eq!(store.list().unwrap(), [key("golden")]);
    let loaded = store.load(&key("golden")).unwrap().unwrap();
    assert_eq!(loaded.revision, first(1).next());
    assert_eq!(loaded.record.unwrap(), record("tokens of version 1"));
    let (expected, next) = (Expected::Revision(loaded.revision), loaded.revision.next());
    assert_eq!(store.save(&key("golden"), &record("x"), expected, next).unwrap(), Swap::Done);
    store.close().unwrap();
    let store = open(&folder).unwrap();
    assert_eq!(store.load(&key("golden")).unwrap().unwrap().record.unwrap(), record("x"));
    assert_eq!(store.list().unwrap().len(), 1);
}

/// Run by hand, once, when a version is added.
#[test]
#[ignore = "writes a new golden file"]
fn write_golden_file() {
    assert!(VERSION_1.is_empty(), "it is frozen");
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let store = open(&folder).unwrap();
    let (one, two) = (first(1), first(1).next());
    store.save(&key("golden"), &record("older"), Expected::Absent, one).unwrap();
    let expected = Expected::Revision(one);
    store.save(&key("golden"), &record("tokens of version 1"), expected, two).unwrap();
    store.close().unwrap();
    let mut lines = Vec::new();
    for name in ["header", "marks", "database/conf", "database/db"] {
        let content = fs::read(folder.join(name)).unwrap();
        let end = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let hex: String = content[..end].iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push(format!("{name} {} {hex}\n", content.len()));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1.txt");
    fs::write(path, lines.concat()).unwrap();
}
