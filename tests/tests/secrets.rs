//! Rule 23: no token in any text that leaves a session: errors with all their sources, events, the
//! status, `Debug` of every handle, spans and events of `tracing`; whatever a server answers.

#![allow(clippy::unwrap_used, missing_docs)]

use core::fmt::{Debug, Write};
use core::time::Duration;
use std::sync::{Arc, Mutex};

use cotter::store::Memory;
use cotter::{BlockingTokenStore, Error, Keeper, OAuthToken, Provider, blocking};
use cotter_testkit::{Fault, FaultStore, ManualClock, Op, ScriptedTransport};
use cotter_tests::{Leap, Log};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

const ACCESS: &str = "at-SECRET-4711-access";
const ID: &str = "it-SECRET-4712-identity";
const REFRESH: &str = "4713:rt-SECRET-4713-refresh";
const NEW: &str = "nt-SECRET-4714-granted";

/// Everything that was written to `tracing`.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<String>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Journal {
    fn note(&self, write: impl FnOnce(&mut Fields<'_>)) {
        let mut text = self.0.lock().unwrap();
        text.push('\n');
        write(&mut Fields(&mut text));
    }
}

impl Subscriber for Journal {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.note(|fields| {
            fields.0.push_str(span.metadata().name());
            span.record(fields);
        });
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        self.note(|fields| values.record(fields));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        self.note(|fields| {
            fields.0.push_str(event.metadata().target());
            event.record(fields);
        });
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // Whole groups only: what follows depends on padding.
    let digit = |group: u32, at: u32| char::from(DIGITS[(group >> (18 - 6 * at)) as usize & 63]);
    let group = |b: &[u8]| u32::from(b[0]) << 16 | u32::from(b[1]) << 8 | u32::from(b[2]);
    bytes.chunks_exact(3).flat_map(|b| (0..4).map(move |at| digit(group(b), at))).collect()
}

/// A secret in every form in which a program may print it by accident.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let decimal: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        secret.to_owned(),
        secret.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':').to_owned(),
        decimal.join(", "),
        hex.to_uppercase(),
        hex,
        base64(bytes),
        base64(&bytes[1..]),
        base64(&bytes[2..]),
    ]
}

fn assert_clean(what: &str, text: &str) {
    for secret in [ACCESS, ID, REFRESH, NEW] {
        for form in forms(secret) {
            assert!(!text.contains(&form), "{what}: {form} in {text}");
        }
    }
}

fn all_of(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = core::error::Error::source(error);
    while let Some(inner) = source {
        write!(text, " {inner} {inner:?} {inner:#?}").unwrap();
        source = inner.source();
    }
    text
}

fn set() -> OAuthToken {
    format!(
        r#"{{"access_token":"{ACCESS}","id_token":"{ID}","refresh_token":"{REFRESH}","expires_in":3600}}"#
    )
    .parse()
    .unwrap()
}

/// Answers that have secrets where none belong, and of types that none expect.
fn answers() -> Vec<(u16, String)> {
    let mut answers =
        vec![(502, format!("<html>{REFRESH} {ACCESS}</html>")), (200, NEW.to_owned())];
    for status in [400, 401, 403, 404, 429, 500] {
        for body in [
            format!(
                r#"{{"error":"{REFRESH}","error_description":"bad token {REFRESH}, {ACCESS}"}}"#
            ),
            format!(
                r#"{{"error":"invalid_grant","error_description":"{REFRESH} is not {REFRESH}"}}"#
            ),
            format!(r#"{{"error":["{REFRESH}"],"error_description":{{"token":"{REFRESH}"}}}}"#),
            format!(r#"{{"msg":"{REFRESH} not valid","type":"{REFRESH}"}}"#),
            format!(r#"{{"error":"x","error_description":"{}"}}"#, REFRESH.repeat(20)),
        ] {
            answers.push((status, body));
        }
    }
    for body in [
        format!(r#"{{"access_token":["{NEW}"],"refresh_token":{{"{NEW}":"{NEW}"}}}}"#),
        format!(r#"{{"access_token":"{NEW}","expires_in":"{NEW}"}}"#),
        format!(r#"{{"access_token":"{NEW}","refresh_token":"{NEW}","token_type":["{NEW}"]}}"#),
        format!(r#"{{"access_token":"{NEW}"#),
        format!(r#"["{NEW}"]"#),
        format!(r#"{{"{NEW}":1}} trailing {NEW}"#),
    ] {
        answers.push((200, body));
    }
    answers
}

#[test]
fn rule_23_no_token_is_in_any_text() {
    let journal = Journal::default();
    tracing::subscriber::set_global_default(journal.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let provider = || Provider::oauth2("https://auth.example/token", "client").unwrap();
    let mut texts = String::new();
    for (status, body) in answers() {
        let what = format!("{status} {body}");
        let (clock, events) = (ManualClock::new(), Log::default());
        let server = ScriptedTransport::new();
        server.otherwise({
            let body = body.clone().into_bytes();
            move |_| {
                let response = http::Response::builder().status(status);
                Ok(response.body(body.clone().into()).unwrap())
            }
        });
        let store = Arc::new(FaultStore::new(Memory::new()));
        let keeper = Keeper::builder(provider())
            .store(Arc::clone(&store))
            .transport(server.clone())
            .clock(clock.clone())
            .sleeper(Leap(clock.clone()))
            .observer(events.clone())
            .build()
            .unwrap();
        let session = keeper.session("ada").unwrap();
        runtime.block_on(async {
            session.sign_in(set()).await.unwrap();
            clock.advance(Duration::from_secs(3_601));
            for result in [session.access_token().await, session.refresh().await] {
                texts.push_str(&result.as_ref().err().map_or_else(String::new, all_of));
                write!(texts, "{result:?}").unwrap();
            }
            write!(texts, "{:?}", session.status().await).unwrap();
        });
        write!(texts, "{session:?} {keeper:?} {events:?} {store:?}").unwrap();

        let threads = blocking::Session::builder(provider())
            .store(Arc::clone(&store))
            .transport(server)
            .clock(clock.clone())
            .sleeper(Leap(clock.clone()))
            .observer(events.clone())
            .name("grace")
            .build()
            .unwrap();
        threads.sign_in(set()).unwrap();
        clock.advance(Duration::from_secs(3_601));
        store.on_next(Op::Save, Fault::Fail(cotter::StoreErrorKind::Full));
        for result in [threads.access_token(), threads.access_token(), threads.refresh()] {
            texts.push_str(&result.as_ref().err().map_or_else(String::new, all_of));
            write!(texts, "{result:?}").unwrap();
        }
        write!(texts, "{threads:?} {events:?} {:?}", threads.status()).unwrap();
        let loaded = BlockingTokenStore::load(&store, threads.key());
        write!(texts, "{loaded:?}").unwrap();
        assert_clean(&what, &texts);
        texts.clear();
    }
    let journal = journal.0.lock().unwrap();
    assert!(journal.contains("flight") && journal.contains("Uncertain"), "{journal}");
    assert_clean("tracing", &journal);
}

/// The search finds what it looks for.
#[test]
#[should_panic(expected = "in Debug of bytes")]
fn rule_23_the_search_can_fail() {
    assert_clean("negative control", &format!("in Debug of bytes: {:?}", REFRESH.as_bytes()));
}

/// Another one: base64, at any offset.
#[test]
fn rule_23_the_search_knows_base64_at_any_offset() {
    for before in ["", "x", "xy"] {
        let text = base64(format!("{before}{NEW}...").as_bytes());
        let found = forms(NEW).iter().any(|form| text.contains(form.as_str()));
        assert!(found, "{text}");
    }
}
