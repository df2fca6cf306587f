//! Events: sign-ins that a trusted device answers for.

use std::collections::BTreeMap;

use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::clock::{millis, rfc3339};
use crate::codec::from_b64;
use crate::options::TokenSetOptions;
use crate::state::Core;
use crate::tokens::Mode;
use crate::users::User;

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) user_id: String,
    /// As the object has it: the user's own, or empty.
    pub(crate) client_user_id: String,
    pub(crate) event: String,
    pub(crate) ip: String,
    pub(crate) location: String,
    pub(crate) timestamp: String,
    pub(crate) method: String,
    /// Waits for a trusted device.
    pub(crate) new: bool,
    pub(crate) approved: bool,
    pub(crate) created_ms: i64,
    /// The set it led to, made when it is first asked for.
    pub(crate) set: Option<Value>,
}

/// Every event, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    by_id: BTreeMap<u64, Event>,
}

/// The first id given is one more.
const FIRST: u64 = 610_776;

/// What a trusted device signed with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof<'a> {
    pub(crate) code: &'a str,
    pub(crate) public_key: &'a str,
    pub(crate) algorithm: &'a str,
    /// What follows the fields of the event in the signed text.
    pub(crate) suffix: &'a str,
}

impl Events {
    pub(crate) fn add(&mut self, event: Event) -> u64 {
        let id = self.by_id.last_key_value().map_or(FIRST, |(id, _)| *id) + 1;
        self.by_id.insert(id, event);
        id
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Event> {
        self.by_id.get_mut(&id)
    }
}

impl Core {
    /// The event of that id, unless it waited too long.
    pub(crate) fn event(&self, id: u64) -> Option<&Event> {
        let event = self.events.by_id.get(&id)?;
        let late = self.clock.now_ms().saturating_sub(event.created_ms);
        (!event.new || late < millis(self.config.event_ttl)).then_some(event)
    }

    /// The newest event that waits for a device of that user.
    pub(crate) fn pending(&self, user_id: &str) -> Option<u64> {
        let mut newest_first = self.events.by_id.iter().rev();
        let waiting = |id: u64| self.event(id).is_some_and(|event| event.new);
        newest_first
            .find(|(id, event)| event.user_id == user_id && waiting(**id))
            .map(|(id, _)| *id)
    }

    /// The object of an event; with tokens where it is approved and they are wanted.
    pub(crate) fn event_object(&mut self, id: u64, tokens: bool) -> Value {
        let Some(event) = self.events.by_id.get(&id).cloned() else { return Value::Null };
        let signature = if event.new {
            String::new()
        } else {
            let blank = event.client_user_id.is_empty();
            let whose = if blank { &event.user_id } else { &event.client_user_id };
            self.identity.sign(&format!(
                "{whose}{}{}{}{}{}{}",
                self.config.api_key_id,
                event.event,
                event.timestamp,
                event.method,
                event.new,
                event.approved,
            ))
        };
        let mut object = json!({
            "ID": id, "created_at": rfc3339(event.created_ms),
            "update_at": rfc3339(event.created_ms), "deleted_at": null,
            "user_id": event.user_id, "client_user_id": event.client_user_id,
            "issuer": self.config.api_key_id, "event": event.event, "ip": event.ip,
            "location": event.location, "timestamp": event.timestamp, "method": event.method,
            "new": event.new, "approved": event.approved, "signature": signature,
        });
        if tokens && event.approved {
            object["oauth_token"] = self.event_set(id, &event);
        }
        object
    }

    fn event_set(&mut self, id: u64, event: &Event) -> Value {
        if let Some(set) = &event.set {
            return set.clone();
        }
        let Some(user) = self.users.by_id(&event.user_id) else { return Value::Null };
        let options =
            TokenSetOptions::new(user.identifier.clone()).with_auth_method(event.method.clone());
        let set = self.sign_in(&options, Mode::NORMAL);
        if let Some(event) = self.events.by_id.get_mut(&id) {
            event.set = Some(set.clone());
        }
        set
    }

    /// Whether an enrolled device (or code) of the user answers for the event.
    pub(crate) fn proves(&self, user: &User, event: &Event, proof: Proof<'_>) -> bool {
        if event.method != "TRUSTED_DEVICE" {
            return user.has(&event.method, Some(proof.code));
        }
        let Proof { code, public_key, algorithm, suffix } = proof;
        let enrolled = user.has("TRUSTED_DEVICE", Some(public_key));
        let issuer = &self.config.api_key_id;
        // Older clients name the user by the customer's id, and sign that.
        let signed = [&user.id, &user.client_user_id].into_iter().any(|whose| {
            let Event { event, timestamp, method, .. } = event;
            let text = format!("{whose}{issuer}{event}{timestamp}{method}{suffix}");
            signed(algorithm, public_key, &text, code)
        });
        enrolled && signed
    }
}

/// Whether `signature` is that key's over `text`.
fn signed(algorithm: &str, public_key: &str, text: &str, signature: &str) -> bool {
    let clean = |text: &str| from_b64(&text.split_whitespace().collect::<String>());
    let (Some(key), Some(signature)) = (clean(public_key), clean(signature)) else { return false };
    match algorithm {
        "ED25519" => {
            UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), &signature).is_ok()
        }
        // The point stands at the end of a P-256 key's SPKI.
        "EC" if key.len() >= 65 => {
            let point = &key[key.len() - 65..];
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
            key.verify(text.as_bytes(), &signature).is_ok()
        }
        _ => false,
    }
}
