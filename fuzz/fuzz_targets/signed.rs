//! Signed identities and events: what is accepted has the format that makes its signature unambiguous.
#![no_main]

use cotter_core::Timestamp;
use cotter_jwt::{Algorithm, Backend, BadSignature, PublicKey, SignatureCheck, SignedObjects};
use libfuzzer_sys::fuzz_target;

#[derive(Debug)]
struct Always;

impl SignatureCheck for Always {
    fn check(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let objects = SignedObjects::cotter_with(Backend::custom(&Always), "id");
    let now = Timestamp::from_unix_seconds(1_767_225_700);
    if let Ok(identity) = objects.verify_identity(bytes, now) {
        assert!(matches!(identity.identifier_type(), "EMAIL" | "PHONE"));
    }
    if let Ok(event) = objects.verify_event(bytes, "LOGIN", now) {
        assert_eq!(event.name(), "LOGIN");
        assert!(event.method().bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
    }
});
