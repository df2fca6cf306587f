//! The hosted login page: `/app`, its forms, its links and its redirects.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Router, extract::RawQuery};
use serde_json::json;

use super::Params;
use crate::codec::html;
use crate::faulty::guarded;
use crate::login::{Request, Verified};
use crate::redirect::{is_allowed, with_query};
use crate::reply::Reply;
use crate::state::{App, Core};

type Fields = HashMap<String, String>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/app", get(page))
        .route("/app/send", post(send))
        .route("/app/verify", post(verify))
        .route("/app/cancel", post(cancel))
        .route("/app/link", get(link))
}

/// The control interface: what would have been sent to a mailbox or a telephone.
pub(super) fn control() -> Router<Arc<App>> {
    Router::new().route("/codes", get(codes)).route("/links", get(links))
}

async fn page(
    State(app): State<Arc<App>>,
    Query(fields): Query<Fields>,
    RawQuery(raw): RawQuery,
) -> Reply {
    let whatsapp = raw.is_some_and(|raw| raw.contains("WHATSAPP"));
    let answer = guarded(&app, "login", |core, _| match request(core, &fields) {
        Err(refusal) => refusal,
        Ok(request) => {
            let direct = fields.get("direct_login").is_some_and(|value| value == "true");
            match fields.get("input").filter(|input| direct && !input.is_empty()) {
                Some(input) => sent(core, request, &fields, input),
                None => Reply::html(ask(&fields, &request.kind, whatsapp, "")),
            }
        }
    });
    answer.await
}

async fn send(State(app): State<Arc<App>>, Form(fields): Form<Fields>) -> Reply {
    let answer = guarded(&app, "login", |core, _| match request(core, &fields) {
        Err(refusal) => refusal,
        Ok(request) => {
            let input = fields.get("input").map_or("", String::as_str);
            sent(core, request, &fields, input)
        }
    });
    answer.await
}

async fn verify(State(app): State<Arc<App>>, Form(fields): Form<Fields>) -> Reply {
    let id = fields.get("challenge_id").and_then(|id| id.parse().ok()).unwrap_or(0);
    let otp = fields.get("code").map_or("", String::as_str);
    let mut core = app.core();
    match core.enter_code(id, otp) {
        Ok(verified) => back(&verified),
        Err(why) => match core.logins.challenge(id) {
            Some(challenge) => Reply::html(enter(id, &challenge.identifier, why)),
            None => Reply::html(shell(&format!("<p role=alert>{why}</p>"))),
        },
    }
}

async fn cancel(State(app): State<Arc<App>>, Form(fields): Form<Fields>) -> Reply {
    let core = app.core();
    match request(&core, &fields) {
        Err(refusal) => refusal,
        Ok(Request { redirect_url, state, .. }) => {
            let query = [("error", "access_denied"), ("state", state.as_str())];
            Reply::redirect(&with_query(&redirect_url, &query))
        }
    }
}

async fn link(State(app): State<Arc<App>>, params: Params) -> Reply {
    let token = params.get("token").map_or("", String::as_str);
    match app.core().follow_link(token) {
        Some(verified) => back(&verified),
        None => Reply::html(shell("<p role=alert>This link is not valid any more.</p>")),
    }
}

async fn codes(State(app): State<Arc<App>>, params: Params) -> Reply {
    let identifier = params.get("identifier").map_or("", String::as_str);
    let core = app.core();
    let newest = core.logins.newest(identifier);
    let (id, code) = newest.map(|(id, challenge)| (id, challenge.otp.as_str())).unzip();
    Reply::json(&json!({ "code": code, "challenge_id": id }))
}

async fn links(State(app): State<Arc<App>>, params: Params) -> Reply {
    let identifier = params.get("identifier").map_or("", String::as_str);
    let core = app.core();
    let newest = core.logins.newest(identifier);
    let url = |token: &str| format!("{}/app/link?token={token}", app.origin());
    let (id, link) = newest.map(|(id, challenge)| (id, url(&challenge.link))).unzip();
    Reply::json(&json!({ "link": link, "challenge_id": id }))
}

/// What the parameters ask for, or why they may not.
fn request(core: &Core, fields: &Fields) -> Result<Request, Reply> {
    let field = |name: &str| {
        let value = fields.get(name).filter(|value| !value.is_empty()).cloned();
        value.ok_or_else(|| Reply::bad(&format!("{name} is required")))
    };
    if field("api_key")? != core.config.api_key_id {
        return Err(Reply::unknown_key());
    }
    let redirect_url = field("redirect_url")?;
    if !is_allowed(&core.config.allowed_redirects, &redirect_url) {
        return Err(Reply::error(
            StatusCode::BAD_REQUEST,
            &format!(
                "The redirect URL {redirect_url} or the parent origin :// is not in the list of \
                 allowed URLs. Please contact the site owner."
            ),
        ));
    }
    let kind = field("type")?;
    if !matches!(kind.as_str(), "EMAIL" | "PHONE") {
        return Err(Reply::bad("type must be EMAIL or PHONE"));
    }
    Ok(Request {
        redirect_url,
        state: field("state")?,
        code_challenge: field("code_challenge")?,
        kind,
        cotter_user_id: field("cotter_user_id").ok(),
    })
}

/// Sends a code or a link, and says so.
fn sent(core: &mut Core, request: Request, fields: &Fields, input: &str) -> Reply {
    let input = input.trim();
    let fits = match request.kind.as_str() {
        "PHONE" => input
            .strip_prefix('+')
            .is_some_and(|digits| digits.len() > 5 && digits.chars().all(|c| c.is_ascii_digit())),
        _ => input.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
    };
    if !fits {
        let kind = request.kind;
        return Reply::html(ask(fields, &kind, false, "That is no address we can send to."));
    }
    let magic = fields.get("auth_method").is_some_and(|method| method == "MAGIC_LINK");
    let id = core.challenge(request, input);
    if magic {
        let to = html(input);
        return Reply::html(shell(&format!("<p>We sent a link to <b>{to}</b>. Follow it.</p>")));
    }
    Reply::html(enter(id, input, ""))
}

fn back(verified: &Verified) -> Reply {
    let id = verified.challenge_id.to_string();
    let query = [
        ("code", verified.code.as_str()),
        ("state", verified.state.as_str()),
        ("challenge_id", id.as_str()),
    ];
    Reply::redirect(&with_query(&verified.redirect_url, &query))
}

fn shell(main: &str) -> String {
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>Sign in</title>\
         <meta name=viewport content=\"width=device-width\"></head>\
         <body><main><h1>Sign in</h1>{main}</main></body></html>"
    )
}

fn alert(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!("<p role=alert>{why}</p>") }
}

/// The form that asks where to send a code or link.
fn ask(fields: &Fields, kind: &str, whatsapp: bool, why: &str) -> String {
    let hidden: String = fields
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "input" | "direct_login"))
        .map(|(name, value)| {
            format!("<input type=hidden name=\"{}\" value=\"{}\">", html(name), html(value))
        })
        .collect();
    let input = fields.get("input").map_or("", String::as_str);
    let (label, control) = if kind == "PHONE" { ("Phone", "tel") } else { ("Email", "email") };
    let channel = if whatsapp {
        "<label>By <select name=use_channel><option>SMS<option>WHATSAPP</select></label>"
    } else {
        ""
    };
    shell(&format!(
        "{}<form method=post action=/app/send>{hidden}\
         <label>{label} <input id=input name=input type={control} value=\"{}\" required autofocus>\
         </label>{channel}<button id=send>Continue</button>\
         <button id=cancel formaction=/app/cancel formnovalidate>Cancel</button></form>",
        alert(why),
        html(input),
    ))
}

/// The form that takes the code.
fn enter(id: u64, identifier: &str, why: &str) -> String {
    shell(&format!(
        "{}<p>We sent a code to <b>{}</b>.</p><form method=post action=/app/verify>\
         <input type=hidden name=challenge_id value={id}>\
         <label>Code <input id=code name=code inputmode=numeric required autofocus></label>\
         <button id=verify>Sign in</button></form>",
        alert(why),
        html(identifier),
    ))
}
