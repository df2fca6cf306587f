//! RFC 6749: form bodies, client authentication, the standard error object.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use zeroize::Zeroizing;

use super::json::Object;
use super::{Answer, ByStatus, by_status, retry_after, said, settled};
use crate::error::ServerSaid;
use crate::provider::ClientAuth;
use crate::secret::{RefreshToken, SecretBytes};
use crate::time::Timestamp;
use crate::token::OAuthToken;

/// A refresh (RFC 6749 section 6).
pub(crate) fn refresh(
    endpoint: &str,
    client_id: &str,
    auth: &ClientAuth,
    scope: Option<&str>,
    token: &RefreshToken,
) -> Request<SecretBytes> {
    let mut fields = Form::new();
    fields.push("grant_type", "refresh_token");
    fields.push("refresh_token", token.expose());
    if let Some(scope) = scope {
        fields.push("scope", scope);
    }
    authenticated(endpoint, client_id, auth, fields)
}

/// A revocation (RFC 7009 section 2.1).
pub(crate) fn revoke(
    endpoint: &str,
    client_id: &str,
    auth: &ClientAuth,
    token: &RefreshToken,
) -> Request<SecretBytes> {
    let mut fields = Form::new();
    fields.push("token", token.expose());
    fields.push("token_type_hint", "refresh_token");
    authenticated(endpoint, client_id, auth, fields)
}

fn authenticated(
    endpoint: &str,
    client_id: &str,
    auth: &ClientAuth,
    mut fields: Form,
) -> Request<SecretBytes> {
    let basic = match auth {
        ClientAuth::None => {
            fields.push("client_id", client_id);
            None
        }
        ClientAuth::Post(secret) => {
            fields.push("client_id", client_id);
            fields.push("client_secret", secret.expose());
            None
        }
        ClientAuth::Basic(secret) => basic(client_id, secret.expose()),
    };
    let mut request = super::cotter::request(Method::POST, endpoint, fields.0);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    if let Some(basic) = basic {
        headers.insert(AUTHORIZATION, basic);
    }
    request
}

/// RFC 6749 section 2.3.1: both parts form-encoded, then joined and base64.
fn basic(client_id: &str, secret: &str) -> Option<HeaderValue> {
    let mut pair = SecretBytes::with_capacity(3 * (client_id.len() + secret.len()) + 1);
    encode(&mut pair, client_id);
    pair.extend_from_slice(b":");
    encode(&mut pair, secret);
    let mut text = Zeroizing::new(String::with_capacity(6 + pair.len().div_ceil(3) * 4));
    text.push_str("Basic ");
    STANDARD.encode_string(pair.expose(), &mut text);
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A form body (WHATWG URL, application/x-www-form-urlencoded), wiped when dropped.
struct Form(SecretBytes);

impl Form {
    fn new() -> Self {
        Self(SecretBytes::with_capacity(1024))
    }

    fn push(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.extend_from_slice(b"&");
        }
        encode(&mut self.0, name);
        self.0.extend_from_slice(b"=");
        encode(&mut self.0, value);
    }
}

fn encoded(text: &str) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(3 * text.len());
    encode(&mut out, text);
    out
}

fn encode(out: &mut SecretBytes, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                out.extend_from_slice(&[byte]);
            }
            b' ' => out.extend_from_slice(b"+"),
            _ => {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'%', HEX[high], HEX[low]]);
            }
        }
    }
}

/// What an answer means (RFC 6749 sections 5.1 and 5.2).
pub(crate) fn judge(
    response: &Response<SecretBytes>,
    secrets: &[&str],
    client_secret: Option<&str>,
    now: Option<Timestamp>,
) -> Answer {
    let status = by_status(response.status());
    let body = Object::parse(response.body().expose()).ok();
    let said = || heard(response, body.as_ref(), secrets, client_secret);
    let code = body.as_ref().and_then(|body| body.text("error")).filter(|code| !code.is_empty());
    match (&status, &body, code) {
        (ByStatus::Success, Some(body), code) => {
            let set = OAuthToken::from_object(body);
            match code {
                // Some servers say no with a 200; what holds a token is none of those.
                Some(code) if set.access_token().is_none() && set.refresh_token().is_none() => {
                    by_code(response, &code, said(), now)
                }
                _ => Answer::Granted(Box::new(set)),
            }
        }
        (ByStatus::Client, Some(_), Some(code)) => by_code(response, &code, said(), now),
        _ => settled(response, &status, said(), now),
    }
}

/// Only `invalid_grant` refuses (rule 9).
fn by_code(
    response: &Response<SecretBytes>,
    code: &str,
    said: ServerSaid,
    now: Option<Timestamp>,
) -> Answer {
    match code {
        "invalid_grant" => Answer::Refused(said),
        "invalid_client" | "unauthorized_client" | "invalid_scope" | "unsupported_grant_type" => {
            Answer::Misconfigured(said)
        }
        // With any other code, only a 4xx says that nothing was spent (rule 17).
        _ if response.status().is_success() => settled(response, &ByStatus::Uncertain, said, now),
        "temporarily_unavailable" | "server_error" | "slow_down" => {
            Answer::Busy { said, retry_after: retry_after::read(response.headers(), now) }
        }
        _ => Answer::Misconfigured(said),
    }
}

fn heard(
    response: &Response<SecretBytes>,
    body: Option<&Object<'_>>,
    secrets: &[&str],
    client_secret: Option<&str>,
) -> ServerSaid {
    let secrets: Vec<&str> = secrets.iter().copied().chain(client_secret).collect();
    // They went out form-encoded, and may come back so, in the base64 of the Basic scheme too.
    let sent: Vec<SecretBytes> = secrets.iter().map(|secret| encoded(secret)).collect();
    let sent = sent.iter().filter_map(|sent| core::str::from_utf8(sent.expose()).ok());
    let secrets: Vec<&str> = secrets.iter().copied().chain(sent).collect();
    let text = |name: &str| Some(said::cleaned(&body?.text(name)?, &secrets));
    let mut heard = ServerSaid::status(response.status().as_u16());
    heard.code = text("error");
    heard.message = text("error_description");
    heard
}
