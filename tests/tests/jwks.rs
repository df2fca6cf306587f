//! Remote keys against the emulator over real sockets: strangers' key ids, and keys that change under load.

#![allow(clippy::unwrap_used, missing_docs)]

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cotter::core::BootTime;
use cotter::{Clock, Now, SystemClock};
use cotter_emulator::{Config, Emulator};
use cotter_jwks::{FetchFailure, FetchFailureKind, Jwks, RemoteVerifier, blocking};
use cotter_jwt::{Invalid, Reason, Verifier};
use cotter_testkit::wire::{Reply, Server};
use cotter_tests::ADA;

/// Shows the true time, and lets time pass for the cool-down only when it is told to.
#[derive(Clone, Debug, Default)]
struct Still(Arc<AtomicU64>);

impl Still {
    fn advance(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Still {
    fn now(&self) -> Now {
        Now { boot: self.boot(), ..SystemClock::new().now() }
    }

    fn boot(&self) -> BootTime {
        BootTime::from_millis(1_000_000 + self.0.load(Ordering::SeqCst))
    }
}

/// A verifier of either face.
enum Face {
    Async(tokio::runtime::Runtime, RemoteVerifier),
    Blocking(blocking::RemoteVerifier),
}

impl Face {
    fn both(server: &Emulator, clock: &Still) -> [Self; 2] {
        Self::at(&format!("{}/token/jwks", server.base_url()), server, clock)
    }

    fn at(keys: &str, server: &Emulator, clock: &Still) -> [Self; 2] {
        let keys = || Jwks::at(keys).unwrap().clock(clock.clone());
        let verifier = || Verifier::cotter(server.api_key_id());
        let reqwest = cotter::transport::Reqwest::builder().no_proxy().build().unwrap();
        let ureq = cotter::transport::Ureq::builder().no_proxy().build().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        [
            Self::Async(runtime, keys().verify_with(verifier(), reqwest)),
            Self::Blocking(keys().verify_blocking_with(verifier(), ureq)),
        ]
    }

    fn verify(&self, token: &str) -> Result<(), Invalid> {
        match self {
            Self::Async(runtime, verifier) => {
                runtime.block_on(verifier.verify_access_token(token)).map(drop)
            }
            Self::Blocking(verifier) => verifier.verify_access_token(token).map(drop),
        }
    }

    fn last_failure(&self) -> Option<FetchFailure> {
        match self {
            Self::Async(_, verifier) => verifier.last_failure(),
            Self::Blocking(verifier) => verifier.last_failure(),
        }
    }
}

fn token(server: &Emulator) -> String {
    let set: serde_json::Value = serde_json::from_str(&server.token_set(ADA)).unwrap();
    set["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn ten_thousand_made_up_key_ids_cause_at_most_two_fetches() {
    for face in 0..2 {
        let (server, clock) = (Emulator::start(Config::default()).unwrap(), Still::default());
        let [asynchronous, blocking] = Face::both(&server, &clock);
        let verifier = if face == 0 { asynchronous } else { blocking };
        let good = token(&server);
        let (_, rest) = good.split_once('.').unwrap();
        for n in 0..10_000_u64 {
            // Spread over all ids there are, so that no two are alike or in order.
            let id = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let header = format!(r#"{{"alg":"ES256","kid":"{id:016x}"}}"#);
            let stranger = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
            let reason = verifier.verify(&stranger).unwrap_err().reason();
            assert!(
                matches!(reason, Reason::KidUnknown | Reason::KidUnknownForNow { .. }),
                "{reason:?}"
            );
            if n % 1_000 == 0 {
                verifier.verify(&good).unwrap();
            }
        }
        verifier.verify(&good).unwrap();
        assert!(server.counters().jwks <= 2, "{} fetches", server.counters().jwks);
    }
}

#[test]
fn keys_change_under_load_and_no_good_token_is_refused() {
    const ROTATIONS: u64 = 8;
    const REFUSED: u64 = 2;
    for face in 0..2 {
        let (server, clock) = (Emulator::start(Config::default()).unwrap(), Still::default());
        let [asynchronous, blocking] = Face::both(&server, &clock);
        let verifier = if face == 0 { asynchronous } else { blocking };
        let newest = Mutex::new(token(&server));
        let stop = AtomicU64::new(0);
        let checked: Vec<AtomicU64> = (0..16).map(|_| AtomicU64::new(0)).collect();
        // The server keeps a key for one rotation: nobody may be left behind by more.
        let all_go_on = || {
            let before: Vec<u64> = checked.iter().map(|n| n.load(Ordering::SeqCst)).collect();
            for (n, before) in checked.iter().zip(before) {
                while n.load(Ordering::SeqCst) < before + 2 {
                    assert_ne!(stop.load(Ordering::SeqCst), REFUSED, "a good token was refused");
                    std::thread::yield_now();
                }
            }
        };
        std::thread::scope(|scope| {
            for checked in &checked {
                let (stop, newest, verifier) = (&stop, &newest, &verifier);
                scope.spawn(move || {
                    while stop.load(Ordering::SeqCst) == 0 {
                        let token = newest.lock().unwrap().clone();
                        if let Err(why) = verifier.verify(&token) {
                            stop.store(REFUSED, Ordering::SeqCst);
                            panic!("{why}");
                        }
                        checked.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            for _ in 0..ROTATIONS {
                all_go_on();
                // The cool-down has passed: from here on a new key costs one fetch.
                clock.advance(Duration::from_secs(11));
                server.rotate_keys();
                *newest.lock().unwrap() = token(&server);
            }
            all_go_on();
            stop.store(1, Ordering::SeqCst);
        });
        let fetches = server.counters().jwks;
        assert!((2..=1 + ROTATIONS).contains(&fetches), "{fetches} fetches");
    }
}

#[test]
fn both_transports_tell_why_the_keys_could_not_be_fetched() {
    use FetchFailureKind::{NoAnswer, NotKeys, NotReached, Status, TooLong};
    let (server, clock) = (Emulator::start(Config::default()).unwrap(), Still::default());
    let token = token(&server);
    let long = " ".repeat(64 * 1024 + 1);
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{long}");
    for (reply, kind) in [
        (Reply::status(404, &[], "SECRET"), Status(404.try_into().unwrap())),
        (Reply::status(302, &[("location", "/SECRET")], ""), Status(302.try_into().unwrap())),
        (Reply::ok("SECRET"), NotKeys),
        (Reply::ok(&long), TooLong),
        (Reply::raw(endless), TooLong),
        (Reply::reset(), NoAnswer),
    ] {
        let keys = Server::start(move |_| reply.clone());
        for face in Face::at(&keys.url("/SECRET"), &server, &clock) {
            let reason = face.verify(&token).unwrap_err().reason();
            assert!(matches!(reason, Reason::KeysUnavailable { .. }), "{reason:?}");
            let failure = face.last_failure().unwrap();
            assert_eq!(failure.kind(), kind);
            assert!(!format!("{failure} {failure:?}").contains("SECRET"), "{failure:?}");
        }
    }
    // Nobody listens any more.
    let gone = Server::start(|_| Reply::ok("")).url("/SECRET");
    for face in Face::at(&gone, &server, &clock) {
        face.verify(&token).unwrap_err();
        let failure = face.last_failure().unwrap();
        assert_eq!(failure.kind(), NotReached);
        assert!(!format!("{failure} {failure:?}").contains("SECRET"), "{failure:?}");
    }
}
