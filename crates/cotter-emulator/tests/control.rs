//! The control interface, and the handle that mirrors it.

mod common;

use core::time::Duration;

use common::{control, field, get, granted, refresh_token, sign_in, start, try_refresh};
use cotter_emulator::{Config, Emulator, Rotation};
use serde_json::{Value, json};

fn ask(emulator: &Emulator, path: &str, body: &Value) -> Value {
    let answer = control(emulator, "POST", path, &body.to_string());
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

#[test]
fn a_token_set_is_the_bare_object() {
    let emulator = start();
    let set = ask(&emulator, "/token-set", &json!({"identifier": "ada@example.test"}));
    let all =
        ["access_token", "auth_method", "expires_in", "id_token", "refresh_token", "token_type"];
    assert_eq!(common::names(&set), all);
    granted(&emulator, &refresh_token(&set));
    for (ttl, seconds) in [(json!(2), 2), (json!("2s"), 2), (json!("5m"), 300), (json!(0), 0)] {
        let body =
            json!({"identifier": "ada@example.test", "access_ttl": ttl, "profile": "latest"});
        let set = ask(&emulator, "/token-set", &body);
        assert_eq!(set["expires_in"], seconds);
        assert_eq!(common::claims(field(&set, "access_token"))["type"], "access_token");
    }
    for bad in [
        json!({}),
        json!({"identifier": "a@example.test", "access_ttl": "soon"}),
        json!({"identifier": "a@example.test", "access_ttl": -1}),
        json!({"identifier": "a@example.test", "profile": "2031"}),
    ] {
        assert_eq!(control(&emulator, "POST", "/token-set", &bad.to_string()).status, 400, "{bad}");
    }
}

#[test]
fn counters_have_the_agreed_names() {
    let emulator = start();
    granted(&emulator, &refresh_token(&sign_in(&emulator)));
    get(&emulator, "/token/jwks");
    let seen = control(&emulator, "GET", "/counters", "").json();
    for (name, count) in [
        ("exchanges", 1),
        ("reuses", 0),
        ("max_in_flight", 1),
        ("jwks", 1),
        ("refresh_requests", 1),
        ("refused", 0),
        ("grace_replays", 0),
    ] {
        assert_eq!(seen[name], count, "{name}");
    }
}

#[test]
fn faults_are_queued_and_listed_and_wrong_ones_refused() {
    let emulator = start();
    let token = refresh_token(&sign_in(&emulator));
    ask(&emulator, "/faults", &json!({"name": "drop", "count": 2, "after_commit": true}));
    let queued = control(&emulator, "GET", "/faults", "").json();
    assert_eq!((&queued[0]["name"], &queued[0]["count"]), (&json!("drop"), &json!(2)));
    assert!(try_refresh(&emulator, &token).is_none());
    assert_eq!(emulator.counters().exchanges, 1);
    ask(&emulator, "/faults", &json!({"name": "all", "count": 0}));
    assert_eq!(control(&emulator, "GET", "/faults", "").json(), json!([]));
    for bad in ["{}", "{\"name\":\"nothing\"}", "{\"name\":\"drop\",\"oops\":1}", "["] {
        assert_eq!(control(&emulator, "POST", "/faults", bad).status, 400, "{bad}");
    }
}

#[test]
fn switches_change_all_or_nothing() {
    let emulator = start();
    let token = refresh_token(&sign_in(&emulator));
    let half = json!({"rotation": "none", "access_ttl": "never"}).to_string();
    let answer = control(&emulator, "POST", "/config", &half);
    assert_eq!(answer.status, 400);
    assert!(field(&answer.json(), "msg").contains("access-ttl"));
    let second = refresh_token(&granted(&emulator, &token));
    ask(&emulator, "/config", &json!({"rotation": "none", "access_ttl": 60, "expires_in": 5}));
    let set = granted(&emulator, &second);
    assert_eq!((set.get("refresh_token"), &set["expires_in"]), (None, &json!(5)));
    for name in ["listen", "api_key_id", "no_such"] {
        let body = json!({ name: "x" }).to_string();
        assert_eq!(control(&emulator, "POST", "/config", &body).status, 400, "{name}");
    }
    emulator.set_rotation(Rotation::Strict);
    assert!(granted(&emulator, &second)["refresh_token"].is_string());
}

#[test]
fn the_clock_and_the_keys_move() {
    let emulator = start();
    let real = ask(&emulator, "/clock", &json!({"offset_s": 0}))["now"].as_i64();
    let moved = ask(&emulator, "/clock", &json!({"offset_s": 1000}))["now"].as_i64();
    assert!(moved >= real.map(|now| now + 1000));
    assert_eq!(control(&emulator, "POST", "/clock", "{}").status, 400);
    let kid = ask(&emulator, "/keys/rotate", &json!({}))["kid"].clone();
    let set = sign_in(&emulator);
    assert_eq!(common::header(field(&set, "access_token"))["kid"], kid);
}

#[test]
fn a_reset_forgets_all_but_the_keys() {
    let emulator = start();
    let set = sign_in(&emulator);
    granted(&emulator, &refresh_token(&set));
    let jwks = get(&emulator, "/token/jwks").text();
    emulator.set_clock_offset(500);
    emulator.set_access_ttl(Duration::from_secs(1));
    ask(&emulator, "/faults", &json!({"name": "drop"}));
    ask(&emulator, "/pause", &json!({}));
    ask(&emulator, "/reset", &json!({}));
    assert_eq!(emulator.counters().exchanges, 0);
    assert_eq!(emulator.current_refresh_token("ada@example.test"), None);
    let token = refresh_token(&sign_in(&emulator));
    assert_eq!(granted(&emulator, &token)["expires_in"], 3600);
    assert_eq!(get(&emulator, "/token/jwks").text(), jwks);
}

#[test]
fn sessions_can_be_looked_at_and_users_deleted() {
    let emulator = start();
    let token = refresh_token(&sign_in(&emulator));
    let look = || control(&emulator, "GET", "/session?identifier=ada%40example.test", "").json();
    assert_eq!(look(), json!({"refresh_token": token, "alive": true}));
    let ada = json!({"identifier": "ada@example.test"});
    assert_eq!(ask(&emulator, "/users/delete", &ada)["success"], true);
    assert_eq!(look(), json!({"refresh_token": null, "alive": false}));
}

#[test]
fn pausing_works_from_outside_and_waiting_from_async_code() {
    let emulator = start();
    let token = refresh_token(&sign_in(&emulator));
    ask(&emulator, "/pause", &json!({}));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (early, arrived) = std::thread::scope(|scope| {
        let early = runtime.block_on(emulator.requests(1, Duration::from_millis(30)));
        let call = scope.spawn(|| granted(&emulator, &token));
        let arrived = runtime.block_on(emulator.requests(1, Duration::from_secs(10)));
        assert_eq!(emulator.counters().exchanges, 0);
        ask(&emulator, "/resume", &json!({}));
        call.join().expect("no panic");
        (early, arrived)
    });
    assert!(!early && arrived);
    assert_eq!(emulator.counters().exchanges, 1);
}

#[test]
fn it_starts_inside_a_runtime_and_stops_when_dropped() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let address = runtime.block_on(async {
        let emulator = Emulator::start(Config::default()).expect("loopback is there");
        emulator.login_url().trim_start_matches("http://").to_owned()
    });
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(Emulator::start(Config::default().with_listen("256.0.0.1:0")).is_err());
}

#[test]
fn a_body_that_makes_no_sense_is_a_400_that_says_why() {
    let emulator = start();
    let ada = |member: &str| format!("{{\"identifier\":\"a@example.test\",{member}}}");
    let bodies = [
        ("/config", ""),
        ("/config", "no JSON"),
        ("/config", "[]"),
        ("/config", "null"),
        ("/config", r#"{"kid":{}}"#),
        ("/config", r#"{"kid":null}"#),
        ("/token-set", ""),
        ("/token-set", "[]"),
        ("/token-set", r#"{"identifier":5}"#),
        ("/token-set", &ada(r#""profile":5"#)),
        ("/token-set", &ada(r#""auth_method":[]"#)),
        ("/token-set", &ada(r#""access_ttl":{}"#)),
        ("/token-set", &ada(r#""access_ttl":true"#)),
        ("/faults", r#"{"name":"oversized","bytes":18446744073709551615}"#),
        ("/faults", r#"{"name":"oversized","bytes":67108865}"#),
        ("/faults", r#"{"name":"status","status":101}"#),
        ("/faults", r#"{"name":"status","status":1000}"#),
        ("/clock", "no JSON"),
        ("/keys/rotate", "no JSON"),
        ("/keys/rotate", r#"{"drop_old":1}"#),
    ];
    for (path, body) in bodies {
        let answer = control(&emulator, "POST", path, body);
        assert_eq!(answer.status, 400, "{path} {body}");
        assert!(!field(&answer.json(), "msg").is_empty(), "{path} {body}");
    }
    // None of them was taken for something else, and it goes on.
    assert_eq!(control(&emulator, "GET", "/faults", "").json(), json!([]));
    granted(&emulator, &refresh_token(&sign_in(&emulator)));
    assert_eq!(control(&emulator, "POST", "/keys/rotate", "").status, 200);
}

#[test]
fn what_the_framework_refuses_has_the_shape_of_the_api() {
    let emulator = start();
    let api = emulator.base_url().to_owned();
    let large = "x".repeat((1 << 20) + 1);
    for (method, path, body, status) in [
        ("PUT", "/token/jwks", "", 405),
        ("POST", "/token", large.as_str(), 413),
        ("GET", "/event/get/%ff", "", 400),
        ("DELETE", "/token/%ff", "", 400),
        ("GET", "/no-such-thing", "", 404),
    ] {
        let answer = common::call(method, &format!("{api}{path}"), &[], body).expect("an answer");
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(common::names(&answer.json()), ["msg", "type"], "{method} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405);
    }
}

#[test]
fn who_listens_everywhere_is_announced_on_loopback() {
    for (listen, host) in [("0.0.0.0:0", "http://127.0.0.1:"), ("[::]:0", "http://[::1]:")] {
        // Not every machine has the other family.
        let Ok(emulator) = Emulator::start(Config::default().with_listen(listen)) else { continue };
        assert!(emulator.base_url().starts_with(host), "{}", emulator.base_url());
        get(&emulator, "/token/jwks");
    }
}
