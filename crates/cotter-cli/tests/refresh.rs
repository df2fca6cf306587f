//! Refreshes, by real processes: many at once, cut off, refused, offline, signed out meanwhile.

#![allow(clippy::unwrap_used, reason = "helpers are not seen as tests")]

#[macro_use]
mod common;

use core::time::Duration;
use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::time::Instant;

use common::{ADA, Home, Ran, code, part};
use cotter_emulator::{Config, Fault, Rotation};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

fn end(child: Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

on_every_store! {
    fifty_at_once_make_one_exchange_and_get_one_answer
    forced_refreshes_at_once_never_overlap_nor_reuse
    a_rotation_lost_under_strict_is_uncertain_first_and_then_said_to_be_lost
    a_rotation_lost_within_a_declared_grace_is_got_back
    a_refusal_is_exit_3_and_a_usable_token_is_served_all_the_same
    a_server_that_fails_is_exit_4_and_a_stale_token_is_served
    a_server_that_asks_for_time_is_exit_4_and_nothing_is_spent
    an_answer_that_makes_no_sense_is_exit_7
    another_users_token_is_never_handed_out
    a_refresh_token_that_is_not_in_the_answer_is_kept
    an_offline_machine_is_told_so_within_five_seconds
    what_was_never_sent_keeps_nobody_waiting_after_a_lost_answer
    many_shells_on_an_offline_machine_are_told_so_as_soon_as_one
    who_signs_out_during_somebodys_refresh_is_signed_out
    who_signs_in_during_somebodys_refresh_wins
    who_may_not_wait_for_the_lock_is_told_so
    a_kill_between_the_answer_and_the_save_is_found_and_said
    a_token_that_is_too_short_is_served_where_no_longer_one_can_be_had
    what_doctor_finds_is_an_error_object_as_well
    doctor_tells_a_busy_server_and_a_strangers_page_from_a_wrong_address
    a_refresh_under_way_is_not_said_to_be_cut_off
}

fn fifty_at_once_make_one_exchange_and_get_one_answer(home: Home) {
    home.sign_in_expired();
    let children: Vec<Child> = (0..50).map(|_| home.spawn(&["token"])).collect();
    let answers: BTreeSet<String> = children.into_iter().map(|child| end(child).ok()).collect();
    assert_eq!(answers.len(), 1);
    let counters = home.server.counters();
    assert_eq!((counters.exchanges, counters.reuses), (1, 0));
    assert_eq!(home.json(&["status"])["state"], "fresh");
}

fn forced_refreshes_at_once_never_overlap_nor_reuse(home: Home) {
    home.sign_in();
    // Held for a moment each, so that the server sees two at once if there ever are two.
    home.server.configure(|config| config.hold = Duration::from_millis(20));
    let children: Vec<Child> = (0..20).map(|_| home.spawn(&["token", "--force-refresh"])).collect();
    let answers: BTreeSet<String> = children.into_iter().map(|child| end(child).ok()).collect();
    let counters = home.server.counters();
    assert_eq!((counters.reuses, counters.max_in_flight), (0, 1));
    let last = home.ok(&["token"]);
    assert!(answers.contains(&last));
    let refresh = home.ok(&["token", "--refresh"]);
    assert_eq!(Some(refresh.trim()), home.server.current_refresh_token(ADA).as_deref());
}

fn a_rotation_lost_under_strict_is_uncertain_first_and_then_said_to_be_lost(mut home: Home) {
    home.set("COTTER_TIMEOUT", "1s");
    home.sign_in_expired();
    home.server.fault(Fault::new("drop").after_commit());
    assert_eq!(home.fails(&["token"]), code(4, "uncertain"));
    let status = home.json(&["status"]);
    assert_eq!((&status["signed_in"], &status["state"]), (&json!(true), &json!("expired")));
    assert_eq!(status["pending_rotation"]["revision"], status["revision"]);
    assert!(status["pending_rotation"]["since"].as_str().unwrap().ends_with('Z'), "{status}");
    let doctor = home.json(&["doctor"]);
    assert_eq!(doctor["pending_rotation"], status["pending_rotation"]);
    assert!(home.ok(&["doctor"]).contains("note     rotation"));
    assert_eq!(home.fails(&["token"]), code(3, "rotation_lost"));
    assert_eq!(home.fails(&["token"]), code(3, "rotation_lost"));
    assert_eq!(home.fails(&["exec", "true"]), code(3, "rotation_lost"));
    assert_eq!(home.server.counters().reuses, 1, "asked once, remembered then");
    assert_eq!(home.json(&["status"])["state"], "rejected");
    home.sign_in();
    assert_eq!(home.run(&["token"]).code, 0);
}

fn a_rotation_lost_within_a_declared_grace_is_got_back(home: Home) {
    let grace = Duration::from_secs(30);
    let config = Config::default().with_rotation(Rotation::Grace(grace));
    let mut home = Home::with(home.store, config);
    home.set("COTTER_ROTATION", "grace=30s");
    home.sign_in_expired();
    home.server.fault(Fault::new("drop").after_commit());
    home.ok(&["token"]);
    let counters = home.server.counters();
    assert_eq!((counters.exchanges, counters.grace_replays, counters.reuses), (1, 1, 0));
}

fn a_refusal_is_exit_3_and_a_usable_token_is_served_all_the_same(home: Home) {
    home.sign_in_expired();
    home.server.fault(Fault::new("reject"));
    assert_eq!(home.fails(&["token"]), code(3, "refused"));
    assert_eq!(home.fails(&["token"]), code(3, "refused"));
    assert_eq!(home.server.counters().refresh_requests, 1);
    let status = home.json(&["status"]);
    assert_eq!((&status["signed_in"], &status["state"]), (&json!(false), &json!("rejected")));

    let set = home.sign_in();
    home.server.fault(Fault::new("reject"));
    assert_eq!(home.fails(&["token", "--force-refresh"]), code(3, "refused"));
    assert_eq!(home.ok(&["token"]).trim(), part(&set, "access_token"));
    let status = home.json(&["status"]);
    assert_eq!((&status["signed_in"], &status["state"]), (&json!(true), &json!("rejected")));
}

fn a_server_that_fails_is_exit_4_and_a_stale_token_is_served(home: Home) {
    let set = home.import(&home.short(20));
    home.server.fault(Fault::new("500"));
    std::thread::sleep(Duration::from_secs(11));
    assert_eq!(home.json(&["status"])["state"], "stale");
    assert_eq!(home.ok(&["token"]).trim(), part(&set, "access_token"));
    assert_eq!(home.server.counters().refresh_requests, 1);
    home.sign_in_expired();
    home.server.fault(Fault::new("500"));
    assert_eq!(home.fails(&["token"]), code(4, "uncertain"));
}

fn an_answer_that_makes_no_sense_is_exit_7(home: Home) {
    home.sign_in_expired();
    home.server.fault(Fault::new("no-access-token"));
    assert_eq!(home.fails(&["token"]), code(7, "protocol"));
    home.sign_in_expired();
    home.server.fault(Fault::new("no-id-token"));
    assert_eq!(home.fails(&["token", "--id"]), code(7, "protocol"));
}

fn an_offline_machine_is_told_so_within_five_seconds(mut home: Home) {
    let set = home.expired();
    for address in
        ["http://127.0.0.1:1/api/v0", "https://cotter.invalid/api/v0", "https://192.0.2.1/api/v0"]
    {
        home.set("COTTER_BASE_URL", address);
        home.import(&set);
        let begun = Instant::now();
        assert_eq!(home.fails(&["token"]), code(4, "unavailable"), "{address}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{address}: {:?}", begun.elapsed());
        assert_eq!(home.json(&["status"])["pending_rotation"], json!(null), "it was not spent");
        let usable = home.import(&home.issued(3590 - 3));
        assert_eq!(home.ok(&["token"]).trim(), part(&usable, "access_token"), "{address}");
        let begun = Instant::now();
        let ran = home.run(&["doctor"]);
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.out.contains("PROBLEM  server    "), "{ran:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{address}: {:?}", begun.elapsed());
    }
}

/// An address that nobody answers at, as on a machine whose packets go nowhere; while it is kept.
fn silent() -> (String, Vec<TcpStream>, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let full = |_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let waiting = (0..10_000).map_while(full).collect();
    (format!("http://{address}/api/v0"), waiting, listener)
}

fn many_shells_on_an_offline_machine_are_told_so_as_soon_as_one(mut home: Home) {
    let set = home.expired();
    let (silent, _waiting, _listener) = silent();
    for address in [&*silent, "http://127.0.0.1:1/api/v0", "https://cotter.invalid/api/v0"] {
        home.set("COTTER_BASE_URL", address);
        home.import(&set);
        let begun = Instant::now();
        let shells: Vec<Child> =
            (0..20).map(|_| home.spawn(&["--format", "json", "token"])).collect();
        for shell in shells {
            assert_eq!(end(shell).failure(), code(4, "unavailable"), "{address}");
        }
        // Five seconds, and what twenty processes at once cost a busy machine beside that.
        assert!(begun.elapsed() < Duration::from_secs(10), "{address}: {:?}", begun.elapsed());
        assert_eq!(home.json(&["status"])["pending_rotation"], json!(null), "{address}");
    }
    // And once it is online again, the next one is served.
    let online = home.server.base_url().to_owned();
    home.set("COTTER_BASE_URL", &online);
    home.import(&set);
    home.ok(&["token"]);
}

/// Passes on to the server what comes to `listener`, for as long as the test's process lives.
fn pass_on(listener: TcpListener, server: &str) {
    let server = server.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let far = TcpStream::connect(&server).unwrap();
            let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let (mut from, mut to) = (far, near);
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
    });
}

fn what_was_never_sent_keeps_nobody_waiting_after_a_lost_answer(mut home: Home) {
    home.set("COTTER_TIMEOUT", "3s");
    let way = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = way.local_addr().unwrap();
    home.set("COTTER_BASE_URL", &format!("http://{address}/api/v0"));
    home.sign_in_expired();
    // The request goes out, and the way breaks.
    let losing = std::thread::spawn(move || {
        let (mut near, _) = way.accept().unwrap();
        std::io::Read::read(&mut near, &mut [0; 4096]).unwrap()
    });
    assert_eq!(home.fails(&["token"]), code(4, "uncertain"));
    assert!(losing.join().unwrap() > 0);
    let lost = Instant::now();
    let pending = home.json(&["status"])["pending_rotation"]["since"].clone();
    let quick = |home: &Home, said: &str| {
        let begun = Instant::now();
        assert_eq!(home.fails(&["token"]), code(4, said));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    };
    quick(&home, "uncertain");
    std::thread::sleep(Duration::from_secs(3).saturating_sub(lost.elapsed()));
    // Offline for a while: that changes nothing.
    for _ in 0..4 {
        quick(&home, "unavailable");
        assert_eq!(home.json(&["status"])["pending_rotation"]["since"], pending);
    }
    // Online again, and the token was not spent.
    pass_on(TcpListener::bind(address).unwrap(), home.server.base_url());
    home.ok(&["token"]);
    assert_eq!(home.json(&["status"])["pending_rotation"], json!(null));
}

fn who_signs_out_during_somebodys_refresh_is_signed_out(home: Home) {
    home.sign_in_expired();
    home.server.pause();
    let refreshing = home.spawn(&["--format", "json", "token"]);
    assert!(home.server.wait_for_requests(1, SOON));
    if home.store == "sled" {
        // sled's own lock is the lease: who refreshes has the database to the end.
        let leaving = home.spawn(&["logout"]);
        std::thread::sleep(Duration::from_millis(300));
        home.server.resume();
        end(refreshing).ok();
        assert_eq!(end(leaving).ok(), "signed out: default\n");
    } else {
        let doctor = home.json(&["doctor"]);
        assert_eq!(doctor["lock_holder"]["pid"], json!(refreshing.id()), "{doctor}");
        let begun = Instant::now();
        assert_eq!(home.ok(&["logout"]), "signed out: default\n");
        assert!(begun.elapsed() < Duration::from_secs(2), "it waits for nobody");
        home.server.resume();
        assert_eq!(end(refreshing).failure(), code(3, "sign_in_required"));
    }
    assert_eq!(home.json(&["status"])["state"], "signed_out");
    assert_eq!(home.fails(&["token"]), code(3, "sign_in_required"));
}

fn who_signs_in_during_somebodys_refresh_wins(home: Home) {
    home.sign_in_expired();
    home.server.pause();
    let refreshing = home.spawn(&["token"]);
    assert!(home.server.wait_for_requests(1, SOON));
    let set = if home.store == "sled" {
        let set = home.server.token_set(ADA);
        let arriving = home.dir.path().join("set");
        std::fs::write(&arriving, &set).unwrap();
        let arriving = home.spawn(&["import", arriving.to_str().unwrap()]);
        std::thread::sleep(Duration::from_millis(300));
        home.server.resume();
        end(refreshing).ok();
        end(arriving).ok();
        serde_json::from_str(&set).unwrap()
    } else {
        let set = home.sign_in();
        home.server.resume();
        assert_eq!(end(refreshing).ok().trim(), part(&set, "access_token"));
        set
    };
    assert_eq!(home.ok(&["token"]).trim(), part(&set, "access_token"));
}

fn who_may_not_wait_for_the_lock_is_told_so(home: Home) {
    home.sign_in_expired();
    home.server.pause();
    let refreshing = home.spawn(&["token"]);
    assert!(home.server.wait_for_requests(1, SOON));
    let ran = home.run(&["--format", "json", "--lock-timeout", "200ms", "token"]);
    if home.store != "sled" {
        assert!(ran.err.contains(&format!("process {}", refreshing.id())), "{ran:?}");
    }
    assert_eq!(ran.failure(), code(4, "locked"));
    home.server.resume();
    end(refreshing).ok();
}

fn a_kill_between_the_answer_and_the_save_is_found_and_said(home: Home) {
    let killed = |home: &Home| {
        home.sign_in_expired();
        home.server.fault(Fault::new("delay").ms(20_000).after_commit());
        let mut child = home.spawn(&["token"]);
        let begun = Instant::now();
        while home.server.counters().exchanges == 0 {
            assert!(begun.elapsed() < SOON, "nothing was sent");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_ne!(home.json(&["status"])["pending_rotation"], json!(null), "it is on record");
    };
    killed(&home);
    assert_eq!(home.fails(&["token"]), code(3, "rotation_lost"));
    assert_eq!(home.fails(&["token"]), code(3, "rotation_lost"));
    assert_eq!(home.server.counters().reuses, 1, "asked once, remembered then");

    let grace = Config::default().with_rotation(Rotation::Grace(Duration::from_secs(30)));
    let mut home = Home::with(home.store, grace);
    home.set("COTTER_ROTATION", "grace=30s");
    killed(&home);
    home.ok(&["token"]);
    assert_eq!(home.json(&["status"])["state"], "fresh");
    assert_eq!(home.server.counters().reuses, 0);
}

fn a_server_that_asks_for_time_is_exit_4_and_nothing_is_spent(home: Home) {
    for status in ["429", "503"] {
        home.sign_in_expired();
        let before = home.server.counters().refresh_requests;
        home.server.fault(Fault::new(status).retry_after(600));
        let begun = Instant::now();
        let (exit, said) = home.fails(&["token"]);
        assert!(
            exit == 4 && ["unavailable", "uncertain"].contains(&said.as_str()),
            "{status}: {said}"
        );
        assert!(begun.elapsed() < Duration::from_secs(5), "{status}: nobody waits 10 minutes");
        assert_eq!(home.server.counters().refresh_requests, before + 1, "{status}");
        home.ok(&["token"]);
    }
    assert_eq!(home.server.counters().reuses, 0);
}

fn another_users_token_is_never_handed_out(home: Home) {
    home.sign_in_expired();
    home.server.fault(Fault::new("other-sub").after_commit());
    assert_eq!(home.fails(&["token"]), code(7, "protocol"));
    let status = home.json(&["status"]);
    assert_eq!(status["identifier"], ADA, "who was signed in is still on record");
    let (why, hint) = ("it belongs to another user", "sign in again: cotter import FILE");
    for command in ["token", "status", "doctor"] {
        let ran = home.run(&[command]);
        let said = ran.out + &ran.err;
        assert!(said.contains(why) && said.contains(hint), "{command}: {said}");
    }
}

fn a_token_that_is_too_short_is_served_where_no_longer_one_can_be_had(mut home: Home) {
    home.set("COTTER_TIMEOUT", "1s");
    let kinds: [(&[&str], &str); 2] =
        [(&["token"], "access_token"), (&["token", "--id"], "id_token")];
    let with = |arguments: &[&'static str], more: &[&'static str]| [arguments, more].concat();
    for (arguments, name) in kinds {
        for fault in ["503", "429", "500", "html", "no-access-token"] {
            let set = home.import(&home.short(600));
            home.server.fault(Fault::new(fault).count(9));
            let ran = home.run(&with(arguments, &["--min-ttl", "2d"]));
            assert_eq!((ran.code, ran.out.trim()), (0, part(&set, name)), "{fault} {ran:?}");
            assert!(ran.err.contains("does not live as long as was asked for: "), "{ran:?}");
            assert_eq!(home.fails(&with(arguments, &["--force-refresh"])).0 % 3, 1, "{fault}");
            home.server.clear_faults();
        }
        home.import(&home.short(600));
        home.server.fault(Fault::new("reject"));
        assert_eq!(home.fails(&with(arguments, &["--min-ttl", "2d"])), code(3, "refused"));
    }
    let set = home.import(&home.short(600));
    home.set("COTTER_BASE_URL", "http://127.0.0.1:1/api/v0");
    home.import(&set.to_string());
    let ran = home.run(&["token", "--min-ttl", "1h"]);
    assert_eq!((ran.code, ran.out.trim()), (0, part(&set, "access_token")), "{ran:?}");
    assert!(ran.err.contains("Connection refused"), "{ran:?}");
    home.import(&home.expired());
    assert_eq!(home.fails(&["token", "--min-ttl", "1h"]), code(4, "unavailable"));
}

fn what_doctor_finds_is_an_error_object_as_well(mut home: Home) {
    home.set("COTTER_BASE_URL", "http://127.0.0.1:1/api/v0");
    let ran = home.run(&["--format", "json", "doctor"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["reachable"], json!(false));
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    let error = &error["error"];
    assert_eq!((ran.code, &error["code"]), (4, &json!("unavailable")), "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("Connection refused"), "the cause: {message}");
    let text = home.run(&["doctor"]);
    assert_eq!((text.code, text.err.as_str()), (4, ""), "people read it once");
    assert!(text.out.contains(message.split(": ").last().unwrap()), "{text:?}");
}

fn doctor_tells_a_busy_server_and_a_strangers_page_from_a_wrong_address(home: Home) {
    for (fault, code, reachable) in [("429", 4, true), ("html", 4, false), ("redirect", 7, true)] {
        home.server.fault(Fault::new(fault).path("jwks"));
        let ran = home.run(&["--format", "json", "doctor"]);
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(
            (ran.code, &report["reachable"]),
            (code, &json!(reachable)),
            "{fault}: {report}"
        );
    }
    assert_eq!(home.run(&["doctor"]).code, 0);
}

fn a_refresh_under_way_is_not_said_to_be_cut_off(home: Home) {
    home.sign_in_expired();
    home.server.pause();
    let refreshing = home.spawn(&["token"]);
    assert!(home.server.wait_for_requests(1, SOON));
    if home.store != "sled" {
        // sled's own lock is the lease: there nobody gets to ask meanwhile.
        let doctor = home.ok(&["doctor"]);
        assert!(doctor.contains(" is under way\n") && !doctor.contains("cut off"), "{doctor}");
        let status = home.ok(&["status"]);
        assert!(status.contains("a refresh begun at "), "{status}");
        assert!(status.contains("Z, not finished\n"), "{status}");
        let waits = ["--lock-timeout", "200ms", "token"];
        let ran = home.run(&waits);
        assert!(ran.err.contains("Z") && !ran.err.contains("Unix"), "{ran:?}");
    }
    home.server.resume();
    end(refreshing).ok();
    assert!(home.ok(&["doctor"]).contains("no refresh is pending"));
}

fn a_refresh_token_that_is_not_in_the_answer_is_kept(home: Home) {
    for fault in ["no-refresh-token", "null-refresh-token", "empty-refresh-token"] {
        let set = home.sign_in_expired();
        home.server.fault(Fault::new(fault));
        home.ok(&["token"]);
        assert_eq!(home.ok(&["token", "--refresh"]).trim(), part(&set, "refresh_token"), "{fault}");
        home.ok(&["token", "--force-refresh"]);
    }
    assert_eq!(home.server.counters().reuses, 0);
}

/// Beside the macro's module of that name, and run with it.
mod only_keyring {
    use super::*;

    #[test]
    #[ignore = "needs a Secret Service daemon: tests/cli/keyring.sh"]
    fn store_paths_that_share_a_keyring_share_its_locks() {
        let mut home = Home::on("keyring");
        home.sign_in_expired();
        home.server.pause();
        let one = home.spawn(&["token"]);
        assert!(home.server.wait_for_requests(1, SOON));
        let elsewhere = home.dir.path().join("elsewhere");
        home.set("COTTER_STORE_PATH", elsewhere.to_str().unwrap());
        let doctor = home.json(&["doctor"]);
        assert_eq!(doctor["lock_holder"]["pid"], json!(one.id()), "{doctor}");
        let other = home.spawn(&["token"]);
        std::thread::sleep(Duration::from_millis(500));
        home.server.resume();
        assert_eq!(end(one).ok(), end(other).ok());
        let counters = home.server.counters();
        assert_eq!((counters.exchanges, counters.reuses, counters.max_in_flight), (1, 0, 1));
        assert!(!elsewhere.exists(), "nothing rests there");
    }

    #[test]
    #[ignore = "needs a Secret Service daemon: tests/cli/keyring.sh"]
    fn who_only_reads_makes_no_folder_for_locks() {
        let mut home = Home::on("keyring");
        home.set("COTTER_SESSION", "somebody else's");
        for command in ["status", "token", "sessions", "logout", "doctor", "reseal", "whoami"] {
            home.run(&[command]);
            let made: Vec<_> = std::fs::read_dir(home.dir.path()).unwrap().collect();
            assert!(made.is_empty(), "{command}: {made:?}");
        }
    }
}

/// Ends the process's right to write files, and gives it back.
#[cfg(target_os = "linux")]
fn limit_files(child: &Child, most: Option<u64>) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = Pid::from_child(child);
    let limit = Rlimit { current: most, maximum: None };
    prlimit(Some(pid), Resource::Fsize, limit).unwrap();
}

/// A process that ends up with a granted set and a store that takes nothing.
#[cfg(target_os = "linux")]
fn granted_and_full(home: &Home) -> Child {
    home.sign_in_expired();
    home.server.pause();
    // Too large a file is an error and no signal.
    let script = format!("trap '' XFSZ; exec {} --format json token", env!("CARGO_BIN_EXE_cotter"));
    let child = home.program("sh").args(["-c", &script]).spawn().unwrap();
    assert!(home.server.wait_for_requests(1, SOON));
    limit_files(&child, Some(0));
    home.server.resume();
    child
}

#[test]
#[cfg(target_os = "linux")]
fn a_set_that_cannot_be_stored_at_once_is_stored_later() {
    let home = Home::new();
    let child = granted_and_full(&home);
    std::thread::sleep(Duration::from_secs(3));
    limit_files(&child, None);
    let token = end(child).ok();
    assert_eq!(home.ok(&["token"]), token);
    assert_eq!(home.server.counters().exchanges, 1);
}

#[test]
#[cfg(target_os = "linux")]
fn a_set_that_cannot_be_stored_for_30_seconds_is_handed_out_and_the_session_said_to_be_lost() {
    let home = Home::new();
    let begun = Instant::now();
    let ran = end(granted_and_full(&home));
    let took = begun.elapsed();
    assert!((29..40).contains(&took.as_secs()), "{took:?}");
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.err.contains("this session is lost"), "{ran:?}");
    assert_eq!(ran.out.matches('.').count(), 2, "the token itself is good");
}
