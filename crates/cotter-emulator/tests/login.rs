//! The hosted page, and what its codes buy.

mod common;

use common::{
    Answer, call, claims, control, field, get, granted, post, refresh_token, start, verifies,
};
use cotter_emulator::Emulator;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const BACK: &str = "http://127.0.0.1:8395";

fn query(emulator: &Emulator, more: &str) -> String {
    format!(
        "api_key={}&redirect_url=http%3A%2F%2F127.0.0.1%3A8395&state=q7Zr0p&code_challenge={CHALLENGE}\
         &type=EMAIL{more}",
        emulator.api_key_id()
    )
}

fn page(emulator: &Emulator, query: &str) -> Answer {
    call("GET", &format!("{}/app?{query}", emulator.login_url()), &[], "").expect("an answer")
}

fn submit(emulator: &Emulator, path: &str, form: &str) -> Answer {
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    call("POST", &format!("{}/app/{path}", emulator.login_url()), &kind, form).expect("an answer")
}

fn codes(emulator: &Emulator) -> Value {
    control(emulator, "GET", "/codes?identifier=ada%40example.test", "").json()
}

/// The query of the page that a redirect leads back to.
fn returned(answer: &Answer) -> Value {
    assert_eq!(answer.status, 302, "{}", answer.text());
    let location = answer.header("location").expect("a location");
    let query = location.strip_prefix("http://127.0.0.1:8395/?").expect("the redirect URL");
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

/// A sign-in by code, up to the redirect.
fn by_code(emulator: &Emulator) -> Value {
    let sent = submit(emulator, "send", &query(emulator, "&input=ada%40example.test"));
    assert!(sent.text().contains("id=code"), "{}", sent.text());
    let codes = codes(emulator);
    let form = format!("challenge_id={}&code={}", codes["challenge_id"], field(&codes, "code"));
    returned(&submit(emulator, "verify", &form))
}

fn exchange(emulator: &Emulator, back: &Value, change: impl FnOnce(&mut Value)) -> Answer {
    let id: u64 = field(back, "challenge_id").parse().expect("a number");
    let mut body = json!({
        "code_verifier": VERIFIER, "authorization_code": back["code"], "challenge_id": id,
        "redirect_url": BACK,
    });
    change(&mut body);
    post(emulator, "/verify/get_identity?oauth_token=true", &body).expect("an answer")
}

#[test]
fn the_page_is_a_form_that_carries_what_it_was_asked() {
    let emulator = start();
    let answer = page(&emulator, &query(&emulator, "&phone_channels%5B%5D=WHATSAPP"));
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    let page = answer.text();
    for part in
        ["action=/app/send", "name=input type=email", "value=\"q7Zr0p\"", "WHATSAPP", CHALLENGE]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("https://"), "it needs nothing from elsewhere");
    let hostile = query(&emulator, "&input=%22%3E%3Cscript%3E");
    assert!(!self::page(&emulator, &hostile).text().contains("<script>"));
}

#[test]
fn a_code_signs_in() {
    let emulator = start();
    let back = by_code(&emulator);
    assert_eq!(back["state"], "q7Zr0p");
    let answer = exchange(&emulator, &back, |_| ());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("set-cookie").is_some_and(|cookie| cookie.contains("HttpOnly")));
    let body = answer.json();
    assert_eq!(common::names(&body), ["identifier", "oauth_token", "token", "user"]);
    let set = &body["oauth_token"];
    assert!(verifies(&emulator, field(set, "access_token")));
    assert_eq!(claims(field(set, "id_token"))["identifier"], "ada@example.test");
    assert_eq!(claims(field(set, "access_token"))["sub"], body["user"]["ID"]);
    assert_eq!(set["auth_method"], "OTP");
    granted(&emulator, &refresh_token(set));
    let found = get(&emulator, "/user?identifier=ada%40example.test").json();
    assert_eq!(found["ID"], body["user"]["ID"], "the sign-in made the user");

    let identity = &body["identifier"];
    assert_eq!(
        (&identity["identifier_type"], &identity["device_type"]),
        (&json!("EMAIL"), &json!("BROWSER"))
    );
    let token = &body["token"];
    assert_eq!(token["identifier_id"], identity["ID"]);
    let seconds = |name: &str| field(token, name).parse::<i64>().expect("a number as text");
    assert_eq!(seconds("expire_at") - seconds("timestamp"), 2_592_000);
    let text =
        format!("ada@example.testEMAIL{}{}", emulator.api_key_id(), field(token, "expire_at"));
    assert!(signed(&emulator, &text, field(token, "signature")));
    assert!(!signed(&emulator, "something else", field(token, "signature")));
    assert_eq!(emulator.counters().identities, 1);
}

fn signed(emulator: &Emulator, text: &str, signature: &str) -> bool {
    use base64::Engine as _;
    let decode =
        |text: &str| base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    let key = UnparsedPublicKey::new(&ED25519, decode(emulator.identity_key()));
    key.verify(text.as_bytes(), &decode(signature)).is_ok()
}

#[test]
fn a_magic_link_signs_in_once() {
    let emulator = start();
    let asked =
        query(&emulator, "&auth_method=MAGIC_LINK&direct_login=true&input=ada%40example.test");
    assert!(page(&emulator, &asked).text().contains("We sent a link"));
    let link = control(&emulator, "GET", "/links?identifier=ada%40example.test", "").json();
    let link = field(&link, "link").to_owned();
    let back = returned(&call("GET", &link, &[], "").expect("an answer"));
    assert_eq!(exchange(&emulator, &back, |_| ()).status, 200);
    let again = call("GET", &link, &[], "").expect("an answer");
    assert!(again.status == 200 && again.text().contains("not valid any more"));
}

#[test]
fn wrong_codes_are_told_and_run_out() {
    let emulator = start();
    submit(&emulator, "send", &query(&emulator, "&input=ada%40example.test"));
    let codes = codes(&emulator);
    let wrong = if codes["code"] == "000000" { "000001" } else { "000000" };
    let form = format!("challenge_id={}&code={wrong}", codes["challenge_id"]);
    for _ in 0..4 {
        assert!(submit(&emulator, "verify", &form).text().contains("That code is wrong"));
    }
    assert!(submit(&emulator, "verify", &form).text().contains("Too many"));
    let right = format!("challenge_id={}&code={}", codes["challenge_id"], field(&codes, "code"));
    assert!(submit(&emulator, "verify", &right).text().contains("has ended"));
    let refused = submit(&emulator, "send", &query(&emulator, "&input=nobody"));
    assert!(refused.text().contains("no address"));
}

#[test]
fn cancelling_goes_back_with_an_error() {
    let emulator = start();
    let back = returned(&submit(&emulator, "cancel", &query(&emulator, "")));
    assert_eq!(back, json!({"error": "access_denied", "state": "q7Zr0p"}));
}

#[test]
fn redirect_urls_off_the_list_are_refused_in_the_known_words() {
    let emulator = start();
    let elsewhere = query(&emulator, "").replace("127.0.0.1%3A8395", "example.test");
    let answer = page(&emulator, &elsewhere);
    assert_eq!(answer.status, 400);
    let text = "The redirect URL http://example.test or the parent origin :// is not in the list of \
                allowed URLs. Please contact the site owner.";
    assert_eq!(answer.json(), json!({"msg": text, "type": ""}));
    emulator.configure(|config| config.allowed_redirects = vec!["http://example.test".into()]);
    assert_eq!(page(&emulator, &elsewhere).status, 200);
    assert_eq!(page(&emulator, &query(&emulator, "")).status, 400);
    emulator.configure(|config| config.allowed_redirects.clear());
    for name in ["api_key", "redirect_url", "type", "code_challenge", "state"] {
        let without = query(&emulator, "").replace(&format!("{name}="), "x=");
        assert_eq!(page(&emulator, &without).status, 400, "{name}");
    }
    let other = query(&emulator, "").replace(emulator.api_key_id(), "other");
    assert_eq!(page(&emulator, &other).status, 403);
}

#[test]
fn a_failed_exchange_says_why_and_spends_the_code() {
    let emulator = start();
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 5] = [
        (|body| body["code_verifier"] = json!("wrong"), "Code verifier does not match"),
        (|body| body["redirect_url"] = json!("http://127.0.0.1:1"), "Redirect URL does not match"),
        (|body| body["challenge_id"] = json!(1), "Challenge id does not match"),
        (
            |body| body["challenge_id"] = json!(body["challenge_id"].to_string()),
            "Challenge id does not match",
        ),
        (|body| body["authorization_code"] = json!("none"), "Authorization code is unknown"),
    ];
    for (change, msg) in cases {
        let back = by_code(&emulator);
        let failed = exchange(&emulator, &back, change);
        assert_eq!((failed.status, &failed.json()["msg"]), (400, &json!(msg)));
        let spent = exchange(&emulator, &back, |_| ());
        let known = msg != "Authorization code is unknown";
        assert_eq!(spent.status, if known { 400 } else { 200 }, "{msg}");
    }
    let back = by_code(&emulator);
    assert_eq!(exchange(&emulator, &back, |_| ()).status, 200);
    assert_eq!(
        exchange(&emulator, &back, |_| ()).json()["msg"],
        "Authorization code was used already"
    );

    emulator.configure(|config| config.code_survives_failure = true);
    let back = by_code(&emulator);
    assert_eq!(
        exchange(&emulator, &back, |body| body["code_verifier"] = json!("wrong")).status,
        400
    );
    assert_eq!(exchange(&emulator, &back, |_| ()).status, 200);
}

#[test]
fn codes_live_five_minutes() {
    let emulator = start();
    let back = by_code(&emulator);
    emulator.set_clock_offset(301);
    let late = exchange(&emulator, &back, |_| ());
    assert_eq!((late.status, &late.json()["msg"]), (400, &json!("Authorization code has expired")));
    let back = by_code(&emulator);
    emulator.set_clock_offset(301 + 290);
    assert_eq!(exchange(&emulator, &back, |_| ()).status, 200);
}

#[test]
fn tokens_come_only_when_asked_for_unless_told() {
    let emulator = start();
    let without = |back: &Value| {
        let id: u64 = field(back, "challenge_id").parse().expect("a number");
        let body = json!({
            "code_verifier": VERIFIER, "authorization_code": back["code"], "challenge_id": id,
            "redirect_url": BACK,
        });
        post(&emulator, "/verify/get_identity", &body).expect("an answer").json()
    };
    assert_eq!(without(&by_code(&emulator)).get("oauth_token"), None);
    emulator.configure(|config| config.always_tokens = true);
    assert!(without(&by_code(&emulator))["oauth_token"].is_object());
}

#[test]
fn a_phone_number_signs_in_too() {
    let emulator = start();
    let asked = query(&emulator, "&input=%2B15550100123").replace("EMAIL", "PHONE");
    assert!(submit(&emulator, "send", &asked).text().contains("+15550100123"));
    let codes = control(&emulator, "GET", "/codes?identifier=%2B15550100123", "").json();
    let form = format!("challenge_id={}&code={}", codes["challenge_id"], field(&codes, "code"));
    let back = returned(&submit(&emulator, "verify", &form));
    let body = exchange(&emulator, &back, |_| ()).json();
    assert_eq!(body["token"]["identifier_type"], "PHONE");
    assert_eq!(body["user"]["identifier"], "+15550100123");
}
