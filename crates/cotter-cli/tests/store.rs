//! Which store is used and with which key; and what happens when one of them is not as it was.

#![allow(clippy::unwrap_used, reason = "helpers are not seen as tests")]

mod common;

use std::path::PathBuf;

use common::{ADA, Home, code, part};
use serde_json::json;

/// A home that says nothing about stores and keys.
fn plain() -> Home {
    let mut home = Home::new();
    home.unset("COTTER_STORE").unset("COTTER_STORE_KEY");
    // No daemon to talk to.
    home.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
    home
}

fn key_file(home: &Home) -> PathBuf {
    home.config_dir().join("store.key")
}

fn record(home: &Home) -> PathBuf {
    let records = std::fs::read_dir(home.store_dir()).unwrap().map(|entry| entry.unwrap().path());
    records.into_iter().find(|path| path.extension().is_some_and(|end| end == "rec")).unwrap()
}

#[test]
#[cfg(unix)]
fn auto_is_the_file_store_with_a_key_file_elsewhere_where_there_is_no_keyring() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut home = plain();
    assert_eq!(home.json(&["status"])["store"]["kind"], json!(null));
    let said = home.tidy(&home.feed(&["import"], home.server.token_set(ADA).as_bytes()).ok());
    assert!(said.contains("file, HOME/data/cotter, key from key-file"), "{said}");
    assert!(said.contains("HOME/config/cotter/store.key"), "{said}");
    let mode = key_file(&home).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(home.json(&["status"])["store"]["key_source"], "key-file");
    assert!(home.tidy(&home.ok(&["status"])).contains("HOME/config/cotter/store.key"));
    assert!(home.tidy(&home.ok(&["doctor"])).contains("HOME/config/cotter/store.key"));
    assert_eq!(home.run(&["token"]).code, 0);
    // What the store was made with holds, whatever else is there later.
    home.set("COTTER_STORE_KEY", common::KEY).set("COTTER_STORE", "file");
    assert_eq!(home.run(&["token"]).code, 0);
    assert_eq!(home.json(&["status"])["store"]["key_source"], "key-file");
    home.set("COTTER_STORE", "sled");
    assert_eq!(home.fails(&["token"]), code(5, "store"));
}

#[test]
fn a_lost_key_file_is_a_missing_key_and_no_other_is_made() {
    let home = plain();
    home.sign_in();
    std::fs::remove_file(key_file(&home)).unwrap();
    for command in [&["token"] as &[&str], &["status"], &["sessions"], &["logout"], &["reseal"]] {
        assert_eq!(home.fails(command), code(5, "key_missing"), "{command:?}");
    }
    let set = home.server.token_set(ADA);
    let ran = home.feed(&["--format", "json", "import"], set.as_bytes());
    assert_eq!(ran.failure(), code(5, "key_missing"));
    assert!(!key_file(&home).exists());
    assert_eq!(home.run(&["doctor"]).code, 5);
}

#[test]
fn a_key_is_never_made_beside_the_records() {
    let mut home = plain();
    let beside = home.config_dir();
    home.set("COTTER_STORE_PATH", beside.to_str().unwrap());
    let set = home.server.token_set(ADA);
    let ran = home.feed(&["--format", "json", "import"], set.as_bytes());
    assert_eq!(ran.failure(), code(5, "store"));
    assert!(!key_file(&home).exists());
}

#[test]
fn a_damaged_record_is_no_absence_and_a_sign_in_or_a_sign_out_ends_it() {
    let home = Home::new();
    for end in ["import", "logout"] {
        home.sign_in();
        let path = record(&home);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        for command in [&["token"] as &[&str], &["status"], &["exec", "true"]] {
            assert_eq!(home.fails(command), code(5, "damaged"), "{command:?}");
        }
        let sessions = home.json(&["sessions"]);
        assert_eq!(sessions[0]["state"], "unreadable", "{sessions}");
        assert!(home.ok(&["sessions"]).starts_with("?                    unreadable ("));
        let ran = home.run(&["doctor"]);
        assert!(ran.code == 5 && ran.out.contains("PROBLEM  session"), "{ran:?}");
        assert_eq!(home.server.counters().refresh_requests, 0);
        if end == "import" {
            let set = home.sign_in();
            assert_eq!(home.ok(&["token"]).trim(), part(&set, "access_token"));
        } else {
            home.ok(&["logout"]);
            assert_eq!(home.fails(&["token"]), code(3, "sign_in_required"));
        }
    }
}

#[test]
fn who_was_signed_out_is_said_also_where_one_record_cannot_be_read() {
    let home = Home::new();
    home.sign_in();
    let path = record(&home);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let set = home.server.token_set("grace@example.test");
    home.feed(&["--session", "work", "import"], set.as_bytes()).ok();
    let ran = home.run(&["--format", "json", "logout", "--all"]);
    assert_eq!((ran.code, ran.out.as_str()), (5, "{\"signed_out\":[\"work\"]}\n"), "{ran:?}");
    assert!(ran.err.contains("\"code\":\"damaged\""), "{ran:?}");
    assert_eq!(home.fails(&["logout", "--all"]), code(5, "damaged"), "nobody else was");
}

#[test]
fn an_older_key_that_is_none_is_found_also_without_a_newer_one() {
    let mut home = plain();
    home.sign_in();
    home.set("COTTER_STORE_KEY_OLD", "PLANTED");
    assert_eq!(home.fails(&["token"]), code(2, "usage"));
    home.set("COTTER_STORE_KEY_OLD", common::OTHER_KEY);
    assert_eq!(home.run(&["token"]).code, 0);
}

#[test]
fn with_a_keyring_as_well_who_only_reads_leaves_nothing_behind() {
    let mut home = plain();
    for store in ["keyring", "file"] {
        home.set("COTTER_STORE", store);
        for command in [
            &["status"] as &[&str],
            &["token"],
            &["token", "--refresh"],
            &["sessions"],
            &["logout"],
            &["doctor"],
            &["reseal"],
            &["whoami"],
            &["exec", "true"],
        ] {
            home.run(command);
            let made: Vec<_> = std::fs::read_dir(home.dir.path()).unwrap().collect();
            assert!(made.is_empty(), "{store} {command:?}: {made:?}");
        }
    }
}

#[test]
fn doctor_makes_no_lock_where_there_is_nothing_to_lock() {
    let home = Home::new();
    home.sign_in();
    let files = |home: &Home| std::fs::read_dir(home.store_dir()).unwrap().count();
    let before = files(&home);
    home.ok(&["--session", "work", "doctor"]);
    assert_eq!(files(&home), before);
}

#[test]
fn a_lost_header_is_damage_and_not_nobody() {
    for (store, header) in [("file", "cotter.header"), ("sled", "header")] {
        let home = Home::on(store);
        home.sign_in();
        std::fs::remove_file(home.store_dir().join(header)).unwrap();
        for command in [&["token"] as &[&str], &["status"], &["sessions"], &["logout"]] {
            assert_eq!(home.fails(command), code(5, "damaged"), "{store} {command:?}");
        }
    }
}

/// With `ulimit -f 0` no file takes a byte, as on a full disk.
#[test]
#[cfg(unix)]
fn a_store_that_takes_nothing_is_found_out_before_the_refresh_token_is_spent() {
    let home = Home::new();
    home.sign_in_expired();
    let cotter = env!("CARGO_BIN_EXE_cotter");
    let script = format!("trap '' XFSZ; ulimit -f 0; exec {cotter} --format json token");
    let out = home.program("sh").args(["-c", &script]).output().unwrap();
    let (exit, _) = common::Ran::from(out).failure();
    assert_eq!(exit, 5);
    assert_eq!(home.server.counters().refresh_requests, 0);
    home.ok(&["token"]);
}

#[test]
fn the_folder_is_named_from_wherever_one_stands() {
    let mut home = Home::new();
    home.set("COTTER_STORE_PATH", "sessions");
    let set = home.server.token_set(ADA);
    std::fs::write(home.dir.path().join("set"), set).unwrap();
    let out = home.command(&["import", "set"]).current_dir(home.dir.path()).output().unwrap();
    common::Ran::from(out).ok();
    let path = home.dir.path().join("sessions");
    home.set("COTTER_STORE_PATH", path.to_str().unwrap());
    assert_eq!(home.json(&["status"])["store"]["path"], path.to_str().unwrap());
    assert_eq!(home.run(&["token"]).code, 0);
}
