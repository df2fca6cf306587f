//! What needs no session: words, settings, and what is wrong with them.

#![allow(clippy::unwrap_used, reason = "helpers are not seen as tests")]

mod common;

use std::process::Stdio;

use common::{Home, code};

#[test]
fn a_usage_error_is_exit_2_in_two_lines_or_as_an_object() {
    let home = Home::new();
    for wrong in [
        &["nonsense"] as &[&str],
        &[],
        &["token", "--id", "--refresh"],
        &["token", "--min-ttl", "soon"],
        &["--store", "cloud", "status"],
        &["--rotation", "lax", "status"],
        &["--timeout", "0s", "status"],
        &["logout", "--everything"],
        &["completions", "tcsh"],
        &["exec"],
    ] {
        assert_eq!(home.fails(wrong), code(2, "usage"), "{wrong:?}");
        let ran = home.run(wrong);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
        let lines: Vec<&str> = ran.err.lines().collect();
        assert_eq!(lines.len(), 2, "{ran:?}");
        assert!(lines[0].starts_with("cotter: ") && lines[1].starts_with("  try: "), "{ran:?}");
    }
    assert_eq!(home.run(&["--format", "xml", "status"]).code, 2);
}

#[test]
fn who_gives_no_command_is_told_so() {
    let home = Home::new();
    for alone in [&[] as &[&str], &["--session", "work"]] {
        let ran = home.run(alone);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
        assert_eq!(ran.err, "cotter: no command was given\n  try: see `cotter --help`\n");
    }
}

#[test]
#[cfg(unix)]
fn an_argument_that_is_not_utf_8_is_a_usage_error_like_any_other() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut home = Home::new();
    home.set("COTTER_FORMAT", "json");
    let long = [b"PLANTED".repeat(10).as_slice(), b"\xff"].concat();
    for before in [&[] as &[&str], &["status"], &["--session"], &["token", "--min-ttl"]] {
        for bad in [b"\xff".as_slice(), b"--nope\xff", &long] {
            let mut command = home.command(before);
            let out = command.arg(std::ffi::OsString::from_vec(bad.to_vec())).output().unwrap();
            let ran = common::Ran::from(out);
            assert!(!ran.err.contains("PLANTED"), "{ran:?}");
            assert_eq!(ran.failure(), code(2, "usage"), "{before:?} {bad:?}");
        }
    }
}

#[test]
fn a_format_that_is_none_does_not_hide_the_one_that_was_asked_for_otherwise() {
    let mut home = Home::new();
    home.configure("format = \"json\"\n");
    assert_eq!(home.run(&["--format", "xml", "status"]).failure(), code(2, "usage"));
    home.set("COTTER_FORMAT", "xml");
    assert_eq!(home.run(&["status"]).failure(), code(2, "usage"));
    assert_eq!(home.run(&["--format", "xml", "nonsense"]).failure(), code(2, "usage"));
}

#[test]
fn the_advice_fits_what_was_wrong() {
    let home = Home::new();
    let long = vec![b'x'; 1024 * 1024 + 1];
    let ran = home.feed(&["decode"], &long);
    assert!(ran.code == 2 && ran.err.contains("try: give the token and nothing else"), "{ran:?}");
    home.sign_in();
    let ran = home.run(&["--session", &"s".repeat(5000), "token"]);
    assert!(ran.err.contains("try: give another name with --session"), "{ran:?}");
    let ran = home.feed(&["import"], b" \n");
    assert!(ran.code == 7 && ran.err.starts_with("cotter: there is nothing in it\n"), "{ran:?}");
}

#[test]
fn a_missing_api_key_id_is_a_usage_error_except_where_none_is_needed() {
    let mut home = Home::new();
    home.set("COTTER_API_KEY_ID", "");
    for command in [
        &["status"] as &[&str],
        &["token"],
        &["sessions"],
        &["logout"],
        &["logout", "--all", "--everything"],
        &["doctor"],
        &["import"],
        &["exec", "true"],
        &["reseal"],
    ] {
        assert_eq!(home.fails(command), code(2, "usage"), "{command:?}");
    }
    let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.";
    assert_eq!(home.feed(&["decode"], jwt.as_bytes()).code, 0);
    assert_eq!(home.run(&["completions", "bash"]).code, 0);
    assert_eq!(home.run(&["man"]).code, 0);
    assert_eq!(home.run(&["--version"]).code, 0);
    assert_eq!(home.run(&["--help"]).code, 0);
    assert!(!home.store_dir().exists() && !home.config_dir().exists());
}

#[test]
fn an_option_wins_over_the_variable_that_over_the_file_that_over_the_default() {
    let mut home = Home::new();
    let session = |home: &Home, args: &[&str]| {
        home.json(&[args, &["status"]].concat())["session"].as_str().unwrap().to_owned()
    };
    assert_eq!(session(&home, &[]), "default");
    home.configure("session = \"file\"\n");
    assert_eq!(session(&home, &[]), "file");
    home.set("COTTER_SESSION", "");
    assert_eq!(session(&home, &[]), "file", "an empty variable counts as unset");
    home.set("COTTER_SESSION", "variable");
    assert_eq!(session(&home, &[]), "variable");
    assert_eq!(session(&home, &["--session", "option"]), "option");
}

#[test]
fn the_file_is_held_to_its_keys() {
    let home = Home::new();
    for (text, said) in [
        ("sesion = \"x\"", "unknown key \"sesion\""),
        ("store-path = \"/x\"", "unknown key \"store-path\""),
        ("store_key = \"PLANTED\"", "the sealing key must not stand in the configuration file"),
        ("session = PLANTED", "line 1 is not TOML"),
        ("session = [\"x\"]", "session must be a text"),
        ("timeout = \"soon\"", "--timeout cannot be \"soon\""),
    ] {
        home.configure(text);
        assert_eq!(home.fails(&["status"]), code(2, "usage"), "{text}");
        let ran = home.run(&["status"]);
        assert!(ran.err.contains(said), "{text}: {}", ran.err);
        assert!(!ran.err.contains("PLANTED"), "{}", ran.err);
    }
    // An error in the form that the file asks for.
    home.configure("format = \"json\"\ntimeout = \"soon\"");
    assert_eq!(home.run(&["status"]).failure(), code(2, "usage"));
}

#[test]
fn a_path_with_control_characters_makes_no_line_of_its_own() {
    let mut home = Home::new();
    let folder = home.dir.path().join("a\u{1b}[31m\nb");
    std::fs::create_dir_all(folder.join("cotter")).unwrap();
    std::fs::write(folder.join("cotter/config.toml"), "nonsense = 1").unwrap();
    home.set("XDG_CONFIG_HOME", folder.to_str().unwrap());
    let ran = home.run(&["status"]);
    assert!(ran.code == 2 && !ran.err.contains('\u{1b}'), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 2, "{ran:?}");
}

#[test]
fn decode_shows_claims_and_says_that_nobody_checked_them() {
    let home = Home::new();
    let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwiZXhwIjo1fQ.";
    let ran = home.feed(&["decode", "-"], jwt.as_bytes());
    let said =
        "NOT VERIFIED: anybody can write such a token\n{\n  \"exp\": 5,\n  \"sub\": \"a\"\n}\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, said, ""));
    let ran = home.feed(&["--format", "json", "decode"], format!(" {jwt}\n").as_bytes());
    assert_eq!(ran.ok(), "{\"verified\":false,\"claims\":{\"exp\":5,\"sub\":\"a\"}}\n");
    let ran = home.run(&["decode", jwt]);
    assert!(ran.code == 0 && ran.err.contains("can be seen by every user"), "{ran:?}");
    assert_eq!(home.run(&["-q", "decode", jwt]).err, "");
    let ran = home.run(&["--format", "json", "decode", jwt]);
    let warning: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    let warning = warning["warning"]["message"].as_str().unwrap();
    assert!(ran.code == 0 && warning.contains("can be seen by every user"), "{warning}");
    assert_eq!(home.run(&["--format", "json", "-q", "decode", jwt]).err, "");
    assert_eq!(home.fails(&["decode", "nonsense"]), code(6, "invalid_token"), "one object");
    for bad in ["", "a.b.c", "PLANTED", "\u{fffd}"] {
        let ran = home.feed(&["--format", "json", "decode"], bad.as_bytes());
        assert!(!ran.err.contains("PLANTED"), "{ran:?}");
        assert_eq!(ran.failure(), code(6, "invalid_token"), "{bad:?}");
    }
    let ran = home.feed(&["--format", "json", "decode"], b"\xff\xfe");
    assert_eq!(ran.failure(), code(6, "invalid_token"));
}

#[test]
fn completions_and_the_manual_name_the_commands() {
    let home = Home::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(home.ok(&["completions", shell]).contains("import"), "{shell}");
    }
    let man = home.ok(&["man"]);
    assert!(man.contains(".TH cotter 1") && man.contains("doctor"), "{man}");
    for part in
        [".SH \"COTTER TOKEN\"", "min\\-ttl", ".SH \"COTTER DEVICES ENROLL\"", "magic\\-link"]
    {
        assert!(man.contains(part), "{part}: {man}");
    }
    assert_eq!(man.matches("\\-\\-lock\\-timeout\\fR").count(), 2, "synopsis, and once for all");
}

#[test]
fn a_closed_pipe_is_exit_1_and_no_panic() {
    let home = Home::new();
    for command in [&["man"] as &[&str], &["--help"], &["status"], &["--format", "json", "status"]]
    {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let out = home.command(command).stdout(Stdio::from(write)).output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{command:?}: {out:?}");
        let err = String::from_utf8(out.stderr).unwrap();
        assert!(err.contains("standard output cannot be written"), "{err}");
    }
}

#[test]
fn what_was_typed_in_the_wrong_place_is_not_repeated_if_it_may_be_a_token() {
    let home = Home::new();
    let planted = "PLANTED".repeat(10);
    for args in [
        &["decode", "x", &planted] as &[&str],
        &["token", &planted],
        &[&planted],
        &["token", "--min-ttl", &planted],
        &["--store", &planted, "token"],
        &["import", &planted],
    ] {
        let ran = home.run(args);
        assert!(ran.code == 2 && !ran.err.contains("PLANTED"), "{ran:?}");
    }
    home.sign_in();
    let ran = home.run(&["exec", "--", &planted]);
    assert!(ran.code == 127 && !ran.err.contains("PLANTED"), "{ran:?}");
}

#[test]
fn a_bug_is_exit_7_and_tells_its_place_and_nothing_else() {
    let mut home = Home::new();
    home.set("COTTER_TEST_PANIC", "PLANTED");
    let ran = home.run(&["status"]);
    assert_eq!((ran.code, ran.out.as_str()), (7, ""));
    assert!(ran.err.contains("src/main.rs:") && !ran.err.contains("PLANTED"), "{}", ran.err);
}

#[test]
fn a_log_filter_that_cannot_be_read_is_a_usage_error_unless_an_option_wins() {
    let mut home = Home::new();
    home.set("COTTER_LOG", "=====");
    assert_eq!(home.fails(&["status"]), code(2, "usage"));
    assert_eq!(home.run(&["-q", "status"]).code, 0);
    assert_eq!(home.run(&["-v", "status"]).code, 0);
}
