use core::fmt::Write as _;
use core::time::Duration;

use axum_core::body::Body;
use axum_core::response::Response;
use cotter_jwt::{AccessClaims, Invalid};
use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

/// The protected space where nobody names one: the scheme alone is no challenge (RFC 6750 section 3).
const REALM: &str = "api";

/// What is required of a request beyond a good token, and how it is told so.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    /// Sign-in methods of which one is required.
    pub(crate) methods: Option<Vec<String>>,
    realm: String,
    scopes: Vec<String>,
}

/// Why a request does not pass.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    BadRequest,
    Invalid(Invalid),
    Method,
    NoToken,
    Scope,
}

impl Challenge {
    pub(crate) fn set_realm(&mut self, realm: &str) {
        self.realm = quotable(realm);
    }

    /// Adds what stands in `scopes`, of which there may be several (RFC 6749 section 3.3).
    pub(crate) fn require_scopes(&mut self, scopes: &str) {
        self.scopes.extend(scopes.split_ascii_whitespace().map(str::to_owned));
    }

    pub(crate) fn judge(&self, claims: &AccessClaims) -> Result<(), Refusal> {
        if let Some(methods) = &self.methods {
            let method = claims.authentication_method();
            if !method.is_some_and(|method| methods.iter().any(|wanted| wanted == method)) {
                return Err(Refusal::Method);
            }
        }
        if self.scopes.iter().all(|scope| claims.has_scope(scope)) {
            Ok(())
        } else {
            Err(Refusal::Scope)
        }
    }

    pub(crate) fn answer(&self, refusal: Refusal) -> Response {
        if let Refusal::Invalid(invalid) = refusal
            && let Some(retry_after) = invalid.retry_after()
        {
            return later(retry_after);
        }
        let (status, error, description) = match refusal {
            Refusal::BadRequest => (
                StatusCode::BAD_REQUEST,
                Some("invalid_request"),
                "there must be one Authorization header with one token".to_owned(),
            ),
            Refusal::Invalid(why) => {
                (StatusCode::UNAUTHORIZED, Some("invalid_token"), why.to_string())
            }
            Refusal::Method => (
                StatusCode::UNAUTHORIZED,
                Some("insufficient_user_authentication"),
                "another way of signing in is required".to_owned(),
            ),
            Refusal::NoToken => (StatusCode::UNAUTHORIZED, None, String::new()),
            Refusal::Scope => (
                StatusCode::FORBIDDEN,
                Some("insufficient_scope"),
                "the token's scope is too small".to_owned(),
            ),
        };
        let mut challenge = String::from("Bearer");
        let mut separator = ' ';
        let mut add = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = write!(challenge, "{separator}{name}=\"{}\"", quotable(value));
            separator = ',';
        };
        add("realm", &self.realm);
        if let Some(error) = error {
            add("error", error);
            add("error_description", &description);
        }
        match (&refusal, &self.methods) {
            (Refusal::Method, Some(methods)) => add("acr_values", &methods.join(" ")),
            (Refusal::Scope, _) => add("scope", &self.scopes.join(" ")),
            _ => {}
        }
        let mut response = plain(status);
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Default for Challenge {
    fn default() -> Self {
        Self { methods: None, realm: REALM.to_owned(), scopes: Vec::new() }
    }
}

/// No verdict about the token: the client may come again with the same one.
fn later(retry_after: Duration) -> Response {
    let seconds = retry_after.as_millis().div_ceil(1000).clamp(1, 3600);
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE);
    if let Ok(seconds) = HeaderValue::from_str(&seconds.to_string()) {
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What may stand between quotes without being escaped (RFC 6750 section 3).
fn quotable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect()
}
