//! Where faults meet requests.

use core::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CONTENT_ENCODING, LOCATION, SET_COOKIE};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::fault::Fault;
use crate::reply::{PORTAL, Pace, Reply};
use crate::state::{App, Core};
use crate::tokens::Mode;

/// Handles a request of `path`, unless a queued fault has it otherwise.
pub(crate) async fn guarded(
    app: &App,
    path: &str,
    handle: impl FnOnce(&mut Core, Mode<'_>) -> Reply,
) -> Reply {
    let Some(fault) = next(app, path) else { return handle(&mut app.core(), Mode::NORMAL) };

    let delays = fault.name == "delay";
    let wait = match fault.ms {
        Some(ms) if fault.name != "drip" => Duration::from_millis(ms),
        None if delays => Duration::from_secs(1),
        _ => Duration::ZERO,
    };
    if !fault.after_commit && !wait.is_zero() {
        sleep(wait).await;
    }
    let answer = replacement(app, &fault);
    let mode = Mode {
        commit: fault.after_commit || delays,
        fault: answer.is_none().then_some(fault.name.as_str()),
    };
    let reply = match answer {
        Some(answer) => {
            if fault.after_commit {
                handle(&mut app.core(), mode);
            }
            answer
        }
        None if mode.commit => reshaped(handle(&mut app.core(), mode), &fault),
        // Here for all endpoints, so that none of them can forget it.
        None => reshaped(app.core().undone(|core| handle(core, mode)), &fault),
    };
    if fault.after_commit && !wait.is_zero() {
        sleep(wait).await;
    }
    reply
}

fn next(app: &App, path: &str) -> Option<Fault> {
    let mut core = app.core();
    let fault = core.faults.take(path);
    core.counters.faults += u64::from(fault.is_some());
    fault
}

/// The answer of a fault that has its own.
fn replacement(app: &App, fault: &Fault) -> Option<Reply> {
    let plain = |status: u16| {
        let status = fault.status.unwrap_or(status);
        let msg = fault.msg.as_deref().unwrap_or("Something went wrong");
        let reply = shaped(fault.body.as_deref(), msg).with_status(status);
        let reply = reply.with_retry_after(fault.retry_after);
        match &fault.location {
            Some(url) => reply.with(LOCATION, url),
            None => reply,
        }
    };
    Some(match fault.name.as_str() {
        "drop" => Reply::abort(),
        "status" | "500" => plain(500),
        "503" => plain(503),
        "408" => plain(408),
        "429" if fault.retry_after.is_none() => plain(429).with_retry_after(Some(1)),
        "429" => plain(429),
        "redirect" if fault.location.is_none() => {
            plain(302).with(LOCATION, format!("{}/_control/portal", app.origin()))
        }
        "redirect" => plain(302),
        "reject" => {
            let msg = fault.msg.as_deref().unwrap_or("Refresh token is not valid");
            let reply = shaped(fault.body.as_deref(), msg);
            reply.with_status(fault.status.unwrap_or(400)).with_retry_after(fault.retry_after)
        }
        "html" => Reply::html(PORTAL),
        "empty" => Reply::default(),
        "null" => Reply::json(&Value::Null),
        "array" => Reply::json(&json!([])),
        _ => return None,
    })
}

fn shaped(body: Option<&str>, msg: &str) -> Reply {
    match body {
        None | Some("json") => Reply::bad(msg),
        Some("empty") => Reply::default(),
        Some("html") => Reply::html(PORTAL),
        Some("null") => Reply::json(&Value::Null),
        Some("array") => Reply::json(&json!([])),
        Some(text) => Reply { body: Bytes::from(text.to_owned()), ..Reply::json(&Value::Null) },
    }
}

/// The true answer, as the fault delivers it.
fn reshaped(mut reply: Reply, fault: &Fault) -> Reply {
    match fault.name.as_str() {
        "half" => reply.pace = Pace::Half,
        "drip" => reply.pace = Pace::Drip(Duration::from_millis(fault.ms.unwrap_or(100))),
        "oversized" => pad(&mut reply, fault.bytes.unwrap_or(70_000)),
        "oversized-1m" => pad(&mut reply, fault.bytes.unwrap_or(1_100_000)),
        "gzip-lie" => reply = reply.with(CONTENT_ENCODING, "gzip"),
        "set-cookie" => reply = reply.with(SET_COOKIE, "tracker=1; Path=/"),
        _ => {}
    }
    reply
}

/// Adds a member of that many bytes to an object; the body stays valid JSON.
fn pad(reply: &mut Reply, bytes: usize) {
    let padding = "x".repeat(bytes);
    let value = serde_json::from_slice::<Value>(&reply.body);
    reply.body = match value {
        Ok(Value::Object(mut object)) => {
            object.insert("padding".into(), json!(padding));
            Bytes::from(Value::Object(object).to_string())
        }
        _ => Bytes::from(padding),
    };
}
