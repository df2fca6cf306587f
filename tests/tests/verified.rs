//! Sessions that verify what the server hands over, on all faces, by the emulator's own keys.

#![allow(clippy::unwrap_used, missing_docs)]

use core::time::Duration;
use std::sync::Arc;

use cotter::{ErrorKind, Event};
use cotter_emulator::{Config, Emulator, Fault};
use cotter_jwks::{Jwks, SessionVerifier};
use cotter_jwt::Verifier;
use cotter_tests::{ADA, Face, Kind, Rig};

/// Verifies as sessions of `rig` should, by the keys of `keys`.
fn by_keys_of(rig: &Rig, keys: &Emulator, change: fn(Verifier) -> Verifier) -> SessionVerifier {
    Jwks::at(&format!("{}/token/jwks", keys.base_url()))
        .unwrap()
        .clock(rig.clock.clone())
        .for_sessions(change(Verifier::cotter(rig.server.api_key_id())))
}

fn verifying(kind: Kind) -> Rig {
    let mut rig = Rig::new(kind, Config::default());
    rig.verifier = Some(Arc::new(by_keys_of(&rig, &rig.server, |own| own)));
    rig
}

fn in_step(rig: &Rig, session: &dyn Face) {
    assert_eq!(session.refresh_token().ok(), rig.server.current_refresh_token(ADA));
    assert_eq!(rig.server.counters().reuses, 0, "a spent token was presented");
}

fn the_keys_are_fetched_once_for_all_sessions(kind: Kind) {
    let rig = verifying(kind);
    let (one, two) = (rig.signed_in(), rig.session());
    for session in [&one, &two, &one] {
        rig.clock.advance(Duration::from_secs(60));
        session.refresh().unwrap();
    }
    assert_eq!(rig.server.counters().jwks, 1);
    assert!(!rig.events.take().contains(&Event::Unverified));
    in_step(&rig, &*two);
}

fn a_key_that_appeared_is_found_by_one_more_fetch(kind: Kind) {
    let rig = verifying(kind);
    let session = rig.signed_in();
    rig.server.rotate_keys();
    rig.clock.advance(Duration::from_secs(60));
    session.refresh().unwrap();
    assert_eq!(rig.server.counters().jwks, 2);
    in_step(&rig, &*session);
    // Another one at once: the cool-down is waited out, and nothing is believed blindly.
    rig.server.rotate_keys();
    session.refresh().unwrap();
    assert_eq!(rig.server.counters().jwks, 3);
    assert!(!rig.events.take().contains(&Event::Unverified));
}

fn an_outage_of_the_keys_ends_no_session_and_causes_no_refresh(kind: Kind) {
    let rig = verifying(kind);
    rig.server.fault(Fault::new("500").path("jwks").count(1_000));
    let session = rig.signed_in();
    rig.until_expired();
    let token = session.access().unwrap();
    assert_eq!(session.access().unwrap(), token);
    assert_eq!(rig.exchanges(), 1);
    assert!(rig.events.until(Event::Refreshed).contains(&Event::Unverified));
    in_step(&rig, &*session);
}

fn an_outage_of_the_keys_opens_nothing_but_the_signature(kind: Kind) {
    let mut rig = verifying(kind);
    rig.server.fault(Fault::new("500").path("jwks").count(1_000));
    let session = rig.signed_in();
    let good = session.access().unwrap();
    for fault in ["alg-none", "wrong-iss"] {
        rig.clock.advance(Duration::from_secs(60));
        rig.server.fault(Fault::new(fault).after_commit());
        let error = session.refresh().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{fault}: {error}");
        assert_eq!(session.access().unwrap(), good, "{fault}: what was there stays");
        in_step(&rig, &*session);
    }
    assert!(rig.events.take().contains(&Event::Unverified), "the sign-in");
    rig.clock.advance(Duration::from_secs(60));
    assert_ne!(session.refresh().unwrap(), good);
    assert!(rig.events.until(Event::Refreshed).contains(&Event::Unverified));

    let unsigned = {
        let set = rig.server.token_set(ADA);
        let token = serde_json::from_str::<serde_json::Value>(&set).unwrap();
        let token = token["access_token"].as_str().unwrap();
        let claims = token.split('.').nth(1).unwrap();
        // {"alg":"none","kid":"1"}
        set.replace(token, &format!("eyJhbGciOiJub25lIiwia2lkIjoiMSJ9.{claims}."))
    };
    let error = session.sign_in(&unsigned).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("alg_none"), "{error}");
    let other = by_keys_of(&rig, &rig.server, |own| own.issuer("https://else.example"));
    rig.verifier = Some(Arc::new(other));
    let error = rig.session().sign_in(&rig.server.token_set(ADA)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("wrong_issuer"), "{error}");
}

fn a_set_that_has_ended_is_signed_in_with_whether_its_keys_are_there_or_not(kind: Kind) {
    for faults in [0, 1_000] {
        let rig = verifying(kind);
        rig.server.fault(Fault::new("500").path("jwks").count(faults));
        let set = rig.server.token_set(ADA);
        rig.clock.advance(Duration::from_secs(100_000));
        let session = rig.session();
        session.sign_in(&set).unwrap();
        let told = rig.events.take().contains(&Event::Unverified);
        assert_eq!(told, faults > 0);
    }
}

fn what_another_server_signed_is_held_and_nothing_is_lost(kind: Kind) {
    let mut rig = Rig::new(kind, Config::default());
    let session = rig.signed_in();
    let good = session.access().unwrap();
    drop(session);

    let stranger = Emulator::start(Config::default()).unwrap();
    rig.verifier = Some(Arc::new(by_keys_of(&rig, &stranger, |own| own)));
    let session = rig.session();
    assert_eq!(session.refresh().unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(session.access().unwrap(), good, "still usable");
    in_step(&rig, &*session);
    let error = session.sign_in(&rig.server.token_set(ADA)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(session.access().unwrap(), good, "what was there stays");

    rig.verifier = Some(Arc::new(by_keys_of(&rig, &rig.server, |own| own)));
    let session = rig.session();
    rig.clock.advance(Duration::from_secs(60));
    assert_ne!(session.refresh().unwrap(), good);
}

fn what_nobody_signed_is_held_whatever_it_says(kind: Kind) {
    let rig = verifying(kind);
    let session = rig.signed_in();
    let good = session.access().unwrap();
    for fault in ["bad-signature", "unknown-kid", "alg-none"] {
        rig.clock.advance(Duration::from_secs(60));
        rig.server.fault(Fault::new(fault).after_commit());
        let error = session.refresh().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{fault}: {error}");
        assert_eq!(session.access().unwrap(), good, "{fault}");
        in_step(&rig, &*session);
    }
    rig.clock.advance(Duration::from_secs(60));
    assert_ne!(session.refresh().unwrap(), good);
}

macro_rules! all_faces {
    ($($name:ident),* $(,)?) => {
        mod asynchronous { $(#[test] fn $name() { super::$name(super::Kind::Async); })* }
        mod offloaded { $(#[test] fn $name() { super::$name(super::Kind::Offloaded); })* }
        mod blocking { $(#[test] fn $name() { super::$name(super::Kind::Blocking); })* }
    };
}

all_faces!(
    the_keys_are_fetched_once_for_all_sessions,
    a_key_that_appeared_is_found_by_one_more_fetch,
    an_outage_of_the_keys_ends_no_session_and_causes_no_refresh,
    an_outage_of_the_keys_opens_nothing_but_the_signature,
    a_set_that_has_ended_is_signed_in_with_whether_its_keys_are_there_or_not,
    what_another_server_signed_is_held_and_nothing_is_lost,
    what_nobody_signed_is_held_whatever_it_says,
);
