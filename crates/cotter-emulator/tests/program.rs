//! The program: its ready line, its log, its options and its end.

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use common::{call, field};
use serde_json::{Value, json};

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cotter-emulator"));
    command.args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(options: &[&str]) -> (Program, Value) {
    let mut child = command(options).spawn().expect("it starts");
    let mut line = String::new();
    let out = child.stdout.as_mut().expect("piped");
    BufReader::new(out).read_line(&mut line).expect("a line");
    (Program(child), serde_json::from_str(&line).expect("JSON"))
}

#[test]
fn the_ready_line_leads_to_a_server_that_ends_with_its_input() {
    let id = "11111111-2222-4333-8444-555555555555";
    let options = [
        "--listen",
        "127.0.0.1:0",
        "--api-key-id",
        id,
        "--access-ttl",
        "120s",
        "--rotation",
        "grace=30s",
        "--on-reuse",
        "revoke-family",
        "--exit-on-eof",
    ];
    let (mut program, ready) = run(&options);
    let expected =
        ["api_key_id", "base_url", "control_url", "identity_key", "login_url", "worker_url"];
    assert_eq!(common::names(&ready), expected);
    assert_eq!(ready["api_key_id"], id);
    let origin = field(&ready, "base_url").strip_suffix("/api/v0").expect("the suffix");
    assert_eq!(ready["control_url"], format!("{origin}/_control"));

    let url = format!("{}/token-set", field(&ready, "control_url"));
    let set = call("POST", &url, &[], r#"{"identifier":"ada@example.test"}"#).expect("an answer");
    let set = set.json();
    assert_eq!(set["expires_in"], 120);
    let url = format!("{}/token/{id}", field(&ready, "base_url"));
    let body = json!({"grant_type": "refresh_token", "refresh_token": set["refresh_token"]});
    let exchange = || call("POST", &url, &[("API_KEY_ID", id)], &body.to_string()).expect("answer");
    let first = exchange();
    assert_eq!(first.status, 200);
    assert_eq!(exchange().json(), first.json(), "the grace is on");
    let found = format!("{}/user?identifier=ada%40example.test", field(&ready, "base_url"));
    call("GET", &found, &[("API_KEY_ID", id)], "").expect("an answer");

    drop(program.0.stdin.take());
    assert!(program.0.wait().expect("it ends").success());
    let mut log = String::new();
    program.0.stderr.take().expect("piped").read_to_string(&mut log).expect("text");
    assert_eq!(log.lines().count(), 4, "{log}");
    assert!(log.contains(&format!("POST /api/v0/token/{id} 200")), "{log}");
    for secret in [field(&set, "refresh_token"), field(&set, "access_token"), "ada"] {
        assert!(!log.contains(secret), "{log}");
    }
    let mut rest = String::new();
    program.0.stdout.take().expect("piped").read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "", "one line and no more");
}

#[test]
fn without_the_flag_the_end_of_input_is_nothing() {
    let (mut program, ready) = run(&["--active-key-first", "--expires-in", "-5", "--quiet"]);
    drop(program.0.stdin.take());
    std::thread::sleep(core::time::Duration::from_millis(200));
    assert!(program.0.try_wait().expect("asked").is_none());
    let url = format!("{}/token/jwks", field(&ready, "base_url"));
    let jwks = call("GET", &url, &[], "").expect("an answer").json();
    let url = format!("{}/token-set", field(&ready, "control_url"));
    let set = call("POST", &url, &[], r#"{"identifier":"ada@example.test"}"#).expect("an answer");
    let set = set.json();
    assert_eq!(set["expires_in"], -5);
    let kid = common::header(field(&set, "access_token"))["kid"].clone();
    assert_eq!(jwks["keys"][0]["kid"], kid, "a switch may stand alone");
}

#[test]
fn wrong_options_are_usage_errors() {
    for options in [
        &["--rotation", "often"][..],
        &["--access-ttl", "soon"],
        &["--listen", "nowhere"],
        &["--no-such-option"],
    ] {
        let output = command(options).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn the_help_names_every_switch_and_fault() {
    let output = command(&["--help"]).output().expect("it runs");
    let help = String::from_utf8(output.stdout).expect("text");
    for switch in cotter_emulator::SWITCHES {
        assert!(help.contains(&format!("--{} ", switch.name)), "{}", switch.name);
    }
    for (fault, _) in cotter_emulator::FAULTS {
        assert!(help.contains(&format!("  {fault} ")), "{fault}");
    }
}

#[cfg(unix)]
#[test]
fn a_standard_error_that_is_closed_full_or_unread_stops_nothing() {
    let closed = |command: &mut Command| {
        let mut child = command.spawn().expect("it starts");
        drop(child.stderr.take());
        child
    };
    let full = |command: &mut Command| {
        // Not every system has a disk that is always full.
        if let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") {
            command.stderr(full);
        }
        command.spawn().expect("it starts")
    };
    let unread = |command: &mut Command| command.spawn().expect("it starts");
    for (name, spawn) in [
        ("closed", &closed as &dyn Fn(&mut Command) -> Child),
        ("full", &full),
        ("unread", &unread),
    ] {
        let mut program = Program(spawn(&mut command(&["--exit-on-eof"])));
        let mut line = String::new();
        let out = program.0.stdout.as_mut().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).expect("JSON");
        let url = format!("{}/{}", field(&ready, "control_url"), "x".repeat(2000));
        // More than a pipe holds and than may wait.
        for _ in 0..1300 {
            assert_eq!(call("GET", &url, &[], "").expect("an answer").status, 404, "{name}");
        }
        drop(program.0.stdin.take());
        assert!(program.0.wait().expect("it ends").success(), "{name}");
    }
}
