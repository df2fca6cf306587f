//! `cotter verify` as a process: keys from a file, from a URL and from the server itself.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{ADA, Home, Ran, code, part};
use cotter_emulator::Fault;
use serde_json::{Value, json};

impl Home {
    fn verify(&self, arguments: &[&str], input: &str) -> Ran {
        let mut all = vec!["--format", "json", "verify"];
        all.extend_from_slice(arguments);
        self.feed(&all, input.as_bytes())
    }

    /// What `verify` says of these tokens, a line each.
    fn verdicts(&self, arguments: &[&str], input: &str) -> (i32, Vec<Value>) {
        let ran = self.verify(arguments, input);
        (ran.code, ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    /// The reason for which one token is refused.
    #[track_caller]
    fn refused(&self, arguments: &[&str], token: &str) -> String {
        let (code, verdicts) = self.verdicts(arguments, token);
        assert_eq!((code, verdicts.len(), &verdicts[0]["valid"]), (6, 1, &json!(false)));
        assert!(verdicts[0].get("claims").is_none());
        verdicts[0]["reason"].as_str().unwrap().to_owned()
    }

    /// The server's keys in a file, as `curl` would have put them there.
    fn keys(&self) -> String {
        let rest = self.server.base_url().strip_prefix("http://").unwrap();
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "GET {path}/token/jwks HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let file = self.dir.path().join("keys.json");
        std::fs::write(&file, answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        file.display().to_string()
    }
}

fn set(home: &Home) -> Value {
    serde_json::from_str(&home.server.token_set(ADA)).unwrap()
}

#[test]
fn a_good_token_has_its_claims_whatever_the_keys_come_from() {
    let home = Home::new();
    let set = set(&home);
    let (file, url) = (home.keys(), format!("{}/token/jwks", home.server.base_url()));
    for keys in [&[][..], &["--jwks", &file], &["--jwks", &url]] {
        for (kind, name) in [(&[][..], "access_token"), (&["--id-token"], "id_token")] {
            let arguments = [keys, kind].concat();
            let (code, verdicts) = home.verdicts(&arguments, part(&set, name));
            assert_eq!((code, verdicts.len()), (0, 1), "{arguments:?}");
            assert_eq!(verdicts[0]["valid"], true);
            assert_eq!(verdicts[0]["claims"]["aud"], home.server.api_key_id());
            assert!(verdicts[0].get("reason").is_none());
        }
    }
    assert_eq!(home.server.counters().exchanges, 0);
}

#[test]
fn each_thing_wrong_has_its_reason() {
    let home = Home::new();
    let set = set(&home);
    let (access, id) = (part(&set, "access_token"), part(&set, "id_token"));
    let old: Value = serde_json::from_str(&home.expired()).unwrap();
    assert_eq!(home.refused(&[], part(&old, "access_token")), "expired");
    assert_eq!(home.refused(&[], id), "wrong_token_type");
    assert_eq!(home.refused(&["--id-token"], access), "wrong_token_type");
    assert_eq!(home.refused(&["--audience", "another"], access), "wrong_audience");
    assert_eq!(home.refused(&["--issuer", "https://other.example"], access), "wrong_issuer");
    assert_eq!(home.refused(&[], "no token"), "not_three_parts");
    assert_eq!(home.refused(&[], &format!("{access}x")), "signature_encoding");
    let (rest, signature) = access.rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    assert_ne!(home.verdicts(&[], &format!("{rest}.{turned}")).0, 0);
    let keys = home.keys();
    home.server.replace_keys();
    let new: Value = serde_json::from_str(&home.server.token_set(ADA)).unwrap();
    assert_eq!(home.refused(&["--jwks", &keys], part(&new, "access_token")), "kid_unknown");
    assert_eq!(home.refused(&[], access), "kid_unknown", "the server's keys are new");
}

#[test]
fn a_token_among_the_arguments_is_checked_and_warned_of() {
    let home = Home::new();
    let set = set(&home);
    let access = part(&set, "access_token");
    const SEEN: &str = "can be seen by every user";
    let ran = home.verify(&[access], "");
    let warning: Value = serde_json::from_str(&ran.err).unwrap();
    assert!(warning["warning"]["message"].as_str().unwrap().contains(SEEN), "{ran:?}");
    assert_eq!(ran.code, 0);
    let ran = home.run(&["verify", access]);
    assert!(ran.code == 0 && ran.err.contains(SEEN) && ran.out.contains("valid"), "{ran:?}");
    // One object on standard error where something is wrong.
    for bad in [" ", "no-token"] {
        let ran = home.verify(&[bad], "");
        let error: Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!((ran.code, &error["error"]["code"]), (6, &json!("invalid_token")), "{bad:?}");
        assert!(home.run(&["verify", bad]).err.contains(SEEN));
    }
    assert_eq!(home.run(&["-q", "verify", access]).err, "");
}

#[test]
fn leeway_stretches_the_end() {
    let home = Home::new();
    let old: Value = serde_json::from_str(&home.issued(3610)).unwrap();
    let token = part(&old, "access_token");
    assert_eq!(home.verdicts(&[], token).0, 0, "ten seconds are within the usual 30");
    assert_eq!(home.refused(&["--leeway", "0s"], token), "expired");
    assert_eq!(home.verify(&["--leeway", "1w"], token).failure(), code(2, "usage"));
}

#[test]
fn one_line_in_one_line_out_before_the_next_is_read() {
    let home = Home::new();
    let set = set(&home);
    let access = part(&set, "access_token");
    let mut child =
        home.command(&["--format", "json", "verify", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut ask = |line: &[u8]| {
        stdin.write_all(line).unwrap();
        let mut answer = String::new();
        out.read_line(&mut answer).unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()
    };
    assert_eq!(ask(format!("{access}\n").as_bytes())["valid"], true);
    assert_eq!(ask(b"\n  \nnonsense\n"), json!({"valid": false, "reason": "not_three_parts"}));
    assert_eq!(ask(b"\xff\xfe\x00\n")["valid"], false);
    // Ten tokens by keys nobody has: what the keys are asked for is bounded.
    for n in 0..10 {
        let header = format!("eyJhbGciOiJFUzI1NiIsImtpZCI6Ij{n}Nz{n}ifQ");
        let (_, rest) = access.split_once('.').unwrap();
        assert_eq!(ask(format!("{header}.{rest}\n").as_bytes())["valid"], false);
    }
    assert_eq!(ask(format!("{access}\r\n").as_bytes())["valid"], true);
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(6));
    assert!(home.server.counters().jwks <= 2, "{:?}", home.server.counters());
}

#[test]
fn a_key_that_is_not_known_yet_has_its_own_reason() {
    let home = Home::new();
    let set = set(&home);
    let (_, rest) = part(&set, "access_token").split_once('.').unwrap();
    // The keys are fetched for the first, and once more for the second.
    let token = |kid: u32| {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#));
        format!("{header}.{rest}\n")
    };
    let tokens: String = (0..4).map(token).collect();
    let (code, verdicts) = home.verdicts(&["-"], &tokens);
    let reasons: Vec<_> = verdicts.iter().map(|one| one["reason"].as_str().unwrap()).collect();
    let (known, soon) = ("kid_unknown", "kid_unknown_for_now");
    assert_eq!((code, reasons), (6, vec![known, known, soon, soon]));
    let told = home.feed(&["verify", "-"], tokens.as_bytes());
    assert!(told.out.lines().last().unwrap().starts_with("invalid: kid_unknown_for_now ("));
}

#[test]
fn claims_come_out_as_they_were_signed() {
    let home = Home::new();
    let set = set(&home);
    let access = part(&set, "access_token");
    let claims = access.split('.').nth(1).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims = String::from_utf8(claims).unwrap();
    let ran = home.verify(&[], access);
    assert_eq!(ran.out, format!("{{\"valid\":true,\"claims\":{claims}}}\n"));
    let ran = home.verify(&["--audience", "x"], access);
    assert_eq!(ran.out, "{\"valid\":false,\"reason\":\"wrong_audience\"}\n");
}

#[test]
fn white_space_around_a_token_is_ascii_wherever_it_comes_from() {
    let home = Home::new();
    let set = set(&home);
    let access = part(&set, "access_token");
    let argument = |text: &str| {
        let ran = home.run(&["--format", "json", "verify", text]);
        (ran.code, ran.out)
    };
    let piped = |text: &str| {
        let ran = home.verify(&[], text);
        (ran.code, ran.out)
    };
    for (before, after, valid) in [
        (" \t", "\r", true),
        ("", "\x0c ", true),
        ("\u{a0}", "", false),
        ("\u{feff}", "", false),
        ("", "\u{3000}", false),
        ("", "\x0b", false),
    ] {
        let text = format!("{before}{access}{after}");
        let (code, out) = argument(&text);
        assert_eq!((code, &out), (if valid { 0 } else { 6 }, &piped(&text).1), "{text:?}");
        assert_eq!(out.contains("\"valid\":true"), valid, "{text:?}");
    }
    assert_eq!(argument(" "), (6, String::new()));
    assert_eq!(piped(" "), (6, String::new()));
}

#[test]
fn an_address_may_be_written_in_capitals() {
    let home = Home::new();
    let set = set(&home);
    let url = format!("{}/token/jwks", home.server.base_url()).replacen("http", "HTTP", 1);
    assert_eq!(home.verdicts(&["--jwks", &url], part(&set, "access_token")).0, 0);
    let url = format!("{url}?p=B2C_1_signin");
    assert_eq!(home.verdicts(&["--jwks", &url], part(&set, "access_token")).0, 0, "a query stays");
    let named = home.run(&["verify", "--jwks", "https://u:p@keys.example/jwks", "a.b.c"]);
    assert!(named.code == 2 && named.err.contains("--jwks: the address must not"), "{named:?}");
    let plain = home.verify(&["--jwks", "HTTP://keys.example/jwks"], part(&set, "access_token"));
    assert_eq!(plain.failure(), code(2, "usage"));
}

#[test]
fn a_line_as_long_as_can_be_costs_only_itself() {
    let home = Home::new();
    let set = set(&home);
    for length in [(1 << 20) - 2, (1 << 20) - 1, 1 << 20, (1 << 20) + 1] {
        let input = format!("{}\n{}\n", "a".repeat(length), part(&set, "access_token"));
        let (code, verdicts) = home.verdicts(&[], &input);
        assert_eq!((code, verdicts.len()), (6, 2), "{length}");
        assert_eq!(verdicts[1]["valid"], true, "{length}");
    }
}

#[test]
fn a_huge_line_costs_only_itself() {
    let home = Home::new();
    let set = set(&home);
    let input = format!("{}\n{}\n", "a".repeat(3 << 20), part(&set, "access_token"));
    let (code, verdicts) = home.verdicts(&[], &input);
    assert_eq!((code, verdicts.len()), (6, 2));
    assert_eq!((&verdicts[0]["valid"], &verdicts[1]["valid"]), (&json!(false), &json!(true)));
}

#[test]
fn no_keys_no_verdict() {
    let mut home = Home::new();
    let set = set(&home);
    let access = part(&set, "access_token").to_owned();
    home.server.fault(Fault::new("html").path("jwks").count(9));
    let ran = home.verify(&[], &access);
    assert!(ran.err.contains("cannot be fetched: "), "{ran:?}");
    assert!(ran.err.contains("check that --jwks or --base-url"), "the cause is known: {ran:?}");
    assert_eq!(ran.failure(), code(4, "unavailable"));
    let vectors = include_str!("../../cotter-jwt/tests/vectors/cotter-vectors.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let unsigned = home.refused(&[], part(&vectors, "access_token_alg_none"));
    assert_eq!(unsigned, "alg_none", "no key could save it");
    home.server.clear_faults();
    assert_eq!(home.verify(&["--jwks", "/nowhere"], &access).failure(), code(2, "usage"));
    let plain = home.verify(&["--jwks", "http://keys.example/jwks"], &access);
    assert_eq!(plain.failure(), code(2, "usage"));
    let file = home.dir.path().join("bad.json");
    std::fs::write(&file, "[]").unwrap();
    let bad = home.verify(&["--jwks", file.to_str().unwrap()], &access);
    assert_eq!(bad.failure(), code(2, "usage"));
    assert_eq!(home.verify(&[], "").failure(), code(6, "invalid_token"), "nothing is not valid");
    home.set("COTTER_BASE_URL", "http://127.0.0.1:9/api/v0");
    assert_eq!(home.verify(&[], &access).failure(), code(4, "unavailable"));
    assert_eq!(home.verdicts(&[], "no.token").0, 6, "what is no token needs no keys");
    home.unset("COTTER_API_KEY_ID");
    assert_eq!(home.verify(&[], &access).failure(), code(2, "usage"));
}

#[test]
fn people_get_words_and_no_token() {
    let home = Home::new();
    let set = set(&home);
    let access = part(&set, "access_token");
    let ran = home.run(&["verify", access]);
    let who = home.json(&["decode", access])["claims"]["sub"].as_str().unwrap().to_owned();
    assert!(ran.out.starts_with(&format!("valid: {who}, until 20")), "{ran:?}");
    let ran_id = home.run(&["verify", "--id-token", part(&set, "id_token")]);
    assert!(ran_id.out.starts_with("valid: ada@example.test, until 20"), "{ran_id:?}");
    assert!(ran.err.contains("arguments"), "{ran:?}");
    let ran = home.run(&["verify", "--audience", "x", access]);
    assert_eq!((ran.code, ran.out.lines().count()), (6, 1));
    assert!(ran.out.starts_with("invalid: wrong_audience (the token is for"), "{ran:?}");
    assert!(!format!("{ran:?}").contains(access.rsplit_once('.').unwrap().1), "{ran:?}");
}
