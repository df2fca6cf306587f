//! Answers, before they are put on the wire.

use core::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CONTENT_TYPE, HeaderName,
    HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE,
};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::body::{Kept, Paced};
use crate::config::{Config, RejectBody};
use crate::state::InHand;

/// A page, as a proxy or a captive portal sends one.
pub(crate) const PORTAL: &str = "<!doctype html><html><head><title>Welcome</title></head><body>Sign in to the network</body></html>";

/// How a body goes out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Pace {
    #[default]
    Whole,
    Half,
    Drip(Duration),
    /// Not at all: the connection closes without an answer.
    Abort,
}

/// An extension of responses that are never to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abort;

/// An extension of responses that a handler made; others are the framework's.
#[derive(Clone, Copy, Debug)]
struct Ours;

/// The response, in the shape of the API where it is an error of the framework's own.
pub(crate) fn in_shape(response: Response<Body>) -> Response<Body> {
    let status = response.status();
    if response.extensions().get::<Ours>().is_some() || status.as_u16() < 400 {
        return response;
    }
    let msg = match status {
        StatusCode::METHOD_NOT_ALLOWED => "Method is not allowed",
        StatusCode::PAYLOAD_TOO_LARGE => "Request is larger than 1 MiB",
        _ => "Request is not understood",
    };
    let allowed = response.headers().get(ALLOW).cloned();
    let mut shaped = Reply::error(status, msg).into_response();
    if let Some(allowed) = allowed {
        shaped.headers_mut().insert(ALLOW, allowed);
    }
    shaped
}

/// One answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Bytes,
    pub(crate) pace: Pace,
}

impl Reply {
    /// 200 with JSON.
    pub(crate) fn json(value: &Value) -> Self {
        Self::text("application/json", value.to_string())
    }

    /// An error in the shape of the API.
    pub(crate) fn error(status: StatusCode, msg: &str) -> Self {
        Self { status, ..Self::json(&json!({ "msg": msg, "type": "" })) }
    }

    /// 400 in the shape of the API.
    pub(crate) fn bad(msg: &str) -> Self {
        Self::error(StatusCode::BAD_REQUEST, msg)
    }

    /// 200 with a page.
    pub(crate) fn html(page: impl Into<String>) -> Self {
        Self::text("text/html; charset=utf-8", page.into())
    }

    fn text(kind: &str, body: String) -> Self {
        Self {
            headers: vec![(CONTENT_TYPE, kind.into())],
            body: Bytes::from(body),
            ..Self::default()
        }
    }

    /// 302.
    pub(crate) fn redirect(to: &str) -> Self {
        let headers = vec![(LOCATION, to.to_owned())];
        Self { status: StatusCode::FOUND, headers, ..Self::default() }
    }

    /// No answer at all.
    pub(crate) fn abort() -> Self {
        Self { pace: Pace::Abort, ..Self::default() }
    }

    /// A rejected refresh token.
    pub(crate) fn rejected(config: &Config) -> Self {
        let status = StatusCode::from_u16(config.reject_status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = match config.reject_body {
            RejectBody::Json => Self::error(status, &config.reject_msg),
            RejectBody::Empty => Self::default(),
            RejectBody::Html => Self::html(PORTAL),
            RejectBody::Null => Self::json(&Value::Null),
        };
        Self { status, ..body }
    }

    /// An unknown API key id, or one header and path disagree on.
    pub(crate) fn unknown_key() -> Self {
        Self::error(StatusCode::FORBIDDEN, "API key is not recognised")
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap_or(self.status);
        self
    }

    pub(crate) fn with_retry_after(self, seconds: Option<u64>) -> Self {
        match seconds {
            Some(seconds) => self.with(RETRY_AFTER, seconds.to_string()),
            None => self,
        }
    }

    pub(crate) fn with_cors(self) -> Self {
        self.with(ACCESS_CONTROL_ALLOW_ORIGIN, "*")
            .with(ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type, API_KEY_ID, Authorization")
    }

    /// The cookie that keeps a browser's refresh token.
    pub(crate) fn with_refresh_cookie(self, key: &str, token: &str) -> Self {
        let value =
            format!("{COOKIE}={token}; HttpOnly; Secure; SameSite=None; Path=/api/v0/token/{key}");
        self.with(SET_COOKIE, value)
    }
}

/// The emulator's own name for the refresh cookie: clients must not look for it.
pub(crate) const COOKIE: &str = "cotter_emulator_refresh";

impl IntoResponse for Reply {
    fn into_response(self) -> Response<Body> {
        let body = match self.pace {
            Pace::Whole => Body::from(self.body),
            Pace::Half => Body::new(Paced::half(&self.body)),
            Pace::Drip(pause) => Body::new(Paced::drip(&self.body, pause)),
            Pace::Abort => Body::empty(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        response.extensions_mut().insert(Ours);
        if matches!(self.pace, Pace::Abort) {
            response.extensions_mut().insert(Abort);
        }
        for (name, value) in self.headers {
            // Only a switch or a fault can ask for a value that is none: it is left out.
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// The answer to a request that stays in hand until the answer is written.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) reply: Reply,
    pub(crate) in_hand: InHand,
}

impl IntoResponse for Held {
    fn into_response(self) -> Response<Body> {
        let in_hand = self.in_hand;
        self.reply.into_response().map(|body| Body::new(Kept::new(body, in_hand)))
    }
}
