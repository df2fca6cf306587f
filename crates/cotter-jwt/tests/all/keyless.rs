//! What can be said of a token before its key is at hand.

use cotter_core::Timestamp;
use cotter_jwt::{Invalid, KeySet, TypeRule, Verifier};
use serde_json::{Value, json};

use crate::support::{
    NOW, backend, claims, claims_of, encode, header, keys, sign, vector, verifier,
};

fn code<T>(verdict: Result<T, Invalid>) -> &'static str {
    verdict.map_or_else(|no| no.code(), |_| "ok")
}

fn keyless() -> Verifier {
    verifier().keys(KeySet::empty())
}

/// A good access token but for its `kid`, which nobody has.
fn stranger(change: impl FnOnce(&mut Value)) -> String {
    sign(r#"{"alg":"ES256","kid":"nobody's"}"#, &claims(change))
}

fn ruled_out(token: &str, now: Timestamp) -> Option<&'static str> {
    keyless().rule_out_access_token(token, now).map(|why| why.code())
}

#[test]
fn what_no_key_can_save_is_refused_whether_its_key_is_known_or_not() {
    let with = |alg: &str, signature: &[u8]| {
        let header = json!({"alg": alg, "kid": "nobody's"}).to_string();
        format!("{}.{}.{}", encode(header), encode(claims(|_| {})), encode(signature))
    };
    let der = [0x30, 0x44, 0x02, 0x20].iter().chain(&[7; 68]).copied().collect::<Vec<u8>>();
    for (token, reason) in [
        (with("none", &[]), "alg_none"),
        (with("none", &[7; 64]), "alg_none"),
        (with("HS256", &[7; 32]), "alg_not_allowed"),
        (with("RS256", &[7; 256]), "alg_not_allowed"),
        (with("ES256", &[]), "signature_form"),
        (with("ES256", &der), "signature_form"),
        (with("ES256", &[0; 64]), "signature_form"),
    ] {
        assert_eq!(code(keyless().claimed_kid(&token)), reason);
        assert_eq!(code(keyless().verify_access_token(&token, NOW)), reason);
        assert_eq!(code(verifier().verify_id_token(&token, NOW)), reason);
        assert_eq!(code(verifier().verify_signature(&token)), reason);
        assert_eq!(ruled_out(&token, NOW), Some(reason));
    }
    let open = with("ES256", &[7; 64]);
    assert_eq!(keyless().claimed_kid(&open).unwrap().as_deref(), Some("nobody's"));
    assert_eq!(code(verifier().verify_access_token(&open, NOW)), "kid_unknown");
    assert_eq!(keyless().claimed_kid(&vector("access_token_no_kid")).unwrap(), None);
}

#[test]
fn claims_rule_a_token_out_by_the_reason_that_its_key_would_have_left() {
    assert_eq!(ruled_out(&stranger(|_| {}), NOW), None);
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 7] = [
        (|claims| claims["iss"] = "https://evil.example".into(), "wrong_issuer"),
        (|claims| claims["aud"] = "another".into(), "wrong_audience"),
        (|claims| claims["type"] = "client_id_token".into(), "wrong_token_type"),
        (|claims| claims["exp"] = 1_767_225_600.into(), "expired"),
        (|claims| claims["nbf"] = 1_767_325_600.into(), "not_yet_valid"),
        (|claims| claims["iat"] = "now".into(), "iat_malformed"),
        (|claims| *claims = json!([]), "claims_malformed"),
    ];
    for (change, reason) in cases {
        assert_eq!(ruled_out(&stranger(change), NOW), Some(reason));
        let signed = sign(&header(), &claims(change));
        assert_eq!(code(verifier().verify_access_token(&signed, NOW)), reason);
    }
    // Each kind by its own rules.
    let id = vector("id_token");
    assert_eq!(keyless().rule_out_id_token(&id, NOW), None);
    assert_eq!(ruled_out(&id, NOW), Some("wrong_token_type"));
    let access = keyless().rule_out_id_token(&stranger(|_| {}), NOW).unwrap();
    assert_eq!(access.code(), "wrong_token_type");
}

#[test]
fn a_token_that_a_claim_marks_as_an_access_token_is_no_id_token() {
    let cognito = || {
        Verifier::new(backend(), "https://www.cotter.app")
            .audience(vector("api_key_id"))
            .access_tokens(TypeRule::claim("token_use", ["access"]))
            .keys(keys())
    };
    let used = |value: Value| {
        let change = |claims: &mut Value| claims["token_use"] = value;
        sign(&header(), &claims_of("id_token", change))
    };
    let as_id = |verifier: Verifier, value: Value| {
        let verdict = code(verifier.verify_id_token(&used(value.clone()), NOW));
        let ruled_out = verifier.rule_out_id_token(&used(value), NOW).map(|why| why.code());
        assert_eq!(ruled_out.unwrap_or("ok"), verdict);
        verdict
    };
    assert_eq!(as_id(cognito(), "access".into()), "wrong_token_type");
    assert_eq!(as_id(cognito(), "id".into()), "ok");
    assert_eq!(as_id(cognito(), json!(["access"])), "ok");
    assert_eq!(code(cognito().verify_access_token(&used("access".into()), NOW)), "ok");
    // Whoever goes by the same claim for both kinds has said what each is.
    let both = |values: [&str; 2]| cognito().id_tokens(TypeRule::claim("token_use", values));
    assert_eq!(as_id(both(["id", "access"]), "access".into()), "ok");
    assert_eq!(as_id(both(["id", "x"]), "access".into()), "wrong_token_type");
}
