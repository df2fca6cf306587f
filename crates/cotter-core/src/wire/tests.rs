use super::*;
use crate::provider::{ClientAuth, Provider};
use crate::secret::{ClientSecret, RefreshToken};
use alloc::format;
use alloc::string::{String, ToString as _};
use proptest::prelude::*;
use serde_json::Value;

pub(super) fn token() -> RefreshToken {
    RefreshToken::new("4711:fJ2kQ8vB0sLmX")
}

pub(super) fn cotter() -> Provider {
    Provider::cotter("7d0c6a52").unwrap().with_base_url("http://127.0.0.1:1/api/v0/").unwrap()
}

pub(super) fn oauth(auth: ClientAuth) -> Provider {
    Provider::oauth2("http://127.0.0.1:1/token", "my client").unwrap().with_client_auth(auth)
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
    assert!(key(&query).unwrap_err().to_string().contains("declare the issuer"));
    assert!(key(&query.with_issuer("https://a.example")).is_ok());
    let cotter = cotter().with_issuer("https://staging.example");
    assert_eq!(key(&cotter).unwrap().provider(), "http://127.0.0.1:1/api/v0");
    assert_eq!(key(&cotter).unwrap().client(), "7d0c6a52");
}

proptest! {
    #[test]
    fn every_refresh_token_arrives_as_it_is(token in "\\PC{0,40}|[ -~\\x00-\\x1f]{0,40}") {
        let secret = RefreshToken::new(token.as_str());
        let json = cotter().refresh_request(&secret);
        let body: Value = serde_json::from_slice(json.body().expose()).unwrap();
        prop_assert_eq!(body["refresh_token"].as_str(), Some(token.as_str()));
        prop_assert_eq!(body["grant_type"].as_str(), Some("refresh_token"));
    }
}
