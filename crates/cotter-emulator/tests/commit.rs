//! What is left of a request that met a fault: nothing, or all of it with `after_commit`.

mod common;

use common::{
    Answer, call, control, field, get, granted, post, refresh_token, sign_in, start, with,
};
use cotter_emulator::{Config, DeleteToken, Emulator, Fault};
use serde_json::{Value, json};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const ADA: &str = "ada%40example.test";
const EVE: &str = "eve%40example.test";

/// Faults that shape the answer, and one that takes its place.
const SHAPES: [&str; 9] = [
    "half",
    "drip",
    "oversized",
    "gzip-lie",
    "set-cookie",
    "no-access-token",
    "other-sub",
    "extra-members",
    "html",
];

/// A server on which every request of the table has something to do.
struct Stage {
    emulator: Emulator,
    user: String,
    refresh: String,
    /// An authorization code, and the challenge it is of.
    code: (String, u64),
    /// An event that was approved, whose tokens nobody has asked for, and one that waits.
    approved: u64,
    waiting: u64,
}

impl Stage {
    fn new() -> Self {
        let emulator = with(Config::default().with_delete_token(DeleteToken::Body));
        let refresh = refresh_token(&sign_in(&emulator));
        let user = get(&emulator, &format!("/user?identifier={ADA}")).json();
        let user = field(&user, "ID").to_owned();
        let mut stage =
            Self { emulator, user, refresh, code: (String::new(), 0), approved: 0, waiting: 0 };
        stage.code = stage.authorization_code();
        stage.submit("send", &stage.login());
        stage.done("PUT", &stage.methods(), &pin(true));
        stage.approved = stage.pend();
        stage.done("POST", &format!("/event/respond/{}", stage.approved), &stage.proof());
        stage.waiting = stage.pend();
        stage
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        let server = &self.emulator;
        let at_root = path.starts_with("/app") || path.starts_with("/verify?");
        let base = if at_root { server.login_url() } else { server.base_url() };
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let key = [("API_KEY_ID", server.api_key_id())];
        let headers = if at_root { &form } else { &key };
        call(method, &format!("{base}{path}"), headers, body)
    }

    fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.request(method, path, &body.to_string()).expect("an answer");
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        answer.json()
    }

    fn submit(&self, path: &str, form: &str) -> Answer {
        self.request("POST", &format!("/app/{path}"), form).expect("an answer")
    }

    fn login(&self) -> String {
        format!(
            "api_key={}&redirect_url=http%3A%2F%2F127.0.0.1%3A1&state=s&code_challenge={CHALLENGE}\
             &type=EMAIL&input={ADA}",
            self.emulator.api_key_id()
        )
    }

    fn sent(&self) -> Value {
        control(&self.emulator, "GET", &format!("/codes?identifier={ADA}"), "").json()
    }

    fn authorization_code(&self) -> (String, u64) {
        self.submit("send", &self.login());
        let sent = self.sent();
        let id = sent["challenge_id"].as_u64().expect("a challenge");
        let form = format!("challenge_id={id}&code={}", field(&sent, "code"));
        let back = self.submit("verify", &form);
        let location = back.header("location").expect("a way back");
        let (_, code) = location.split_once("?code=").expect("a code");
        (code.split('&').next().expect("a code").to_owned(), id)
    }

    fn exchange(&self, verifier: &str) -> Value {
        json!({
            "code_verifier": verifier, "authorization_code": self.code.0,
            "challenge_id": self.code.1, "redirect_url": "http://127.0.0.1:1",
        })
    }

    fn methods(&self) -> String {
        format!("/user/methods?cotter_user_id={}&method=PIN", self.user)
    }

    fn base(&self) -> Value {
        json!({
            "user_id": self.user, "issuer": self.emulator.api_key_id(), "event": "LOGIN", "ip": "?",
            "location": "?", "timestamp": "1767225600", "method": "PIN",
        })
    }

    /// An event's fields with a PIN, which proves as much as a signature and is easier to make.
    fn proof(&self) -> Value {
        let mut body = self.base();
        body["code"] = json!("2468");
        body["approved"] = json!(true);
        body
    }

    fn registers(&self) -> Value {
        let mut body = self.proof();
        body["register_new_device"] = json!(true);
        body["new_device_public_key"] = json!("AAAA");
        body["new_device_algorithm"] = json!("ED25519");
        body
    }

    fn pend(&self) -> u64 {
        self.done("POST", "/event/create_pending", &self.base())["ID"].as_u64().expect("an id")
    }

    /// All that can be seen of the state without changing it.
    fn state(&self) -> Value {
        let server = &self.emulator;
        let seen = |path: String| get(server, &path).json();
        let session =
            |name: &str| control(server, "GET", &format!("/session?identifier={name}"), "").json();
        let users = [ADA, EVE].map(|name| seen(format!("/user?identifier={name}")));
        let families = [ADA, EVE].map(session);
        let events = [self.approved, self.waiting].map(|id| seen(format!("/event/get/{id}")));
        let counters = server.counters();
        json!({
            "users": users,
            "families": families,
            "challenge": self.sent(),
            "events": events,
            "waiting": seen(format!("/event/new?cotter_user_id={}", self.user)),
            "done": [
                counters.exchanges, counters.signed_out, counters.identities,
                counters.users_created,
            ],
        })
    }

    /// A request that meets the fault; the answer's status.
    fn meet(&self, fault: Fault, of: &Request) -> u16 {
        let met = self.emulator.counters().faults;
        self.emulator.fault(fault.path(of.limit).ms(1));
        let answer = self.request(of.method, &of.path, &of.body).expect("an answer");
        assert_eq!(self.emulator.counters().faults, met + 1, "{of:?} met it");
        answer.status
    }
}

fn pin(enrolled: bool) -> Value {
    json!({ "method": "PIN", "enrolled": enrolled, "code": "2468" })
}

/// One request of the table.
#[derive(Debug)]
struct Request {
    /// The path that faults of it are limited to.
    limit: &'static str,
    method: &'static str,
    path: String,
    body: String,
    /// Whether it changes anything.
    changes: bool,
}

/// Every endpoint that faults can meet.
fn requests(stage: &Stage) -> Vec<Request> {
    let key = stage.emulator.api_key_id();
    let (user, methods) = (&stage.user, stage.methods());
    let (approved, waiting) = (stage.approved, stage.waiting);
    let refresh = json!({ "grant_type": "refresh_token", "refresh_token": stage.refresh });
    let (eve, none) = (json!({ "identifier": "eve@example.test" }), Value::Null);
    let tokens = "oauth_token=true";
    let all = [
        ("refresh", "POST", format!("/token/{key}"), refresh.clone(), true),
        ("refresh", "POST", "/token".into(), refresh.clone(), true),
        ("delete", "DELETE", format!("/token/{key}"), refresh, true),
        ("jwks", "GET", "/token/jwks".into(), none.clone(), false),
        ("verify", "POST", "/verify?".into(), none.clone(), false),
        ("user", "POST", "/user/create".into(), eve.clone(), true),
        ("user", "POST", format!("/user/create?{tokens}"), eve, true),
        ("user", "GET", format!("/user?identifier={ADA}"), none.clone(), false),
        ("user", "GET", format!("/user/{user}"), none.clone(), false),
        ("methods", "PUT", methods.clone(), pin(false), true),
        ("methods", "PUT", format!("{methods}&{tokens}"), pin(false), true),
        ("methods", "PUT", format!("/user/{user}"), pin(false), true),
        ("methods", "GET", methods, none.clone(), false),
        ("methods", "GET", format!("/user/enrolled/{user}/PIN"), none.clone(), false),
        ("get_identity", "POST", "/verify/get_identity".into(), stage.exchange(VERIFIER), true),
        (
            "get_identity",
            "POST",
            format!("/verify/get_identity?{tokens}"),
            stage.exchange(VERIFIER),
            true,
        ),
        ("event", "POST", format!("/event/create?{tokens}"), stage.proof(), true),
        ("event", "POST", "/event/create".into(), stage.registers(), true),
        ("event", "POST", "/event/create_pending".into(), stage.base(), true),
        ("event", "POST", format!("/event/respond/{waiting}"), stage.proof(), true),
        ("event", "GET", format!("/event/get/{approved}?{tokens}"), none.clone(), true),
        ("event", "GET", format!("/event/get/{waiting}?{tokens}"), none.clone(), false),
        ("event", "GET", format!("/event/new?cotter_user_id={user}"), none.clone(), false),
        ("event", "GET", format!("/event/new/{user}"), none, false),
    ];
    let login = |method, path: String, body: String| Request {
        limit: "login",
        method,
        path,
        body,
        changes: true,
    };
    let mut all: Vec<Request> = all
        .into_iter()
        .map(|(limit, method, path, body, changes)| Request {
            limit,
            method,
            path,
            body: body.to_string(),
            changes,
        })
        .collect();
    let form = stage.login();
    all.push(login("GET", format!("/app?{form}&direct_login=true"), String::new()));
    all.push(login("POST", "/app/send".into(), form));
    all
}

#[test]
fn nothing_changes_without_after_commit_on_any_endpoint() {
    let stage = Stage::new();
    let before = stage.state();
    for request in requests(&stage) {
        for name in SHAPES {
            assert_eq!(stage.meet(Fault::new(name), &request), 200, "{name}: {request:?}");
            assert_eq!(stage.state(), before, "{name}: {request:?}");
        }
    }
    // The code is as good as it was.
    stage.done("POST", "/verify/get_identity?oauth_token=true", &stage.exchange(VERIFIER));
    granted(&stage.emulator, &stage.refresh);
}

#[test]
fn with_after_commit_every_endpoint_does_what_it_is_for() {
    for at in 0..requests(&Stage::new()).len() {
        for name in ["half", "extra-members", "html"] {
            let stage = Stage::new();
            let request = requests(&stage).swap_remove(at);
            let before = stage.state();
            let fault = Fault::new(name).after_commit();
            assert_eq!(stage.meet(fault, &request), 200, "{name}: {request:?}");
            assert_eq!(stage.state() != before, request.changes, "{name}: {request:?}");
        }
    }
}

#[test]
fn a_failed_exchange_uses_the_code_up_only_if_it_is_committed() {
    let stage = Stage::new();
    let failed = |fault: Fault| {
        stage.emulator.fault(fault.path("get_identity"));
        let answer = post(&stage.emulator, "/verify/get_identity", &stage.exchange("wrong"));
        field(&answer.expect("an answer").json(), "msg").to_owned()
    };
    for _ in 0..2 {
        assert_eq!(failed(Fault::new("set-cookie")), "Code verifier does not match");
    }
    assert_eq!(failed(Fault::new("set-cookie").after_commit()), "Code verifier does not match");
    assert_eq!(failed(Fault::new("set-cookie")), "Authorization code was used already");
}

#[test]
fn what_was_not_committed_is_nobodys() {
    let emulator = start();
    emulator.fault(Fault::new("extra-members").path("user"));
    let body = json!({ "identifier": "eve@example.test" });
    let shown = post(&emulator, "/user/create?oauth_token=true", &body).expect("an answer").json();
    let token = refresh_token(&shown["oauth_token"]);
    assert_eq!(common::refresh(&emulator, &token).status, 400);
    let made = post(&emulator, "/user/create?oauth_token=true", &body).expect("an answer");
    assert_eq!(made.status, 200, "the name is free: {}", made.text());
    let made = made.json();
    assert_ne!(made["ID"], shown["ID"]);
    assert_eq!(common::refresh(&emulator, &token).status, 400);
    granted(&emulator, &refresh_token(&made["oauth_token"]));
}
