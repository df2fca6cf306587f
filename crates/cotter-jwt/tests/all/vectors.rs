//! Cotter's vectors, and the examples of RFC 7515, 7520 and 8037.

use crate::support::{NOW, access, backends, id, keys, vector, vectors, verifier};
use cotter_core::{AccessToken, IdToken, Timestamp};
use cotter_jwt::{Algorithm, KeySet, Verifier};
use serde_json::Value;

#[test]
fn every_cotter_vector_gets_its_verdict() {
    for (name, as_access, as_id) in [
        ("access_token", "ok", "wrong_token_type"),
        ("id_token", "wrong_token_type", "ok"),
        ("access_token_second_key", "ok", "wrong_token_type"),
        ("access_token_no_kid", "ok", "wrong_token_type"),
        ("access_token_wrong_aud", "wrong_audience", "wrong_token_type"),
        ("access_token_wrong_iss", "wrong_issuer", "wrong_token_type"),
        ("access_token_iss_trailing_slash", "ok", "wrong_token_type"),
        ("access_token_no_exp", "exp_missing", "wrong_token_type"),
        ("access_token_alg_none", "alg_none", "alg_none"),
        ("id_token_auth_time_zero", "wrong_token_type", "ok"),
        ("id_token_auth_time_number", "wrong_token_type", "ok"),
        ("id_token_nonascii", "wrong_token_type", "ok"),
    ] {
        assert_eq!((access(&vector(name)), id(&vector(name))), (as_access, as_id), "{name}");
    }
}

#[test]
fn claims_come_out_typed() {
    let claims =
        verifier().verify_access_token(&AccessToken::new(vector("access_token")), NOW).unwrap();
    let user = "3f5b8c1e-9a77-4d0b-8a55-6a1c0de5f00d";
    assert_eq!(claims.user_id(), Some(user));
    assert_eq!(claims.subject(), Some(user));
    assert_eq!(claims.identifier(), Some("ada@example.test"));
    assert_eq!(claims.audiences(), [vector("api_key_id")]);
    assert_eq!(claims.expires_at(), Timestamp::from_unix_seconds(1_767_229_200));
    assert_eq!(claims.issued_at(), Some(Timestamp::from_unix_seconds(1_767_225_600)));
    assert_eq!(claims.issuer(), "https://www.cotter.app");
    assert_eq!(claims.token_type(), Some("client_access_token"));
    assert_eq!(claims.token_id(), Some("0b9f2f0e-7c58-4f0f-9a2f-3d1f6f1b0a01"));
    assert_eq!(claims.authentication_method(), Some("OTP"));
    assert!(claims.has_scope("access") && !claims.has_scope("acc"));
    assert!(!format!("{claims:?}").contains("ada@example.test"));

    #[derive(serde::Deserialize)]
    struct Own {
        scope: String,
    }
    assert_eq!(claims.custom::<Own>().unwrap().scope, "access");
    assert_eq!(
        serde_json::from_str::<Value>(claims.as_json()).unwrap()["type"],
        "client_access_token"
    );
}

#[test]
fn the_old_user_prefix_is_no_part_of_the_id() {
    let claims = verifier().verify_access_token(&vector("access_token_no_kid"), NOW).unwrap();
    assert!(claims.subject().unwrap().starts_with("USER:"), "{:?}", claims.subject());
    assert_eq!(claims.user_id(), Some("3f5b8c1e-9a77-4d0b-8a55-6a1c0de5f00d"));
}

#[test]
fn a_sign_in_time_is_read_from_text_or_number_and_zero_is_unknown() {
    let at = |name: &str| {
        let token = IdToken::new(vector(name));
        verifier().verify_id_token(&token, NOW).unwrap().authenticated_at()
    };
    let known = Some(Timestamp::from_unix_seconds(1_767_225_598));
    assert_eq!(at("id_token"), known);
    assert_eq!(at("id_token_auth_time_number"), known);
    assert_eq!(at("id_token_auth_time_zero"), None);
}

#[test]
fn both_ends_of_a_token_s_life_have_the_leeway_and_no_more() {
    let token = vector("access_token");
    let at = |seconds: i64, leeway: u64| {
        verifier()
            .leeway(core::time::Duration::from_secs(leeway))
            .verify_access_token(&token, Timestamp::from_unix_seconds(seconds))
            .map_or_else(|no| no.code(), |_| "ok")
    };
    let (begin, end) = (1_767_225_600, 1_767_229_200);
    assert_eq!(at(end - 1, 0), "ok");
    assert_eq!(at(end, 0), "expired");
    assert_eq!(at(end + 29, 30), "ok");
    assert_eq!(at(end + 30, 30), "expired");
    assert_eq!(at(begin, 0), "ok");
    assert_eq!(at(begin - 1, 0), "issued_in_future");
    assert_eq!(at(begin - 30, 30), "ok");
    assert_eq!(at(begin - 31, 30), "issued_in_future");
}

#[test]
fn a_vector_s_second_key_may_stand_anywhere_and_removal_counts() {
    let mut jwks = vectors()["jwks"].clone();
    jwks["keys"].as_array_mut().unwrap().remove(0);
    let verifier = verifier().keys(KeySet::from_json(jwks.to_string()).unwrap());
    assert!(verifier.verify_access_token(&vector("access_token_second_key"), NOW).is_ok());
    let removed = verifier.verify_access_token(&vector("access_token"), NOW).unwrap_err();
    assert_eq!(removed.code(), "kid_unknown");
    let anonymous = verifier.verify_access_token(&vector("access_token_no_kid"), NOW).unwrap_err();
    assert_eq!(anonymous.code(), "bad_signature");
}

#[test]
fn the_examples_of_the_rfcs_get_their_verdicts() {
    let examples: Vec<Value> = serde_json::from_str(include_str!("../vectors/rfc.json")).unwrap();
    assert_eq!(examples.len(), 10);
    for example in examples {
        let keys = KeySet::from_json(format!(r#"{{"keys":[{}]}}"#, example["jwk"])).unwrap();
        let token = example["token"].as_str().unwrap();
        for backend in backends() {
            let strict = Verifier::new(backend, "joe").keys(keys.clone());
            let open = strict.clone().algorithms([
                Algorithm::EdDsa,
                Algorithm::Es256,
                Algorithm::Es384,
                Algorithm::Ps256,
                Algorithm::Rs256,
            ]);
            let verdict = |verifier: &Verifier, jws: &str| {
                verifier.verify_signature(jws).map_or_else(|no| no.code(), |_| "ok")
            };
            assert_eq!(verdict(&open, token), example["verdict"], "{}", example["name"]);
            if example["verdict"] != "ok" {
                continue;
            }
            let named = example["algorithm"] == "ES256";
            assert_eq!(verdict(&strict, token) == "ok", named, "{}", example["name"]);
            let (message, signature) = token.rsplit_once('.').unwrap();
            let mut other = crate::support::decode(signature);
            other[9] ^= 1;
            let other = format!("{message}.{}", crate::support::encode(other));
            assert_eq!(verdict(&open, &other), "bad_signature", "{}", example["name"]);
        }
    }
}

#[test]
fn each_backend_is_a_value_and_they_agree() {
    for backend in backends() {
        let verifier = Verifier::cotter_with(backend, vector("api_key_id")).keys(keys());
        assert!(verifier.verify_access_token(&vector("access_token"), NOW).is_ok(), "{backend:?}");
    }
}
