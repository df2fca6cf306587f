//! A token from a stranger: nothing panics, and a signature that nobody made vouches for nothing.
#![no_main]

use cotter_core::Timestamp;
use cotter_jwt::{Algorithm, Backend, BadSignature, KeySet, PublicKey, SignatureCheck, Verifier};
use libfuzzer_sys::fuzz_target;

#[derive(Debug)]
struct Never;

impl SignatureCheck for Never {
    fn check(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Err(BadSignature)
    }
}

const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1",
    "x":"c5L2JMkkqaRsvhiLFiS8x5A3MtrWwJHNEevLCW_-uq4",
    "y":"jUKmZ9JDXbSeCpgMF-MrJQq6jPU2B0p0Rgpk3-BwVRE"}]}"#;

fuzz_target!(|token: &str| {
    let keys = KeySet::from_json(KEYS).unwrap();
    let verifier = Verifier::cotter_with(Backend::custom(&Never), "id").keys(keys);
    let now = Timestamp::from_unix_seconds(1_767_225_700);
    let refused = verifier.verify_access_token(token, now).unwrap_err();
    assert!(!refused.code().is_empty());
    assert!(verifier.verify_id_token(token, now).is_err());
    if verifier.claimed_kid(token).is_ok() {
        assert_eq!(token.split('.').count(), 3);
    } else {
        // What no key can save is refused for the same reason with keys and without.
        assert_eq!(verifier.claimed_kid(token), Err(refused));
        assert_eq!(verifier.rule_out_access_token(token, now), Some(refused));
    }
});
