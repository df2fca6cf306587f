//! One file of scenarios, run on the async and on the blocking face, over real sockets against the
//! emulator; time moves only when a scenario moves it.

#![allow(clippy::unwrap_used, missing_docs)]

use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cotter::{Error, ErrorKind, Event, Rotation, SignInReason, State, StoreErrorKind};
use cotter_emulator::{Config, Fault};
use cotter_testkit::{Fault as Broken, Op};
use cotter_tests::{ADA, Face, Kind, Rig};
use serde_json::Value;

fn reason(error: &Error) -> Option<SignInReason> {
    match error.kind() {
        ErrorKind::SignInRequired(reason) => Some(reason),
        _ => None,
    }
}

fn uncertain(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable { uncertain: true, .. })
}

fn unavailable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable { uncertain: false, .. })
}

/// What the server has issued last is what is stored.
fn assert_in_step(rig: &Rig, session: &dyn Face) {
    assert_eq!(session.refresh_token().ok(), rig.server.current_refresh_token(ADA));
    assert_eq!(rig.server.counters().reuses, 0, "a spent token was presented");
}

macro_rules! both {
    ($($(#[$doc:meta])* fn $name:ident($rig:ident: $config:expr) $body:block)*) => {
        mod asynchronous {
            use super::*;
            $($(#[$doc])* #[test] fn $name() { super::scenarios::$name(Kind::Async); })*
        }
        mod offloaded {
            use super::*;
            $($(#[$doc])* #[test] fn $name() { super::scenarios::$name(Kind::Offloaded); })*
        }
        mod blocking {
            use super::*;
            $($(#[$doc])* #[test] fn $name() { super::scenarios::$name(Kind::Blocking); })*
        }
        mod scenarios {
            use super::*;
            $(pub(super) fn $name(kind: Kind) {
                #[allow(unused_mut)]
                let mut $rig = Rig::new(kind, $config);
                $body
            })*
        }
    };
}

both! {
    fn a_fresh_token_is_handed_out_without_asking_anybody(rig: Config::default()) {
        let session = rig.signed_in();
        let first = session.access().unwrap();
        assert_eq!(session.access().unwrap(), first);
        assert_eq!(session.cached(), Some(first.clone()));
        assert_eq!(session.access_for(Duration::from_secs(3000)).unwrap(), first);
        assert_eq!(first.claims().unwrap().audiences(), [rig.server.api_key_id()]);
        assert_eq!(rig.requests(), 0);
        assert_eq!(session.status().unwrap().state, State::Fresh);
    }

    fn an_ended_token_is_refreshed_and_the_rotated_one_is_stored(rig: Config::default()) {
        let session = rig.signed_in();
        let first = session.access().unwrap();
        rig.until_expired();
        assert_eq!(session.cached(), None);
        assert_eq!(session.status().unwrap().state, State::Expired);
        let second = session.access().unwrap();
        assert_ne!(first, second);
        assert_eq!(rig.exchanges(), 1);
        assert_in_step(&rig, &*session);
        assert_eq!(rig.events.until(Event::Refreshed), [Event::Refreshed]);
        assert_eq!(session.status().unwrap().pending_rotation, None);
    }

    fn both_getters_refresh_and_share_one_exchange(rig: Config::default()) {
        let session = rig.signed_in();
        let id = session.id().unwrap();
        rig.until_expired();
        let new_id = session.id().unwrap();
        assert_ne!(id, new_id);
        session.access().unwrap();
        assert_eq!(rig.exchanges(), 1);
        assert_in_step(&rig, &*session);
    }

    fn nobody_signed_in_is_an_error_of_its_own(rig: Config::default()) {
        let session = rig.session();
        for error in [session.access().unwrap_err(), session.refresh().unwrap_err(), session.id().unwrap_err()] {
            assert_eq!(reason(&error), Some(SignInReason::NeverSignedIn));
        }
        assert_eq!(reason(&session.refresh_token().unwrap_err()), Some(SignInReason::NeverSignedIn));
        assert_eq!(session.status().unwrap().state, State::SignedOut);
        assert_eq!(rig.requests(), 0);
    }

    fn offline_and_logged_out_are_told_apart(rig: Config::default()) {
        let session = rig.signed_in();
        session.sign_out().unwrap();
        assert_eq!(reason(&session.access().unwrap_err()), Some(SignInReason::SignedOut));
        let session = rig.signed_in();
        rig.until_expired();
        rig.server.fault(Fault::status(503).count(10));
        assert!(uncertain(&session.access().unwrap_err()));
    }

    fn a_refused_token_asks_for_a_sign_in_and_is_not_sent_again(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        rig.server.fault(Fault::reject(400).count(10));
        assert_eq!(reason(&session.access().unwrap_err()), Some(SignInReason::Refused));
        assert_eq!(rig.requests(), 1);
        // Remembered: by this session, and by another process that reads the same store.
        assert_eq!(reason(&session.access().unwrap_err()), Some(SignInReason::Refused));
        assert_eq!(reason(&rig.session().access().unwrap_err()), Some(SignInReason::Refused));
        assert_eq!(rig.requests(), 1);
        let status = session.status().unwrap();
        assert_eq!((status.state, status.signed_in), (State::Rejected, false));
        // The record stays: deleting is the caller's decision.
        assert!(session.refresh_token().is_ok());
        // Whoever insists may ask again.
        assert_eq!(reason(&session.refresh().unwrap_err()), Some(SignInReason::Refused));
        assert_eq!(rig.requests(), 2);
        // It lapses.
        rig.server.clear_faults();
        rig.clock.advance(Duration::from_secs(2 * 3600 + 1));
        session.access().unwrap();
        assert_in_step(&rig, &*session);
    }

    fn a_refusal_leaves_a_usable_token_in_use(rig: Config::default()) {
        let session = rig.signed_in();
        let first = session.access().unwrap();
        rig.until_stale();
        rig.server.fault(Fault::reject(401).count(10));
        assert_eq!(session.access().unwrap(), first);
        assert_eq!(session.access().unwrap(), first);
        assert_eq!(rig.requests(), 1);
        assert_eq!(session.status().unwrap().state, State::Rejected);
        assert!(session.status().unwrap().signed_in);
        rig.clock.advance(Duration::from_secs(60));
        assert_eq!(reason(&session.access().unwrap_err()), Some(SignInReason::Refused));
    }

    fn a_refresh_token_that_is_not_in_the_answer_is_kept(rig: Config::default()) {
        rig.server.set_rotation(cotter_emulator::Rotation::None);
        let session = rig.signed_in();
        let token = session.refresh_token().unwrap();
        for fault in ["no-refresh-token", "null-refresh-token", "empty-refresh-token"] {
            rig.until_expired();
            rig.server.fault(Fault::new(fault).after_commit());
            session.access().unwrap();
            assert_eq!(session.refresh_token().unwrap(), token, "{fault}");
        }
        assert_eq!(rig.exchanges(), 3);
    }

    fn another_users_tokens_are_never_handed_out(rig: Config::default()) {
        let session = rig.signed_in();
        let first = session.access().unwrap();
        rig.until_stale();
        rig.server.fault(Fault::new("other-sub").after_commit());
        // The good token serves while it can; the stranger's never does.
        assert_eq!(session.access().unwrap(), first);
        rig.clock.advance(Duration::from_secs(120));
        let error = session.access().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert_eq!(session.refresh_token().unwrap_err().kind(), ErrorKind::Protocol);
        assert!(session.status().unwrap().held);
        assert_eq!(rig.requests(), 1, "nothing further is exchanged");
        // A sign-in mends it.
        session.sign_in(&rig.server.token_set(ADA)).unwrap();
        session.access().unwrap();
    }

    fn an_outage_while_stale_goes_unnoticed(rig: Config::default()) {
        let session = rig.signed_in();
        let first = session.access().unwrap();
        rig.until_stale();
        rig.server.fault(Fault::status(500).count(10));
        for _ in 0..5 {
            assert_eq!(session.access().unwrap(), first);
        }
        assert_eq!(rig.requests(), 1, "a failure is not repeated by every caller");
        let kind = ErrorKind::Unavailable { retry_after: None, uncertain: true };
        assert!(rig.events.until(Event::ServedStale(kind)).contains(&Event::Uncertain));
    }

    fn an_outage_while_expired_is_unavailable_and_heals(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        rig.server.fault(Fault::new("drop").count(1));
        let error = session.access().unwrap_err();
        assert!(uncertain(&error), "{error}");
        assert!(session.status().unwrap().pending_rotation.is_some());
        // The request was dropped unread: presented once more after its rest, the token is good.
        rig.clock.advance(Duration::from_secs(20));
        session.access().unwrap();
        assert_in_step(&rig, &*session);
        assert_eq!(session.status().unwrap().pending_rotation, None);
    }

    fn a_lost_reply_under_strict_rotation_is_reported_as_a_lost_rotation(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        rig.server.fault(Fault::lost_rotation());
        assert!(uncertain(&session.access().unwrap_err()));
        assert_eq!(rig.requests(), 1, "it is not replayed blindly");
        rig.clock.advance(Duration::from_secs(20));
        assert_eq!(reason(&session.access().unwrap_err()), Some(SignInReason::RotationLost));
        assert_eq!(rig.requests(), 2);
    }

    fn a_lost_reply_within_the_grace_goes_unnoticed(
        rig: Config::default().with_rotation(cotter_emulator::Rotation::Grace(Duration::from_secs(30)))
    ) {
        rig.rotation = Rotation::Grace(Duration::from_secs(30));
        let session = rig.signed_in();
        rig.until_expired();
        rig.server.fault(Fault::lost_rotation());
        session.access().unwrap();
        let counters = rig.server.counters();
        assert_eq!((counters.exchanges, counters.grace_replays), (1, 1));
        assert_in_step(&rig, &*session);
    }

    fn a_lost_reply_without_rotation_costs_nothing(
        rig: Config::default().with_rotation(cotter_emulator::Rotation::None)
    ) {
        rig.rotation = Rotation::None;
        let session = rig.signed_in();
        rig.until_expired();
        rig.server.fault(Fault::lost_rotation());
        session.access().unwrap_err();
        rig.clock.advance(Duration::from_secs(61));
        session.access().unwrap();
        assert_eq!(session.status().unwrap().pending_rotation, None);
    }

    fn retry_after_is_honoured_by_everybody(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        rig.server.fault(Fault::status(429).retry_after(600).count(10));
        let error = session.access().unwrap_err();
        assert!(unavailable(&error), "{error}");
        assert!(error.retry_after().unwrap() >= Duration::from_secs(600));
        assert_eq!(error.server().unwrap().status, 429);
        for _ in 0..3 {
            assert!(unavailable(&session.access().unwrap_err()));
            assert!(unavailable(&session.refresh().unwrap_err()));
        }
        assert_eq!(rig.requests(), 1);
        assert_eq!(session.status().unwrap().pending_rotation, None, "answered, not spent");
        rig.server.clear_faults();
        rig.clock.advance(Duration::from_secs(602));
        session.access().unwrap();
        assert_in_step(&rig, &*session);
    }

    fn a_short_retry_after_is_waited_for(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        rig.server.fault(Fault::status(429).retry_after(2));
        session.access().unwrap();
        assert_eq!(rig.requests(), 2);
        assert_in_step(&rig, &*session);
    }

    fn odd_answers_never_end_a_session(rig: Config::default()) {
        for (fault, config) in [
            (Fault::reject(403), true),
            (Fault::status(404), true),
            (Fault::new("redirect"), true),
            (Fault::reject(400).body("html"), true),
            (Fault::new("html"), false),
            (Fault::new("empty"), false),
            (Fault::new("null"), false),
            (Fault::new("array"), false),
            (Fault::status(408), false),
            (Fault::status(500), false),
            (Fault::new("half"), false),
            (Fault::new("oversized"), false),
        ] {
            let named = format!("{fault:?}");
            rig.server.reset();
            let session = rig.signed_in();
            rig.until_expired();
            rig.server.fault(fault.count(1));
            let error = session.access().unwrap_err();
            if config {
                // The text "not valid" in a 403 is a refusal; anything else there is not.
                assert!(
                    error.kind() == ErrorKind::Config || reason(&error) == Some(SignInReason::Refused),
                    "{named}: {error}"
                );
            } else {
                assert!(uncertain(&error), "{named}: {error}");
            }
            assert!(session.refresh_token().is_ok(), "{named}: nothing stored is lost");
            session.sign_out().unwrap();
        }
    }

    fn a_save_that_fails_after_the_grant_loses_nothing(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        // The journal is written; the new tokens are not.
        let saves = rig.store.count(Op::Save);
        for nth in 2..=4 {
            rig.store.on(Op::Save, saves + nth, Broken::Fail(StoreErrorKind::Full));
        }
        let token = session.access().unwrap();
        assert_eq!(rig.exchanges(), 1);
        // The store heals: stored, in the background or with the next call.
        rig.store.heal();
        let mut events = rig.events.until(Event::Unpersisted);
        while !events.contains(&Event::Persisted) {
            assert_eq!(session.access().unwrap(), token);
            std::thread::sleep(Duration::from_millis(10));
            events.extend(rig.events.take());
        }
        assert_eq!(events, [Event::Unpersisted, Event::Persisted]);
        assert_in_step(&rig, &*session);
        assert!(session.shuts_down_clean());
    }

    fn a_store_that_cannot_write_spends_nothing(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        rig.store.always(Op::Save, Broken::Fail(StoreErrorKind::Full));
        let error = session.access().unwrap_err();
        assert_eq!(error.store_error().map(cotter::StoreError::kind), Some(StoreErrorKind::Full));
        assert_eq!(rig.requests(), 0);
        rig.store.heal();
        // Everybody hears the same until the pause after a failure is over.
        assert!(session.access().unwrap_err().store_error().is_some());
        rig.clock.advance(Duration::from_secs(2));
        session.access().unwrap();
        assert_in_step(&rig, &*session);
    }

    fn a_write_that_times_out_is_looked_up_not_guessed(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        let saves = rig.store.count(Op::Save);
        rig.store.on(Op::Save, saves + 1, Broken::DoneButTimeout);
        rig.store.on(Op::Save, saves + 2, Broken::DoneButTimeout);
        session.access().unwrap();
        assert_eq!(rig.exchanges(), 1);
        assert_in_step(&rig, &*session);
    }

    fn a_sign_out_during_a_refresh_stays_signed_out(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        rig.server.pause();
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| session.access());
            assert!(rig.server.wait_for_requests(1, Duration::from_secs(10)));
            session.sign_out().unwrap();
            assert_eq!(session.status().unwrap().state, State::SignedOut);
            rig.server.resume();
            let error = asking.join().unwrap().unwrap_err();
            assert_eq!(reason(&error), Some(SignInReason::SignedOut));
        });
        assert_eq!(session.status().unwrap().state, State::SignedOut);
        assert_eq!(session.cached(), None);
    }

    fn a_sign_in_during_a_refresh_wins(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        rig.server.pause();
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| session.access());
            assert!(rig.server.wait_for_requests(1, Duration::from_secs(10)));
            session.sign_in(&rig.server.token_set("grace@example.test")).unwrap();
            rig.server.resume();
            let token = asking.join().unwrap().unwrap();
            assert_eq!(session.access().unwrap(), token);
        });
        assert_eq!(
            session.refresh_token().ok(),
            rig.server.current_refresh_token("grace@example.test")
        );
    }

    fn a_401_replaces_the_rejected_token_once(rig: Config::default()) {
        let session = rig.signed_in();
        rig.clock.advance(Duration::from_secs(60));
        let first = session.access().unwrap();
        let second = session.rejected(&first).unwrap();
        assert_ne!(first, second);
        // The next one that comes with the old token gets the new one, without an exchange.
        assert_eq!(session.rejected(&first).unwrap(), second);
        assert_eq!(rig.exchanges(), 1);
        // Refused at once after it was granted: another would be no better.
        assert!(unavailable(&session.rejected(&second).unwrap_err()));
        assert!(session.access().is_err(), "a rejected token is never served again");
        assert_eq!(rig.exchanges(), 1);
        rig.clock.advance(Duration::from_secs(11));
        assert_ne!(session.access().unwrap(), second);
        assert_in_step(&rig, &*session);
    }

    fn a_demand_longer_than_any_token_lives_is_exchanged_once(rig: Config::default()) {
        let session = rig.signed_in();
        rig.clock.advance(Duration::from_secs(60));
        session.access_for(Duration::from_secs(7200)).unwrap();
        assert!(rig.events.until(Event::ShorterThanAsked).contains(&Event::Refreshed));
        assert_eq!(session.access_for(Duration::from_secs(7200)).unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(rig.exchanges(), 1);
        assert_in_step(&rig, &*session);
    }

    fn no_id_token_in_the_answer_is_said_after_one_exchange(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        rig.server.fault(Fault::new("no-id-token").after_commit().count(10));
        assert_eq!(session.id().unwrap_err().kind(), ErrorKind::Protocol);
        assert_in_step(&rig, &*session);
        session.access().unwrap();
    }

    fn what_another_process_did_is_adopted(rig: Config::default()) {
        let ours = rig.signed_in();
        let theirs = rig.session();
        theirs.access().unwrap();
        rig.until_expired();
        let token = theirs.access().unwrap();
        assert_eq!(ours.access().unwrap(), token);
        assert_eq!(rig.exchanges(), 1);
    }

    fn a_set_of_another_project_is_refused_and_nothing_is_lost(rig: Config::default()) {
        let session = rig.signed_in();
        let token = session.access().unwrap();
        let stranger = Rig::new(rig.kind, Config::default().with_api_key_id("another-project"));
        for bad in [stranger.server.token_set(ADA), "{}".into(), r#"{"access_token":"x"}"#.into()] {
            assert_eq!(session.sign_in(&bad).unwrap_err().kind(), ErrorKind::Config);
        }
        assert_eq!(session.sign_in("garbage").unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(session.access().unwrap(), token);
    }

    fn bad_input_is_a_typed_error_and_what_was_there_stays(rig: Config::default()) {
        let session = rig.signed_in();
        let (token, refresh) = (session.access().unwrap(), session.refresh_token().unwrap());
        let good: Value = serde_json::from_str(&rig.server.token_set(ADA)).unwrap();
        let with = |name: &str, value: Value| {
            let mut set = good.clone();
            set[name] = value;
            set.to_string()
        };
        let claims = |claims: &str| {
            let token = good["access_token"].as_str().unwrap();
            let header = token.split('.').next().unwrap();
            with("access_token", format!("{header}.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)).into())
        };
        let huge = "x".repeat(1_000_000);
        for (what, bad) in [
            ("no JSON", "garbage".to_owned()),
            ("cut off", good.to_string()[..200].to_owned()),
            ("nothing", String::new()),
            ("another value", "[1,2]".to_owned()),
            ("deep", "[".repeat(100_000)),
            ("a megabyte", huge.clone()),
            ("a token of a megabyte", with("access_token", huge.clone().into())),
            ("claims of a megabyte", claims(&huge)),
            ("no base64", with("access_token", "e30.!!!!.c2ln".into())),
            ("claims that are no JSON", claims("garbage")),
            ("deep claims", claims(&"{\"a\":".repeat(50_000))),
            ("a number", with("access_token", 7.into())),
            ("an object", with("access_token", serde_json::json!({}))),
            ("an end before 1970", claims(r#"{"exp":-5}"#)),
            ("an end that is no time", claims(r#"{"exp":"soon"}"#)),
            ("an end after all calendars", claims(r#"{"exp":1e300}"#)),
        ] {
            let error = session.sign_in(&bad).expect_err(what);
            assert!(
                matches!(error.kind(), ErrorKind::Config | ErrorKind::Protocol),
                "{what}: {error:?}"
            );
            assert_eq!(session.access().unwrap(), token, "{what}");
            assert_eq!(session.refresh_token().unwrap(), refresh, "{what}");
        }
        // An odd life is no reason to lose a login: the token says when it ends.
        for life in [Value::from(-1), i64::MAX.into(), 1e300.into(), "soon".into(), Value::Null] {
            session.sign_in(&with("expires_in", life.clone())).unwrap_or_else(|e| panic!("{life}: {e}"));
            assert_eq!(session.access().unwrap().expose(), good["access_token"].as_str().unwrap());
        }
        assert_eq!(rig.exchanges(), 0);
    }

    fn a_clock_outside_of_all_calendars_is_a_config_error(rig: Config::default()) {
        let session = rig.signed_in();
        rig.until_expired();
        for seconds in [-5_000_000_000, 600_000_000_000] {
            rig.clock.step_wall(seconds);
            assert_eq!(session.access().unwrap_err().kind(), ErrorKind::Config);
            rig.clock.step_wall(-seconds);
        }
        session.access().unwrap();
    }

    fn no_error_and_no_debug_text_holds_a_token(rig: Config::default()) {
        let session = rig.signed_in();
        let secrets = [
            session.access().unwrap().expose().to_owned(),
            session.refresh_token().unwrap(),
            session.id().unwrap(),
        ];
        rig.until_expired();
        let mut texts = Vec::new();
        for fault in [Fault::status(500), Fault::reject(400), Fault::new("html"), Fault::new("drop")] {
            rig.server.reset();
            session.sign_in(&rig.server.token_set(ADA)).unwrap();
            rig.until_expired();
            rig.server.fault(fault);
            let error = session.access().unwrap_err();
            texts.push(format!("{error} {error:?} {error:#?}"));
            let mut source = core::error::Error::source(&error);
            while let Some(inner) = source {
                texts.push(format!("{inner} {inner:?}"));
                source = inner.source();
            }
        }
        texts.push(format!("{:?} {:?}", session.status().unwrap(), rig.events));
        let opaque = secrets[1].rsplit(':').next().unwrap();
        for text in &texts {
            for secret in secrets.iter().map(String::as_str).chain([opaque]) {
                assert!(!text.contains(secret), "{text}");
            }
            assert!(!text.contains(rig.server.base_url()), "{text}");
        }
    }

    fn every_fault_of_the_server_is_an_error_of_its_kind_and_loses_nothing(rig: Config::default()) {
        // What takes real time; the wire's own tests have it.
        let slow = ["delay", "drip"];
        for (name, _) in cotter_emulator::FAULTS.iter().filter(|(name, _)| !slow.contains(name)) {
            rig.server.reset();
            let session = rig.signed_in();
            let stored = session.refresh_token().unwrap();
            rig.until_expired();
            rig.server.fault(Fault::new(*name));
            let answer = session.access();
            if *name == "429" {
                // One second is waited for within the flight.
                answer.unwrap();
                assert_eq!((rig.requests(), rig.exchanges()), (2, 1));
                assert_in_step(&rig, &*session);
                continue;
            }
            // Nothing was rotated: what is stored is good, whatever the answer looked like.
            match session.refresh_token() {
                Ok(token) => assert_eq!(token, stored, "{name}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Protocol, "{name}: {error}"),
            }
            assert_eq!(rig.requests(), 1, "{name}: {answer:?}");
            match (*name, answer) {
                ("reject", Err(error)) => {
                    assert_eq!(reason(&error), Some(SignInReason::Refused), "{error}");
                    continue;
                }
                // Another user's, and another project's, are never handed out.
                ("other-sub" | "wrong-aud" | "no-access-token", Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Protocol, "{name}: {error}");
                }
                ("other-sub" | "wrong-aud" | "no-access-token", Ok(_)) => {
                    panic!("{name} was handed out");
                }
                (_, Err(error)) => assert!(
                    uncertain(&error) || matches!(error.kind(), ErrorKind::Config | ErrorKind::Protocol),
                    "{name}: {error}"
                ),
                (_, Ok(_)) => {}
            }
            if *name == "other-sub" {
                continue;
            }
            rig.server.clear_faults();
            rig.clock.advance(Duration::from_secs(2 * 3600));
            session.access().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_in_step(&rig, &*session);
        }
    }

    fn every_fault_after_a_rotation_keeps_the_new_token_or_says_that_it_is_lost(rig: Config::default()) {
        let slow = ["delay", "drip"];
        for (name, _) in cotter_emulator::FAULTS.iter().filter(|(name, _)| !slow.contains(name)) {
            rig.server.reset();
            let session = rig.signed_in();
            rig.until_expired();
            rig.server.fault(Fault::new(*name).after_commit());
            let answer = session.access();
            rig.server.clear_faults();
            let issued = rig.server.current_refresh_token(ADA);
            match session.refresh_token() {
                Ok(token) if Some(&token) == issued.as_ref() => {
                    // Kept: the session goes on with it.
                    rig.clock.advance(Duration::from_secs(2 * 3600));
                    session.access().unwrap_or_else(|error| panic!("{name}: {error}"));
                    assert_eq!(rig.server.counters().reuses, 0, "{name}");
                }
                Ok(_) => {
                    // A server that rotates and does not say so is the only one that can be Ok here.
                    assert!(answer.is_err() || name.ends_with("-refresh-token"), "{name}");
                    rig.clock.advance(Duration::from_secs(2 * 3600));
                    let end = reason(&session.access().unwrap_err());
                    let told = [Some(SignInReason::RotationLost), Some(SignInReason::Refused)];
                    assert!(told.contains(&end), "{name}: {end:?}");
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Protocol, "{name}: {error}"),
            }
        }
    }

    fn an_expired_set_is_imported_and_refreshed(rig: Config::default()) {
        let set = rig.server.token_set(ADA);
        let session = rig.session();
        session.sign_in(&set).unwrap();
        let end = session.access().unwrap().claims().unwrap().expires_at().unwrap();
        rig.clock.set_wall(end.saturating_add(Duration::from_secs(1)));
        session.sign_in(&set).unwrap();
        assert_eq!(session.status().unwrap().state, State::Expired);
        assert!(session.status().unwrap().signed_in);
        session.access().unwrap();
        assert_eq!(rig.exchanges(), 1);
        assert_in_step(&rig, &*session);
        // Without a refresh token there is nothing to do with an old one.
        let bare = set.replace("refresh_token", "ignored");
        assert_eq!(rig.session().sign_in(&bare).unwrap_err().kind(), ErrorKind::Config);
    }

    fn after_a_shutdown_nothing_is_exchanged_and_a_fresh_token_still_serves(rig: Config::default()) {
        let session = rig.signed_in();
        let token = session.access().unwrap();
        assert!(session.shuts_down_clean());
        assert_eq!(session.access().unwrap(), token);
        assert!(unavailable(&session.refresh().unwrap_err()));
        rig.until_expired();
        assert!(unavailable(&session.access().unwrap_err()));
        assert_eq!(rig.requests(), 0);
    }

    fn a_token_refused_while_a_refresh_fails_stays_refused(rig: Config::default()) {
        let session = rig.signed_in();
        let first = session.access().unwrap();
        rig.until_stale();
        rig.server.pause();
        rig.server.fault(Fault::status(500).count(10));
        std::thread::scope(|scope| {
            // Due: on one face the caller flies, on the others a task does.
            let flying = scope.spawn(|| session.access());
            assert!(rig.server.wait_for_requests(1, Duration::from_secs(10)));
            let refused = scope.spawn(|| session.rejected(&first));
            while session.cached().is_some() {
                std::thread::yield_now();
            }
            rig.server.resume();
            assert!(refused.join().unwrap().is_err());
            let _ = flying.join().unwrap();
        });
        assert_eq!(session.cached(), None, "served again after the failure");
        assert!(session.access().is_err());
    }
}
