//! The layer in front of a real axum router.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use cotter_axum::{Bearer, BearerLayer, StaticVerifier, Verdict, VerifyAccess};
use cotter_jwt::{AccessClaims, KeySet, Reason, TypeRule, Verifier};
use cotter_testkit::ManualClock;
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../cotter-jwt/tests/vectors/cotter-vectors.json"))
        .unwrap()
}

fn vector(name: &str) -> String {
    vectors()[name].as_str().unwrap().to_owned()
}

fn layer() -> BearerLayer {
    let keys = KeySet::from_json(vectors()["jwks"].to_string()).unwrap();
    let verifier = Verifier::cotter(vector("api_key_id")).keys(keys);
    BearerLayer::new(StaticVerifier::new(verifier, ManualClock::new())).realm("te\"st\\\n")
}

async fn who(Bearer(claims): Bearer<AccessClaims>) -> String {
    claims.user_id().unwrap_or_default().to_owned()
}

async fn ask(layer: BearerLayer, headers: &[&str]) -> Response<Body> {
    let app = Router::new().route("/who", get(who)).layer(layer);
    let mut request = Request::get("/who").body(Body::empty()).unwrap();
    for header in headers {
        let value = HeaderValue::from_bytes(header.as_bytes()).unwrap();
        request.headers_mut().append("authorization", value);
    }
    app.oneshot(request).await.unwrap()
}

fn challenge(response: &Response<Body>) -> (u16, &str) {
    let text =
        response.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap());
    (response.status().as_u16(), text)
}

#[tokio::test]
async fn a_good_token_gets_through_and_brings_its_claims() {
    for scheme in ["Bearer ", "bearer ", "BEARER  "] {
        let response = ask(layer(), &[&format!("{scheme}{}", vector("access_token"))]).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        assert_eq!(body, "3f5b8c1e-9a77-4d0b-8a55-6a1c0de5f00d");
    }
}

#[tokio::test]
async fn without_a_token_the_challenge_says_nothing_more() {
    for headers in [&[][..], &["Basic dXNlcjpwYXNz"], &["DPoP abc"], &["Basic é"], &[""]] {
        let response = ask(layer(), headers).await;
        assert_eq!(challenge(&response), (401, "Bearer realm=\"test\""), "{headers:?}");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn a_malformed_request_is_told_so() {
    let token = format!("Bearer {}", vector("access_token"));
    let twice = [token.as_str(), token.as_str()];
    let listed = format!("{token}, {token}");
    for headers in
        [&["Bearer"][..], &["Bearer "], &["Bearer a b"], &["Bearer é"], &twice, &[&listed]]
    {
        let response = ask(layer(), headers).await;
        let (status, challenge) = challenge(&response);
        assert_eq!(status, 400, "{headers:?}");
        assert!(challenge.contains("error=\"invalid_request\""), "{challenge}");
    }
}

#[tokio::test]
async fn a_bad_token_is_told_why() {
    for (name, why) in [
        ("id_token", "the token is of another type"),
        ("access_token_wrong_aud", "the token is for another audience"),
        ("access_token_alg_none", "the token is not signed"),
        ("access_token_no_exp", "the claim exp is missing"),
    ] {
        let response = ask(layer(), &[&format!("Bearer {}", vector(name))]).await;
        let wanted =
            format!("Bearer realm=\"test\",error=\"invalid_token\",error_description=\"{why}\"");
        assert_eq!(challenge(&response), (401, wanted.as_str()), "{name}");
    }
}

#[tokio::test]
async fn scopes_and_methods_can_be_required() {
    let header = format!("Bearer {}", vector("access_token"));
    let status = async |layer: BearerLayer| ask(layer, &[&header]).await.status().as_u16();
    assert_eq!(status(layer().require_scope("access")).await, 200);
    assert_eq!(status(layer().require_authentication_method(["PIN", "OTP"])).await, 200);

    let response = ask(layer().require_scope("access").require_scope("admin"), &[&header]).await;
    let (status, text) = challenge(&response);
    assert_eq!(status, 403);
    assert!(
        text.contains("error=\"insufficient_scope\"") && text.ends_with("scope=\"access admin\""),
        "{text}"
    );

    let response =
        ask(layer().require_authentication_method(["WEBAUTHN", "PIN"]), &[&header]).await;
    let (status, text) = challenge(&response);
    assert_eq!(status, 401);
    assert!(text.contains("insufficient_user_authentication"), "{text}");
    assert!(text.ends_with("acr_values=\"WEBAUTHN PIN\""), "{text}");
    let nothing: [&str; 0] = [];
    let none = ask(layer().require_authentication_method(nothing), &[&header]).await;
    assert_eq!(none.status(), 401, "no method is good enough");
}

/// Takes the ID token of the vectors, which says nothing of a sign-in's method, for an access token.
fn methodless() -> BearerLayer {
    let keys = KeySet::from_json(vectors()["jwks"].to_string()).unwrap();
    let verifier = Verifier::cotter(vector("api_key_id"))
        .access_tokens(TypeRule::claim("type", ["client_id_token"]))
        .keys(keys);
    BearerLayer::new(StaticVerifier::new(verifier, ManualClock::new()))
}

#[tokio::test]
async fn a_requirement_means_what_it_says_at_its_edges() {
    let header = format!("Bearer {}", vector("id_token"));
    assert_eq!(ask(methodless(), &[&header]).await.status(), 200);
    let unnamed = ask(methodless().require_authentication_method([""]), &[&header]).await;
    assert_eq!(unnamed.status(), 401, "no method is not the empty method");

    let header = format!("Bearer {}", vector("access_token"));
    let status = async |layer: BearerLayer| ask(layer, &[&header]).await.status().as_u16();
    assert_eq!(status(layer().require_scope("")).await, 200, "nothing is required");
    assert_eq!(status(layer().require_scope("access access")).await, 200);
    let response = ask(layer().require_scope("access admin"), &[&header]).await;
    let (status, text) = challenge(&response);
    assert!(status == 403 && text.ends_with("scope=\"access admin\""), "{text}");
}

/// RFC 6750 section 3: the scheme has to be followed by a parameter.
#[tokio::test]
async fn a_challenge_always_has_a_parameter() {
    let response = ask(methodless(), &[]).await;
    assert_eq!(challenge(&response), (401, "Bearer realm=\"api\""));
}

/// Knows no key yet.
#[derive(Debug)]
struct CoolingDown;

impl VerifyAccess for CoolingDown {
    fn verify<'a>(&'a self, _: &'a str) -> Verdict<'a> {
        let reason = Reason::KidUnknownForNow { retry_after: Duration::from_millis(6_200) };
        Box::pin(async move { Err(reason.into()) })
    }
}

#[tokio::test]
async fn what_only_time_can_tell_is_no_refusal() {
    let response = ask(BearerLayer::new(CoolingDown), &["Bearer a.b.c"]).await;
    assert_eq!(challenge(&response), (503, ""));
    assert_eq!(response.headers()["retry-after"], "7");
}

#[tokio::test]
async fn nobody_but_the_layer_says_who_is_calling() {
    let unguarded = Router::new().route("/who", get(who));
    let request = Request::get("/who").body(Body::empty()).unwrap();
    assert_eq!(unguarded.oneshot(request).await.unwrap().status(), 500);

    let keys = KeySet::from_json(vectors()["jwks"].to_string()).unwrap();
    let now = cotter_core::Timestamp::from_unix_seconds(1_767_225_600);
    let verifier = Verifier::cotter(vector("api_key_id")).keys(keys);
    let planted = verifier.verify_access_token(&vector("access_token"), now).unwrap();
    let app = Router::new().route("/who", get(who)).layer(layer());
    let mut request = Request::get("/who").body(Body::empty()).unwrap();
    request.extensions_mut().insert(Arc::new(planted));
    assert_eq!(app.oneshot(request).await.unwrap().status(), 401);
}
