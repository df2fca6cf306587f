//! `cotter login` as a process: the person is played over HTTP; a real browser has a script of its own.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStderr};

use common::{ADA, Home};
use cotter_emulator::{Config, Emulator, Fault};

/// A login that has printed its link.
struct Login {
    child: Child,
    said: BufReader<ChildStderr>,
    link: String,
}

impl Home {
    /// A home whose login page is the emulator's.
    fn for_logins(store: &'static str) -> Self {
        let mut home = Self::on(store);
        let url = home.server.login_url().to_owned();
        home.set("COTTER_LOGIN_URL", &url);
        let key = home.server.identity_key().to_owned();
        home.set("COTTER_IDENTITY_KEY", &key);
        home
    }

    fn login(&self, arguments: &[&str]) -> Login {
        let mut all = vec!["--format", "json", "login", "--no-browser"];
        all.extend_from_slice(arguments);
        let mut child = self.spawn(&all);
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let link = line.split_whitespace().find(|word| word.contains("/app?"));
        let link = link.unwrap_or_else(|| panic!("a link, not {line}")).to_owned();
        Login { child, said, link }
    }

    /// Where the page leads a person who has asked for a code to `name` and enters it.
    fn enters_the_code(&self, link: &str, name: &str) -> String {
        let encoded = name.replace('+', "%2B").replace('@', "%40");
        let (_, query) = link.split_once('?').unwrap();
        if !query.contains("direct_login=true") {
            let form = format!("{query}&input={encoded}");
            call("POST", &format!("{}/app/send", self.server.login_url()), &form);
        } else {
            call("GET", link, "");
        }
        let codes =
            call("GET", &format!("{}/codes?identifier={encoded}", self.server.control_url()), "");
        let codes: serde_json::Value =
            serde_json::from_str(codes.rsplit("\r\n\r\n").next().unwrap()).unwrap();
        let form = format!(
            "challenge_id={}&code={}",
            codes["challenge_id"],
            codes["code"].as_str().unwrap()
        );
        location(&call("POST", &format!("{}/app/verify", self.server.login_url()), &form))
    }
}

impl Login {
    /// How it ended, and what it said after the link.
    fn end(mut self) -> (i32, String, String) {
        let mut err = String::new();
        self.said.read_to_string(&mut err).unwrap();
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), out, err)
    }

    fn redirect_url(&self) -> String {
        let (_, rest) = self.link.split_once("redirect_url=").unwrap();
        let value = rest.split('&').next().unwrap();
        value.replace("%3A", ":").replace("%2F", "/")
    }
}

fn location(answer: &str) -> String {
    let mut lines = answer.lines();
    let found = lines.find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location").then(|| value.to_owned())
    });
    found.unwrap_or_else(|| panic!("a redirect, not {answer}"))
}

fn call(method: &str, url: &str, form: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn error_code(err: &str) -> String {
    let last = err.lines().last().unwrap_or_default();
    let error: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{err}"));
    error["error"]["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_person_signs_in_and_the_tokens_are_kept() {
    for (store, flag, name) in
        [("file", "--email", ADA), ("file", "--phone", "+15550100123"), ("sled", "--email", ADA)]
    {
        let home = Home::for_logins(store);
        let login = home.login(&[flag]);
        let back = home.enters_the_code(&login.link, name);
        assert!(call("GET", &back, "").contains("Login complete"));
        let (code, out, err) = login.end();
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&answer["signed_in"], &answer["state"]), (&true.into(), &"fresh".into()));
        assert_eq!(home.ok(&["whoami"]), format!("{name}\n"));
        assert_eq!(home.json(&["whoami"])["auth_method"], "OTP");
        assert_eq!(home.ok(&["token"]).matches('.').count(), 2);
        home.ok(&["token", "--force-refresh"]);
    }
}

#[test]
fn an_address_on_the_command_line_skips_the_form() {
    let home = Home::for_logins("file");
    let login = home.login(&["--email", "grace+x@example.test", "--otp"]);
    assert!(
        login.link.contains("input=grace%2Bx%40example.test&direct_login=true"),
        "{}",
        login.link
    );
    assert!(login.link.contains("auth_method=OTP"));
    let back = home.enters_the_code(&login.link, "grace+x@example.test");
    call("GET", &back, "");
    assert_eq!(login.end().0, 0);
    assert_eq!(home.ok(&["whoami"]), "grace+x@example.test\n");
}

#[test]
fn nothing_secret_is_in_the_link_the_output_or_the_arguments() {
    let home = Home::for_logins("file");
    let mut command = home.command(&["-vvv", "login", "--no-browser", "--email"]);
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut all = String::new();
    let link = loop {
        let mut line = String::new();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "{all}");
        all.push_str(&line);
        if let Some(link) = line.split_whitespace().find(|word| word.contains("/app?")) {
            break link.to_owned();
        }
    };
    let names: Vec<&str> = link
        .split_once('?')
        .unwrap()
        .1
        .split('&')
        .map(|pair| pair.split('=').next().unwrap())
        .collect();
    assert_eq!(names, ["api_key", "redirect_url", "state", "code_challenge", "type"]);
    let back = home.enters_the_code(&link, ADA);
    let value = |name: &str| {
        let (_, rest) = back.split_once(&format!("{name}=")).unwrap();
        rest.split('&').next().unwrap().to_owned()
    };
    let (code, state) = (value("code"), value("state"));
    let page = call("GET", &back, "");
    said.read_to_string(&mut all).unwrap();
    assert!(child.wait().unwrap().success(), "{all}");
    let stored = home.ok(&["token", "--refresh"]);
    let after = all.replace(&link, "");
    for secret in [code.as_str(), stored.trim(), home.ok(&["token"]).trim()] {
        assert!(!all.contains(secret) && !page.contains(secret), "{secret} in {all}");
    }
    assert!(!after.contains(&state) && !page.contains(&state), "{after}");
    assert!(!after.contains("verifier"), "{after}");
}

#[test]
#[cfg(unix)]
fn the_browser_gets_the_link_and_no_variable_of_ours() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut home = Home::for_logins("file");
    home.set("COTTER_STORE_KEY_OLD", common::OTHER_KEY);
    let (browser, said) = (home.dir.path().join("browser"), home.dir.path().join("said"));
    let script =
        format!("#!/bin/sh\n{{ echo \"$1\"; env; }} >{0}.part; mv {0}.part {0}\n", said.display());
    std::fs::write(&browser, script).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o700)).unwrap();
    home.set("BROWSER", &format!("/nonexistent/browser:{}", browser.display()));
    let mut child = home.spawn(&["login", "--email"]);
    let begun = std::time::Instant::now();
    while !said.exists() {
        assert!(begun.elapsed().as_secs() < 20, "no browser was opened");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let said = std::fs::read_to_string(said).unwrap();
    assert!(said.lines().next().unwrap().contains("/app?api_key="), "{said}");
    assert!(said.contains("\nHOME="), "it has the rest: {said}");
    for ours in ["COTTER_", common::KEY, common::OTHER_KEY] {
        assert!(!said.contains(ours), "{ours} in {said}");
    }
}

#[test]
fn a_refusal_ends_it_and_who_was_signed_in_still_is() {
    let home = Home::for_logins("file");
    home.sign_in();
    let token = home.ok(&["token"]);
    let login = home.login(&["--email"]);
    let (_, query) = login.link.split_once('?').unwrap();
    let cancelled = call("POST", &format!("{}/app/cancel", home.server.login_url()), query);
    assert!(call("GET", &location(&cancelled), "").contains("You are not signed in"));
    let (code, out, err) = login.end();
    assert_eq!((code, out.as_str(), error_code(&err).as_str()), (3, "", "refused"), "{err}");
    assert_eq!(home.ok(&["token"]), token);
}

#[test]
fn nobody_comes_in_time() {
    let home = Home::for_logins("file");
    let (code, _, err) = home.login(&["--email", "--timeout", "300ms"]).end();
    assert_eq!((code, error_code(&err).as_str()), (4, "unavailable"), "{err}");
}

#[test]
fn the_wait_for_a_person_is_not_the_wait_for_the_server() {
    let home = Home::for_logins("file");
    home.server.fault(Fault::delay(Duration::from_millis(1500)).path("get_identity"));
    let login = home.login(&["--email", "--timeout", "20s"]);
    let back = home.enters_the_code(&login.link, ADA);
    call("GET", &back, "");
    let (code, _, err) = login.end();
    assert_eq!(code, 0, "{err}");
}

#[test]
fn a_lost_exchange_is_uncertain_and_never_repeated() {
    let home = Home::for_logins("file");
    home.sign_in();
    home.server.fault(Fault::new("drop").after_commit().path("get_identity"));
    let login = home.login(&["--email"]);
    let back = home.enters_the_code(&login.link, ADA);
    call("GET", &back, "");
    let (code, _, err) = login.end();
    assert_eq!((code, error_code(&err).as_str()), (4, "uncertain"), "{err}");
    assert_eq!(home.server.counters().identities, 1);
    home.ok(&["token"]);
}

#[test]
fn an_identity_that_another_server_signed_is_refused() {
    let mut home = Home::for_logins("file");
    let stranger = Emulator::start(Config::default()).unwrap();
    let key = stranger.identity_key().to_owned();
    home.set("COTTER_IDENTITY_KEY", &key);
    let login = home.login(&["--email"]);
    let back = home.enters_the_code(&login.link, ADA);
    call("GET", &back, "");
    let (code, _, err) = login.end();
    assert_eq!((code, error_code(&err).as_str()), (7, "config"), "{err}");
    assert_eq!(home.fails(&["token"]), (3, "sign_in_required".to_owned()));
    home.set("COTTER_IDENTITY_KEY", "not a key");
    assert_eq!(home.fails(&["login", "--no-browser"]), (2, "usage".to_owned()));
}

#[test]
fn two_logins_at_once_do_not_take_each_others_way_back() {
    let home = Home::for_logins("file");
    let (one, two) = (home.login(&["--email"]), home.login(&["--email"]));
    let back_one = home.enters_the_code(&one.link, ADA);
    let back_two = home.enters_the_code(&two.link, "grace@example.test");
    // Each other's answers first: injected codes, which the state gives away.
    let crossed = back_one.replace(&one.redirect_url(), &two.redirect_url());
    assert!(call("GET", &crossed, "").starts_with("HTTP/1.1 400"));
    let crossed = back_two.replace(&two.redirect_url(), &one.redirect_url());
    assert!(call("GET", &crossed, "").starts_with("HTTP/1.1 400"));
    call("GET", &back_one, "");
    assert_eq!(one.end().0, 0);
    call("GET", &back_two, "");
    assert_eq!(two.end().0, 0);
    assert_eq!(home.ok(&["whoami"]), "grace@example.test\n", "the last one stays");
}

#[test]
fn a_replayed_way_back_buys_nothing() {
    let home = Home::for_logins("file");
    let login = home.login(&["--email"]);
    let back = home.enters_the_code(&login.link, ADA);
    call("GET", &back, "");
    assert_eq!(login.end().0, 0);
    let again = home.login(&["--email"]);
    let replayed = back.replace(back.split('?').next().unwrap(), &again.redirect_url());
    assert!(call("GET", &replayed, "").starts_with("HTTP/1.1 400"));
    let real = home.enters_the_code(&again.link, ADA);
    call("GET", &real, "");
    assert_eq!(again.end().0, 0);
}

#[test]
fn a_login_wins_over_another_process_that_refreshes() {
    let home = Home::for_logins("file");
    home.import(&home.expired());
    home.server.fault(Fault::delay(Duration::from_millis(2500)).after_commit());
    let refreshing = home.spawn(&["token"]);
    assert!(home.server.wait_for_requests(1, Duration::from_secs(20)));
    let login = home.login(&["--email"]);
    let back = home.enters_the_code(&login.link, "grace@example.test");
    call("GET", &back, "");
    assert_eq!(login.end().0, 0);
    let other = refreshing.wait_with_output().unwrap();
    let whose = String::from_utf8(other.stdout).unwrap();
    assert_eq!(home.ok(&["whoami"]), "grace@example.test\n");
    assert_eq!(whose, home.ok(&["token"]), "who refreshed gets the newer sign-in's token");
}

#[test]
fn a_kill_in_the_middle_loses_nothing() {
    let home = Home::for_logins("file");
    home.sign_in();
    let token = home.ok(&["token"]);
    let mut login = home.login(&["--email"]);
    let back = home.enters_the_code(&login.link, ADA);
    login.child.kill().unwrap();
    login.child.wait().unwrap();
    assert!(TcpStream::connect(back.split('/').nth(2).unwrap()).is_err(), "nobody listens");
    assert_eq!(home.ok(&["token"]), token);
}

#[test]
fn a_port_of_ones_choice_for_a_list_of_allowed_urls() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let home = Home::for_logins("file");
    let login = home.login(&["--email", "--port", &port]);
    assert_eq!(login.redirect_url(), format!("http://127.0.0.1:{port}/"));
    let taken = home.fails(&["login", "--no-browser", "--port", &port]);
    assert_eq!(taken, (7, "config".to_owned()));
    let back = home.enters_the_code(&login.link, ADA);
    call("GET", &back, "");
    assert_eq!(login.end().0, 0);
}

#[test]
fn what_does_not_go_together_is_a_usage_error() {
    let home = Home::for_logins("file");
    for arguments in [
        &["login", "--email", "--phone"][..],
        &["login", "--otp", "--magic-link"],
        &["login", "--port", "70000"],
        &["login", "--timeout", "0s"],
    ] {
        assert_eq!(home.fails(arguments), (2, "usage".to_owned()), "{arguments:?}");
    }
    assert_eq!(home.fails(&["whoami"]), (3, "sign_in_required".to_owned()));
}
