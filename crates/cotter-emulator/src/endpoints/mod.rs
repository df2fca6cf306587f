//! The endpoints, one file a group.

mod control;
mod event;
mod identity;
mod jwks;
mod login;
mod method;
mod sessions;
mod token;
mod user;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::reply::Reply;
use crate::state::{App, Core};

/// Query parameters; of one that is repeated, the last.
type Params = axum::extract::Query<HashMap<String, String>>;

/// Every route of the server.
pub(crate) fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .merge(token::routes())
        .merge(jwks::routes())
        .merge(identity::routes())
        .merge(user::routes())
        .merge(method::routes())
        .merge(event::routes());
    let control = control::routes().merge(sessions::routes()).merge(login::control());
    Router::new()
        .nest("/api/v0", api)
        .merge(login::routes())
        .merge(worker::routes())
        .nest("/_control", control)
        .fallback(async || Reply::error(StatusCode::NOT_FOUND, "No such endpoint"))
        .layer(DefaultBodyLimit::max(1 << 20))
        .with_state(app)
}

/// Whether the request names the project: in its header and, where the path has an id, there too.
fn known_key(core: &Core, headers: &HeaderMap, path: Option<&str>) -> bool {
    let key = core.config.api_key_id.as_str();
    let header = headers.get("API_KEY_ID").and_then(|value| value.to_str().ok());
    header == Some(key) && path.is_none_or(|path| path == key)
}

/// The members of a JSON body; none where it is no object.
fn members(body: &Bytes) -> Map<String, Value> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// The members of a JSON body of the control interface, which must be an object.
fn object(body: &Bytes) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("the body is no JSON object".into()),
        Err(error) => Err(format!("the body is no JSON: {error}")),
    }
}

/// A member that is a string with something in it.
fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Whether tokens go with the answer.
fn wants_tokens(core: &Core, params: &Params) -> bool {
    core.config.always_tokens || params.get("oauth_token").is_some_and(|value| value == "true")
}
