//! A person with a browser and a mailbox: goes through the emulator's login page as people do.

use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use async_trait::async_trait;
use cotter::Error;
use cotter::login::{AuthorizationCode, BlockingUserAgent, Landing, PendingLogin, UserAgent};
use cotter_emulator::Emulator;

/// Where the page sends people back to; nobody listens there, the redirect itself is read.
pub const BACK: &str = "http://127.0.0.1:8395/back";

/// Somebody who signs in.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests build it")]
pub struct Person<'a> {
    /// The server whose page it is, and whose control interface stands for the mailbox.
    pub server: &'a Emulator,
    /// Email address or phone number.
    pub name: &'a str,
}

impl Person<'_> {
    /// Enters the name, then the code that was sent; the address that the page leads back to.
    ///
    /// # Panics
    /// If the page does not do what it should.
    #[must_use]
    pub fn enters_the_code(&self, url: &str) -> String {
        self.asks(url);
        let codes = self.mailbox("codes");
        let (id, code) = (member(&codes, "challenge_id"), member(&codes, "code"));
        self.submit("verify", &format!("challenge_id={id}&code={code}"))
    }

    /// Enters the name, then follows the link that was sent.
    ///
    /// # Panics
    /// If the page does not do what it should.
    #[must_use]
    pub fn follows_the_link(&self, url: &str) -> String {
        self.asks(url);
        back(&call("GET", &member(&self.mailbox("links"), "link"), ""))
    }

    /// Says no.
    ///
    /// # Panics
    /// If the page does not do what it should.
    #[must_use]
    pub fn cancels(&self, url: &str) -> String {
        self.submit("cancel", query(url))
    }

    /// Opens the page and has a code or a link sent, unless opening it does so already.
    fn asks(&self, url: &str) {
        let page = call("GET", url, "");
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        if !query(url).contains("direct_login=true") {
            let name = self.name.replace('+', "%2B").replace('@', "%40");
            let form = format!("{}&input={name}", query(url));
            let sent = call("POST", &format!("{}/app/send", self.server.login_url()), &form);
            assert!(sent.contains("We sent"), "{sent}");
        }
    }

    fn mailbox(&self, kind: &str) -> String {
        let name = self.name.replace('+', "%2B").replace('@', "%40");
        call("GET", &format!("{}/{kind}?identifier={name}", self.server.control_url()), "")
    }

    fn submit(&self, form: &str, fields: &str) -> String {
        back(&call("POST", &format!("{}/app/{form}", self.server.login_url()), fields))
    }
}

fn query(url: &str) -> &str {
    url.split_once('?').map_or("", |(_, query)| query)
}

/// The member of this name in a flat JSON object: text or number.
fn member(json: &str, name: &str) -> String {
    let (_, rest) = json.split_once(&format!("\"{name}\":")).expect("the member is there");
    let end = rest.find([',', '}']).expect("it ends");
    rest[..end].trim_matches('"').to_owned()
}

/// Where an answer redirects to.
fn back(answer: &str) -> String {
    let mut lines = answer.lines();
    let found = lines.find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location").then(|| value.to_owned())
    });
    found.unwrap_or_else(|| panic!("a redirect, not {answer}"))
}

/// One request on a connection of its own; the whole answer as text.
fn call(method: &str, url: &str, form: &str) -> String {
    let rest = url.strip_prefix("http://").expect("plain http");
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = TcpStream::connect(host).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out can be set");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).expect("the request is written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    answer
}

/// An agent that does with each login as it is told: what it is given are the addresses that reach
/// the listener, in their order.
#[expect(clippy::exhaustive_structs, reason = "tests build it")]
pub struct Agent<F>(pub F);

impl<F> core::fmt::Debug for Agent<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Agent")
    }
}

impl<F: Fn(&PendingLogin) -> Vec<String> + Send + Sync> BlockingUserAgent for Agent<F> {
    fn redirect_url(&self) -> &str {
        BACK
    }

    fn visit(&self, login: &PendingLogin) -> Result<AuthorizationCode, Error> {
        for address in self.0(login) {
            match login.take(&address) {
                Landing::Code(code) => return Ok(code),
                Landing::Failed(error) => return Err(error),
                Landing::Foreign => {}
            }
        }
        Err(Error::unavailable("nobody came back", None, false))
    }
}

/// The same agent for async sessions.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests build it")]
pub struct Awaited<T>(pub T);

#[async_trait]
impl<T: BlockingUserAgent> UserAgent for Awaited<T> {
    fn redirect_url(&self) -> &str {
        self.0.redirect_url()
    }

    async fn visit(&self, login: &PendingLogin) -> Result<AuthorizationCode, Error> {
        self.0.visit(login)
    }
}
