//! Trusted devices: enrolment, and sign-ins that they answer for.

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{call, claims, field, get, granted, post, refresh_token, start};
use cotter_emulator::Emulator;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::{Value, json};

struct Device(Ed25519KeyPair);

impl Device {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("any seed will do"))
    }

    fn public(&self) -> String {
        STANDARD.encode(self.0.public_key())
    }

    fn sign(&self, text: &str) -> String {
        STANDARD.encode(self.0.sign(text.as_bytes()))
    }
}

fn put(emulator: &Emulator, path: &str, body: &Value) -> common::Answer {
    let url = format!("{}{path}", emulator.base_url());
    let key = [("API_KEY_ID", emulator.api_key_id())];
    call("PUT", &url, &key, &body.to_string()).expect("an answer")
}

fn enrol(emulator: &Emulator, user: &str, device: &Device) -> common::Answer {
    let body = json!({
        "method": "TRUSTED_DEVICE", "enrolled": true, "code": device.public(),
        "algorithm": "ED25519", "device_type": "MOBILE", "device_name": "test", "change_code": false,
    });
    put(emulator, &format!("/user/methods?cotter_user_id={user}&oauth_token=true"), &body)
}

fn user(emulator: &Emulator) -> String {
    let body = json!({"identifier": "ada@example.test"});
    let made = post(emulator, "/user/create", &body).expect("an answer").json();
    field(&made, "ID").to_owned()
}

fn base(emulator: &Emulator, user: &str) -> Value {
    json!({
        "user_id": user, "issuer": emulator.api_key_id(), "event": "LOGIN_WITH_DEVICE",
        "ip": "unknown", "location": "unknown", "timestamp": "1767225600", "method": "TRUSTED_DEVICE",
    })
}

/// The base fields, signed by a device; `end` is what the signed text ends with.
fn answered(emulator: &Emulator, user: &str, device: &Device, approved: bool, end: &str) -> Value {
    let issuer = emulator.api_key_id();
    let text = format!("{user}{issuer}LOGIN_WITH_DEVICE1767225600TRUSTED_DEVICE{end}");
    let mut body = base(emulator, user);
    body["approved"] = json!(approved);
    body["code"] = json!(device.sign(&text));
    body["public_key"] = json!(device.public());
    body["algorithm"] = json!("ED25519");
    body
}

fn ask(emulator: &Emulator, path: &str, body: &Value) -> common::Answer {
    post(emulator, path, body).expect("an answer")
}

/// Whether the server signed the event, with this for the user.
fn signed(emulator: &Emulator, event: &Value, whose: &str) -> bool {
    let text = format!(
        "{whose}{}{}{}{}{}{}",
        field(event, "issuer"),
        field(event, "event"),
        field(event, "timestamp"),
        field(event, "method"),
        event["new"],
        event["approved"],
    );
    let decode = |text: &str| STANDARD.decode(text).expect("base64");
    let key = UnparsedPublicKey::new(&ED25519, decode(emulator.identity_key()));
    key.verify(text.as_bytes(), &decode(field(event, "signature"))).is_ok()
}

#[test]
fn a_device_is_enrolled_asked_for_and_removed() {
    let emulator = start();
    let user = user(&emulator);
    let device = Device::new(1);
    let answer = enrol(&emulator, &user, &device);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["enrolled"], json!(["TRUSTED_DEVICE"]));
    assert!(body["update_at"].is_string());
    granted(&emulator, &refresh_token(&body["oauth_token"]));
    let again = enrol(&emulator, &user, &device);
    assert!(again.status == 400 && field(&again.json(), "msg").contains("already enrolled"));

    let twice = STANDARD.encode(device.public());
    let other = STANDARD.encode(Device::new(2).public());
    let query = format!("/user/methods?cotter_user_id={user}&method=TRUSTED_DEVICE");
    let encoded = twice.replace('=', "%3D");
    for (path, enrolled) in [
        (query.clone(), true),
        (format!("{query}&public_key={encoded}"), true),
        (format!("{query}&public_key={}", other.replace('=', "%3D")), false),
        (format!("/user/enrolled/{user}/TRUSTED_DEVICE"), true),
        (format!("/user/enrolled/{user}/TRUSTED_DEVICE/{}", twice.trim_end_matches('=')), true),
        (format!("/user/enrolled/{user}/TRUSTED_DEVICE/{other}"), false),
        (format!("/user/enrolled/{user}/PIN"), false),
        (format!("/user/enrolled/any/{user}/TRUSTED_DEVICE"), true),
    ] {
        let answer = get(&emulator, &path).json();
        assert_eq!(answer["enrolled"], enrolled, "{path}");
        assert!(answer["method"].is_string());
    }
    let bad = json!({"method": "TRUSTED_DEVICE", "enrolled": true, "code": "AAAA", "algorithm": "ED25519"});
    assert_eq!(put(&emulator, &format!("/user/{user}"), &bad).status, 400);
    let removal = json!({"method": "TRUSTED_DEVICE", "enrolled": false, "code": device.public()});
    assert_eq!(put(&emulator, &format!("/user/{user}"), &removal).json()["enrolled"], json!([]));
}

#[test]
fn a_trusted_device_signs_itself_in() {
    let emulator = start();
    let user = user(&emulator);
    let device = Device::new(1);
    let path = "/event/create?oauth_token=true";
    let body = answered(&emulator, &user, &device, true, "true");
    assert_eq!(ask(&emulator, path, &body).status, 400, "not enrolled yet");
    enrol(&emulator, &user, &device);
    let event = ask(&emulator, path, &body);
    assert_eq!(event.status, 200, "{}", event.text());
    let event = event.json();
    assert_eq!((&event["approved"], &event["new"]), (&json!(true), &json!(false)));
    assert!(event["ID"].is_u64());
    assert!(signed(&emulator, &event, &user));
    let set = &event["oauth_token"];
    assert_eq!(set["auth_method"], "TRUSTED_DEVICE");
    assert_eq!(claims(field(set, "access_token"))["sub"], user);

    let forged = answered(&emulator, &user, &device, true, "false");
    assert_eq!(ask(&emulator, path, &forged).status, 400);
    let mut moved = body.clone();
    moved["timestamp"] = json!("1767225601");
    assert_eq!(ask(&emulator, path, &moved).status, 400);
    let stranger = answered(&emulator, &user, &Device::new(9), true, "true");
    assert_eq!(ask(&emulator, path, &stranger).status, 400);
    let mut elsewhere = body;
    elsewhere["issuer"] = json!("another");
    assert_eq!(ask(&emulator, path, &elsewhere).status, 403);
}

#[test]
fn a_new_device_waits_for_a_trusted_one() {
    let emulator = start();
    let user = user(&emulator);
    let device = Device::new(1);
    enrol(&emulator, &user, &device);
    assert_eq!(get(&emulator, &format!("/event/new?cotter_user_id={user}")).text(), "null");
    let pending = ask(&emulator, "/event/create_pending", &base(&emulator, &user)).json();
    assert_eq!((&pending["new"], &pending["approved"]), (&json!(true), &json!(false)));
    assert_eq!((&pending["signature"], pending.get("oauth_token")), (&json!(""), None));
    let id = &pending["ID"];
    let poll = || get(&emulator, &format!("/event/get/{id}?oauth_token=true")).json();
    assert_eq!(poll(), pending);
    for path in [
        format!("/event/new?cotter_user_id={user}"),
        format!("/event/new?client_user_id={user}"),
        format!("/event/new/{user}"),
    ] {
        assert_eq!(get(&emulator, &path).json()["ID"], *id, "{path}");
    }
    let path = format!("/event/respond/{id}");
    let forged = answered(&emulator, &user, &device, true, "false");
    assert_eq!(ask(&emulator, &path, &forged).status, 400);
    let mut of_another = base(&emulator, &user);
    of_another["timestamp"] = json!("1767225601");
    let other = ask(&emulator, "/event/create_pending", &of_another).json()["ID"].clone();
    let approval = answered(&emulator, &user, &device, true, "true");
    let wrong = ask(&emulator, &format!("/event/respond/{other}"), &approval);
    assert_eq!((wrong.status, &wrong.json()["msg"]), (400, &json!("The event does not match")));
    assert_eq!(ask(&emulator, &path, &approval).status, 200);
    let event = poll();
    assert_eq!((&event["new"], &event["approved"]), (&json!(false), &json!(true)));
    assert!(signed(&emulator, &event, &user));
    granted(&emulator, &refresh_token(&event["oauth_token"]));
    assert_eq!(poll()["oauth_token"], event["oauth_token"], "one sign-in, however often asked");
    assert_eq!(ask(&emulator, &path, &approval).status, 404, "answered already");
}

#[test]
fn a_refusal_gives_no_tokens_and_a_late_answer_finds_nothing() {
    let emulator = start();
    let user = user(&emulator);
    let device = Device::new(1);
    enrol(&emulator, &user, &device);
    let pend =
        || ask(&emulator, "/event/create_pending", &base(&emulator, &user)).json()["ID"].clone();
    let id = pend();
    let refusal = answered(&emulator, &user, &device, false, "false");
    let answer = ask(&emulator, &format!("/event/respond/{id}"), &refusal);
    assert_eq!(answer.status, 200);
    let event = get(&emulator, &format!("/event/get/{id}?oauth_token=true")).json();
    assert_eq!((&event["approved"], event.get("oauth_token")), (&json!(false), None));
    let id = pend();
    emulator.set_clock_offset(181);
    assert_eq!(get(&emulator, &format!("/event/get/{id}")).status, 404);
    let approval = answered(&emulator, &user, &device, true, "true");
    assert_eq!(ask(&emulator, &format!("/event/respond/{id}"), &approval).status, 404);
    assert_eq!(get(&emulator, &format!("/event/new/{user}")).text(), "null");
}

#[test]
fn a_trusted_device_enrols_another() {
    let emulator = start();
    let user = user(&emulator);
    let (device, other) = (Device::new(1), Device::new(2));
    enrol(&emulator, &user, &device);
    let mut body = answered(&emulator, &user, &device, true, &format!("true{}", other.public()));
    body["register_new_device"] = json!(true);
    body["new_device_public_key"] = json!(other.public());
    body["new_device_algorithm"] = json!("ED25519");
    assert_eq!(ask(&emulator, "/event/create", &body).status, 200);
    let login = answered(&emulator, &user, &other, true, "true");
    assert_eq!(ask(&emulator, "/event/create", &login).status, 200);
}

#[test]
fn events_may_leave_the_customers_id_empty() {
    let emulator = start();
    emulator.configure(|config| config.event_blank_client_id = true);
    let user = user(&emulator);
    let device = Device::new(1);
    enrol(&emulator, &user, &device);
    let body = answered(&emulator, &user, &device, true, "true");
    let event = ask(&emulator, "/event/create", &body).json();
    assert_eq!(event["client_user_id"], "");
    assert!(signed(&emulator, &event, &user));
    assert_eq!(event.get("oauth_token"), None, "not asked for");
}
