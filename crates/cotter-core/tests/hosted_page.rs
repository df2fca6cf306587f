//! The hosted page: its address, and what comes back from it.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "support/hosted.rs"]
mod hosted;

use std::sync::Arc;

use cotter_core::login::{
    AuthMethod, Channel, ENTROPY, HostedPage, Landing, PendingLogin, VerifyIdentity,
};
use cotter_core::{Error, ErrorKind, Provider};
use hosted::{
    API_KEY, BACK, CHALLENGE, Judge, USER, VERIFIER, begin, email, entropy, landed, provider, state,
};

fn query(url: &str) -> Vec<(String, String)> {
    let (_, query) = url.split_once('?').unwrap();
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn failure(login: &PendingLogin, parameters: &str) -> Error {
    match login.take(&format!("/?state={}&{parameters}", state())) {
        Landing::Failed(error) => error,
        other => panic!("{parameters}: {other:?}"),
    }
}

#[test]
fn the_address_is_that_of_the_protocol_page() {
    let login = begin(&email().auth_method(AuthMethod::MagicLink));
    let state = state();
    assert_eq!(
        login.url(),
        format!(
            "https://js.cotter.app/app?api_key={API_KEY}&redirect_url=http%3A%2F%2F127.0.0.1%3A8395\
             &state={state}&code_challenge={CHALLENGE}&type=EMAIL&auth_method=MAGIC_LINK"
        )
    );
    assert_eq!((login.redirect_url(), state.len()), (BACK, 43));
}

#[test]
fn every_value_is_percent_encoded_and_only_known_parameters_are_sent() {
    let page = HostedPage::phone(Judge::default())
        .login_url("http://127.0.0.1:9/pages/")
        .unwrap()
        .auth_method(AuthMethod::Otp)
        .input("+1 555&x=ü%\"<>#/?")
        .direct_login()
        .phone_channel(Channel::Sms)
        .phone_channel(Channel::WhatsApp)
        .phone_channel(Channel::Sms)
        .use_channel(Channel::WhatsApp)
        .cotter_user_id(USER);
    let login = page.begin(&provider(), "com.example.app:/back&x=y", &entropy()).unwrap();
    assert!(login.url().starts_with("http://127.0.0.1:9/pages/app?api_key="), "{}", login.url());
    let state = state();
    let expected = [
        ("api_key", API_KEY),
        ("redirect_url", "com.example.app%3A%2Fback%26x%3Dy"),
        ("state", &state),
        ("code_challenge", CHALLENGE),
        ("type", "PHONE"),
        ("auth_method", "OTP"),
        ("input", "%2B1%20555%26x%3D%C3%BC%25%22%3C%3E%23%2F%3F"),
        ("direct_login", "true"),
        ("phone_channels%5B%5D", "SMS"),
        ("phone_channels%5B%5D", "WHATSAPP"),
        ("use_channel", "WHATSAPP"),
        ("cotter_user_id", USER),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(query(login.url()), expected);
}

#[test]
fn each_login_has_secrets_of_its_own() {
    let one = email().begin(&provider(), BACK, &[1; ENTROPY]).unwrap();
    let other = email().begin(&provider(), BACK, &[2; ENTROPY]).unwrap();
    for name in ["state", "code_challenge"] {
        let of = |login: &PendingLogin| {
            query(login.url()).into_iter().find(|(key, _)| key == name).unwrap().1
        };
        assert_ne!(of(&one), of(&other), "{name}");
    }
}

#[test]
fn redirects_go_to_this_machine_to_an_application_or_to_https() {
    let login = |url: &str| email().begin(&provider(), url, &entropy());
    for good in [
        "http://localhost:8395",
        "http://127.0.0.1:1/a/b",
        "http://[::1]:80/",
        "https://app.example.test/back",
        "myexample://auth_callback",
        "com.example.app:path",
    ] {
        assert!(login(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "nothing",
        "http://example.test/",
        "http://localhost.example.test/",
        "http://127.0.0.1@example.test/",
        "my_example://x",
        "1x://y",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "http://127.0.0.1:1/?state=x",
        "http://127.0.0.1:1/#x",
        "http://127.0.0.1:1/a b",
        "myexample://a\r\nb",
        "myexample://a?state=x",
        "myexample://a#x",
    ] {
        assert_eq!(login(bad).unwrap_err().kind(), ErrorKind::Config, "{bad}");
    }
    assert!(login(&format!("x:{}", "y".repeat(3000))).is_err());
}

#[test]
fn what_does_not_go_together_is_told_at_once() {
    let phone = || HostedPage::phone(Judge::default());
    for page in [
        email().phone_channel(Channel::Sms),
        email().input("ada@example.test").use_channel(Channel::Sms),
        email().direct_login(),
        phone().use_channel(Channel::Sms),
        email().input(""),
        email().input("a\nb"),
        email().input(&"x".repeat(2000)),
        email().cotter_user_id(""),
    ] {
        let error = page.begin(&provider(), BACK, &entropy()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{page:?}");
    }
    let other = Provider::oauth2("https://auth.example/token", "client").unwrap();
    assert_eq!(email().begin(&other, BACK, &entropy()).unwrap_err().kind(), ErrorKind::Config);
    assert!(email().login_url("http://pages.example.test").is_err());
    assert!(email().login_url("https://pages.example.test").is_ok());
}

#[test]
fn the_answer_is_taken_whole_or_from_its_path_on() {
    let login = begin(&email());
    let query = format!("?challenge_id=90210&code=c0de&state={}", state());
    for address in [
        format!("{BACK}/{query}"),
        format!("  {BACK}/{query}#fragment \n"),
        format!("/back{query}&auth_method=OTP"),
        query.clone(),
        format!("myexample://cb{}", query.replace("state=", "st%61te=")),
    ] {
        assert!(matches!(login.take(&address), Landing::Code(_)), "{address}");
    }
}

#[test]
fn a_state_that_is_not_ours_hides_everything_else() {
    let login = begin(&email());
    let state = state();
    let foreign = [
        String::new(),
        "/favicon.ico".into(),
        BACK.into(),
        "/?code=c&challenge_id=1".into(),
        "/?error=access_denied".into(),
        format!("/?error=access_denied&state={}", &state[..42]),
        format!("/?code=c&challenge_id=1&state={state}x"),
        format!("/?code=c&challenge_id=1&state={}", state.to_lowercase()),
        "/?code=c&challenge_id=1&state=".into(),
        format!("/?code=c&challenge_id=1&state={state}&state={state}"),
        format!("/?code=c&challenge_id=1&state={state}&state=other"),
        format!("/?code=c&challenge_id=1&state=%FF{state}"),
        format!("/?code=c&challenge_id=1#state={state}"),
        format!("/?code=c&challenge_id=1&STATE={state}"),
        format!("/?code=c&challenge_id=1&state={state}&x={}", "y".repeat(20_000)),
    ];
    for address in foreign {
        assert!(matches!(login.take(&address), Landing::Foreign), "{address}");
    }
    // The user's own browser is still awaited.
    landed(&login);
}

#[test]
fn a_refusal_is_told_in_the_pages_words_cleaned() {
    let login = begin(&email());
    let refused = failure(&login, "error=access_denied&code=c&challenge_id=1");
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert_eq!(refused.to_string(), "the login was refused: access_denied");
    let long = failure(&login, &format!("error={}", "x".repeat(5000)));
    assert!(long.to_string().len() < 300);
    let hostile = format!("error=a%1b%5B2J%0Ab%E2%80%AEc+{}+{VERIFIER}", state());
    let hostile = failure(&login, &hostile).to_string();
    assert!(!hostile.contains(|c: char| c.is_control() || c == '\u{202e}'), "{hostile:?}");
    assert!(!hostile.contains(&state()[..8]) && !hostile.contains(&VERIFIER[..8]), "{hostile}");
}

#[test]
fn an_answer_that_makes_no_sense_fails_the_login() {
    let login = begin(&email());
    for nonsense in [
        "x=y",
        "code=&challenge_id=1",
        "code=c",
        "code=c&challenge_id=",
        "code=c&challenge_id=one",
        "code=c&challenge_id=-1",
        "code=c&challenge_id=%2B1",
        "code=c&challenge_id=99999999999999999999999",
        "code=c&code=d&challenge_id=1",
        "code=c&challenge_id=1&challenge_id=2",
        "code=c&challenge_id=1&error=a&error=b",
    ] {
        assert_eq!(failure(&login, nonsense).kind(), ErrorKind::Protocol, "{nonsense}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let page = email();
    let login = begin(&page);
    let landing = login.take(&format!("/?code=c0dec0de&challenge_id=1&state={}", state()));
    let printed = format!("{page:?} {login:?} {login:#?} {landing:?} {landing:#?}");
    for secret in [VERIFIER, &state(), "c0dec0de", CHALLENGE] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn a_page_can_be_shared_between_logins() {
    let identity: Arc<dyn VerifyIdentity> = Arc::new(Judge::default());
    let page = HostedPage::email(identity);
    let other = page.clone().input("ada@example.test");
    assert_ne!(begin(&page).url(), begin(&other).url());
}

proptest::proptest! {
    #[test]
    fn whatever_comes_back_is_judged_and_nothing_without_the_state_is_ours(noise in ".*") {
        let login = begin(&email());
        let foreign = |address: &str| matches!(login.take(address), Landing::Foreign);
        proptest::prop_assert!(foreign(&noise));
        let after = format!("/?{noise}");
        proptest::prop_assert!(foreign(&after));
        let ours = format!("/?state={}&{noise}", state());
        proptest::prop_assert!(noise.contains("state") || !foreign(&ours));
    }
}
