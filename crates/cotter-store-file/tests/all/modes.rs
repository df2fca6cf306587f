use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use cotter_core::{BlockingTokenStore as _, Expected, StoreErrorKind};
use cotter_store_file::{FileStore, Given, KeyFile};

use crate::{
    assert_holds, bytes, file_ending, key, lineage, open, put, refused, seal_key, skipped,
};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn everything_in(folder: &Path, visit: &mut impl FnMut(&Path)) {
    visit(folder);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { everything_in(&path, visit) } else { visit(&path) }
    }
}

/// The umask belongs to the process, so this runs in a child.
#[test]
fn under_umask_0_everything_is_the_owners_alone() {
    let home = tempfile::tempdir().unwrap();
    let script = "umask 0; exec \"$0\" --exact modes::umask_child --ignored";
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("COTTER_TEST_HOME", home.path())
        .status()
        .unwrap();
    assert!(status.success());
    let mut seen = 0;
    everything_in(&home.path().join("made"), &mut |path| {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(path), wanted, "{}", path.display());
        seen += 1;
    });
    assert_eq!(seen, 13, "folders, key, header, locks, records");
}

#[test]
#[ignore = "run by under_umask_0_everything_is_the_owners_alone"]
fn umask_child() {
    let home = std::env::var("COTTER_TEST_HOME").unwrap();
    let made = Path::new(&home).join("made");
    let probe = Path::new(&home).join("probe");
    fs::write(&probe, "").unwrap();
    assert_eq!(mode(&probe), 0o666, "the umask is not 0");
    let source = KeyFile::new(made.join("key/file"));
    let store = FileStore::open(made.join("state/store"), source).unwrap();
    put(&store, "ada", "tokens");
    store.try_lease(&key("ada"), core::time::Duration::ZERO).unwrap();
    store.save(&key("bob"), &bytes("x"), Expected::Absent, lineage(1)).unwrap();
}

#[test]
fn what_others_may_only_read_is_closed_to_them() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    put(&open(&folder), "ada", "tokens");
    let record = file_ending(&folder, ".rec");
    let header = folder.join("cotter.header");
    set(&folder, 0o755);
    set(&record, 0o644);
    set(&header, 0o644);
    assert_holds(&open(&folder), "ada", "tokens");
    assert_eq!((mode(&folder), mode(&record), mode(&header)), (0o700, 0o600, 0o600));
}

#[test]
fn what_others_may_change_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let store = open(&folder);
    let revision = put(&store, "ada", "tokens");
    store.try_lease(&key("ada"), core::time::Duration::ZERO).unwrap();
    let refuses = |path: &Path, refused: &dyn Fn() -> StoreErrorKind| {
        let before = mode(path);
        for loose in [0o620, 0o602] {
            set(path, before | loose);
            assert_eq!(refused(), StoreErrorKind::Forbidden, "{}", path.display());
            assert_eq!(mode(path), before | loose, "it is left as it is");
        }
        set(path, before);
    };
    let opened = || FileStore::open(&folder, Given::new(seal_key(1))).unwrap_err().kind();
    let saved = || {
        let expected = Expected::Revision(revision);
        store.save(&key("ada"), &bytes("x"), expected, revision).unwrap_err().kind()
    };
    refuses(&folder, &opened);
    refuses(&folder.join("cotter.header"), &opened);
    refuses(&file_ending(&folder, ".rec"), &|| refused(store.load(&key("ada"))));
    refuses(&file_ending(&folder, ".rec"), &saved);
    refuses(&file_ending(&folder, ".cas"), &saved);
    refuses(&file_ending(&folder, ".lease"), &|| {
        store.try_lease(&key("ada"), core::time::Duration::ZERO).unwrap_err().kind()
    });
    assert_holds(&store, "ada", "tokens");
}

#[test]
fn links_and_what_is_no_file_are_refused_in_every_place() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let store = open(&folder);
    let revision = put(&store, "ada", "tokens");
    store.try_lease(&key("ada"), core::time::Duration::ZERO).unwrap();
    let aside = home.path().join("aside");
    let cases: [(&Path, &dyn Fn() -> StoreErrorKind); 5] = [
        (&folder, &|| FileStore::open(&folder, Given::new(seal_key(1))).unwrap_err().kind()),
        (&folder.join("cotter.header"), &|| {
            FileStore::open(&folder, Given::new(seal_key(1))).unwrap_err().kind()
        }),
        (&file_ending(&folder, ".rec"), &|| refused(store.load(&key("ada")))),
        (&file_ending(&folder, ".cas"), &|| {
            let expected = Expected::Revision(revision);
            store.save(&key("ada"), &bytes("x"), expected, revision).unwrap_err().kind()
        }),
        (&file_ending(&folder, ".lease"), &|| {
            store.try_lease(&key("ada"), core::time::Duration::ZERO).unwrap_err().kind()
        }),
    ];
    for (path, refused) in cases {
        fs::rename(path, &aside).unwrap();
        symlink(&aside, path).unwrap();
        assert_eq!(refused(), StoreErrorKind::Forbidden, "a link at {}", path.display());
        fs::remove_file(path).unwrap();
        let made = Command::new("mkfifo").args(["-m", "600"]).arg(path).status().unwrap();
        assert!(made.success());
        assert_eq!(refused(), StoreErrorKind::Forbidden, "a pipe at {}", path.display());
        fs::remove_file(path).unwrap();
        fs::rename(&aside, path).unwrap();
    }
    assert_holds(&store, "ada", "tokens");
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let store = open(&folder);
    put(&store, "ada", "tokens");
    let record = file_ending(&folder, ".rec");
    if let Err(error) = chown(&record, Some(12345), None) {
        skipped(&format!("files cannot be given to another user: {error}"));
        return;
    }
    assert_eq!(refused(store.load(&key("ada"))), StoreErrorKind::Forbidden);
    chown(&record, Some(0), None).unwrap();
    for path in [folder.clone(), folder.join("cotter.header"), folder.join("tmp")] {
        chown(&path, Some(12345), None).unwrap();
        let opened = FileStore::open(&folder, Given::new(seal_key(1)));
        let error = match opened {
            Err(error) => error,
            // The folder for temporary files is looked at by who needs it.
            Ok(_) if path.ends_with("tmp") => {
                chown(&path, Some(0), None).unwrap();
                continue;
            }
            Ok(_) => panic!("{} is another user's", path.display()),
        };
        assert_eq!(error.kind(), StoreErrorKind::Forbidden, "{}", path.display());
        chown(&path, Some(0), None).unwrap();
    }
    assert_holds(&store, "ada", "tokens");
}
