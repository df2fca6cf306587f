//! The rules of a refresh that sessions hold, one test each at least; the others are held in core
//! (its own `rules.rs`), in stores and in transports.

#![allow(clippy::unwrap_used, missing_docs)]

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use cotter::store::Memory;
use cotter::{
    AccessToken, BlockingTransport, Capabilities, ErrorKind, Event, Keeper, OAuthToken, Observer,
    Offload, Policy, Provider, Session, SignInReason, State, StoreErrorKind, StoreKey,
    TransportError, blocking,
};
use cotter_testkit::{Fault, FaultStore, Gate, ManualClock, Op, ScriptedTransport};
use cotter_tests::{Log, scripted_provider as provider};

/// How long anything here may take before it counts as stuck; less than a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

type Store = FaultStore<Memory>;

/// A keeper without a network, and all that surrounds it.
struct World {
    clock: ManualClock,
    server: ScriptedTransport,
    store: Arc<Store>,
    events: Log,
    policy: Policy,
}

fn set(n: u32) -> String {
    format!(
        r#"{{"access_token":"at-{n}","id_token":"it-{n}","refresh_token":"rt-{n}","expires_in":3600}}"#
    )
}

fn tokens(n: u32) -> OAuthToken {
    set(n).parse().unwrap()
}

/// Sleeps by moving the clock; but pauses as long as a second wait for a gate.
#[derive(Clone, Debug)]
struct Pauses {
    clock: ManualClock,
    gate: Gate,
}

#[async_trait]
impl cotter::Sleeper for Pauses {
    async fn sleep(&self, duration: Duration) {
        if duration >= Duration::from_secs(1) {
            self.gate.pass_async().await;
        }
        self.clock.advance(duration);
    }
}

impl blocking::Sleeper for Pauses {
    fn sleep(&self, duration: Duration) {
        self.clock.advance(duration);
    }
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::new();
        let memory = Memory::with_clock(Arc::new(clock.clone()));
        Self {
            clock,
            server: ScriptedTransport::new(),
            store: Arc::new(FaultStore::new(memory)),
            events: Log::default(),
            policy: Policy::default(),
        }
    }

    fn pauses(&self) -> Pauses {
        Pauses { clock: self.clock.clone(), gate: Gate::new() }
    }

    fn keeper_with(
        &self,
        observer: impl Observer + 'static,
        pauses: Pauses,
        most: usize,
    ) -> Keeper {
        Keeper::builder(provider())
            .store(Arc::clone(&self.store))
            .transport(self.server.clone())
            .clock(self.clock.clone())
            .sleeper(pauses)
            .observer(observer)
            .policy(self.policy.clone())
            .max_sessions(most)
            .build()
            .unwrap()
    }

    fn keeper(&self) -> Keeper {
        self.keeper_with(self.events.clone(), self.pauses(), 10)
    }

    /// A session that is signed in with the first set.
    async fn signed_in(&self) -> Session {
        let session = self.keeper().session("ada").unwrap();
        session.sign_in(tokens(1)).await.unwrap();
        session
    }

    async fn expired(&self) -> Session {
        let session = self.signed_in().await;
        self.clock.advance(Duration::from_secs(3_601));
        session
    }

    async fn stale(&self) -> Session {
        let session = self.signed_in().await;
        self.clock.advance(Duration::from_secs(3_570));
        session
    }

    fn blocking(&self) -> blocking::Session {
        let session = blocking::Session::builder(provider())
            .store(Arc::clone(&self.store))
            .transport(self.server.clone())
            .clock(self.clock.clone())
            .sleeper(self.pauses())
            .observer(self.events.clone())
            .build()
            .unwrap();
        session.sign_in(tokens(1)).unwrap();
        session
    }

    /// The server grants the nth set; from then on the store takes nothing, until it is healed.
    fn fills_with(&self, n: u32) {
        let store = Arc::clone(&self.store);
        self.server.answer(move |_| {
            store.always(Op::Save, Fault::Fail(StoreErrorKind::Full));
            Ok(http::Response::new(set(n).into_bytes().into()))
        });
    }

    /// The server grants the nth set when the gate opens.
    fn grants_behind(&self, gate: &Gate, n: u32) {
        self.server.hang_until(gate);
        self.server.reply(200, set(n));
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it is not stuck")
}

/// Whether it is ready when polled once.
fn at_once<T>(work: impl Future<Output = T>) -> Option<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

async fn until(mut reached: impl FnMut() -> bool) {
    soon(async {
        while !reached() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn shows(token: Option<AccessToken>, text: &str) -> bool {
    token.is_some_and(|token| token.expose() == text)
}

#[tokio::test]
async fn rule_01_what_could_not_be_stored_is_stored_in_the_background() {
    let world = World::new();
    let pauses = world.pauses();
    let keeper = world.keeper_with(world.events.clone(), pauses.clone(), 10);
    let session = keeper.session("ada").unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    world.clock.advance(Duration::from_secs(3_601));
    world.fills_with(2);
    // Callers get the token and are told; the lease stays, and one task waits.
    assert_eq!(soon(session.access_token()).await.unwrap().expose(), "at-2");
    soon(pauses.gate.until_reached_async()).await;
    assert!(session.status().await.unwrap().unpersisted);
    assert!(keeper.shutdown(Duration::from_millis(50)).await.not_durable.contains(&"ada".into()));
    // However often somebody comes, one task waits.
    for _ in 0..3 {
        assert_eq!(soon(session.access_token()).await.unwrap().expose(), "at-2");
    }
    assert_eq!(pauses.gate.arrived(), 1);
    world.store.heal();
    pauses.gate.open();
    until(|| world.events.take().contains(&Event::Persisted)).await;
    assert!(!session.status().await.unwrap().unpersisted);
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-2");
    assert_eq!(world.server.count(), 1);
}

#[test]
fn rule_01_and_by_the_next_caller_where_there_is_no_background() {
    let world = World::new();
    let session = world.blocking();
    world.clock.advance(Duration::from_secs(3_601));
    world.server.reply(200, set(2));
    let saves = world.store.count(Op::Save);
    for nth in 2..=4 {
        world.store.on(Op::Save, saves + nth, Fault::Fail(StoreErrorKind::Full));
    }
    assert_eq!(session.access_token().unwrap().expose(), "at-2");
    assert!(session.status().unwrap().unpersisted);
    assert_eq!(session.access_token().unwrap().expose(), "at-2");
    assert!(!session.status().unwrap().unpersisted);
    assert_eq!(session.refresh_token().unwrap().expose(), "rt-2");
    assert!(session.shutdown(PATIENCE).is_clean());
}

#[tokio::test]
async fn rule_05_a_sign_in_detaches_the_flight_and_its_waiters_get_the_new_token_at_once() {
    let world = World::new();
    let session = world.expired().await;
    let gate = Gate::new();
    world.grants_behind(&gate, 2);
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.access_token().await }
    });
    until(|| world.server.count() == 1).await;
    session.sign_in(tokens(7)).await.unwrap();
    // The server has not answered yet.
    assert_eq!(soon(waiting).await.unwrap().unwrap().expose(), "at-7");
    gate.open();
    // What it says then is shown to nobody and stored nowhere.
    until(|| world.store.count(Op::Release) == world.store.count(Op::TryLease)).await;
    assert!(shows(session.cached_access_token(), "at-7"));
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-7");
}

#[tokio::test]
async fn rule_05_a_sign_out_detaches_the_flight_and_its_waiters_hear_of_it_at_once() {
    let world = World::new();
    let session = world.expired().await;
    let gate = Gate::new();
    world.grants_behind(&gate, 2);
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.access_token().await }
    });
    until(|| world.server.count() == 1).await;
    soon(session.sign_out()).await.unwrap();
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired(SignInReason::SignedOut));
    gate.open();
    until(|| world.store.count(Op::Release) == world.store.count(Op::TryLease)).await;
    assert_eq!(session.cached_access_token(), None);
    assert_eq!(session.status().await.unwrap().state, State::SignedOut);
}

#[test]
fn rule_05_threads_that_wait_for_a_detached_flight_get_the_new_token_at_once() {
    let world = World::new();
    let session = world.blocking();
    world.clock.advance(Duration::from_secs(3_601));
    let gate = Gate::new();
    world.grants_behind(&gate, 2);
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| session.access_token());
        while world.server.count() == 0 {
            std::thread::yield_now();
        }
        let follower = scope.spawn(|| session.access_token());
        session.sign_in(tokens(7)).unwrap();
        assert_eq!(follower.join().unwrap().unwrap().expose(), "at-7");
        gate.open();
        assert_eq!(leader.join().unwrap().unwrap().expose(), "at-7");
    });
    assert_eq!(session.refresh_token().unwrap().expose(), "rt-7");
}

#[test]
fn rule_06_a_shared_store_without_lease_or_swap_is_refused_where_tokens_rotate() {
    let shared = Capabilities::new().with_shared();
    let build = |capabilities, provider: Provider| {
        Session::builder(provider)
            .store(Countdown { capabilities, ..Countdown::default() })
            .transport(ScriptedTransport::new())
            .build()
            .map(drop)
    };
    for poor in [shared, shared.with_lease(), shared.with_compare_and_set()] {
        assert_eq!(build(poor, provider()).unwrap_err().kind(), ErrorKind::Config);
        build(poor, provider().with_rotation(cotter::Rotation::None)).unwrap();
    }
    build(shared.with_lease().with_compare_and_set(), provider()).unwrap();
    build(Capabilities::new(), provider()).unwrap();
}

#[tokio::test]
async fn rule_12_a_caller_joins_only_a_flight_for_what_he_wants() {
    let world = World::new();
    let session = world.expired().await;
    let gate = Gate::new();
    world.grants_behind(&gate, 2);
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.access_token().await }
    });
    until(|| world.server.count() == 1).await;
    // Whoever insists wants an exchange that begins after he came; two of them share it.
    let insist = || {
        let session = session.clone();
        async move { session.refresh().await }
    };
    let (mut first, mut second) = (Box::pin(insist()), Box::pin(insist()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    world.server.reply(200, set(3));
    gate.open();
    assert_eq!(soon(waiting).await.unwrap().unwrap().expose(), "at-2");
    let (first, second) = soon(async { tokio::join!(first, second) }).await;
    assert_eq!(first.unwrap().expose(), "at-3");
    assert_eq!(second.unwrap().expose(), "at-3");
    assert_eq!(world.server.count(), 2);
}

#[tokio::test]
async fn rule_12_a_refresh_token_that_another_session_holds_is_not_signed_in() {
    let world = World::new();
    let keeper = world.keeper();
    let (ada, grace) = (keeper.session("ada").unwrap(), keeper.session("grace").unwrap());
    ada.sign_in(tokens(1)).await.unwrap();
    assert_eq!(grace.sign_in(tokens(1)).await.unwrap_err().kind(), ErrorKind::Config);
    // It moves with each refresh.
    world.clock.advance(Duration::from_secs(3_601));
    world.server.reply(200, set(2));
    ada.access_token().await.unwrap();
    assert_eq!(grace.sign_in(tokens(2)).await.unwrap_err().kind(), ErrorKind::Config);
    ada.sign_out().await.unwrap();
    grace.sign_in(tokens(2)).await.unwrap();
}

#[tokio::test]
async fn rule_13_a_server_that_is_slow_to_revoke_holds_no_sign_in_up() {
    let world = World::new();
    let gate = Gate::new();
    let revoking = provider().with_revocation_endpoint("https://auth.example/revoke").unwrap();
    let session = Session::builder(revoking)
        .store(Arc::clone(&world.store))
        .transport(world.server.clone())
        .clock(world.clock.clone())
        .build()
        .unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    world.server.hang_until(&gate);
    world.server.reply(200, "");
    let leaving = tokio::spawn({
        let session = session.clone();
        async move { session.sign_out().await }
    });
    until(|| world.server.count() == 1).await;
    assert_eq!(session.cached_access_token(), None);
    soon(session.sign_in(tokens(2))).await.unwrap();
    gate.open();
    assert_eq!(soon(leaving).await.unwrap().unwrap().revoked, Some(true));
    assert!(shows(session.cached_access_token(), "at-2"));
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-2");
}

#[tokio::test]
async fn rule_16_a_forced_refresh_that_fails_leaves_the_token_in_use() {
    let world = World::new();
    let session = world.signed_in().await;
    world.server.reply(500, "");
    assert!(session.refresh().await.is_err());
    assert_eq!(session.access_token().await.unwrap().expose(), "at-1");
}

#[tokio::test]
async fn rule_18_who_holds_a_usable_token_waits_for_nothing() {
    let world = World::new();
    let session = world.stale().await;
    let gate = Gate::new();
    world.grants_behind(&gate, 2);
    // The first one starts a flight and does not wait for it; nor do those after him.
    for _ in 0..3 {
        assert_eq!(at_once(session.access_token()).unwrap().unwrap().expose(), "at-1");
    }
    until(|| world.server.count() == 1).await;
    assert_eq!(at_once(session.access_token()).unwrap().unwrap().expose(), "at-1");
    gate.open();
    until(|| shows(session.cached_access_token(), "at-2")).await;
    assert_eq!(world.server.count(), 1);
}

#[test]
fn rule_18_of_threads_only_the_one_who_flies_waits() {
    let world = World::new();
    let session = world.blocking();
    world.clock.advance(Duration::from_secs(3_570));
    let gate = Gate::new();
    world.grants_behind(&gate, 2);
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| session.access_token());
        while world.server.count() == 0 {
            std::thread::yield_now();
        }
        assert_eq!(session.access_token().unwrap().expose(), "at-1");
        gate.open();
        assert_eq!(leader.join().unwrap().unwrap().expose(), "at-2");
    });
}

#[tokio::test]
async fn rule_18_after_a_failure_everybody_gets_it_at_once_until_its_pause_is_over() {
    let world = World::new();
    let session = world.expired().await;
    for expected in 1..=3 {
        world.server.not_sent();
        world.server.not_sent();
        session.access_token().await.unwrap_err();
        let asked = world.server.count();
        for _ in 0..5 {
            assert!(at_once(session.access_token()).unwrap().is_err());
        }
        assert_eq!(world.server.count(), asked);
        // One second, two, four, and an eighth of jitter.
        world.clock.advance(Duration::from_millis(1_130 << (expected - 1)));
    }
    world.server.reply(200, set(2));
    session.access_token().await.unwrap();
}

#[tokio::test]
async fn rule_18_a_followers_deadline_is_his_own() {
    let world = World::new();
    let session = world.expired().await;
    let gate = Gate::new();
    world.grants_behind(&gate, 2);
    let patient = tokio::spawn({
        let session = session.clone();
        async move { session.access_token().await }
    });
    until(|| world.server.count() == 1).await;
    let hasty = tokio::time::timeout(Duration::from_millis(10), session.access_token()).await;
    assert!(hasty.is_err());
    gate.open();
    assert_eq!(soon(patient).await.unwrap().unwrap().expose(), "at-2");
    assert_eq!(world.server.count(), 1);
}

#[tokio::test]
async fn rule_19_a_shutdown_refuses_flights_and_names_what_is_left() {
    let world = World::new();
    let keeper = world.keeper();
    let session = keeper.session("ada").unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    world.clock.advance(Duration::from_secs(3_601));
    let gate = Gate::new();
    world.grants_behind(&gate, 2);
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.access_token().await }
    });
    until(|| world.server.count() == 1).await;
    assert_eq!(keeper.shutdown(Duration::from_millis(20)).await.unfinished, ["ada"]);
    gate.open();
    assert_eq!(soon(waiting).await.unwrap().unwrap().expose(), "at-2");
    assert!(soon(keeper.shutdown(PATIENCE)).await.is_clean());
    let error = session.refresh().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable { uncertain: false, .. }));
    assert_eq!(world.server.count(), 1);
}

#[test]
fn rule_19_without_a_runtime_an_async_session_says_so() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let session = runtime.block_on(world.expired());
    drop(runtime);
    let error = at_once(session.access_token()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// Panics at every event, having asked the session whether it is still at it.
#[derive(Debug, Default)]
struct Explosive<S> {
    session: Arc<OnceLock<S>>,
    busy: Arc<Mutex<Vec<bool>>>,
}

impl<S: Asked> Observer for Explosive<S> {
    fn observe(&self, _: &StoreKey, event: Event) {
        // Outside of every lock: this would never return otherwise.
        let busy = self.session.get().is_some_and(Asked::is_busy);
        self.busy.lock().unwrap().push(busy);
        panic!("an observer panics, as planned, at {event:?}");
    }
}

trait Asked: core::fmt::Debug + Send + Sync {
    fn is_busy(&self) -> bool;
}

impl Asked for Session {
    fn is_busy(&self) -> bool {
        self.cached_access_token().is_none() || self.is_refreshing()
    }
}

impl Asked for blocking::Session {
    fn is_busy(&self) -> bool {
        // It may even wait.
        self.access_token().is_err() || self.is_refreshing()
    }
}

#[tokio::test]
async fn rule_20_an_observer_may_panic_and_ask_for_tokens() {
    let world = World::new();
    let (cell, busy) = (Arc::new(OnceLock::new()), Arc::<Mutex<Vec<bool>>>::default());
    let observer = Explosive { session: Arc::clone(&cell), busy: Arc::clone(&busy) };
    let keeper = world.keeper_with(observer, world.pauses(), 10);
    let session = keeper.session("ada").unwrap();
    cell.set(session.clone()).unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    for n in 2..5 {
        world.clock.advance(Duration::from_secs(3_601));
        world.server.reply(200, set(n));
        let token = soon(session.access_token()).await.unwrap();
        assert_eq!(token.expose(), format!("at-{n}"));
    }
    until(|| busy.lock().unwrap().len() == 3).await;
    assert_eq!(*busy.lock().unwrap(), [false; 3]);
}

#[test]
fn rule_20_an_observer_may_panic_and_ask_for_tokens_on_the_callers_thread() {
    let world = World::new();
    let (cell, busy) = (Arc::new(OnceLock::new()), Arc::<Mutex<Vec<bool>>>::default());
    let session = blocking::Session::builder(provider())
        .store(Arc::clone(&world.store))
        .transport(world.server.clone())
        .clock(world.clock.clone())
        .observer(Explosive { session: Arc::clone(&cell), busy: Arc::clone(&busy) })
        .build()
        .unwrap();
    cell.set(session.clone()).unwrap();
    session.sign_in(tokens(1)).unwrap();
    world.clock.advance(Duration::from_secs(3_601));
    world.server.reply(200, set(2));
    assert_eq!(session.access_token().unwrap().expose(), "at-2");
    assert_eq!(*busy.lock().unwrap(), [false]);
}

/// Panics as often as it is told to.
#[derive(Clone, Debug)]
struct Panics<T>(T, Arc<core::sync::atomic::AtomicU32>);

impl<T> Panics<T> {
    fn perhaps(&self) {
        use core::sync::atomic::Ordering::SeqCst;
        let left = self.1.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        assert!(left.is_err(), "an adapter panics, as planned");
    }
}

#[async_trait]
impl cotter::Transport for Panics<ScriptedTransport> {
    async fn send(
        &self,
        request: http::Request<cotter::SecretBytes>,
        timeout: Duration,
    ) -> Result<http::Response<cotter::SecretBytes>, TransportError> {
        self.perhaps();
        cotter::Transport::send(&self.0, request, timeout).await
    }
}

impl BlockingTransport for Panics<ScriptedTransport> {
    fn send(
        &self,
        request: http::Request<cotter::SecretBytes>,
        timeout: Duration,
    ) -> Result<http::Response<cotter::SecretBytes>, TransportError> {
        self.perhaps();
        BlockingTransport::send(&self.0, request, timeout)
    }
}

#[tokio::test]
async fn rule_20_a_transport_that_panics_is_uncertain_and_poisons_nothing() {
    let world = World::new();
    let server = Panics(world.server.clone(), Arc::new(1.into()));
    let session = Session::builder(provider())
        .store(Arc::clone(&world.store))
        .transport(server)
        .clock(world.clock.clone())
        .build()
        .unwrap();
    session.sign_in(tokens(1)).await.unwrap();
    world.clock.advance(Duration::from_secs(3_601));
    let error = soon(session.access_token()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable { uncertain: true, .. }), "{error}");
    assert!(session.status().await.unwrap().pending_rotation.is_some());
    world.clock.advance(Duration::from_secs(60));
    world.server.reply(200, set(2));
    assert_eq!(soon(session.access_token()).await.unwrap().expose(), "at-2");
}

#[test]
fn rule_20_a_transport_that_panics_is_uncertain_for_threads_too() {
    let world = World::new();
    let server = Panics(world.server.clone(), Arc::new(1.into()));
    let session = blocking::Session::builder(provider())
        .store(Arc::clone(&world.store))
        .transport(server)
        .clock(world.clock.clone())
        .build()
        .unwrap();
    session.sign_in(tokens(1)).unwrap();
    world.clock.advance(Duration::from_secs(3_601));
    let error = session.access_token().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable { uncertain: true, .. }), "{error}");
    world.clock.advance(Duration::from_secs(60));
    world.server.reply(200, set(2));
    assert_eq!(session.access_token().unwrap().expose(), "at-2");
}

#[tokio::test]
async fn rule_20_a_store_that_panics_at_any_call_poisons_nothing() {
    // Load, lease, load, note, grant, release: whichever of them panics.
    for call in 0..6 {
        let world = World::new();
        let panics = Arc::new(core::sync::atomic::AtomicU32::new(0));
        let store = Countdown::default();
        let session = Session::builder(provider())
            .store(store.clone())
            .transport(Panics(world.server.clone(), panics))
            .clock(world.clock.clone())
            .sleeper(Leap(world.clock.clone()))
            .build()
            .unwrap();
        session.sign_in(tokens(1)).await.unwrap();
        world.clock.advance(Duration::from_secs(3_601));
        world.server.reply(200, set(2));
        let calls = store.calls.load(core::sync::atomic::Ordering::SeqCst);
        store.at.store(calls + call, core::sync::atomic::Ordering::SeqCst);
        let first = soon(session.access_token()).await;
        // A lease whose release panicked lapses; an uncertain save is looked up.
        let mut token = first.ok();
        for _ in 0..10 {
            world.clock.advance(Duration::from_secs(70));
            token = token.or(soon(session.access_token()).await.ok());
        }
        assert_eq!(token.map(|t| t.expose().to_owned()).as_deref(), Some("at-2"), "call {call}");
        assert!(soon(session.shutdown(PATIENCE)).await.is_clean(), "call {call}");
        assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-2", "call {call}");
        assert_eq!(world.server.count(), 1, "call {call}");
    }
}

#[derive(Debug)]
struct Leap(ManualClock);

#[async_trait]
impl cotter::Sleeper for Leap {
    async fn sleep(&self, duration: Duration) {
        self.0.advance(duration);
        tokio::task::yield_now().await;
    }
}

/// A store that declares what it is told to, and panics in one call.
#[derive(Clone, Debug)]
struct Countdown {
    store: Memory,
    capabilities: Capabilities,
    calls: Arc<core::sync::atomic::AtomicU32>,
    at: Arc<core::sync::atomic::AtomicU32>,
}

impl Default for Countdown {
    fn default() -> Self {
        let store = Memory::new();
        Self {
            capabilities: cotter::TokenStore::capabilities(&store),
            store,
            calls: Arc::default(),
            at: Arc::new(u32::MAX.into()),
        }
    }
}

impl Countdown {
    fn tick(&self) -> &Memory {
        use core::sync::atomic::Ordering::SeqCst;
        let call = self.calls.fetch_add(1, SeqCst);
        assert_ne!(call, self.at.load(SeqCst), "a store panics, as planned");
        &self.store
    }
}

#[async_trait]
impl cotter::TokenStore for Countdown {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
    async fn load(
        &self,
        key: &StoreKey,
    ) -> Result<Option<cotter::core::Loaded>, cotter::StoreError> {
        cotter::TokenStore::load(self.tick(), key).await
    }
    async fn save(
        &self,
        key: &StoreKey,
        record: &cotter::SecretBytes,
        expected: cotter::core::Expected,
        new: cotter::core::Revision,
    ) -> Result<cotter::core::Swap, cotter::StoreError> {
        cotter::TokenStore::save(self.tick(), key, record, expected, new).await
    }
    async fn remove(
        &self,
        key: &StoreKey,
        expected: cotter::core::Revision,
    ) -> Result<cotter::core::Swap, cotter::StoreError> {
        cotter::TokenStore::remove(self.tick(), key, expected).await
    }
    async fn try_lease(
        &self,
        key: &StoreKey,
        ttl: Duration,
    ) -> Result<cotter::core::LeaseAnswer, cotter::StoreError> {
        cotter::TokenStore::try_lease(self.tick(), key, ttl).await
    }
    async fn release(
        &self,
        key: &StoreKey,
        owner: cotter::core::LeaseOwner,
    ) -> Result<(), cotter::StoreError> {
        cotter::TokenStore::release(self.tick(), key, owner).await
    }
    async fn list(&self) -> Result<Vec<StoreKey>, cotter::StoreError> {
        cotter::TokenStore::list(self.tick()).await
    }
}

#[tokio::test]
async fn rule_21_a_store_that_hangs_is_given_up_and_spends_nothing() {
    let mut world = World::new();
    world.policy = Policy::default().with_store_deadline(Duration::from_millis(50));
    let session = world.expired().await;
    let gate = Gate::new();
    world.store.on_next(Op::Save, Fault::HangBefore(gate.clone()));
    let error = soon(session.access_token()).await.unwrap_err();
    let kind = error.store_error().map(cotter::StoreError::kind);
    assert_eq!(kind, Some(StoreErrorKind::Timeout), "{error}");
    assert_eq!(world.server.count(), 0);
    gate.open();
    world.clock.advance(Duration::from_secs(120));
    world.server.reply(200, set(2));
    assert_eq!(soon(session.access_token()).await.unwrap().expose(), "at-2");
}

#[tokio::test]
async fn rule_21_a_save_that_times_out_after_the_grant_is_looked_up() {
    let mut world = World::new();
    world.policy = Policy::default().with_store_deadline(Duration::from_millis(50));
    let session = world.expired().await;
    world.server.reply(200, set(2));
    let gate = Gate::new();
    let saves = world.store.count(Op::Save);
    world.store.on(Op::Save, saves + 2, Fault::HangAfter(gate.clone()));
    assert_eq!(soon(session.access_token()).await.unwrap().expose(), "at-2");
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-2");
    gate.open();
}

#[tokio::test]
async fn rule_21_a_token_is_published_right_after_its_save_however_slow_the_release() {
    let world = World::new();
    let session = world.expired().await;
    world.server.reply(200, set(2));
    let gate = Gate::new();
    world.store.on_next(Op::Release, Fault::HangBefore(gate.clone()));
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.access_token().await }
    });
    soon(gate.until_reached_async()).await;
    assert!(shows(session.cached_access_token(), "at-2"));
    assert_eq!(at_once(session.access_token()).unwrap().unwrap().expose(), "at-2");
    gate.open();
    assert_eq!(soon(waiting).await.unwrap().unwrap().expose(), "at-2");
}

#[tokio::test]
async fn rule_21_no_later_call_overtakes_a_stuck_one_in_a_blocking_store() {
    let world = World::new();
    let offload = Offload::new(Arc::clone(&world.store));
    let key = provider().store_key("ada").unwrap();
    let gate = Gate::new();
    world.store.on_next(Op::Load, Fault::HangBefore(gate.clone()));
    let stuck = tokio::spawn({
        let (offload, key) = (offload.clone(), key.clone());
        async move { cotter::TokenStore::load(&offload, &key).await.map(drop) }
    });
    soon(gate.until_reached_async()).await;
    let later = tokio::spawn({
        let (offload, key) = (offload.clone(), key.clone());
        async move { cotter::TokenStore::list(&offload).await.map(|_| drop(key)) }
    });
    // A caller that goes away does not stop what it asked for.
    stuck.abort();
    assert_eq!(world.store.ops(), [Op::Load]);
    gate.open();
    soon(later).await.unwrap().unwrap();
    assert_eq!(world.store.ops(), [Op::Load, Op::List]);
}

#[tokio::test]
async fn rule_22_what_is_in_use_is_never_evicted_and_what_rests_is() {
    let world = World::new();
    let keeper = world.keeper_with(world.events.clone(), world.pauses(), 2);
    let full = |name: &str| {
        keeper
            .session(name)
            .err()
            .map(|error| matches!(error.kind(), ErrorKind::Unavailable { .. }))
    };
    let ada = keeper.session("ada").unwrap();
    ada.sign_in(tokens(1)).await.unwrap();
    let grace = keeper.session("grace").unwrap();
    grace.sign_in(tokens(2)).await.unwrap();
    assert_eq!(full("eve"), Some(true), "both have a handle");

    // A flight keeps its session, though nobody has a handle to it.
    world.clock.advance(Duration::from_secs(3_601));
    let gate = Gate::new();
    world.server.hang_until(&gate);
    world.server.reply(503, "");
    let mut asking = Box::pin(async move { ada.access_token().await });
    assert!(asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(asking);
    until(|| world.server.count() == 1).await;
    assert_eq!(full("eve"), Some(true), "one flies");
    gate.open();
    until(|| world.events.take().contains(&Event::Uncertain)).await;

    // So does the pause after a failure, while it lasts.
    assert_eq!(full("eve"), Some(true), "one pauses");
    world.clock.advance(Duration::from_secs(120));
    drop(keeper.session("eve").unwrap());
    assert_eq!(keeper.held_in_memory(), 2);

    // What was evicted rests in the store.
    drop(grace);
    let grace = keeper.session("grace").unwrap();
    assert_eq!(grace.refresh_token().await.unwrap().expose(), "rt-2");
}

#[test]
fn rule_22_a_set_in_memory_only_is_never_evicted() {
    let world = World::new();
    let keeper = blocking::Keeper::builder(provider())
        .store(Arc::clone(&world.store))
        .transport(world.server.clone())
        .clock(world.clock.clone())
        .sleeper(world.pauses())
        .max_sessions(1)
        .build()
        .unwrap();
    let session = keeper.session("ada").unwrap();
    session.sign_in(tokens(1)).unwrap();
    world.clock.advance(Duration::from_secs(3_601));
    world.fills_with(2);
    session.access_token().unwrap();
    drop(session);
    assert!(keeper.session("grace").is_err());
    world.store.heal();
    assert!(keeper.shutdown(PATIENCE).is_clean());
    keeper.session("grace").unwrap();
    assert_eq!(keeper.session("ada").unwrap().refresh_token().unwrap().expose(), "rt-2");
}
