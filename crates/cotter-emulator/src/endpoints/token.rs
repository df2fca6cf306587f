//! `POST` and `DELETE /token/{key}`, and the older `POST /token`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::COOKIE as COOKIES;
use axum::routing::post;
use serde_json::{Value, json};

use super::{known_key, members, text};
use crate::config::DeleteToken;
use crate::faulty::guarded;
use crate::reply::{COOKIE, Held, Reply};
use crate::state::{App, Core};
use crate::tokens::Mode;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/token", post(refresh_old))
        .route("/token/{key}", post(refresh).delete(sign_out))
}

async fn refresh(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Held {
    exchange(&app, Some(&key), &headers, &body).await
}

async fn refresh_old(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Held {
    exchange(&app, None, &headers, &body).await
}

async fn exchange(app: &Arc<App>, key: Option<&str>, headers: &HeaderMap, body: &Bytes) -> Held {
    let members = members(body);
    let grant = text(&members, "grant_type");
    let by_body = text(&members, "refresh_token");
    let by_cookie = cookie(headers);
    let cookie_wins = app.core().config.cookie_wins;
    let presented = if cookie_wins { by_cookie.or(by_body) } else { by_body.or(by_cookie) };

    let in_hand = App::arrive(app, presented);
    app.gate().await;
    let answer = |core: &mut Core, mode: Mode<'_>| {
        if !known_key(core, headers, key) {
            return Reply::unknown_key();
        }
        if grant != Some("refresh_token") {
            return Reply::bad("Grant type is not supported");
        }
        let bought = presented.map(|token| core.refresh(token, mode));
        let Some(Ok(set)) = bought else {
            core.counters.refused += u64::from(presented.is_none());
            return Reply::rejected(&core.config);
        };
        let reply = Reply::json(&set);
        match set.get("refresh_token").and_then(Value::as_str) {
            Some(new) if by_cookie.is_some() => {
                reply.with_refresh_cookie(&core.config.api_key_id, new)
            }
            _ => reply,
        }
    };
    Held { reply: guarded(app, "refresh", answer).await, in_hand }
}

async fn sign_out(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let members = members(&body);
    let answer = |core: &mut Core, _: Mode<'_>| {
        core.counters.deletes += 1;
        if !known_key(core, &headers, Some(&key)) {
            return Reply::unknown_key();
        }
        let named = match core.config.delete_token {
            DeleteToken::Cookie => cookie(&headers),
            DeleteToken::Body => cookie(&headers).or_else(|| text(&members, "refresh_token")),
            DeleteToken::Ignore => None,
        };
        if named.is_some_and(|token| core.families.revoke(token)) {
            core.counters.signed_out += 1;
        }
        Reply::json(&json!({ "success": true }))
    };
    guarded(&app, "delete", answer).await
}

/// The refresh token in the cookie.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIES)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE && !value.is_empty()).then_some(value))
}
