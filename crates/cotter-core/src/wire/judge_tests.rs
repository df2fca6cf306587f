use alloc::format;
use alloc::string::{String, ToString};

use proptest::prelude::*;

use super::tests::{cotter, oauth, token};
use super::*;
use crate::provider::{ClientAuth, Provider};
use crate::secret::{ClientSecret, RefreshToken};

fn verdict(provider: &Provider, status: u16, body: &str) -> &'static str {
    let mut response = Response::new(SecretBytes::from(body.as_bytes()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    match provider.judge(&response, &[token().expose()]) {
        Answer::Granted(_) => "granted",
        Answer::Refused(_) => "refused",
        Answer::Misconfigured(_) => "config",
        Answer::Busy { .. } => "busy",
        Answer::Uncertain { .. } => "uncertain",
    }
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
        (100, "", "uncertain"),
        (101, "", "uncertain"),
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
        (200, error(""), "granted"),
        (200, error("invalid_client"), "config"),
        (200, error("server_error"), "uncertain"),
        (200, error("access_denied"), "uncertain"),
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
    let Answer::Refused(said) = cotter().judge(&response, &[token().expose()]) else {
        panic!("not refused")
    };
    assert_eq!(said.to_string(), "HTTP 400, dead, token [redacted] ([redacted]) is not valid");
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
                provider.judge(&response, &[token().expose()])
            else {
                panic!("{status}")
            };
            assert_eq!(retry_after, Some(Duration::from_secs(7)), "{status}");
            assert_eq!(said.status, status);
        }
    }
}

/// A server that echoes what it was sent shows it as it was sent: form-encoded, and in the base64 of
/// the Basic scheme.
#[test]
fn rule_23_no_secret_comes_back_in_the_form_in_which_it_was_sent() {
    let secret = "correct horse/battery~staple%PLANTED";
    let token = "abcdefg~hijklmn~opqrstu~vwxyz+PLANTED";
    for auth in
        [ClientAuth::Basic(ClientSecret::new(secret)), ClientAuth::Post(ClientSecret::new(secret))]
    {
        let provider = oauth(auth);
        let request = provider.refresh_request(&RefreshToken::new(token));
        let form = String::from_utf8(request.body().expose().to_vec()).unwrap();
        let basic = request.headers().get("authorization");
        let basic = basic.map_or("", |value| value.to_str().unwrap());
        let said = serde_json::json!({
            "error": "invalid_request",
            "error_description": format!("{basic} and {form}"),
        });
        let mut response = Response::new(SecretBytes::from(said.to_string().as_bytes()));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        let shown = format!("{:?}", provider.judge(&response, &[token]));
        for piece in ["horse", "battery", "taple", "hijklmn", "opqrstu", "vwxyz", "PLANTED"] {
            assert!(!shown.contains(piece), "{piece}: {shown}");
        }
        if let Some(pair) = basic.strip_prefix("Basic ") {
            // The client id, and what it shares with the secret's first letters, may stand.
            let end = &pair[pair.len() / 2..];
            assert!((0..end.len() - 6).all(|at| !shown.contains(&end[at..at + 6])), "{shown}");
        }
    }
}

#[test]
fn a_name_that_is_no_text_costs_only_itself() {
    let body = r#"{"access_token":"a","\ud800":1,"refresh\u005ftoken":"r","token_type":"Bearer"}"#;
    for provider in [cotter(), oauth(ClientAuth::None)] {
        let response = Response::new(SecretBytes::from(body.as_bytes()));
        let Answer::Granted(set) = provider.judge(&response, &[]) else { panic!() };
        assert_eq!(set.refresh_token().unwrap().expose(), "r");
        assert_eq!(set.access_token().unwrap().expose(), "a");
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
                let shown = format!("{:?}", provider.judge(&response, &[planted.expose()]));
                let leaks = if provider.is_cotter() { "secretPLANTED" } else { "PLANTED" };
                assert!(!shown.contains(leaks), "{shown}");
                assert!(!shown.contains("PLANTEDsecret"), "{shown}");
            }
        }
    }
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
            let _ = provider.judge(&response, &[token.as_str()]);
        }
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
            let shown = format!("{:?}", provider.judge(&response, &[token().expose()]));
            prop_assert!(!shown.contains("fJ2kQ8vB0sLmX"));
        }
    }
}
