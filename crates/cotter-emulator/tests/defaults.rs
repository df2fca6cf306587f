//! What the server does where the protocol is silent, and the switches that change it.

mod common;

use common::{call, control, field, get, post, refresh, refresh_token, sign_in, start, with};
use cotter_emulator::{Config, RejectBody};
use serde_json::json;

#[test]
fn rejections_take_the_shape_they_are_told() {
    let emulator = start();
    let default = refresh(&emulator, "1:unknown");
    assert_eq!(default.status, 400);
    assert_eq!(default.text(), r#"{"msg":"Refresh token is not valid","type":""}"#);
    for (status, shape, text) in [
        (401, RejectBody::Json, r#"{"msg":"Refresh token is not valid","type":""}"#),
        (403, RejectBody::Empty, ""),
        (400, RejectBody::Null, "null"),
    ] {
        emulator.configure(|config| {
            config.reject_status = status;
            config.reject_body = shape;
        });
        let answer = refresh(&emulator, "1:unknown");
        assert_eq!((answer.status, answer.text().as_str()), (status, text));
    }
    emulator.configure(|config| config.reject_body = RejectBody::Html);
    let page = refresh(&emulator, "1:unknown");
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(page.text().starts_with("<!doctype html>"));
}

#[test]
fn a_missing_or_empty_refresh_token_is_rejected_the_same_way() {
    let emulator = start();
    let path = format!("/token/{}", emulator.api_key_id());
    for body in [
        json!({"grant_type": "refresh_token"}),
        json!({"grant_type": "refresh_token", "refresh_token": ""}),
        json!({"grant_type": "refresh_token", "refresh_token": null}),
    ] {
        let answer = post(&emulator, &path, &body).expect("an answer");
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["msg"], "Refresh token is not valid");
    }
    let grant = post(&emulator, &path, &json!({"grant_type": "password"})).expect("an answer");
    assert_eq!(grant.status, 400);
    assert_eq!(grant.json()["type"], "");
}

#[test]
fn an_unknown_key_or_a_mismatch_is_forbidden_and_spends_nothing() {
    let emulator = start();
    let token = refresh_token(&sign_in(&emulator));
    let ours = emulator.api_key_id();
    let other = "00000000-0000-4000-8000-000000000001";
    let body = json!({"grant_type": "refresh_token", "refresh_token": token}).to_string();
    for (path, header) in [
        (format!("/token/{other}"), Some(ours)),
        (format!("/token/{ours}"), Some(other)),
        (format!("/token/{other}"), Some(other)),
        (format!("/token/{ours}"), None),
        ("/token".into(), Some(other)),
        ("/token".into(), None),
    ] {
        let url = format!("{}{path}", emulator.base_url());
        let headers: Vec<(&str, &str)> =
            header.map(|key| ("API_KEY_ID", key)).into_iter().collect();
        let answer = call("POST", &url, &headers, &body).expect("an answer");
        assert_eq!(answer.status, 403, "{path} {header:?}");
        assert_eq!(answer.text(), r#"{"msg":"API key is not recognised","type":""}"#);
    }
    let url = format!("{}/token/{ours}", emulator.base_url());
    // Header names know no case.
    let answer = call("POST", &url, &[("api_key_id", ours)], &body).expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(emulator.counters().exchanges, 1);
}

#[test]
fn the_jwks_has_two_keys_and_the_active_one_is_second() {
    let emulator = start();
    let url = format!("{}/token/jwks", emulator.base_url());
    let answer = call("GET", &url, &[], "").expect("no header is needed");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), None);
    let jwks = answer.json();
    let keys = jwks["keys"].as_array().expect("keys");
    assert_eq!(keys.len(), 2);
    for key in keys {
        assert_eq!(common::names(key), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert_eq!((&key["kty"], &key["crv"]), (&json!("EC"), &json!("P-256")));
        assert_eq!((&key["alg"], &key["use"]), (&json!("ES256"), &json!("sig")));
        let uuid = field(key, "kid").strip_prefix("SPACE_JWT_PUBLIC:").expect("the prefix");
        assert!(uuid.len() == 36 && uuid == uuid.to_ascii_uppercase());
    }
    let set = sign_in(&emulator);
    assert_eq!(common::header(field(&set, "access_token"))["kid"], keys[1]["kid"]);
    emulator.configure(|config| {
        config.active_key_first = true;
        config.jwks_alg_use = false;
    });
    let swapped = get(&emulator, "/token/jwks").json();
    assert_eq!(swapped["keys"][0]["kid"], keys[1]["kid"]);
    assert_eq!(common::names(&swapped["keys"][0]), ["crv", "kid", "kty", "x", "y"]);
    assert_eq!(emulator.counters().jwks, 2);
}

#[test]
fn the_key_id_can_be_given() {
    let kid = "SPACE_JWT_PUBLIC:8028AAA3-EC2D-4BAA-BE7A-7C8359CCB9F9".to_owned();
    let emulator = with(Config::default().with_kid(Some(kid.clone())));
    let set = sign_in(&emulator);
    let access = field(&set, "access_token");
    assert_eq!(common::header(access)["kid"], kid);
    assert!(common::verifies(&emulator, access));
    let other = json!({"kid": "SPACE_JWT_PUBLIC:X"}).to_string();
    assert_eq!(control(&emulator, "POST", "/config", &other).status, 200);
    let set = sign_in(&emulator);
    assert_eq!(common::header(field(&set, "id_token"))["kid"], "SPACE_JWT_PUBLIC:X");
}

#[test]
fn users_are_made_once_and_found() {
    let emulator = start();
    let body = json!({"identifier": "+15550100123"});
    let made = post(&emulator, "/user/create", &body).expect("an answer");
    assert_eq!(made.status, 200);
    let user = made.json();
    assert_eq!(user["identifier"], "+15550100123");
    assert_eq!(user["client_user_id"], user["ID"]);
    assert_eq!(user["issuer"], emulator.api_key_id());
    assert_eq!(user["enrolled"], json!([]));
    assert_eq!(user["deleted_at"], "0001-01-01T00:00:00Z");
    assert_eq!(user["oauth_token"], json!(null));
    let again = post(&emulator, "/user/create", &body).expect("an answer");
    assert_eq!(again.status, 400);
    assert_eq!(again.text(), r#"{"msg":"User already exists","type":""}"#);
    let found = get(&emulator, "/user?identifier=%2B15550100123").json();
    assert_eq!(found["ID"], user["ID"]);

    let own = json!({"client_user_id": "user-1014", "identifiers": ["eve@example.test"]});
    let asked = post(&emulator, "/user/create?oauth_token=true", &own).expect("an answer").json();
    assert_eq!(asked["client_user_id"], "user-1014");
    assert_eq!(asked["identifier"], "eve@example.test");
    let access = common::claims(field(&asked["oauth_token"], "access_token"));
    assert_eq!((&access["sub"], &access["client_user_id"]), (&asked["ID"], &json!("user-1014")));
    assert_eq!(get(&emulator, "/user/user-1014").json()["ID"], asked["ID"]);
    assert_eq!(emulator.counters().users_created, 2);
}

#[test]
fn an_unknown_user_has_the_zero_id_or_is_a_404() {
    let emulator = start();
    let nobody = get(&emulator, "/user?identifier=nobody%40example.test");
    assert_eq!(nobody.status, 200);
    assert_eq!(nobody.json()["ID"], "00000000-0000-0000-0000-000000000000");
    emulator.configure(|config| config.unknown_user_404 = true);
    assert_eq!(get(&emulator, "/user?identifier=nobody%40example.test").status, 404);
}

#[test]
fn the_worker_judges_in_the_body() {
    let emulator = start();
    let url = format!("{}/verify", emulator.worker_url());
    let ask = |token: &str, key: Option<&str>| {
        let body = json!({"oauth_token": {"access_token": token}}).to_string();
        let headers: Vec<(&str, &str)> = key.map(|key| ("API_KEY_ID", key)).into_iter().collect();
        let answer = call("POST", &url, &headers, &body).expect("an answer");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        answer.json()
    };
    let set = sign_in(&emulator);
    let access = field(&set, "access_token");
    let invalid = json!({"success": false, "reason": "Error: Invalid JWT token"});
    assert_eq!(ask(access, Some(emulator.api_key_id())), json!({"success": true}));
    assert_eq!(ask(access, None), json!({"success": true}));
    assert_eq!(ask(access, Some("another")), invalid);
    assert_eq!(ask("", None), invalid);
    assert_eq!(ask("a.b.c", None), invalid);
    let tampered = access.replacen('.', ".A", 1);
    assert_eq!(ask(&tampered, None)["success"], false);
    let (text, _) = access.rsplit_once('.').expect("three parts");
    let forged = format!("{text}.{}", "A".repeat(86));
    assert_eq!(ask(&forged, None)["reason"], "Error: Invalid JWT Signature");
    emulator.set_clock_offset(3601);
    assert_eq!(ask(access, None), invalid);
    let malformed = call("POST", &url, &[], "{").expect("an answer");
    assert_eq!((malformed.status, malformed.json()), (200, invalid));
    assert_eq!(call("OPTIONS", &url, &[], "").expect("an answer").status, 200);
}

#[test]
fn expires_in_is_true_unless_told() {
    let emulator = start();
    emulator.set_access_ttl(core::time::Duration::from_secs(90));
    let set = sign_in(&emulator);
    let claims = common::claims(field(&set, "access_token"));
    assert_eq!(claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(e, i)| e - i), Some(90));
    assert_eq!(set["expires_in"], 90);
    emulator.configure(|config| config.expires_in = Some(7));
    assert_eq!(sign_in(&emulator)["expires_in"], 7);
}

#[test]
fn anything_else_is_not_found() {
    let emulator = start();
    assert_eq!(get(&emulator, "/nothing").status, 404);
}
