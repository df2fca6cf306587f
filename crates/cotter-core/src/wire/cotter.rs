//! Cotter's dialect: JSON bodies, the API key id in path and header, errors by `msg`.

use alloc::boxed::Box;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use zeroize::Zeroizing;

use super::json::Object;
use super::{Answer, ByStatus, by_status, said, settled};
use crate::error::ServerSaid;
use crate::secret::{RefreshToken, SecretBytes};
use crate::time::Timestamp;
use crate::token::OAuthToken;

/// `API_KEY_ID`, as HTTP sees it: header names know no case.
const API_KEY_ID: HeaderName = HeaderName::from_static("api_key_id");

/// `POST {API}/token/{API_KEY_ID}` (protocol page 2.1).
pub(crate) fn refresh(base: &str, api_key_id: &str, token: &RefreshToken) -> Request<SecretBytes> {
    const BEFORE: &str = r#"{"grant_type":"refresh_token","refresh_token":"#;
    let mut body = SecretBytes::with_capacity(BEFORE.len() + 6 * token.expose().len() + 3);
    body.extend_from_slice(BEFORE.as_bytes());
    json_text(&mut body, token.expose());
    body.extend_from_slice(b"}");
    api(Method::POST, &alloc::format!("{base}/token/{api_key_id}"), api_key_id, body)
}

/// A call of the API, in the name of a project (protocol page 1.2).
pub(super) fn api(
    method: Method,
    url: &str,
    api_key_id: &str,
    body: SecretBytes,
) -> Request<SecretBytes> {
    let mut request = request(method, url, body);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // `Provider::cotter` has checked that the id can stand in a header.
    if let Ok(value) = HeaderValue::from_str(api_key_id) {
        headers.insert(API_KEY_ID, value);
    }
    request
}

/// A plain GET that carries no secret.
pub(crate) fn get(url: &str) -> Request<SecretBytes> {
    request(Method::GET, url, SecretBytes::default())
}

pub(super) fn request(method: Method, url: &str, body: SecretBytes) -> Request<SecretBytes> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // Providers take only addresses that parse; the fallback goes nowhere.
    *request.uri_mut() = url.parse().unwrap_or_default();
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

/// Writes `text` as a JSON string.
pub(super) fn json_text(out: &mut SecretBytes, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            }
            _ => out.extend_from_slice(&[byte]),
        }
    }
    out.extend_from_slice(b"\"");
}

/// What an answer of Cotter means (protocol page 5.A.5 to 5.A.7).
pub(crate) fn judge(
    response: &Response<SecretBytes>,
    secrets: &[&str],
    now: Option<Timestamp>,
) -> Answer {
    let status = by_status(response.status());
    let body = Object::parse(response.body().expose()).ok();
    match (&status, &body) {
        (ByStatus::Success, Some(body)) => Answer::Granted(Box::new(OAuthToken::from_object(body))),
        (ByStatus::Client, Some(body)) if refuses(response.status().as_u16(), body) => {
            Answer::Refused(heard(response, Some(body), secrets))
        }
        _ => settled(response, &status, heard(response, body.as_ref(), secrets), now),
    }
}

/// A 4xx whose `msg` says "not valid", or a 400 or 401 with an error object of any text.
pub(super) fn refuses(status: u16, body: &Object<'_>) -> bool {
    let not_valid = || {
        let msg = body.text("msg");
        msg.is_some_and(|msg| Zeroizing::new(msg.to_ascii_lowercase()).contains("not valid"))
    };
    body.get("msg").is_some() && (matches!(status, 400 | 401) || not_valid())
}

/// What the server said, without what it was sent as a secret.
pub(super) fn heard(
    response: &Response<SecretBytes>,
    body: Option<&Object<'_>>,
    secrets: &[&str],
) -> ServerSaid {
    let text = |name: &str| Some(said::cleaned(&body?.text(name)?, secrets));
    let mut heard = ServerSaid::status(response.status().as_u16());
    heard.code = text("type");
    heard.message = text("msg");
    heard
}
