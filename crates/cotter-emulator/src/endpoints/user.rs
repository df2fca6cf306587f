//! Users: `POST /user/create`, `GET /user?identifier=` and `GET /user/{client_user_id}`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;

use super::{Params, known_key, members, text, wants_tokens};
use crate::faulty::guarded;
use crate::options::TokenSetOptions;
use crate::reply::Reply;
use crate::state::{App, Core};
use crate::tokens::Mode;
use crate::users::{User, nobody};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/user/create", post(create))
        .route("/user", get(by_identifier))
        .route("/user/{id}", get(by_client_id))
}

async fn create(
    State(app): State<Arc<App>>,
    params: Params,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let members = members(&body);
    let listed = members.get("identifiers").and_then(Value::as_array).and_then(|list| list.first());
    let named = text(&members, "identifier").or_else(|| listed.and_then(Value::as_str));
    let own = text(&members, "client_user_id");
    let answer = |core: &mut Core, mode: Mode<'_>| {
        if !known_key(core, &headers, None) {
            return Reply::unknown_key();
        }
        let Some(identifier) = named.or(own) else {
            return Reply::bad("Identifier is required");
        };
        let taken = own.is_some_and(|own| core.users.by_client_id(own).is_some());
        let now_ms = core.clock.now_ms();
        let issuer = core.config.api_key_id.clone();
        let made = if taken { None } else { core.users.create(identifier, own, now_ms) };
        let Some(user) = made else { return Reply::bad("User already exists") };
        let mut object = user.object(&issuer, "updated_at");
        core.counters.users_created += 1;
        if wants_tokens(core, &params) {
            object["oauth_token"] = core.sign_in(&TokenSetOptions::new(identifier), mode);
        }
        Reply::json(&object)
    };
    guarded(&app, "user", answer).await
}

async fn by_identifier(State(app): State<Arc<App>>, params: Params, headers: HeaderMap) -> Reply {
    let identifier = params.get("identifier").map_or("", String::as_str);
    lookup(&app, &headers, |core| core.users.by_identifier(identifier)).await
}

async fn by_client_id(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Reply {
    lookup(&app, &headers, |core| core.users.by_client_id(&id)).await
}

async fn lookup(
    app: &App,
    headers: &HeaderMap,
    find: impl FnOnce(&Core) -> Option<&User>,
) -> Reply {
    let answer = |core: &mut Core, _: Mode<'_>| {
        if !known_key(core, headers, None) {
            return Reply::unknown_key();
        }
        match find(core) {
            Some(user) => Reply::json(&user.object(&core.config.api_key_id, "updated_at")),
            None if core.config.unknown_user_404 => {
                Reply::error(StatusCode::NOT_FOUND, "User not found")
            }
            None => Reply::json(&nobody()),
        }
    };
    guarded(app, "user", answer).await
}
