//! The rules of a refresh that sessions hold, where more than one thing goes wrong at a time.

#![allow(clippy::unwrap_used, missing_docs)]

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cotter::core::{Handed, Step, Verified};
use cotter::store::Memory;
use cotter::{
    AccessToken, ErrorKind, Keeper, Now, OAuthToken, Policy, Session, SignInReason, StoreErrorKind,
    Verify, blocking,
};
use cotter_testkit::{Fault, FaultStore, Gate, ManualClock, Op, ScriptedTransport};
use cotter_tests::{Leap, lone_runtime, scripted_provider as provider};

type Store = FaultStore<Memory>;

struct World {
    clock: ManualClock,
    server: ScriptedTransport,
    store: Arc<Store>,
}

fn set(n: u32) -> String {
    format!(
        r#"{{"access_token":"at-{n}","id_token":"it-{n}","refresh_token":"rt-{n}","expires_in":3600}}"#
    )
}

fn tokens(n: u32) -> OAuthToken {
    set(n).parse().unwrap()
}

impl World {
    fn new() -> Self {
        Self::on(Memory::with_clock)
    }

    fn on(store: fn(Arc<dyn cotter::Clock>) -> Memory) -> Self {
        let clock = ManualClock::new();
        let memory = store(Arc::new(clock.clone()));
        Self { clock, server: ScriptedTransport::new(), store: Arc::new(FaultStore::new(memory)) }
    }

    fn keeper(&self) -> Keeper {
        self.keeper_that(Leap(self.clock.clone()))
    }

    fn keeper_that(&self, sleeper: impl cotter::Sleeper + 'static) -> Keeper {
        Keeper::builder(provider())
            .store(Arc::clone(&self.store))
            .transport(self.server.clone())
            .clock(self.clock.clone())
            .sleeper(sleeper)
            .build()
            .unwrap()
    }

    fn threads(&self) -> blocking::Keeper {
        blocking::Keeper::builder(provider())
            .store(Arc::clone(&self.store))
            .transport(self.server.clone())
            .clock(self.clock.clone())
            .sleeper(Leap(self.clock.clone()))
            .build()
            .unwrap()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The next exchange hangs until the gate is open, and is answered by set `n`.
    fn grants_late(&self, n: u32) -> Gate {
        let gate = Gate::new();
        self.server.hang_until(&gate);
        self.server.reply(200, set(n));
        gate
    }

    /// The next answer holds set `n`, and from its arrival on the store takes nothing.
    fn grants_into_a_full_store(&self, n: u32) {
        let store = Arc::clone(&self.store);
        self.server.answer(move |_| {
            store.always(Op::Save, Fault::Fail(StoreErrorKind::Full));
            Ok(http::Response::new(set(n).into_bytes().into()))
        });
    }
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if what() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came");
}

#[tokio::test]
async fn rule_01_what_a_dropped_runtime_was_about_to_store_is_stored_under_the_next_one() {
    // On a store that others share, where somebody looks now and then.
    let world = World::on(Memory::shared_with_clock);
    let session = world.keeper().session("ada").unwrap();
    let gate = Gate::new();
    let first = std::thread::spawn({
        let (session, gate) = (session.clone(), gate.clone());
        let (clock, store) = (world.clock.clone(), Arc::clone(&world.store));
        world.grants_into_a_full_store(2);
        move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                session.sign_in(tokens(1)).await.unwrap();
                clock.advance(Duration::from_secs(3601));
                assert_eq!(session.access_token().await.unwrap().expose(), "at-2");
                store.heal();
                store.on_next(Op::Save, Fault::HangBefore(gate.clone()));
                // The save in the background is under way when the runtime goes.
                gate.until_reached_async().await;
            });
        }
    });
    first.join().unwrap();
    gate.open();
    world.pass(6);
    assert!(session.status().await.unwrap().unpersisted);
    assert_eq!(session.access_token().await.unwrap().expose(), "at-2");
    let left = session.shutdown(Duration::from_secs(5)).await;
    assert!(left.is_clean(), "{left:?}");
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-2");
    assert_eq!(world.server.count(), 1);
}

/// Sleeps by moving the clock, but what waits in the background waits for ever.
#[derive(Debug)]
struct NoBackground(ManualClock);

#[async_trait]
impl cotter::Sleeper for NoBackground {
    async fn sleep(&self, duration: Duration) {
        if duration >= Duration::from_secs(1) {
            core::future::pending::<()>().await;
        }
        self.0.advance(duration);
    }
}

#[tokio::test]
async fn rule_01_a_spent_refresh_token_is_not_handed_out_while_its_successor_is_in_memory() {
    let world = World::new();
    let session = world.keeper_that(NoBackground(world.clock.clone())).session("ada").unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    world.pass(3601);
    world.grants_into_a_full_store(2);
    assert_eq!(session.access_token().await.unwrap().expose(), "at-2");
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-2");
    // A forced refresh says that the store is full instead of handing out what is there.
    world.pass(60);
    let error = session.refresh().await.unwrap_err();
    assert_eq!(error.store_error().map(cotter::StoreError::kind), Some(StoreErrorKind::Full));
    assert_eq!(world.server.count(), 1);
    world.store.heal();
    world.server.reply(200, set(3));
    assert_eq!(session.refresh().await.unwrap().expose(), "at-3");
    assert_eq!(world.server.requests()[1].text().matches("rt-2").count(), 1);
}

/// Panics where it is told to.
#[derive(Clone, Debug, Default)]
struct Panics(Arc<AtomicBool>);

impl Verify for Panics {
    fn verify(&self, _: Handed, _: Now) -> Step<Verified> {
        assert!(!self.0.load(Ordering::SeqCst), "as planned");
        Step::Done(Verified::Sound)
    }
}

#[tokio::test]
async fn rule_04_a_verifier_that_panics_costs_no_rotated_token() {
    let world = World::new();
    let panics = Panics::default();
    let session = Session::builder(provider())
        .store(Arc::clone(&world.store))
        .transport(world.server.clone())
        .clock(world.clock.clone())
        .verify_with(panics.clone())
        .build()
        .unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    world.pass(3601);
    world.server.reply(200, set(2));
    panics.0.store(true, Ordering::SeqCst);
    assert_eq!(session.access_token().await.unwrap_err().kind(), ErrorKind::Protocol);
    assert!(session.status().await.unwrap().held);
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-2");
}

#[test]
fn rule_04_a_verifier_that_panics_does_not_unwind_into_its_callers_thread() {
    let world = World::new();
    let panics = Panics::default();
    let session = blocking::Session::builder(provider())
        .store(Arc::clone(&world.store))
        .transport(world.server.clone())
        .clock(world.clock.clone())
        .verify_with(panics.clone())
        .build()
        .unwrap();
    session.sign_in(tokens(1)).unwrap();
    world.pass(3601);
    world.server.reply(200, set(2));
    panics.0.store(true, Ordering::SeqCst);
    assert_eq!(session.access_token().unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(session.refresh_token().unwrap().expose(), "rt-2");
}

#[tokio::test]
async fn rule_05_who_is_signed_out_during_the_first_flight_hears_of_a_sign_out() {
    let world = World::new();
    world.keeper().session("ada").unwrap().sign_in(tokens(1)).await.unwrap();
    world.pass(3601);
    // Another process: it has seen nothing of this session yet.
    let session = world.keeper().session("ada").unwrap();
    let gate = world.grants_late(2);
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.access_token().await }
    });
    until(|| world.server.count() == 1).await;
    session.sign_out().await.unwrap();
    let signed_out = ErrorKind::SignInRequired(SignInReason::SignedOut);
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), signed_out);
    gate.open();
    assert_eq!(session.access_token().await.unwrap_err().kind(), signed_out);
}

#[tokio::test]
async fn rule_05_a_sign_in_during_a_forced_refresh_keeps_its_refresh_token() {
    let world = World::new();
    let session = world.keeper().session("ada").unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    let gate = world.grants_late(2);
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    until(|| world.server.count() == 1).await;
    session.sign_in(tokens(7)).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().expose(), "at-7");
    gate.open();
    until(|| world.store.count(Op::Release) == world.store.count(Op::TryLease)).await;
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-7");
    assert_eq!(world.server.count(), 1);
}

#[test]
fn rule_05_a_sign_in_during_a_forced_refresh_of_threads_keeps_its_refresh_token() {
    let world = World::new();
    let session = world.threads().session("ada").unwrap();
    session.sign_in(tokens(1)).unwrap();
    let gate = world.grants_late(2);
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| session.refresh());
        while world.server.count() == 0 {
            std::thread::yield_now();
        }
        let follower = scope.spawn(|| session.refresh());
        std::thread::sleep(Duration::from_millis(50));
        session.sign_in(tokens(7)).unwrap();
        let follower = follower.join().unwrap();
        gate.open();
        assert_eq!(follower.unwrap().expose(), "at-7");
        assert_eq!(leader.join().unwrap().unwrap().expose(), "at-7");
    });
    assert_eq!(session.refresh_token().unwrap().expose(), "rt-7");
    assert_eq!(world.server.count(), 1);
}

#[tokio::test]
async fn rule_12_nobody_fails_for_what_somebody_else_asked_for() {
    let world = World::on(Memory::shared_with_clock);
    let (here, there) = (world.keeper(), world.keeper());
    let (here, there) = (here.session("ada").unwrap(), there.session("ada").unwrap());
    there.sign_in(tokens(1)).await.unwrap();
    here.access_token().await.unwrap();
    world.pass(3601);
    let gate = Gate::new();
    world.store.on_next(Op::Load, Fault::HangBefore(gate.clone()));
    let long = tokio::spawn({
        let here = here.clone();
        async move { here.access_token_valid_for(Duration::from_secs(7200)).await }
    });
    gate.until_reached_async().await;
    let plain = tokio::spawn({
        let here = here.clone();
        async move { here.access_token().await }
    });
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    world.server.reply(200, set(2));
    assert_eq!(there.access_token().await.unwrap().expose(), "at-2");
    gate.open();
    // No token lives for two hours; that is no concern of who wants one for now.
    assert_eq!(long.await.unwrap().unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(plain.await.unwrap().unwrap().expose(), "at-2");
}

#[tokio::test]
async fn rule_12_of_two_sign_ins_with_one_refresh_token_at_once_one_is_refused() {
    let world = World::new();
    let keeper = world.keeper();
    let gate = Gate::new();
    world.store.on_next(Op::Load, Fault::HangBefore(gate.clone()));
    let ada = keeper.session("ada").unwrap();
    let first = tokio::spawn(async move { ada.sign_in(tokens(1)).await });
    gate.until_reached_async().await;
    let grace = keeper.session("grace").unwrap();
    assert_eq!(grace.sign_in(tokens(1)).await.unwrap_err().kind(), ErrorKind::Config);
    gate.open();
    first.await.unwrap().unwrap();
    // What came to nothing holds nothing.
    world.store.on_next(Op::Load, Fault::Fail(StoreErrorKind::Locked));
    assert!(grace.sign_in(tokens(3)).await.is_err());
    keeper.session("ida").unwrap().sign_in(tokens(3)).await.unwrap();
}

/// A runtime that is polled while somebody blocks on it, and at no other time.
/// A session whose callers wait for each other for 600 ms at most.
fn impatient(world: &World) -> Session {
    let policy = Policy::default()
        .with_send_budget(Duration::from_millis(200))
        .with_flight_budget(Duration::from_millis(300))
        .with_lock_wait(Duration::from_millis(100));
    Session::builder(provider())
        .store(Arc::clone(&world.store))
        .transport(world.server.clone())
        .clock(world.clock.clone())
        .policy(policy)
        .build()
        .unwrap()
}

#[test]
fn rule_13_a_sign_in_on_a_runtime_that_nobody_polls_holds_the_next_one_up_for_a_while_only() {
    let world = World::new();
    let session = impatient(&world);
    world.store.on_next(Op::Save, Fault::Delay(Duration::from_millis(100)));
    let parked = lone_runtime();
    parked.block_on(async {
        let sign_in = session.sign_in(tokens(1));
        assert!(tokio::time::timeout(Duration::from_millis(20), sign_in).await.is_err());
    });
    let error = lone_runtime().block_on(async {
        let next = tokio::time::timeout(Duration::from_secs(10), session.sign_in(tokens(2)));
        next.await.unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Unavailable { retry_after: None, uncertain: false });
    // Polled again, it runs to its end and lets the next one in.
    parked.block_on(session.sign_in(tokens(2))).unwrap();
    assert_eq!(parked.block_on(session.access_token()).unwrap().expose(), "at-2");
}

#[tokio::test]
async fn rule_15_a_fresh_token_is_served_whatever_the_store_says() {
    for kind in [StoreErrorKind::Damaged, StoreErrorKind::KeyMissing, StoreErrorKind::Other] {
        let world = World::on(Memory::shared_with_clock);
        let session = world.keeper().session("ada").unwrap();
        session.sign_in(tokens(1)).await.unwrap();
        world.store.always(Op::Load, Fault::Fail(kind));
        world.pass(6);
        for _ in 0..3 {
            assert_eq!(session.access_token().await.unwrap().expose(), "at-1", "{kind:?}");
        }
    }
    // And a session says what its store's word is worth.
    let world = World::new();
    let session = world.keeper().session("ada").unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    assert!(!session.status().await.unwrap().durable, "memory ends with the process");
}

#[test]
fn rule_16_a_rejection_outlives_the_entry_that_knew_of_it() {
    for heals in [true, false] {
        let world = World::new();
        let keeper = blocking::Keeper::builder(provider())
            .store(Arc::clone(&world.store))
            .transport(world.server.clone())
            .clock(world.clock.clone())
            .sleeper(Leap(world.clock.clone()))
            .max_sessions(1)
            .build()
            .unwrap();
        let session = keeper.session("ada").unwrap();
        session.sign_in(r#"{"access_token":"bad","expires_in":3600}"#.parse().unwrap()).unwrap();
        if !heals {
            world.store.always(Op::Save, Fault::Fail(StoreErrorKind::Full));
        }
        session.refresh_rejected(&AccessToken::new("bad")).unwrap_err();
        drop(session);
        // What is not stored is not forgotten.
        assert_eq!(keeper.session("grace").is_ok(), heals);
        assert!(keeper.session("ada").unwrap().access_token().is_err(), "never served again");
    }
}

#[tokio::test]
async fn rule_18_who_rested_because_there_was_a_usable_token_rests_no_longer_than_it_is() {
    let world = World::new();
    let session = world.keeper().session("ada").unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    world.pass(3560);
    world.server.lost();
    assert_eq!(session.access_token().await.unwrap().expose(), "at-1");
    until(|| !session.is_refreshing()).await;
    world.pass(2);
    // The token may be spent: nobody sends it while this one is usable.
    assert_eq!(session.access_token().await.unwrap().expose(), "at-1");
    until(|| !session.is_refreshing()).await;
    assert_eq!(world.server.count(), 1);
    // Then a resource server refuses it.
    world.server.reply(200, set(2));
    let refused = AccessToken::new("at-1");
    assert_eq!(session.refresh_rejected(&refused).await.unwrap().expose(), "at-2");
    assert_eq!(world.server.count(), 2);
}

#[test]
fn rule_19_a_flight_whose_runtime_nobody_polls_is_not_waited_for_without_end() {
    let world = World::new();
    let session = impatient(&world);
    let parked = lone_runtime();
    parked.block_on(session.sign_in(tokens(1))).unwrap();
    world.pass(3601);
    let gate = world.grants_late(2);
    parked.block_on(async {
        let access = session.access_token();
        assert!(tokio::time::timeout(Duration::from_millis(20), access).await.is_err());
    });
    let other = lone_runtime();
    let too_long = ErrorKind::Unavailable { retry_after: None, uncertain: false };
    // Who wants the same, and who wants something else and would come after it.
    for forced in [false, true] {
        let error = other.block_on(async {
            let session = session.clone();
            let call = async move {
                if forced { session.refresh().await } else { session.access_token().await }
            };
            tokio::time::timeout(Duration::from_secs(10), call).await.unwrap().unwrap_err()
        });
        assert_eq!(error.kind(), too_long, "forced: {forced}");
    }
    gate.open();
    assert_eq!(parked.block_on(session.access_token()).unwrap().expose(), "at-2");
    assert_eq!(other.block_on(session.access_token()).unwrap().expose(), "at-2");
    assert_eq!(world.server.count(), 1);
}

/// A process that has seen nothing of the session yet, whose stored token is due but usable; its first
/// look takes until the gate opens. The answer is its ID token, too.
async fn cold() -> (World, Gate, String) {
    let world = World::on(Memory::shared_with_clock);
    let end = cotter::Clock::now(&world.clock).wall.as_unix_seconds() + 3600;
    let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"aud":"client","exp":{end}}}"#));
    let id = format!("{}.{claims}.c2ln", URL_SAFE_NO_PAD.encode("{}"));
    let tokens = set(1).replace("it-1", &id).parse().unwrap();
    world.keeper().session("ada").unwrap().sign_in(tokens).await.unwrap();
    world.pass(3560);
    let look = Gate::new();
    world.store.on_next(Op::Load, Fault::HangBefore(look.clone()));
    (world, look, id)
}

#[tokio::test]
async fn rule_18_who_comes_before_the_first_look_of_a_process_waits_for_no_exchange() {
    let (world, look, id_token) = cold().await;
    let session = world.keeper().session("ada").unwrap();
    let gate = world.grants_late(2);
    let access: Vec<_> = (0..3)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.access_token().await })
        })
        .collect();
    let id = tokio::spawn({
        let session = session.clone();
        async move { session.id_token().await }
    });
    let forced = tokio::spawn({
        let session = session.clone();
        async move { session.access_token_valid_for(Duration::from_secs(600)).await }
    });
    until(|| world.store.count(Op::Load) == 2 && session.is_refreshing()).await;
    look.open();
    for call in access {
        let served = tokio::time::timeout(Duration::from_secs(5), call).await;
        assert_eq!(served.expect("it waits for the exchange").unwrap().unwrap().expose(), "at-1");
    }
    let served = tokio::time::timeout(Duration::from_secs(5), id).await;
    assert_eq!(served.expect("it waits for the exchange").unwrap().unwrap().expose(), id_token);
    assert_eq!(session.cached_access_token(), Some(AccessToken::new("at-1")));
    assert!(!forced.is_finished(), "what is there does not last as long as that");
    gate.open();
    assert_eq!(forced.await.unwrap().unwrap().expose(), "at-2");
    assert_eq!(world.server.count(), 1);
}

#[test]
fn rule_18_threads_that_come_before_the_first_look_wait_for_no_exchange() {
    let runtime = lone_runtime();
    let (world, look, _) = runtime.block_on(cold());
    let keeper = world.threads();
    let session = || keeper.session("ada").unwrap();
    let gate = world.grants_late(2);
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| session().access_token());
        while world.store.count(Op::Load) < 2 {
            std::thread::yield_now();
        }
        let (served, follower) = std::sync::mpsc::channel();
        for _ in 0..3 {
            let (served, session) = (served.clone(), session());
            scope.spawn(move || served.send(session.access_token().unwrap()));
        }
        // They join the flight, or come when it has shown what is there: neither waits.
        std::thread::sleep(Duration::from_millis(20));
        look.open();
        for _ in 0..3 {
            let token = follower.recv_timeout(Duration::from_secs(5));
            if token.is_err() {
                gate.open();
            }
            assert_eq!(token.expect("it waits for the exchange").expose(), "at-1");
        }
        assert!(!leader.is_finished());
        gate.open();
        assert_eq!(leader.join().unwrap().unwrap().expose(), "at-2");
    });
    assert_eq!(world.server.count(), 1);
}

#[tokio::test]
async fn rule_16_a_token_rejected_before_anything_is_shown_is_not_served_when_it_is_found() {
    let refused = AccessToken::new("at-1");
    for fails in [false, true] {
        let (world, look, _) = cold().await;
        let session = world.keeper().session("ada").unwrap();
        world.server.not_sent();
        world.server.not_sent();
        if fails {
            // The first look comes to nothing.
            look.open();
            world.store.heal();
            world.store.on_next(Op::Load, Fault::Fail(StoreErrorKind::Locked));
            session.refresh_rejected(&refused).await.unwrap_err();
            world.pass(5);
        } else {
            let first = tokio::spawn({
                let session = session.clone();
                async move { session.access_token().await }
            });
            until(|| world.store.count(Op::Load) == 2).await;
            let (session, refused) = (session.clone(), refused.clone());
            let second = tokio::spawn(async move { session.refresh_rejected(&refused).await });
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            look.open();
            first.await.unwrap().unwrap_err();
            second.await.unwrap().unwrap_err();
        }
        assert!(session.access_token().await.is_err(), "fails: {fails}");
        assert_eq!(session.cached_access_token(), None, "fails: {fails}");
        world.pass(5);
        world.server.reply(200, set(2));
        assert_eq!(session.access_token().await.unwrap().expose(), "at-2");
    }
}

#[tokio::test]
async fn rule_05_what_came_of_a_sign_in_is_not_undone_by_its_late_answer() {
    let world = World::on(Memory::shared_with_clock);
    let session = world.keeper().session("ada").unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    let answer = Gate::new();
    world.store.on_next(Op::Save, Fault::HangAfter(answer.clone()));
    let sign_in = tokio::spawn({
        let session = session.clone();
        async move { session.sign_in(tokens(5)).await }
    });
    until(|| world.store.count(Op::Save) == 2).await;
    // Others find the new sign-in, and their resource server does not like its token.
    world.pass(6);
    assert_eq!(session.access_token().await.unwrap().expose(), "at-5");
    world.server.reply(200, set(6));
    let refused = AccessToken::new("at-5");
    assert_eq!(session.refresh_rejected(&refused).await.unwrap().expose(), "at-6");
    answer.open();
    sign_in.await.unwrap().unwrap();
    assert_eq!(session.access_token().await.unwrap().expose(), "at-6");
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-6");
}

#[tokio::test]
async fn rule_12_a_token_that_is_being_exchanged_for_another_session_is_not_signed_in() {
    let (world, look, _) = cold().await;
    let keeper = world.keeper();
    let ada = keeper.session("ada").unwrap();
    let gate = world.grants_late(2);
    look.open();
    assert_eq!(ada.access_token().await.unwrap().expose(), "at-1");
    until(|| world.server.count() == 1).await;
    let bob = keeper.session("bob").unwrap();
    assert_eq!(bob.sign_in(tokens(1)).await.unwrap_err().kind(), ErrorKind::Config);
    gate.open();
    until(|| !ada.is_refreshing()).await;
    assert_eq!(bob.sign_in(tokens(2)).await.unwrap_err().kind(), ErrorKind::Config);
    // Nobody holds the one that was spent: whether it is good is the server's to say.
    bob.sign_in(tokens(1)).await.unwrap();
}

#[tokio::test]
async fn rule_21_nobody_waits_for_a_release_who_has_his_token() {
    let world = World::new();
    let session = world.keeper().session("ada").unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    world.pass(3601);
    let release = Gate::new();
    world.store.on_next(Op::Release, Fault::HangBefore(release.clone()));
    world.server.reply(200, set(2));
    let asked = std::time::Instant::now();
    assert_eq!(session.access_token().await.unwrap().expose(), "at-2");
    assert!(asked.elapsed() < Policy::default().store_deadline / 2, "{:?}", asked.elapsed());
    assert!(session.is_refreshing(), "the lease is being given back");
    release.open();
    until(|| !session.is_refreshing()).await;
}

#[test]
fn rule_21_of_threads_only_the_one_who_flies_waits_for_a_release() {
    let world = World::new();
    let session = world.threads().session("ada").unwrap();
    session.sign_in(tokens(1)).unwrap();
    world.pass(3601);
    let (release, gate) = (Gate::new(), world.grants_late(2));
    world.store.on_next(Op::Release, Fault::HangBefore(release.clone()));
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| session.access_token());
        while world.server.count() == 0 {
            std::thread::yield_now();
        }
        let follower = scope.spawn(|| {
            let asked = std::time::Instant::now();
            (session.access_token(), asked.elapsed())
        });
        std::thread::sleep(Duration::from_millis(20));
        gate.open();
        let (token, waited) = follower.join().unwrap();
        release.open();
        assert_eq!(token.unwrap().expose(), "at-2");
        assert!(waited < Policy::default().store_deadline / 2, "{waited:?}");
        assert_eq!(leader.join().unwrap().unwrap().expose(), "at-2");
    });
}

/// Panics when it is first asked to sleep.
#[derive(Debug)]
struct PanicsOnce(AtomicBool, ManualClock);

impl blocking::Sleeper for PanicsOnce {
    fn sleep(&self, duration: Duration) {
        assert!(self.0.swap(true, Ordering::Relaxed), "as planned");
        self.1.advance(duration);
    }
}

#[test]
fn rule_20_a_sleeper_that_panics_keeps_no_lease() {
    let world = World::new();
    let session = blocking::Session::builder(provider())
        .store(Arc::clone(&world.store))
        .transport(world.server.clone())
        .clock(world.clock.clone())
        .sleeper(PanicsOnce(AtomicBool::new(false), world.clock.clone()))
        .build()
        .unwrap();
    session.sign_in(tokens(1)).unwrap();
    world.pass(3601);
    world.server.not_sent();
    let panicking = session.clone();
    assert!(std::thread::spawn(move || panicking.access_token()).join().is_err());
    world.server.reply(200, set(2));
    assert_eq!(session.access_token().unwrap().expose(), "at-2");
}

#[tokio::test]
async fn who_always_looks_again_looks_once_and_is_served() {
    let world = World::on(Memory::shared_with_clock);
    let policy = || Policy::default().with_look_again(Duration::ZERO);
    let threads = blocking::Session::builder(provider())
        .store(Arc::clone(&world.store))
        .transport(world.server.clone())
        .clock(world.clock.clone())
        .policy(policy())
        .build()
        .unwrap();
    let tasks = Session::builder(provider())
        .store(Arc::clone(&world.store))
        .transport(world.server.clone())
        .clock(world.clock.clone())
        .policy(policy())
        .build()
        .unwrap();
    tasks.sign_in(tokens(1)).await.unwrap();
    let looks = || world.store.count(Op::Load);
    let before = looks();
    for n in 1..=3 {
        assert_eq!(tasks.access_token().await.unwrap().expose(), "at-1");
        assert_eq!(threads.access_token().unwrap().expose(), "at-1");
        assert_eq!(looks() - before, 2 * n);
    }
}

#[tokio::test]
async fn rule_19_after_a_shutdown_no_session_flies_not_even_one_that_was_not_in_memory() {
    let world = World::new();
    world.keeper().session("ada").unwrap().sign_in(tokens(1)).await.unwrap();
    world.pass(3601);
    let keeper = world.keeper();
    assert!(keeper.shutdown(Duration::from_secs(1)).await.is_clean());
    let error = keeper.session("ada").unwrap().access_token().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let threads = world.threads();
    assert!(threads.shutdown(Duration::from_secs(1)).is_clean());
    assert!(threads.session("ada").unwrap().access_token().is_err());
    assert_eq!(world.server.count(), 0);
}

#[test]
fn rule_19_a_shutdown_stores_what_is_kept_and_exchanges_nothing_for_it() {
    let world = World::new();
    let keeper = world.threads();
    let session = keeper.session("ada").unwrap();
    session.sign_in(tokens(1)).unwrap();
    world.pass(3601);
    world.grants_into_a_full_store(2);
    session.access_token().unwrap();
    world.pass(3601);
    world.store.heal();
    let left = keeper.shutdown(Duration::from_secs(1));
    assert!(left.is_clean(), "{left:?}");
    assert_eq!(session.refresh_token().unwrap().expose(), "rt-2");
    assert_eq!(world.server.count(), 1);
}

#[test]
fn rule_19_a_flight_that_hangs_keeps_nobody_elses_tokens_from_being_stored() {
    for _ in 0..10 {
        let world = World::new();
        let keeper = world.threads();
        let (ada, grace) = (keeper.session("ada").unwrap(), keeper.session("grace").unwrap());
        ada.sign_in(tokens(1)).unwrap();
        grace.sign_in(tokens(11)).unwrap();
        world.pass(3601);
        world.grants_into_a_full_store(12);
        grace.access_token().unwrap();
        world.store.heal();
        let gate = world.grants_late(2);
        std::thread::scope(|scope| {
            let flight = scope.spawn(|| ada.access_token());
            while world.server.count() < 2 {
                std::thread::yield_now();
            }
            let left = keeper.shutdown(Duration::from_millis(300));
            gate.open();
            flight.join().unwrap().unwrap();
            assert!(left.not_durable.is_empty(), "{left:?}");
            assert_eq!(left.unfinished, ["ada"]);
        });
    }
}

#[tokio::test]
async fn rule_19_a_shutdown_waits_for_a_sign_in_whose_caller_went() {
    let world = World::new();
    let session = world.keeper().session("ada").unwrap();
    let gate = Gate::new();
    world.store.on_next(Op::Save, Fault::HangBefore(gate.clone()));
    let sign_in = session.sign_in(tokens(1));
    assert!(tokio::time::timeout(Duration::from_millis(20), sign_in).await.is_err());
    let left = session.shutdown(Duration::from_millis(50)).await;
    assert_eq!(left.unfinished, ["ada"]);
    gate.open();
    let left = session.shutdown(Duration::from_secs(5)).await;
    assert!(left.is_clean(), "{left:?}");
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-1");
}

#[test]
fn rule_19_a_shutdown_waits_for_a_sign_in_of_another_thread() {
    let world = World::new();
    let keeper = world.threads();
    let session = keeper.session("ada").unwrap();
    let gate = Gate::new();
    world.store.on_next(Op::Save, Fault::HangBefore(gate.clone()));
    std::thread::scope(|scope| {
        let sign_in = scope.spawn(|| session.sign_in(tokens(1)));
        gate.until_reached();
        assert_eq!(keeper.shutdown(Duration::from_millis(50)).unfinished, ["ada"]);
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            gate.open();
        });
        let left = keeper.shutdown(Duration::from_secs(5));
        assert!(left.is_clean(), "{left:?}");
        assert_eq!(session.refresh_token().unwrap().expose(), "rt-1");
        sign_in.join().unwrap().unwrap();
    });
}

#[tokio::test]
async fn rule_19_a_shutdown_waits_for_a_flight_that_a_sign_out_has_detached() {
    let world = World::new();
    let session = world.keeper().session("ada").unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    let gate = world.grants_late(2);
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    gate.until_reached_async().await;
    session.sign_out().await.unwrap();
    refresh.await.unwrap().unwrap_err();
    let left = session.shutdown(Duration::from_millis(50)).await;
    assert_eq!(left.unfinished, ["ada"]);
    gate.open();
    let left = session.shutdown(Duration::from_secs(5)).await;
    assert!(left.is_clean(), "{left:?}");
}

#[test]
fn rule_19_a_shutdown_waits_for_another_threads_flight_that_a_sign_out_has_detached() {
    let world = World::new();
    let session = world.threads().session("ada").unwrap();
    session.sign_in(tokens(1)).unwrap();
    let gate = world.grants_late(2);
    std::thread::scope(|scope| {
        let refresh = scope.spawn(|| session.refresh());
        gate.until_reached();
        session.sign_out().unwrap();
        assert_eq!(session.shutdown(Duration::from_millis(50)).unfinished, ["ada"]);
        gate.open();
        let left = session.shutdown(Duration::from_secs(5));
        assert!(left.is_clean(), "{left:?}");
        refresh.join().unwrap().unwrap_err();
    });
}

#[tokio::test]
async fn after_a_laptops_sleep_nobody_gets_the_token_that_ended_meanwhile() {
    let world = World::new();
    let session = world.keeper().session("ada").unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    assert_eq!(session.access_token().await.unwrap().expose(), "at-1");
    world.clock.suspend(Duration::from_secs(8 * 3600));
    assert!(session.cached_access_token().is_none());
    world.server.reply(200, set(2));
    assert_eq!(session.access_token().await.unwrap().expose(), "at-2");
    // The same where the lid was closed and the wall clock stood still or was set back on waking.
    world.clock.suspend(Duration::from_secs(8 * 3600));
    world.clock.step_wall(-9 * 3600);
    assert!(session.cached_access_token().is_none());
    assert_ne!(session.access_token().await.ok(), Some(AccessToken::new("at-2")));
}
