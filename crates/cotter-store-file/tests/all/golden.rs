//! A folder that a released version wrote is still read and written over. The golden file is never
//! changed; a new version adds its own. A line is a file: its name, then its bytes in hexadecimal.

use std::fs;
use std::path::Path;

use cotter_core::{BlockingTokenStore as _, Expected, Swap};

use crate::{assert_holds, bytes, key, lineage, open, put};

const VERSION_1: &str = include_str!("../golden/v1.txt");

fn unpack(folder: &Path) {
    for line in VERSION_1.lines() {
        let (name, hex) = line.split_once(' ').unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let content: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        fs::write(folder.join(name), content).unwrap();
    }
}

#[test]
fn version_1_is_read_and_written_over() {
    let home = tempfile::tempdir().unwrap();
    unpack(home.path());
    let store = open(home.path());
    assert_eq!(store.list().unwrap(), [key("golden")]);
    assert_holds(&store, "golden", "tokens of version 1");
    assert_eq!(store.load(&key("golden")).unwrap().unwrap().revision, lineage(1));
    let (expected, next) = (Expected::Revision(lineage(1)), lineage(1).next());
    assert_eq!(store.save(&key("golden"), &bytes("x"), expected, next).unwrap(), Swap::Done);
    // Under the same name: there is one record, and what was there is gone.
    assert_holds(&store, "golden", "x");
    assert_eq!(store.survey().unwrap().len(), 1);
    assert_eq!(store.remove(&key("golden"), next).unwrap(), Swap::Done);
}

/// Run by hand, once, when a version is added.
#[test]
#[ignore = "writes a new golden file"]
fn write_golden_file() {
    assert!(VERSION_1.is_empty(), "it is frozen");
    let home = tempfile::tempdir().unwrap();
    put(&open(home.path()), "golden", "tokens of version 1");
    let mut lines: Vec<String> = Vec::new();
    for entry in fs::read_dir(home.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name == "cotter.header" || name.ends_with(".rec") {
            let content = fs::read(entry.path()).unwrap();
            let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
            lines.push(format!("{name} {hex}\n"));
        }
    }
    lines.sort();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1.txt");
    fs::write(path, lines.concat()).unwrap();
}
