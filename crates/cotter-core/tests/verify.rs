//! A session that verifies what it is handed: keep first, then judge, and no keys' outage ends it.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use core::time::Duration;
use std::sync::{Arc, Mutex};

use cotter_core::{
    Ask, ErrorKind, Event, Goal, Handed, Now, Rotation, SecretBytes, Send, Step, StoreErrorKind,
    TransportError, Unfit, Verified, Verify, flow,
};
use support::{Process, Reply, World, grant, set};

type Script = fn(Now) -> Step<Verified>;

/// Does as the test says, and notes that it was asked.
#[derive(Clone, Debug)]
struct Scripted(Script, Arc<Mutex<Vec<Handed>>>);

impl Verify for Scripted {
    fn verify(&self, tokens: Handed, now: Now) -> Step<Verified> {
        self.1.lock().unwrap().push(tokens);
        (self.0)(now)
    }
}

/// Fetches keys, and believes the tokens if it gets any.
fn with_keys(now: Now) -> Step<Verified> {
    let request = http::Request::new(SecretBytes::from(b"keys".as_slice()));
    let not_after = now.boot.saturating_add(Duration::from_secs(5));
    Step::Send(Ask::new(
        Send { request, not_after },
        |_, answer: Result<http::Response<SecretBytes>, TransportError>| {
            Step::Done(match answer {
                Ok(response) if response.body().expose() == b"good" => Verified::Sound,
                Ok(_) => Verified::Unsound("bad_signature"),
                Err(_) => Verified::Undecided,
            })
        },
    ))
}

fn endless(_: Now) -> Step<Verified> {
    Step::Sleep(Ask::new(Duration::from_millis(1), |now, ()| endless(now)))
}

fn unsound(_: Now) -> Step<Verified> {
    Step::Done(Verified::Unsound("bad_signature"))
}

fn body(body: &str) -> Reply {
    Reply::Body(200, body.to_owned())
}

/// A process whose token has ended and whose next sets are judged by `script`.
fn verifying(script: Script) -> (World, Process, Scripted) {
    let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
    process.sign_in(&mut world, set("a1", "r1"), 1);
    world.seconds(3540);
    world.told();
    let verifier = Scripted(script, Arc::default());
    process.verifier = Some(Arc::new(verifier.clone()));
    (world, process, verifier)
}

#[test]
fn keys_at_hand_cost_no_step() {
    let (mut world, mut process, verifier) = verifying(|_| Step::Done(Verified::Sound));
    world.seconds(60);
    world.replies.push_back(grant("a2", "r2"));
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(world.told(), "Load, Lease, Load, Save(2), Send, Save(3), Publish, Release, Done");
    assert_eq!(verifier.1.lock().unwrap().len(), 1);
}

#[test]
fn what_is_not_signed_is_held_and_its_refresh_token_kept() {
    let (mut world, mut process, _) = verifying(unsound);
    world.replies.push_back(grant("forged", "r2"));
    let error = process.acquire(&mut world, Goal::refresh()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(world.stored_refresh(), "r2");
    let stored = world.stored();
    assert_eq!(stored.held, Some(Unfit::Unverified));
    assert_eq!(stored.access.unwrap().token.expose(), "a1", "the old one is served while it lasts");

    world.seconds(120);
    process.verifier = None;
    world.replies.push_back(grant("a3", "r3"));
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a3");
    assert_eq!(world.sent, ["r1", "r2"]);
    assert_eq!(world.stored().held, None);
}

#[test]
fn the_refresh_token_is_durable_before_keys_are_fetched() {
    let (mut world, mut process, _) = verifying(with_keys);
    world.seconds(60);
    world.replies.extend([grant("a2", "r2"), body("good")]);
    world.meanwhile.insert(
        2,
        Box::new(|world: &mut World| {
            assert_eq!(world.stored_refresh(), "r2");
            assert_eq!(world.stored().access.unwrap().token.expose(), "a1", "not judged yet");
            assert_eq!(world.published.len(), 1, "the sign-in, nothing newer");
        }),
    );
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(
        world.told(),
        "Load, Lease, Load, Save(2), Send, Save(3), Send, Save(4), Publish, Release, Done"
    );
    assert_eq!(world.stored().held, None);
    assert_eq!(process.events, [Event::Refreshed]);
}

#[test]
fn keys_that_were_fetched_can_say_no() {
    let (mut world, mut process, _) = verifying(with_keys);
    world.replies.extend([grant("forged", "r2"), body("bad")]);
    let error = process.acquire(&mut world, Goal::refresh()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        (world.stored_refresh().as_str(), world.stored().held),
        ("r2", Some(Unfit::Unverified))
    );
}

#[test]
fn rule_04_an_unavailable_jwks_holds_no_set_and_causes_no_exchange() {
    let (mut world, mut process, _) = verifying(with_keys);
    world.seconds(60);
    world.replies.extend([grant("a2", "r2"), Reply::Unsent]);
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(process.events, [Event::Unverified, Event::Refreshed]);
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(world.sent, ["r1", "revoke"], "one exchange; the other request is for the keys");
}

#[test]
fn a_crash_between_keeping_and_judging_costs_an_exchange_and_no_session() {
    let (mut world, mut process, _) = verifying(with_keys);
    world.seconds(60);
    world.replies.push_back(grant("a2", "r2"));
    let mut step = process.begin(&world, Goal::access());
    while !matches!(&step, Step::Send(_)) || world.sent.is_empty() {
        step = world.once(step).err().unwrap();
    }
    drop(step);
    world.lease = None;

    let mut next = Process::new(Rotation::Strict);
    world.replies.push_back(grant("a3", "r3"));
    assert_eq!(next.acquire(&mut world, Goal::access()).unwrap(), "a3");
    assert_eq!(world.sent, ["r1", "r2"]);
}

#[test]
fn a_verifier_without_end_is_left_behind() {
    let (mut world, mut process, _) = verifying(endless);
    world.seconds(60);
    world.replies.push_back(grant("a2", "r2"));
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(process.events, [Event::Unverified, Event::Refreshed]);
}

#[test]
fn a_login_that_is_not_signed_is_refused() {
    let (mut world, process, verifier) = verifying(unsound);
    let cx = process.context();
    let vetted = world.drive(flow::vet(&cx, &set("forged", "r9"), world.now()));
    assert_eq!(vetted.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(verifier.1.lock().unwrap().len(), 1);
    assert_eq!(world.stored_refresh(), "r1");
}

#[test]
fn an_access_token_for_others_is_not_ours_to_verify() {
    let (mut world, mut process, verifier) = verifying(|_| Step::Done(Verified::Sound));
    world.seconds(60);
    world.replies.push_back(grant("opaque", "r2"));
    process.acquire(&mut world, Goal::access()).unwrap();
    assert!(verifier.1.lock().unwrap()[0].access_token.is_none());
}

#[test]
fn rule_04_a_set_that_waits_for_its_keys_is_judged_however_late_it_is_stored() {
    let (mut world, mut process, _) = verifying(with_keys);
    world.seconds(60);
    world.replies.extend([grant("a2", "r2"), body("good")]);
    for save in 3..=5 {
        world.saving.insert(save, support::Saving::Fails(StoreErrorKind::Full));
    }
    process.acquire(&mut world, Goal::access()).unwrap_err();
    assert_eq!(process.events, [Event::Unpersisted], "and not judged yet");
    // A session keeps it, and gives the flight that stores it a copy.
    let copy = process.kept.as_ref().unwrap().duplicate();
    process.kept = Some(copy);
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(world.stored().held, None);
    assert_eq!(world.sent, ["r1", "revoke"], "one exchange, and the keys");
}
