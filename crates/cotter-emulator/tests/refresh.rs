//! Refresh, rotation, replay and sign-out.

mod common;

use core::time::Duration;
use std::thread;

use common::{
    call, field, granted, post, refresh, refresh_token, sign_in, start, try_refresh, with,
};
use cotter_emulator::{Config, DeleteToken, Fault, OnReuse, Rotation};
use serde_json::json;

#[test]
fn both_path_forms_rotate_and_keep_the_prefix() {
    let emulator = start();
    let first = refresh_token(&sign_in(&emulator));
    let second = granted(&emulator, &first);
    let body = json!({"grant_type": "refresh_token", "refresh_token": refresh_token(&second)});
    let third = post(&emulator, "/token", &body).expect("an answer");
    assert_eq!(third.status, 200);
    let third = third.json();
    for set in [&second, &third] {
        let members = common::names(set);
        let all = [
            "access_token",
            "auth_method",
            "expires_in",
            "id_token",
            "refresh_token",
            "token_type",
        ];
        assert_eq!(members, all);
        assert_eq!(set["expires_in"], 3600);
        assert_eq!(set["token_type"], "Bearer");
        assert_eq!(set["auth_method"], "OTP");
    }
    let tokens = [first, refresh_token(&second), refresh_token(&third)];
    let (prefix, opaque) = tokens[0].split_once(':').expect("a colon");
    assert!(prefix.chars().all(|c| c.is_ascii_digit()));
    assert_eq!(opaque.len(), 50);
    assert!(opaque.chars().all(|c| c.is_ascii_alphanumeric()));
    assert!(tokens.iter().all(|token| token.starts_with(&format!("{prefix}:"))));
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2]);
    let newest = emulator.current_refresh_token("ada@example.test");
    assert_eq!(newest.as_deref(), Some(tokens[2].as_str()));
    let seen = emulator.counters();
    assert_eq!((seen.exchanges, seen.max_in_flight), (2, 1), "one after the other");
}

#[test]
fn a_replay_is_rejected_and_the_family_lives() {
    let emulator = start();
    let first = refresh_token(&sign_in(&emulator));
    let second = granted(&emulator, &first);
    let replay = refresh(&emulator, &first);
    assert_eq!(replay.status, 400);
    assert_eq!(replay.text(), r#"{"msg":"Refresh token is not valid","type":""}"#);
    assert!(emulator.is_family_alive("ada@example.test"));
    granted(&emulator, &refresh_token(&second));
    let seen = emulator.counters();
    assert_eq!((seen.exchanges, seen.reuses, seen.refused, seen.refresh_requests), (2, 1, 1, 3));
}

#[test]
fn a_replay_may_revoke_the_family() {
    let emulator = with(Config::default().with_on_reuse(OnReuse::RevokeFamily));
    let first = refresh_token(&sign_in(&emulator));
    let second = refresh_token(&granted(&emulator, &first));
    assert!(emulator.is_family_alive("ada@example.test"));
    assert_eq!(refresh(&emulator, &first).status, 400);
    assert!(!emulator.is_family_alive("ada@example.test"));
    assert_eq!(refresh(&emulator, &second).status, 400);
    assert_eq!(emulator.counters().reuses, 1);
}

#[test]
fn a_replay_within_the_grace_gets_the_same_successor() {
    let grace = Rotation::Grace(Duration::from_secs(30));
    let emulator = with(Config::default().with_rotation(grace));
    let first = refresh_token(&sign_in(&emulator));
    let second = granted(&emulator, &first);
    assert_eq!(granted(&emulator, &first), second);
    let seen = emulator.counters();
    assert_eq!((seen.exchanges, seen.grace_replays, seen.reuses), (1, 1, 0));
    emulator.set_clock_offset(31);
    assert_eq!(refresh(&emulator, &first).status, 400);
    assert_eq!(emulator.counters().reuses, 1);

    emulator.reset();
    emulator.configure(|config| config.grace_new_successor = true);
    let first = refresh_token(&sign_in(&emulator));
    let second = refresh_token(&granted(&emulator, &first));
    let other = refresh_token(&granted(&emulator, &first));
    assert_ne!(second, other);
    granted(&emulator, &second);
    granted(&emulator, &other);
}

#[test]
fn without_rotation_the_answer_has_no_refresh_token() {
    let emulator = with(Config::default().with_rotation(Rotation::None));
    let first = refresh_token(&sign_in(&emulator));
    for round in 1..=2 {
        let set = granted(&emulator, &first);
        assert_eq!(set.get("refresh_token"), None);
        assert_eq!(emulator.counters().exchanges, round);
    }
    assert_eq!(emulator.current_refresh_token("ada@example.test").as_ref(), Some(&first));
}

#[test]
fn refresh_tokens_live_thirty_days_from_the_sign_in() {
    let emulator = start();
    let first = refresh_token(&sign_in(&emulator));
    emulator.set_clock_offset(20 * 86_400);
    let second = refresh_token(&granted(&emulator, &first));
    emulator.set_clock_offset(30 * 86_400 - 5);
    let third = refresh_token(&granted(&emulator, &second));
    emulator.set_clock_offset(30 * 86_400 + 5);
    assert_eq!(refresh(&emulator, &third).status, 400);

    emulator.reset();
    emulator.configure(|config| config.refresh_sliding = true);
    let first = refresh_token(&sign_in(&emulator));
    emulator.set_clock_offset(20 * 86_400);
    let second = refresh_token(&granted(&emulator, &first));
    emulator.set_clock_offset(40 * 86_400);
    granted(&emulator, &second);
}

#[test]
fn a_deleted_user_is_rejected_as_any_bad_token() {
    let emulator = start();
    let first = refresh_token(&sign_in(&emulator));
    assert!(emulator.delete_user("ada@example.test"));
    assert!(!emulator.delete_user("ada@example.test"));
    assert_eq!(refresh(&emulator, &first).status, 400);
    assert!(!emulator.is_family_alive("ada@example.test"));
}

#[test]
fn signing_out_goes_by_the_cookie_alone() {
    let emulator = start();
    let url = format!("{}/token/{}", emulator.base_url(), emulator.api_key_id());
    let key = ("API_KEY_ID", emulator.api_key_id());
    let first = refresh_token(&sign_in(&emulator));
    let body = json!({ "refresh_token": first }).to_string();
    let answer = call("DELETE", &url, &[key], &body).expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"success":true}"#));
    assert!(emulator.is_family_alive("ada@example.test"));

    // A refresh by the cookie moves the cookie on.
    let cookie = format!("a=b; cotter_emulator_refresh={first}");
    let headers = [key, ("Cookie", cookie.as_str())];
    let set = call("POST", &url, &headers, r#"{"grant_type":"refresh_token"}"#).expect("an answer");
    let set_cookie = set.header("set-cookie").expect("a cookie").to_owned();
    let path = format!("Path=/api/v0/token/{}", emulator.api_key_id());
    for mark in ["HttpOnly", "Secure", "SameSite=None", path.as_str()] {
        assert!(set_cookie.contains(mark), "{set_cookie}");
    }
    let cookie = set_cookie.split(';').next().expect("a pair");
    let answer = call("DELETE", &url, &[key, ("Cookie", cookie)], "").expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(!emulator.is_family_alive("ada@example.test"));
    assert_eq!(refresh(&emulator, &refresh_token(&set.json())).status, 400);
    let seen = emulator.counters();
    assert_eq!((seen.deletes, seen.signed_out), (2, 1));
}

#[test]
fn signing_out_may_go_by_the_body() {
    let emulator = with(Config::default().with_delete_token(DeleteToken::Body));
    let url = format!("{}/token/{}", emulator.base_url(), emulator.api_key_id());
    let body = json!({ "refresh_token": refresh_token(&sign_in(&emulator)) }).to_string();
    let headers = [("API_KEY_ID", emulator.api_key_id())];
    call("DELETE", &url, &headers, &body).expect("an answer");
    assert!(!emulator.is_family_alive("ada@example.test"));
}

#[test]
fn the_body_wins_over_the_cookie_unless_told() {
    let emulator = start();
    let url = format!("{}/token/{}", emulator.base_url(), emulator.api_key_id());
    for cookie_wins in [false, true] {
        emulator.configure(|config| config.cookie_wins = cookie_wins);
        let by_body = refresh_token(&sign_in(&emulator));
        let by_cookie = refresh_token(&sign_in(&emulator));
        let cookie = format!("cotter_emulator_refresh={by_cookie}");
        let headers = [("API_KEY_ID", emulator.api_key_id()), ("Cookie", cookie.as_str())];
        let body = json!({"grant_type": "refresh_token", "refresh_token": by_body}).to_string();
        let set = call("POST", &url, &headers, &body).expect("an answer").json();
        let winner = if cookie_wins { &by_cookie } else { &by_body };
        let prefix = winner.split(':').next().expect("a number");
        assert_eq!(field(&set, "refresh_token").split(':').next(), Some(prefix));
    }
}

#[test]
fn requests_of_one_family_are_counted_while_in_hand() {
    let emulator = start();
    let ada = refresh_token(&sign_in(&emulator));
    let ben: serde_json::Value =
        serde_json::from_str(&emulator.token_set("ben@example.test")).expect("JSON");
    let ben = refresh_token(&ben);
    emulator.pause();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let ask = |token: String| {
            let emulator = &emulator;
            scope.spawn(move || refresh(emulator, &token).status)
        };
        let calls = [ask(ada.clone()), ask(ada.clone()), ask(ada.clone()), ask(ben)];
        assert!(emulator.wait_for_requests(4, Duration::from_secs(10)));
        assert!(!emulator.wait_for_requests(5, Duration::from_millis(50)));
        assert_eq!(emulator.counters().exchanges, 0, "held before any state is touched");
        emulator.resume();
        calls.map(|call| call.join().expect("no panic")).to_vec()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2);
    let seen = emulator.counters();
    assert_eq!((seen.max_in_flight, seen.exchanges, seen.reuses), (3, 2, 2));
}

#[test]
fn many_connections_at_once() {
    let emulator = start();
    emulator.pause();
    let tokens: Vec<String> = (0..200)
        .map(|n| {
            let set = emulator.token_set(&format!("user{n}@example.test"));
            refresh_token(&serde_json::from_str(&set).expect("JSON"))
        })
        .collect();
    thread::scope(|scope| {
        for token in &tokens {
            let emulator = &emulator;
            scope.spawn(move || granted(emulator, token));
        }
        assert!(emulator.wait_for_requests(200, Duration::from_secs(20)));
        emulator.resume();
    });
    let seen = emulator.counters();
    assert_eq!((seen.exchanges, seen.max_in_flight), (200, 1));
}

#[test]
fn refreshes_at_once_are_counted_as_such_without_any_fault() {
    let emulator = with(Config::default().with_rotation(Rotation::None));
    let token = refresh_token(&sign_in(&emulator));
    let start = std::sync::Barrier::new(64);
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                start.wait();
                granted(&emulator, &token)
            });
        }
    });
    let seen = emulator.counters();
    assert_eq!(seen.exchanges, 64);
    assert!(seen.max_in_flight > 1, "{seen:?}");
}

#[test]
fn a_hold_makes_refreshes_overlap_that_come_one_soon_after_the_other() {
    let hold = Duration::from_millis(400);
    let emulator = with(Config::default().with_rotation(Rotation::None).with_hold(hold));
    let token = refresh_token(&sign_in(&emulator));
    thread::scope(|scope| {
        scope.spawn(|| granted(&emulator, &token));
        assert!(emulator.wait_for_requests(1, Duration::from_secs(10)));
        assert_eq!(emulator.counters().exchanges, 0, "held before any state is touched");
        scope.spawn(|| granted(&emulator, &token));
    });
    let seen = emulator.counters();
    assert_eq!((seen.exchanges, seen.max_in_flight), (2, 2));
}

#[test]
fn a_request_is_in_hand_until_its_answer_is_written() {
    let emulator = with(Config::default().with_rotation(Rotation::None));
    let token = refresh_token(&sign_in(&emulator));
    emulator.fault(Fault::new("drip").ms(50).after_commit());
    thread::scope(|scope| {
        scope.spawn(|| granted(&emulator, &token));
        // Committed: all that is left is to write the answer.
        while emulator.counters().exchanges < 1 {
            thread::sleep(Duration::from_millis(5));
        }
        granted(&emulator, &token);
    });
    assert_eq!(emulator.counters().max_in_flight, 2);
}

#[test]
fn what_has_ended_badly_is_in_hand_no_more() {
    let emulator = with(Config::default().with_rotation(Rotation::None));
    let token = refresh_token(&sign_in(&emulator));
    for name in ["drop", "half", "503", "html"] {
        emulator.fault(Fault::new(name));
        let _ = try_refresh(&emulator, &token);
    }
    granted(&emulator, &token);
    assert_eq!(emulator.counters().max_in_flight, 1);
}
