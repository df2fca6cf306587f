//! Claims that a key vouches for: what is accepted keeps every promise, whatever the bytes.
#![no_main]

use cotter_core::Timestamp;
use cotter_jwt::{
    Algorithm, Backend, BadSignature, KeySet, PublicKey, SignatureCheck, TypeRule, Verifier,
};
use libfuzzer_sys::fuzz_target;

#[derive(Debug)]
struct Always;

impl SignatureCheck for Always {
    fn check(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Ok(())
    }
}

const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1",
    "x":"c5L2JMkkqaRsvhiLFiS8x5A3MtrWwJHNEevLCW_-uq4",
    "y":"jUKmZ9JDXbSeCpgMF-MrJQq6jPU2B0p0Rgpk3-BwVRE"}]}"#;

fn encode(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..=chunk.len() {
            text.push(char::from(alphabet[(bits >> (18 - 6 * index) & 63) as usize]));
        }
    }
    text
}

fuzz_target!(|claims: &[u8]| {
    let keys = KeySet::from_json(KEYS).unwrap();
    let verifier = Verifier::cotter_with(Backend::custom(&Always), "id").keys(keys);
    let now = Timestamp::from_unix_seconds(1_767_225_700);
    let signature = "A".repeat(42) + "B" + &"A".repeat(42) + "Q";
    let token = format!("{}.{}.{signature}", encode(br#"{"alg":"ES256"}"#), encode(claims));
    let access = verifier.verify_access_token(&token, now);
    let id = verifier.verify_id_token(&token, now);
    assert!(access.is_err() || id.is_err(), "one token is not of both kinds");
    // Another issuer's verifier judges no claim that Cotter's does not.
    let general = Verifier::new(Backend::custom(&Always), "https://www.cotter.app")
        .audience("id")
        .keys(KeySet::from_json(KEYS).unwrap())
        .access_tokens(TypeRule::claim("type", ["client_access_token", "access_token"]));
    let elsewhere = general.verify_access_token(&token, now);
    assert!(elsewhere.is_ok() || access.is_err());
    if let Ok(claims) = access {
        let json: serde_json::Value = serde_json::from_str(claims.as_json()).unwrap();
        assert!(claims.expires_at() > now.saturating_sub(core::time::Duration::from_secs(30)));
        assert!(claims.audiences().iter().any(|audience| audience == "id"));
        assert!(matches!(json["type"].as_str(), Some("access_token" | "client_access_token")));
        assert!(json["exp"].is_number());
    }
});
