use std::fs;
use std::process::Command;

use cotter_core::{BlockingTokenStore as _, StoreErrorKind};
use cotter_store_file::{Environment, FileStore, Given, KeyFile, KeySource as _, SealKey};

use crate::{assert_holds, key, open, put, seal_key};

#[test]
fn rule_07_a_wrong_key_is_told_from_an_empty_store() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    for _ in 0..2 {
        // Both before there is a record and after.
        let store = open(&folder);
        let error = FileStore::open(&folder, Given::new(seal_key(2))).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
        if store.load(&key("ada")).unwrap().is_none() {
            put(&store, "ada", "tokens");
        }
    }
    assert_holds(&open(&folder), "ada", "tokens");
}

#[test]
fn a_key_file_is_made_once_with_the_store() {
    let home = tempfile::tempdir().unwrap();
    let (folder, path) = (home.path().join("a/store"), home.path().join("b/c/key"));
    put(&FileStore::open(&folder, KeyFile::new(&path)).unwrap(), "ada", "tokens");
    let text = fs::read(&path).unwrap();
    assert_eq!(text.len(), 45, "base64 of 32 bytes and a line feed");

    let again = FileStore::open(&folder, KeyFile::new(&path)).unwrap();
    assert_holds(&again, "ada", "tokens");
    assert_eq!(fs::read(&path).unwrap(), text);
    let header = FileStore::header(&folder).unwrap().unwrap();
    assert_eq!((header.kind(), header.source()), ("file", "key-file"));

    // A second store shares the key and has names of its own.
    FileStore::open(home.path().join("other"), KeyFile::new(&path)).unwrap();
    assert_eq!(fs::read(&path).unwrap(), text);

    fs::remove_file(&path).unwrap();
    let error = FileStore::open(&folder, KeyFile::new(&path)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyMissing);
    assert!(!path.exists(), "no key is made beside sealed records");
    assert_eq!(fs::read_dir(home.path().join("b/c")).unwrap().count(), 0, "no leftovers");
}

#[test]
fn a_key_file_never_lies_in_a_store() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    for inside in ["key", "deep/er/key"] {
        let error = FileStore::open(&folder, KeyFile::new(folder.join(inside))).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Forbidden);
        assert!(!folder.join(inside).exists());
    }
    let outside = home.path().join("key");
    FileStore::open(&folder, KeyFile::new(&outside)).unwrap();
    fs::rename(outside, folder.join("key")).unwrap();
    let error = FileStore::open(&folder, KeyFile::new(folder.join("key"))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Forbidden);
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_may_read_or_that_is_a_link_is_refused() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let home = tempfile::tempdir().unwrap();
    let (folder, path) = (home.path().join("store"), home.path().join("key"));
    FileStore::open(&folder, KeyFile::new(&path)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = FileStore::open(&folder, KeyFile::new(&path)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Forbidden, "{mode:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let link = home.path().join("link");
    symlink(&path, &link).unwrap();
    for folder in [folder, home.path().join("new")] {
        let error = FileStore::open(folder, KeyFile::new(&link)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Forbidden);
    }
    // A link to nowhere is not followed to make a file there.
    let nowhere = home.path().join("nowhere");
    symlink(home.path().join("target"), &nowhere).unwrap();
    let error = FileStore::open(home.path().join("newer"), KeyFile::new(nowhere)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Forbidden);
    assert!(!home.path().join("target").exists());
}

#[test]
fn lines_of_a_key_file_are_keys_the_newest_first() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("key");
    let write = |text: String| {
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        KeyFile::new(&path).keys(&[])
    };
    let (new, old) = (seal_key(2), seal_key(1));
    let text = format!("# 2026\n\n {}\r\n{}", new.to_base64().as_str(), old.to_base64().as_str());
    let keys = write(text).unwrap();
    assert_eq!(keys.ids().collect::<Vec<_>>(), [new.id(), old.id()]);
    for bad in ["", "# nothing", "PLANTED", "AAAA\n", "\u{0}"] {
        let error = write(String::from(bad)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::KeyWrong);
        assert!(!format!("{error:?}").contains("PLANTED"));
    }
}

#[test]
fn rule_07_processes_that_make_one_store_together_use_one_key() {
    let home = tempfile::tempdir().unwrap();
    let (folder, path) = (home.path().join("store"), home.path().join("key"));
    for _ in 0..10 {
        let stores: Vec<_> = std::thread::scope(|scope| {
            let make = || FileStore::open(&folder, KeyFile::new(&path)).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        put(&stores[0], "ada", "tokens");
        for store in stores {
            assert_holds(&store, "ada", "tokens");
        }
        fs::remove_dir_all(&folder).unwrap();
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn nothing_is_made_where_only_an_existing_store_was_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let (folder, path) = (home.path().join("store"), home.path().join("key"));
    assert!(FileStore::open_existing(&folder, KeyFile::new(&path)).unwrap().is_none());
    assert!(FileStore::header(&folder).unwrap().is_none());
    fs::create_dir(&folder).unwrap();
    assert!(FileStore::open_existing(&folder, KeyFile::new(&path)).unwrap().is_none());
    assert!(FileStore::header(&folder).unwrap().is_none());
    assert!(!path.exists());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

/// Variables are a process's own, so each case runs in a child.
#[test]
fn the_environment_holds_keys() {
    let key = |byte| seal_key(byte).to_base64().to_string();
    let (one, two, three) = (key(1), key(2), key(3));
    let both = format!("{two}, {three},");
    type Wanted = Result<&'static [u8], StoreErrorKind>;
    let cases: [(&str, &str, Wanted); 7] = [
        ("", "", Err(StoreErrorKind::KeyMissing)),
        (" ", &two, Err(StoreErrorKind::KeyMissing)),
        (&one, "", Ok(&[1])),
        (&one, &both, Ok(&[1, 2, 3])),
        ("PLANTED", "", Err(StoreErrorKind::KeyWrong)),
        (&one, "PLANTED", Err(StoreErrorKind::KeyWrong)),
        (&one[..40], "", Err(StoreErrorKind::KeyWrong)),
    ];
    for (newest, old, wanted) in cases {
        let wanted = wanted.map(|bytes| {
            bytes.iter().map(|byte| seal_key(*byte).id().to_string()).collect::<Vec<_>>().join(" ")
        });
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "keys::environment_child", "--ignored", "--nocapture"])
            .env("COTTER_TEST_KEY", newest)
            .env("COTTER_TEST_OLD", old)
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let wanted = format!("<{wanted:?}>");
        assert!(printed.contains(&wanted), "{wanted} is not in {printed}");
        assert!(!printed.contains("PLANTED"), "{printed}");
    }
}

#[test]
#[ignore = "run by the_environment_holds_keys"]
fn environment_child() {
    let source = Environment::new("COTTER_TEST_KEY").with_old("COTTER_TEST_OLD");
    let ids = source
        .keys(&[])
        .map(|keys| keys.ids().map(|id| id.to_string()).collect::<Vec<_>>().join(" "));
    if let Err(error) = &ids {
        println!("{error:?} {:?}", error.hint());
    }
    println!("<{:?}>", ids.map_err(|error| error.kind()));
}

#[test]
fn rule_07_a_source_without_a_key_makes_no_store() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let source = Environment::new("COTTER_TEST_VARIABLE_THAT_NOBODY_SETS");
    let error = FileStore::open(&folder, source).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::KeyMissing);
    assert!(FileStore::header(&folder).unwrap().is_none());
    FileStore::open(&folder, Given::new(SealKey::from_bytes([5; 32]))).unwrap();
}
