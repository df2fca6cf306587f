//! Calls of Cotter's API beside the token endpoint: one request, and the object it is answered with.

use alloc::string::String;
use alloc::vec::Vec;

use http::{Method, Request, Response};
use zeroize::Zeroizing;

use super::json::Object;
use super::{ByStatus, by_status, cotter, retry_after};
use crate::error::{Error, ErrorKind};
use crate::secret::SecretBytes;

/// One call, and how to speak of it where it fails.
pub(crate) struct Call {
    pub(crate) request: Request<SecretBytes>,
    /// What it is: "the login", say.
    pub(crate) what: &'static str,
    /// Whether it uses something up that a lost answer leaves in doubt.
    pub(crate) spends: bool,
    /// Whether `null` is an answer: an object without members.
    pub(crate) nullable: bool,
    /// What of the request no error may repeat.
    pub(crate) secrets: Vec<Zeroizing<String>>,
}

impl Call {
    /// A `GET` that carries no secret and changes nothing.
    pub(crate) fn get(what: &'static str, url: &str, api_key_id: &str) -> Self {
        let request = cotter::api(Method::GET, url, api_key_id, SecretBytes::default());
        Self { request, what, spends: false, nullable: false, secrets: Vec::new() }
    }

    /// A `POST` of a JSON object that changes something.
    pub(crate) fn post(
        what: &'static str,
        url: &str,
        api_key_id: &str,
        fields: &[(&str, Field<'_>)],
    ) -> Self {
        let request = cotter::api(Method::POST, url, api_key_id, object(fields));
        Self { request, what, spends: true, nullable: false, secrets: Vec::new() }
    }

    /// The same call as a `PUT`.
    pub(crate) fn put(mut self) -> Self {
        *self.request.method_mut() = Method::PUT;
        self
    }

    /// The same call, that may be answered with `null`.
    pub(crate) const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The same call, with a text of it that no error may repeat.
    pub(crate) fn with_secret(mut self, secret: &str) -> Self {
        self.secrets.push(Zeroizing::new(secret.into()));
        self
    }
}

/// A member of a body.
#[derive(Clone, Copy)]
pub(crate) enum Field<'a> {
    Flag(bool),
    Number(u64),
    Text(&'a str),
}

/// A JSON object with these members.
fn object(fields: &[(&str, Field<'_>)]) -> SecretBytes {
    let room = |(name, field): &(&str, Field<'_>)| match field {
        Field::Text(text) => name.len() + 6 * text.len() + 8,
        Field::Number(_) | Field::Flag(_) => name.len() + 28,
    };
    let mut body = SecretBytes::with_capacity(2 + fields.iter().map(room).sum::<usize>());
    let mut before: &[u8] = b"{";
    for (name, field) in fields {
        body.extend_from_slice(before);
        before = b",";
        cotter::json_text(&mut body, name);
        body.extend_from_slice(b":");
        match field {
            Field::Text(text) => cotter::json_text(&mut body, text),
            Field::Flag(flag) => body.extend_from_slice(if *flag { b"true" } else { b"false" }),
            Field::Number(number) => {
                body.extend_from_slice(alloc::format!("{number}").as_bytes());
            }
        }
    }
    body.extend_from_slice(b"}");
    body
}

/// The object in an answer, or what the answer means instead (protocol page 5.A.5, 5.A.6).
pub(crate) fn read<'a>(
    response: &'a Response<SecretBytes>,
    what: &str,
    spends: bool,
    nullable: bool,
    secrets: &[Zeroizing<String>],
) -> Result<Object<'a>, Error> {
    let status = by_status(response.status());
    let body = match response.body().expose().trim_ascii() {
        b"null" if nullable => Object::parse(b"{}").ok(),
        body => Object::parse(body).ok(),
    };
    if let ByStatus::Success = status {
        if let Some(body) = body {
            return Ok(body);
        }
    }
    let secrets: Vec<&str> = secrets.iter().map(|secret| secret.as_str()).collect();
    let refused =
        body.as_ref().is_some_and(|body| cotter::refuses(response.status().as_u16(), body));
    let said = cotter::heard(response, body.as_ref(), &secrets);
    let wait = retry_after::read(response.headers(), None);
    let error = match status {
        ByStatus::Client if refused => {
            Error::new(ErrorKind::Denied, alloc::format!("the server refused {what}"))
        }
        ByStatus::Client | ByStatus::Redirect => Error::config(alloc::format!(
            "the server does not take {what}: look at its address and at the API key id"
        )),
        ByStatus::Busy => {
            Error::unavailable(alloc::format!("the server is too busy for {what}"), wait, false)
        }
        ByStatus::Uncertain | ByStatus::Success => {
            let message =
                alloc::format!("the server has failed; what became of {what} is not known");
            Error::unavailable(message, wait, spends)
        }
    };
    Err(error.with_server(said))
}
