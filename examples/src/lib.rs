//! Small programs that a user would copy; see `src/bin`.

pub mod api;

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use cotter_emulator::Emulator;

/// Plays the person at the browser, for examples that have to run by themselves: opens the login page,
/// asks for a code, reads it from the emulated mailbox, enters it, and follows the way back.
///
/// # Errors
/// If the page is not the emulator's.
pub fn person_signs_in(server: &Emulator, link: &str, email: &str) -> io::Result<()> {
    let strange = || io::Error::other("this is not the emulator's page");
    let (_, query) = link.split_once('?').ok_or_else(strange)?;
    let email = email.replace('@', "%40");
    let page = format!("{}/app", server.login_url());
    call("POST", &format!("{page}/send"), &format!("{query}&input={email}"))?;
    let codes = call("GET", &format!("{}/codes?identifier={email}", server.control_url()), "")?;
    let value = |name: &str| {
        let (_, rest) = codes.split_once(&format!("\"{name}\":")).ok_or_else(strange)?;
        Ok::<_, io::Error>(rest.trim_start_matches('"').split(['"', ',', '}']).next().unwrap_or(""))
    };
    let form = format!("challenge_id={}&code={}", value("challenge_id")?, value("code")?);
    let answer = call("POST", &format!("{page}/verify"), &form)?;
    let location = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location").then_some(value)
    });
    call("GET", location.ok_or_else(strange)?, "").map(drop)
}

/// One request, as a browser without a screen would make it.
fn call(method: &str, url: &str, form: &str) -> io::Result<String> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
