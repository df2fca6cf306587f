//! The JWTs: their claims, profile by profile, their signatures and their times.

mod common;

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use common::{claims, field, get, granted, header, names, refresh_token, sign_in, start, verifies};
use cotter_emulator::{Config, Emulator, Profile, TokenSetOptions};
use serde_json::{Value, json};

const COMMON: [&str; 6] = ["aud", "client_user_id", "exp", "iat", "iss", "sub"];

fn set_of(profile: Profile) -> (Emulator, Value) {
    let emulator = common::with(Config::default().with_profile(profile));
    let first = sign_in(&emulator);
    // What a refresh issues is held to the same.
    let set = granted(&emulator, &refresh_token(&first));
    (emulator, set)
}

fn has(claims: &Value, more: &[&str]) {
    let mut expected: Vec<&str> = COMMON.iter().chain(more).copied().collect();
    expected.sort_unstable();
    assert_eq!(names(claims), expected);
}

#[test]
fn claims_of_august_2020_are_the_default() {
    let emulator = start();
    let set = sign_in(&emulator);
    let access = field(&set, "access_token");
    let id = field(&set, "id_token");
    for token in [access, id] {
        assert_eq!(names(&header(token)), ["alg", "kid", "typ"]);
        assert_eq!(
            (&header(token)["alg"], &header(token)["typ"]),
            (&json!("ES256"), &json!("JWT"))
        );
        assert!(verifies(&emulator, token));
    }
    let (access, id) = (claims(access), claims(id));
    has(&access, &["authentication_method", "jti", "scope", "type"]);
    has(&id, &["auth_time", "identifier", "jti", "type"]);
    assert_eq!(access["type"], "client_access_token");
    assert_eq!(access["scope"], "access");
    assert_eq!(access["authentication_method"], "OTP");
    assert_eq!(id["type"], "client_id_token");
    assert_eq!(id["auth_time"], "-62135596800");
    assert_eq!(id["identifier"], "ada@example.test");
    assert_eq!(access["aud"], emulator.api_key_id());
    assert_eq!(access["iss"], "https://www.cotter.app");
    assert_eq!(access["sub"], access["client_user_id"]);
    assert_eq!(access["sub"], id["sub"]);
    assert_ne!(access["jti"], id["jti"]);
    assert_eq!(field(&access, "sub").len(), 36);
    let next = granted(&emulator, &refresh_token(&set));
    let next_access = claims(field(&next, "access_token"));
    assert_eq!(next_access["sub"], access["sub"]);
    assert_ne!(next_access["jti"], access["jti"]);
}

#[test]
fn claims_of_april_2020_have_no_ids_and_a_prefix() {
    let (_emulator, set) = set_of(Profile::V2020_04);
    let (access, id) = (field(&set, "access_token"), field(&set, "id_token"));
    assert_eq!(names(&header(access)), ["alg", "typ"]);
    has(&claims(access), &["authentication_method", "scope", "type"]);
    has(&claims(id), &["auth_time", "identifier", "type"]);
    let claims = claims(access);
    let uuid = field(&claims, "sub").strip_prefix("USER:").expect("the prefix");
    assert_eq!(claims["client_user_id"], uuid);
    assert_eq!(claims["type"], "client_access_token");
}

#[test]
fn claims_of_the_latest_docs_say_access_token() {
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let (emulator, set) = set_of(Profile::Latest);
    let (access, id) = (field(&set, "access_token"), field(&set, "id_token"));
    assert!(verifies(&emulator, access) && verifies(&emulator, id));
    has(&claims(access), &["authentication_method", "identifier", "jti", "scope", "type"]);
    has(&claims(id), &["auth_time", "identifier", "jti", "type"]);
    assert_eq!(claims(access)["type"], "access_token");
    assert_eq!(claims(access)["identifier"], "ada@example.test");
    let auth_time: u64 = field(&claims(id), "auth_time").parse().expect("a number as text");
    assert!((before..before + 60).contains(&auth_time));
}

#[test]
fn a_session_may_have_a_life_a_profile_and_a_method_of_its_own() {
    let emulator = start();
    let options = TokenSetOptions {
        identifier: "zo\u{eb}@example.test".into(),
        access_ttl: Some(Duration::from_millis(1500)),
        profile: Some(Profile::Latest),
        ..TokenSetOptions::default()
    };
    let set = emulator.token_set_with(options.with_auth_method("MAGIC_LINK"));
    let set: Value = serde_json::from_str(&set).expect("JSON");
    assert_eq!((&set["expires_in"], &set["auth_method"]), (&json!(2), &json!("MAGIC_LINK")));
    let access = claims(field(&set, "access_token"));
    assert_eq!(access["identifier"], "zo\u{eb}@example.test");
    let next = granted(&emulator, &refresh_token(&set));
    assert_eq!(next["expires_in"], 3600, "the life was the first set's");
    assert_eq!(claims(field(&next, "access_token"))["type"], "access_token");
}

#[test]
fn rotated_keys_sign_and_the_old_still_verifies() {
    let emulator = start();
    let old = field(&sign_in(&emulator), "access_token").to_owned();
    emulator.rotate_keys();
    let new = field(&sign_in(&emulator), "access_token").to_owned();
    assert_ne!(header(&old)["kid"], header(&new)["kid"]);
    assert!(verifies(&emulator, &old) && verifies(&emulator, &new));
    let keys = get(&emulator, "/token/jwks").json();
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2));
    assert_eq!(keys["keys"][1]["kid"], header(&new)["kid"]);
    emulator.replace_keys();
    assert!(!verifies(&emulator, &new), "the old key has gone");
}

#[test]
fn the_offset_moves_claims_and_the_date() {
    let emulator = start();
    let real =
        claims(field(&sign_in(&emulator), "access_token"))["iat"].as_i64().expect("a number");
    emulator.set_clock_offset(-86_400);
    let early = claims(field(&sign_in(&emulator), "access_token"));
    let iat = early["iat"].as_i64().expect("a number");
    assert!((real - 86_400 - iat).abs() <= 2);
    assert_eq!(early["exp"].as_i64(), Some(iat + 3600));
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    let date = get(&emulator, "/token/jwks").header("date").expect("a date").to_owned();
    let said = httpdate::parse_http_date(&date).expect("a date");
    let apart = said.duration_since(yesterday).or_else(|_| yesterday.duration_since(said));
    assert!(apart.expect("one of them is later") < Duration::from_secs(5));
}
