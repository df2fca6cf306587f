//! `POST /verify/get_identity`: what an authorization code buys.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::routing::post;
use serde_json::{Value, json};

use super::{Params, known_key, members, text, wants_tokens};
use crate::faulty::guarded;
use crate::options::TokenSetOptions;
use crate::reply::Reply;
use crate::state::{App, Core};
use crate::tokens::Mode;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/verify/get_identity", post(get_identity))
}

async fn get_identity(
    State(app): State<Arc<App>>,
    params: Params,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let members = members(&body);
    let field = |name: &str| text(&members, name).unwrap_or_default();
    // A number, not text: clients have got that wrong.
    let challenge_id = members.get("challenge_id").and_then(Value::as_u64);
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let answer = |core: &mut Core, mode: Mode<'_>| {
        if !known_key(core, &headers, None) {
            return Reply::unknown_key();
        }
        let bought = core.exchange_code(
            field("authorization_code"),
            challenge_id,
            field("redirect_url"),
            field("code_verifier"),
            agent,
        );
        let (whose, identifier, token) = match bought {
            Ok(bought) => bought,
            Err(why) => return Reply::bad(why),
        };
        core.counters.identities += 1;
        // A sign-in makes a user who isn't there.
        let id = core.users.ensure(&whose, core.clock.now_ms());
        let issuer = core.config.api_key_id.clone();
        let user = core.users.by_id(&id).map(|user| user.object(&issuer, "updated_at"));
        let mut object = json!({ "identifier": identifier, "token": token, "user": user });
        if !wants_tokens(core, &params) {
            return Reply::json(&object);
        }
        let set = core.sign_in(&TokenSetOptions::new(whose), mode);
        let refresh = set.get("refresh_token").and_then(Value::as_str).map(str::to_owned);
        object["oauth_token"] = set;
        let reply = Reply::json(&object);
        match refresh {
            Some(token) => reply.with_refresh_cookie(&issuer, &token),
            None => reply,
        }
    };
    guarded(&app, "get_identity", answer).await
}
