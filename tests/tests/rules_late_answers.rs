//! The rules of a refresh where a store answers late, and somebody else or nobody is there by then.

#![allow(clippy::unwrap_used, missing_docs)]

use core::time::Duration;
use std::sync::Arc;

use cotter::core::LeaseAnswer;
use cotter::store::Memory;
use cotter::{
    AccessToken, BlockingTokenStore, ErrorKind, Event, Keeper, OAuthToken, Offload, Policy,
    Session, StoreErrorKind, blocking,
};
use cotter_testkit::{Fault, FaultStore, Gate, ManualClock, Op, ScriptedTransport};
use cotter_tests::{Leap, Log, lone_runtime, scripted_provider as provider};

struct World {
    clock: ManualClock,
    server: ScriptedTransport,
    store: Arc<FaultStore<Memory>>,
    events: Log,
}

fn set(n: u32) -> String {
    format!(r#"{{"access_token":"at-{n}","refresh_token":"rt-{n}","expires_in":3600}}"#)
}

fn tokens(n: u32) -> OAuthToken {
    set(n).parse().unwrap()
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::new();
        let memory = Memory::shared_with_clock(Arc::new(clock.clone()));
        Self {
            clock,
            server: ScriptedTransport::new(),
            store: Arc::new(FaultStore::new(memory)),
            events: Log::default(),
        }
    }

    fn keeper(&self, most: usize) -> Keeper {
        Keeper::builder(provider())
            .store(Arc::clone(&self.store))
            .transport(self.server.clone())
            .clock(self.clock.clone())
            .sleeper(Leap(self.clock.clone()))
            .observer(self.events.clone())
            .max_sessions(most)
            .build()
            .unwrap()
    }

    fn ada(&self) -> Session {
        self.keeper(10).session("ada").unwrap()
    }

    fn threads(&self) -> blocking::Session {
        let keeper = blocking::Keeper::builder(provider())
            .store(Arc::clone(&self.store))
            .transport(self.server.clone())
            .clock(self.clock.clone())
            .sleeper(Leap(self.clock.clone()))
            .build()
            .unwrap();
        keeper.session("ada").unwrap()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The next call of `op` waits for this gate.
    fn hangs(&self, op: Op) -> Gate {
        let gate = Gate::new();
        self.store.on_next(op, Fault::HangBefore(gate.clone()));
        gate
    }
}

/// Lets the tasks of this thread go on until they wait for something else.
async fn a_while() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn rule_01_a_late_sign_in_does_not_throw_away_what_its_token_was_exchanged_for() {
    let world = World::new();
    let session = world.ada();
    let answer = Gate::new();
    world.store.on_next(Op::Save, Fault::HangAfter(answer.clone()));
    let ended = set(1).replace("3600", "0").parse().unwrap();
    let sign_in = tokio::spawn({
        let session = session.clone();
        async move { session.sign_in(ended).await }
    });
    answer.until_reached_async().await;
    // It is stored, and somebody spends its refresh token before its caller knows.
    let (sent, store) = (Gate::new(), Arc::clone(&world.store));
    world.server.hang_until(&sent);
    world.server.answer(move |_| {
        store.always(Op::Save, Fault::Fail(StoreErrorKind::Full));
        Ok(http::Response::new(set(2).into_bytes().into()))
    });
    let access = tokio::spawn({
        let session = session.clone();
        async move { session.access_token().await }
    });
    sent.until_reached_async().await;
    answer.open();
    sign_in.await.unwrap().unwrap();
    sent.open();
    assert_eq!(access.await.unwrap().unwrap().expose(), "at-2");
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-2");
    assert!(world.events.take().contains(&Event::Unpersisted));
    world.store.heal();
    assert!(session.shutdown(Duration::from_secs(5)).await.is_clean());
    assert_eq!(world.server.count(), 1);
}

#[test]
fn rule_19_a_lease_that_was_answered_to_a_runtime_that_is_gone_is_given_back() {
    let world = World::new();
    let session = Session::builder(provider())
        .store(Offload::new(Arc::clone(&world.store)))
        .transport(world.server.clone())
        .clock(world.clock.clone())
        .build()
        .unwrap();
    lone_runtime().block_on(session.sign_in(tokens(1))).unwrap();
    world.pass(3560);
    let lease = Gate::new();
    world.store.on_next(Op::TryLease, Fault::HangAfter(lease.clone()));
    let runtime = lone_runtime();
    runtime.block_on(async {
        session.access_token().await.unwrap();
        lease.until_reached_async().await;
        // It is answered now, and nobody polls any more.
        lease.open();
        std::thread::sleep(Duration::from_millis(50));
    });
    drop(runtime);
    let held = || {
        let lease = world.store.inner().try_lease(session.key(), Duration::from_secs(60));
        matches!(lease.unwrap(), LeaseAnswer::Held(_))
    };
    let given_back = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !held()
    });
    assert!(given_back, "the lease stays held");
}

#[tokio::test]
async fn rule_16_who_waited_while_a_token_was_rejected_gets_the_next_one() {
    let world = World::new();
    world.ada().sign_in(tokens(1)).await.unwrap();
    let (session, look) = (world.ada(), world.hangs(Op::Load));
    world.server.reply(200, set(2));
    let plain = tokio::spawn({
        let session = session.clone();
        async move { session.access_token().await }
    });
    look.until_reached_async().await;
    let rejecting = tokio::spawn({
        let session = session.clone();
        async move { session.refresh_rejected(&AccessToken::new("at-1")).await }
    });
    a_while().await;
    look.open();
    assert_eq!(rejecting.await.unwrap().unwrap().expose(), "at-2");
    assert_eq!(plain.await.unwrap().unwrap().expose(), "at-2");
    assert_eq!(world.server.count(), 1);
}

#[test]
fn rule_16_a_thread_that_waited_while_a_token_was_rejected_gets_the_next_one() {
    let world = World::new();
    lone_runtime().block_on(world.ada().sign_in(tokens(1))).unwrap();
    let (session, look) = (world.threads(), world.hangs(Op::Load));
    world.server.reply(200, set(2));
    std::thread::scope(|scope| {
        let plain = scope.spawn(|| session.access_token());
        look.until_reached();
        let refused = AccessToken::new("at-1");
        let rejecting = scope.spawn(|| session.refresh_rejected(&AccessToken::new("at-1")));
        std::thread::sleep(Duration::from_millis(50));
        look.open();
        assert_ne!(plain.join().unwrap().unwrap(), refused);
        assert_ne!(rejecting.join().unwrap().unwrap(), refused);
    });
    assert_eq!(world.server.count(), 1);
}

#[tokio::test]
async fn rule_16_of_tokens_rejected_before_anything_is_shown_none_is_forgotten() {
    let world = World::new();
    world.ada().sign_in(tokens(1)).await.unwrap();
    let keeper = world.keeper(1);
    let ada = keeper.session("ada").unwrap();
    world.store.on_next(Op::Load, Fault::Fail(StoreErrorKind::Locked));
    for refused in ["at-1", "at-0"] {
        ada.refresh_rejected(&AccessToken::new(refused)).await.unwrap_err();
    }
    drop(ada);
    world.pass(10);
    // Nothing of that is written down yet: this session is not evicted.
    assert!(keeper.session("bob").is_err());
    let ada = keeper.session("ada").unwrap();
    world.server.reply(200, set(2));
    assert_eq!(ada.access_token().await.unwrap().expose(), "at-2");
    drop(ada);
    let bob = keeper.session("bob").unwrap();
    // But not for ever, if nobody comes back for it.
    world.store.on_next(Op::Load, Fault::Fail(StoreErrorKind::Locked));
    bob.refresh_rejected(&AccessToken::new("at-1")).await.unwrap_err();
    drop(bob);
    assert!(keeper.session("eve").is_err());
    world.pass(700);
    keeper.session("eve").unwrap();
}

#[tokio::test]
async fn rule_12_a_token_that_nobody_holds_any_more_may_be_signed_in() {
    let world = World::new();
    let keeper = world.keeper(10);
    let (ada, bob) = (keeper.session("ada").unwrap(), keeper.session("bob").unwrap());
    ada.sign_in(tokens(1)).await.unwrap();
    world.server.reply(200, set(2));
    let look = world.hangs(Op::Load);
    let sign_out = tokio::spawn({
        let ada = ada.clone();
        async move { ada.sign_out().await }
    });
    look.until_reached_async().await;
    assert_eq!(ada.refresh().await.unwrap().expose(), "at-2");
    look.open();
    sign_out.await.unwrap().unwrap();
    bob.sign_in(tokens(2)).await.unwrap();
    let error = ada.sign_in(tokens(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "now bob holds it");
}

#[test]
fn rule_12_a_sign_in_whose_runtime_is_gone_holds_no_token() {
    let world = World::new();
    let keeper = world.keeper(10);
    let (ada, bob) = (keeper.session("ada").unwrap(), keeper.session("bob").unwrap());
    let (save, runtime) = (world.hangs(Op::Save), lone_runtime());
    runtime.block_on(async {
        let sign_in = tokio::time::timeout(Duration::from_millis(20), ada.sign_in(tokens(1)));
        assert!(sign_in.await.is_err());
    });
    drop(runtime);
    save.open();
    lone_runtime().block_on(bob.sign_in(tokens(1))).unwrap();
}

#[test]
fn a_policy_says_how_long_its_flights_take_at_most() {
    let policy = Policy::default().with_flight_budget(Duration::from_secs(25));
    assert_eq!(policy.longest_flight(), Duration::from_secs(30));
    let policy = policy.with_lock_wait(Duration::from_secs(1));
    assert_eq!(policy.longest_flight(), Duration::from_secs(25));
}
