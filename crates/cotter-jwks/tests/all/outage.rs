//! Keys that cannot be had: what is refused all the same, and what is told of the cause.

use core::error::Error as _;
use core::time::Duration;

use cotter_core::{
    AccessToken, Clock, Error, ErrorKind, Handed, IdToken, Step, TransportError, Verified,
    Verify as _,
};
use cotter_jwks::{
    FetchFailure, FetchFailureKind, Jwks, RemoteVerifier, SessionVerifier, blocking,
};
use cotter_jwt::Invalid;
use cotter_testkit::ManualClock;
use serde_json::{Value, json};

use crate::support::{Answer, Server, code, encode, jwks, made_up, token, vector, verifier};

/// Both faces, each with a server of its own.
enum Face {
    Async(tokio::runtime::Runtime, RemoteVerifier),
    Blocking(blocking::RemoteVerifier),
}

impl Face {
    fn both(clock: &ManualClock, server: impl Fn() -> Server) -> [(Self, Server); 2] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (one, two) = (server(), server());
        let awaited = jwks(clock).verify_with(verifier(), one.clone());
        let blocked = jwks(clock).verify_blocking_with(verifier(), two.clone());
        [(Self::Async(runtime, awaited), one), (Self::Blocking(blocked), two)]
    }

    fn access(&self, token: &str) -> Result<(), Invalid> {
        match self {
            Self::Async(runtime, verifier) => {
                runtime.block_on(verifier.verify_access_token(token)).map(drop)
            }
            Self::Blocking(verifier) => verifier.verify_access_token(token).map(drop),
        }
    }

    fn id(&self, token: &str) -> Result<(), Invalid> {
        match self {
            Self::Async(runtime, verifier) => {
                runtime.block_on(verifier.verify_id_token(token)).map(drop)
            }
            Self::Blocking(verifier) => verifier.verify_id_token(token).map(drop),
        }
    }

    fn last_failure(&self) -> Option<FetchFailure> {
        match self {
            Self::Async(_, verifier) => verifier.last_failure(),
            Self::Blocking(verifier) => verifier.last_failure(),
        }
    }
}

fn down() -> Server {
    (0..9).fold(Server::default(), |server, _| server.then(Answer::Body(503, "{}".into())))
}

fn with(alg: &str, signature: &[u8]) -> String {
    let open = token(&json!({"alg": alg, "kid": "nobody's"}), |_| {});
    format!("{}.{}", open.rsplit_once('.').unwrap().0, encode(signature))
}

/// What no key can save, by its header or its signature's form, and why.
fn hopeless() -> [(String, &'static str); 5] {
    [
        (with("none", &[]), "alg_none"),
        (with("HS256", &[7; 32]), "alg_not_allowed"),
        (with("RS256", &[7; 256]), "alg_not_allowed"),
        (with("ES256", &[]), "signature_form"),
        (with("ES256", &[7; 70]), "signature_form"),
    ]
}

type Change = fn(&mut Value);

const EVIL: [(Change, &str); 3] = [
    (|claims| claims["iss"] = "https://evil.example".into(), "wrong_issuer"),
    (|claims| claims["aud"] = "another".into(), "wrong_audience"),
    (|claims| claims["type"] = "client_id_token".into(), "wrong_token_type"),
];

fn stranger(change: impl FnOnce(&mut Value)) -> String {
    token(&json!({"alg": "ES256", "kid": "nobody's"}), change)
}

#[test]
fn what_no_key_can_save_costs_no_fetch_and_is_refused_for_good() {
    let clock = ManualClock::new();
    for (face, server) in Face::both(&clock, Server::default) {
        for warm in [0, 2] {
            for (token, reason) in hopeless() {
                assert_eq!(code(face.access(&token)), reason, "{warm}");
                assert_eq!(code(face.id(&token)), reason, "{warm}");
            }
            assert_eq!(server.fetches(), warm);
            // Warm, and within the cool-down for unknown ids from here on.
            assert_eq!(code(face.access(&vector("access_token"))), "ok");
            assert!(code(face.access(&made_up(1))).starts_with("kid_unknown"));
        }
    }
}

#[test]
fn an_outage_leaves_nothing_open_but_the_signature() {
    let clock = ManualClock::new();
    for (face, server) in Face::both(&clock, down) {
        for cold in [true, false] {
            for (change, reason) in EVIL {
                assert_eq!(code(face.access(&stranger(change))), reason);
            }
            let ended = |claims: &mut Value| claims["exp"] = 1_767_225_000.into();
            assert_eq!(code(face.access(&stranger(ended))), "expired");
            assert_eq!(code(face.id(&vector("access_token"))), "wrong_token_type");
            assert_eq!(server.fetches(), usize::from(!cold), "no key would have helped");
            assert_eq!(code(face.access(&stranger(|_| {}))), "keys_unavailable");
        }
    }
}

#[test]
fn an_id_that_is_unknown_for_now_does_not_cover_what_the_claims_say() {
    for (face, _) in Face::both(&ManualClock::new(), Server::default) {
        assert_eq!(code(face.access(&vector("access_token"))), "ok");
        assert_eq!(code(face.access(&made_up(1))), "kid_unknown");
        assert_eq!(code(face.access(&made_up(2))), "kid_unknown_for_now");
        for (change, reason) in EVIL {
            assert_eq!(code(face.access(&stranger(change))), reason);
        }
        assert_eq!(code(face.access(&made_up(1))), "kid_unknown_for_now");
    }
}

/// What a session is told, and whether the server of the keys was asked.
fn judged(
    sessions: &SessionVerifier,
    server: &Server,
    clock: &ManualClock,
    handed: Handed,
) -> (Verified, bool) {
    let before = server.fetches();
    let mut step = sessions.verify(handed, clock.now());
    loop {
        step = match step {
            Step::Send(ask) => {
                let (question, place) = ask.split();
                place.answer(clock.now(), server.answer(&question.request))
            }
            Step::Sleep(ask) => {
                let (pause, place) = ask.split();
                clock.advance(pause);
                place.answer(clock.now(), ())
            }
            Step::Done(verified) => return (verified, server.fetches() > before),
            _ => panic!("a verifier fetches and waits, and nothing else"),
        };
    }
}

#[test]
fn a_session_is_not_handed_what_an_outage_cannot_excuse() {
    let clock = ManualClock::new();
    let server = down();
    let sessions = jwks(&clock).for_sessions(verifier());
    let judged = |access: &str, id: Option<&str>| {
        let handed = Handed::new(Some(AccessToken::new(access)), id.map(IdToken::new));
        judged(&sessions, &server, &clock, handed)
    };
    for (token, reason) in hopeless() {
        assert_eq!(judged(&token, None), (Verified::Unsound(reason), false));
    }
    for (change, reason) in EVIL {
        // Before the fetch, so that a flow that runs out of time has heard of it.
        assert_eq!(judged(&stranger(change), None), (Verified::Unsound(reason), false));
    }
    let (good, id) = (vector("access_token"), vector("id_token"));
    assert_eq!(judged(&good, Some(&id)), (Verified::Undecided, true));
    // And while it is too early for another one.
    for (change, reason) in EVIL {
        assert_eq!(judged(&stranger(change), None).0, Verified::Unsound(reason));
    }
    assert_eq!(judged(&good, Some(&good)).0, Verified::Unsound("wrong_token_type"));
    assert_eq!(judged(&with("none", &[]), Some(&id)).0, Verified::Unsound("alg_none"));
}

#[test]
fn that_a_token_has_ended_is_as_little_a_session_s_business_in_an_outage_as_otherwise() {
    let times: [Change; 3] = [
        |claims| claims["exp"] = 1_767_225_000.into(),
        |claims| claims["nbf"] = 1_767_229_000.into(),
        |claims| claims["iat"] = 1_767_229_000.into(),
    ];
    for change in times {
        let (clock, server) = (ManualClock::new(), down());
        let sessions = jwks(&clock).for_sessions(verifier());
        let handed = Handed::new(Some(AccessToken::new(stranger(change))), None);
        // What it would be with keys depends on the signature alone, and that is open.
        assert_eq!(judged(&sessions, &server, &clock, handed), (Verified::Undecided, true));
    }
    let (clock, server) = (ManualClock::new(), Server::default());
    clock.advance(Duration::from_secs(100_000));
    let sessions = jwks(&clock).for_sessions(verifier());
    let handed = Handed::new(Some(AccessToken::new(vector("access_token"))), None);
    assert_eq!(judged(&sessions, &server, &clock, handed), (Verified::Sound, true));
}

#[test]
fn why_there_are_no_keys_can_be_asked() {
    use FetchFailureKind::{GivenUp, NoAnswer, NotKeys, NotReached, Refused, Status, TooLong};
    let status = |status: u16| Status(status.try_into().unwrap());
    let fails = |error: fn() -> TransportError| Answer::Fails(error);
    for (answer, kind, source) in [
        (Answer::Body(503, "SECRET".into()), status(503), None),
        (Answer::Body(302, String::new()), status(302), None),
        (Answer::Body(799, String::new()), status(799), None),
        (Answer::Body(200, "SECRET".into()), NotKeys, None),
        (Answer::Nothing, NoAnswer, Some("nothing came")),
        (fails(|| TransportError::not_sent("no route")), NotReached, Some("no route")),
        (fails(|| TransportError::config("plain http")), Refused, Some("plain http")),
        (fails(TransportError::too_long), TooLong, Some("the response is longer than 64 KiB")),
    ] {
        let clock = ManualClock::new();
        let server = || Server::default().then(answer.clone());
        for (face, _) in Face::both(&clock, server) {
            let good = vector("access_token");
            assert!(face.last_failure().is_none());
            assert_eq!(code(face.access(&good)), "keys_unavailable");
            // It stays while nobody fetches.
            assert_eq!(code(face.access(&good)), "keys_unavailable");
            let failure = face.last_failure().unwrap();
            assert_eq!(failure.kind(), kind);
            assert_eq!(failure.source().map(ToString::to_string).as_deref(), source);
            let said = format!("{failure} {failure:?}");
            assert!(!said.contains("SECRET") && !said.contains("://"), "{said}");
            assert_eq!(failure.to_string(), kind.to_string());
            clock.advance(Duration::from_secs(10));
            assert_eq!(code(face.access(&good)), "ok");
            assert!(face.last_failure().is_none(), "it is over");
        }
    }
    let server = Server::default().then(Answer::Panic);
    let [(face, _), _] = Face::both(&ManualClock::new(), || server.clone());
    assert_eq!(code(face.access(&vector("access_token"))), "keys_unavailable");
    assert_eq!(face.last_failure().unwrap().kind(), GivenUp);
}

#[test]
fn a_session_s_verifier_tells_the_cause_as_well() {
    let (clock, server) = (ManualClock::new(), down());
    let sessions = jwks(&clock).for_sessions(verifier());
    assert!(sessions.last_failure().is_none());
    let handed = Handed::new(Some(AccessToken::new(vector("access_token"))), None);
    judged(&sessions, &server, &clock, handed);
    let said = sessions.last_failure().unwrap().to_string();
    assert_eq!(said, "the server of the keys answered with status 503");
}

#[test]
fn an_address_that_no_transport_would_take_is_refused_at_once() {
    let refused = |jwks: Result<Jwks, Error>| jwks.unwrap_err();
    for url in ["", "/token/jwks", "file:///etc/passwd", "ftp://x/y", "not a url", "https://:443/"]
    {
        for error in [refused(Jwks::at(url)), refused(Jwks::danger_plain_http_at(url))] {
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        }
    }
    for url in ["https://me:SECRET@x.example/", "https://me@x.example/", "http://me@localhost/"] {
        for error in [refused(Jwks::at(url)), refused(Jwks::danger_plain_http_at(url))] {
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(!format!("{error:?}").contains("SECRET"));
        }
    }
    for url in [
        "http://x.example/jwks",
        "http://10.0.0.1/jwks",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "HTTP://x.example/jwks",
    ] {
        assert_eq!(refused(Jwks::at(url)).kind(), ErrorKind::Config, "{url}");
        assert!(Jwks::danger_plain_http_at(url).is_ok(), "{url}");
    }
    for url in [
        "https://x.example/jwks?p=1",
        "HTTPS://x.example/jwks",
        "http://localhost:1/jwks",
        "http://LOCALHOST/jwks",
        "http://127.8.0.1:8080/jwks",
        "http://[::1]/jwks",
    ] {
        assert!(Jwks::at(url).is_ok(), "{url}");
    }
}
