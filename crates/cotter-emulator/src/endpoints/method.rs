//! What is enrolled for a user: trusted devices, PINs and the like.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::{get, put};
use serde_json::{Map, Value, json};

use super::{Params, known_key, members, text, wants_tokens};
use crate::codec::from_b64;
use crate::faulty::guarded;
use crate::options::TokenSetOptions;
use crate::reply::Reply;
use crate::state::{App, Core};
use crate::tokens::Mode;
use crate::users::User;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/user/methods", put(update).get(look))
        .route("/user/{id}", put(update_by_client_id))
        .route("/user/enrolled/{id}/{method}", get(enrolled))
        .route("/user/enrolled/{id}/{method}/{key}", get(enrolled_key))
        .route("/user/enrolled/any/{id}/{method}", get(enrolled))
}

async fn update(
    State(app): State<Arc<App>>,
    params: Params,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let id = params.get("cotter_user_id").cloned().unwrap_or_default();
    change(&app, &params, &headers, &body, |core| core.users.by_id(&id)).await
}

async fn update_by_client_id(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    change(&app, &params, &headers, &body, |core| core.users.by_client_id(&id)).await
}

async fn change(
    app: &App,
    params: &Params,
    headers: &HeaderMap,
    body: &Bytes,
    find: impl FnOnce(&Core) -> Option<&User>,
) -> Reply {
    let members = members(body);
    let answer = |core: &mut Core, mode: Mode<'_>| {
        if !known_key(core, headers, None) {
            return Reply::unknown_key();
        }
        let Some(user) = find(core).cloned() else { return Reply::bad("User not found") };
        let now_ms = core.clock.now_ms();
        let Some(stored) = core.users.by_id_mut(&user.id) else {
            return Reply::bad("User not found");
        };
        if let Err(why) = apply(stored, &members, now_ms) {
            return Reply::bad(why);
        }
        let mut object = stored.object(&core.config.api_key_id, "update_at");
        if wants_tokens(core, params) {
            object["oauth_token"] = core.sign_in(&TokenSetOptions::new(user.identifier), mode);
        }
        Reply::json(&object)
    };
    guarded(app, "methods", answer).await
}

/// Enrols, changes or removes a method.
fn apply(user: &mut User, members: &Map<String, Value>, now_ms: i64) -> Result<(), &'static str> {
    let method = text(members, "method").ok_or("method is required")?;
    let code = text(members, "code").unwrap_or_default();
    let algorithm = text(members, "algorithm").unwrap_or_default();
    let enrols = members.get("enrolled").and_then(Value::as_bool).ok_or("enrolled is required")?;
    if !enrols {
        user.remove(method, code, now_ms);
        return Ok(());
    }
    if code.is_empty() {
        return Err("code is required");
    }
    if algorithm == "ED25519" && from_b64(code).is_none_or(|key| key.len() != 32) {
        return Err("code must be the base64 of an Ed25519 public key");
    }
    if members.get("change_code") == Some(&Value::Bool(true)) {
        if !user.has(method, text(members, "current_code")) {
            return Err("current_code does not match");
        }
        user.remove(method, "", now_ms);
    }
    // A user has many devices, but one code of each other kind.
    let same = (method == "TRUSTED_DEVICE").then_some(code);
    if user.has(method, same) {
        return Err("The method is already enrolled");
    }
    user.enrol(method, algorithm, code, now_ms);
    Ok(())
}

async fn look(State(app): State<Arc<App>>, params: Params, headers: HeaderMap) -> Reply {
    let field = |name: &str| params.get(name).map_or("", String::as_str);
    let key = params.get("public_key").map(String::as_str);
    let find = |core: &Core| core.users.by_id(field("cotter_user_id")).cloned();
    state(&app, &headers, find, field("method"), key).await
}

async fn enrolled(
    State(app): State<Arc<App>>,
    Path((id, method)): Path<(String, String)>,
    headers: HeaderMap,
) -> Reply {
    let find = |core: &Core| core.users.by_client_id(&id).cloned();
    state(&app, &headers, find, &method, None).await
}

async fn enrolled_key(
    State(app): State<Arc<App>>,
    Path((id, method, key)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Reply {
    let find = |core: &Core| core.users.by_client_id(&id).cloned();
    state(&app, &headers, find, &method, Some(&key)).await
}

/// Whether a method is enrolled; a key comes in base64 over the text that was enrolled.
async fn state(
    app: &App,
    headers: &HeaderMap,
    find: impl FnOnce(&Core) -> Option<User>,
    method: &str,
    key: Option<&str>,
) -> Reply {
    let answer = |core: &mut Core, _: Mode<'_>| {
        if !known_key(core, headers, None) {
            return Reply::unknown_key();
        }
        let inner = key.map(|key| from_b64(key).and_then(|bytes| String::from_utf8(bytes).ok()));
        let enrolled = match (find(core), &inner) {
            (None, _) | (_, Some(None)) => false,
            (Some(user), None) => user.has(method, None),
            (Some(user), Some(Some(key))) => user.has(method, Some(key)),
        };
        Reply::json(&json!({ "enrolled": enrolled, "method": method }))
    };
    guarded(app, "methods", answer).await
}
