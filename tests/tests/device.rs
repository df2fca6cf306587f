//! Trusted devices, on both faces, against the emulator: enrolment and what cuts it off, silent sign-in,
//! approvals.

#![allow(clippy::unwrap_used, missing_docs)]

use core::time::Duration;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cotter::device::{Device, DeviceEvent, Forgotten, Signer, Standing};
use cotter::{BlockingTokenStore as _, Error, ErrorKind, OAuthToken, Provider, StoreErrorKind};
use cotter_emulator::{Config, Emulator, Fault};
use cotter_testkit::{Fault as Broken, FaultStore, ManualClock, Op};
use cotter_tests::{ADA, Store};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Async,
    Blocking,
}

type Act = Box<dyn FnOnce() + Send>;

/// Does something in the first pause, then moves the clock as every pause does.
#[derive(Clone)]
struct Meanwhile(ManualClock, Arc<Mutex<Option<Act>>>);

impl core::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Meanwhile")
    }
}

#[async_trait]
impl cotter::Sleeper for Meanwhile {
    async fn sleep(&self, duration: Duration) {
        cotter::blocking::Sleeper::sleep(self, duration);
    }
}

impl cotter::blocking::Sleeper for Meanwhile {
    fn sleep(&self, duration: Duration) {
        let act = self.1.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
        self.0.advance(duration);
    }
}

/// A machine of a user's: a store of its own, and a session on it.
struct Machine {
    kind: Kind,
    clock: ManualClock,
    store: Arc<Store>,
    pauses: Meanwhile,
    asynchronous: Option<(tokio::runtime::Runtime, cotter::Session)>,
    blocking: cotter::blocking::Session,
}

impl Machine {
    fn new(kind: Kind, server: &Arc<Emulator>) -> Self {
        let store = Arc::new(FaultStore::new(cotter::store::Memory::new()));
        Self::over(kind, server, store, ManualClock::new())
    }

    fn over(kind: Kind, server: &Emulator, store: Arc<Store>, clock: ManualClock) -> Self {
        let provider = || {
            Provider::cotter(server.api_key_id()).unwrap().with_base_url(server.base_url()).unwrap()
        };
        let pauses = Meanwhile(clock.clone(), Arc::default());
        let asynchronous = matches!(kind, Kind::Async).then(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            let session = cotter::Session::builder(provider())
                .store(Arc::clone(&store))
                .transport(cotter::transport::Reqwest::builder().no_proxy().build().unwrap())
                .clock(clock.clone())
                .sleeper(pauses.clone())
                .build()
                .unwrap();
            (runtime, session)
        });
        let blocking = cotter::blocking::Session::builder(provider())
            .store(Arc::clone(&store))
            .transport(cotter::transport::Ureq::builder().no_proxy().build().unwrap())
            .clock(clock.clone())
            .sleeper(pauses.clone())
            .build()
            .unwrap();
        Self { kind, clock, store, pauses, asynchronous, blocking }
    }

    /// The same machine after a restart of the program.
    fn again(&self, server: &Arc<Emulator>) -> Self {
        Self::over(self.kind, server, Arc::clone(&self.store), self.clock.clone())
    }

    fn sign_in_by_code(&self, server: &Emulator, name: &str) {
        let set: OAuthToken = server.token_set(name).parse().unwrap();
        match &self.asynchronous {
            Some((runtime, session)) => runtime.block_on(session.sign_in(set)).unwrap(),
            None => self.blocking.sign_in(set).unwrap(),
        }
    }

    fn enroll(&self) -> Result<Device, Error> {
        match &self.asynchronous {
            Some((runtime, session)) => {
                runtime.block_on(session.trusted_device(Signer).enroll("laptop"))
            }
            None => self.blocking.trusted_device(Signer).enroll("laptop"),
        }
    }

    fn find(&self) -> Option<Device> {
        match &self.asynchronous {
            Some((runtime, session)) => runtime.block_on(session.trusted_device(Signer).find()),
            None => self.blocking.trusted_device(Signer).find(),
        }
        .unwrap()
    }

    fn standing(&self) -> Result<Standing, Error> {
        match &self.asynchronous {
            Some((runtime, session)) => runtime.block_on(session.trusted_device(Signer).standing()),
            None => self.blocking.trusted_device(Signer).standing(),
        }
    }

    fn sign_in(&self) -> Result<(), Error> {
        match &self.asynchronous {
            Some((runtime, session)) => runtime.block_on(session.trusted_device(Signer).sign_in()),
            None => self.blocking.trusted_device(Signer).sign_in(),
        }
    }

    fn ask_others(&self, user_id: &str) -> Result<(), Error> {
        let patience = Duration::from_secs(180);
        match &self.asynchronous {
            Some((runtime, session)) => {
                runtime.block_on(session.request_approval(user_id, patience))
            }
            None => self.blocking.request_approval(user_id, patience),
        }
    }

    fn pending(&self) -> Result<Option<DeviceEvent>, Error> {
        match &self.asynchronous {
            Some((runtime, session)) => runtime.block_on(session.trusted_device(Signer).pending()),
            None => self.blocking.trusted_device(Signer).pending(),
        }
    }

    fn approve(&self, event: DeviceEvent) -> Result<(), Error> {
        match &self.asynchronous {
            Some((runtime, session)) => {
                runtime.block_on(session.trusted_device(Signer).approve(event))
            }
            None => self.blocking.trusted_device(Signer).approve(event),
        }
    }

    fn refuse(&self, event: DeviceEvent) -> Result<(), Error> {
        match &self.asynchronous {
            Some((runtime, session)) => {
                runtime.block_on(session.trusted_device(Signer).refuse(event))
            }
            None => self.blocking.trusted_device(Signer).refuse(event),
        }
    }

    fn forget(&self) -> Result<Forgotten, Error> {
        match &self.asynchronous {
            Some((runtime, session)) => runtime.block_on(session.trusted_device(Signer).forget()),
            None => self.blocking.trusted_device(Signer).forget(),
        }
    }

    fn sign_out(&self) {
        match &self.asynchronous {
            Some((runtime, session)) => runtime.block_on(session.sign_out()).map(drop),
            None => self.blocking.sign_out().map(drop),
        }
        .unwrap();
    }

    fn has_token(&self) -> bool {
        match &self.asynchronous {
            Some((runtime, session)) => runtime.block_on(session.access_token()).is_ok(),
            None => self.blocking.access_token().is_ok(),
        }
    }

    fn user_id(&self) -> String {
        self.blocking.signed_in_user().unwrap().id.unwrap()
    }

    fn meanwhile(&self, act: impl FnOnce() + Send + 'static) {
        *self.pauses.1.lock().unwrap() = Some(Box::new(act));
    }
}

fn server() -> Arc<Emulator> {
    Arc::new(Emulator::start(Config::default()).unwrap())
}

/// A machine that ada has enrolled.
fn enrolled(kind: Kind, server: &Arc<Emulator>) -> Machine {
    let machine = Machine::new(kind, server);
    machine.sign_in_by_code(server, ADA);
    assert!(machine.enroll().unwrap().enrolled);
    machine
}

fn uncertain(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable { uncertain: true, .. })
}

fn a_device_signs_in_without_a_word(kind: Kind, server: &Arc<Emulator>) {
    let machine = enrolled(kind, server);
    assert_eq!(machine.standing().unwrap(), Standing::Known);
    let user = machine.user_id();
    machine.sign_out();
    assert!(!machine.has_token());
    let machine = machine.again(server);
    machine.sign_in().unwrap();
    assert!(machine.has_token());
    assert_eq!(machine.user_id(), user);
    machine.blocking.refresh().unwrap();
}

fn the_key_is_no_session(kind: Kind, server: &Arc<Emulator>) {
    let machine = enrolled(kind, server);
    let keeper = cotter::blocking::Keeper::builder(
        Provider::cotter(server.api_key_id()).unwrap().with_base_url(server.base_url()).unwrap(),
    )
    .store(Arc::clone(&machine.store))
    .transport(cotter::transport::Ureq::builder().no_proxy().build().unwrap())
    .build()
    .unwrap();
    assert_eq!(keeper.sessions().unwrap(), ["default"]);
    let keys = machine.store.list().unwrap();
    let reserved = keys.iter().find(|key| key.is_reserved()).unwrap();
    assert_eq!(keeper.session(reserved.session()).unwrap_err().kind(), ErrorKind::Config);
}

fn a_machine_without_a_key_says_so(kind: Kind, server: &Arc<Emulator>) {
    let machine = Machine::new(kind, server);
    assert_eq!(machine.find(), None);
    assert_eq!(machine.standing().unwrap(), Standing::NoKey);
    assert_eq!(machine.forget().unwrap(), Forgotten::NoKey);
    assert_eq!(machine.sign_in().unwrap_err().kind(), ErrorKind::Config);
    assert!(matches!(machine.enroll().unwrap_err().kind(), ErrorKind::SignInRequired(_)));
}

fn an_enrolment_that_was_cut_off_goes_on_with_the_same_key(kind: Kind, server: &Arc<Emulator>) {
    for after_commit in [false, true] {
        let machine = Machine::new(kind, server);
        machine.sign_in_by_code(server, ADA);
        let fault = Fault::new("drop").path("methods");
        server.fault(if after_commit { fault.after_commit() } else { fault });
        assert!(uncertain(&machine.enroll().unwrap_err()));
        let kept = machine.find().unwrap();
        assert!(!kept.enrolled);
        assert_eq!(machine.sign_in().unwrap_err().kind(), ErrorKind::Config);
        let machine = machine.again(server);
        let standing = if after_commit { Standing::Known } else { Standing::Unknown };
        assert_eq!(machine.standing().unwrap(), standing);
        let device = machine.enroll().unwrap();
        assert_eq!((device.public_key, device.enrolled), (kept.public_key, true));
        machine.sign_in().unwrap();
    }
}

fn a_key_that_cannot_be_kept_is_never_offered(kind: Kind, server: &Arc<Emulator>) {
    let machine = Machine::new(kind, server);
    machine.sign_in_by_code(server, ADA);
    machine.store.on_next(Op::Save, Broken::Fail(StoreErrorKind::Full));
    assert_eq!(machine.enroll().unwrap_err().kind(), ErrorKind::Store);
    assert_eq!(machine.find(), None);
    assert!(machine.enroll().unwrap().enrolled);
}

fn a_mark_that_cannot_be_kept_is_made_up_for(kind: Kind, server: &Arc<Emulator>) {
    let machine = Machine::new(kind, server);
    machine.sign_in_by_code(server, ADA);
    let saves = Arc::clone(&machine.store);
    // The first save keeps the key; the second, which is to fail, says that it is enrolled.
    saves.on(Op::Save, saves.count(Op::Save) + 2, Broken::Fail(StoreErrorKind::Full));
    assert_eq!(machine.enroll().unwrap_err().kind(), ErrorKind::Store);
    assert_eq!(machine.standing().unwrap(), Standing::Known);
    assert!(machine.enroll().unwrap().enrolled, "the server is asked, not told again");
    machine.sign_in().unwrap();
}

fn another_machine_is_let_in(kind: Kind, server: &Arc<Emulator>) {
    let trusted = enrolled(Kind::Blocking, server);
    let user = trusted.user_id();
    let machine = Machine::new(kind, server);
    machine.meanwhile(move || {
        let event = trusted.pending().unwrap().unwrap();
        assert_eq!((event.event.as_str(), event.waiting), ("LOGIN_WITH_DEVICE", true));
        trusted.approve(event).unwrap();
        assert_eq!(trusted.pending().unwrap(), None);
    });
    machine.ask_others(&user).unwrap();
    assert!(machine.has_token());
    assert_eq!(machine.user_id(), user);
}

fn a_no_is_a_no(kind: Kind, server: &Arc<Emulator>) {
    let trusted = enrolled(kind, server);
    let user = trusted.user_id();
    let machine = Machine::new(kind, server);
    machine.meanwhile(move || {
        // On a thread of its own: the trusted machine may have a runtime.
        std::thread::spawn(move || {
            let event = trusted.pending().unwrap().unwrap();
            trusted.refuse(event).unwrap();
        })
        .join()
        .unwrap();
    });
    assert_eq!(machine.ask_others(&user).unwrap_err().kind(), ErrorKind::Denied);
    assert!(!machine.has_token());
}

fn nobody_answers(kind: Kind, server: &Arc<Emulator>) {
    let trusted = enrolled(Kind::Blocking, server);
    let machine = Machine::new(kind, server);
    let error = machine.ask_others(&trusted.user_id()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable { uncertain: false, .. }), "{error}");
    assert!(!machine.has_token());
}

fn a_question_that_is_lost_costs_a_second(kind: Kind, server: &Arc<Emulator>) {
    let trusted = enrolled(Kind::Blocking, server);
    let user = trusted.user_id();
    let machine = Machine::new(kind, server);
    let there = Arc::clone(server);
    // The first pause comes before the first question, so both faults are met by questions.
    machine.meanwhile(move || {
        let event = trusted.pending().unwrap().unwrap();
        trusted.approve(event).unwrap();
        there.fault(Fault::new("500").path("event"));
        there.fault(Fault::new("drop").path("event"));
    });
    machine.ask_others(&user).unwrap();
    assert!(machine.has_token());
}

fn a_device_that_was_taken_out_is_refused(kind: Kind, server: &Arc<Emulator>) {
    let machine = enrolled(kind, server);
    let copy = machine.again(server);
    assert_eq!(machine.forget().unwrap(), Forgotten::Everywhere);
    assert_eq!(machine.find(), None);
    assert_eq!(copy.sign_in().unwrap_err().kind(), ErrorKind::Config);
    assert!(machine.has_token(), "the session is another matter");
    // Offline it is forgotten here all the same.
    machine.enroll().unwrap();
    server.fault(Fault::new("drop").path("methods"));
    assert_eq!(machine.forget().unwrap(), Forgotten::HereOnly);
    assert_eq!(machine.find(), None);
}

fn a_key_that_the_server_forgot_is_denied_and_can_be_enrolled_again(
    kind: Kind,
    server: &Arc<Emulator>,
) {
    let machine = enrolled(kind, server);
    assert!(server.delete_user(ADA));
    let error = machine.sign_in().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

fn another_users_device_is_not_replaced(kind: Kind, server: &Arc<Emulator>) {
    let machine = enrolled(kind, server);
    let before = machine.find();
    machine.sign_in_by_code(server, "grace@example.test");
    assert_eq!(machine.enroll().unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(machine.find(), before);
}

macro_rules! both_faces {
    ($($name:ident),* $(,)?) => {
        mod asynchronous {
            $(#[test] fn $name() {
                super::$name(super::Kind::Async, &super::server());
            })*
        }
        mod blocking {
            $(#[test] fn $name() {
                super::$name(super::Kind::Blocking, &super::server());
            })*
        }
    };
}

both_faces!(
    a_device_signs_in_without_a_word,
    the_key_is_no_session,
    a_machine_without_a_key_says_so,
    an_enrolment_that_was_cut_off_goes_on_with_the_same_key,
    a_key_that_cannot_be_kept_is_never_offered,
    a_mark_that_cannot_be_kept_is_made_up_for,
    another_machine_is_let_in,
    a_no_is_a_no,
    nobody_answers,
    a_question_that_is_lost_costs_a_second,
    a_device_that_was_taken_out_is_refused,
    a_key_that_the_server_forgot_is_denied_and_can_be_enrolled_again,
    another_users_device_is_not_replaced,
);
