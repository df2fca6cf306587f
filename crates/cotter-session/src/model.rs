//! A model of the flight: the real `Entry`, `Flight` and blocking face, with locks and threads that
//! shuttle schedules, in many orders that repeat from their seed.
//!
//! It runs with the crate's tests. Whatever it finds is printed with a schedule; see
//! `shuttle::replay`.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use core::time::Duration;
use std::sync::{Arc, Mutex};

use cotter_core::{
    AccessToken, BlockingTokenStore, BlockingTransport, Capabilities, Error, ErrorKind, Expected,
    LeaseAnswer, LeaseOwner, Loaded, OAuthToken, Provider, Revision, SecretBytes, SignInReason,
    StoreError, StoreErrorKind, StoreKey, Swap, TransportError,
};
use cotter_store_memory::Memory;
use cotter_testkit::ManualClock;
use http::{Request, Response};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread;

use crate::blocking::{Session, Sleeper};

/// How many orders each model is run in, by chance and by priorities.
const ORDERS: usize = 600;

fn check(model: impl Fn() + Copy + Send + Sync + 'static) {
    let config = || {
        let mut config = shuttle::Config::new();
        config.stack_size = 1 << 18;
        config
    };
    let seed = 0x000c_077e;
    let random = RandomScheduler::new_from_seed(seed, ORDERS);
    shuttle::Runner::new(random, config()).run(model);
    let by_priority = PctScheduler::new_from_seed(seed, 4, ORDERS);
    shuttle::Runner::new(by_priority, config()).run(model);
}

/// A point at which the model may let another thread go on.
fn step() {
    shuttle::sync::atomic::AtomicBool::new(false).load(core::sync::atomic::Ordering::SeqCst);
}

/// A server with strict rotation: whoever presents anything but the newest token has lost it.
#[derive(Clone, Debug, Default)]
struct Server(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    newest: u64,
    exchanges: u64,
    reuses: u64,
    broken: bool,
    /// Set with the next grant: the store is full from then on.
    fills: Option<Arc<Mutex<bool>>>,
    /// Whose end exchanges wait for.
    waits_for: Option<Arc<Served>>,
}

/// That a caller was served.
#[derive(Debug, Default)]
struct Served(shuttle::sync::Mutex<bool>, shuttle::sync::Condvar);

impl Served {
    fn tell(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn wait(&self) {
        let told = self.0.lock().unwrap();
        drop(self.1.wait_while(told, |told| !*told).unwrap());
    }
}

impl Server {
    /// A set of a new login.
    fn login(&self) -> OAuthToken {
        let mut counts = self.0.lock().unwrap();
        counts.newest += 1;
        set(counts.newest).parse().unwrap()
    }

    fn counts(&self) -> (u64, u64, u64) {
        let counts = self.0.lock().unwrap();
        (counts.newest, counts.exchanges, counts.reuses)
    }

    fn break_down(&self) {
        self.0.lock().unwrap().broken = true;
    }
}

fn set(n: u64) -> String {
    format!(r#"{{"access_token":"at-{n}","refresh_token":"rt-{n}","expires_in":3600}}"#)
}

impl BlockingTransport for Server {
    fn send(
        &self,
        request: Request<SecretBytes>,
        _: Duration,
    ) -> Result<Response<SecretBytes>, TransportError> {
        step();
        let waits_for = self.0.lock().unwrap().waits_for.take();
        if let Some(served) = waits_for {
            served.wait();
        }
        let body = String::from_utf8(request.body().expose().to_vec()).unwrap();
        let digits = body.split("rt-").nth(1).unwrap();
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        let presented: u64 = digits.parse().unwrap();
        let (status, body) = {
            let mut counts = self.0.lock().unwrap();
            if counts.broken {
                (500, String::new())
            } else if presented == counts.newest {
                counts.newest += 1;
                counts.exchanges += 1;
                if let Some(full) = counts.fills.take() {
                    *full.lock().unwrap() = true;
                }
                (200, set(counts.newest))
            } else {
                counts.reuses += 1;
                (400, String::from(r#"{"error":"invalid_grant"}"#))
            }
        };
        step();
        let response =
            Response::builder().status(status).header("content-type", "application/json");
        Ok(response.body(SecretBytes::from(body.into_bytes())).unwrap())
    }
}

/// Memory, with a step of the model before and after each call, and saves that can fail.
#[derive(Clone, Debug)]
struct Store {
    memory: Memory,
    full: Arc<Mutex<bool>>,
    leases: bool,
    yields: bool,
}

impl Store {
    fn step<T>(&self, call: impl FnOnce(&dyn BlockingTokenStore) -> T) -> T {
        step();
        let answer = call(&self.memory);
        step();
        answer
    }
}

impl BlockingTokenStore for Store {
    fn capabilities(&self) -> Capabilities {
        if self.leases {
            BlockingTokenStore::capabilities(&self.memory)
        } else {
            Capabilities::new().with_compare_and_set()
        }
    }
    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        self.step(|store| store.load(key))
    }
    fn save(
        &self,
        key: &StoreKey,
        record: &SecretBytes,
        expected: Expected,
        new: Revision,
    ) -> Result<Swap, StoreError> {
        if *self.full.lock().unwrap() {
            return Err(StoreError::new(StoreErrorKind::Full, "no room, as planned"));
        }
        self.step(|store| store.save(key, record, expected, new))
    }
    fn remove(&self, key: &StoreKey, expected: Revision) -> Result<Swap, StoreError> {
        self.step(|store| store.remove(key, expected))
    }
    fn try_lease(&self, key: &StoreKey, ttl: Duration) -> Result<LeaseAnswer, StoreError> {
        self.step(|store| store.try_lease(key, ttl))
    }
    fn release(&self, key: &StoreKey, owner: LeaseOwner) -> Result<(), StoreError> {
        self.step(|store| store.release(key, owner))
    }
    fn list(&self) -> Result<Vec<StoreKey>, StoreError> {
        self.step(|store| store.list())
    }
}

/// Moves the clock instead of waiting; where somebody may be waited for, lets him go on.
#[derive(Debug)]
struct Leap {
    clock: ManualClock,
    yields: bool,
}

impl Sleeper for Leap {
    fn sleep(&self, duration: Duration) {
        self.clock.advance(duration);
        if self.yields {
            thread::yield_now();
        }
    }
}

struct Scene {
    server: Server,
    store: Store,
    clock: ManualClock,
    session: Session,
}

/// A session whose access token has ended.
fn expired() -> Scene {
    expired_with(true)
}

fn expired_with(leases: bool) -> Scene {
    let scene = signed_in_with(leases, true);
    scene.clock.advance(Duration::from_secs(3601));
    scene
}

fn signed_in() -> Scene {
    signed_in_with(true, true)
}

fn signed_in_with(leases: bool, yields: bool) -> Scene {
    let server = Server::default();
    let clock = ManualClock::new();
    let memory = Memory::shared_with_clock(Arc::new(clock.clone()));
    let store = Store { memory, full: Arc::default(), leases, yields };
    let session = session(&server, &store, &clock);
    session.sign_in(server.login()).unwrap();
    Scene { server, store, clock, session }
}

/// A session with a memory of its own, as another process has it.
fn session(server: &Server, store: &Store, clock: &ManualClock) -> Session {
    let provider = Provider::oauth2("https://auth.example/token", "client").unwrap();
    Session::builder(provider)
        .store(store.clone())
        .transport(server.clone())
        .clock(clock.clone())
        .sleeper(Leap { clock: clock.clone(), yields: store.yields })
        .build()
        .unwrap()
}

impl Scene {
    /// A thread that does this with the session.
    fn thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let session = self.session.clone();
        thread::spawn(move || work(&session))
    }

    /// What is stored is what the server issued last, and nothing spent was ever presented.
    fn assert_in_step(&self) {
        let (newest, _, reuses) = self.server.counts();
        let stored = self.session.refresh_token().unwrap();
        assert_eq!((stored.expose(), reuses), (format!("rt-{newest}").as_str(), 0));
    }
}

fn text(token: &AccessToken) -> String {
    token.expose().to_owned()
}

fn reason(error: &Error) -> Option<SignInReason> {
    match error.kind() {
        ErrorKind::SignInRequired(reason) => Some(reason),
        _ => None,
    }
}

#[test]
fn any_number_of_callers_make_one_exchange_and_get_one_token() {
    check(|| {
        // No lease: only the flight stands between them.
        let scene = expired_with(false);
        let callers: Vec<_> = (0..3)
            .map(|_| scene.thread(|session| text(&session.access_token().unwrap())))
            .collect();
        for caller in callers {
            assert_eq!(caller.join().unwrap(), "at-2");
        }
        assert_eq!(scene.server.counts(), (2, 1, 0));
        scene.assert_in_step();
    });
}

#[test]
fn two_processes_make_one_exchange() {
    check(|| {
        let scene = expired();
        let other = session(&scene.server, &scene.store, &scene.clock);
        let there = thread::spawn(move || text(&other.access_token().unwrap()));
        let here = scene.thread(|session| text(&session.access_token().unwrap()));
        assert_eq!(here.join().unwrap(), "at-2");
        assert_eq!(there.join().unwrap(), "at-2");
        assert_eq!(scene.server.counts(), (2, 1, 0));
    });
}

#[test]
fn who_waits_while_the_first_flight_looks_is_told_what_it_finds() {
    check(|| {
        let scene = signed_in();
        scene.clock.advance(Duration::from_secs(3570));
        // Another process finds a token that is due but usable; its exchange ends when somebody has it.
        let served = Arc::new(Served::default());
        scene.server.0.lock().unwrap().waits_for = Some(Arc::clone(&served));
        let cold = session(&scene.server, &scene.store, &scene.clock);
        let callers = [(); 2].map(|()| {
            let (cold, served) = (cold.clone(), Arc::clone(&served));
            thread::spawn(move || {
                let token = text(&cold.access_token().unwrap());
                served.tell();
                token
            })
        });
        let mut tokens = callers.map(|caller| caller.join().unwrap());
        tokens.sort();
        assert_eq!(tokens, ["at-1", "at-2"]);
    });
}

#[test]
fn a_sign_out_is_final_whenever_it_comes() {
    check(|| {
        let scene = expired();
        let asking = scene.thread(Session::access_token);
        scene.session.sign_out().unwrap();
        assert_eq!(scene.session.cached_access_token(), None);
        if let Err(error) = asking.join().unwrap() {
            assert_eq!(reason(&error), Some(SignInReason::SignedOut), "{error}");
        }
        assert_eq!(scene.session.cached_access_token(), None);
        let error = scene.session.access_token().unwrap_err();
        assert_eq!(reason(&error), Some(SignInReason::SignedOut), "{error}");
    });
}

#[test]
fn a_sign_in_wins_whenever_it_comes() {
    check(|| {
        let scene = expired();
        let (first, second) =
            (scene.thread(Session::access_token), scene.thread(Session::access_token));
        // The server forgets the old login with the new one: its exchange is refused from here on.
        let set = scene.server.login();
        let granted = set.access_token().unwrap().clone();
        scene.session.sign_in(set).unwrap();
        assert_eq!(scene.session.cached_access_token(), Some(granted.clone()));
        // Before the sign-in a caller may hear of the refusal; never anything else.
        for caller in [first, second] {
            if let Err(error) = caller.join().unwrap() {
                assert_eq!(reason(&error), Some(SignInReason::Refused), "{error}");
            }
        }
        assert_eq!(scene.session.access_token().unwrap(), granted);
        let stored = scene.session.refresh_token().unwrap();
        assert_eq!(Some(stored.expose().replace("rt", "at")), Some(text(&granted)));
    });
}

#[test]
fn a_rejected_token_is_never_served_again() {
    check(|| {
        let scene = signed_in();
        // Due, and the server is down: a flight that fails publishes what there was.
        scene.clock.advance(Duration::from_secs(3570));
        scene.server.break_down();
        let first = scene.session.cached_access_token().unwrap();
        let flying = scene.thread(|session| {
            let _ = session.access_token();
        });
        let refused = scene.session.refresh_rejected(&first).unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Unavailable { .. }), "{refused}");
        assert_eq!(scene.session.cached_access_token(), None);
        flying.join().unwrap();
        assert_eq!(scene.session.cached_access_token(), None);
        assert!(scene.session.access_token().is_err());
    });
}

#[test]
fn a_set_that_cannot_be_stored_is_not_forgotten() {
    check(|| {
        let scene = signed_in_with(true, false);
        scene.clock.advance(Duration::from_secs(10));
        // One looks at the store again, one exchanges, and no save works after the grant.
        scene.server.0.lock().unwrap().fills = Some(Arc::clone(&scene.store.full));
        let looking = scene.thread(|session| session.access_token().map(drop));
        let forced = scene.thread(|session| session.refresh().map(drop));
        looking.join().unwrap().unwrap();
        forced.join().unwrap().unwrap();
        *scene.store.full.lock().unwrap() = false;
        scene.session.access_token().unwrap();
        assert!(scene.session.shutdown(Duration::from_secs(60)).is_clean());
        scene.assert_in_step();
    });
}

#[test]
fn a_shutdown_leaves_nothing_behind() {
    check(|| {
        let scene = expired();
        let asking = scene.thread(Session::access_token);
        let left = scene.session.shutdown(Duration::from_secs(60));
        assert!(left.is_clean(), "{left:?}");
        let (_, exchanges, _) = scene.server.counts();
        if let Err(error) = asking.join().unwrap() {
            assert!(matches!(error.kind(), ErrorKind::Unavailable { .. }), "{error}");
        }
        // Whatever came too late was turned away.
        assert_eq!(scene.server.counts().1, exchanges);
        scene.assert_in_step();
    });
}
