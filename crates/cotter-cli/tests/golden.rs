//! What every command says, word for word, in text and JSON, on standard output and standard error,
//! with its exit code: transcripts that are compared with files in `tests/golden`.
//!
//! `UPDATE_EXPECT=1 cargo test -p cotter-cli --test golden` writes them anew.

#![allow(clippy::unwrap_used, reason = "helpers are not seen as tests")]

#[macro_use]
mod common;

use core::fmt::Write as _;
use std::sync::LazyLock;

use common::{Home, OTHER_KEY, Ran};
use cotter_emulator::Fault;
use expect_test::{ExpectFile, expect_file};
use regex::Regex;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

on_every_store! {
    a_session_from_sign_in_to_sign_out
    what_a_refresh_that_fails_says
}

#[test]
fn what_a_file_store_that_cannot_be_opened_says() {
    what_a_store_that_cannot_be_opened_says(Home::on("file"));
}

#[test]
fn what_a_sled_store_that_cannot_be_opened_says() {
    what_a_store_that_cannot_be_opened_says(Home::on("sled"));
}

/// What differs from run to run, and the word that stands for it.
static DIFFERS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"eyJ[\w-]+\.[\w-]+\.[\w-]*", "JWT"),
        (r"\b\d+:\w{50}\b", "REFRESH_TOKEN"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UUID"),
        (r"\bSPACE_JWT_PUBLIC:[0-9A-F-]{36}", "KID"),
        (r#""(exp|iat)":( ?)\d+"#, r#""$1":${2}SECONDS"#),
        (r"\b(exp|iat)( +)\d{10}\b", "$1$2 SECONDS"),
        (r"\b(59|60) min left", "60 min left"),
        (r"process \d+", "process PID"),
        (r"os error \d+", "os error N"),
        (r"\b\d+ min ago", "N min ago"),
        (r"\bup to \d+(\.\d+)? ?m?s\b", "up to N ms"),
        (r"\b[0-9a-f]{16,64}\b", "HEX"),
        (r"SERVER/app\?\S+", "LOGIN_LINK"),
        (r"[A-Za-z0-9+/]{43}=", "PUBLIC_KEY"),
        (r"known as \S+", "known as HOST"),
    ]
    .map(|(pattern, word)| (Regex::new(pattern).unwrap(), word))
    .into()
});

/// What is said, in the order in which it is asked.
struct Transcript<'a> {
    home: &'a mut Home,
    text: String,
}

impl<'a> Transcript<'a> {
    fn of(home: &'a mut Home) -> Self {
        Self { home, text: String::new() }
    }

    fn note(&mut self, what: &str) {
        writeln!(self.text, "# {what}").unwrap();
    }

    /// One command in both formats.
    fn both(&mut self, arguments: &[&str]) {
        self.run(arguments, b"");
        let mut json = vec!["--format", "json"];
        json.extend_from_slice(arguments);
        self.run(&json, b"");
    }

    fn run(&mut self, arguments: &[&str], input: &[u8]) {
        let ran = self.home.feed(arguments, input);
        self.say(arguments, ran);
    }

    fn say(&mut self, arguments: &[&str], ran: Ran) {
        let arguments: Vec<String> = arguments.iter().map(|word| self.tidy(word)).collect();
        writeln!(self.text, "$ cotter {}", arguments.join(" ")).unwrap();
        for (mark, stream) in [("", &ran.out), ("2> ", &ran.err)] {
            for line in stream.lines() {
                let line = format!("{mark}{}", self.tidy(line));
                writeln!(self.text, "{}", line.trim_end()).unwrap();
            }
        }
        writeln!(self.text, "exit {}\n", ran.code).unwrap();
    }

    /// Puts words in place of what differs from run to run.
    fn tidy(&self, line: &str) -> String {
        let mut line = self.home.tidy(line);
        for (pattern, word) in DIFFERS.iter() {
            line = pattern.replace_all(&line, *word).into_owned();
        }
        line
    }

    fn is(self, expected: &ExpectFile) {
        expected.assert_eq(&self.text);
    }
}

fn file(store: &str, name: &str) -> ExpectFile {
    match (store, name) {
        ("file", "session") => expect_file!["golden/session.file.txt"],
        ("sled", "session") => expect_file!["golden/session.sled.txt"],
        ("keyring", "session") => expect_file!["golden/session.keyring.txt"],
        ("file", "refresh") => expect_file!["golden/refresh.file.txt"],
        ("sled", "refresh") => expect_file!["golden/refresh.sled.txt"],
        ("keyring", "refresh") => expect_file!["golden/refresh.keyring.txt"],
        ("file", "store") => expect_file!["golden/store.file.txt"],
        ("sled", "store") => expect_file!["golden/store.sled.txt"],
        other => panic!("there is no file for {other:?}"),
    }
}

fn a_session_from_sign_in_to_sign_out(mut home: Home) {
    let store = home.store;
    let set = home.server.token_set(common::ADA);
    let ended = home.expired();
    let parsed: Value = serde_json::from_str(&set).unwrap();
    let access = common::part(&parsed, "access_token").to_owned();
    let login_url = home.server.login_url().to_owned();
    home.set("COTTER_LOGIN_URL", &login_url);
    let mut said = Transcript::of(&mut home);

    said.note("nobody is signed in");
    for command in [
        &["token"] as &[&str],
        &["token", "--id"],
        &["token", "--refresh"],
        &["status"],
        &["whoami"],
        &["sessions"],
        &["logout"],
        &["doctor"],
        &["reseal"],
        &["exec", "true"],
        &["devices"],
    ] {
        said.both(command);
    }

    said.note("signing in");
    said.run(&["import"], b"PLANTED");
    said.run(&["--format", "json", "import"], b"{}");
    said.run(&["import"], set.as_bytes());
    said.run(&["--format", "json", "import"], set.as_bytes());

    said.note("signed in");
    for command in [
        &["token"] as &[&str],
        &["token", "--id"],
        &["token", "--refresh"],
        &["token", "--min-ttl", "30m"],
        &["status"],
        &["whoami"],
        &["sessions"],
        &["doctor"],
        &["reseal"],
        &["exec", "--", "sh", "-c", "echo $COTTER_ACCESS_TOKEN"],
        &["exec", "--", "sh", "-c", "exit 9"],
        &["exec", "--", "/nonexistent/command"],
        &["devices"],
    ] {
        said.both(command);
    }
    if store != "keyring" {
        // The keyring is one for everybody on this machine.
        said.both(&["sessions", "--everything"]);
    }
    said.run(&["decode"], access.as_bytes());
    said.run(&["--format", "json", "decode", "-"], access.as_bytes());
    said.run(&["decode"], b"PLANTED");
    said.run(&["--format", "json", "decode"], b"PLANTED");
    said.run(&["verify"], access.as_bytes());
    said.run(&["--format", "json", "verify", "-"], format!("{access}\nPLANTED\n").as_bytes());
    said.run(&["verify", "--id-token"], access.as_bytes());

    said.note("a refresh");
    said.run(&["import"], ended.as_bytes());
    said.both(&["status"]);
    said.both(&["token"]);
    said.both(&["token", "--force-refresh"]);
    said.both(&["status"]);

    said.note("a trusted device");
    said.run(&["devices", "enroll"], b"");
    said.both(&["devices"]);
    said.run(&["--format", "json", "devices", "enroll"], b"");
    said.both(&["devices", "approve"]);
    said.both(&["devices", "refuse"]);
    said.run(&["login", "--device"], b"");
    said.run(&["--format", "json", "login", "--device"], b"");
    said.run(&["devices", "forget"], b"");
    said.run(&["--format", "json", "devices", "forget"], b"");
    said.both(&["login", "--device"]);

    said.note("a login that nobody comes to");
    said.both(&["--timeout", "300ms", "login", "--no-browser", "--email"]);

    said.note("signing out");
    said.both(&["logout"]);
    said.run(&["import"], set.as_bytes());
    said.run(&["--session", "work", "import"], set.as_bytes());
    said.run(&["--format", "json", "logout", "--all"], b"");
    said.both(&["status"]);
    said.is(&file(store, "session"));
}

fn what_a_refresh_that_fails_says(mut home: Home) {
    let store = home.store;
    home.set("COTTER_TIMEOUT", "1s");
    let mut said = Transcript::of(&mut home);
    for (fault, what) in [
        (Fault::reject(400), "refused"),
        (Fault::status(500), "a server error: it may have been spent"),
        (Fault::new("429").retry_after(600), "a server that asks for time"),
        (Fault::new("no-access-token").after_commit(), "an answer that makes no sense"),
        (Fault::new("other-sub").after_commit(), "another user's token"),
        (
            Fault::new("drop").after_commit(),
            "a lost answer, and then the refusal of what it replaced",
        ),
    ] {
        said.note(what);
        said.home.sign_in_expired();
        said.home.server.fault(fault.clone());
        said.run(&["token"], b"");
        said.home.server.clear_faults();
        if what != "refused" && !what.starts_with("a lost") {
            said.home.sign_in_expired();
            said.home.server.fault(fault);
        }
        said.run(&["--format", "json", "token"], b"");
        said.home.server.clear_faults();
        said.both(&["status"]);
        said.both(&["doctor"]);
    }
    said.note("offline");
    said.home.set("COTTER_BASE_URL", "http://127.0.0.1:1/api/v0");
    said.home.sign_in_expired();
    said.both(&["token"]);
    said.both(&["doctor"]);
    said.is(&file(store, "refresh"));
}

fn what_a_store_that_cannot_be_opened_says(mut home: Home) {
    let store = home.store;
    home.sign_in();
    let mut said = Transcript::of(&mut home);
    for (key, what) in
        [(OTHER_KEY, "another key"), ("", "no key"), ("PLANTED", "a key that is none")]
    {
        said.note(what);
        said.home.set("COTTER_STORE_KEY", key);
        for command in [&["token"] as &[&str], &["status"], &["sessions"], &["doctor"], &["logout"]]
        {
            said.both(command);
        }
    }
    said.home.set("COTTER_STORE_KEY", common::KEY);
    said.note("another kind of store");
    said.home.set("COTTER_STORE", if store == "file" { "sled" } else { "file" });
    said.both(&["token"]);
    said.home.set("COTTER_STORE", store);
    said.note("a header with a byte that rotted, and one from the future");
    let header =
        said.home.store_dir().join(if store == "file" { "cotter.header" } else { "header" });
    let mut bytes = std::fs::read(&header).unwrap();
    // Three letters, the version, the body, eight bytes of checksum.
    bytes[3] = 99;
    std::fs::write(&header, &bytes).unwrap();
    said.both(&["token"]);
    let set = said.home.server.token_set(common::ADA);
    said.run(&["import"], set.as_bytes());
    let body = bytes.len() - 8;
    let checksum = Sha256::digest(&bytes[..body]);
    bytes[body..].copy_from_slice(&checksum[..8]);
    std::fs::write(&header, &bytes).unwrap();
    said.both(&["token"]);
    said.both(&["doctor"]);
    said.note("a header that is gone");
    std::fs::remove_file(&header).unwrap();
    said.both(&["token"]);
    said.both(&["status"]);
    said.both(&["doctor"]);
    said.is(&file(store, "store"));
}

#[test]
fn what_needs_no_session() {
    let mut home = Home::new();
    let mut said = Transcript::of(&mut home);
    said.run(&["--help"], b"");
    for command in [
        "import",
        "token",
        "status",
        "whoami",
        "sessions",
        "logout",
        "exec",
        "login",
        "devices",
        "decode",
        "verify",
        "doctor",
        "reseal",
        "completions",
        "man",
    ] {
        said.run(&[command, "--help"], b"");
    }
    said.run(&["--version"], b"");
    for bad in [
        &["frobnicate"] as &[&str],
        &["token", "--id", "--refresh"],
        &["token", "--min-ttl", "soon"],
        &["--base-url", "http://example.test", "token"],
        &["--rotation", "sometimes", "token"],
        &["--store", "cloud", "token"],
        &["import", "/nonexistent"],
    ] {
        said.both(bad);
    }
    said.home.unset("COTTER_API_KEY_ID");
    said.both(&["token"]);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let mut ran = said.home.run(&["completions", shell]);
        ran.out = format!("{}\n...\n", ran.out.lines().find(|line| !line.is_empty()).unwrap());
        said.say(&["completions", shell], ran);
    }
    let mut ran = said.home.run(&["man"]);
    ran.out = ran.out.lines().filter(|line| line.starts_with(".SH")).collect::<Vec<_>>().join("\n");
    said.say(&["man"], ran);
    said.is(&expect_file!["golden/usage.txt"]);
}
