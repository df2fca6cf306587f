//! `cotter devices` and `cotter login --device` as processes, killed on the way as well.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use common::{ADA, Home, Ran, code};
use cotter_emulator::Fault;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

impl Home {
    /// A home whose machine is ada's trusted device.
    fn enrolled(store: &'static str) -> Self {
        let home = Self::on(store);
        home.sign_in();
        home.ok(&["devices", "enroll", "--name", "laptop"]);
        home
    }

    fn device(&self) -> Value {
        self.json(&["devices"])["device"].clone()
    }

    /// Whether the server has a trusted device of ada's.
    fn server_has_it(&self, user: &str) -> bool {
        let url = format!("{}/user/enrolled/{user}/TRUSTED_DEVICE", self.server.base_url());
        let answer = self.get(&url);
        assert!(answer.contains(r#""enrolled""#), "{answer}");
        answer.contains(r#""enrolled":true"#)
    }

    /// Whether a request has met the one fault that was planted.
    fn has_struck(&self) -> bool {
        let answer = self.get(&format!("{}/faults", self.server.control_url()));
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        body.trim() == "[]"
    }

    fn get(&self, url: &str) -> String {
        let rest = url.strip_prefix("http://").unwrap();
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let id = self.server.api_key_id();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAPI_KEY_ID: {id}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Whatever is asked of the server gets no answer.
    fn away(&self) {
        self.server.fault(Fault::new("drop").path("any").count(100));
    }

    /// Another machine of ada's, which asks to be let in; what it says when it has asked.
    fn asks(&self) -> std::process::Child {
        let elsewhere = self.dir.path().join("elsewhere");
        let mut command = self.command(&["login", "--device", "--email", ADA]);
        let mut child = command.env("COTTER_STORE_PATH", elsewhere).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.contains("approve there"), "{line}");
        let begun = Instant::now();
        while self.json(&["devices"])["waiting"].is_null() {
            assert!(begun.elapsed() < SOON, "the question never arrived");
        }
        child
    }
}

fn ended(child: std::process::Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_trusted_device_signs_in_silently_again_and_again() {
    for store in ["file", "sled"] {
        let home = Home::enrolled(store);
        let device = home.device();
        assert_eq!((&device["enrolled"], &device["known"]), (&json!(true), &json!(true)));
        let who = home.json(&["whoami"])["subject"].clone();
        for _ in 0..2 {
            home.ok(&["logout", "--all", "--everything"]);
            assert_eq!(home.fails(&["token"]), code(3, "sign_in_required"));
            assert_eq!(home.json(&["login", "--device"])["signed_in"], true);
            let now = home.json(&["whoami"]);
            assert_eq!((&now["subject"], &now["auth_method"]), (&who, &json!("TRUSTED_DEVICE")));
            assert!(!home.ok(&["token"]).is_empty());
        }
        // The same with a name, if it is that of this device's user.
        assert_eq!(home.json(&["login", "--device", "--email", ADA])["signed_in"], true);
        assert_eq!(home.device(), device, "a sign-out leaves the key alone");
        let names: Vec<_> = home.json(&["sessions", "--everything"]).as_array().unwrap().clone();
        assert_eq!(names.len(), 1, "a device's key is no session: {names:?}");
    }
}

#[test]
fn another_machine_is_let_in_by_this_one() {
    let home = Home::enrolled("file");
    assert_eq!(home.fails(&["devices", "approve"]), code(4, "unavailable"), "nothing waits");
    let other = home.asks();
    let waiting = home.json(&["devices", "list"])["waiting"].clone();
    assert_eq!(waiting["event"], "LOGIN_WITH_DEVICE");
    assert_eq!(home.fails(&["devices", "approve", "1"]), code(4, "unavailable"), "another one");
    let id = waiting["id"].to_string();
    let answer = home.json(&["devices", "approve", &id]);
    assert_eq!((&answer["approved"], &answer["event"]), (&json!(true), &waiting));
    assert!(ended(other).ok().contains("signed in: ada@example.test"));
    assert!(home.json(&["devices"])["waiting"].is_null());
}

#[test]
fn another_machine_is_turned_away() {
    let home = Home::enrolled("file");
    let other = home.asks();
    assert_eq!(home.json(&["devices", "refuse"])["approved"], false);
    let ran = ended(other);
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
}

#[test]
fn nobody_answers_in_time() {
    let home = Home::enrolled("file");
    home.ok(&["logout"]);
    home.ok(&["devices", "forget"]);
    home.sign_in();
    let end = home.fails(&["login", "--device", "--email", ADA, "--timeout", "2s"]);
    assert_eq!(end, code(4, "unavailable"));
    assert!(!home.ok(&["token"]).is_empty(), "who was signed in still is");
}

#[test]
fn killed_between_enrolling_and_storing_it_goes_on_with_the_same_key() {
    for store in ["file", "sled"] {
        for after_commit in [false, true] {
            let home = Home::on(store);
            home.sign_in();
            let user = home.json(&["whoami"])["subject"].as_str().unwrap().to_owned();
            let held = Fault::delay(Duration::from_secs(600)).path("methods");
            home.server.fault(if after_commit { held.after_commit() } else { held });
            let mut child = home.spawn(&["devices", "enroll", "--timeout", "600s"]);
            let begun = Instant::now();
            while !home.has_struck() || (after_commit && !home.server_has_it(&user)) {
                assert!(begun.elapsed() < SOON, "the key was never offered");
            }
            child.kill().unwrap();
            child.wait().unwrap();

            let kept = home.device();
            assert_eq!(kept["enrolled"], false, "{store}: nobody heard the answer");
            assert_eq!(kept["known"], after_commit, "{store}");
            assert_eq!(home.fails(&["login", "--device"]), code(7, "config"));
            assert!(!home.ok(&["token"]).is_empty(), "the session is untouched");
            let device = home.json(&["devices", "enrol"]);
            assert_eq!(device["public_key"], kept["public_key"], "{store}");
            assert_eq!(home.json(&["login", "--device"])["signed_in"], true);
        }
    }
}

#[test]
fn forgetting_is_local_in_any_case() {
    let home = Home::enrolled("file");
    home.away();
    let answer = home.json(&["devices", "forget"]);
    home.server.clear_faults();
    assert_eq!(answer, json!({"forgotten": true, "at_server": false}));
    assert!(home.device().is_null());
    assert_eq!(home.json(&["devices", "forget"]), json!({"forgotten": false, "at_server": null}));
    home.ok(&["devices", "enroll"]);
    assert_eq!(home.json(&["devices", "forget"]), json!({"forgotten": true, "at_server": true}));
    assert_eq!(home.fails(&["login", "--device"]), code(7, "config"));
}

#[test]
fn what_is_kept_can_be_listed_offline() {
    let mut home = Home::enrolled("file");
    let key = home.device()["public_key"].clone();
    home.set("COTTER_BASE_URL", "http://127.0.0.1:9/api/v0");
    assert!(home.device().is_null(), "another server's device is another");
    let home = Home::enrolled("file");
    home.away();
    let listed = home.json(&["devices"]);
    home.server.clear_faults();
    assert_ne!(listed["device"]["public_key"], key);
    assert_eq!(
        (&listed["device"]["enrolled"], &listed["device"]["known"]),
        (&json!(true), &json!(null))
    );
}

#[test]
fn a_machine_that_is_no_device_says_what_to_do() {
    let home = Home::new();
    assert_eq!(home.json(&["devices"]), json!({"device": null, "waiting": null}));
    assert_eq!(home.fails(&["devices", "enroll"]), code(3, "sign_in_required"));
    assert_eq!(home.fails(&["devices", "approve"]), code(7, "config"));
    assert_eq!(home.fails(&["login", "--device"]), code(7, "config"));
    let nobody = home.fails(&["login", "--device", "--email", "nobody@example.test"]);
    assert_eq!(nobody, code(3, "refused"));
    assert_eq!(home.fails(&["login", "--device", "--otp"]), code(2, "usage"));
    let said = home.run(&["login", "--device"]).err;
    assert!(said.contains("cotter devices enroll"), "{said}");
}

#[test]
fn a_key_that_the_server_has_dropped_is_no_way_in() {
    let home = Home::enrolled("file");
    home.ok(&["logout"]);
    home.server.reset();
    assert_eq!(home.device()["known"], false);
    assert_eq!(home.fails(&["login", "--device"]).0, 3);
}
