//! Every command on a signed-in session, word for word, in text and JSON.

#![allow(clippy::unwrap_used, reason = "helpers are not seen as tests")]

#[macro_use]
mod common;

use common::{ADA, Home, KEY, code, part};
use serde_json::{Value, json};

on_each_store! {
    import_stores_a_login_response
    import_refuses_what_has_no_usable_access_token_and_leaves_what_was_there
    status_says_everything_and_no_token
    token_prints_one_token_and_a_newline
    what_an_import_brought_may_be_exchanged_at_once
    an_id_token_that_cannot_live_so_long_costs_one_exchange_and_no_more
    that_there_is_no_refresh_token_says_nothing_of_the_access_token
    import_refuses_a_set_of_which_a_part_would_get_lost
    sessions_are_told_apart_by_name_server_and_api_key_id
    logout_forgets_one_all_or_everything
    exec_becomes_the_command_with_a_token_in_its_environment
    doctor_finds_nothing_wrong
    records_are_resealed_with_a_new_key
    a_wrong_key_and_a_missing_one_are_told_apart_from_nobody
    commands_that_only_look_make_nothing
}

fn import_stores_a_login_response(home: Home) {
    let set = home.server.token_set(ADA);
    let ran = home.feed(&["import"], set.as_bytes());
    let parsed: Value = serde_json::from_str(&set).unwrap();
    let status = home.json(&["status"]);
    let ends = status["access_expires_at"].as_str().unwrap();
    let kind = home.store;
    let said = format!(
        "signed in: {ADA}, access token until {ends}\n\
         {kind}, HOME/data/cotter, key from environment\n"
    );
    assert_eq!((ran.code, home.tidy(&ran.out), ran.err.as_str()), (0, said, ""));
    assert_eq!(home.ok(&["token"]).trim(), part(&parsed, "access_token"));

    // The whole response, from a file, by `-` and by none; JSON is what `status` answers.
    let path = home.dir.path().join("login.json");
    let set: Value = serde_json::from_str(&home.server.token_set(ADA)).unwrap();
    std::fs::write(&path, json!({ "oauth_token": set, "user": {} }).to_string()).unwrap();
    let answer = home.json(&["import", path.to_str().unwrap()]);
    assert_eq!(answer, home.json(&["status"]));
    assert_eq!(home.ok(&["token"]).trim(), part(&set, "access_token"));
    let set = home.server.token_set(ADA);
    home.feed(&["import", "-"], set.as_bytes()).ok();
    let set: Value = serde_json::from_str(&set).unwrap();
    assert_eq!(home.ok(&["token"]).trim(), part(&set, "access_token"));
}

fn import_refuses_what_has_no_usable_access_token_and_leaves_what_was_there(home: Home) {
    let good = home.sign_in();
    let mut no_access: Value = serde_json::from_str(&home.server.token_set(ADA)).unwrap();
    let mut ended: Value = serde_json::from_str(&home.expired()).unwrap();
    let mut foreign = no_access.clone();
    no_access.as_object_mut().unwrap().remove("access_token");
    ended.as_object_mut().unwrap().remove("refresh_token");
    foreign["access_token"] = Value::from("PLANTED");
    for (bad, expected) in [
        (no_access.to_string(), code(7, "config")),
        (ended.to_string(), code(7, "config")),
        (foreign.to_string(), code(7, "config")),
        ("{}".to_owned(), code(7, "config")),
        (String::new(), code(7, "protocol")),
        ("PLANTED".to_owned(), code(7, "protocol")),
        ("[]".to_owned(), code(7, "protocol")),
        ("x".repeat(1024 * 1024 + 1), code(2, "usage")),
    ] {
        let ran = home.feed(&["--format", "json", "import"], bad.as_bytes());
        assert!(!ran.err.contains("PLANTED"), "{ran:?}");
        assert_eq!(ran.failure(), expected, "{:.80}", bad);
        assert_eq!(home.ok(&["token"]).trim(), part(&good, "access_token"));
    }
    assert_eq!(home.fails(&["import", "/nonexistent"]), code(2, "usage"));
}

fn status_says_everything_and_no_token(home: Home) {
    let set = home.sign_in();
    let status = home.json(&["status"]);
    let access = claims(&home, part(&set, "access_token"));
    let at = |claim: &Value| rfc3339(claim.as_i64().unwrap());
    assert_eq!(
        status,
        json!({
            "signed_in": true,
            "state": "fresh",
            "access_expires_at": at(&access["exp"]),
            "id_expires_at": at(&claims(&home, part(&set, "id_token"))["exp"]),
            "subject": access["sub"],
            "identifier": ADA,
            "session": "default",
            "api_key_id": home.server.api_key_id(),
            "base_url": home.server.base_url(),
            "store": {
                "kind": home.store,
                "path": home.store_dir().to_str().unwrap(),
                "key_source": "environment",
            },
            "revision": 1,
            "pending_rotation": null,
        })
    );
    let text = home.tidy(&home.ok(&["status"]));
    let (kind, sub) = (home.store, access["sub"].as_str().unwrap());
    let (ends, id_ends) = (part(&status, "access_expires_at"), part(&status, "id_expires_at"));
    let left = text.split(" left").next().unwrap().rsplit(", ").next().unwrap();
    assert!(["60 min", "59 min"].contains(&left), "{text}");
    assert_eq!(
        text,
        format!(
            "signed in     yes\n\
             state         fresh\n\
             identifier    {ADA}\n\
             subject       {sub}\n\
             access token  until {ends}, {left} left\n\
             id token      until {id_ends}\n\
             session       default\n\
             API key id    ID\n\
             server        SERVER/api/v0\n\
             store         {kind}, HOME/data/cotter, key from environment\n\
             revision      1\n"
        )
    );
    home.import(&home.expired());
    let status = home.json(&["status"]);
    assert_eq!((&status["signed_in"], &status["state"]), (&json!(true), &json!("expired")));
    assert!(home.ok(&["status"]).contains("ended at "));
    home.ok(&["logout"]);
    let status = home.json(&["status"]);
    assert_eq!((&status["signed_in"], &status["state"]), (&json!(false), &json!("signed_out")));
    for unknown in ["access_expires_at", "id_expires_at", "subject", "identifier", "revision"] {
        assert_eq!(status[unknown], Value::Null, "{unknown}");
    }
}

fn token_prints_one_token_and_a_newline(home: Home) {
    assert_eq!(home.fails(&["token"]), code(3, "sign_in_required"));
    let set = home.sign_in();
    for (arguments, name) in [
        (&["token"] as &[&str], "access_token"),
        (&["token", "--id"], "id_token"),
        (&["token", "--refresh"], "refresh_token"),
        (&["--format", "json", "token"], "access_token"),
        (&["token", "--min-ttl", "30m"], "access_token"),
        (&["token", "--id", "--min-ttl", "30m"], "id_token"),
    ] {
        let ran = home.run(arguments);
        let expected = format!("{}\n", part(&set, name));
        assert_eq!((ran.code, ran.out, ran.err.as_str()), (0, expected, ""), "{arguments:?}");
    }
    assert_eq!(home.server.counters().refresh_requests, 0);
    let other = home.ok(&["token", "--force-refresh"]);
    assert_ne!(other.trim(), part(&set, "access_token"));
    assert_eq!(home.ok(&["token"]), other);
    assert_eq!(home.server.counters().exchanges, 1);

    // A demand that the stored tokens don't meet; then one that no token of this server meets.
    home.import(&home.issued(3000));
    home.ok(&["token", "--min-ttl", "30m"]);
    assert_eq!(home.server.counters().exchanges, 2);
    home.import(&home.short(600));
    home.ok(&["token", "--id", "--min-ttl", "30m"]);
    assert_eq!(home.server.counters().exchanges, 3);
    home.sign_in_expired();
    let ran = home.run(&["token", "--min-ttl", "2h"]);
    assert!(ran.code == 0 && ran.err.contains("do not live as long as was asked for"), "{ran:?}");
    let again = home.run(&["token", "--min-ttl", "2h"]);
    assert_eq!((again.code, again.out, again.err), (0, ran.out, ran.err), "the one just granted");
}

fn what_an_import_brought_may_be_exchanged_at_once(home: Home) {
    let set = home.import(&home.short(30));
    let token = home.ok(&["token", "--min-ttl", "60s"]);
    assert_ne!(token.trim(), part(&set, "access_token"));
    assert_eq!(home.server.counters().exchanges, 1);

    let mut set: Value = serde_json::from_str(&home.server.token_set(ADA)).unwrap();
    set.as_object_mut().unwrap().remove("id_token");
    home.import(&set.to_string());
    assert_eq!(claims(&home, home.ok(&["token", "--id"]).trim())["identifier"], ADA);
    assert_eq!(home.server.counters().exchanges, 2);
}

fn an_id_token_that_cannot_live_so_long_costs_one_exchange_and_no_more(home: Home) {
    home.sign_in();
    for _ in 0..4 {
        let ran = home.run(&["token", "--id", "--min-ttl", "365d"]);
        let said = "cotter: the server's tokens do not live as long as was asked for\n";
        assert_eq!((ran.code, ran.err.as_str()), (0, said));
        assert_eq!(claims(&home, ran.out.trim())["identifier"], ADA);
    }
    assert_eq!(home.server.counters().exchanges, 1);
}

fn that_there_is_no_refresh_token_says_nothing_of_the_access_token(home: Home) {
    let mut set: Value = serde_json::from_str(&home.server.token_set(ADA)).unwrap();
    set.as_object_mut().unwrap().remove("refresh_token");
    home.import(&set.to_string());
    for arguments in [&["token", "--refresh"] as &[&str], &["token", "--force-refresh"]] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.err.starts_with("cotter: there is no refresh token\n"), "{ran:?}");
    }
    let ran = home.run(&["token", "--min-ttl", "2h"]);
    assert_eq!((ran.code, ran.out.trim()), (0, part(&set, "access_token")), "{ran:?}");
    assert!(ran.err.ends_with("asked for: there is no refresh token\n"), "{ran:?}");
}

fn import_refuses_a_set_of_which_a_part_would_get_lost(home: Home) {
    let good = home.sign_in();
    let set: Value = serde_json::from_str(&home.server.token_set(ADA)).unwrap();
    for name in ["refresh_token", "id_token"] {
        for odd in [json!(7), json!(true), json!(["x"]), json!({"x": 1}), json!(1.5), json!(-1)] {
            let mut bad = set.clone();
            bad[name] = odd;
            for bad in [bad.clone(), json!({"oauth_token": bad})] {
                let ran = home.feed(&["--format", "json", "import"], bad.to_string().as_bytes());
                assert!(ran.err.contains(&format!("the {name} of this login")), "{ran:?}");
                assert_eq!(ran.failure(), code(7, "protocol"));
            }
        }
        for absent in [json!(null), json!("")] {
            let mut fine = set.clone();
            fine[name] = absent;
            home.import(&fine.to_string());
        }
        home.import(&good.to_string());
    }
}

fn sessions_are_told_apart_by_name_server_and_api_key_id(mut home: Home) {
    assert_eq!(home.ok(&["sessions"]), "");
    assert_eq!(home.json(&["sessions"]), json!([]));
    home.sign_in();
    home.set("COTTER_SESSION", "work");
    home.sign_in_expired();
    assert_eq!(
        home.ok(&["sessions"]),
        format!("{:<20} fresh\n{:<20} expired\n", "default", "work")
    );
    let work = &home.json(&["sessions"])[1];
    assert_eq!(part(work, "session"), "work");
    assert_eq!(part(work, "state"), "expired");
    assert_eq!(work["signed_in"], true);
    assert_eq!(part(work, "api_key_id"), home.server.api_key_id());
    assert_eq!(part(work, "base_url"), home.server.base_url());
    home.set("COTTER_BASE_URL", "https://other.example/api/v0");
    assert_eq!(home.ok(&["sessions"]), "");
    let all = home.tidy(&home.ok(&["sessions", "--everything"]));
    assert_eq!(all.lines().count(), 2);
    assert!(all.contains("work") && all.contains("ID SERVER/api/v0"), "{all}");
}

fn logout_forgets_one_all_or_everything(mut home: Home) {
    assert_eq!(home.ok(&["logout"]), "nobody was signed in\n");
    assert!(!home.store_dir().exists());
    home.sign_in();
    assert_eq!(home.ok(&["logout"]), "signed out: default\n");
    assert_eq!(home.json(&["logout"]), json!({ "signed_out": [] }));
    assert_eq!(home.fails(&["token"]), code(3, "sign_in_required"));
    let three = |home: &mut Home| {
        home.sign_in();
        home.set("COTTER_SESSION", "work").sign_in();
        let elsewhere = "http://127.0.0.1:1/api/v0";
        let here = home.server.base_url().to_owned();
        home.set("COTTER_BASE_URL", elsewhere).sign_in();
        home.set("COTTER_BASE_URL", &here).unset("COTTER_SESSION");
    };
    three(&mut home);
    assert_eq!(home.ok(&["logout", "--all"]), "signed out: default\nsigned out: work\n");
    assert_eq!(home.ok(&["sessions", "--everything"]).lines().count(), 1);
    three(&mut home);
    assert_eq!(
        home.json(&["logout", "--all", "--everything"])["signed_out"].as_array().unwrap().len(),
        3
    );
    assert_eq!(home.ok(&["sessions", "--everything"]), "");
}

fn exec_becomes_the_command_with_a_token_in_its_environment(mut home: Home) {
    let script =
        ["exec", "--", "sh", "-c", "echo \"$COTTER_ACCESS_TOKEN $0 $1\"; exit 9", "a b", "--id"];
    assert_eq!(home.fails(&["exec", "--", "true"]), code(3, "sign_in_required"));
    let set = home.sign_in();
    home.set("COTTER_STORE_KEY_OLD", KEY);
    let ran = home.run(&script);
    let said = format!("{} a b --id\n", part(&set, "access_token"));
    assert_eq!((ran.code, ran.out, ran.err.as_str()), (9, said, ""));
    assert_eq!(home.ok(&["exec", "echo", "--format", "json"]), "--format json\n");
    let inherited = home.ok(&["exec", "env"]);
    assert!(!inherited.contains("STORE_KEY") && !inherited.contains(KEY), "{inherited}");
    let child = home.spawn(&["exec", "sh", "-c", "echo $$"]);
    let pid = child.id();
    let out = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap().trim(), pid.to_string(), "it is replaced");
    assert_eq!(home.run(&["exec", "--", "/nonexistent/x"]).code, 127);
    let path = home.dir.path().join("plain");
    std::fs::write(&path, "").unwrap();
    let ran = home.run(&["exec", "--", path.to_str().unwrap()]);
    assert_eq!((ran.code, home.tidy(&ran.err).lines().count()), (126, 2), "{ran:?}");
}

fn doctor_finds_nothing_wrong(home: Home) {
    home.sign_in();
    let kind = home.store;
    let doctor = home.tidy(&home.ok(&["doctor"]));
    let lines: Vec<&str> = doctor.lines().collect();
    assert_eq!(
        lines[0],
        format!("ok       store     {kind}, HOME/data/cotter, key from environment")
    );
    for line in [
        "ok       lock      free",
        "ok       session   default: fresh",
        "ok       rotation  no refresh is pending",
        "ok       server    SERVER/api/v0 answers",
        "ok       clock     the server's clock and this one agree",
    ] {
        assert!(lines.contains(&line), "{line}\n{doctor}");
    }
    let answer = home.json(&["doctor"]);
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["reachable"], true);
    assert_eq!(answer["clock_offset_s"], 0);
    assert_eq!(answer["store"], home.json(&["status"])["store"]);
    assert_eq!(home.server.counters().refresh_requests, 0);
    home.server.set_clock_offset(300);
    let ran = home.run(&["doctor"]);
    assert_eq!(ran.code, 7);
    assert!(ran.out.contains("PROBLEM  clock     the server's clock is 300 s ahead of this one"));
}

fn records_are_resealed_with_a_new_key(mut home: Home) {
    assert_eq!(home.ok(&["reseal"]), "everything is sealed with the newest key\n");
    let set = home.sign_in();
    home.set("COTTER_STORE_KEY", common::OTHER_KEY).set("COTTER_STORE_KEY_OLD", KEY);
    assert_eq!(home.ok(&["reseal"]), "1 record sealed with the newest key\n");
    assert_eq!(home.json(&["reseal"]), json!({ "resealed": 0 }));
    home.unset("COTTER_STORE_KEY_OLD");
    assert_eq!(home.ok(&["token"]).trim(), part(&set, "access_token"));
    home.set("COTTER_STORE_KEY", KEY);
    assert_eq!(home.fails(&["token"]), code(5, "key_wrong"));
}

fn a_wrong_key_and_a_missing_one_are_told_apart_from_nobody(mut home: Home) {
    let set = home.sign_in();
    home.set("COTTER_STORE_KEY", common::OTHER_KEY);
    for command in [&["token"] as &[&str], &["status"], &["sessions"], &["exec", "true"]] {
        assert_eq!(home.fails(command), code(5, "key_wrong"), "{command:?}");
    }
    let ran = home.run(&["doctor"]);
    assert!(ran.code == 5 && ran.out.contains("PROBLEM  store"), "{ran:?}");
    home.set("COTTER_STORE_KEY", "");
    assert_eq!(home.fails(&["token"]), code(5, "key_missing"));
    let fresh = home.server.token_set(ADA);
    let ran = home.feed(&["--format", "json", "import"], fresh.as_bytes());
    assert_eq!(ran.failure(), code(5, "key_missing"));
    for bad in ["PLANTED", "BwcHBw==", "*"] {
        home.set("COTTER_STORE_KEY", bad);
        let ran = home.run(&["--format", "json", "token"]);
        assert!(!ran.err.contains("PLANTED"), "{ran:?}");
        assert_eq!(ran.failure(), code(2, "usage"), "{bad}");
    }
    home.set("COTTER_STORE_KEY", KEY);
    assert_eq!(home.ok(&["token"]).trim(), part(&set, "access_token"));
}

fn commands_that_only_look_make_nothing(home: Home) {
    for command in [&["status"] as &[&str], &["sessions"], &["logout"], &["doctor"], &["reseal"]] {
        assert_eq!(home.run(command).code, 0, "{command:?}");
    }
    assert_eq!(home.run(&["token"]).code, 3);
    let bad = home.feed(&["import"], b"{}");
    assert_eq!(bad.code, 7);
    let left: Vec<_> = std::fs::read_dir(home.dir.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let status = home.json(&["status"]);
    assert_eq!(
        status["store"],
        json!({ "kind": home.store, "path": home.store_dir().to_str().unwrap(), "key_source": null })
    );
}

fn claims(home: &Home, token: &str) -> Value {
    let ran = home.feed(&["--format", "json", "decode"], token.as_bytes());
    serde_json::from_str::<Value>(&ran.ok()).unwrap()["claims"].clone()
}

/// By the system's own calendar, not by the program's.
fn rfc3339(seconds: i64) -> String {
    let out = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}
