//! The rules of a refresh that core holds, one test each at least, as transcripts in virtual time.
//!
//! The others are held above or beside core: 5, 12, 19, 20, 21 and 22 by sessions, 6 by building one,
//! 7, 14 and the durable half of 15 by stores, 8 by transports; 23 and 24 beside the code.

#![allow(missing_docs)]

mod support;

use core::time::Duration;

use cotter_core::flow::{self, SignIn};
use cotter_core::{
    AccessToken, ErrorKind, Event, Goal, Lineage, OAuthToken, Rotation, SignInReason,
    StoreErrorKind, Verdict,
};
use support::{
    GRACE, Process, Reply, Saving, World, expired, grant, is_uncertain, reason, refusal, set, stale,
};

#[test]
fn the_refresh_goes_in_the_order_that_others_paid_to_learn() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(grant("a2", "r2"));
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(world.told(), "Load, Lease, Load, Save(2), Send, Save(3), Publish, Release, Done");
    assert_eq!((world.stored_refresh().as_str(), world.stored().journal), ("r2", None));
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(world.told(), "Load, Done");
}

#[test]
fn rule_01_what_cannot_be_saved_is_kept_with_its_lease_and_saved_later() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(grant("a2", "r2"));
    for save in 3..=5 {
        world.saving.insert(save, Saving::Fails(StoreErrorKind::Full));
    }
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(process.events, [Event::Unpersisted]);
    assert!(process.view.as_ref().unwrap().unpersisted);
    assert_eq!(
        world.told(),
        "Load, Lease, Load, Save(2), Send, Save(3), Sleep, Save(3), Sleep, Save(3), Done"
    );
    assert!(world.lease.is_some(), "nobody else may present the journaled token");
    // Later: saved before anything else, and the lease is given back.
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(world.told(), "Save(3), Publish, Release, Done");
    assert_eq!(process.events, [Event::Persisted]);
    assert_eq!((world.stored_refresh().as_str(), world.lease), ("r2", None));
    assert_eq!(world.sent, ["r1"]);
}

#[test]
fn rule_02_no_request_outlives_the_lease_less_the_time_of_a_save() {
    for (lasts, most) in [(8, 6), (40, 10)] {
        let (mut world, mut process) = expired(Rotation::Strict);
        world.lasts = Some(Duration::from_secs(lasts));
        world.replies.push_back(grant("a2", "r2"));
        process.acquire(&mut world, Goal::access()).unwrap();
        assert!(world.budgets[0] <= Duration::from_secs(most), "{lasts}: {:?}", world.budgets);
        assert!(world.budgets[0] >= Duration::from_secs(most - 1), "{lasts}: {:?}", world.budgets);
    }
}

#[test]
fn rule_02_a_lapsed_lease_with_a_note_waits_one_send_budget() {
    let (mut world, mut process) = expired(GRACE);
    world.replies.extend((0..40).map(|_| Reply::Lost));
    // A first process is cut off within the grace and lets its lease lapse.
    process.policy = process.policy.with_flight_budget(Duration::from_millis(10_000));
    let _ = process.acquire(&mut world, Goal::access());
    let presented = world.sent.len();
    let mut other = Process::new(GRACE);
    world.replies.clear();
    world.replies.push_back(grant("a2", "r2"));
    world.lapsed = true;
    let before = world.boot;
    assert_eq!(other.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(world.sent.len(), presented + 1);
    assert!(world.boot - before >= 10_000, "it waited {} ms", world.boot - before);
}

#[test]
fn rule_03_a_save_that_timed_out_is_looked_up() {
    for happened in [Saving::DoneButTimesOut, Saving::TimesOut] {
        let (mut world, mut process) = expired(Rotation::Strict);
        world.replies.push_back(grant("a2", "r2"));
        world.saving.insert(3, happened);
        assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
        assert_eq!(world.stored_refresh(), "r2", "{happened:?}");
        assert_eq!(world.sent, ["r1"]);
    }
}

#[test]
fn rule_03_a_conflict_after_the_grant_is_merged_adopted_or_dropped() {
    // Still the token that was spent: merged and swapped again.
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(grant("a2", "r2"));
    world.meanwhile.insert(
        1,
        Box::new(|world| {
            let (revision, record) = world.record.take().unwrap();
            world.record = Some((revision.next(), record));
        }),
    );
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(world.stored_refresh(), "r2");
    // Another sign-in: its token, and mine is dropped.
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(grant("a2", "r2"));
    world.meanwhile.insert(
        1,
        Box::new(|world| Process::new(Rotation::Strict).sign_in(world, set("b1", "s1"), 2)),
    );
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "b1");
    assert_eq!(world.stored_refresh(), "s1");
    // Signed out: nothing is brought back.
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(grant("a2", "r2"));
    world.meanwhile.insert(
        1,
        Box::new(|world| {
            Process::new(Rotation::Strict).sign_out(world).unwrap();
        }),
    );
    let error = process.acquire(&mut world, Goal::access()).unwrap_err();
    assert_eq!(reason(&error), Some(SignInReason::SignedOut));
    assert!(world.record.is_none() && world.lease.is_none());
}

#[test]
fn rule_04_a_new_refresh_token_is_kept_before_its_set_is_judged() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(Reply::Body(200, r#"{"refresh_token":"r2"}"#.into()));
    let error = process.acquire(&mut world, Goal::access()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(world.stored_refresh(), "r2");
    assert!(world.stored().held.is_some());
    // No other user's: the kept token is good for another try.
    world.replies.push_back(grant("a3", "r3"));
    world.seconds(60);
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a3");
    assert_eq!(
        (world.sent.as_slice(), world.stored().held),
        (&["r1".into(), "r2".into()][..], None)
    );
}

#[test]
fn rule_09_only_listed_codes_refuse_and_a_refusal_is_remembered() {
    for code in ["invalid_client", "unauthorized_client", "invalid_scope", "unsupported_grant_type"]
    {
        let (mut world, mut process) = expired(Rotation::Strict);
        world.replies.push_back(Reply::Body(400, format!(r#"{{"error":"{code}"}}"#)));
        let error = process.acquire(&mut world, Goal::access()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{code}");
        let stored = world.stored();
        assert!(stored.refusal.is_none() && stored.journal.is_none(), "{code} marks nothing");
    }
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(refusal());
    let refused = |error: &_| reason(error) == Some(SignInReason::Refused);
    assert!(refused(&process.acquire(&mut world, Goal::access()).unwrap_err()));
    // Any process: not again, for an hour.
    let mut other = Process::new(Rotation::Strict);
    world.seconds(3500);
    assert!(refused(&other.acquire(&mut world, Goal::access()).unwrap_err()));
    assert_eq!(world.sent.len(), 1);
    // Whoever insists; then it is remembered for twice as long.
    world.replies.push_back(refusal());
    assert!(refused(&other.acquire(&mut world, Goal::refresh()).unwrap_err()));
    world.seconds(2 * 3600 - 10);
    assert!(refused(&other.acquire(&mut world, Goal::access()).unwrap_err()));
    assert_eq!(world.sent.len(), 2);
    world.seconds(20);
    world.replies.push_back(grant("a2", "r2"));
    assert_eq!(other.acquire(&mut world, Goal::access()).unwrap(), "a2");
}

#[test]
fn rule_09_a_refusal_is_believed_only_of_the_token_that_is_still_stored() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(refusal());
    world.meanwhile.insert(
        1,
        Box::new(|world| Process::new(Rotation::Strict).sign_in(world, set("b1", "s1"), 2)),
    );
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "b1");
    assert!(world.stored().refusal.is_none());
}

#[test]
fn rule_10_a_journaled_token_rests_and_only_its_refusal_loses_it() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(Reply::Lost);
    assert!(is_uncertain(&process.acquire(&mut world, Goal::access()).unwrap_err()));
    assert_eq!(world.stored().journal.unwrap().attempt, 1);
    // Another process, at once: it waits out the send budget before it presents the token.
    let mut other = Process::new(Rotation::Strict);
    world.replies.push_back(Reply::Lost);
    let before = world.boot;
    assert!(is_uncertain(&other.acquire(&mut world, Goal::access()).unwrap_err()));
    assert!(world.boot - before >= 9_000, "it waited {} ms", world.boot - before);
    assert_eq!(world.stored().journal.unwrap().attempt, 2);
    world.seconds(60);
    world.replies.push_back(refusal());
    let error = Process::new(Rotation::Strict).acquire(&mut world, Goal::access()).unwrap_err();
    assert_eq!(reason(&error), Some(SignInReason::RotationLost));
    // And that is what everybody hears from then on.
    let error = Process::new(Rotation::Strict).acquire(&mut world, Goal::access()).unwrap_err();
    assert_eq!(reason(&error), Some(SignInReason::RotationLost));
    assert_eq!(world.sent.len(), 3);
}

#[test]
fn rule_10_while_a_token_is_usable_the_journaled_one_is_not_presented() {
    let (mut world, mut process) = stale(Rotation::Strict);
    world.replies.push_back(Reply::Lost);
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a1");
    assert!(is_uncertain(&process.acquire(&mut world, Goal::refresh()).unwrap_err()));
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a1");
    assert_eq!(world.sent, ["r1"]);
}

#[test]
fn rule_10_a_provider_that_does_rotate_is_treated_so_whatever_was_declared() {
    let (mut world, mut process) = expired(Rotation::None);
    world.replies.push_back(grant("a2", "r1"));
    process.acquire(&mut world, Goal::access()).unwrap();
    assert_eq!(world.told(), "Load, Lease, Load, Send, Save(2), Publish, Release, Done");
    world.seconds(3601);
    world.replies.push_back(grant("a3", "r2"));
    process.acquire(&mut world, Goal::access()).unwrap();
    assert_eq!(world.told(), "Load, Lease, Load, Send, Save(3), Publish, Release, Done");
    world.seconds(3601);
    world.replies.push_back(grant("a4", "r3"));
    process.acquire(&mut world, Goal::access()).unwrap();
    assert_eq!(world.told(), "Load, Lease, Load, Save(4), Send, Save(5), Publish, Release, Done");
}

#[test]
fn rule_11_within_the_grace_the_flight_sends_the_same_request_again() {
    let (mut world, mut process) = expired(GRACE);
    world.replies.extend([Reply::Lost, Reply::Lost, grant("a2", "r2")]);
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert_eq!(
        world.told(),
        "Load, Lease, Load, Save(2), Send, Sleep, Send, Sleep, Send, Save(3), Publish, Release, Done"
    );
    assert_eq!(world.sent, ["r1", "r1", "r1"]);
    assert!(world.budgets.iter().all(|budget| *budget <= Duration::from_secs(10)));
}

#[test]
fn rule_11_after_a_crash_only_the_same_boot_within_the_grace_counts() {
    // The journal is written, and the process dies.
    let crash = || {
        let (mut world, mut process) = expired(GRACE);
        process.policy = process.policy.with_flight_budget(Duration::from_secs(10));
        world.replies.extend((0..40).map(|_| Reply::Lost));
        let _ = process.acquire(&mut world, Goal::access());
        world.replies.clear();
        world.sent.clear();
        world
    };
    let mut world = crash();
    world.replies.push_back(grant("a2", "r2"));
    let before = world.boot;
    assert_eq!(Process::new(GRACE).acquire(&mut world, Goal::access()).unwrap(), "a2");
    assert!(world.boot - before < 2_000, "within the grace nobody waits");
    // Another boot: the journal's time says nothing about the grace; rule 10 holds.
    let mut world = crash();
    world.boot_id = 2;
    world.boot = 5_000;
    world.replies.push_back(refusal());
    let error = Process::new(GRACE).acquire(&mut world, Goal::access()).unwrap_err();
    assert_eq!(reason(&error), Some(SignInReason::RotationLost), "{error} {}", world.told());
}

#[test]
fn rule_13_sign_in_and_sign_out_take_no_lease() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.lease = Some(99);
    process.sign_in(&mut world, set("b1", "s1"), 2);
    assert_eq!(world.told(), "Load, Save(1), Publish, Done");
    process.sign_out(&mut world).unwrap();
    assert_eq!(world.told(), "Load, Remove, Publish, Done");
    assert_eq!(world.lease, Some(99));
    assert!(!process.sign_out(&mut world).unwrap().was_signed_in);
}

#[test]
fn rule_13_a_record_that_cannot_be_opened_is_replaced_by_a_sign_in_and_removed_by_a_sign_out() {
    for (kind, goes) in [
        (StoreErrorKind::Damaged, true),
        (StoreErrorKind::KeyWrong, true),
        (StoreErrorKind::TooNew, false),
    ] {
        let (mut world, process) = expired(Rotation::Strict);
        world.unreadable = Some(kind);
        let new = SignIn { tokens: set("b1", "s1"), lineage: Lineage::from_bytes([2; 16]) };
        let outcome = world.drive(flow::sign_in(process.context(), new, world.now()));
        assert_eq!(outcome.result.is_ok(), goes, "{kind:?}");
        assert_eq!(world.stored_refresh(), if goes { "s1" } else { "r1" });
        assert_eq!(process.sign_out(&mut world).is_ok(), goes, "{kind:?}");
        assert_eq!(world.record.is_none(), goes, "{kind:?}");
    }
}

#[test]
fn rule_15_an_older_record_is_neither_adopted_nor_sent() {
    let (mut world, mut process) = expired(Rotation::Strict);
    let old = world.record.as_ref().map(|(revision, record)| (*revision, record.duplicate()));
    world.replies.push_back(grant("a2", "r2"));
    process.acquire(&mut world, Goal::access()).unwrap();
    world.seconds(3601);
    world.record = old;
    let error = process.acquire(&mut world, Goal::access()).unwrap_err();
    let kind = error.store_error().map(cotter_core::StoreError::kind);
    assert_eq!(kind, Some(StoreErrorKind::Damaged));
    assert_eq!(world.sent, ["r1"]);
}

#[test]
fn rule_16_force_exchanges_now_or_says_that_it_cannot() {
    let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
    process.sign_in(&mut world, set("a1", "r1"), 1);
    world.replies.push_back(Reply::Body(503, String::new()));
    assert!(is_uncertain(&process.acquire(&mut world, Goal::refresh()).unwrap_err()));
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a1", "still in use");
}

#[test]
fn rule_16_a_token_rejected_right_after_its_grant_is_not_exchanged_again() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(grant("a2", "r2"));
    process.acquire(&mut world, Goal::access()).unwrap();
    // Another process's 401 for a token that is long replaced gets the current one.
    let stale = Goal::instead_of(AccessToken::new("a1"));
    assert_eq!(process.acquire(&mut world, stale.clone()).unwrap(), "a2");
    let again = Goal::instead_of(AccessToken::new("a2"));
    let error = process.acquire(&mut world, again.clone()).unwrap_err();
    assert!(error.retry_after().is_some_and(|after| after <= Duration::from_secs(10)));
    // From now on the current one is never served again, not even for a late 401 of another.
    assert!(process.acquire(&mut world, stale).unwrap_err().retry_after().is_some());
    assert_eq!(world.sent.len(), 1);
    world.seconds(11);
    world.replies.push_back(grant("a3", "r3"));
    assert_eq!(process.acquire(&mut world, again).unwrap(), "a3");
    assert!(world.stored().rejected.is_none());
}

#[test]
fn rule_17_what_was_not_sent_or_not_spent_clears_its_note_and_may_go_again() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.extend([Reply::Unsent, Reply::Unsent]);
    let error = process.acquire(&mut world, Goal::access()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable { uncertain: false, .. }));
    assert_eq!(
        world.told(),
        "Load, Lease, Load, Save(2), Send, Sleep, Send, Save(3), Release, Done"
    );
    assert!(world.stored().journal.is_none());
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.extend([Reply::With(429, "retry-after", "1"), grant("a2", "r2")]);
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a2");
    for uncertain in [408, 500, 502, 503] {
        let (mut world, mut process) = expired(Rotation::Strict);
        world.replies.push_back(Reply::Body(uncertain, r#"{"error":"invalid_grant"}"#.into()));
        assert!(is_uncertain(&process.acquire(&mut world, Goal::access()).unwrap_err()));
        assert!(world.stored().journal.is_some(), "{uncertain}");
    }
}

#[test]
fn rule_18_a_wait_that_does_not_fit_ends_the_flight() {
    let (mut world, mut process) = expired(Rotation::Strict);
    world.replies.push_back(Reply::With(429, "retry-after", "120"));
    let before = world.boot;
    let error = process.acquire(&mut world, Goal::access()).unwrap_err();
    assert!(error.retry_after().unwrap() >= Duration::from_secs(120));
    assert!(world.boot - before < 1_000, "nobody waits two minutes");
    let trouble = process.memory.trouble.as_ref().unwrap();
    assert!(trouble.asked_until.as_millis() >= world.boot + 119_000);
    assert!(trouble.until >= trouble.asked_until);
    assert!(world.lease.is_none() && world.stored().journal.is_none());
}

#[test]
fn rule_18_who_holds_a_usable_token_never_waits_for_a_lease() {
    let (mut world, mut process) = stale(Rotation::Strict);
    world.held_for = 1_000;
    assert_eq!(process.acquire(&mut world, Goal::access()).unwrap(), "a1");
    assert_eq!(world.told(), "Load, Lease, Done");
    // Who does not, polls up to the deadline and not beyond.
    let (mut world, mut process) = expired(Rotation::Strict);
    world.held_for = u32::MAX;
    let before = world.boot;
    assert!(process.acquire(&mut world, Goal::access()).unwrap_err().is_transient());
    assert!((20_000..21_000).contains(&(world.boot - before)));
    assert!(world.sent.is_empty());
    // And everybody who asks right after that hears the same at once.
    assert!(
        matches!(process.verdict(&world, &Goal::access()), Verdict::Fail(e) if e.is_transient())
    );
}

#[test]
fn rule_25_a_superseded_grant_is_revoked_only_after_a_sign_out() {
    let revoking = |single: bool| {
        let (world, mut process) = expired(Rotation::Strict);
        let mut provider =
            process.provider.with_revocation_endpoint("https://auth.example/revoke").unwrap();
        if single {
            provider = provider.with_single_token_revocation();
        }
        process.provider = provider;
        (world, process)
    };
    let signed_out: fn(&mut World) = |world| {
        Process::new(Rotation::Strict).sign_out(world).unwrap();
    };
    let signed_in: fn(&mut World) =
        |world| Process::new(Rotation::Strict).sign_in(world, set("b1", "s1"), 2);
    for (single, act, requests) in
        [(false, signed_out, 2), (false, signed_in, 1), (true, signed_in, 2)]
    {
        let (mut world, mut process) = revoking(single);
        world.replies.extend([grant("a2", "r2"), Reply::Body(200, String::new())]);
        world.meanwhile.insert(1, Box::new(act));
        let _ = process.acquire(&mut world, Goal::access());
        assert_eq!(world.sent.len(), requests, "{:?}", world.sent);
    }
}

#[test]
fn bad_clocks_and_bad_sets_are_typed_errors_and_nothing_stored_is_lost() {
    let (mut world, mut process) = expired(Rotation::Strict);
    for wall in [-1, i64::MIN, i64::MAX, 253_402_300_800_000] {
        let good = core::mem::replace(&mut world.wall, wall);
        let error = process.acquire(&mut world, Goal::access()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{wall}");
        world.wall = good;
    }
    let junk = [
        r#"{"access_token":"a2","refresh_token":"r2","expires_in":-5}"#,
        r#"{"access_token":"a2","refresh_token":"r2","expires_in":"soon"}"#,
    ];
    for body in junk {
        let (mut world, mut process) = expired(Rotation::Strict);
        world.replies.push_back(Reply::Body(200, body.into()));
        assert!(process.acquire(&mut world, Goal::access()).is_err(), "no readable end: expired");
        assert_eq!(world.stored_refresh(), "r2", "{body}");
    }
    assert!("not json".parse::<OAuthToken>().is_err());
    assert_eq!(world.stored_refresh(), "r1");
}

#[test]
fn a_note_of_an_exchange_under_way_is_not_one_that_was_cut_off() {
    // Another process has journaled and is sending; this one insists on an exchange too.
    let (mut world, mut process) = (World::new(), Process::new(Rotation::Strict));
    process.sign_in(&mut world, set("a1", "r1"), 1);
    let mut other = Process::new(Rotation::Strict);
    let mut step = Some(other.begin(&world, Goal::refresh()));
    while !matches!(step, Some(cotter_core::Step::Send(_))) {
        step = world.once(step.take().expect("the flight goes on")).err();
    }
    let mut mine = Some(process.begin(&world, Goal::refresh()));
    for _ in 0..20 {
        mine = world.once(mine.take().expect("it waits for the lease")).err();
    }
    world.replies.extend([grant("a2", "r2"), grant("a3", "r3")]);
    let finish = |world: &mut World, step: Option<cotter_core::Step<_>>| {
        world.drive(step.expect("the flight goes on"))
    };
    let theirs = finish(&mut world, step);
    assert_eq!(other.take(theirs).unwrap(), "a2");
    let ours = finish(&mut world, mine);
    assert_eq!(process.take(ours).unwrap(), "a3");
    assert_eq!(world.sent, ["r1", "r2"]);
}
