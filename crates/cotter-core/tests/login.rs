//! A login's one exchange, and users, as transcripts.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "support/hosted.rs"]
mod hosted;
mod support;

use core::time::Duration;

use cotter_core::flow::{self, LoggedIn, SignIn};
use cotter_core::login::{HostedPage, Landing};
use cotter_core::{
    Error, ErrorKind, Goal, Lineage, Provider, Revision, SecretBytes, SignInReason, Step,
    StoreErrorKind,
};
use hosted::{API_KEY, BACK, Judge, USER, VERIFIER, begin, email, landed, provider, state};
use serde_json::{Value, json};
use support::{Process, Reply, START, World};

/// A process with a Cotter provider, signed in as somebody before.
fn signed_in() -> (World, Process) {
    let (mut world, mut process) = fresh();
    let set = json!({
        "access_token": vectors()["access_token"], "refresh_token": "4711:before", "expires_in": 3600,
    });
    process.sign_in(&mut world, set.to_string().parse().unwrap(), 1);
    world.told();
    (world, process)
}

fn fresh() -> (World, Process) {
    let mut process = Process::new(cotter_core::Rotation::Strict);
    process.provider = provider();
    (World::new(), process)
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/cotter-vectors.json")).unwrap()
}

/// What the server answers to a good code.
fn answer() -> Value {
    let vectors = vectors();
    json!({
        "identifier": { "ID": "c2d1e6b4-51b5-4c9f-8a13-0f9f2f3f4a55" },
        "token": vectors["identity_token"],
        "user": { "ID": USER, "update_at": "2026-01-01", "deleted_at": "0001-01-01T00:00:00Z",
                  "enrolled": null, "identifier": "ada@example.test", "identifiers": null },
        "oauth_token": {
            "access_token": vectors["access_token"], "id_token": vectors["id_token"],
            "refresh_token": "4711:after", "expires_in": 3600, "auth_method": "OTP",
        },
    })
}

struct Seen {
    method: String,
    url: String,
    api_key: String,
    body: String,
}

/// Drives a flow, and keeps its requests.
fn drive<T>(world: &mut World, mut step: Step<T>) -> (T, Vec<Seen>) {
    let mut seen = Vec::new();
    loop {
        if let Step::Send(ask) = &step {
            let request = &ask.question().request;
            seen.push(Seen {
                method: request.method().to_string(),
                url: request.uri().to_string(),
                api_key: request.headers()["api_key_id"].to_str().unwrap().to_owned(),
                body: String::from_utf8(request.body().expose().to_vec()).unwrap(),
            });
        }
        step = match world.once(step) {
            Ok(value) => return (value, seen),
            Err(step) => step,
        };
    }
}

/// A whole login against this reply: what came of it, and what was sent.
fn log_in(world: &mut World, process: &Process, reply: Reply) -> (Result<LoggedIn, Error>, Seen) {
    log_in_with(world, process, &email(), reply)
}

fn log_in_with(
    world: &mut World,
    process: &Process,
    page: &HostedPage,
    reply: Reply,
) -> (Result<LoggedIn, Error>, Seen) {
    let login = begin(page);
    let code = landed(&login);
    world.replies.push_back(reply);
    let step = flow::login(&process.context(), login, code, world.now());
    let (result, mut seen) = drive(world, step);
    assert_eq!(seen.len(), 1, "a code is sent exactly once");
    assert!(world.replies.is_empty());
    (result, seen.remove(0))
}

fn ok(answer: &Value) -> Reply {
    Reply::Body(200, answer.to_string())
}

#[test]
fn a_code_becomes_tokens_by_one_request_and_they_are_stored() {
    let (mut world, mut process) = signed_in();
    let (brought, seen) = log_in(&mut world, &process, ok(&answer()));
    assert_eq!((seen.method.as_str(), seen.api_key.as_str()), ("POST", API_KEY));
    assert_eq!(seen.url, "http://127.0.0.1:1/api/v0/verify/get_identity?oauth_token=true");
    assert_eq!(
        serde_json::from_str::<Value>(&seen.body).unwrap(),
        json!({ "code_verifier": VERIFIER, "authorization_code": "Xk29+vLqP",
                "challenge_id": 90210, "redirect_url": BACK })
    );
    assert_eq!(world.budgets, [process.policy.send_budget]);
    let brought = brought.unwrap();
    assert_eq!(brought.identity.identifier, "+15550100123");
    assert_eq!(brought.user.unwrap().id, USER);
    assert_eq!(world.told(), "Send, Done");
    assert_eq!(world.stored_refresh(), "4711:before", "a login stores nothing by itself");
    process.sign_in(&mut world, brought.tokens, 2);
    assert_eq!(world.told(), "Load, Save(1), Publish, Done");
    assert_eq!(world.stored_refresh(), "4711:after");
}

#[test]
fn a_login_wins_over_a_refresh_that_is_stored_between_its_load_and_its_save() {
    let (mut world, process) = signed_in();
    let tokens = log_in(&mut world, &process, ok(&answer())).0.unwrap().tokens;
    let sign_in = SignIn { tokens, lineage: Lineage::from_bytes([2; 16]) };
    let step = flow::sign_in(process.context(), sign_in, world.now());
    let Err(step) = world.once(step) else { panic!("it saves next") };
    let mut elsewhere = fresh().1;
    let set =
        json!({ "access_token": vectors()["access_token"], "refresh_token": "4711:elsewhere" });
    world.replies.push_back(ok(&set));
    elsewhere.acquire(&mut world, Goal::refresh()).unwrap();
    assert_eq!(world.stored_refresh(), "4711:elsewhere");
    world.told();
    world.drive(step).result.unwrap();
    assert_eq!(world.told(), "Save(1), Load, Save(1), Publish, Done");
    assert_eq!(world.stored_refresh(), "4711:after");
}

#[test]
fn the_method_that_the_page_names_goes_along() {
    let (mut world, process) = fresh();
    for (named, sent) in [("OTP", "&auth_method=OTP"), ("x%26y", ""), ("", "")] {
        let login = begin(&email());
        let address = format!("/?code=c&challenge_id=1&state={}&auth_method={named}", state());
        let Landing::Code(code) = login.take(&address) else { panic!("{named}") };
        world.replies.push_back(ok(&answer()));
        let step = flow::login(&process.context(), login, code, world.now());
        let (result, seen) = drive(&mut world, step);
        assert!(result.is_ok());
        assert!(seen[0].url.ends_with(&format!("?oauth_token=true{sent}")), "{}", seen[0].url);
    }
}

#[test]
fn a_lost_answer_is_uncertain_and_nothing_is_sent_again() {
    let (mut world, process) = signed_in();
    for (reply, uncertain) in [
        (Reply::Lost, true),
        (Reply::Unsent, false),
        (Reply::Body(500, "{}".into()), true),
        (Reply::Body(408, String::new()), true),
        (Reply::Body(200, "<html>".into()), true),
        (Reply::Body(200, "null".into()), true),
        (Reply::With(429, "retry-after", "7"), false),
    ] {
        let error = log_in(&mut world, &process, reply).0.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Unavailable { uncertain: said, .. } if said == uncertain),
            "{error:?}"
        );
        assert_eq!(world.told(), "Send, Done");
    }
    let error = log_in(&mut world, &process, Reply::With(429, "retry-after", "7")).0.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(world.stored_refresh(), "4711:before");
}

#[test]
fn what_the_server_refuses_is_told_in_its_words_without_our_secrets() {
    let (mut world, process) = signed_in();
    let said = |msg: &str| json!({ "msg": msg, "type": "" }).to_string();
    let mut refused = |status, body: String| {
        log_in(&mut world, &process, Reply::Body(status, body)).0.unwrap_err()
    };
    let error = refused(400, said("Authorization code was used already"));
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("was used already"), "{error}");
    let error = refused(403, said("API key is not recognised"));
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("not recognised"), "{error}");
    assert_eq!(refused(404, "<html>".into()).kind(), ErrorKind::Config);
    assert_eq!(refused(302, String::new()).kind(), ErrorKind::Config);
    let echo = format!("{VERIFIER} and Xk29+vLqP do not fit");
    let error = format!("{0} {0:?}", refused(401, said(&echo)));
    assert!(error.contains("do not fit"), "{error}");
    assert!(!error.contains(&VERIFIER[..8]) && !error.contains("Xk29"), "{error}");
    assert_eq!(world.stored_refresh(), "4711:before");
}

#[test]
fn tokens_and_identity_must_be_there_and_ours() {
    let (mut world, process) = signed_in();
    type Change = fn(&mut Value);
    let cases: [(Change, ErrorKind); 8] = [
        (|answer| drop(answer.as_object_mut().unwrap().remove("oauth_token")), ErrorKind::Protocol),
        (|answer| answer["oauth_token"] = json!("tokens"), ErrorKind::Protocol),
        (|answer| answer["oauth_token"]["access_token"] = Value::Null, ErrorKind::Protocol),
        (
            |answer| {
                answer["oauth_token"]["access_token"] = vectors()["access_token_wrong_aud"].clone()
            },
            ErrorKind::Config,
        ),
        (|answer| drop(answer.as_object_mut().unwrap().remove("token")), ErrorKind::Protocol),
        (|answer| answer["token"] = json!([]), ErrorKind::Protocol),
        (|answer| answer["token"]["receiver"] = json!("another project"), ErrorKind::Config),
        (|answer| answer["token"]["expire_at"] = json!(START.to_string()), ErrorKind::Protocol),
    ];
    for (at, (change, kind)) in cases.into_iter().enumerate() {
        let mut answer = answer();
        change(&mut answer);
        let error = log_in(&mut world, &process, ok(&answer)).0.unwrap_err();
        assert_eq!(error.kind(), kind, "case {at}: {error}");
    }
    let page = HostedPage::email(Judge { refuses: true });
    let error = log_in_with(&mut world, &process, &page, ok(&answer())).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(world.stored_refresh(), "4711:before");
    // What no decision rests on may be odd or missing.
    let mut odd = answer();
    odd["user"] = json!("nobody");
    odd["identifier"] = Value::Null;
    assert_eq!(log_in(&mut world, &process, ok(&odd)).0.unwrap().user, None);
}

#[test]
fn a_code_is_not_spent_where_it_could_bring_nothing() {
    let (mut world, mut process) = fresh();
    let login = begin(&email());
    let code = landed(&login);
    process.provider = Provider::cotter("another").unwrap();
    let step = flow::login(&process.context(), login, code, world.now());
    assert_eq!(world.drive(step).unwrap_err().kind(), ErrorKind::Config);

    let (login, process) = (begin(&email()), fresh().1);
    let code = landed(&login);
    world.wall = -1;
    let step = flow::login(&process.context(), login, code, world.now());
    assert_eq!(world.drive(step).unwrap_err().kind(), ErrorKind::Config);
    assert!(world.sent.is_empty());
}

#[test]
fn nobody_is_asked_to_sign_in_where_it_could_not_be_stored() {
    let (mut world, process) = signed_in();
    let ask = |world: &mut World| {
        let step = flow::may_sign_in(&process.context(), world.now());
        world.drive(step)
    };
    assert!(ask(&mut world).is_ok());
    assert_eq!(world.told(), "Load, Done");
    let revision = Revision::first(Lineage::from_bytes([1; 16]));
    let mut newer = world.stored().encode().expose().to_vec();
    newer[0] = 250;
    world.record = Some((revision, SecretBytes::from(newer)));
    let error = ask(&mut world).unwrap_err();
    assert_eq!(
        error.store_error().map(cotter_core::StoreError::kind),
        Some(StoreErrorKind::TooNew)
    );
    world.record = Some((revision, SecretBytes::default()));
    assert!(ask(&mut world).is_ok(), "what is damaged is replaced");
    world.record = None;
    assert!(ask(&mut world).is_ok());
    world.wall = -1;
    assert_eq!(ask(&mut world).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn users_are_found_by_name_and_all_zero_is_nobody() {
    let (mut world, process) = fresh();
    let mut find = |reply| {
        world.replies.push_back(reply);
        let step = flow::find_user(&process.context(), "+1 555&x", world.now());
        let (result, mut seen) = drive(&mut world, step);
        (result, seen.remove(0))
    };
    let described = json!({
        "ID": USER, "created_at": "2025", "updated_at": "2026", "deleted_at": null, "issuer": API_KEY,
        "client_user_id": "", "enrolled": ["PIN", 7, "TRUSTED_DEVICE"], "default_method": null,
        "identifier": "+1555", "identifiers": null, "new": {},
    });
    let (user, seen) = find(ok(&described));
    assert_eq!((seen.method.as_str(), seen.api_key.as_str()), ("GET", API_KEY));
    assert_eq!(seen.url, "http://127.0.0.1:1/api/v0/user?identifier=%2B1%20555%26x");
    assert!(seen.body.is_empty());
    let user = user.unwrap().unwrap();
    assert_eq!((user.id.as_str(), user.identifier.as_deref()), (USER, Some("+1555")));
    assert_eq!(user.enrolled, ["PIN", "TRUSTED_DEVICE"]);
    assert_eq!((user.client_user_id, user.deleted_at), (None, None));
    assert_eq!(user.updated_at.as_deref(), Some("2026"));

    let mut old = described;
    old["deleted_at"] = json!("0001-01-01T00:00:00Z");
    assert_eq!(find(ok(&old)).0.unwrap().unwrap().deleted_at, None, "never");
    old["deleted_at"] = json!("2026-01-02T00:00:00Z");
    assert!(find(ok(&old)).0.unwrap().unwrap().deleted_at.is_some());
    let nobody = json!({ "ID": "00000000-0000-0000-0000-000000000000", "enrolled": null });
    assert_eq!(find(ok(&nobody)).0.unwrap(), None);
    let missing = || Reply::Body(404, json!({ "msg": "User not found" }).to_string());
    assert_eq!(find(missing()).0.unwrap(), None);
    assert_eq!(find(Reply::Body(404, "<html>".into())).0.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(find(ok(&json!({}))).0.unwrap_err().kind(), ErrorKind::Protocol);
    let lost = find(Reply::Lost).0.unwrap_err().kind();
    assert_eq!(lost, ErrorKind::Unavailable { retry_after: None, uncertain: false });
}

#[test]
fn a_user_is_made_once() {
    let (mut world, process) = fresh();
    let mut create = |reply| {
        world.replies.push_back(reply);
        let step = flow::create_user(&process.context(), "ada \"the first\"", world.now());
        let (result, mut seen) = drive(&mut world, step);
        (result, seen.remove(0))
    };
    let (user, seen) = create(ok(&json!({ "ID": USER, "enrolled": [] })));
    assert_eq!(user.unwrap().id, USER);
    assert_eq!((seen.method.as_str(), seen.api_key.as_str()), ("POST", API_KEY));
    assert_eq!(seen.url, "http://127.0.0.1:1/api/v0/user/create");
    assert_eq!(seen.body, r#"{"identifier":"ada \"the first\""}"#);
    let twice = Reply::Body(400, json!({ "msg": "User already exists" }).to_string());
    assert_eq!(create(twice).0.unwrap_err().kind(), ErrorKind::Denied);
    let lost = create(Reply::Lost).0.unwrap_err().kind();
    assert_eq!(lost, ErrorKind::Unavailable { retry_after: None, uncertain: true });

    let (mut world, mut process) = fresh();
    let step = flow::create_user(&process.context(), "", world.now());
    assert_eq!(world.drive(step).unwrap_err().kind(), ErrorKind::Config);
    process.provider = support::provider(cotter_core::Rotation::Strict);
    let step = flow::find_user(&process.context(), "ada", world.now());
    assert_eq!(world.drive(step).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn who_is_signed_in_is_read_from_what_is_stored() {
    let (mut world, mut process) = fresh();
    let who = |world: &mut World, process: &Process| {
        let step = flow::signed_in_user(process.context(), process.memory.clone());
        world.drive(step)
    };
    let error = who(&mut world, &process).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired(SignInReason::NeverSignedIn));
    let (brought, _) = log_in(&mut world, &process, ok(&answer()));
    process.sign_in(&mut world, brought.unwrap().tokens, 2);
    world.told();
    for _ in 0..2 {
        let user = who(&mut world, &process).unwrap();
        assert_eq!(user.id.as_deref(), Some(USER));
        assert_eq!(user.identifier.as_deref(), Some("ada@example.test"));
        assert_eq!(user.auth_method.as_deref(), Some("OTP"));
        assert_eq!(world.told(), "Load, Done", "no network");
        world.seconds(7200);
    }
    process.sign_out(&mut world).unwrap();
    let error = who(&mut world, &process).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired(SignInReason::SignedOut));
}
