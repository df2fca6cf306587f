use super::*;
use crate::provider::{ClientAuth, Provider};
use crate::secret::{ClientSecret, RefreshToken};
use alloc::format;
use alloc::string::{String, ToString};
use proptest::prelude::*;
use serde_json::Value;

fn token() -> RefreshToken {
    RefreshToken::new("4711:fJ2kQ8vB0sLmX")
}

fn cotter() -> Provider {
    Provider::cotter("7d0c6a52").unwrap().with_base_url("http://127.0.0.1:1/api/v0/").unwrap()
}

fn oauth(auth: ClientAuth) -> Provider {
    Provider::oauth2("http://127.0.0.1:1/token", "my client").unwrap().with_client_auth(auth)
}

fn verdict(provider: &Provider, status: u16, body: &str) -> &'static str {
    let mut response = Response::new(SecretBytes::from(body.as_bytes()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    match provider.judge(&response, &token()) {
        Answer::Granted(_) => "granted",
        Answer::Refused(_) => "refused",
        Answer::Misconfigured(_) => "config",
        Answer::Busy { .. } => "busy",
        Answer::Uncertain { .. } => "uncertain",
    }
}

#[test]
fn cotters_refresh_goes_to_the_path_form_with_the_key_in_the_header() {
    let request = cotter().refresh_request(&token());
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "http://127.0.0.1:1/api/v0/token/7d0c6a52");
    assert_eq!(request.headers()["API_KEY_ID"], "7d0c6a52");
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(
        request.body().expose(),
        br#"{"grant_type":"refresh_token","refresh_token":"4711:fJ2kQ8vB0sLmX"}"#
    );
}

#[test]
fn an_odd_refresh_token_is_sent_as_json_byte_for_byte() {
    let odd = "a\"b\\c\u{1}d\nżé\u{7f}";
    let request = cotter().refresh_request(&RefreshToken::new(odd));
    let body: Value = serde_json::from_slice(request.body().expose()).unwrap();
    assert_eq!(body["refresh_token"], odd);
}

#[test]
fn oauth_clients_say_who_they_are_in_three_ways() {
    let text = |request: &http::Request<SecretBytes>| {
        String::from_utf8(request.body().expose().to_vec()).unwrap()
    };
    let none = oauth(ClientAuth::None).with_scope("a b").refresh_request(&token());
    assert_eq!(
        text(&none),
        "grant_type=refresh_token&refresh_token=4711%3AfJ2kQ8vB0sLmX&scope=a+b&client_id=my+client"
    );
    assert!(!none.headers().contains_key("authorization"));
    let post = oauth(ClientAuth::Post(ClientSecret::new("p&w"))).refresh_request(&token());
    assert!(text(&post).ends_with("&client_id=my+client&client_secret=p%26w"));
    let basic = oauth(ClientAuth::Basic(ClientSecret::new("p:w"))).refresh_request(&token());
    assert!(!text(&basic).contains("client_id"));
    // base64 of "my+client:p%3Aw" (RFC 6749 section 2.3.1).
    assert_eq!(basic.headers()["authorization"], "Basic bXkrY2xpZW50OnAlM0F3");
    assert!(basic.headers()["authorization"].is_sensitive());
    assert!(!format!("{basic:?}").contains("bXkrY2xp"));
}

#[test]
fn cotters_table_of_outcomes_holds_row_by_row() {
    let cotter = cotter();
    let dead = r#"{"msg":"Refresh token is not valid","type":""}"#;
    let other = r#"{"msg":"Something else","type":"x"}"#;
    let full = r#"{"access_token":"a","refresh_token":"r"}"#;
    for (status, body, expected) in [
        (200, full, "granted"),
        (201, full, "granted"),
        (200, r#"{"refresh_token":"r"}"#, "granted"),
        (200, "{}", "granted"),
        (200, "", "uncertain"),
        (200, "<html>", "uncertain"),
        (200, "null", "uncertain"),
        (200, "[]", "uncertain"),
        (200, r#"{"access_token":"a","refr"#, "uncertain"),
        (200, r#"{"access_token":"a"} trailing"#, "uncertain"),
        (200, r#"{"refresh_token":"r","expires_in":1e999999}"#, "granted"),
        (200, r#"{"oauth_token":{"access_token":"a"}}"#, "granted"),
        (200, dead, "granted"),
        (204, "", "uncertain"),
        (400, dead, "refused"),
        (401, dead, "refused"),
        (403, dead, "refused"),
        (418, r#"{"msg":"NOT VALID"}"#, "refused"),
        (400, other, "refused"),
        (401, other, "refused"),
        (400, r#"{"msg":7}"#, "refused"),
        (401, r#"{"msg":null}"#, "refused"),
        (400, r#"{"msg":"\ud800","type":1e999999}"#, "refused"),
        (403, r#"{"msg":["not valid"]}"#, "config"),
        (409, r#"{"msg":"not yet valid"}"#, "config"),
        (400, r#"{"error":"invalid_grant"}"#, "config"),
        (400, r#"[{"msg":"not valid"}]"#, "config"),
        (400, r#"{"msg":"not valid""#, "config"),
        (403, other, "config"),
        (404, other, "config"),
        (405, other, "config"),
        (400, "", "config"),
        (400, "null", "config"),
        (400, "<html>portal</html>", "config"),
        (401, "{}", "config"),
        (301, "", "config"),
        (302, dead, "config"),
        (408, dead, "uncertain"),
        (429, dead, "busy"),
        (500, dead, "uncertain"),
        (502, "<html>", "uncertain"),
        (503, "", "uncertain"),
        (599, "", "uncertain"),
        (100, "", "config"),
        (600, dead, "uncertain"),
        (999, "", "uncertain"),
    ] {
        assert_eq!(verdict(&cotter, status, body), expected, "{status} {body}");
    }
}

#[test]
fn only_invalid_grant_ends_an_oauth_session() {
    let oauth = oauth(ClientAuth::None);
    let error = |code: &str| format!(r#"{{"error":"{code}"}}"#);
    for (status, body, expected) in [
        (200, r#"{"access_token":"a"}"#.to_string(), "granted"),
        (400, error("invalid_grant"), "refused"),
        (401, error("invalid_grant"), "refused"),
        (200, error("invalid_grant"), "refused"),
        (200, r#"{"error":"invalid_grant","access_token":null}"#.to_string(), "refused"),
        (200, r#"{"error":"invalid_grant","refresh_token":"r"}"#.to_string(), "granted"),
        (200, r#"{"error":"","access_token":"a"}"#.to_string(), "granted"),
        (200, r#"{"error":7}"#.to_string(), "granted"),
        (200, error("invalid_client"), "config"),
        (200, error("server_error"), "busy"),
        (403, error("invalid_grant"), "refused"),
        (400, error("Invalid_Grant"), "config"),
        (400, error("access_denied"), "config"),
        (400, error("server_error"), "busy"),
        (400, r#"{"error":{"type":"invalid_grant"}}"#.to_string(), "config"),
        (400, error("invalid_client"), "config"),
        (401, error("invalid_client"), "config"),
        (400, error("unauthorized_client"), "config"),
        (400, error("invalid_scope"), "config"),
        (400, error("unsupported_grant_type"), "config"),
        (400, error("invalid_request"), "config"),
        (400, error("slow_down"), "busy"),
        (400, error("temporarily_unavailable"), "busy"),
        (400, String::new(), "config"),
        (400, r#"{"msg":"not valid"}"#.to_string(), "config"),
        (403, "<html>".to_string(), "config"),
        (302, String::new(), "config"),
        (408, error("invalid_grant"), "uncertain"),
        (429, error("invalid_grant"), "busy"),
        (500, error("invalid_grant"), "uncertain"),
        (200, "null".to_string(), "uncertain"),
    ] {
        assert_eq!(verdict(&oauth, status, &body), expected, "{status} {body}");
    }
}

#[test]
fn what_the_server_said_reaches_the_error_without_the_token() {
    let body = r#"{"msg":"token 4711:fJ2kQ8vB0sLmX (fJ2kQ8vB0sLmX) is not valid","type":"dead"}"#;
    let mut response = Response::new(SecretBytes::from(body.as_bytes()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let Answer::Refused(said) = cotter().judge(&response, &token()) else { panic!("not refused") };
    assert_eq!(said.to_string(), "HTTP 400, dead, token [redacted] ([redacted]) is not valid");
}

#[test]
fn addresses_are_https_or_this_machine() {
    let cotter = || Provider::cotter("k").unwrap();
    for good in
        ["https://x.example/api", "http://localhost:1/api", "http://127.9.9.9/", "http://[::1]:5"]
    {
        assert!(cotter().with_base_url(good).is_ok(), "{good}");
    }
    for bad in [
        "http://x.example/",
        "http://10.0.0.1",
        "http://localhost.evil.example",
        "ftp://x",
        "x",
        "",
    ] {
        assert!(cotter().with_base_url(bad).is_err(), "{bad}");
    }
    assert!(cotter().danger_allow_plain_http().with_base_url("http://x.example/").is_ok());
}

#[test]
fn api_key_ids_that_cannot_stand_in_a_path_are_refused() {
    for bad in ["", "a/b", "a b", "a\n", "..", "ż", "a?b", "a#b", "%2e"] {
        assert!(Provider::cotter(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_portal_page_is_configuration_not_a_sign_out() {
    let portal = "<html>Please sign in: your ticket is not valid</html>";
    for status in [302, 400, 401, 403, 407, 511] {
        let expected = if status == 511 { "uncertain" } else { "config" };
        assert_eq!(verdict(&cotter(), status, portal), expected, "{status}");
        assert_eq!(verdict(&oauth(ClientAuth::None), status, portal), expected, "{status}");
    }
}

#[test]
fn a_server_that_asks_to_wait_is_heard() {
    for (status, body) in [(429, "{}"), (503, ""), (408, ""), (500, "<html>")] {
        for provider in [cotter(), oauth(ClientAuth::None)] {
            let mut response = Response::new(SecretBytes::from(body.as_bytes()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response.headers_mut().insert("retry-after", http::HeaderValue::from_static("7"));
            let (Answer::Busy { retry_after, said } | Answer::Uncertain { retry_after, said }) =
                provider.judge(&response, &token())
            else {
                panic!("{status}")
            };
            assert_eq!(retry_after, Some(Duration::from_secs(7)), "{status}");
            assert_eq!(said.status, status);
        }
    }
}

#[test]
fn no_answer_lets_a_secret_of_the_request_through() {
    let planted = RefreshToken::new("4711:PLANTEDsecretPLANTED");
    let client = "PLANTEDclientPLANTED";
    let auth = || ClientAuth::Post(ClientSecret::new(client));
    for provider in [cotter(), oauth(auth()), oauth(ClientAuth::Basic(ClientSecret::new(client)))] {
        let echo =
            String::from_utf8(provider.refresh_request(&planted).into_body().expose().into());
        let echo = echo.unwrap().replace('"', "\\\"");
        for status in [200, 302, 400, 401, 403, 408, 418, 429, 500, 503] {
            for body in [
                format!(r#"{{"msg":"{echo} {client}","type":"{client}"}}"#),
                format!(r#"{{"error":"{client}","error_description":"{echo} {client}"}}"#),
                format!(r#"{{"msg":["{echo}"],"type":{{"{client}":1}}}}"#),
                format!(r#"{{"error":"invalid_grant","error_description":"{echo}"}}"#),
                format!("{echo} {client}"),
            ] {
                let mut response = Response::new(SecretBytes::from(body.as_bytes()));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                let shown = format!("{:?}", provider.judge(&response, &planted));
                let leaks = if provider.is_cotter() { "secretPLANTED" } else { "PLANTED" };
                assert!(!shown.contains(leaks), "{shown}");
                assert!(!shown.contains("PLANTEDsecret"), "{shown}");
            }
        }
    }
}

#[test]
fn a_provider_prints_no_secret() {
    let provider = oauth(ClientAuth::Basic(ClientSecret::new("PLANTED")));
    assert!(!format!("{provider:?} {:#?}", provider.clone()).contains("PLANTED"));
}

#[test]
fn revocation_says_what_and_who() {
    let oauth = oauth(ClientAuth::None).with_revocation_endpoint("https://a.example/revoke/?x=1");
    let request = oauth.unwrap().revoke_request(&token()).unwrap();
    assert_eq!(request.uri(), "https://a.example/revoke/?x=1");
    assert_eq!(
        request.body().expose(),
        b"token=4711%3AfJ2kQ8vB0sLmX&token_type_hint=refresh_token&client_id=my+client"
    );
    assert!(cotter().revoke_request(&token()).is_none());
    assert!(cotter().with_revocation_endpoint("https://a.example/revoke").is_err());
}

#[test]
fn a_token_endpoint_is_asked_exactly_as_it_was_given() {
    for endpoint in ["https://a.example/o/token/", "https://a.example/token?p=Policy"] {
        let provider = Provider::oauth2(endpoint, "c").unwrap();
        assert_eq!(provider.refresh_request(&token()).uri(), endpoint);
        let moved = Provider::oauth2("https://x.example/", "c").unwrap().with_base_url(endpoint);
        assert_eq!(moved.unwrap().refresh_request(&token()).uri(), endpoint);
    }
}

#[test]
fn a_session_is_named_by_issuer_or_endpoint_and_client() {
    let key = |provider: &Provider| provider.store_key("ada");
    let plain = Provider::oauth2("https://a.example/token/", "c").unwrap();
    assert_eq!(key(&plain).unwrap().provider(), "https://a.example/token");
    let issued = plain.with_issuer("https://A.example/");
    assert_eq!(key(&issued).unwrap().provider(), "https://a.example");
    let query = Provider::oauth2("https://a.example/token?p=x", "c").unwrap();
    assert!(key(&query).is_err());
    assert!(key(&query.with_issuer("https://a.example")).is_ok());
    let cotter = cotter().with_issuer("https://staging.example");
    assert_eq!(key(&cotter).unwrap().provider(), "http://127.0.0.1:1/api/v0");
    assert_eq!(key(&cotter).unwrap().client(), "7d0c6a52");
}

proptest! {
    #[test]
    fn no_answer_makes_judging_panic(
        status in 100u16..1000,
        body in proptest::collection::vec(any::<u8>(), 0..100),
        after in "[ -~]{0,20}",
        token in "\\PC{0,40}",
    ) {
        for provider in [cotter(), oauth(ClientAuth::Post(ClientSecret::new("s")))] {
            let mut response = Response::new(SecretBytes::from(body.as_slice()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response.headers_mut().insert("retry-after", http::HeaderValue::from_str(&after).unwrap());
            let _ = provider.judge(&response, &RefreshToken::new(token.as_str()));
        }
    }

    #[test]
    fn every_refresh_token_arrives_as_it_is(token in "\\PC{0,40}|[ -~\\x00-\\x1f]{0,40}") {
        let secret = RefreshToken::new(token.as_str());
        let json = cotter().refresh_request(&secret);
        let body: Value = serde_json::from_slice(json.body().expose()).unwrap();
        prop_assert_eq!(body["refresh_token"].as_str(), Some(token.as_str()));
        prop_assert_eq!(body["grant_type"].as_str(), Some("refresh_token"));
    }

    #[test]
    fn no_body_makes_judging_panic_and_no_error_shows_the_token(
        status in 300u16..600,
        msg in "[ -!#-\\[\\]-~]{0,60}",
        name in "msg|type|error|error_description",
    ) {
        let body = format!(r#"{{"{name}":"{msg} 4711:fJ2kQ8vB0sLmX {msg}"}}"#);
        let mut response = Response::new(SecretBytes::from(body.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for provider in [cotter(), oauth(ClientAuth::None)] {
            let shown = format!("{:?}", provider.judge(&response, &token()));
            prop_assert!(!shown.contains("fJ2kQ8vB0sLmX"));
        }
    }
}
