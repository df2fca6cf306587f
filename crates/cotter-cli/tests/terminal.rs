//! What is shown on a terminal, and only there.

#![allow(clippy::unwrap_used, reason = "helpers are not seen as tests")]
#![cfg(unix)]

mod common;

use core::time::Duration;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use common::{ADA, Home, part};
use cotter_emulator::Fault;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const SLOW: Duration = Duration::from_millis(2500);

/// Runs with a terminal for standard error; gives the exit code, standard output, and the terminal's
/// text.
fn on_terminal(home: &Home, arguments: &[&str]) -> (i32, String, String) {
    on_terminal_called(home, "xterm", arguments)
}

fn on_terminal_called(home: &Home, term: &str, arguments: &[&str]) -> (i32, String, String) {
    let (terminal, side) = terminal();
    let out = home.command(arguments).env("TERM", term).stderr(Stdio::from(side)).output().unwrap();
    (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap(), read(terminal))
}

/// A terminal, and the side of it that a program gets.
fn terminal() -> (File, File) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let side = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (File::from(terminal), side)
}

/// All that was shown, once nobody has the other side any more.
fn read(mut terminal: File) -> String {
    let mut shown = Vec::new();
    // The end of a terminal whose other side is closed is an error on Linux.
    let _ = terminal.read_to_end(&mut shown);
    String::from_utf8(shown).unwrap()
}

#[test]
fn what_takes_longer_than_a_second_says_so_and_goes_away() {
    let home = Home::new();
    home.sign_in_expired();
    home.server.fault(Fault::delay(SLOW));
    let (code, out, shown) = on_terminal(&home, &["token"]);
    assert_eq!((code, out.lines().count()), (0, 1));
    assert!(shown.contains("waiting for the server ..."), "{shown:?}");
    assert!(shown.ends_with("\r\u{1b}[2K"), "{shown:?}");

    home.server.fault(Fault::delay(SLOW));
    let (_, _, shown) = on_terminal(&home, &["-q", "token", "--force-refresh"]);
    assert_eq!(shown, "");
    home.server.fault(Fault::delay(SLOW));
    let ran = home.run(&["token", "--force-refresh"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "nothing where there is no terminal");
}

#[test]
fn a_terminal_that_knows_no_escape_sequences_gets_a_line() {
    let home = Home::new();
    home.sign_in_expired();
    home.server.fault(Fault::delay(SLOW));
    let (code, _, shown) = on_terminal_called(&home, "dumb", &["token"]);
    assert_eq!((code, shown.as_str()), (0, "cotter: waiting for the server ...\r\n"));
}

#[test]
fn answers_stand_on_clean_lines_and_nothing_spins_while_input_is_awaited() {
    let home = Home::new();
    let set: serde_json::Value = serde_json::from_str(&home.server.token_set(ADA)).unwrap();
    let token = part(&set, "access_token");
    let (terminal, side) = terminal();
    let mut child = home
        .command(&["verify"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::from(side.try_clone().unwrap()))
        .stderr(Stdio::from(side))
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    home.server.fault(Fault::delay(SLOW).path("jwks"));
    writeln!(stdin, "{token}").unwrap();
    // Long enough for the keys to come, and then for a spinner that nobody has stopped.
    std::thread::sleep(SLOW + SLOW);
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let shown = read(terminal);
    assert!(shown.contains("waiting for the server ..."), "{shown:?}");
    let (before, answer) = shown.rsplit_once("valid: ").unwrap();
    assert!(before.ends_with("\r\u{1b}[2K"), "{shown:?}");
    assert!(!answer.contains("waiting"), "{shown:?}");

    // A log's lines too.
    home.sign_in_expired();
    home.server.fault(Fault::delay(SLOW));
    let (code, _, shown) = on_terminal(&home, &["-vv", "token"]);
    assert_eq!(code, 0);
    let mut lines = shown.lines().filter(|line| line.contains("waiting for the server ..."));
    assert!(lines.all(|line| line.contains("...\r\u{1b}[2K")), "{shown:?}");
}

#[test]
fn a_database_that_another_process_has_is_said_to_be_waited_for() {
    let home = Home::on("sled");
    home.sign_in_expired();
    home.server.pause();
    let refreshing = home.spawn(&["token"]);
    assert!(home.server.wait_for_requests(1, Duration::from_secs(20)));
    let (code, _, shown) = on_terminal(&home, &["--lock-timeout", "2s", "status"]);
    assert!(shown.contains("waiting for another process that has this store ..."), "{shown:?}");
    assert_eq!(code, 4, "{shown:?}");
    home.server.resume();
    assert!(refreshing.wait_with_output().unwrap().status.success());
}

#[test]
fn what_is_quick_says_nothing() {
    let home = Home::new();
    home.sign_in_expired();
    assert_eq!(on_terminal(&home, &["token"]).2, "");
    assert_eq!(on_terminal(&home, &["token"]).2, "");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let mut home = Home::new();
    let (code, _, shown) = on_terminal(&home, &["token"]);
    assert!(code == 3 && shown.contains("\u{1b}[1;31mcotter:"), "{shown:?}");
    assert!(!home.run(&["token"]).err.contains('\u{1b}'));
    home.set("NO_COLOR", "1").sign_in();
    for arguments in [&["token", "--id", "-v"] as &[&str], &["-vvv", "status"], &["nonsense"]] {
        let shown = on_terminal(&home, arguments).2;
        assert!(!shown.is_empty() && !shown.contains('\u{1b}'), "{shown:?}");
    }
}
