//! The memory of tokens that were verified.

use core::sync::atomic::{AtomicUsize, Ordering};

use cotter_core::Timestamp;
use cotter_jwt::{
    Algorithm, Backend, BadSignature, CachedVerifier, Key, KeySet, PublicKey, SignatureCheck,
    Verifier,
};

use crate::support::{NOW, backend, claims, header, keys, sign, vector, vectors, verifier};

/// Counts the signatures that were checked.
#[derive(Debug)]
struct Counting(AtomicUsize);

impl SignatureCheck for Counting {
    fn check(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        self.0.fetch_add(1, Ordering::SeqCst);
        backend().check(algorithm, &Key::new(None, key.clone()), message, signature)
    }
}

fn counting() -> (&'static Counting, CachedVerifier) {
    let check: &'static Counting = Box::leak(Box::new(Counting(AtomicUsize::new(0))));
    let verifier = Verifier::cotter_with(Backend::custom(check), vector("api_key_id")).keys(keys());
    (check, CachedVerifier::new(verifier, 4))
}

#[test]
fn a_remembered_token_costs_no_signature_check_until_it_ends() {
    let (check, mut verifier) = counting();
    let token = vector("access_token");
    for _ in 0..5 {
        assert_eq!(
            verifier.verify_access_token(&token, NOW).unwrap().authentication_method(),
            Some("OTP")
        );
    }
    assert_eq!(check.0.load(Ordering::SeqCst), 1);
    let end = 1_767_229_200;
    let last = Timestamp::from_unix_seconds(end - 1);
    assert!(verifier.verify_access_token(&token, last).is_ok());
    assert_eq!(check.0.load(Ordering::SeqCst), 1);
    assert!(verifier.verify_access_token(&token, Timestamp::from_unix_seconds(end)).is_ok());
    assert_eq!(check.0.load(Ordering::SeqCst), 2, "within the leeway, and judged anew");
    let after = Timestamp::from_unix_seconds(end + 30);
    assert_eq!(verifier.verify_access_token(&token, after).unwrap_err().code(), "expired");
    let before = Timestamp::from_unix_seconds(1_767_225_600 - 31);
    assert_eq!(
        verifier.verify_access_token(&token, before).unwrap_err().code(),
        "issued_in_future"
    );
}

#[test]
fn a_refusal_is_not_remembered_and_a_kind_is_no_other() {
    let (_, mut verifier) = counting();
    let id = vector("id_token");
    assert!(verifier.verify_id_token(&id, NOW).is_ok());
    for _ in 0..2 {
        assert_eq!(verifier.verify_access_token(&id, NOW).unwrap_err().code(), "wrong_token_type");
    }
    assert_eq!(verifier.remembered(), 1);
}

#[test]
fn a_token_is_forgotten_when_its_key_leaves_the_set() {
    let (check, mut verifier) = counting();
    let (first, second) = (vector("access_token"), vector("access_token_second_key"));
    verifier.verify_access_token(&first, NOW).unwrap();
    verifier.verify_access_token(&second, NOW).unwrap();
    let mut jwks = vectors()["jwks"].clone();
    jwks["keys"].as_array_mut().unwrap().remove(0);
    verifier.replace_keys(KeySet::from_json(jwks.to_string()).unwrap());
    assert_eq!(verifier.verify_access_token(&first, NOW).unwrap_err().code(), "kid_unknown");
    verifier.verify_access_token(&second, NOW).unwrap();
    assert_eq!((verifier.remembered(), check.0.load(Ordering::SeqCst)), (1, 2));
}

#[test]
fn a_key_that_changes_behind_its_kid_is_another_key() {
    let (_, mut verifier) = counting();
    let token = vector("access_token");
    verifier.verify_access_token(&token, NOW).unwrap();
    let mut jwks = vectors()["jwks"].clone();
    let second = jwks["keys"][1].clone();
    jwks["keys"][0]["x"] = second["x"].clone();
    jwks["keys"][0]["y"] = second["y"].clone();
    verifier.replace_keys(KeySet::from_json(jwks.to_string()).unwrap());
    assert_eq!(verifier.verify_access_token(&token, NOW).unwrap_err().code(), "bad_signature");
}

#[test]
fn what_old_keys_judged_is_not_remembered_under_new_ones() {
    let mut verifier = CachedVerifier::new(verifier(), 4);
    let judged = verifier.judge_access_token(&vector("access_token"), NOW).unwrap();
    assert!(judged.is_new());
    verifier.replace_keys(KeySet::empty());
    verifier.remember_access(&judged);
    assert_eq!(verifier.remembered(), 0);
}

#[test]
fn what_another_verifier_judged_is_not_remembered() {
    // The same keys and another audience.
    let other = Verifier::cotter_with(backend(), "another project").keys(keys());
    let mut other = CachedVerifier::new(other, 4);
    let judged = CachedVerifier::new(verifier(), 4)
        .judge_access_token(&vector("access_token"), NOW)
        .unwrap();
    other.remember_access(&judged);
    assert_eq!(other.remembered(), 0);
    assert!(other.recall_access(&vector("access_token"), NOW).is_none());
    let judged =
        CachedVerifier::new(verifier(), 4).judge_id_token(&vector("id_token"), NOW).unwrap();
    other.remember_id(&judged);
    assert_eq!(other.remembered(), 0);
}

#[test]
fn the_memory_is_bounded_and_loses_the_token_that_ends_first() {
    let (check, mut verifier) = counting();
    let token = |exp: i64| sign(&header(), &claims(|claims| claims["exp"] = exp.into()));
    let tokens: Vec<String> = (0..10).map(|index| token(1_767_229_200 + index)).collect();
    for token in &tokens {
        verifier.verify_access_token(token, NOW).unwrap();
    }
    assert_eq!((verifier.remembered(), check.0.load(Ordering::SeqCst)), (4, 10));
    for token in &tokens[6..] {
        verifier.verify_access_token(token, NOW).unwrap();
    }
    assert_eq!(check.0.load(Ordering::SeqCst), 10);
    verifier.verify_access_token(&tokens[0], NOW).unwrap();
    assert_eq!(check.0.load(Ordering::SeqCst), 11);
}
