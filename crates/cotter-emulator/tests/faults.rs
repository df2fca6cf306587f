//! Every fault, as a client meets it.

mod common;

use core::time::Duration;
use std::time::Instant;

use common::{
    call, claims, field, get, granted, header, refresh, refresh_token, sign_in, start, try_refresh,
    verifies, with,
};
use cotter_emulator::{Config, Emulator, FAULTS, Fault, OnReuse, Rotation};
use serde_json::{Value, json};

/// The answer to a refresh that meets this fault, and the token it presented.
fn met(emulator: &Emulator, fault: Fault) -> (common::Answer, String) {
    let token = refresh_token(&sign_in(emulator));
    emulator.fault(fault);
    (refresh(emulator, &token), token)
}

/// The set that a fault of this name leaves, uncommitted.
fn spoilt(emulator: &Emulator, name: &str) -> Value {
    let (answer, token) = met(emulator, Fault::new(name));
    assert_eq!(answer.status, 200, "{name}");
    // Nothing was spent: the same token still buys a sound set.
    granted(emulator, &token);
    answer.json()
}

#[test]
fn a_dropped_request_changes_nothing_and_a_lost_answer_rotates() {
    let emulator = start();
    let first = refresh_token(&sign_in(&emulator));
    emulator.fault(Fault::new("drop"));
    assert!(try_refresh(&emulator, &first).is_none());
    assert_eq!(emulator.counters().exchanges, 0);
    emulator.fault(Fault::lost_rotation());
    assert!(try_refresh(&emulator, &first).is_none());
    assert_eq!(emulator.counters().exchanges, 1);
    assert_eq!(refresh(&emulator, &first).status, 400);
    let lost = emulator.current_refresh_token("ada@example.test").expect("issued");
    assert_ne!(lost, first);
    granted(&emulator, &lost);
    assert_eq!(emulator.counters().faults, 2);
}

#[test]
fn half_an_answer() {
    let emulator = start();
    let (answer, token) = met(&emulator, Fault::new("half"));
    assert_eq!(answer.status, 200);
    assert!(!answer.whole() && !answer.body.is_empty());
    granted(&emulator, &token);
    let (answer, token) = met(&emulator, Fault::new("half").after_commit());
    assert!(!answer.whole());
    assert_eq!(refresh(&emulator, &token).status, 400);
}

#[test]
fn statuses_with_their_headers() {
    let emulator = start();
    for (name, status) in [("500", 500), ("503", 503), ("429", 429), ("408", 408), ("status", 500)]
    {
        let (answer, token) = met(&emulator, Fault::new(name));
        assert_eq!(answer.status, status);
        assert!(answer.json()["msg"].is_string());
        assert_eq!(answer.header("retry-after"), (status == 429).then_some("1"));
        granted(&emulator, &token);
    }
    let (answer, token) = met(&emulator, Fault::status(503).retry_after(2).after_commit());
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")));
    assert_eq!(refresh(&emulator, &token).status, 400, "it was committed first");
    let (answer, _) = met(&emulator, Fault::new("redirect"));
    let portal = format!("{}/portal", emulator.control_url());
    assert_eq!((answer.status, answer.header("location")), (302, Some(portal.as_str())));
    assert!(call("GET", &portal, &[], "").expect("an answer").text().contains("network"));
    let (answer, _) = met(&emulator, Fault::new("redirect").location("http://127.0.0.1:1/x"));
    assert_eq!(answer.header("location"), Some("http://127.0.0.1:1/x"));
}

#[test]
fn rejections_in_every_shape() {
    let emulator = start();
    for (status, body, text) in [
        (400, "json", r#"{"msg":"Refresh token is not valid","type":""}"#),
        (401, "empty", ""),
        (403, "null", "null"),
        (400, "array", "[]"),
        (400, "not json", "not json"),
    ] {
        let (answer, token) = met(&emulator, Fault::reject(status).body(body));
        assert_eq!((answer.status, answer.text().as_str()), (status, text));
        granted(&emulator, &token);
    }
    let (answer, _) = met(&emulator, Fault::reject(400).body("html"));
    assert!(answer.text().starts_with("<!doctype html>"));
    let (answer, _) = met(&emulator, Fault::reject(400).msg("Token NOT VALID any more"));
    assert_eq!(answer.json()["msg"], "Token NOT VALID any more");
}

#[test]
fn successes_that_are_none() {
    let emulator = start();
    for (name, text) in [("empty", ""), ("null", "null"), ("array", "[]")] {
        let (answer, token) = met(&emulator, Fault::new(name));
        assert_eq!((answer.status, answer.text().as_str()), (200, text));
        granted(&emulator, &token);
    }
    let (answer, _) = met(&emulator, Fault::new("html"));
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
}

#[test]
fn members_missing_or_of_another_type() {
    let emulator = start();
    for name in ["access_token", "id_token", "refresh_token", "expires_in"] {
        let set = spoilt(&emulator, &format!("no_{name}"));
        assert_eq!(set.get(name), None);
        assert_eq!(set.as_object().map(serde_json::Map::len), Some(5));
    }
    assert_eq!(spoilt(&emulator, "null-refresh-token")["refresh_token"], Value::Null);
    assert_eq!(spoilt(&emulator, "empty-refresh-token")["refresh_token"], "");
    assert_eq!(spoilt(&emulator, "string-expires-in")["expires_in"], "3600");
    assert_eq!(spoilt(&emulator, "huge-expires-in")["expires_in"], u64::MAX);
    assert_eq!(spoilt(&emulator, "negative-expires-in")["expires_in"], -1);
    assert_eq!(spoilt(&emulator, "expires-in-mismatch")["expires_in"], 2 * 3600 + 1);
    assert_eq!(spoilt(&emulator, "extra-members")["x_unknown"]["deep"][2], "two");
}

#[test]
fn claims_that_are_odd_under_a_good_signature() {
    let emulator = start();
    let ours = emulator.api_key_id();
    let both = |name: &str| {
        let set = spoilt(&emulator, name);
        ["access_token", "id_token"].map(|token| {
            assert!(verifies(&emulator, field(&set, token)), "{name}");
            claims(field(&set, token))
        })
    };
    assert_eq!(both("numeric-auth-time")[1]["auth_time"], -62_135_596_800_i64);
    for claims in both("array-aud") {
        assert_eq!(claims["aud"], json!([ours]));
    }
    for claims in both("wrong-aud") {
        assert!(claims["aud"].is_string() && claims["aud"] != ours);
    }
    for claims in both("wrong-iss") {
        assert_ne!(claims["iss"], "https://www.cotter.app");
    }
    for claims in both("extra-claims") {
        assert!(claims["roles"].is_array() && claims["tenant"].is_object());
    }
    for claims in both("no-exp") {
        assert_eq!(claims.get("exp"), None);
    }
    for claims in both("expired") {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        assert!(claims["exp"].as_u64() < Some(now.expect("after 1970").as_secs()));
    }
    let ada = claims(field(&sign_in(&emulator), "access_token"))["sub"].clone();
    for claims in both("other-sub") {
        assert_ne!(claims["sub"], ada);
    }
    for claims in both("user-prefix-sub") {
        assert_eq!(claims["sub"], format!("USER:{}", ada.as_str().expect("text")));
    }
}

#[test]
fn tokens_that_no_key_signed() {
    let emulator = start();
    assert!(!field(&spoilt(&emulator, "not-a-jwt"), "access_token").contains('.'));
    let none = spoilt(&emulator, "alg-none");
    let none = field(&none, "access_token");
    assert!(none.ends_with('.'));
    assert_eq!(header(none)["alg"], "none");
    let bad = spoilt(&emulator, "bad-signature");
    assert!(!verifies(&emulator, field(&bad, "access_token")));
    let jwks = get(&emulator, "/token/jwks").text();
    let kid = |set: &Value| field(&header(field(set, "access_token")), "kid").to_owned();
    assert!(jwks.contains(&kid(&bad)));
    assert!(!jwks.contains(&kid(&spoilt(&emulator, "unknown-kid"))));
}

#[test]
fn bodies_that_are_too_much() {
    let emulator = start();
    let (answer, _) = met(&emulator, Fault::new("oversized"));
    assert!(answer.whole() && answer.body.len() > 64 << 10 && answer.body.len() < 80 << 10);
    assert!(answer.json()["access_token"].is_string());
    let (answer, _) = met(&emulator, Fault::new("oversized-1m"));
    assert!(answer.whole() && answer.body.len() > 1 << 20);
    let (answer, _) = met(&emulator, Fault::new("oversized").bytes(10));
    assert_eq!(answer.json()["padding"], "x".repeat(10));
}

#[test]
fn headers_that_lie_or_are_unwanted() {
    let emulator = start();
    let (answer, _) = met(&emulator, Fault::new("gzip-lie"));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert!(answer.json()["access_token"].is_string(), "it is plain");
    let (answer, _) = met(&emulator, Fault::new("set-cookie"));
    assert!(answer.header("set-cookie").is_some());
}

#[test]
fn time_is_taken_before_or_after() {
    let emulator = start();
    let token = refresh_token(&sign_in(&emulator));
    let wait = Duration::from_millis(300);
    for fault in [Fault::delay(wait), Fault::delay(wait).after_commit()] {
        let late = fault.clone() == Fault::delay(wait).after_commit();
        let token =
            emulator.current_refresh_token("ada@example.test").unwrap_or_else(|| token.clone());
        let before = emulator.counters().exchanges;
        emulator.fault(fault);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let call = scope.spawn(|| granted(&emulator, &token));
            std::thread::sleep(Duration::from_millis(120));
            let during = emulator.counters().exchanges - before;
            assert_eq!(during, u64::from(late), "after_commit: {late}");
            call.join().expect("no panic");
        });
        assert!(begun.elapsed() >= wait);
        assert_eq!(emulator.counters().exchanges, before + 1, "a delay always commits");
    }
    let begun = Instant::now();
    let (answer, _) = met(&emulator, Fault::new("drip").ms(20));
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert!(answer.whole());
}

#[test]
fn faults_keep_to_their_path_and_count() {
    let emulator = start();
    emulator.fault(Fault::status(503).path("jwks").count(2));
    let token = refresh_token(&sign_in(&emulator));
    let set = granted(&emulator, &token);
    assert_eq!(get(&emulator, "/token/jwks").status, 503);
    assert_eq!(get(&emulator, "/token/jwks").status, 503);
    assert_eq!(get(&emulator, "/token/jwks").status, 200);
    emulator.fault(Fault::status(500).count(5));
    emulator.fault(Fault::new("status").count(0));
    granted(&emulator, &refresh_token(&set));
    emulator.fault(Fault::new("empty").path("user"));
    assert_eq!(get(&emulator, "/user?identifier=x").text(), "");
    emulator.fault(Fault::new("html").path("any"));
    assert!(get(&emulator, "/token/jwks").text().starts_with("<!doctype"));
}

#[test]
fn every_fault_of_the_table_does_something() {
    let emulator = start();
    for (name, _) in FAULTS.iter().filter(|(name, _)| *name != "delay") {
        let token = refresh_token(&sign_in(&emulator));
        let before = refresh_token(&sign_in(&emulator));
        let plain = granted(&emulator, &before);
        emulator.fault(Fault::new(*name).ms(1));
        let Some(answer) = try_refresh(&emulator, &token) else {
            assert_eq!(*name, "drop");
            continue;
        };
        let same = answer.status == 200
            && answer.whole()
            && answer.header("set-cookie").is_none()
            && answer.header("content-encoding").is_none()
            && serde_json::from_slice::<Value>(&answer.body)
                .is_ok_and(|set| looks_like(&emulator, &set, &plain));
        assert!(!same || *name == "drip", "{name} changed nothing");
    }
}

/// Whether two sets differ in nothing but ids, times and signatures.
fn looks_like(emulator: &Emulator, set: &Value, plain: &Value) -> bool {
    let shape = |set: &Value| {
        let mut shape = set.clone();
        if field(set, "refresh_token").len() > 50 {
            shape["refresh_token"] = json!("one of full length");
        }
        for name in ["access_token", "id_token"] {
            let token = set[name].as_str()?;
            if !token.contains('.') || !verifies(emulator, token) {
                return None;
            }
            let mut claims = claims(token);
            claims["jti"] = Value::Null;
            let now = claims["iat"].as_i64()?;
            claims["exp"] = json!(claims.get("exp")?.as_i64()? - now);
            let fresh = (now - plain_now()).abs() < 60;
            claims["iat"] = json!(fresh);
            shape[name] = claims;
        }
        Some(shape)
    };
    let complete = |set: &Value| set.as_object().is_some_and(|members| members.len() == 6);
    complete(set)
        && set["refresh_token"].is_string()
        && shape(set).is_some_and(|this| Some(this) == shape(plain))
}

fn plain_now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("before the end")
}

#[test]
fn a_replay_within_a_grace_meets_faults_and_the_kept_answer_stays_sound() {
    let grace = Rotation::Grace(Duration::from_secs(30));
    let emulator = with(Config::default().with_rotation(grace));
    let first = refresh_token(&sign_in(&emulator));
    let kept = granted(&emulator, &first);
    let claims_of = |set: &Value| claims(field(set, "access_token"));
    for commit in [false, true] {
        let met = |name: &str| {
            let fault = Fault::new(name);
            emulator.fault(if commit { fault.after_commit() } else { fault });
            let set = granted(&emulator, &first);
            assert_eq!(granted(&emulator, &first), kept, "after {name}");
            set
        };
        let bare = met("no-access-token");
        assert_eq!(bare.get("access_token"), None);
        assert_eq!(
            (&bare["id_token"], &bare["refresh_token"]),
            (&kept["id_token"], &kept["refresh_token"])
        );
        let other = met("other-sub");
        assert!(verifies(&emulator, field(&other, "access_token")), "signed anew");
        assert_ne!(claims_of(&other)["sub"], claims_of(&kept)["sub"]);
        assert_eq!(
            claims_of(&other)["jti"],
            claims_of(&kept)["jti"],
            "the kept token, but for that"
        );
        let expired = met("expired");
        assert!(claims_of(&expired)["exp"].as_i64() < claims_of(&kept)["iat"].as_i64());
        assert!(!verifies(&emulator, field(&met("bad-signature"), "access_token")));
        assert_eq!(met("empty-refresh-token")["refresh_token"], "");
    }
    assert_eq!(emulator.counters().exchanges, 1);

    // The first answer may be spoilt as well: what is kept is sound all the same.
    let first = refresh_token(&sign_in(&emulator));
    emulator.fault(Fault::new("no-access-token").after_commit());
    let bare = granted(&emulator, &first);
    let replay = granted(&emulator, &first);
    assert_eq!(bare.get("access_token"), None);
    assert_eq!(replay["refresh_token"], bare["refresh_token"]);
    assert!(verifies(&emulator, field(&replay, "access_token")));
}

#[test]
fn without_after_commit_a_replay_issues_and_revokes_nothing() {
    let emulator = with(Config::default().with_on_reuse(OnReuse::RevokeFamily));
    let first = refresh_token(&sign_in(&emulator));
    granted(&emulator, &first);
    emulator.fault(Fault::new("numeric-auth-time"));
    assert_eq!(refresh(&emulator, &first).status, 400);
    assert!(emulator.is_family_alive("ada@example.test"));
    emulator.fault(Fault::new("numeric-auth-time").after_commit());
    assert_eq!(refresh(&emulator, &first).status, 400);
    assert!(!emulator.is_family_alive("ada@example.test"));

    emulator.reset();
    emulator.configure(|config| {
        config.rotation = Rotation::Grace(Duration::from_secs(30));
        config.grace_new_successor = true;
    });
    let first = refresh_token(&sign_in(&emulator));
    let second = refresh_token(&granted(&emulator, &first));
    emulator.fault(Fault::new("no-id-token"));
    assert_eq!(refresh_token(&granted(&emulator, &first)), first);
    assert_eq!(emulator.current_refresh_token("ada@example.test"), Some(second.clone()));
    emulator.fault(Fault::new("no-id-token").after_commit());
    let third = refresh_token(&granted(&emulator, &first));
    assert!(third != first && third != second);
}

#[test]
fn without_rotation_no_answer_has_a_refresh_token() {
    let emulator = with(Config::default().with_rotation(Rotation::None));
    let token = refresh_token(&sign_in(&emulator));
    for name in ["drip", "set-cookie", "numeric-auth-time", "oversized", "no-id-token", "delay"] {
        for fault in [Fault::new(name), Fault::new(name).after_commit()] {
            emulator.fault(fault.ms(1));
            assert_eq!(granted(&emulator, &token).get("refresh_token"), None, "{name}");
        }
    }
}
