//! Both drivers: how often they fetch, and whom that keeps waiting.

use core::time::Duration;

use cotter_core::{AccessToken, Clock, Handed, Step, Verified, Verify as _};
use cotter_jwt::RemotePolicy;
use cotter_testkit::ManualClock;

use crate::support::{Answer, Headers, Server, code, jwks, made_up, vector, vectors, verifier};

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_made_up_kids_at_once_cause_two_fetches() {
    let server = Server { delay: Duration::from_millis(20), ..Server::default() };
    let verifier = jwks(&ManualClock::new()).verify_with(verifier(), server.clone());
    assert_eq!(code(verifier.verify_access_token(&vector("access_token")).await), "ok");
    let tasks: Vec<_> = (0..10_000)
        .map(|index| {
            let verifier = verifier.clone();
            tokio::spawn(async move { code(verifier.verify_access_token(&made_up(index)).await) })
        })
        .collect();
    for task in tasks {
        let code = task.await.unwrap();
        assert!(code == "kid_unknown" || code == "kid_unknown_for_now", "{code}");
    }
    assert_eq!(server.fetches(), 2);
    assert_eq!(code(verifier.verify_access_token(&vector("access_token")).await), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_cold_callers_share_one_fetch() {
    let server = Server { delay: Duration::from_millis(20), ..Server::default() };
    let verifier = jwks(&ManualClock::new()).verify_with(verifier(), server.clone());
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let verifier = verifier.clone();
            tokio::spawn(async move {
                code(verifier.verify_access_token(&vector("access_token")).await)
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "ok");
    }
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn a_dropped_caller_does_not_end_the_fetch() {
    let server = Server { delay: Duration::from_millis(30), ..Server::default() };
    let verifier = jwks(&ManualClock::new()).verify_with(verifier(), server.clone());
    let token = vector("access_token");
    let dropped =
        tokio::time::timeout(Duration::from_millis(5), verifier.verify_access_token(&token)).await;
    assert!(dropped.is_err());
    assert_eq!(code(verifier.verify_access_token(&token).await), "ok");
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn a_transport_that_panics_is_one_that_failed() {
    let clock = ManualClock::new();
    let server = Server::default().then(Answer::Panic);
    let verifier = jwks(&clock).verify_with(verifier(), server.clone());
    let token = vector("access_token");
    assert_eq!(code(verifier.verify_access_token(&token).await), "keys_unavailable");
    clock.advance(Duration::from_secs(10));
    assert_eq!(code(verifier.verify_access_token(&token).await), "ok");
}

#[tokio::test]
async fn an_outage_of_the_keys_stops_nothing_that_runs() {
    let clock = ManualClock::new();
    let server = Server::default()
        .then(Answer::Body(200, vectors()["jwks"].to_string()))
        .then(Answer::Nothing)
        .then(Answer::Body(503, "{}".into()))
        .then(Answer::Body(200, "<html>a captive portal</html>".into()));
    let verifier = jwks(&clock).verify_with(verifier(), server.clone());
    let token = vector("access_token");
    for fetches in 1..=4 {
        assert_eq!(code(verifier.verify_access_token(&token).await), "ok", "{fetches}");
        assert_eq!(server.fetches(), fetches);
        clock.advance(Duration::from_secs(700));
    }
}

#[tokio::test]
async fn a_remembered_token_goes_with_its_key() {
    let clock = ManualClock::new();
    let mut less = vectors()["jwks"].clone();
    less["keys"].as_array_mut().unwrap().remove(0);
    let server = Server::default()
        .then(Answer::Body(200, vectors()["jwks"].to_string()))
        .then(Answer::Body(200, less.to_string()));
    let verifier = jwks(&clock).verify_with(verifier(), server.clone());
    let token = vector("access_token");
    assert_eq!(code(verifier.verify_access_token(&token).await), "ok");
    assert_eq!(code(verifier.verify_access_token(&token).await), "ok");
    clock.advance(Duration::from_secs(600));
    assert_eq!(code(verifier.verify_access_token(&token).await), "kid_unknown");
    assert_eq!(code(verifier.verify_id_token(&vector("id_token")).await), "kid_unknown");
    assert_eq!(code(verifier.verify_access_token(&vector("access_token_second_key")).await), "ok");
}

#[test]
fn threads_share_one_fetch_and_made_up_kids_cause_two() {
    let server = Server { delay: Duration::from_millis(20), ..Server::default() };
    let clock = ManualClock::new();
    let verifier = jwks(&clock).verify_blocking_with(verifier(), server.clone());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                assert_eq!(code(verifier.verify_access_token(&vector("access_token"))), "ok")
            });
        }
    });
    assert_eq!(server.fetches(), 1);
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let verifier = &verifier;
            scope.spawn(move || {
                for index in 0..625 {
                    let code = code(verifier.verify_access_token(&made_up(thread * 625 + index)));
                    assert!(code.starts_with("kid_unknown"), "{code}");
                }
            });
        }
    });
    assert_eq!(server.fetches(), 2);
    assert_eq!(code(verifier.verify_id_token(&vector("id_token"))), "ok");
    assert!(clock.now().boot.as_millis() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_rotate_under_load_refuse_nobody_and_cost_one_fetch() {
    let mut before = vectors()["jwks"].clone();
    before["keys"].as_array_mut().unwrap().remove(0);
    let server = Server { delay: Duration::from_millis(20), ..Server::default() }
        .then(Answer::Body(200, before.to_string()));
    let verifier = jwks(&ManualClock::new()).verify_with(verifier(), server.clone());
    let (new, old) = (vector("access_token"), vector("access_token_second_key"));
    assert_eq!(code(verifier.verify_access_token(&old).await), "ok");
    // From here on the server has both keys, and half of the callers come with the new one.
    let tasks: Vec<_> = (0..1_000)
        .map(|index| {
            let token = if index % 2 == 0 { new.clone() } else { old.clone() };
            let verifier = verifier.clone();
            tokio::spawn(async move { code(verifier.verify_access_token(&token).await) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "ok");
    }
    assert_eq!(server.fetches(), 2);
}

/// The keys without the first one, which signed the usual access token.
fn less() -> Answer {
    let mut less = vectors()["jwks"].clone();
    less["keys"].as_array_mut().unwrap().remove(0);
    Answer::Body(200, less.to_string())
}

#[tokio::test]
async fn a_key_that_is_published_late_is_a_matter_of_time_and_not_of_minutes() {
    let clock = ManualClock::new();
    let server = Server::default().then(less()).then(less());
    let verifier = jwks(&clock).verify_with(verifier(), server.clone());
    assert_eq!(code(verifier.verify_access_token(&vector("access_token_second_key")).await), "ok");
    let token = vector("access_token");
    assert_eq!(code(verifier.verify_access_token(&token).await), "kid_unknown");
    // The server has it from here on.
    clock.advance(Duration::from_secs(9));
    let invalid = verifier.verify_access_token(&token).await.unwrap_err();
    assert_eq!(invalid.code(), "kid_unknown_for_now");
    assert_eq!(invalid.retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(server.fetches(), 2);
    clock.advance(Duration::from_secs(21));
    assert_eq!(code(verifier.verify_access_token(&token).await), "ok");
    assert_eq!(server.fetches(), 3);
}

#[tokio::test]
async fn a_token_without_a_kid_finds_a_key_that_appeared() {
    let clock = ManualClock::new();
    let server = Server::default().then(less());
    let verifier = jwks(&clock).verify_with(verifier(), server.clone());
    assert_eq!(code(verifier.verify_access_token(&vector("access_token_second_key")).await), "ok");
    let token = vector("access_token_no_kid");
    assert_eq!(code(verifier.verify_access_token(&token).await), "ok");
    assert_eq!(server.fetches(), 2);
    // What no key has signed is refused, and causes one fetch in a cool-down.
    let forged = format!("{}.{}", token.rsplit_once('.').unwrap().0, "B".repeat(85) + "Q");
    for _ in 0..100 {
        assert_eq!(code(verifier.verify_access_token(&forged).await), "bad_signature");
    }
    assert_eq!(server.fetches(), 2);
    clock.advance(Duration::from_secs(10));
    for _ in 0..100 {
        assert_eq!(code(verifier.verify_access_token(&forged).await), "bad_signature");
    }
    assert_eq!(server.fetches(), 3);
}

#[test]
fn a_token_without_a_kid_finds_a_key_that_appeared_on_threads_and_in_sessions_too() {
    let clock = ManualClock::new();
    let token = vector("access_token_no_kid");
    let server = Server::default().then(less());
    let threads = jwks(&clock).verify_blocking_with(verifier(), server.clone());
    assert_eq!(code(threads.verify_access_token(&vector("access_token_second_key"))), "ok");
    assert_eq!(code(threads.verify_access_token(&token)), "ok");
    assert_eq!(server.fetches(), 2);

    let server = Server::default().then(less());
    let sessions = jwks(&clock).for_sessions(verifier());
    for token in [vector("access_token_second_key"), token] {
        let mut step =
            sessions.verify(Handed::new(Some(AccessToken::new(token)), None), clock.now());
        let verified = loop {
            step = match step {
                Step::Send(ask) => {
                    let (question, place) = ask.split();
                    place.answer(clock.now(), server.answer(&question.request))
                }
                Step::Done(verified) => break verified,
                _ => panic!("it neither asks nor ends"),
            };
        };
        assert!(matches!(verified, Verified::Sound), "{verified:?}");
    }
    assert_eq!(server.fetches(), 2);
}

#[test]
fn a_server_that_wants_nothing_kept_is_asked_once_for_each_token() {
    let mut policy = RemotePolicy::default();
    policy.min_ttl = Duration::ZERO;
    const NOTHING: Headers = &[("cache-control", b"no-store")];
    let server = Server::default().then(Answer::Headers(NOTHING)).then(Answer::Headers(NOTHING));
    let verifier =
        jwks(&ManualClock::new()).policy(policy).verify_blocking_with(verifier(), server.clone());
    for fetches in 1..=2 {
        assert_eq!(code(verifier.verify_access_token(&vector("access_token"))), "ok");
        assert_eq!(server.fetches(), fetches);
    }
}

#[test]
fn every_line_of_cache_control_is_read() {
    const CASES: [(Headers, bool); 4] = [
        (&[("cache-control", b"max-age=86400")], true),
        (&[("cache-control", b"max-age=86400"), ("cache-control", b"no-cache")], false),
        (&[("cache-control", b"ext=\"\xe9\""), ("cache-control", b"max-age=86400")], true),
        (&[("cache-control", b"max-age=7200"), ("age", b"7000"), ("age", b"0")], false),
    ];
    for (headers, kept) in CASES {
        let clock = ManualClock::new();
        let server = Server::default().then(Answer::Headers(headers));
        let verifier = jwks(&clock).verify_blocking_with(verifier(), server.clone());
        assert_eq!(code(verifier.verify_access_token(&vector("access_token"))), "ok");
        clock.advance(Duration::from_secs(3_000));
        assert_eq!(code(verifier.verify_access_token(&vector("access_token"))), "ok");
        assert_eq!(server.fetches() == 1, kept, "{headers:?}");
    }
}

#[test]
fn two_sessions_at_once_begin_one_fetch() {
    for _ in 0..500 {
        let sessions = jwks(&ManualClock::new()).for_sessions(verifier());
        let start = std::sync::Barrier::new(2);
        let begin = || {
            let handed = Handed::new(Some(AccessToken::new(made_up(1))), None);
            start.wait();
            sessions.verify(handed, ManualClock::new().now())
        };
        let steps = std::thread::scope(|scope| {
            [scope.spawn(begin), scope.spawn(begin)].map(|thread| thread.join().unwrap())
        });
        // The first one's flight has to be alive while the second one looks.
        let fetches = steps.iter().filter(|step| matches!(step, Step::Send(_))).count();
        assert_eq!(fetches, 1);
    }
}
