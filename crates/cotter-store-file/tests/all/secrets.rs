use std::fs;
use std::path::Path;

use cotter_core::{BlockingTokenStore as _, Expected};
use cotter_store_file::KeyFile;

use crate::{FileStore, bytes, key, lineage};

const PLANTED: [&str; 6] = [
    "PLANTED-TOKEN",
    "PLANTED-SUBJECT",
    "PLANTED-SESSION",
    "PLANTED-CLIENT",
    "auth.example",
    "ada@example.test",
];

fn forms(secret: &str) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let engines = [
        base64::engine::general_purpose::STANDARD_NO_PAD,
        base64::engine::general_purpose::URL_SAFE_NO_PAD,
    ];
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms =
        vec![secret.as_bytes().to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    for engine in engines {
        // At each of the three offsets; the ends depend on the neighbours.
        for shift in 0..3 {
            let text = engine.encode([&b"\0\0\0"[..shift], secret.as_bytes()].concat());
            forms.push(text.as_bytes()[4..text.len() - 2].to_vec());
        }
    }
    forms
}

fn search(folder: &Path, needle: &[u8]) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().as_encoded_bytes();
        let content = if path.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
        for haystack in [name, &content] {
            let found = haystack.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{} tells {}", path.display(), String::from_utf8_lossy(needle));
        }
        if path.is_dir() {
            search(&path, needle);
        }
    }
}

#[test]
fn no_file_and_no_name_tells_a_token_a_subject_a_session_or_an_api_key() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let store = FileStore::open(&folder, KeyFile::new(home.path().join("key"))).unwrap();
    let record = bytes(r#"{"refresh":"PLANTED-TOKEN","sub":"PLANTED-SUBJECT"}"#);
    let session = key("PLANTED-SESSION ada@example.test");
    let revision = lineage(1);
    store.save(&session, &record, Expected::Absent, revision).unwrap();
    store.try_lease(&session, core::time::Duration::ZERO).unwrap();
    store.save(&session, &record, Expected::Revision(revision), revision.next()).unwrap();
    // What a writer that crashed leaves behind.
    let rec = crate::file_ending(&folder, ".rec");
    fs::copy(&rec, folder.join("tmp").join(rec.file_name().unwrap())).unwrap();
    for secret in PLANTED {
        for form in forms(secret) {
            search(&folder, &form);
        }
    }
    // The search finds what is there to find.
    fs::write(folder.join("tmp/x"), "..PLANTED-TOKEN..").unwrap();
    let found = std::panic::catch_unwind(|| search(&folder, b"PLANTED-TOKEN"));
    assert!(found.is_err());
}

#[test]
fn nothing_that_is_printed_tells_a_key_or_a_record() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("key");
    let store = FileStore::open(home.path().join("store"), KeyFile::new(&path)).unwrap();
    crate::put(&store, "PLANTED-SESSION", "PLANTED-TOKEN");
    let text = fs::read_to_string(&path).unwrap();
    let survey = store.survey().unwrap();
    let loaded = store.load(&key("PLANTED-SESSION"));
    let printed = format!("{store:?} {store:#?} {survey:?} {loaded:?} {:?}", KeyFile::new(path));
    assert!(!printed.contains("PLANTED") && !printed.contains(text.trim()), "{printed}");
}
