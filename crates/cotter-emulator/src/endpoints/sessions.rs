//! The control interface: sessions without the ceremony of a sign-in.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use core::time::Duration;
use serde_json::{Map, Value, json};

use super::{Params, members, object, text};
use crate::options::TokenSetOptions;
use crate::reply::Reply;
use crate::state::App;
use crate::switches::{duration, profile};
use crate::tokens::Mode;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/token-set", post(token_set))
        .route("/session", get(session))
        .route("/users/delete", post(delete_user))
}

async fn token_set(State(app): State<Arc<App>>, body: Bytes) -> Reply {
    match object(&body).and_then(|members| options(&members)) {
        Ok(options) => Reply::json(&app.core().sign_in(&options, Mode::NORMAL)),
        Err(why) => Reply::bad(&why),
    }
}

fn options(members: &Map<String, Value>) -> Result<TokenSetOptions, String> {
    let identifier = optional(members, "identifier")?.ok_or("identifier is required")?;
    let access_ttl = match members.get("access_ttl") {
        None | Some(Value::Null) => None,
        Some(Value::String(time)) => Some(duration(time)?),
        Some(Value::Number(seconds)) => {
            let seconds = seconds.as_f64().filter(|s| (0.0..1e9).contains(s));
            Some(Duration::from_secs_f64(seconds.ok_or("access_ttl is out of range")?))
        }
        Some(_) => return Err("access_ttl is a number of seconds or text like \"2s\"".into()),
    };
    Ok(TokenSetOptions {
        identifier: identifier.to_owned(),
        access_ttl,
        profile: optional(members, "profile")?.map(profile).transpose()?,
        auth_method: optional(members, "auth_method")?.map(str::to_owned),
    })
}

/// A member that is a string with something in it, if it is there.
fn optional<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(format!("{name} is text")),
    }
}

/// The newest session of a user: `refresh_token` and whether it is `alive`.
async fn session(State(app): State<Arc<App>>, params: Params) -> Reply {
    let core = app.core();
    let identifier = params.get("identifier").map_or("", String::as_str);
    let user = core.users.by_identifier(identifier);
    let id = user.map_or("", |user| user.id.as_str());
    Reply::json(&json!({
        "refresh_token": core.families.newest_token(id),
        "alive": core.families.is_alive(id, core.clock.now_ms()),
    }))
}

async fn delete_user(State(app): State<Arc<App>>, body: Bytes) -> Reply {
    let members = members(&body);
    let deleted = text(&members, "identifier").is_some_and(|name| app.core().users.delete(name));
    Reply::json(&json!({ "success": deleted }))
}
