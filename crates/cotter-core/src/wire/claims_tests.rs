use alloc::format;
use alloc::string::ToString;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn jwt_of(payload: &[u8]) -> String {
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"ES256"}"#);
    format!("{header}.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

fn access(claims: &Value) -> AccessClaims {
    AccessToken::new(jwt_of(claims.to_string().as_bytes())).claims().unwrap()
}

fn id(claims: &Value) -> IdClaims {
    IdToken::new(jwt_of(claims.to_string().as_bytes())).claims().unwrap()
}

#[test]
fn the_user_is_the_subject_without_one_prefix_or_else_the_clients_own_id() {
    for (claims, expected) in [
        (json!({"sub": "ada"}), Some("ada")),
        (json!({"sub": "USER:ada"}), Some("ada")),
        (json!({"sub": "USER:USER:ada"}), Some("USER:ada")),
        (json!({"sub": "user:ada"}), Some("user:ada")),
        (json!({"sub": "", "client_user_id": "c"}), Some("c")),
        (json!({"sub": "USER:", "client_user_id": "c"}), Some("c")),
        (json!({"sub": 7, "client_user_id": "c"}), Some("c")),
        (json!({"sub": "ada", "client_user_id": "c"}), Some("ada")),
        (json!({"client_user_id": ""}), None),
        (json!({}), None),
    ] {
        assert_eq!(access(&claims).user_id(), expected, "{claims}");
        let peeked = peek(&jwt_of(claims.to_string().as_bytes()));
        assert_eq!(peeked.user_id.as_deref(), expected, "{claims}");
    }
    assert_eq!(access(&json!({"sub": "USER:ada"})).subject(), Some("USER:ada"));
}

#[test]
fn a_time_is_a_number_that_is_a_date() {
    let millis = |time: Timestamp| time.as_unix_millis();
    for (exp, expected) in [
        ("1767229200", Some(1_767_229_200_000)),
        ("1767229200.5", Some(1_767_229_200_500)),
        ("1.7672292e9", Some(1_767_229_200_000)),
        ("0", Some(0)),
        ("-1", None),
        ("-0.5", None),
        ("1767229200000", None),
        ("9223372036854775807", None),
        ("-9223372036854775808", None),
        ("18446744073709551615", None),
        ("1e300", None),
        ("1e999999", None),
        ("\"1767229200\"", None),
        ("null", None),
        ("[]", None),
        ("true", None),
    ] {
        let token =
            jwt_of(format!(r#"{{"sub":"ada","exp":{exp},"iat":{exp},"nbf":{exp}}}"#).as_bytes());
        let claims = AccessToken::new(token.as_str()).claims().unwrap();
        assert_eq!(claims.expires_at().map(millis), expected, "{exp}");
        assert_eq!(claims.issued_at().map(millis), expected, "{exp}");
        assert_eq!(claims.not_before().map(millis), expected, "{exp}");
        assert_eq!(peek(&token).expires_at.map(millis), expected, "{exp}");
        assert_eq!(claims.subject(), Some("ada"), "an odd claim costs only itself: {exp}");
    }
    assert_eq!(access(&json!({})).expires_at(), None);
}

#[test]
fn when_the_user_signed_in_may_be_a_number_a_text_or_unknown() {
    for (auth_time, expected) in [
        (json!("1767225598"), Some(1_767_225_598)),
        (json!(1_767_225_598), Some(1_767_225_598)),
        (json!(1_767_225_598.9), Some(1_767_225_598)),
        (json!("-62135596800"), None),
        (json!(-62_135_596_800_i64), None),
        (json!("0"), None),
        (json!(0), None),
        (json!(0.5), None),
        (json!(""), None),
        (json!("yesterday"), None),
        (json!("99999999999999999999"), None),
        (json!(1e300), None),
        (json!(null), None),
        (json!([1]), None),
    ] {
        let claims = id(&json!({"auth_time": auth_time}));
        let seconds = claims.auth_time().map(Timestamp::as_unix_seconds);
        assert_eq!(seconds, expected, "{auth_time}");
    }
}

#[test]
fn an_audience_is_a_text_or_a_list() {
    assert_eq!(access(&json!({"aud": "a"})).audiences(), ["a"]);
    assert_eq!(access(&json!({"aud": ["a", 7, "b"]})).audiences(), ["a", "b"]);
    assert!(access(&json!({"aud": {"a": "a"}})).audiences().is_empty());
    assert!(id(&json!({"aud": ["a", "b"]})).has_audience("b"));
    assert!(!id(&json!({"aud": "ab"})).has_audience("a"));
}

#[test]
fn what_is_no_jwt_is_told_without_repeating_it() {
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"none"}"#);
    let object = URL_SAFE_NO_PAD.encode(br#"{"sub":"PLANTED"}"#);
    let array = URL_SAFE_NO_PAD.encode(br#"["PLANTED"]"#);
    let cut = URL_SAFE_NO_PAD.encode(br#"{"sub":"PLANTED"#);
    let latin = URL_SAFE_NO_PAD.encode(b"{\"sub\":\"PLANTED\xff\"}");
    for bad in [
        String::new(),
        "PLANTED".to_owned(),
        "PLANTED..".to_owned(),
        format!("{header}.{object}"),
        format!("{header}.{object}.s.s"),
        format!("{header}.{object}=.c2ln"),
        format!("{header}. {object}.c2ln"),
        format!("{header}.{object}.c2l+"),
        format!("{header}.{array}.c2ln"),
        format!("{header}.{cut}.c2ln"),
        format!("{header}.{latin}.c2ln"),
        format!("{array}.{object}.c2ln"),
        format!(".{object}.c2ln"),
        jwt_of(format!(r#"{{"sub":"PLANTED{}"}}"#, "x".repeat(LONGEST)).as_bytes()),
    ] {
        let shown = bad.get(..40).unwrap_or(&bad);
        let access = AccessToken::new(bad.as_str()).claims().unwrap_err();
        let id = IdToken::new(bad.as_str()).claims().unwrap_err();
        assert_eq!(access.kind(), crate::ErrorKind::Protocol, "{shown}");
        assert!(!format!("{access:?}{access}{id:?}{id}").contains("PLANTED"), "{shown}");
        assert_eq!(peek(&bad), Peek::default(), "{shown}");
    }
    // A token without a signature says something about itself, too; it proves nothing.
    assert!(peek(&format!("{header}.{object}.")).is_jwt);
}

#[test]
fn a_token_of_almost_a_megabyte_is_read() {
    let token = jwt_of(format!(r#"{{"sub":"ada","x":"{}"}}"#, "x".repeat(700_000)).as_bytes());
    assert_eq!(peek(&token).user_id.as_deref(), Some("ada"));
}

#[test]
fn a_claim_that_is_nested_too_deeply_is_left_out() {
    let deep = "[".repeat(5000) + &"]".repeat(5000);
    let token = jwt_of(format!(r#"{{"sub":"ada","deep":{deep}}}"#).as_bytes());
    let claims = AccessToken::new(token).claims().unwrap();
    assert_eq!((claims.subject(), claims.get("deep")), (Some("ada"), None));
}

#[test]
fn claims_print_their_names_only() {
    let claims = json!({"sub": "PLANTED", "identifier": "PLANTED@example.test"});
    assert_eq!(format!("{:?}", access(&claims)), r#"AccessClaims {"identifier", "sub"}"#);
    assert_eq!(format!("{:?}", id(&claims)), r#"IdClaims {"identifier", "sub"}"#);
    assert_eq!(access(&claims).to_json(), claims);
}

proptest! {
    #[test]
    fn no_text_makes_peeking_panic(text in "\\PC{0,100}|[A-Za-z0-9_.-]{0,200}") {
        let _ = peek(&text);
    }

    #[test]
    fn no_payload_makes_peeking_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = peek(&jwt_of(&payload));
    }

    #[test]
    fn no_time_makes_peeking_panic(exp in any::<i64>(), iat in any::<f64>()) {
        let peeked = peek(&jwt_of(json!({"exp": exp, "iat": iat}).to_string().as_bytes()));
        prop_assert!(peeked.is_jwt);
        prop_assert!(peeked.expires_at.is_none_or(Timestamp::is_plausible));
        prop_assert!(peeked.issued_at.is_none_or(Timestamp::is_plausible));
    }
}
