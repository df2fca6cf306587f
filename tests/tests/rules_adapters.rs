//! The rules of a refresh where a store, a transport or a runtime is not what it should be.

#![allow(clippy::unwrap_used, missing_docs)]

use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;

use cotter::core::{
    Capabilities, Expected, LeaseAnswer, LeaseOwner, Loaded, Revision, StoreError, Swap, TokenStore,
};
use cotter::store::Memory;
use cotter::{
    Error, ErrorKind, Event, OAuthToken, Policy, SecretBytes, Session, StoreErrorKind, StoreKey,
    TransportError, blocking,
};
use cotter_testkit::{Fault, FaultStore, Gate, Op, ScriptedTransport};
use cotter_tests::{Log, scripted_provider as provider};

fn tokens(seconds: u32) -> OAuthToken {
    format!(r#"{{"access_token":"at-1","refresh_token":"rt-1","expires_in":{seconds}}}"#)
        .parse()
        .unwrap()
}

/// What is ready without anybody to wake it.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match core::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn rule_19_whatever_waits_says_that_it_needs_a_runtime_with_timers() {
    let build = || {
        let builder = Session::builder(provider()).store(Memory::new());
        builder.transport(ScriptedTransport::new()).build().unwrap()
    };
    async fn kinds(session: &Session) -> Vec<Option<ErrorKind>> {
        fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
            result.err().map(|error| error.kind())
        }
        let left = session.shutdown(Duration::from_secs(5)).await;
        assert!(left.is_clean(), "{left:?}");
        vec![
            kind(session.sign_in(tokens(0)).await),
            kind(session.access_token().await),
            kind(session.refresh().await),
            kind(session.id_token().await),
            kind(session.refresh_token().await),
            kind(session.status().await),
            kind(session.signed_in_user().await),
            kind(session.request_approval("ada", Duration::from_secs(1)).await),
            kind(session.sign_out().await),
        ]
    }
    let config = vec![Some(ErrorKind::Config); 9];
    assert_eq!(at_once(kinds(&build())), config);
    let timeless = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(timeless.block_on(kinds(&build())), config);
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A store that was written by hand and panics at loads, before it has a future to return.
#[derive(Clone, Debug)]
struct Hasty {
    memory: Memory,
    panics: Arc<AtomicBool>,
}

impl TokenStore for Hasty {
    fn capabilities(&self) -> Capabilities {
        TokenStore::capabilities(&self.memory)
    }
    fn load<'a, 'b, 'c>(&'a self, key: &'b StoreKey) -> Answer<'c, Option<Loaded>>
    where
        'a: 'c,
        'b: 'c,
    {
        assert!(!self.panics.load(Ordering::SeqCst), "as planned");
        TokenStore::load(&self.memory, key)
    }
    fn save<'a, 'b, 'c, 'd>(
        &'a self,
        key: &'b StoreKey,
        record: &'c SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Answer<'d, Swap>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
    {
        TokenStore::save(&self.memory, key, record, expected, new)
    }
    fn remove<'a, 'b, 'c>(&'a self, key: &'b StoreKey, expected: Revision) -> Answer<'c, Swap>
    where
        'a: 'c,
        'b: 'c,
    {
        TokenStore::remove(&self.memory, key, expected)
    }
    fn try_lease<'a, 'b, 'c>(&'a self, key: &'b StoreKey, ttl: Duration) -> Answer<'c, LeaseAnswer>
    where
        'a: 'c,
        'b: 'c,
    {
        TokenStore::try_lease(&self.memory, key, ttl)
    }
    fn release<'a, 'b, 'c>(&'a self, key: &'b StoreKey, owner: LeaseOwner) -> Answer<'c, ()>
    where
        'a: 'c,
        'b: 'c,
    {
        TokenStore::release(&self.memory, key, owner)
    }
    fn list<'a, 'b>(&'a self) -> Answer<'b, Vec<StoreKey>>
    where
        'a: 'b,
    {
        TokenStore::list(&self.memory)
    }
}

#[tokio::test]
async fn rule_20_a_store_that_panics_before_it_has_a_future_unwinds_into_nobody() {
    let store = Hasty { memory: Memory::new(), panics: Arc::default() };
    let server = ScriptedTransport::new();
    let session = Session::builder(provider())
        .store(store.clone())
        .transport(server.clone())
        .build()
        .unwrap();
    session.sign_in(tokens(3600)).await.unwrap();
    store.panics.store(true, Ordering::SeqCst);
    let panicked = |error: Error| {
        assert_eq!(error.store_error().map(StoreError::kind), Some(StoreErrorKind::Other));
    };
    panicked(session.status().await.unwrap_err());
    panicked(session.refresh_token().await.unwrap_err());
    panicked(session.refresh().await.unwrap_err());
    panicked(session.sign_out().await.unwrap_err());
    assert_eq!(server.count(), 0);
    store.panics.store(false, Ordering::SeqCst);
    assert_eq!(session.refresh_token().await.unwrap().expose(), "rt-1");
}

/// A transport that was written by hand and panics before it has a future to return.
#[derive(Debug)]
struct HastyTransport;

impl cotter::Transport for HastyTransport {
    fn send<'a, 'b>(
        &'a self,
        _: http::Request<SecretBytes>,
        _: Duration,
    ) -> Pin<
        Box<dyn Future<Output = Result<http::Response<SecretBytes>, TransportError>> + Send + 'b>,
    >
    where
        'a: 'b,
    {
        panic!("as planned")
    }
}

#[tokio::test]
async fn rule_20_a_transport_that_panics_before_it_has_a_future_is_uncertain() {
    let log = Log::default();
    let session = Session::builder(provider())
        .store(Memory::new())
        .transport(HastyTransport)
        .observer(log.clone())
        .build()
        .unwrap();
    session.sign_in(tokens(0)).await.unwrap();
    let error = session.access_token().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable { uncertain: true, .. }), "{error:?}");
    tokio::task::spawn_blocking(move || log.until(Event::Uncertain)).await.unwrap();
    assert!(!session.is_refreshing());
}

type Faulty = Arc<FaultStore<Memory>>;

/// A session for threads that wait for the store for 100 ms at most.
fn threads() -> (blocking::Session, Faulty, ScriptedTransport) {
    let (store, server) = (Arc::new(FaultStore::new(Memory::new())), ScriptedTransport::new());
    let session = blocking::Session::builder(provider())
        .store(Arc::clone(&store))
        .transport(server.clone())
        .policy(Policy::default().with_store_deadline(Duration::from_millis(100)))
        .build()
        .unwrap();
    (session, store, server)
}

/// What comes of `call` within ten seconds.
fn in_time<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(call()));
    told.recv_timeout(Duration::from_secs(10)).unwrap()
}

fn timed_out(error: &Error) {
    let kind = error.store_error().map(StoreError::kind);
    assert_eq!(kind, Some(StoreErrorKind::Timeout), "{error:?}");
}

#[test]
fn rule_21_threads_give_a_store_that_hangs_up_in_time_each_by_its_own_deadline() {
    let (session, store, _) = threads();
    session.sign_in(tokens(3600)).unwrap();
    let gate = Gate::new();
    store.on_next(Op::Load, Fault::HangBefore(gate.clone()));
    for _ in 0..3 {
        let session = session.clone();
        timed_out(&in_time(move || session.status()).unwrap_err());
    }
    let (here, there) = (session.clone(), session.clone());
    let both = [
        std::thread::spawn(move || in_time(move || here.refresh_token()).unwrap_err()),
        std::thread::spawn(move || in_time(move || there.refresh_token()).unwrap_err()),
    ];
    for each in both {
        timed_out(&each.join().unwrap());
    }
    // Who needs no store gets what is there.
    assert_eq!(session.access_token().unwrap().expose(), "at-1");
    gate.open();
    assert_eq!(session.refresh_token().unwrap().expose(), "rt-1");
}

#[test]
fn rule_21_nothing_overtakes_a_save_that_a_thread_has_given_up() {
    let (session, store, _) = threads();
    let gate = Gate::new();
    store.on_next(Op::Save, Fault::HangBefore(gate.clone()));
    let signing = session.clone();
    timed_out(&in_time(move || signing.sign_in(tokens(3600))).unwrap_err());
    gate.open();
    // This load stands behind it, and finds what it has written.
    assert_eq!(session.refresh_token().unwrap().expose(), "rt-1");
    assert_eq!(store.count(Op::Save), 1);
}

#[test]
fn rule_21_a_lease_that_comes_too_late_for_its_thread_is_given_back() {
    let (session, store, server) = threads();
    session.sign_in(tokens(3600)).unwrap();
    let gate = Gate::new();
    store.on_next(Op::TryLease, Fault::HangBefore(gate.clone()));
    let refreshing = session.clone();
    timed_out(&in_time(move || refreshing.refresh()).unwrap_err());
    assert_eq!(server.count(), 0);
    gate.open();
    server.reply(200, r#"{"access_token":"at-2","refresh_token":"rt-2","expires_in":3600}"#);
    assert_eq!(in_time(move || session.refresh()).unwrap().expose(), "at-2");
    assert_eq!(store.count(Op::TryLease), 2);
}

#[test]
fn rule_21_a_blocking_store_is_dropped_with_its_last_session() {
    // Who opens a folder that belongs to one process at a time can do so right after.
    for _ in 0..200 {
        let (session, store, _) = threads();
        session.sign_in(tokens(3600)).unwrap();
        drop(session);
        assert_eq!(Arc::strong_count(&store), 1);
    }
}
