//! The published test vectors of the protocol page, read as a client reads them.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read fails its test")]

use cotter_core::{AccessToken, IdToken, OAuthToken, Provider, RefreshToken, Timestamp, Unfit};
use serde_json::{Value, json};

const USER: &str = "3f5b8c1e-9a77-4d0b-8a55-6a1c0de5f00d";
const PROJECT: &str = "7d0c6a52-5d0e-4c0f-9a57-2b1f5f6a1c01";

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/cotter-vectors.json")).unwrap()
}

fn text(name: &str) -> String {
    vectors()[name].as_str().unwrap().to_owned()
}

fn access(name: &str) -> AccessToken {
    AccessToken::new(text(name))
}

fn id(name: &str) -> IdToken {
    IdToken::new(text(name))
}

fn cotter() -> Provider {
    Provider::cotter(&text("api_key_id")).unwrap()
}

#[test]
fn the_access_token_says_what_the_page_says() {
    let claims = access("access_token").claims().unwrap();
    assert_eq!(claims.subject(), Some(USER));
    assert_eq!(claims.user_id(), Some(USER));
    assert_eq!(claims.audiences(), [PROJECT]);
    assert_eq!(claims.issuer(), Some("https://www.cotter.app"));
    assert_eq!(claims.expires_at(), Some(Timestamp::from_unix_seconds(1_767_229_200)));
    assert_eq!(claims.issued_at(), Some(Timestamp::from_unix_seconds(1_767_225_600)));
    assert_eq!(claims.not_before(), None);
    assert_eq!(claims.token_type(), Some("client_access_token"));
    assert_eq!(claims.identifier(), Some("ada@example.test"));
    assert_eq!(claims.jwt_id(), Some("0b9f2f0e-7c58-4f0f-9a2f-3d1f6f1b0a01"));
    assert_eq!(claims.scope(), Some("access"));
    assert_eq!(claims.authentication_method(), Some("OTP"));
    assert_eq!(claims.get("client_user_id"), Some(&json!(USER)));
    assert_eq!(claims.to_json().as_object().map(serde_json::Map::len), Some(11));
}

#[test]
fn the_id_token_says_what_the_page_says() {
    let claims = id("id_token").claims().unwrap();
    assert_eq!(claims.user_id(), Some(USER));
    assert!(claims.has_audience(PROJECT));
    assert_eq!(claims.token_type(), Some("client_id_token"));
    assert_eq!(claims.auth_time(), Some(Timestamp::from_unix_seconds(1_767_225_598)));
    assert_eq!(claims.get("scope"), None);
}

#[test]
fn every_signed_token_of_the_vectors_can_be_looked_into() {
    let vectors = vectors();
    let tokens: Vec<_> = vectors
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.starts_with("access_token") || name.starts_with("id_token"))
        .collect();
    assert_eq!(tokens.len(), 12);
    for (name, token) in tokens {
        let claims = IdToken::new(token.as_str().unwrap()).claims();
        assert_eq!(claims.unwrap().user_id(), Some(USER), "{name}");
    }
}

#[test]
fn a_header_without_a_kid_and_a_prefixed_subject_are_read() {
    let claims = access("access_token_no_kid").claims().unwrap();
    assert_eq!(claims.subject(), Some(format!("USER:{USER}").as_str()));
    assert_eq!(claims.user_id(), Some(USER));
}

#[test]
fn a_token_without_an_end_has_none() {
    let claims = access("access_token_no_exp").claims().unwrap();
    assert_eq!(claims.expires_at(), None);
    assert!(claims.issued_at().is_some());
}

#[test]
fn an_issuer_is_shown_as_it_stands() {
    let issuer = |name| access(name).claims().unwrap().issuer().map(str::to_owned);
    assert_eq!(issuer("access_token_iss_trailing_slash").unwrap(), "https://www.cotter.app/");
    assert_ne!(issuer("access_token_wrong_iss").unwrap(), "https://www.cotter.app");
}

#[test]
fn auth_time_is_read_in_both_types_and_its_zero_is_unknown() {
    let auth_time = |name| id(name).claims().unwrap().auth_time();
    assert_eq!(auth_time("id_token_auth_time_zero"), None);
    let number = auth_time("id_token_auth_time_number");
    assert_eq!(number, Some(Timestamp::from_unix_seconds(1_767_225_598)));
}

#[test]
fn a_name_beyond_ascii_survives_base64url() {
    let claims = id("id_token_nonascii").claims().unwrap();
    assert_eq!(claims.identifier(), Some("zoë?>~@exämple.test"));
}

#[test]
fn only_tokens_of_this_project_and_user_are_handed_out() {
    let set = |access_name: &str, id_name: &str| {
        OAuthToken::new(access(access_name)).with_id_token(id(id_name))
    };
    for (access_name, id_name, expected) in [
        ("access_token", "id_token", Ok(())),
        ("access_token_second_key", "id_token_nonascii", Ok(())),
        ("access_token_no_kid", "id_token_auth_time_number", Ok(())),
        ("access_token_no_exp", "id_token_auth_time_zero", Ok(())),
        ("access_token_wrong_aud", "id_token", Err(Unfit::OtherAudience)),
        ("id_token", "id_token", Err(Unfit::WrongType)),
        ("access_token", "access_token", Err(Unfit::WrongType)),
    ] {
        let verdict = cotter().check(&set(access_name, id_name), Some(USER));
        assert_eq!(verdict, expected, "{access_name} {id_name}");
    }
    let other = cotter().check(&set("access_token", "id_token"), Some("another"));
    assert_eq!(other, Err(Unfit::OtherUser));
}

#[test]
fn a_login_answer_with_other_signed_objects_in_it_gives_its_tokens() {
    let vectors = vectors();
    let mut answer = vectors["event"].clone();
    answer["token"] = vectors["identity_token"].clone();
    answer["pkce"] = vectors["pkce"].clone();
    answer["oauth_token"] = json!({
        "access_token": vectors["access_token"],
        "auth_method": "OTP",
        "expires_in": 3600,
        "id_token": vectors["id_token"],
        "refresh_token": "4711:fJ2kQ8vB0sLmX7cRtY1nWz5aEoPd9GhUiK3bVxN6qTrM4yCjZS",
        "token_type": "Bearer",
    });
    let set: OAuthToken = answer.to_string().parse().unwrap();
    assert_eq!(set.access_token(), Some(&access("access_token")));
    assert_eq!(set.id_token(), Some(&id("id_token")));
    assert_eq!(cotter().check(&set, Some(USER)), Ok(()));
}

#[test]
fn what_holds_no_set_of_tokens_gives_an_empty_one() {
    let vectors = vectors();
    for name in ["event", "identity_token", "pkce", "jwks"] {
        let set: OAuthToken = vectors[name].to_string().parse().unwrap();
        assert_eq!(cotter().check(&set, None), Err(Unfit::NoAccessToken), "{name}");
    }
}

#[test]
fn the_refresh_request_is_the_one_on_the_page() {
    let token = RefreshToken::new("4711:fJ2kQ8vB0sLmX7cRtY1nWz5aEoPd9GhUiK3bVxN6qTrM4yCjZS");
    let request = cotter().refresh_request(&token);
    assert_eq!(request.method(), "POST");
    let expected = format!("https://www.cotter.app/api/v0/token/{PROJECT}");
    assert_eq!(request.uri(), expected.as_str());
    assert_eq!(request.headers()["API_KEY_ID"], PROJECT);
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(
        core::str::from_utf8(request.body().expose()).unwrap(),
        r#"{"grant_type":"refresh_token","refresh_token":"4711:fJ2kQ8vB0sLmX7cRtY1nWz5aEoPd9GhUiK3bVxN6qTrM4yCjZS"}"#
    );
}

#[test]
fn the_signing_keys_are_asked_for_without_the_api_key() {
    let request = cotter().jwks_request().unwrap();
    assert_eq!(request.method(), "GET");
    assert_eq!(request.uri(), "https://www.cotter.app/api/v0/token/jwks");
    assert!(!request.headers().contains_key("API_KEY_ID"));
    assert!(request.body().is_empty());
}
