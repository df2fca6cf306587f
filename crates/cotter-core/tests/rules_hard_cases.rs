//! The rules of a refresh where more than one thing goes wrong: wrong clocks, stores that answer late
//! or not at all, servers that answer nonsense. Transcripts in virtual time, as in `rules.rs`.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use core::time::Duration;
use std::sync::Arc;

use cotter_core::flow::Outcome;
use cotter_core::{
    AccessToken, ErrorKind, Event, Fingerprint, Goal, Policy, Provider, Rotation, SignInReason,
    Step, StoreErrorKind, Verdict,
};
use support::{
    GRACE, Process, Reply, Saving, World, expired, grant, is_uncertain, reason, refusal, set, stale,
};

/// Signed in a minute ago.
fn fresh() -> (World, Process) {
    let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
    process.sign_in(&mut world, set("a1", "r1"), 1);
    world.seconds(60);
    world.told();
    (world, process)
}

/// A set was granted and could not be stored; `heal` says whether the store takes it from now on.
fn unpersisted(heal: bool) -> (World, Process) {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(grant("a2", "r2"));
    for save in 3..=if heal { 5 } else { 50 } {
        world.saving.insert(save, Saving::Fails(StoreErrorKind::Full));
    }
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(process.events, [Event::Unpersisted]);
    world.seconds(20);
    world.told();
    (world, process)
}

#[test]
fn rule_01_a_forced_refresh_is_not_answered_by_what_an_earlier_one_could_not_store() {
    let (mut world, mut process) = unpersisted(true);
    world.replies.push_back(grant("a3", "r3"));
    assert_eq!(process.acquire(&mut world, Goal::refresh()).unwrap(), "a3");
    assert_eq!(world.sent, ["r1", "r2"]);
    assert_eq!(process.events, [Event::Persisted, Event::Refreshed]);
    // And where the store still takes nothing, it says so instead of making believe.
    let (mut world, mut process) = unpersisted(false);
    let error = process.acquire(&mut world, Goal::refresh()).unwrap_err();
    assert_eq!(error.store_error().map(|error| error.kind()), Some(StoreErrorKind::Full));
    assert_eq!(world.sent, ["r1"]);
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2", "still in use");
}

#[test]
fn rule_01_a_token_refused_while_it_is_unpersisted_is_stored_and_then_replaced() {
    let (mut world, mut process) = unpersisted(true);
    world.replies.push_back(grant("a3", "r3"));
    let other = Goal::instead_of(AccessToken::new("a2"));
    assert_eq!(process.acquire(&mut world, other).unwrap(), "a3");
    assert_eq!(world.sent, ["r1", "r2"]);
}

#[test]
fn rule_01_what_is_stored_only_after_its_end_is_refreshed_like_any_other() {
    let (mut world, mut process) = unpersisted(true);
    world.seconds(3700);
    world.replies.push_back(grant("a3", "r3"));
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a3");
    assert_eq!(world.sent, ["r1", "r2"]);
}

#[test]
fn rule_01_storing_what_was_kept_exchanges_nothing_however_old_it_is() {
    let (mut world, mut process) = unpersisted(true);
    world.seconds(3700);
    process.acquire(&mut world, Goal::keep()).unwrap();
    assert_eq!((world.stored_refresh().as_str(), world.lease), ("r2", None));
    assert_eq!(process.events, [Event::Persisted]);
    assert_eq!(world.sent, ["r1"]);
    // Nor where another sign-in has taken its place meanwhile, under whose lease it does nothing.
    let (mut world, mut process) = unpersisted(true);
    Process::new(Rotation::Strict).sign_in(&mut world, set("b1", "s1"), 2);
    world.seconds(3700);
    let _ = process.acquire(&mut world, Goal::keep());
    assert_eq!((world.sent.as_slice(), world.lease), (&["r1".to_owned()][..], None));
}

#[test]
fn rule_02_a_flight_that_resumes_takes_a_lease_of_its_own_before_it_sends() {
    let (mut world, mut process) = unpersisted(true);
    // The lease that was kept is gone: a sign-in gave it back, and somebody else has it now.
    Process::new(Rotation::Strict).sign_in(&mut world, set("b1", "s1"), 2);
    world.lease = Some(99);
    world.seconds(3700);
    let error = process.acquire(&mut world, Goal::access()).unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(world.sent, ["r1"], "it waits, and sends nothing");
    assert_eq!(world.lease, Some(99));
}

/// The same process, whose flights have no time to let a token rest.
fn hurried(mut process: Process) -> Process {
    process.policy = process.policy.with_flight_budget(Duration::from_secs(12));
    process
}

/// A note of a lost answer, whose lease somebody let lapse: the next flight is about to take it over.
fn lapsed() -> (World, Process) {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(Reply::Lost);
    process.acquire(&mut world, Goal::access()).unwrap_err();
    world.seconds(100);
    world.lapsed = true;
    (world, hurried(process))
}

#[test]
fn rule_02_a_lapsed_lease_is_waited_out_by_the_next_one_if_not_by_this() {
    let (mut world, mut process) = lapsed();
    let error = process.acquire(&mut world, Goal::access()).unwrap_err();
    assert!(
        is_uncertain(&error) && error.retry_after() >= Some(Duration::from_secs(10)),
        "{error}"
    );
    assert_eq!(world.sent, ["r1"]);
    let before = world.boot;
    world.replies.push_back(grant("a2", "r2"));
    assert_eq!(Process::new(Rotation::Strict).acquire(&mut world, Goal::access()).unwrap(), "a2");
    let rested = Duration::from_millis(world.boot - before);
    assert!(rested >= Duration::from_secs(10), "it rested {rested:?}");
}

#[test]
fn rule_03_a_set_that_comes_after_its_lease_has_lapsed_replaces_the_token_it_was_granted_for() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.lasts = Some(Duration::from_secs(60));
    world.replies.push_back(grant("a2", "r2"));
    // The machine sleeps; another one takes the lease over and leaves a note, no more.
    world.meanwhile.insert(
        1,
        Box::new(|world| {
            world.seconds(100);
            (world.lease, world.lapsed) = (None, true);
            let mut other = hurried(Process::new(Rotation::Strict));
            other.acquire(world, Goal::access()).unwrap_err();
        }),
    );
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!((world.stored_refresh().as_str(), world.stored().journal), ("r2", None));
    assert_eq!(process.events, [Event::Refreshed]);
    assert_eq!(world.sent, ["r1"]);
}

#[test]
fn rule_11_a_note_within_its_grace_stays_as_it_is_whoever_takes_a_lapsed_lease_over() {
    let (mut world, mut process) = expired(Rotation::Grace(Duration::from_secs(120)));
    world.replies.extend((0..40).map(|_| Reply::Lost));
    process.acquire(&mut world, Goal::access()).unwrap_err();
    world.replies.clear();
    let note = world.stored().journal;
    world.lapsed = true;
    let mut process = hurried(process);
    process.memory.trouble = None;
    process.acquire(&mut world, Goal::refresh()).unwrap_err();
    assert_eq!(world.stored().journal, note);
}

#[test]
fn rule_02_who_meets_another_ones_set_where_he_would_leave_a_note_takes_it() {
    let (mut world, mut process) = lapsed();
    process.memory.trouble = None;
    let mut step = process.begin(&world, Goal::access());
    while !matches!(step, Step::Save(_)) {
        step = world.once(step).unwrap_err();
    }
    Process::new(Rotation::Strict).sign_in(&mut world, set("b1", "s1"), 2);
    let outcome = world.drive(step);
    assert_eq!(process.take(outcome).unwrap(), "b1");
}

#[test]
fn rule_03_a_grant_is_not_given_up_for_a_record_that_cannot_be_read() {
    for kind in [StoreErrorKind::KeyMissing, StoreErrorKind::Damaged, StoreErrorKind::Locked] {
        let (mut world, mut process) = expired(Rotation::Strict);
        world.replies.push_back(grant("a2", "r2"));
        world.saving.insert(3, Saving::TimesOut);
        world.meanwhile.insert(1, Box::new(move |world| world.unreadable = Some(kind)));
        assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2", "{kind:?}");
        assert_eq!(process.events, [Event::Unpersisted]);
        assert!(world.lease.is_some(), "nobody else may present the journaled token");
        world.unreadable = None;
        assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
        assert_eq!((world.stored_refresh().as_str(), world.lease), ("r2", None));
        assert_eq!(world.sent, ["r1"]);
    }
}

#[test]
fn rule_04_another_users_set_ends_the_exchanges_even_without_a_refresh_token() {
    // The access token of an OAuth provider is opaque: the ID token says whose it is.
    let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
    let whose = |user: &str| {
        let claims =
            format!(r#"{{"sub":"{user}","aud":"client","exp":{}}}"#, support::START + 90_000);
        let part =
            |text: &str| base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, text);
        format!("{}.{}.c2ln", part(r#"{"alg":"ES256"}"#), part(&claims))
    };
    let login = format!(
        r#"{{"access_token":"a1","id_token":"{}","refresh_token":"r1","expires_in":3600}}"#,
        whose("ada")
    );
    process.sign_in(&mut world, login.parse().unwrap(), 1);
    world.seconds(3601);
    let theirs =
        format!(r#"{{"access_token":"x","id_token":"{}","expires_in":3600}}"#, whose("eve"));
    world.server = Some(Box::new(move |_| Reply::Body(200, theirs.clone())));
    for _ in 0..5 {
        let error = process.acquire(&mut world, Goal::access()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        world.seconds(120);
    }
    assert_eq!(world.sent.len(), 1, "nothing further is exchanged");
    assert_eq!(world.stored_refresh(), "r1");
    // Nor is theirs handed out where it could not even be stored.
    let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
    process.sign_in(&mut world, login.parse().unwrap(), 1);
    world.seconds(3601);
    let theirs =
        format!(r#"{{"access_token":"x","id_token":"{}","refresh_token":"their"}}"#, whose("eve"));
    world.replies.push_back(Reply::Body(200, theirs));
    for save in 3..=5 {
        world.saving.insert(save, Saving::Fails(StoreErrorKind::Full));
    }
    process.acquire(&mut world, Goal::access()).unwrap_err();
    let refused = process.kept.as_ref().unwrap().refresh_token().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Protocol);
}

#[test]
fn rule_04_an_access_token_for_a_resource_server_does_not_say_who_the_user_is() {
    let token = |user: &str, audience: &str| {
        let end = support::START + 90_000;
        let claims = format!(r#"{{"sub":"{user}","aud":"{audience}","exp":{end}}}"#);
        let part =
            |text: &str| base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, text);
        format!("{}.{}.c2ln", part(r#"{"alg":"ES256"}"#), part(&claims))
    };
    let body = |access: &str, id: Option<&str>| {
        let id = id.map_or_else(String::new, |id| format!(r#","id_token":"{id}""#));
        format!(r#"{{"access_token":"{access}","refresh_token":"r","expires_in":3600{id}}}"#)
    };
    let (pairwise, id) = (token("pairwise", "api"), token("ada", "client"));
    let eve = token("eve", "client");
    for (access, id_token, fits) in [
        ("opaque", Some(&id), true),
        (&*pairwise, Some(&id), true),
        (&*pairwise, None, true),
        ("opaque", None, true),
        ("opaque", Some(&eve), false),
        (&*token("eve", "api"), None, false),
        (&*token("eve", "client"), None, false),
    ] {
        let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
        process.sign_in(&mut world, body(&pairwise, Some(&id)).parse().unwrap(), 1);
        assert_eq!(world.stored().user.as_deref(), Some("ada"));
        world.seconds(60);
        let answer = body(access, id_token.map(String::as_str));
        world.replies.push_back(Reply::Body(200, answer.clone()));
        let result = process.acquire(&mut world, Goal::refresh());
        assert_eq!(result.is_ok(), fits, "{answer}");
    }
}

#[test]
fn rule_05_a_forced_refresh_that_meets_another_sign_in_does_not_spend_its_token() {
    // The answer to the old token may be anything.
    for reply in [grant("a2", "r2"), refusal()] {
        let (mut world, mut process) = fresh();
        world.replies.push_back(reply);
        let act = |world: &mut World| {
            Process::new(Rotation::Strict).sign_in(world, set("b1", "s1"), 2);
        };
        world.meanwhile.insert(1, Box::new(act));
        assert_eq!(process.acquire(&mut world, Goal::refresh()).unwrap(), "b1");
        assert_eq!(world.sent, ["r1"]);
        assert_eq!((world.stored_refresh().as_str(), world.lease), ("s1", None));
        // Who insists from now on does mean the new one.
        world.replies.push_back(grant("b2", "s2"));
        assert_eq!(process.acquire(&mut world, Goal::refresh()).unwrap(), "b2");
    }
    // A sign-in that came before is the one to refresh, also where it was not seen yet.
    let (mut world, mut process) = fresh();
    Process::new(Rotation::Strict).sign_in(&mut world, set("b1", "s1"), 2);
    world.replies.push_back(grant("b2", "s2"));
    assert_eq!(process.acquire(&mut world, Goal::refresh()).unwrap(), "b2");
    assert_eq!(world.sent, ["s1"]);
}

#[test]
fn rule_09_a_refusal_outlasts_a_clock_that_is_set_back_but_not_for_ever() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(refusal());
    process.acquire(&mut world, Goal::access()).unwrap_err();
    for (seconds, sends) in [(120, 1), (1_800, 1), (7_200, 2)] {
        world.wall -= seconds * 1000;
        world.replies.push_back(refusal());
        let error = process.acquire(&mut world, Goal::access()).unwrap_err();
        assert_eq!(reason(&error), Some(SignInReason::Refused));
        assert_eq!(world.sent.len(), sends, "{seconds} s back");
        world.replies.clear();
    }
}

#[test]
fn rule_10_a_time_in_the_future_counts_as_now() {
    // The wall clock stood a day ahead, the answer was lost; then a reboot with the right clock.
    let (mut world, mut process) = expired(Rotation::Strict);
    world.wall += 86_400_000;
    world.replies.push_back(Reply::Lost);
    process.acquire(&mut world, Goal::access()).unwrap_err();
    world.wall -= 86_400_000;
    world.boot_id = 2;
    world.boot = 5_000;
    world.replies.push_back(grant("a2", "r2"));
    let before = world.boot;
    let mut next = Process::new(Rotation::Strict);
    assert_eq!(next.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert!((10_000..15_000).contains(&(world.boot - before)), "after one send budget");
    assert_eq!(world.sent, ["r1", "r1"]);
}

#[test]
fn rule_10_who_may_not_try_while_a_token_is_usable_hears_how_long_that_is() {
    let (mut world, mut process) = fresh();
    world.replies.push_back(Reply::Lost);
    process.acquire(&mut world, Goal::refresh()).unwrap_err();
    world.seconds(20);
    let error = process.acquire(&mut world, Goal::refresh()).unwrap_err();
    // An hour, less the 80 seconds that have passed and the five at its end.
    assert_eq!(error.retry_after(), Some(Duration::from_millis(3_514_900)), "{error}");
    world.pass(error.retry_after().unwrap());
    world.replies.push_back(grant("a2", "r2"));
    assert_eq!(process.acquire(&mut world, Goal::refresh()).unwrap(), "a2");
}

#[test]
fn rule_10_an_answer_without_any_token_may_have_spent_the_one_that_was_sent() {
    let (mut world, mut process) = stale(Rotation::Strict);
    world.replies.push_back(Reply::Body(200, "{}".into()));
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a1");
    assert!(world.stored().journal.is_some());
    world.seconds(2);
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a1");
    assert_eq!(world.sent, ["r1"], "not presented while there is a usable token");
    world.seconds(60);
    world.replies.push_back(refusal());
    let error = process.acquire(&mut world, Goal::access()).unwrap_err();
    assert_eq!(reason(&error), Some(SignInReason::RotationLost));
}

#[test]
fn rule_10_a_rest_that_is_longer_than_a_flight_may_wait_is_said_at_once() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(Reply::Lost);
    process.acquire(&mut world, Goal::access()).unwrap_err();
    world.told();
    let patient = Policy::default().with_rest_wait(Duration::from_millis(500));
    let mut next = Process { policy: patient.clone(), ..Process::new(Rotation::Strict) };
    let error = next.acquire(&mut world, Goal::access()).unwrap_err();
    assert!(is_uncertain(&error));
    assert!(error.to_string().ends_with("it has to rest before it is tried again"), "{error}");
    let rest = error.retry_after().unwrap();
    assert!(rest > Duration::from_secs(9) && rest <= Duration::from_secs(10), "{rest:?}");
    assert_eq!(world.told(), "Load, Publish, Lease, Load, Release, Done");
    // What is left of it then is not worth coming back for.
    world.pass(rest - Duration::from_millis(400));
    world.replies.push_back(grant("a2", "r2"));
    let mut last = Process { policy: patient.clone(), ..Process::new(Rotation::Strict) };
    assert_eq!(last.acquire(&mut world, Goal::access()).unwrap(), "a2");
    // Who took a lapsed lease over waits all the same: nobody after him would know of it (rule 2).
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.extend([Reply::Lost, grant("a2", "r2")]);
    process.acquire(&mut world, Goal::access()).unwrap_err();
    world.lapsed = true;
    let mut heir = Process { policy: patient, ..Process::new(Rotation::Strict) };
    assert_eq!(heir.acquire(&mut world, Goal::access()).unwrap(), "a2");
    // While a token is usable, it is its end that is waited for.
    let (mut world, mut process) = stale(Rotation::Strict);
    world.replies.push_back(Reply::Lost);
    process.acquire(&mut world, Goal::access()).unwrap();
    let error = process.acquire(&mut world, Goal::refresh()).unwrap_err();
    assert!(error.to_string().ends_with("when the access token has ended"), "{error}");
}

#[test]
fn rule_11_nothing_that_may_be_spent_is_sent_past_the_grace() {
    // Lost, then told to wait for longer than the grace lasts.
    let grace = Rotation::Grace(Duration::from_secs(10));
    for replies in [
        [Reply::Lost, Reply::With(429, "retry-after", "9"), grant("a2", "r2")],
        [Reply::Lost, Reply::With(503, "retry-after", "9"), grant("a2", "r2")],
    ] {
        let (mut world, mut process) = expired(grace);
        world.replies.extend(replies);
        assert!(process.acquire(&mut world, Goal::access()).is_err());
        assert_eq!(world.sent.len(), 2);
        assert!(world.stored().journal.is_some(), "the note stays");
        assert!(process.events.contains(&Event::Uncertain));
    }
}

#[test]
fn rule_15_a_good_token_survives_a_record_that_cannot_be_read_or_is_old() {
    let (mut world, mut process) = fresh();
    let old = world.record.as_ref().map(|(revision, record)| (*revision, record.duplicate()));
    world.replies.push_back(grant("a2", "r2"));
    process.acquire(&mut world, Goal::refresh()).unwrap();
    for unreadable in [Some(StoreErrorKind::Damaged), Some(StoreErrorKind::KeyMissing), None] {
        world.unreadable = unreadable;
        if unreadable.is_none() {
            world.record = old.as_ref().map(|(at, record)| (*at, record.duplicate()));
        }
        world.seconds(6);
        assert!(matches!(process.verdict(&world, &Goal::access()), Verdict::Look));
        assert_eq!(process.look(&mut world).unwrap(), "a2", "{unreadable:?}");
        assert!(matches!(process.verdict(&world, &Goal::access()), Verdict::Serve));
    }
}

#[test]
fn rule_16_a_missing_id_token_costs_one_exchange_and_not_one_a_call() {
    let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
    let login = r#"{"access_token":"a1","id_token":"i1","refresh_token":"r1","expires_in":3600}"#;
    process.sign_in(&mut world, login.parse().unwrap(), 1);
    world.seconds(100);
    let mut served = 1;
    world.server = Some(Box::new(move |_| {
        served += 1;
        grant(&format!("a{served}"), &format!("r{served}"))
    }));
    for _ in 0..5 {
        let error = process.acquire(&mut world, Goal::id()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(world.sent.len(), 1);
    assert!(matches!(process.verdict(&world, &Goal::id()), Verdict::Fail(_)));
}

#[test]
fn rule_16_what_a_sign_in_brought_was_not_granted_by_an_exchange() {
    let brief = r#"{"access_token":"a1","refresh_token":"r1","expires_in":30}"#;
    for goal in [Goal::access_for(Duration::from_secs(60)), Goal::id(), Goal::refresh()] {
        let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
        process.sign_in(&mut world, brief.parse().unwrap(), 1);
        let answer =
            r#"{"access_token":"a2","id_token":"i2","refresh_token":"r2","expires_in":3600}"#;
        world.replies.push_back(Reply::Body(200, answer.into()));
        assert!(matches!(process.verdict(&world, &goal), Verdict::Fly), "{goal:?}");
        // Whatever comes of it: it is asked for. (An opaque ID token has no end, so it is no use.)
        let _ = process.acquire(&mut world, goal);
        assert_eq!(world.sent.len(), 1);
    }
    // What an exchange brought is another matter, for any process.
    let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
    process.sign_in(&mut world, brief.parse().unwrap(), 1);
    world.replies.push_back(grant("a2", "r2"));
    for goal in [Goal::access_for(Duration::from_secs(7200)), Goal::id_for(Duration::from_secs(1))]
    {
        let _ = process.acquire(&mut world, goal.clone());
        assert!(Process::new(Rotation::Strict).acquire(&mut world, goal).is_err());
    }
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn rule_16_a_late_401_says_nothing_of_the_token_that_has_taken_its_place() {
    let (mut world, mut process) = fresh();
    world.server = Some(Box::new(|_| Reply::Body(503, String::new())));
    let refused = Goal::instead_of(AccessToken::new("a1"));
    process.acquire(&mut world, refused).unwrap_err();
    let late = Goal::instead_of(AccessToken::new("a0"));
    assert!(process.acquire(&mut world, late.clone()).is_err(), "a1 is never served again");
    let mut other = Process::new(Rotation::Strict);
    assert!(other.acquire(&mut world, late).is_err(), "in no process");
    assert!(world.stored().rejected.is_some());
}

#[test]
fn rule_16_a_rejection_is_written_down_also_where_nothing_is_exchanged() {
    let reject = |world: &mut World, process: &mut Process, token: &str| {
        let sent = world.sent.len();
        // What a session does before it flies.
        let token = AccessToken::new(token);
        let shown = process.view.as_ref().and_then(|view| view.without_access(&token)).unwrap();
        process.memory.rejected = Some(Fingerprint::of(token.expose()));
        process.view = Some(Arc::new(shown));
        let goal = Goal::instead_of(token);
        assert!(matches!(process.verdict(world, &goal), Verdict::Fly));
        let error = process.acquire(world, goal.clone()).unwrap_err();
        assert_eq!(world.sent.len(), sent, "nothing is exchanged");
        assert!(world.stored().rejected.is_some(), "{error}");
        let mut other = Process::new(Rotation::Strict);
        other.look(world).unwrap();
        assert!(!other.view.unwrap().has_usable_access(world.now().boot), "{error}");
        // It was written once, and nobody flies for it again.
        let saves = world.saves;
        let _ = process.acquire(world, goal);
        assert_eq!((world.saves, world.lease), (saves, None));
        error
    };
    // There is no refresh token.
    let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
    let login = r#"{"access_token":"a1","expires_in":3600}"#;
    process.sign_in(&mut world, login.parse().unwrap(), 1);
    let error = reject(&mut world, &mut process, "a1");
    assert_eq!(reason(&error), Some(SignInReason::NoRefreshToken));
    // It was refused.
    let (mut world, mut process) = fresh();
    world.replies.push_back(refusal());
    process.acquire(&mut world, Goal::refresh()).unwrap_err();
    let error = reject(&mut world, &mut process, "a1");
    assert_eq!(reason(&error), Some(SignInReason::Refused));
    // The token was granted a moment ago.
    let (mut world, mut process) = fresh();
    world.replies.push_back(grant("a2", "r2"));
    process.acquire(&mut world, Goal::refresh()).unwrap();
    assert!(reject(&mut world, &mut process, "a2").is_transient());
    // The server asked to be left alone.
    let (mut world, mut process) = stale(Rotation::Strict);
    world.replies.push_back(Reply::With(429, "retry-after", "600"));
    process.acquire(&mut world, Goal::access()).unwrap();
    assert!(reject(&mut world, &mut process, "a1").is_transient());
}

#[test]
fn rule_16_a_rejection_that_cannot_be_written_down_fails_no_call_and_is_owed() {
    let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
    let login = r#"{"access_token":"a1","expires_in":3600}"#;
    process.sign_in(&mut world, login.parse().unwrap(), 1);
    let goal = Goal::instead_of(AccessToken::new("a1"));
    world.saving.insert(2, Saving::Fails(StoreErrorKind::Full));
    for owed in [true, false] {
        let error = process.acquire(&mut world, goal.clone()).unwrap_err();
        assert_eq!(reason(&error), Some(SignInReason::NoRefreshToken));
        assert_eq!(process.memory.owes_note(process.view.as_ref().unwrap()), owed);
    }
}

#[test]
fn rule_17_a_nonsense_answer_of_success_is_no_proof_that_nothing_was_spent() {
    for body in [r#"{"error":"server_error"}"#, r#"{"error":"slow_down"}"#, "[]", "ok"] {
        let (mut world, mut process) = expired(Rotation::Strict);
        world.replies.push_back(Reply::Body(200, body.into()));
        assert!(is_uncertain(&process.acquire(&mut world, Goal::access()).unwrap_err()), "{body}");
        assert!(world.stored().journal.is_some(), "{body}");
        assert_eq!(world.sent.len(), 1, "{body}");
    }
}

#[test]
fn rule_17_what_was_not_sent_leaves_the_note_of_an_earlier_attempt_as_it_was() {
    for unspent in [
        || vec![Reply::Unsent, Reply::Unsent],
        || vec![Reply::With(429, "retry-after", "120")],
        || vec![Reply::Body(401, r#"{"error":"invalid_client"}"#.into())],
    ] {
        let (mut world, mut process) = expired(Rotation::Strict);
        world.replies.push_back(Reply::Lost);
        process.acquire(&mut world, Goal::access()).unwrap_err();
        let note = world.stored().journal;
        world.seconds(10);
        // However often: the token has rested since the only attempt that may have spent it.
        for _ in 0..8 {
            world.replies.extend(unspent());
            let before = world.boot;
            let mut offline = Process::new(Rotation::Strict);
            let error = offline.acquire(&mut world, Goal::access()).unwrap_err();
            assert!(!is_uncertain(&error), "{error}");
            assert!(world.boot - before < 1_000, "it waits for nothing");
            assert_eq!(world.stored().journal, note);
        }
        world.replies.push_back(refusal());
        let mut online = Process::new(Rotation::Strict);
        let error = online.acquire(&mut world, Goal::access()).unwrap_err();
        assert_eq!(reason(&error), Some(SignInReason::RotationLost), "it is still known");
    }
}

#[test]
fn rule_18_pauses_double_for_answers_that_cannot_be_used() {
    for body in
        [r#"{"refresh_token":"R"}"#, r#"{"access_token":"a","refresh_token":"R","expires_in":0}"#]
    {
        let (mut world, mut process) = expired(Rotation::Strict);
        let mut served = 1;
        let body = body.to_owned();
        world.server = Some(Box::new(move |_| {
            served += 1;
            Reply::Body(200, body.replace('R', &format!("r{served}")))
        }));
        let mut pauses = Vec::new();
        for _ in 0..5 {
            process.acquire(&mut world, Goal::access()).unwrap_err();
            let until = process.memory.trouble.as_ref().unwrap().until;
            let pause = until.saturating_since(world.now().boot);
            pauses.push(pause.as_secs());
            world.pass(pause);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16]);
    }
}

#[test]
fn rule_18_a_store_that_fails_is_not_asked_again_by_every_caller() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.unreadable = Some(StoreErrorKind::Locked);
    let error = process.acquire(&mut world, Goal::access()).unwrap_err();
    assert_eq!(error.store_error().map(|error| error.kind()), Some(StoreErrorKind::Locked));
    // On a shared store somebody looks now and then; everybody else hears the same.
    assert!(matches!(process.verdict(&world, &Goal::access()), Verdict::Look));
    let _ = process.look(&mut world);
    let Verdict::Fail(same) = process.verdict(&world, &Goal::access()) else {
        panic!("not failed")
    };
    assert_eq!(same.to_string(), error.to_string());
    // Whoever insists does ask, and everybody does after the pause.
    assert!(matches!(process.verdict(&world, &Goal::refresh()), Verdict::Fly));
    world.seconds(2);
    assert!(matches!(process.verdict(&world, &Goal::access()), Verdict::Fly | Verdict::Look));
}

#[test]
fn rule_18_a_note_that_rests_is_not_looked_at_by_every_caller_while_a_token_is_usable() {
    let (mut world, mut process) = stale(Rotation::Strict);
    world.replies.push_back(Reply::Lost);
    process.acquire(&mut world, Goal::access()).unwrap();
    world.seconds(2);
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a1");
    assert!(matches!(process.verdict(&world, &Goal::access()), Verdict::Serve));
    // What others do is noticed all the same, within the interval.
    Process::new(Rotation::Strict).sign_in(&mut world, set("b1", "s1"), 2);
    world.seconds(6);
    assert!(matches!(process.verdict(&world, &Goal::access()), Verdict::Look));
    assert_eq!(process.look(&mut world).unwrap(), "b1");
    // And a pause never outlasts the token that it was made for.
    let (mut world, mut process) = stale(Rotation::Strict);
    world.replies.push_back(Reply::Lost);
    process.acquire(&mut world, Goal::access()).unwrap();
    world.seconds(2);
    process.acquire(&mut world, Goal::access()).unwrap();
    world.seconds(24);
    world.replies.push_back(grant("a2", "r2"));
    assert!(matches!(process.verdict(&world, &Goal::access()), Verdict::Fly));
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
}

#[test]
fn rule_02_after_a_lapsed_lease_with_a_note_even_a_strict_one_rests_a_whole_budget() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(Reply::Lost);
    process.acquire(&mut world, Goal::access()).unwrap_err();
    world.seconds(61);
    world.lapsed = true;
    world.replies.push_back(grant("a2", "r2"));
    let before = world.boot;
    let mut other = Process::new(Rotation::Strict);
    assert_eq!(other.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert!(world.boot - before >= 10_000, "it waited {} ms", world.boot - before);
}

#[test]
fn rule_18_a_flight_keeps_to_its_budget_lease_and_all() {
    // The lease is had at the last moment: one whole send budget is left, and no more.
    let (mut world, mut process) = expired(Rotation::Strict);
    world.held_for = 88;
    world.replies.push_back(grant("a2", "r2"));
    let before = world.boot;
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    let waited = Duration::from_millis(world.boot - before);
    assert!(waited > Duration::from_secs(15), "it waited {waited:?}");
    let most = process.policy.flight_budget;
    assert!(waited + world.budgets[0] <= most, "{waited:?} and {:?}", world.budgets[0]);
    // Retries end with it as well.
    let (mut world, mut process) = expired(GRACE);
    process.policy = Policy::default().with_flight_budget(Duration::from_secs(12));
    world.replies.extend((0..40).map(|_| Reply::Lost));
    let before = world.boot;
    process.acquire(&mut world, Goal::access()).unwrap_err();
    assert!(world.boot - before <= 12_000);
}

/// The server is out of reach, and that is noted, while `waiting` has begun and not yet got on.
fn out_of_reach(world: &mut World, rotation: Rotation, goal: &Goal) -> (Process, Step<Outcome>) {
    let mut waiting = Process::new(rotation);
    let step = waiting.begin(world, goal.clone());
    world.replies.extend([Reply::Unsent, Reply::Unsent]);
    Process::new(rotation).acquire(world, Goal::access()).unwrap_err();
    world.told();
    (waiting, step)
}

fn is_unsent(error: &cotter_core::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable { uncertain: false, .. })
        && error.to_string() == "the server cannot be reached"
}

#[test]
fn rule_18_who_waited_while_the_server_was_out_of_reach_does_not_try_for_himself() {
    for rotation in [Rotation::Strict, Rotation::None, GRACE] {
        for goal in [Goal::access(), Goal::refresh()] {
            let (mut world, _) = expired(rotation);
            let (mut waiting, step) = out_of_reach(&mut world, rotation, &goal);
            let outcome = world.drive(step);
            assert!(is_unsent(&waiting.take(outcome).unwrap_err()), "{rotation:?} {goal:?}");
            assert_eq!(world.told(), "Load, Done", "{rotation:?} {goal:?}");
            assert_eq!((world.sent.len(), world.lease), (2, None));
            // Who begins later finds out anew.
            world.replies.push_back(grant("a2", "r2"));
            let mut later = Process::new(rotation);
            assert_eq!(later.acquire(&mut world, goal.clone()).unwrap(), "a2");
        }
    }
}

#[test]
fn rule_18_what_others_have_brought_is_taken_over_even_if_it_is_due_already() {
    let short = |access: &str, refresh: &str| {
        let set = r#"{"access_token":"A","refresh_token":"R","expires_in":8}"#;
        Reply::Body(200, set.replace('A', access).replace('R', refresh))
    };
    for (goal, sent) in [(Goal::access(), 1), (Goal::access_for(Duration::from_secs(60)), 2)] {
        let (mut world, mut process) = expired(Rotation::Strict);
        let (mut other, step) = (Process::new(Rotation::Strict), process.begin(&world, goal));
        // This one has looked, and is about to ask for the lease; the other one was faster.
        let step = world.once(step).unwrap_err();
        world.replies.push_back(short("a2", "r2"));
        assert_eq!(other.acquire(&mut world, Goal::access()).unwrap(), "a2");
        world.seconds(5);
        world.replies.push_back(grant("a3", "r3"));
        let outcome = world.drive(step);
        let served = process.take(outcome).unwrap();
        assert_eq!((world.sent.len(), served.as_str()), (sent, ["a2", "a3"][sent - 1]));
        assert!(world.lease.is_none());
    }
}

#[test]
fn rule_18_who_insists_waits_as_long_as_the_server_asked_and_no_longer() {
    // However long the own back-off has become: the one says how long, the other does not.
    for (retry_after, waits) in [(Some("45"), 46), (Some("1"), 2), (None, 0)] {
        let (mut world, mut process) = expired(Rotation::Strict);
        let refresh = |world: &mut World, process: &mut Process, reply: Option<Reply>| {
            world.replies.extend(reply);
            process.acquire(world, Goal::refresh())
        };
        for _ in 0..7 {
            world.replies.push_back(Reply::Unsent);
            refresh(&mut world, &mut process, Some(Reply::Unsent)).unwrap_err();
        }
        process.policy = process.policy.with_flight_budget(Duration::from_secs(10));
        let busy = |after| match after {
            Some(after) => Reply::With(429, "retry-after", after),
            None => Reply::Body(429, String::new()),
        };
        world.replies.extend([busy(retry_after), busy(retry_after)]);
        let error = refresh(&mut world, &mut process, Some(busy(retry_after))).unwrap_err();
        assert!(error.retry_after().is_some(), "{error}");
        assert_eq!(error.to_string().contains("asks to wait"), retry_after.is_some(), "{error}");
        world.replies.clear();
        let asks = |world: &World, process: &Process| {
            !matches!(process.verdict(world, &Goal::refresh()), Verdict::Fail(_))
        };
        assert_eq!(asks(&world, &process), waits == 0, "{retry_after:?}");
        world.seconds(waits);
        assert!(asks(&world, &process), "{retry_after:?}");
        // Whoever does not insist keeps to the back-off as well.
        assert!(!matches!(process.verdict(&world, &Goal::access()), Verdict::Fly));
    }
}

#[test]
fn rule_18_what_the_server_asked_for_is_not_forgotten_over_something_else() {
    // In the second case the own pause becomes longer than the server's.
    for (asked, failures) in [(600, 1), (45, 9)] {
        let (mut world, mut process) = expired(Rotation::Strict);
        process.policy = process.policy.with_flight_budget(Duration::from_secs(10));
        let busy = if asked == 45 { "45" } else { "600" };
        world.replies.push_back(Reply::With(429, "retry-after", busy));
        process.acquire(&mut world, Goal::access()).unwrap_err();
        // Other callers' flights, which would only write a rejection down, meet a store that is locked.
        world.unreadable = Some(StoreErrorKind::Locked);
        for _ in 0..failures {
            let rejected = Goal::instead_of(AccessToken::new("a1"));
            let error = process.acquire(&mut world, rejected).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Store);
        }
        world.unreadable = None;
        for (seconds, flies) in [(asked - 10, false), (12, true)] {
            world.seconds(seconds);
            let verdict = process.verdict(&world, &Goal::refresh());
            assert_eq!(matches!(verdict, Verdict::Fly), flies, "{asked}, {seconds}: {verdict:?}");
            assert!(flies || !matches!(process.verdict(&world, &Goal::access()), Verdict::Fly));
        }
    }
}

#[test]
fn rule_18_a_clock_that_shows_no_date_takes_no_usable_token_away() {
    let (mut world, mut process) = stale(Rotation::Strict);
    world.wall = -1;
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a1");
    let error = process.acquire(&mut world, Goal::refresh()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(world.sent.is_empty());
}

#[test]
fn rule_18_the_wait_for_a_store_counts_as_one_for_its_lease() {
    let (mut world, _) = expired(Rotation::Strict);
    let _ = out_of_reach(&mut world, Rotation::Strict, &Goal::access());
    world.seconds(1);
    world.waited = Duration::from_millis(1_500);
    let mut waiting = Process::new(Rotation::Strict);
    assert!(is_unsent(&waiting.acquire(&mut world, Goal::access()).unwrap_err()));
    assert_eq!(world.told(), "Load, Publish, Lease, Load, Release, Done");
    // Who had waited for less, and began only after that, tries for himself.
    world.waited = Duration::from_millis(500);
    world.replies.push_back(grant("a2", "r2"));
    assert_eq!(Process::new(Rotation::Strict).acquire(&mut world, Goal::access()).unwrap(), "a2");
}

#[test]
fn rule_18_that_the_server_was_out_of_reach_is_forgotten_once_something_is_sent() {
    let (mut world, _) = expired(Rotation::Strict);
    let (mut waiting, step) = out_of_reach(&mut world, Rotation::Strict, &Goal::access());
    world.replies.push_back(Reply::Lost);
    let mut next = Process::new(Rotation::Strict);
    assert!(is_uncertain(&next.acquire(&mut world, Goal::access()).unwrap_err()));
    // What may be spent is nothing to be called unsent.
    world.replies.push_back(grant("a2", "r2"));
    let outcome = world.drive(step);
    assert_eq!(waiting.take(outcome).unwrap(), "a2");
    assert_eq!(world.sent.len(), 4);
}

#[test]
fn rule_18_saves_that_hang_end_with_the_flights_budget() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(grant("a2", "r2"));
    for save in 3..=50 {
        world.saving.insert(save, Saving::Hangs(8));
    }
    let before = world.boot;
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    let took = Duration::from_millis(world.boot - before);
    assert!(took < process.policy.flight_budget + Duration::from_secs(8), "{took:?}");
    assert_eq!(process.events, [Event::Unpersisted]);
    // Nor does it go on under a lease that is over.
    let (mut world, mut process) = expired(Rotation::Strict);
    world.lasts = Some(Duration::from_secs(20));
    world.replies.push_back(grant("a2", "r2"));
    for save in 3..=50 {
        world.saving.insert(save, Saving::Hangs(8));
    }
    let before = world.boot;
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert!(world.boot - before < 20_000);
    // Later it is stored, as soon as that works.
    world.saving.clear();
    process.acquire(&mut world, Goal::access()).unwrap();
    assert_eq!((world.stored_refresh().as_str(), world.sent.len()), ("r2", 1));
}

#[test]
fn rule_23_no_other_token_of_the_record_is_in_what_a_server_said() {
    let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
    let (access, id, refresh) = ("Qm9yZWFsLW93bC03Nw", "dGlkYWwtaGVyb24tMzE", "Y2luZGVyLWZveC01OA");
    let login = format!(
        r#"{{"access_token":"{access}","id_token":"{id}","refresh_token":"{refresh}","expires_in":3600}}"#
    );
    process.sign_in(&mut world, login.parse().unwrap(), 1);
    world.seconds(3601);
    world.replies.push_back(Reply::Body(
        400,
        format!(
            r#"{{"error":"invalid_client","error_description":"{access} {id} {refresh} end"}}"#
        ),
    ));
    let error = process.acquire(&mut world, Goal::access()).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("end"), "{shown}");
    for secret in [access, id, refresh] {
        assert!(!shown.contains(secret) && !shown.contains(&secret[..8]), "{shown}");
    }
}

#[test]
fn rule_25_a_token_that_was_signed_in_anew_is_not_revoked_as_superseded() {
    let unrotated = || Reply::Body(200, r#"{"access_token":"a2","expires_in":3600}"#.into());
    for (signed_in, reply, sent) in [
        ("r1", unrotated(), &["r1"][..]),
        // The one that was sent has not been granted to anybody just now.
        ("s1", unrotated(), &["r1"]),
        // Somebody came by the new one as well.
        ("r2", grant("a2", "r2"), &["r1"]),
        ("s1", grant("a2", "r2"), &["r1", "revoke"]),
    ] {
        let (mut world, mut process) = fresh();
        process.provider = support::provider(Rotation::None)
            .with_revocation_endpoint("https://auth.example/revoke")
            .unwrap()
            .with_single_token_revocation();
        world.replies.extend([reply, Reply::Body(200, String::new())]);
        let again = move |world: &mut World| {
            Process::new(Rotation::None).sign_in(world, set("b1", signed_in), 2);
        };
        world.meanwhile.insert(1, Box::new(again));
        assert_eq!(process.acquire(&mut world, Goal::refresh()).unwrap(), "b1");
        assert_eq!(world.sent, sent, "{signed_in}");
        assert_eq!(world.stored_refresh(), signed_in);
    }
}

#[test]
fn absurd_pauses_are_no_panic_and_a_grace_too_short_to_send_in_is_refused() {
    let (mut world, mut process) = expired(Rotation::Strict);
    process.policy = process.policy.with_backoff(Duration::MAX, Duration::MAX);
    world.replies.push_back(Reply::With(429, "retry-after", "99999999999999999999"));
    process.acquire(&mut world, Goal::access()).unwrap_err();
    let brief = |millis| {
        let provider = Provider::oauth2("https://auth.example/token", "client").unwrap();
        provider.with_rotation(Rotation::Grace(Duration::from_millis(millis))).validate()
    };
    assert_eq!(brief(0).unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(brief(999).unwrap_err().kind(), ErrorKind::Config);
    assert!(brief(1_000).is_ok());
}
