//! Signing keys: ES256 for JWTs, Ed25519 for identities and events.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, UnparsedPublicKey,
};
use serde_json::{Value, json};

use crate::codec::{b64, b64url, from_b64url, uuid};

/// One ES256 key with its id.
#[derive(Debug)]
pub(crate) struct JwtKey {
    pub(crate) kid: String,
    pair: EcdsaKeyPair,
}

impl JwtKey {
    pub(crate) fn new(kid: Option<String>) -> Self {
        let rng = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng);
        let document = made.expect("a key can be made");
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &rng);
        let kid =
            kid.unwrap_or_else(|| format!("SPACE_JWT_PUBLIC:{}", uuid().to_ascii_uppercase()));
        Self { kid, pair: pair.expect("a key just made is valid") }
    }

    /// base64url of `r || s` over `text`.
    pub(crate) fn sign(&self, text: &str) -> String {
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes());
        b64url(signature.expect("the system has randomness"))
    }

    fn verifies(&self, text: &str, signature: &str) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key());
        from_b64url(signature)
            .is_some_and(|signature| key.verify(text.as_bytes(), &signature).is_ok())
    }

    fn jwk(&self, alg_use: bool) -> Value {
        // An uncompressed point: 4, x, y.
        let point = self.pair.public_key().as_ref();
        let mut jwk = json!({
            "kty": "EC",
            "crv": "P-256",
            "kid": self.kid,
            "x": b64url(&point[1..33]),
            "y": b64url(&point[33..65]),
        });
        if alg_use {
            jwk["alg"] = json!("ES256");
            jwk["use"] = json!("sig");
        }
        jwk
    }
}

/// The two keys of the JWKS: one signs, one has signed or is yet to.
#[derive(Debug)]
pub(crate) struct KeyRing {
    active: JwtKey,
    other: JwtKey,
}

impl KeyRing {
    pub(crate) fn new(kid: Option<String>) -> Self {
        Self { active: JwtKey::new(kid), other: JwtKey::new(None) }
    }

    /// A new key signs from now on; the one that did stays in the JWKS unless it is dropped.
    pub(crate) fn rotate(&mut self, drop_old: bool) {
        let old = core::mem::replace(&mut self.active, JwtKey::new(None));
        self.other = if drop_old { JwtKey::new(None) } else { old };
    }

    /// A new key signs, under this id.
    pub(crate) fn rename(&mut self, kid: Option<String>) {
        self.active = JwtKey::new(kid);
    }

    pub(crate) const fn active(&self) -> &JwtKey {
        &self.active
    }

    pub(crate) fn jwks(&self, active_first: bool, alg_use: bool) -> Value {
        let (active, other) = (self.active.jwk(alg_use), self.other.jwk(alg_use));
        let keys = if active_first { [active, other] } else { [other, active] };
        json!({ "keys": keys })
    }

    /// Whether a key of the JWKS made this signature.
    pub(crate) fn verifies(&self, kid: Option<&str>, text: &str, signature: &str) -> bool {
        [&self.active, &self.other]
            .into_iter()
            .filter(|key| kid.is_none_or(|kid| kid == key.kid))
            .any(|key| key.verifies(text, signature))
    }
}

/// The key of identities and events.
#[derive(Debug)]
pub(crate) struct IdentityKey(Ed25519KeyPair);

impl IdentityKey {
    pub(crate) fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let document = document.expect("a key can be made");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref());
        Self(pair.expect("a key just made is valid"))
    }

    /// Standard base64 of the 32 bytes.
    pub(crate) fn public(&self) -> String {
        b64(self.0.public_key())
    }

    /// Standard base64 of the 64 bytes.
    pub(crate) fn sign(&self, text: &str) -> String {
        b64(self.0.sign(text.as_bytes()))
    }
}
