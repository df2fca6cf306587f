//! A tiny HTTP client that sees broken answers as they are, and helpers over it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cotter_emulator::{Config, Emulator};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

/// What came back, be it whole or not.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// Whether the body is as long as its header says.
    pub(crate) fn whole(&self) -> bool {
        self.header("content-length").is_some_and(|n| n == self.body.len().to_string())
    }
}

/// One request on a connection of its own; `None` if not one byte came back.
pub(crate) fn call(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Answer> {
    let rest = url.strip_prefix("http://").expect("plain http");
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = TcpStream::connect(host).expect("listening");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out can be set");
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(head.as_bytes()).expect("written");
    let mut raw = Vec::new();
    // A reset after some bytes still leaves those bytes.
    let _ = stream.read_to_end(&mut raw);
    parse(&raw)
}

fn parse(raw: &[u8]) -> Option<Answer> {
    let end = raw.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let pair = |line: &str| line.split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned()));
    Some(Answer {
        status,
        headers: lines.filter_map(pair).collect(),
        body: raw[end + 4..].to_vec(),
    })
}

pub(crate) fn start() -> Emulator {
    with(Config::default())
}

pub(crate) fn with(config: Config) -> Emulator {
    Emulator::start(config).expect("loopback is there")
}

/// A POST to the API with the right key.
pub(crate) fn post(emulator: &Emulator, path: &str, body: &Value) -> Option<Answer> {
    let url = format!("{}{path}", emulator.base_url());
    call("POST", &url, &[("API_KEY_ID", emulator.api_key_id())], &body.to_string())
}

/// A GET of the API with the right key.
pub(crate) fn get(emulator: &Emulator, path: &str) -> Answer {
    let url = format!("{}{path}", emulator.base_url());
    call("GET", &url, &[("API_KEY_ID", emulator.api_key_id())], "").expect("an answer")
}

/// A request to the control interface.
pub(crate) fn control(emulator: &Emulator, method: &str, path: &str, body: &str) -> Answer {
    call(method, &format!("{}{path}", emulator.control_url()), &[], body).expect("an answer")
}

/// A refresh by the path form; `None` if the connection closed without an answer.
pub(crate) fn try_refresh(emulator: &Emulator, token: &str) -> Option<Answer> {
    let body = json!({ "grant_type": "refresh_token", "refresh_token": token });
    post(emulator, &format!("/token/{}", emulator.api_key_id()), &body)
}

pub(crate) fn refresh(emulator: &Emulator, token: &str) -> Answer {
    try_refresh(emulator, token).expect("an answer")
}

/// A refresh that succeeds.
pub(crate) fn granted(emulator: &Emulator, token: &str) -> Value {
    let answer = refresh(emulator, token);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Signs in: the first set of a family.
pub(crate) fn sign_in(emulator: &Emulator) -> Value {
    serde_json::from_str(&emulator.token_set("ada@example.test")).expect("JSON")
}

pub(crate) fn field<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_else(|| panic!("{name} in {object}"))
}

pub(crate) fn refresh_token(set: &Value) -> String {
    field(set, "refresh_token").to_owned()
}

fn part(jwt: &str, at: usize) -> Value {
    let text = jwt.split('.').nth(at).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64url")).expect("JSON")
}

pub(crate) fn header(jwt: &str) -> Value {
    part(jwt, 0)
}

pub(crate) fn claims(jwt: &str) -> Value {
    part(jwt, 1)
}

/// The names of an object's members, sorted.
pub(crate) fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Whether the JWK with the token's `kid` made its signature.
pub(crate) fn verifies(emulator: &Emulator, jwt: &str) -> bool {
    let (text, signature) = jwt.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let jwks = get(emulator, "/token/jwks").json();
    let kid = &header(jwt)["kid"];
    jwks["keys"].as_array().expect("keys").iter().filter(|jwk| jwk["kid"] == *kid).any(|jwk| {
        let mut point = vec![4];
        point.extend(URL_SAFE_NO_PAD.decode(field(jwk, "x")).expect("base64url"));
        point.extend(URL_SAFE_NO_PAD.decode(field(jwk, "y")).expect("base64url"));
        assert_eq!(signature.len(), 64);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(text.as_bytes(), &signature).is_ok()
    })
}
