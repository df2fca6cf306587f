//! The control interface: switches, faults, keys, clock and counters.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::object;
use crate::fault::Fault;
use crate::keys::KeyRing;
use crate::reply::{PORTAL, Reply};
use crate::state::App;
use crate::switches::Switch;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/counters", get(counters))
        .route("/faults", get(faults).post(fault))
        .route("/config", post(configure))
        .route("/clock", post(clock))
        .route("/keys/rotate", post(rotate))
        .route("/reset", post(reset))
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .route("/portal", get(async || Reply::html(PORTAL)))
}

fn done() -> Reply {
    Reply::json(&json!({ "success": true }))
}

async fn counters(State(app): State<Arc<App>>) -> Reply {
    Reply::json(&json!(app.core().counters))
}

async fn faults(State(app): State<Arc<App>>) -> Reply {
    Reply::json(&json!(app.core().faults.list()))
}

async fn fault(State(app): State<Arc<App>>, body: Bytes) -> Reply {
    let parsed = serde_json::from_slice::<Fault>(&body).map_err(|error| error.to_string());
    match parsed.and_then(Fault::checked) {
        Ok(fault) => {
            app.core().faults.push(fault);
            done()
        }
        Err(why) => Reply::bad(&why),
    }
}

async fn configure(State(app): State<Arc<App>>, body: Bytes) -> Reply {
    let members = match object(&body) {
        Ok(members) => members,
        Err(why) => return Reply::bad(&why),
    };
    let mut core = app.core();
    // All or nothing: a wrong value must not leave half of a change behind.
    let mut config = core.config.clone();
    for (name, value) in members {
        let value = match value {
            Value::String(text) => text,
            value @ (Value::Bool(_) | Value::Number(_)) => value.to_string(),
            _ => return Reply::bad(&format!("{name}: text, a number, true or false")),
        };
        let Some(switch) = Switch::find(&name).filter(|switch| switch.name != "api-key-id") else {
            return Reply::bad(&format!("no switch {name:?} to change"));
        };
        if let Err(why) = switch.set(&mut config, &value) {
            return Reply::bad(&why);
        }
    }
    if config.kid != core.config.kid {
        core.keys.rename(config.kid.clone());
    }
    core.config = config;
    done()
}

async fn clock(State(app): State<Arc<App>>, body: Bytes) -> Reply {
    let members = object(&body).unwrap_or_default();
    let Some(offset) = members.get("offset_s").and_then(Value::as_i64) else {
        return Reply::bad("offset_s must be a whole number of seconds");
    };
    let mut core = app.core();
    core.clock.set_offset(offset);
    Reply::json(&json!({ "offset_s": core.clock.offset(), "now": core.clock.now_s() }))
}

async fn rotate(State(app): State<Arc<App>>, body: Bytes) -> Reply {
    let drop_old = match drop_old(&body) {
        Ok(drop_old) => drop_old,
        Err(why) => return Reply::bad(&why),
    };
    let mut core = app.core();
    let keys: &mut KeyRing = &mut core.keys;
    keys.rotate(drop_old);
    Reply::json(&json!({ "kid": keys.active().kid }))
}

/// What the body says; none at all is fine.
fn drop_old(body: &Bytes) -> Result<bool, String> {
    if body.is_empty() {
        return Ok(false);
    }
    match object(body)?.get("drop_old") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(drop_old)) => Ok(*drop_old),
        Some(_) => Err("drop_old is true or false".into()),
    }
}

async fn reset(State(app): State<Arc<App>>) -> Reply {
    app.reset();
    done()
}

async fn pause(State(app): State<Arc<App>>) -> Reply {
    app.pause(true);
    done()
}

async fn resume(State(app): State<Arc<App>>) -> Reply {
    app.pause(false);
    done()
}
