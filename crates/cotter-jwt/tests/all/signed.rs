//! Cotter's Ed25519-signed identities and events.

use core::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cotter_core::Timestamp;
use cotter_jwt::{EventUser, SignedObjects};
use serde_json::{Value, json};

use crate::support::{NOW, backend, vector, vectors};

fn objects() -> SignedObjects {
    SignedObjects::cotter_with(backend(), vector("api_key_id"))
        .public_key(&vector("ed25519_public_key_b64"))
        .unwrap()
}

fn sign(message: &str) -> String {
    let seed = STANDARD.decode(vector("ed25519_seed_b64")).unwrap();
    let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    STANDARD.encode(key.sign(message.as_bytes()))
}

fn identity(change: impl FnOnce(&mut Value)) -> &'static str {
    let mut object = vectors()["identity_token"].clone();
    change(&mut object);
    objects().verify_identity(object.to_string(), NOW).map_or_else(|no| no.code(), |_| "ok")
}

fn event(object: &Value) -> &'static str {
    objects().verify_event(object.to_string(), "LOGIN", NOW).map_or_else(|no| no.code(), |_| "ok")
}

/// The event of the vectors, changed, and signed as its fields then say.
fn signed_event(user: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut object = vectors()["event"].clone();
    change(&mut object);
    let text = |name: &str| object[name].as_str().unwrap().to_owned();
    let message = [
        user.to_owned(),
        text("issuer"),
        text("event"),
        text("timestamp"),
        text("method"),
        object["new"].to_string(),
        object["approved"].to_string(),
    ]
    .concat();
    object["signature"] = sign(&message).into();
    object
}

#[test]
fn the_vectors_verify() {
    let identity = objects().verify_identity(vectors()["identity_token"].to_string(), NOW).unwrap();
    assert_eq!((identity.identifier(), identity.identifier_type()), ("+15550100123", "PHONE"));
    assert_eq!(identity.expires_at(), Timestamp::from_unix_seconds(1_769_817_600));
    let event = objects().verify_event(vectors()["event"].to_string(), "LOGIN", NOW).unwrap();
    assert_eq!(
        (event.user_id(), event.method(), event.name()),
        ("user-1014", "TRUSTED_DEVICE", "LOGIN")
    );
    assert_eq!(event.at(), Timestamp::from_unix_seconds(1_767_225_600));
    assert_eq!(sign(&vector("event_message")), vectors()["event"]["signature"]);
}

#[test]
fn without_another_key_it_is_cotter_s() {
    let refused = SignedObjects::cotter_with(backend(), vector("api_key_id"))
        .verify_identity(vectors()["identity_token"].to_string(), NOW);
    assert_eq!(refused.unwrap_err().code(), "bad_signature");
    assert_eq!(objects().public_key("AAAA").unwrap_err().code(), "bad_key");
}

#[test]
fn an_identity_is_checked_field_by_field() {
    assert_eq!(identity(|_| {}), "ok");
    assert_eq!(identity(|it| it["identifier"] = "+15550100124".into()), "bad_signature");
    assert_eq!(identity(|it| it["receiver"] = "someone else".into()), "wrong_receiver");
    assert_eq!(identity(|it| it["expire_at"] = "1769817601".into()), "bad_signature");
    for expire_at in [json!(1_769_817_600), json!("+1"), json!(""), json!("01"), json!("1e9")] {
        assert_eq!(identity(|it| it["expire_at"] = expire_at.clone()), "field_malformed");
    }
    for (name, value) in [
        ("identifier", json!("ada@example.test")),
        ("identifier", json!("")),
        ("identifier", json!("+")),
        ("identifier_type", json!("USERNAME")),
        ("identifier_type", Value::Null),
        ("receiver", json!(1)),
    ] {
        assert_eq!(identity(|it| it[name] = value.clone()), "field_malformed", "{name}");
    }
    assert_eq!(identity(|it| it["signature"] = "".into()), "not_signed");
    assert_eq!(identity(|it| it["signature"] = "AAAA".into()), "bad_signature");
    assert_eq!(identity(|it| it["timestamp"] = Value::Null), "ok", "not covered, so not read");
    let at = |seconds| {
        objects()
            .leeway(Duration::from_secs(30))
            .verify_identity(
                vectors()["identity_token"].to_string(),
                Timestamp::from_unix_seconds(seconds),
            )
            .map_or_else(|no| no.code(), |_| "ok")
    };
    // The leeway is for events.
    assert_eq!((at(1_769_817_599), at(1_769_817_600)), ("ok", "expired"));
}

#[test]
fn what_ends_one_field_cannot_begin_the_next() {
    // The same bytes, split elsewhere: "+15550100123P" and "HONE".
    assert_eq!(
        identity(|it| {
            it["identifier"] = "+15550100123P".into();
            it["identifier_type"] = "HONE".into();
        }),
        "field_malformed"
    );
    let mut shifted = vectors()["event"].clone();
    shifted["event"] = "LOGIN1".into();
    shifted["timestamp"] = "767225600".into();
    assert_eq!(event(&shifted), "field_malformed");
    shifted["event"] = "LOGIN1767225600TRUSTED".into();
    shifted["method"] = "_DEVICE".into();
    shifted["timestamp"] = "".into();
    assert_eq!(event(&shifted), "field_malformed");
}

#[test]
fn an_event_is_approved_recent_and_the_one_that_was_asked_for() {
    let user = "user-1014";
    assert_eq!(event(&signed_event(user, |_| {})), "ok");
    assert_eq!(event(&signed_event(user, |it| it["approved"] = false.into())), "not_approved");
    assert_eq!(event(&signed_event(user, |it| it["event"] = "TRANSFER".into())), "other_event");
    assert_eq!(event(&signed_event(user, |it| it["issuer"] = "other".into())), "wrong_receiver");
    assert_eq!(
        event(&signed_event(user, |it| it["timestamp"] = "1767225731".into())),
        "issued_in_future"
    );
    assert_eq!(event(&signed_event(user, |it| it["timestamp"] = "1767225730".into())), "ok");
    assert_eq!(event(&signed_event(user, |it| it["timestamp"] = "1767225370".into())), "ok");
    assert_eq!(event(&signed_event(user, |it| it["timestamp"] = "1767225369".into())), "too_old");
    let mut forged = vectors()["event"].clone();
    forged["new"] = true.into();
    assert_eq!(event(&forged), "bad_signature");
    forged["approved"] = "true".into();
    assert_eq!(event(&forged), "field_malformed");
    let mut pending = vectors()["event"].clone();
    pending.as_object_mut().unwrap().remove("signature");
    assert_eq!(event(&pending), "not_signed");
}

#[test]
fn newer_events_are_signed_with_either_id_and_say_whose_it_is() {
    let newer = |it: &mut Value| {
        it["client_user_id"] = "".into();
        it["user_id"] = "u-1".into();
        it["created_at"] = it["CreatedAt"].take();
        it["oauth_token"] = json!({"access_token": "x"});
    };
    let user = |object: Value| {
        objects().verify_event(object.to_string(), "LOGIN", NOW).map(|event| {
            assert_eq!(event.user().id(), event.user_id());
            match event.user() {
                EventUser::Client(id) => format!("client {id}"),
                EventUser::Cotter(id) => format!("Cotter {id}"),
                _ => unreachable!(),
            }
        })
    };
    assert_eq!(user(signed_event("u-1", newer)), Ok("Cotter u-1".into()));
    assert_eq!(user(signed_event("", newer)), Ok("client ".into()), "for nobody in particular");
    let filled = |it: &mut Value| it["user_id"] = "somebody-else".into();
    assert_eq!(user(signed_event("user-1014", filled)), Ok("client user-1014".into()));
    assert!(user(signed_event("somebody-else", filled)).is_err());
}
