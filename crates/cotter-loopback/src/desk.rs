//! Who is let through: pure, so that every odd request can be tried without a socket.

use cotter_core::Error;
use cotter_core::login::{AuthorizationCode, Landing, PendingLogin};

use crate::page::Page;
use crate::request::{Fault, Method, Read};

/// What the login came to.
pub(crate) type Outcome = Result<AuthorizationCode, Error>;

/// Where the browser is to come back to.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) path: String,
    pub(crate) port: u16,
}

impl Door {
    /// What to answer, and the login's outcome if this request was it.
    pub(crate) fn judge(
        &self,
        login: &PendingLogin,
        request: &Read<'_>,
    ) -> (Page, Option<Outcome>) {
        let (method, target, host) = match request {
            Read::Request { method, target, host } => (*method, *target, *host),
            Read::Bad(Fault::TargetTooLong) => return (Page::TargetTooLong, None),
            Read::Bad(Fault::HeadTooLong) => return (Page::HeadTooLong, None),
            Read::Bad(Fault::Malformed) | Read::More => return (Page::Malformed, None),
        };
        // A page elsewhere that had its name point here sends its own name (DNS rebinding).
        if !host.is_some_and(|host| self.is_own(host)) {
            return (Page::WrongHost, None);
        }
        let path = target.split(['?', '#']).next().unwrap_or_default();
        match method {
            Method::Other => (Page::NotAllowed, None),
            _ if path != self.path => (Page::NotFound, None),
            // Asked by whoever wants to know whether there is a page, not by who comes back.
            Method::Head => (Page::Foreign, None),
            Method::Get => match login.take(target) {
                Landing::Code(code) => (Page::Done, Some(Ok(code))),
                Landing::Failed(error) => (Page::Failed, Some(Err(error))),
                Landing::Foreign => (Page::Foreign, None),
            },
        }
    }

    fn is_own(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        let known =
            ["127.0.0.1", "[::1]"].contains(&name) || name.eq_ignore_ascii_case("localhost");
        known && port == Some(self.port)
    }
}
