//! Attacks on verifiers, each refused, and each for its own reason.

use cotter_jwt::{AccessClaims, Algorithm, KeySet, TypeRule, Verifier};
use serde_json::{Value, json};

use crate::support::{
    KID, NOW, access, backend, claims, claims_of, decode, encode, header, id, keys, sign,
    sign_bytes, vector, vectors, verifier,
};

fn good() -> String {
    sign(&header(), &claims(|_| {}))
}

fn with_header(header: impl AsRef<str>) -> String {
    sign(header.as_ref(), &claims(|_| {}))
}

fn with_signature(signature: impl AsRef<[u8]>) -> String {
    format!("{}.{}", good().rsplit_once('.').unwrap().0, encode(signature))
}

#[test]
fn the_suite_s_own_signer_makes_good_tokens() {
    assert_eq!(access(&good()), "ok");
    assert_eq!(access(&with_header(format!(r#"{{"alg":"ES256","kid":"{KID}"}}"#))), "ok");
}

#[test]
fn the_token_does_not_choose_its_algorithm() {
    for (alg, reason) in [
        ("none", "alg_none"),
        ("None", "alg_not_allowed"),
        ("nOnE", "alg_not_allowed"),
        ("", "alg_not_allowed"),
        ("HS256", "alg_not_allowed"),
        ("es256", "alg_not_allowed"),
        ("ES256 ", "alg_not_allowed"),
        ("ES256K", "alg_not_allowed"),
        ("ES384", "alg_not_allowed"),
        ("RS256", "alg_not_allowed"),
        ("EdDSA", "alg_not_allowed"),
    ] {
        assert_eq!(access(&with_header(format!(r#"{{"alg":"{alg}"}}"#))), reason, "{alg}");
    }
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(claims(|_| {})));
    assert_eq!(access(&unsigned), "alg_none");
    let stripped = format!("{}.{}.", encode(header()), encode(claims(|_| {})));
    assert_eq!(access(&stripped), "signature_form");
}

#[test]
fn a_public_key_is_no_shared_secret() {
    // Algorithm confusion: an HMAC with the public key's bytes. No symmetric algorithm exists here,
    // and a symmetric key in the set is not usable.
    let oct = json!({"keys": [{"kty": "oct", "kid": KID, "k": "AAAA"}]}).to_string();
    let verifier = verifier().keys(KeySet::from_json(oct).unwrap());
    assert_eq!(verifier.key_set().usable(), 0);
    assert_eq!(verifier.verify_access_token(&good(), NOW).unwrap_err().code(), "key_algorithm");
}

#[test]
fn a_key_serves_the_algorithm_it_was_made_for_and_no_other() {
    let rsa = serde_json::from_str::<Value>(include_str!("../vectors/rfc.json")).unwrap()[1]["jwk"]
        .clone();
    let verdict = |key: &Value, token: &str| {
        let mut key = key.clone();
        key["kid"] = KID.into();
        let keys = KeySet::from_json(json!({ "keys": [key] }).to_string()).unwrap();
        verifier()
            .algorithms([Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256, Algorithm::Ps256])
            .keys(keys)
            .verify_access_token(token, NOW)
            .map_or_else(|no| no.code(), |_| "ok")
    };
    let ec = vectors()["jwks"]["keys"][0].clone();
    let changed = |name: &str, value: Value| {
        let mut key = ec.clone();
        key[name] = value;
        key
    };
    assert_eq!(verdict(&ec, &good()), "ok");
    assert_eq!(verdict(&rsa, &good()), "key_algorithm");
    let as_rsa = with_header(format!(r#"{{"alg":"RS256","kid":"{KID}"}}"#));
    let as_rsa = format!("{}.{}", as_rsa.rsplit_once('.').unwrap().0, encode([7; 256]));
    assert_eq!(verdict(&ec, &as_rsa), "key_algorithm");
    assert_eq!(verdict(&changed("alg", "ES384".into()), &good()), "key_algorithm");
    assert_eq!(verdict(&changed("alg", "ECDH-ES".into()), &good()), "key_algorithm");
    assert_eq!(verdict(&changed("alg", 7.into()), &good()), "key_algorithm");
    assert_eq!(verdict(&changed("kty", "XX".into()), &good()), "key_algorithm");
    assert_eq!(verdict(&changed("crv", "P-384".into()), &good()), "key_algorithm");
    assert_eq!(verdict(&changed("use", "enc".into()), &good()), "key_use");
    assert_eq!(verdict(&changed("use", json!(["sig"])), &good()), "key_use");
    assert_eq!(verdict(&changed("key_ops", json!(["sign"])), &good()), "key_use");
    assert_eq!(verdict(&changed("key_ops", json!(["sign", "verify"])), &good()), "ok");
    let off_curve = changed("x", ec["y"].clone());
    assert_eq!(verdict(&off_curve, &good()), "bad_signature");
}

#[test]
fn a_small_rsa_key_is_no_key() {
    let key = |bytes: usize| {
        let mut n = vec![0xff; bytes];
        n[bytes - 1] = 0xfd;
        let jwk = json!({"kty": "RSA", "kid": "r", "n": encode(n), "e": "AQAB"});
        KeySet::from_json(json!({ "keys": [jwk] }).to_string()).unwrap().usable()
    };
    assert_eq!((key(128), key(255), key(256), key(1024), key(1025)), (0, 0, 1, 1, 0));
}

#[test]
fn a_token_does_not_bring_its_own_key() {
    let own = vectors()["jwks"]["keys"][1].clone();
    for (name, value) in [
        ("jwk", own),
        ("jku", "https://evil.test/jwks".into()),
        ("x5u", "https://evil.test/chain".into()),
        ("x5c", json!(["MIIB"])),
    ] {
        let header = json!({"alg": "ES256", "kid": KID, name: value}).to_string();
        let message = format!("{}.{}", encode(header), encode(claims(|_| {})));
        // Signed with key 2, while `kid` says key 1: believing the embedded key would accept it.
        let forged = format!("{message}.{}", encode(sign_bytes(1, message.as_bytes())));
        assert_eq!(access(&forged), "bad_signature", "{name}");
        let honest = format!("{message}.{}", encode(sign_bytes(0, message.as_bytes())));
        assert_eq!(access(&honest), "ok", "{name} is not read");
    }
}

#[test]
fn the_key_is_the_one_that_kid_names() {
    let of = |kid: Value| with_header(json!({"alg": "ES256", "kid": kid}).to_string());
    let second = "SPACE_JWT_PUBLIC:22222222-2222-4222-8222-222222222222";
    assert_eq!(access(&of(second.into())), "bad_signature");
    assert_eq!(access(&of("../../etc/passwd".into())), "kid_unknown");
    assert_eq!(access(&of("' OR 1=1 --".into())), "kid_unknown");
    assert_eq!(access(&of("".into())), "kid_unknown");
    assert_eq!(access(&of(KID.to_lowercase().into())), "kid_unknown");
    assert_eq!(access(&of("k".repeat(257).into())), "header_malformed");
    assert_eq!(access(&of(Value::Null)), "header_malformed");
    assert_eq!(access(&of(1.into())), "header_malformed");
    assert_eq!(access(&of(json!([KID]))), "header_malformed");
    let none = verifier().keys(KeySet::empty());
    let anonymous = with_header(r#"{"alg":"ES256"}"#);
    assert_eq!(none.verify_access_token(&anonymous, NOW).unwrap_err().code(), "no_key");
}

#[test]
fn a_signature_has_one_form() {
    let right = decode(good().rsplit_once('.').unwrap().1);
    assert_eq!(access(&with_signature(&right)), "ok");
    let half = |zero: core::ops::Range<usize>| {
        let mut signature = right.clone();
        signature[zero].fill(0);
        signature
    };
    // DER, as OpenSSL would write it.
    let der = [&[0x30, 0x44, 0x02, 0x20][..], &right[..32], &[0x02, 0x20], &right[32..]].concat();
    for (name, signature) in [
        ("psychic", half(0..64)),
        ("r = 0", half(0..32)),
        ("s = 0", half(32..64)),
        ("der", der),
        ("empty", Vec::new()),
        ("short", right[..63].to_vec()),
        ("long", [&right[..], &[0]].concat()),
    ] {
        assert_eq!(access(&with_signature(signature)), "signature_form", "{name}");
    }
    // r = s = n, the curve's order: zero once more, in disguise.
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    assert_eq!(access(&with_signature([order, order].concat())), "bad_signature");
    assert_eq!(access(&with_signature([0xff; 64])), "bad_signature");
}

#[test]
fn there_are_exactly_three_parts() {
    let token = good();
    for bad in [
        String::new(),
        ".".into(),
        "a.b".into(),
        format!("{token}."),
        format!("{token}.x"),
        format!(".{token}"),
        token.replace('.', ""),
    ] {
        assert_eq!(access(&bad), "not_three_parts", "{bad}");
    }
    assert_eq!(access(&"a".repeat(16 * 1024 + 1)), "too_large");
    assert_eq!(access(".."), "header_malformed");
}

#[test]
fn base64url_is_canonical_in_every_part() {
    let token = vector("access_token");
    let parts: Vec<&str> = token.split('.').collect();
    let reasons = ["header_encoding", "claims_encoding", "signature_encoding"];
    for (index, reason) in reasons.into_iter().enumerate() {
        let with = |part: String| {
            let mut parts = parts.clone();
            parts[index] = &part;
            access(&parts.join("."))
        };
        let part = parts[index];
        assert_eq!(with(format!("{part}=")), reason);
        assert_eq!(with(format!("{part}==")), reason);
        assert_eq!(with(format!("{part} ")), reason);
        assert_eq!(with(format!("{part}\n")), reason);
        assert_eq!(with(format!(" {part}")), reason);
        assert_eq!(with(format!("{}+", &part[..part.len() - 1])), reason);
        assert_eq!(with(format!("{}é", &part[..part.len() - 1])), reason);
    }
    // The last character of a 64-byte signature has four bits that say nothing.
    let (rest, last) = token.split_at(token.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    let twin = &alphabet[at + 1..at + 2];
    assert_eq!(access(&format!("{rest}{twin}")), "signature_encoding");
}

#[test]
fn critical_extensions_are_refused_and_so_is_what_they_would_allow() {
    for crit in [r#"["b64"]"#, r#"["exp"]"#, "[]", "null", "1"] {
        let header = format!(r#"{{"alg":"ES256","kid":"{KID}","b64":false,"crit":{crit}}}"#);
        assert_eq!(access(&with_header(header)), "crit", "{crit}");
    }
}

#[test]
fn a_member_may_stand_once() {
    let twice = format!(r#"{{"alg":"none","alg":"ES256","kid":"{KID}"}}"#);
    assert_eq!(access(&with_header(twice)), "header_duplicate");
    let escaped = format!(r#"{{"alg":"ES256","\u0061lg":"ES256","kid":"{KID}"}}"#);
    assert_eq!(access(&with_header(escaped)), "header_duplicate");
    let claims = claims(|_| {});
    let twice = claims.replacen('{', r#"{"sub":"admin","#, 1);
    assert_eq!(access(&sign(&header(), &twice)), "claims_duplicate");
    let nested = claims.replacen('{', r#"{"own":{"a":[{"b":1,"b":2}]},"#, 1);
    assert_eq!(access(&sign(&header(), &nested)), "claims_duplicate");
}

#[test]
fn json_is_not_nested_without_end() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let header = format!(r#"{{"alg":"ES256","kid":"{KID}","x":{}}}"#, deep(5_000));
    assert_eq!(access(&with_header(header)), "header_too_deep");
    let claims = claims(|_| {}).replacen('{', &format!(r#"{{"x":{},"#, deep(5_000)), 1);
    assert_eq!(access(&sign(&crate::support::header(), &claims)), "claims_too_deep");
}

#[test]
fn both_parts_are_json_objects() {
    for text in ["[]", "1", "\"x\"", "null", "{", "{}{}", "", "\u{feff}{}"] {
        assert_eq!(access(&with_header(text)), "header_malformed", "{text}");
        assert_eq!(access(&sign(&header(), text)), "claims_malformed", "{text}");
    }
    for header in [r#"{"kid":"x"}"#, r#"{"alg":null}"#, r#"{"alg":["ES256"]}"#, r#"{"alg":1}"#] {
        assert_eq!(access(&with_header(header)), "header_malformed", "{header}");
    }
    let typ = format!(r#"{{"alg":"ES256","kid":"{KID}","typ":1}}"#);
    assert_eq!(access(&with_header(typ)), "header_malformed");
}

#[test]
fn a_claim_of_the_wrong_type_is_named() {
    let text = |name: &str| -> Vec<(String, Value)> {
        [json!(1), json!(true), Value::Null, json!({}), json!(["x"])]
            .into_iter()
            .map(|value| (name.to_owned(), value))
            .collect()
    };
    let mut cases = Vec::new();
    for name in [
        "authentication_method",
        "client_user_id",
        "identifier",
        "iss",
        "jti",
        "scope",
        "sub",
        "type",
    ] {
        cases.extend(text(name));
    }
    for name in ["exp", "iat", "nbf"] {
        for value in [
            json!("1767229200"),
            json!(true),
            Value::Null,
            json!([1_767_229_200]),
            json!({}),
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!(253_402_300_800_u64),
        ] {
            cases.push((name.to_owned(), value));
        }
    }
    for value in [json!(1), Value::Null, json!({}), json!([1]), json!([["x"]])] {
        cases.push(("aud".to_owned(), value));
    }
    for (name, value) in cases {
        let token = sign(&header(), &claims(|claims| claims[&name] = value.clone()));
        assert_eq!(access(&token), format!("{name}_malformed"), "{name} = {value}");
    }
}

#[test]
fn what_has_to_be_there_is() {
    for (name, reason) in [
        ("aud", "aud_missing"),
        ("exp", "exp_missing"),
        ("iss", "iss_missing"),
        ("type", "wrong_token_type"),
    ] {
        let token =
            sign(&header(), &claims(|claims| drop(claims.as_object_mut().unwrap().remove(name))));
        assert_eq!(access(&token), reason, "{name}");
    }
    for name in ["iat", "jti", "nbf", "sub", "client_user_id", "identifier", "scope"] {
        let token =
            sign(&header(), &claims(|claims| drop(claims.as_object_mut().unwrap().remove(name))));
        assert_eq!(access(&token), "ok", "{name}");
    }
}

#[test]
fn the_issuer_has_at_most_one_slash_too_many() {
    for (issuer, verdict) in [
        ("https://www.cotter.app", "ok"),
        ("https://www.cotter.app/", "ok"),
        ("https://www.cotter.app//", "wrong_issuer"),
        ("https://www.cotter.app.evil.test", "wrong_issuer"),
        ("https://www.cotter.app/x", "wrong_issuer"),
        ("http://www.cotter.app", "wrong_issuer"),
        ("HTTPS://WWW.COTTER.APP", "wrong_issuer"),
        ("", "wrong_issuer"),
    ] {
        let token = sign(&header(), &claims(|claims| claims["iss"] = issuer.into()));
        assert_eq!(access(&token), verdict, "{issuer}");
    }
}

#[test]
fn a_token_is_for_whom_it_says() {
    let own = vector("api_key_id");
    for (audience, verdict) in [
        (json!(own), "ok"),
        (json!([own]), "ok"),
        (json!(["other", own]), "ok"),
        (json!([]), "wrong_audience"),
        (json!(""), "wrong_audience"),
        (json!(own[..35]), "wrong_audience"),
        (json!(format!("{own} ")), "wrong_audience"),
        (json!(own.to_uppercase()), "wrong_audience"),
        (json!(["other"]), "wrong_audience"),
    ] {
        let token = sign(&header(), &claims(|claims| claims["aud"] = audience.clone()));
        assert_eq!(access(&token), verdict, "{audience}");
    }
    let nobody = Verifier::new(backend(), "https://www.cotter.app")
        .access_tokens(TypeRule::audience_alone())
        .keys(keys());
    assert_eq!(nobody.verify_access_token(&good(), NOW).unwrap_err().code(), "wrong_audience");
}

#[test]
fn an_id_token_never_passes_as_an_access_token() {
    assert_eq!(access(&vector("id_token")), "wrong_token_type");
    assert_eq!(id(&vector("access_token")), "wrong_token_type");
    for (kind, as_access, as_id) in [
        ("client_access_token", "ok", "wrong_token_type"),
        ("access_token", "ok", "wrong_token_type"),
        ("client_id_token", "wrong_token_type", "ok"),
        ("id_token", "wrong_token_type", "ok"),
        ("Access_Token", "wrong_token_type", "wrong_token_type"),
        ("refresh_token", "wrong_token_type", "wrong_token_type"),
        ("", "wrong_token_type", "wrong_token_type"),
    ] {
        let token = sign(&header(), &claims(|claims| claims["type"] = kind.into()));
        assert_eq!((access(&token), id(&token)), (as_access, as_id), "{kind}");
    }
}

#[test]
fn another_issuer_s_tokens_are_told_apart_by_its_own_rule() {
    let general = |rule: TypeRule| {
        Verifier::new(backend(), "https://www.cotter.app")
            .audience(vector("api_key_id"))
            .access_tokens(rule)
            .keys(keys())
    };
    let token = |typ: &str, change: fn(&mut Value)| {
        let header = json!({"alg": "ES256", "kid": KID, "typ": typ}).to_string();
        sign(&header, &claims_of("id_token", change))
    };
    let verdict = |rule: TypeRule, token: &str| {
        general(rule).verify_access_token(token, NOW).map_or_else(|no| no.code(), |_| "ok")
    };
    assert_eq!(verdict(TypeRule::at_jwt(), &token("at+jwt", |_| {})), "ok");
    assert_eq!(verdict(TypeRule::at_jwt(), &token("application/AT+JWT", |_| {})), "ok");
    assert_eq!(verdict(TypeRule::at_jwt(), &token("JWT", |_| {})), "wrong_token_type");
    let cognito = || TypeRule::claim("token_use", ["access"]);
    let used = |claims: &mut Value| claims["token_use"] = "access".into();
    assert_eq!(verdict(cognito(), &token("JWT", used)), "ok");
    assert_eq!(verdict(cognito(), &token("JWT", |_| {})), "wrong_token_type");
    let hashed = |claims: &mut Value| claims["at_hash"] = "x".into();
    assert_eq!(verdict(TypeRule::audience_alone(), &token("JWT", |_| {})), "ok");
    assert_eq!(verdict(TypeRule::audience_alone(), &token("JWT", hashed)), "wrong_token_type");

    let id = |token: &str| {
        general(TypeRule::at_jwt())
            .verify_id_token(token, NOW)
            .map_or_else(|no| no.code(), |_| "ok")
    };
    assert_eq!(id(&token("JWT", |_| {})), "ok");
    assert_eq!(id(&token("at+jwt", |_| {})), "wrong_token_type");
    let own_client = general(TypeRule::at_jwt()).client_id("web");
    let refused = own_client.verify_id_token(&token("JWT", |_| {}), NOW).unwrap_err();
    assert_eq!(refused.code(), "wrong_audience");
}

#[test]
fn what_another_issuer_means_by_cotter_s_words_is_not_judged() {
    let general = Verifier::new(backend(), "https://www.cotter.app")
        .audience(vector("api_key_id"))
        .access_tokens(TypeRule::claim("token_use", ["access"]))
        .id_tokens(TypeRule::claim("token_use", ["id"]))
        .keys(keys());
    let read = |name: &str, value: &Value| {
        let token = sign(
            &header(),
            &claims(|claims| {
                claims["token_use"] = "access".into();
                claims[name] = value.clone();
            }),
        );
        general.verify_access_token(&token, NOW).map_err(|no| no.code())
    };
    for value in [json!(1), Value::Null, json!({}), json!(["x"])] {
        let read = |name: &str| read(name, &value).unwrap();
        assert_eq!(read("type").token_type(), None);
        assert_eq!(read("identifier").identifier(), None);
        assert_eq!(read("authentication_method").authentication_method(), None);
        read("client_user_id");
    }
    assert_eq!(read("type", &json!("x")).unwrap().token_type(), Some("x"));
    // A subject is what it is: the old prefix is Cotter's.
    assert_eq!(read("sub", &json!("USER:1")).unwrap().user_id(), Some("USER:1"));
    assert_eq!(read("sub", &json!("")).unwrap().user_id(), None);
    assert_eq!(read("jti", &json!(1)).unwrap_err(), "jti_malformed", "that is everybody's");

    let scopes =
        |claims: AccessClaims| -> Vec<String> { claims.scopes().map(Into::into).collect() };
    assert_eq!(scopes(read("scope", &json!("read  write")).unwrap()), ["read", "write"]);
    let listed = read("scope", &json!(["read", "a b"])).unwrap();
    assert!(listed.has_scope("read") && !listed.has_scope("a") && !listed.has_scope("b"));
    assert_eq!(read("scope", &json!(["read", 1])).unwrap_err(), "scope_malformed");
    assert_eq!(read("scope", &json!(1)).unwrap_err(), "scope_malformed");
}

#[test]
fn not_before_and_issued_at_may_not_lie_ahead() {
    let at = |name: &str, seconds: f64| {
        access(&sign(&header(), &claims(|claims| claims[name] = seconds.into())))
    };
    let now = 1_767_225_700.0;
    assert_eq!(at("nbf", now + 30.0), "ok");
    assert_eq!(at("nbf", now + 30.5), "not_yet_valid");
    assert_eq!(at("iat", now + 30.0), "ok");
    assert_eq!(at("iat", now + 31.0), "issued_in_future");
    assert_eq!(at("exp", now - 29.5), "ok");
    assert_eq!(at("exp", now - 30.0), "expired");
    assert_eq!(at("exp", 0.0), "expired");
}

#[test]
fn a_reason_says_nothing_of_the_token() {
    let token = sign(&header(), &claims(|claims| claims["aud"] = "PLANTED".into()));
    let invalid = verifier().verify_access_token(&token, NOW).unwrap_err();
    assert!(!format!("{invalid:?} {invalid}").contains("PLANTED"));
}
