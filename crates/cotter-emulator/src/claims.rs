//! The JWTs of a set, profile by profile, and what a fault makes of them.

use serde_json::{Map, Value, json};

use crate::clock::GO_ZERO;
use crate::codec::{alphanumeric, b64url, from_b64url, uuid};
use crate::config::Profile;
use crate::keys::{JwtKey, KeyRing};

/// What the tokens of a set say.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) client_user_id: &'a str,
    pub(crate) identifier: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) auth_method: &'a str,
    pub(crate) auth_time: i64,
    pub(crate) issued_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) profile: Profile,
}

type Claims = Map<String, Value>;

impl Subject<'_> {
    /// Both JWTs, access first.
    pub(crate) fn sign(&self, keys: &KeyRing) -> (String, String) {
        let kid = self.profile != Profile::V2020_04;
        let token = |claims| encode(keys.active(), claims, kid, false);
        (token(self.access()), token(self.id()))
    }

    fn common(&self) -> Claims {
        let old = self.profile == Profile::V2020_04;
        let prefix = if old { "USER:" } else { "" };
        let mut claims = Claims::new();
        let mut set = |name: &str, value: Value| claims.insert(name.into(), value);
        set("sub", json!(format!("{prefix}{}", self.user_id)));
        set("client_user_id", json!(self.client_user_id));
        set("aud", json!(self.audience));
        set("iss", json!(self.issuer));
        set("iat", json!(self.issued_at));
        set("exp", json!(self.expires_at));
        if !old {
            set("jti", json!(uuid()));
        }
        claims
    }

    fn access(&self) -> Claims {
        let mut claims = self.common();
        let latest = self.profile == Profile::Latest;
        let kind = if latest { "access_token" } else { "client_access_token" };
        claims.insert("type".into(), json!(kind));
        claims.insert("scope".into(), json!("access"));
        claims.insert("authentication_method".into(), json!(self.auth_method));
        if latest {
            claims.insert("identifier".into(), json!(self.identifier));
        }
        claims
    }

    fn id(&self) -> Claims {
        let mut claims = self.common();
        let auth_time = if self.profile == Profile::Latest { self.auth_time } else { GO_ZERO };
        claims.insert("type".into(), json!("client_id_token"));
        claims.insert("auth_time".into(), json!(auth_time.to_string()));
        claims.insert("identifier".into(), json!(self.identifier));
        claims
    }
}

fn encode(key: &JwtKey, claims: Claims, kid: bool, none: bool) -> String {
    let mut header = json!({ "alg": if none { "none" } else { "ES256" }, "typ": "JWT" });
    if kid && !none {
        header["kid"] = json!(key.kid);
    }
    let claims = Value::Object(claims).to_string();
    let text = format!("{}.{}", b64url(header.to_string()), b64url(claims));
    let signature = if none { String::new() } else { key.sign(&text) };
    format!("{text}.{signature}")
}

/// Header and claims of a JWT of our own.
fn decode(token: &str) -> Option<(Value, Claims)> {
    let mut parts = token.split('.').map(from_b64url);
    let header = serde_json::from_slice(&parts.next()??).ok()?;
    let claims = serde_json::from_slice(&parts.next()??).ok()?;
    Some((header, claims))
}

/// What the fault makes of two sound JWTs, access first: signed anew, unless it is not about them.
pub(crate) fn spoilt(keys: &KeyRing, sound: [&str; 2], fault: &str) -> [String; 2] {
    let stranger = match fault {
        "bad-signature" => Some(JwtKey::new(Some(keys.active().kid.clone()))),
        "unknown-kid" => Some(JwtKey::new(None)),
        _ => None,
    };
    let none = fault == "alg-none";
    let key = stranger.as_ref().unwrap_or_else(|| keys.active());
    let other = uuid();
    let mut tokens = sound.map(|token| {
        let Some((header, mut claims)) = decode(token) else { return token.to_owned() };
        let before = claims.clone();
        spoil(&mut claims, fault, &other);
        if claims == before && stranger.is_none() && !none {
            return token.to_owned();
        }
        encode(key, claims, header.get("kid").is_some(), none)
    });
    if fault == "not-a-jwt" {
        tokens[0] = format!("opaque_{}", alphanumeric(40));
    }
    tokens
}

fn spoil(claims: &mut Claims, fault: &str, other: &str) {
    let mut set = |name: &str, value: Value| claims.insert(name.into(), value);
    match fault {
        "wrong-aud" => drop(set("aud", json!(other))),
        "wrong-iss" => drop(set("iss", json!("https://login.example.test"))),
        "other-sub" => {
            set("sub", json!(other));
            set("client_user_id", json!(other));
        }
        "extra-claims" => {
            set("roles", json!(["admin", "ops"]));
            set("tenant", json!({ "id": 7, "name": "\u{fc}ber" }));
            set("ratio", json!(0.5));
            set("beta", json!(true));
            set("nothing", Value::Null);
        }
        "no-exp" => drop(claims.remove("exp")),
        "expired" => {
            let back = |name: &str| {
                claims.get(name).and_then(Value::as_i64).unwrap_or(0).saturating_sub(86_400)
            };
            let (iat, exp) = (back("iat"), back("exp"));
            claims.insert("iat".into(), json!(iat));
            claims.insert("exp".into(), json!(exp));
        }
        "array-aud" => {
            let aud = claims.remove("aud");
            claims.insert("aud".into(), json!([aud]));
        }
        "user-prefix-sub" => {
            let sub = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
            claims.insert("sub".into(), json!(format!("USER:{sub}")));
        }
        "numeric-auth-time" => {
            let time = claims.get("auth_time").and_then(Value::as_str);
            if let Some(seconds) = time.and_then(|text| text.parse::<i64>().ok()) {
                claims.insert("auth_time".into(), json!(seconds));
            }
        }
        _ => {}
    }
}
