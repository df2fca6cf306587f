//! Any number of callers, one exchange; and callers that go away take nothing with them.

#![allow(clippy::unwrap_used, missing_docs)]

use core::pin::Pin;
use core::task::{Context, Waker};
use core::time::Duration;
use std::sync::{Arc, Barrier};

use cotter::core::flow::{self, Context as FlowContext};
use cotter::core::{Goal, Memory as Remembered, SecretBytes, Step};
use cotter::store::Memory;
use cotter::{BlockingTokenStore, Clock, ErrorKind, OAuthToken, Provider, Session, Transport};
use cotter_emulator::{Config, Emulator, Fault};
use cotter_testkit::{Fault as Broken, FaultStore, Gate, ManualClock, Op};
use cotter_tests::{ADA, Kind, Rig};

fn provider(server: &Emulator) -> Provider {
    Provider::cotter(server.api_key_id()).unwrap().with_base_url(server.base_url()).unwrap()
}

fn reqwest() -> cotter::transport::Reqwest {
    cotter::transport::Reqwest::builder().no_proxy().build().unwrap()
}

fn session(server: &Emulator, clock: &ManualClock, store: Memory) -> Session {
    Session::builder(provider(server))
        .store(store)
        .transport(reqwest())
        .clock(clock.clone())
        .build()
        .unwrap()
}

fn tokens(server: &Emulator) -> OAuthToken {
    server.token_set(ADA).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_on_an_ended_token_make_one_exchange() {
    let server = Emulator::start(Config::default()).unwrap();
    let clock = ManualClock::new();
    let session = session(&server, &clock, Memory::new());
    session.sign_in(tokens(&server)).await.unwrap();
    clock.advance(Duration::from_secs(3601));
    let callers: Vec<_> = (0..10_000)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.access_token().await.unwrap() })
        })
        .collect();
    let mut first = None;
    for caller in callers {
        let token = caller.await.unwrap();
        assert_eq!(*first.get_or_insert_with(|| token.clone()), token);
    }
    let counters = server.counters();
    assert_eq!((counters.exchanges, counters.refresh_requests), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_share_one_failure() {
    let server = Emulator::start(Config::default()).unwrap();
    let clock = ManualClock::new();
    let session = session(&server, &clock, Memory::new());
    session.sign_in(tokens(&server)).await.unwrap();
    clock.advance(Duration::from_secs(3601));
    server.fault(Fault::status(500).count(0x1000));
    let callers: Vec<_> = (0..10_000)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.access_token().await.unwrap_err().kind() })
        })
        .collect();
    for caller in callers {
        assert!(matches!(caller.await.unwrap(), ErrorKind::Unavailable { uncertain: true, .. }));
    }
    assert_eq!(server.counters().refresh_requests, 1);
}

#[test]
fn sixty_four_threads_on_an_ended_token_make_one_exchange() {
    let rig = Rig::new(Kind::Blocking, Config::default());
    let session = rig.signed_in();
    rig.until_expired();
    let start = Barrier::new(64);
    let tokens: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    session.access().unwrap()
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(rig.requests(), 1);
}

/// Polls `future` this many times, letting the rest of the runtime go on in between; then drops it.
async fn poll_and_drop<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future: Pin<Box<dyn Future<Output = T>>> = Box::pin(future);
    for _ in 0..polls {
        let mut cx = Context::from_waker(Waker::noop());
        if let core::task::Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return Some(value);
        }
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    None
}

/// A caller dropped at every point at which it can be dropped burns nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_caller_does_not_burn_the_refresh_token() {
    for polls in 0..24 {
        let server = Emulator::start(Config::default()).unwrap();
        let clock = ManualClock::new();
        let session = session(&server, &clock, Memory::new());
        session.sign_in(tokens(&server)).await.unwrap();
        clock.advance(Duration::from_secs(3601));
        let _ = poll_and_drop(session.access_token(), polls).await;
        // Whatever became of the caller: the next one gets a token, and nothing spent was sent.
        session.access_token().await.unwrap();
        let stored = session.refresh_token().await.unwrap();
        assert_eq!(
            Some(stored.expose()),
            server.current_refresh_token(ADA).as_deref(),
            "dropped after {polls} polls"
        );
        let counters = server.counters();
        assert_eq!((counters.exchanges, counters.reuses), (1, 0), "dropped after {polls} polls");
        assert!(session.shutdown(Duration::from_secs(5)).await.is_clean());
    }
}

/// The same, held up by a gate at every call that a refresh makes: before it happens and after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_dropped_at_every_step_of_the_flight_loses_nothing() {
    // As the flight makes them: load, lease, load, note, (exchange), save, release.
    let steps = [
        (Op::Load, 1),
        (Op::TryLease, 1),
        (Op::Load, 2),
        (Op::Save, 1),
        (Op::Save, 2),
        (Op::Release, 1),
    ];
    let server = Emulator::start(Config::default()).unwrap();
    for (step, after) in steps.iter().flat_map(|step| [(step, false), (step, true)]) {
        server.reset();
        let clock = ManualClock::new();
        let store = Arc::new(FaultStore::new(Memory::new()));
        let session = Session::builder(provider(&server))
            .store(Arc::clone(&store))
            .transport(reqwest())
            .clock(clock.clone())
            .build()
            .unwrap();
        session.sign_in(tokens(&server)).await.unwrap();
        clock.advance(Duration::from_secs(3601));
        let (gate, (op, nth)) = (Gate::new(), *step);
        let held = gate.clone();
        let fault = if after { Broken::HangAfter(held) } else { Broken::HangBefore(held) };
        store.on(op, store.count(op) + nth, fault);
        let mut caller = Box::pin(session.access_token());
        let mut cx = Context::from_waker(Waker::noop());
        let waits = caller.as_mut().poll(&mut cx).is_pending();
        assert!(waits || op == Op::Release, "only a release is waited for by nobody");
        let reached = tokio::time::timeout(Duration::from_secs(5), gate.until_reached_async());
        reached.await.unwrap();
        drop(caller);
        gate.open();
        let next = tokio::time::timeout(Duration::from_secs(5), session.access_token());
        next.await.unwrap().unwrap();
        assert!(session.shutdown(Duration::from_secs(5)).await.is_clean());
        let stored = session.refresh_token().await.unwrap();
        let newest = server.current_refresh_token(ADA);
        assert_eq!(Some(stored.expose()), newest.as_deref(), "{step:?}, after: {after}");
        let counters = server.counters();
        assert_eq!((counters.exchanges, counters.reuses), (1, 0), "{step:?}, after: {after}");
    }
}

/// The negative control: were the flow the caller's own, dropping it would lose the token. The same
/// core, driven in the caller's future.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_that_its_caller_owns_would_lose_it() {
    let server = Emulator::start(Config::default()).unwrap();
    let clock = ManualClock::new();
    let store = Memory::new();
    session(&server, &clock, store.clone()).sign_in(tokens(&server)).await.unwrap();
    clock.advance(Duration::from_secs(3601));
    server.fault(Fault::new("drip").after_commit());
    let mut owned =
        Box::pin(drive_here(server_flow(&server, &clock, &store), clock, store.clone()));
    for _ in 0..10_000 {
        let mut cx = Context::from_waker(Waker::noop());
        let poll = owned.as_mut().poll(&mut cx);
        assert!(poll.is_pending(), "the caller goes away before the answer");
        if server.counters().exchanges == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    drop(owned);
    assert_eq!(server.counters().exchanges, 1);
    let clock = ManualClock::new();
    let stored = session(&server, &clock, store).refresh_token().await.unwrap();
    assert_ne!(Some(stored.expose()), server.current_refresh_token(ADA).as_deref());
}

fn server_flow(server: &Emulator, clock: &ManualClock, store: &Memory) -> Step<flow::Outcome> {
    let provider = provider(server);
    let cx = FlowContext {
        key: provider.store_key("default").unwrap(),
        provider: Arc::new(provider),
        policy: Arc::default(),
        store: BlockingTokenStore::capabilities(store),
        seed: 1,
        verifier: None,
    };
    flow::acquire(cx, Goal::access(), Remembered::default(), None, None, clock.now())
}

/// A driver as one would write it without a thought for cancellation.
async fn drive_here(mut step: Step<flow::Outcome>, clock: ManualClock, store: Memory) -> bool {
    let transport = reqwest();
    loop {
        step = match step {
            Step::Load(ask) => {
                let (key, then) = ask.split();
                then.answer(clock.now(), BlockingTokenStore::load(&store, &key))
            }
            Step::Save(ask) => {
                let (save, then) = ask.split();
                let (record, new): (&SecretBytes, _) = (&save.record, save.new);
                let answer =
                    BlockingTokenStore::save(&store, &save.key, record, save.expected, new);
                then.answer(clock.now(), answer)
            }
            Step::Remove(ask) => {
                let (remove, then) = ask.split();
                let answer = BlockingTokenStore::remove(&store, &remove.key, remove.expected);
                then.answer(clock.now(), answer)
            }
            Step::Lease(ask) => {
                let (lease, then) = ask.split();
                let answer = BlockingTokenStore::try_lease(&store, &lease.key, lease.ttl);
                then.answer(clock.now(), answer)
            }
            Step::Release(ask) => {
                let (release, then) = ask.split();
                let answer = BlockingTokenStore::release(&store, &release.key, release.owner);
                then.answer(clock.now(), answer)
            }
            Step::Send(ask) => {
                let (send, then) = ask.split();
                let answer = transport.send(send.request, Duration::from_secs(10)).await;
                then.answer(clock.now(), answer)
            }
            Step::Sleep(ask) => {
                let (duration, then) = ask.split();
                clock.advance(duration);
                then.answer(clock.now(), ())
            }
            Step::Publish(ask) => ask.split().1.answer(clock.now(), ()),
            Step::Done(outcome) => return outcome.result.is_ok(),
        };
    }
}

#[test]
fn a_runtime_that_ends_in_the_middle_answers_waiters_and_frees_the_slot() {
    let server = Emulator::start(Config::default()).unwrap();
    let clock = ManualClock::new();
    let session = session(&server, &clock, Memory::new());
    let runtime = |threads| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime(1);
    first.block_on(session.sign_in(tokens(&server))).unwrap();
    clock.advance(Duration::from_secs(3601));
    server.pause();
    let caller = session.clone();
    first.spawn(async move { caller.access_token().await });
    assert!(server.wait_for_requests(1, Duration::from_secs(10)));
    first.shutdown_background();
    // The flight's task is gone; its slot and its lease are free, and the note says "uncertain".
    let second = runtime(2);
    second.block_on(async {
        for _ in 0..1_000 {
            if !session.is_refreshing() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!session.is_refreshing());
        assert!(session.status().await.unwrap().pending_rotation.is_some());
        server.resume();
        clock.advance(Duration::from_secs(60));
        // The request went down with its connection, unread: presented once more, it is good.
        let result = tokio::time::timeout(Duration::from_secs(20), session.access_token()).await;
        result.unwrap().unwrap();
        let counters = server.counters();
        assert_eq!((counters.exchanges, counters.reuses), (1, 0));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stuck_session_does_not_hold_up_another() {
    let server = Emulator::start(Config::default()).unwrap();
    let clock = ManualClock::new();
    let keeper = cotter::Keeper::builder(provider(&server))
        .store(Memory::new())
        .transport(reqwest())
        .clock(clock.clone())
        .build()
        .unwrap();
    let (stuck, free) = (keeper.session("stuck").unwrap(), keeper.session("free").unwrap());
    stuck.sign_in(tokens(&server)).await.unwrap();
    clock.advance(Duration::from_secs(3601));
    free.sign_in(server.token_set("grace@example.test").parse().unwrap()).await.unwrap();
    server.pause();
    let waiting = tokio::spawn(async move { stuck.access_token().await });
    assert!(server.requests(1, Duration::from_secs(10)).await);
    tokio::time::timeout(Duration::from_secs(1), free.access_token()).await.unwrap().unwrap();
    server.resume();
    waiting.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_elsewhere_takes_effect_within_the_interval() {
    let server = Emulator::start(Config::default()).unwrap();
    let clock = ManualClock::new();
    let store = Memory::shared();
    let (here, there) = (session(&server, &clock, store.clone()), session(&server, &clock, store));
    here.sign_in(tokens(&server)).await.unwrap();
    there.access_token().await.unwrap();
    here.sign_out().await.unwrap();
    assert!(there.access_token().await.is_ok(), "not yet looked again");
    clock.advance(Duration::from_secs(5));
    assert!(there.access_token().await.unwrap_err().needs_sign_in());
    assert_eq!(there.cached_access_token(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_holds_no_more_sessions_than_it_may() {
    let server = Emulator::start(Config::default()).unwrap();
    let keeper = cotter::Keeper::builder(provider(&server))
        .store(Memory::new())
        .transport(reqwest())
        .max_sessions(3)
        .build()
        .unwrap();
    for n in 0..10 {
        keeper.session(&format!("user-{n}")).unwrap();
        assert!(keeper.held_in_memory() <= 3);
    }
    let held: Vec<_> = (0..3).map(|n| keeper.session(&format!("held-{n}")).unwrap()).collect();
    let error = keeper.session("one more").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable { .. }));
    drop(held);
    keeper.session("one more").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_of_a_keeper_cannot_share_a_refresh_token() {
    let server = Emulator::start(Config::default()).unwrap();
    let keeper = cotter::Keeper::builder(provider(&server))
        .store(Memory::new())
        .transport(reqwest())
        .build()
        .unwrap();
    let set = tokens(&server);
    let (a, b) = (keeper.session("a").unwrap(), keeper.session("b").unwrap());
    a.sign_in(set.duplicate()).await.unwrap();
    assert_eq!(b.sign_in(set.duplicate()).await.unwrap_err().kind(), ErrorKind::Config);
    a.sign_out().await.unwrap();
    b.sign_in(set).await.unwrap();
}

/// Two keepers on one shared store are two processes: whoever comes second adopts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_with_many_callers_make_one_exchange() {
    let server = Emulator::start(Config::default()).unwrap();
    let clock = ManualClock::new();
    let store = Memory::shared();
    let (here, there) = (session(&server, &clock, store.clone()), session(&server, &clock, store));
    here.sign_in(tokens(&server)).await.unwrap();
    there.access_token().await.unwrap();
    clock.advance(Duration::from_secs(3601));
    let callers: Vec<_> = (0..200)
        .map(|n| {
            let session = if n % 2 == 0 { here.clone() } else { there.clone() };
            tokio::spawn(async move { session.access_token().await.unwrap() })
        })
        .collect();
    let mut first = None;
    for caller in callers {
        let token = tokio::time::timeout(Duration::from_secs(10), caller).await.unwrap().unwrap();
        assert_eq!(*first.get_or_insert_with(|| token.clone()), token);
    }
    let counters = server.counters();
    assert_eq!((counters.exchanges, counters.refresh_requests), (1, 1));
}
