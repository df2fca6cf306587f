//! Which keys of a set are taken, and which of them a token is verified with.

use cotter_jwt::KeySet;
use serde_json::{Value, json};

use crate::support::{KID, NOW, claims, header, sign, vectors, verifier};

/// What a token comes to with this set.
fn verdict(keys: &str, token: &str) -> &'static str {
    let Ok(keys) = KeySet::from_json(keys) else { return "no set" };
    verifier().keys(keys).verify_access_token(token, NOW).map_or_else(|no| no.code(), |_| "ok")
}

fn good() -> String {
    sign(&header(), &claims(|_| {}))
}

fn anonymous() -> String {
    sign(r#"{"alg":"ES256"}"#, &claims(|_| {}))
}

#[test]
fn a_token_that_names_a_key_is_verified_with_that_one_alone() {
    let (first, second) = (&vectors()["jwks"]["keys"][0], &vectors()["jwks"]["keys"][1]);
    let named = |key: &Value, changes: Value| {
        let mut key = key.clone();
        key["kid"] = KID.into();
        key.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        key
    };
    let verdict =
        |keys: &[Value], token: &str| verdict(&json!({ "keys": keys }).to_string(), token);
    let (own, other) = (named(first, json!({})), named(second, json!({})));
    assert_eq!(verdict(&[own.clone(), other.clone()], &good()), "ok", "the first in the set");
    assert_eq!(verdict(&[other.clone(), own.clone()], &good()), "bad_signature");
    assert_eq!(verdict(&[other, own.clone()], &anonymous()), "ok", "it names none");
    // One that cannot be meant is not the first.
    for unfit in [json!({"use": "enc"}), json!({"alg": "ES384"}), json!({"kty": "XX"})] {
        assert_eq!(verdict(&[named(second, unfit.clone()), own.clone()], &good()), "ok", "{unfit}");
    }
}

#[test]
fn an_odd_key_takes_no_other_down_with_it() {
    let own = vectors()["jwks"]["keys"][0].to_string();
    let verdict = |keys: &str| verdict(keys, &good());
    let deep = "[".repeat(5_000) + &"]".repeat(5_000);
    for odd in [
        r#"{"kty":"X","kid":"z","a":1,"a":2}"#,
        r#"{"kty":"X","kid":"z","n":1e999}"#,
        r#"{"kty":"X","kid":"\ud800"}"#,
        &format!(r#"{{"kty":"X","kid":"z","a":{deep}}}"#),
        &deep,
        "1",
        "null",
        "{}",
    ] {
        assert_eq!(verdict(&format!(r#"{{"keys":[{odd},{own},{odd}]}}"#)), "ok", "{odd:.40}");
        assert_eq!(verdict(&format!(r#"{{"odd":{odd},"keys":[{own}]}}"#)), "ok", "{odd:.40}");
    }
    let many = |count: usize| r#"{"kid":"z"},"#.repeat(count);
    assert_eq!(verdict(&format!(r#"{{"keys":[{}{own}]}}"#, many(255))), "ok");
    assert_eq!(verdict(&format!(r#"{{"keys":[{own},{}1]}}"#, many(10_000))), "ok");
    assert_eq!(verdict(&format!(r#"{{"keys":[{}{own}]}}"#, many(256))), "kid_unknown");
    assert_eq!(verdict(&format!(r#"{{"keys":[{}{own}]}}"#, "{},".repeat(10_000))), "ok");
    let padding = " ".repeat(1 << 20);
    assert_eq!(verdict(&format!(r#"{{"keys":[{own}]}}{padding}"#)), "no set");
    assert_eq!(verdict(&format!(r#"{{"keys":[{own}],"keys":[]}}"#)), "no set");
    assert_eq!(verdict(&format!(r#"{{"keys":[{own}"#)), "no set");
}

#[test]
fn a_token_without_a_kid_is_tried_with_every_key_that_fits() {
    let mut keys = vec![vectors()["jwks"]["keys"][1].clone(); 40];
    keys.push(vectors()["jwks"]["keys"][0].clone());
    assert_eq!(verdict(&json!({ "keys": keys }).to_string(), &anonymous()), "ok");
}

#[test]
fn a_key_whose_alg_is_for_keys_of_another_type_counts_for_nothing() {
    let usable = |alg: Value| {
        let mut key = vectors()["jwks"]["keys"][0].clone();
        key["alg"] = alg;
        let keys = KeySet::from_json(json!({ "keys": [key] }).to_string()).unwrap();
        assert!(keys.knows(KID));
        assert_eq!(keys.usable() == 1, keys.keys().next().unwrap().is_usable());
        keys.usable()
    };
    assert_eq!(usable("ES256".into()), 1);
    for alg in ["RS256", "PS256", "ES384", "EdDSA", "none", "ECDH-ES"] {
        assert_eq!(usable(alg.into()), 0, "{alg}");
    }
    assert_eq!(usable(7.into()), 0);
}
