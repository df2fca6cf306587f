//! Events: create, create pending, poll, new and respond.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::{Map, Value};

use super::{Params, known_key, members, text, wants_tokens};
use crate::event::{Event, Proof};
use crate::faulty::guarded;
use crate::reply::Reply;
use crate::state::{App, Core};
use crate::tokens::Mode;
use crate::users::User;

type Members = Map<String, Value>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/event/create", post(create))
        .route("/event/create_pending", post(create_pending))
        .route("/event/get/{id}", get(poll))
        .route("/event/new", get(newest))
        .route("/event/new/{client_user_id}", get(newest_by_client_id))
        .route("/event/respond/{id}", post(respond))
}

const UNPROVEN: &str = "The signature of the trusted device does not match";

/// Runs `answer` for requests with the right key.
async fn with_key(
    app: &App,
    headers: &HeaderMap,
    answer: impl FnOnce(&mut Core) -> Result<Reply, Reply>,
) -> Reply {
    let answer = |core: &mut Core, _: Mode<'_>| {
        if known_key(core, headers, None) {
            answer(core).unwrap_or_else(|refusal| refusal)
        } else {
            Reply::unknown_key()
        }
    };
    guarded(app, "event", answer).await
}

async fn create(
    State(app): State<Arc<App>>,
    params: Params,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let members = members(&body);
    let answer = with_key(&app, &headers, |core| {
        let (user, mut event) = parse(core, &members)?;
        let field = |name: &str| text(&members, name).unwrap_or_default();
        let new_key = field("new_device_public_key");
        let registers = members.get("register_new_device") == Some(&Value::Bool(true));
        let suffix = if registers { format!("true{new_key}") } else { "true".into() };
        let approved = members.get("approved") == Some(&Value::Bool(true));
        if !approved || !core.proves(&user, &event, proof(&members, &suffix)) {
            return Err(Reply::bad(UNPROVEN));
        }
        if registers {
            let now_ms = core.clock.now_ms();
            if let Some(user) = core.users.by_id_mut(&user.id) {
                user.enrol("TRUSTED_DEVICE", field("new_device_algorithm"), new_key, now_ms);
            }
        }
        event.approved = true;
        event.new = false;
        let id = core.events.add(event);
        let tokens = wants_tokens(core, &params);
        Ok(Reply::json(&core.event_object(id, tokens)))
    });
    answer.await
}

async fn create_pending(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Reply {
    let members = members(&body);
    let answer = with_key(&app, &headers, |core| {
        let (_, event) = parse(core, &members)?;
        let id = core.events.add(event);
        Ok(Reply::json(&core.event_object(id, false)))
    });
    answer.await
}

async fn poll(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
    params: Params,
    headers: HeaderMap,
) -> Reply {
    let answer = with_key(&app, &headers, |core| {
        core.event(id).ok_or_else(unknown)?;
        let tokens = wants_tokens(core, &params);
        Ok(Reply::json(&core.event_object(id, tokens)))
    });
    answer.await
}

async fn newest(State(app): State<Arc<App>>, params: Params, headers: HeaderMap) -> Reply {
    let answer = with_key(&app, &headers, |core| {
        let by_id = params.get("cotter_user_id").and_then(|id| core.users.by_id(id));
        let own = || params.get("client_user_id").and_then(|id| core.users.by_client_id(id));
        let user = by_id.or_else(own).map(|user| user.id.clone());
        Ok(waiting(core, user))
    });
    answer.await
}

async fn newest_by_client_id(
    State(app): State<Arc<App>>,
    Path(own): Path<String>,
    headers: HeaderMap,
) -> Reply {
    let answer = with_key(&app, &headers, |core| {
        let user = core.users.by_client_id(&own).map(|user| user.id.clone());
        Ok(waiting(core, user))
    });
    answer.await
}

async fn respond(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let members = members(&body);
    let answer = with_key(&app, &headers, |core| {
        let waiting = core.event(id).filter(|event| event.new).ok_or_else(unknown)?.clone();
        let (user, echoed) = parse(core, &members)?;
        let same = user.id == waiting.user_id
            && echoed.event == waiting.event
            && echoed.timestamp == waiting.timestamp;
        if !same {
            return Err(Reply::bad("The event does not match"));
        }
        let approved = members.get("approved").and_then(Value::as_bool);
        let approved = approved.ok_or_else(|| Reply::bad("approved must be true or false"))?;
        let suffix = if approved { "true" } else { "false" };
        if !core.proves(&user, &echoed, proof(&members, suffix)) {
            return Err(Reply::bad(UNPROVEN));
        }
        if let Some(event) = core.events.get_mut(id) {
            event.new = false;
            event.approved = approved;
            event.method = echoed.method;
        }
        Ok(Reply::json(&core.event_object(id, false)))
    });
    answer.await
}

fn unknown() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "No such event is waiting")
}

fn waiting(core: &mut Core, user: Option<String>) -> Reply {
    let id = user.and_then(|user| core.pending(&user));
    Reply::json(&id.map_or(Value::Null, |id| core.event_object(id, false)))
}

fn proof<'a>(members: &'a Members, suffix: &'a str) -> Proof<'a> {
    let field = |name: &str| text(members, name).unwrap_or_default();
    Proof {
        code: field("code"),
        public_key: field("public_key"),
        algorithm: field("algorithm"),
        suffix,
    }
}

/// The user and the event that the base fields name.
fn parse(core: &Core, members: &Members) -> Result<(User, Event), Reply> {
    let field = |name: &str| {
        let value = text(members, name).map(str::to_owned);
        value.ok_or_else(|| Reply::bad(&format!("{name} is required")))
    };
    if field("issuer")? != core.config.api_key_id {
        return Err(Reply::unknown_key());
    }
    let by_id = text(members, "user_id").and_then(|id| core.users.by_id(id));
    // One client puts Cotter's id into the customer's field.
    let own = || {
        let id = text(members, "client_user_id")?;
        core.users.by_client_id(id).or_else(|| core.users.by_id(id))
    };
    let user = by_id.or_else(own).ok_or_else(|| Reply::bad("User not found"))?;
    let blank = core.config.event_blank_client_id;
    let timestamp = field("timestamp")?;
    if timestamp.parse::<i64>().is_err() {
        return Err(Reply::bad("timestamp must be seconds as text"));
    }
    let event = Event {
        user_id: user.id.clone(),
        client_user_id: if blank { String::new() } else { user.client_user_id.clone() },
        event: field("event")?,
        ip: field("ip")?,
        location: field("location")?,
        timestamp,
        method: field("method")?,
        new: true,
        approved: false,
        created_ms: core.clock.now_ms(),
        set: None,
    };
    Ok((user.clone(), event))
}
