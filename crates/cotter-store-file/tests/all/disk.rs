//! Disks that are full or can't be written to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cotter_core::{BlockingTokenStore as _, Expected, StoreErrorKind, Swap};

use crate::{assert_holds, bytes, key, lineage, open, put, skipped};

/// A small file system in memory, as long as this lives.
struct Mounted(PathBuf);

impl Mounted {
    fn new(at: &Path, options: &str) -> Option<Self> {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at.into())),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr);
                skipped(&format!("no small file system can be mounted: {why}"));
                None
            }
            Err(error) => {
                skipped(&format!("no small file system can be mounted: {error}"));
                None
            }
        }
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", options]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_found_before_anything_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::new(home.path(), "size=256k,mode=700") else { return };
    let folder = home.path().join("store");
    let store = open(&folder);
    let revision = put(&store, "ada", "tokens");
    let filler = home.path().join("filler");
    // Page by page, to the last one.
    let mut file = fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}

    let expected = Expected::Revision(revision);
    let big = bytes(&"x".repeat(10_000));
    for record in [bytes("y"), big] {
        let error = store.save(&key("ada"), &record, expected, revision.next()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Full);
        assert_eq!(fs::read_dir(folder.join("tmp")).unwrap().count(), 0, "nothing is left over");
    }
    let error = store.save(&key("bob"), &bytes("y"), Expected::Absent, revision).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full);

    // It can be opened, read, leased and signed out of all the same.
    let again = open(&folder);
    assert_holds(&again, "ada", "tokens");
    assert!(again.try_lease(&key("ada"), core::time::Duration::ZERO).is_ok());
    assert_eq!(again.list().unwrap(), [key("ada")]);
    fs::remove_file(&filler).unwrap();
    drop(file);
    let swap = store.save(&key("ada"), &bytes("new"), expected, revision.next()).unwrap();
    assert_eq!(swap, Swap::Done);
    assert_holds(&again, "ada", "new");
}

#[test]
fn a_read_only_file_system_is_read() {
    let home = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::new(home.path(), "size=1m,mode=700") else { return };
    let folder = home.path().join("store");
    let store = open(&folder);
    let revision = put(&store, "ada", "tokens");
    mounted.remount("remount,ro");
    let again = open(&folder);
    for store in [&store, &again] {
        assert_holds(store, "ada", "tokens");
        let expected = Expected::Revision(revision);
        for error in [
            store.save(&key("ada"), &bytes("x"), expected, revision.next()).unwrap_err(),
            store.save(&key("bob"), &bytes("x"), Expected::Absent, lineage(2)).unwrap_err(),
            store.remove(&key("ada"), revision).unwrap_err(),
            store.try_lease(&key("ada"), core::time::Duration::ZERO).unwrap_err(),
        ] {
            assert_eq!(error.kind(), StoreErrorKind::ReadOnly, "{error:?}");
        }
        assert_holds(store, "ada", "tokens");
    }
    mounted.remount("remount,rw");
    assert_eq!(store.remove(&key("ada"), revision).unwrap(), Swap::Done);
}

/// Permissions do not bind root, so root runs it as somebody else.
#[test]
fn a_folder_without_write_permission_is_read() {
    use std::os::unix::process::CommandExt as _;
    if !rustix::process::geteuid().is_root() {
        return unwritable_child();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "disk::unwritable_child", "--ignored"])
        .env_remove("TMPDIR")
        .uid(65534)
        .gid(65534)
        .output();
    match output {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
        }
        Err(error) => skipped(&format!("the tests cannot be run as somebody else: {error}")),
    }
}

#[test]
#[ignore = "run by a_folder_without_write_permission_is_read"]
fn unwritable_child() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let revision = put(&store, "ada", "tokens");
    let set = |mode| {
        for folder in [home.path().join("tmp"), home.path().into()] {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o500);
    assert_holds(&open(home.path()), "ada", "tokens");
    let expected = Expected::Revision(revision);
    let saved = store.save(&key("ada"), &bytes("x"), expected, revision.next());
    let created = store.save(&key("bob"), &bytes("x"), Expected::Absent, revision);
    let removed = store.remove(&key("ada"), revision);
    set(0o700);
    assert_eq!(saved.unwrap_err().kind(), StoreErrorKind::ReadOnly);
    assert_eq!(created.unwrap_err().kind(), StoreErrorKind::ReadOnly);
    assert_eq!(removed.unwrap_err().kind(), StoreErrorKind::ReadOnly);
    assert_holds(&store, "ada", "tokens");
}
