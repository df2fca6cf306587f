//! Signing in by the hosted page, on all faces, against the emulator's page: what goes well, what an
//! attacker tries, and that whoever was signed in stays so until a login has succeeded.

#![allow(clippy::unwrap_used, missing_docs)]

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::time::SystemTime;

use cotter::login::{AuthMethod, HostedPage, PendingLogin};
use cotter::{Clock as _, Error, ErrorKind, SignInReason, StoreErrorKind};
use cotter_emulator::{Config, Emulator, Fault};
use cotter_jwt::SignedObjects;
use cotter_testkit::{Fault as Broken, Op};
use cotter_tests::{ADA, Agent, Face, Kind, Person, Rig};

const BOB: &str = "bob@example.test";
const PHONE: &str = "+15550100123";

macro_rules! on_all_faces {
    ($($(#[$doc:meta])* fn $name:ident($rig:ident) $body:block)*) => {
        mod asynchronous {
            $(#[test] fn $name() { super::scenarios::$name(cotter_tests::Kind::Async); })*
        }
        mod offloaded {
            $(#[test] fn $name() { super::scenarios::$name(cotter_tests::Kind::Offloaded); })*
        }
        mod blocking {
            $(#[test] fn $name() { super::scenarios::$name(cotter_tests::Kind::Blocking); })*
        }
        mod scenarios {
            use super::*;
            $($(#[$doc])* pub(super) fn $name(kind: Kind) {
                let $rig = Rig::new(kind, Config::default());
                $body
            })*
        }
    };
}

/// What a login believes: identities that this server has signed.
fn signed_by(server: &Emulator) -> SignedObjects {
    SignedObjects::cotter(server.api_key_id()).public_key(server.identity_key()).unwrap()
}

fn email(server: &Emulator) -> HostedPage {
    HostedPage::email(signed_by(server)).login_url(server.login_url()).unwrap()
}

/// Signs somebody in, by code.
fn sign_in(rig: &Rig, session: &dyn Face, name: &str) -> Result<cotter::SignedIn, Error> {
    let person = Person { server: &rig.server, name };
    session.sign_in_with(
        email(&rig.server),
        &Agent(|login: &PendingLogin| vec![person.enters_the_code(login.url())]),
    )
}

/// Signs in where these addresses reach the listener.
fn come_back(
    rig: &Rig,
    session: &dyn Face,
    addresses: impl Fn(&PendingLogin) -> Vec<String> + Send + Sync,
) -> Error {
    session.sign_in_with(email(&rig.server), &Agent(addresses)).unwrap_err()
}

/// The address of a login with another value in place of one of its own.
fn with(address: &str, name: &str, value: &str) -> String {
    let at = address.find(&format!("{name}=")).unwrap() + name.len() + 1;
    let end = address[at..].find('&').map_or(address.len(), |end| at + end);
    format!("{}{value}{}", &address[..at], &address[end..])
}

fn of(address: &str, name: &str) -> String {
    let at = address.find(&format!("{name}=")).unwrap() + name.len() + 1;
    address[at..].split('&').next().unwrap().to_owned()
}

/// Bob is signed in, and what the store holds of him is the newest there is.
fn still_bob(rig: &Rig, session: &dyn Face) {
    assert_eq!(session.who().unwrap().identifier.as_deref(), Some(BOB));
    assert_eq!(session.refresh_token().ok(), rig.server.current_refresh_token(BOB));
    let token = session.refresh().unwrap();
    assert_eq!(token.claims().unwrap().user_id(), session.who().unwrap().id.as_deref());
    assert_eq!(rig.server.counters().reuses, 0, "a spent token was presented");
}

/// A session in which Bob is signed in.
fn bobs(rig: &Rig) -> Box<dyn Face> {
    let session = rig.session();
    session.sign_in(&rig.server.token_set(BOB)).unwrap();
    session
}

fn uncertain(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable { uncertain: true, .. })
}

on_all_faces! {
    fn an_email_address_signs_in_by_code(rig) {
        let session = rig.session();
        let reason = ErrorKind::SignInRequired(SignInReason::NeverSignedIn);
        assert_eq!(session.who().unwrap_err().kind(), reason);
        let signed_in = sign_in(&rig, &*session, ADA).unwrap();
        assert_eq!(signed_in.identity.identifier, ADA);
        assert_eq!(signed_in.identity.identifier_type, "EMAIL");
        let user = signed_in.user.unwrap();
        let who = session.who().unwrap();
        assert_eq!((who.id, who.identifier.as_deref()), (Some(user.id.clone()), Some(ADA)));
        assert_eq!(who.auth_method.as_deref(), Some("OTP"));
        let token = session.access().unwrap();
        assert_eq!(token.claims().unwrap().user_id(), Some(user.id.as_str()));
        assert_eq!((rig.requests(), rig.server.counters().identities), (0, 1));
        rig.until_expired();
        assert_ne!(session.access().unwrap(), token);
        assert_eq!(session.refresh_token().ok(), rig.server.current_refresh_token(ADA));
        session.sign_out().unwrap();
        let reason = ErrorKind::SignInRequired(SignInReason::SignedOut);
        assert_eq!(session.who().unwrap_err().kind(), reason);
    }

    fn a_phone_number_signs_in(rig) {
        let session = bobs(&rig);
        let person = Person { server: &rig.server, name: PHONE };
        let page = HostedPage::phone(signed_by(&rig.server))
            .login_url(rig.server.login_url())
            .unwrap()
            .input(PHONE)
            .direct_login();
        let agent = Agent(|login: &PendingLogin| vec![person.enters_the_code(login.url())]);
        let signed_in = session.sign_in_with(page, &agent).unwrap();
        assert_eq!(signed_in.identity.identifier, PHONE);
        assert_eq!(signed_in.identity.identifier_type, "PHONE");
        assert_eq!(session.who().unwrap().identifier.as_deref(), Some(PHONE));
        assert_eq!(session.refresh_token().ok(), rig.server.current_refresh_token(PHONE));
    }

    fn a_magic_link_signs_in(rig) {
        let session = rig.session();
        let person = Person { server: &rig.server, name: ADA };
        let page = email(&rig.server).auth_method(AuthMethod::MagicLink);
        let agent = Agent(|login: &PendingLogin| vec![person.follows_the_link(login.url())]);
        session.sign_in_with(page, &agent).unwrap();
        assert_eq!(session.who().unwrap().identifier.as_deref(), Some(ADA));
    }

    fn who_says_no_is_not_signed_in_and_changes_nothing(rig) {
        let session = bobs(&rig);
        let person = Person { server: &rig.server, name: ADA };
        let error = come_back(&rig, &*session, |login| vec![person.cancels(login.url())]);
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.to_string().contains("access_denied"), "{error}");
        still_bob(&rig, &*session);
    }

    /// Login CSRF: somebody makes the user's browser come back with their own login.
    fn a_foreign_state_is_passed_over_and_the_own_login_goes_on(rig) {
        let session = bobs(&rig);
        let mallory = Person { server: &rig.server, name: "mallory@example.test" };
        let foreign = |login: &PendingLogin| {
            let state = of(login.url(), "state");
            let theirs = with(login.url(), "state", &state.chars().rev().collect::<String>());
            mallory.enters_the_code(&theirs)
        };
        let error = come_back(&rig, &*session, |login| vec![foreign(login)]);
        assert!(error.to_string().contains("nobody came back"), "{error}");
        assert_eq!(rig.server.counters().identities, 0, "no foreign code was sent");
        still_bob(&rig, &*session);

        let ada = Person { server: &rig.server, name: ADA };
        let agent = Agent(|login: &PendingLogin| {
            vec!["/favicon.ico".into(), foreign(login), ada.enters_the_code(login.url())]
        });
        session.sign_in_with(email(&rig.server), &agent).unwrap();
        assert_eq!(session.who().unwrap().identifier.as_deref(), Some(ADA));
    }

    /// Code injection: the state is right, the code is of another login, whose verifier is another.
    fn the_code_of_another_login_buys_nothing(rig) {
        let session = bobs(&rig);
        let ada = Person { server: &rig.server, name: ADA };
        let mallory = Person { server: &rig.server, name: "mallory@example.test" };
        let error = come_back(&rig, &*session, |login| {
            let theirs = with(login.url(), "code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
            let (own, theirs) = (ada.enters_the_code(login.url()), mallory.enters_the_code(&theirs));
            let injected = with(&own, "code", &of(&theirs, "code"));
            vec![with(&injected, "challenge_id", &of(&theirs, "challenge_id"))]
        });
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.to_string().contains("verifier"), "{error}");
        still_bob(&rig, &*session);
    }

    fn a_code_that_was_used_buys_nothing(rig) {
        let session = bobs(&rig);
        let ada = Person { server: &rig.server, name: ADA };
        let used = std::sync::Mutex::new(String::new());
        let agent = Agent(|login: &PendingLogin| {
            let address = ada.enters_the_code(login.url());
            used.lock().unwrap().clone_from(&address);
            vec![address]
        });
        session.sign_in_with(email(&rig.server), &agent).unwrap();
        session.sign_in(&rig.server.token_set(BOB)).unwrap();
        let used = used.into_inner().unwrap();
        // As it is, it belongs to no login any more; with the new state, its code is spent.
        let error = come_back(&rig, &*session, |_| vec![used.clone()]);
        assert!(error.to_string().contains("nobody came back"), "{error}");
        let error = come_back(&rig, &*session, |login| {
            vec![with(&used, "state", &of(login.url(), "state"))]
        });
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(rig.server.counters().identities, 1);
        still_bob(&rig, &*session);
    }

    fn a_code_of_another_server_buys_nothing(rig) {
        let session = bobs(&rig);
        let other = Emulator::start(Config::default()).unwrap();
        let ada = Person { server: &other, name: ADA };
        let page = email(&rig.server).login_url(other.login_url()).unwrap();
        let agent = Agent(|login: &PendingLogin| vec![ada.enters_the_code(login.url())]);
        let error = session.sign_in_with(page, &agent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        still_bob(&rig, &*session);
    }

    fn tokens_and_identities_of_another_project_are_not_taken(rig) {
        let session = bobs(&rig);
        rig.server.fault(Fault::new("wrong-aud").path("get_identity"));
        let error = sign_in(&rig, &*session, ADA).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("another project"), "{error}");
        still_bob(&rig, &*session);

        let ada = Person { server: &rig.server, name: ADA };
        let agent = Agent(|login: &PendingLogin| vec![ada.enters_the_code(login.url())]);
        let other = SignedObjects::cotter("11111111-2222-4333-8444-555555555555");
        let other = other.public_key(rig.server.identity_key()).unwrap();
        let page = HostedPage::email(other).login_url(rig.server.login_url()).unwrap();
        let error = session.sign_in_with(page, &agent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        still_bob(&rig, &*session);
    }

    fn an_identity_by_a_foreign_key_is_not_taken(rig) {
        let session = bobs(&rig);
        let ada = Person { server: &rig.server, name: ADA };
        let agent = Agent(|login: &PendingLogin| vec![ada.enters_the_code(login.url())]);
        // Cotter's own key, which this server does not have.
        let page = HostedPage::email(SignedObjects::cotter(rig.server.api_key_id()));
        let page = page.login_url(rig.server.login_url()).unwrap();
        let error = session.sign_in_with(page, &agent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("identity"), "{error}");
        still_bob(&rig, &*session);
    }

    fn an_identity_that_has_ended_is_not_taken(rig) {
        let session = bobs(&rig);
        let real = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let shown = Duration::from_secs(rig.clock.now().wall.as_unix_seconds().try_into().unwrap());
        rig.clock.advance(real.saturating_sub(shown) + Duration::from_secs(31 * 86_400));
        let error = sign_in(&rig, &*session, ADA).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(session.who().unwrap().identifier.as_deref(), Some(BOB));
    }

    fn an_exchange_whose_answer_is_lost_is_not_repeated(rig) {
        let session = bobs(&rig);
        rig.server.fault(Fault::new("drop").after_commit().path("get_identity").count(9));
        let error = sign_in(&rig, &*session, ADA).unwrap_err();
        assert!(uncertain(&error), "{error:?}");
        assert_eq!(rig.server.counters().identities, 1);
        assert_eq!(rig.server.counters().faults, 1, "one request, no more");
        rig.server.clear_faults();
        still_bob(&rig, &*session);
        for (name, count) in [("half", 1), ("html", 1), ("null", 1), ("503", 1)] {
            let before = rig.server.counters().faults;
            rig.server.fault(Fault::new(name).path("get_identity").count(count));
            let error = sign_in(&rig, &*session, ADA).unwrap_err();
            assert!(uncertain(&error), "{name}: {error:?}");
            assert_eq!(rig.server.counters().faults, before + count, "{name}");
        }
        rig.server.fault(Fault::new("no-access-token").path("get_identity"));
        assert_eq!(sign_in(&rig, &*session, ADA).unwrap_err().kind(), ErrorKind::Protocol);
        still_bob(&rig, &*session);
    }

    fn two_logins_at_once_leave_one_whole_session(rig) {
        let session = rig.session();
        std::thread::scope(|scope| {
            for name in [ADA, BOB] {
                let (rig, session) = (&rig, &*session);
                scope.spawn(move || sign_in(rig, session, name).unwrap());
            }
        });
        let who = session.who().unwrap();
        let name = who.identifier.unwrap();
        assert!(name == ADA || name == BOB, "{name}");
        let token = session.access().unwrap();
        assert_eq!(token.claims().unwrap().user_id(), who.id.as_deref(), "shown is what is stored");
        assert_eq!(session.refresh_token().ok(), rig.server.current_refresh_token(&name));
        session.refresh().unwrap();
    }

    fn a_login_wins_over_a_refresh_that_is_under_way_elsewhere(rig) {
        let (here, elsewhere) = (rig.session(), bobs(&rig));
        rig.server.pause();
        std::thread::scope(|scope| {
            let refresh = scope.spawn(|| elsewhere.refresh());
            assert!(rig.server.wait_for_requests(1, Duration::from_secs(30)));
            sign_in(&rig, &*here, ADA).unwrap();
            rig.server.resume();
            let token = refresh.join().unwrap().unwrap();
            let ada = here.who().unwrap().id;
            assert_eq!(token.claims().unwrap().user_id(), ada.as_deref(), "the login's, for both");
        });
        for session in [&here, &elsewhere] {
            assert_eq!(session.who().unwrap().identifier.as_deref(), Some(ADA));
            assert_eq!(session.refresh_token().ok(), rig.server.current_refresh_token(ADA));
        }
        here.refresh().unwrap();
    }

    fn a_login_wins_over_a_refresh_of_its_own_session(rig) {
        let session = bobs(&rig);
        rig.server.pause();
        std::thread::scope(|scope| {
            let refresh = scope.spawn(|| session.refresh());
            assert!(rig.server.wait_for_requests(1, Duration::from_secs(30)));
            sign_in(&rig, &*session, ADA).unwrap();
            rig.server.resume();
            let token = refresh.join().unwrap().unwrap();
            let ada = session.who().unwrap().id;
            assert_eq!(token.claims().unwrap().user_id(), ada.as_deref(), "judged anew");
        });
        assert_eq!(session.who().unwrap().identifier.as_deref(), Some(ADA));
        assert_eq!(session.refresh_token().ok(), rig.server.current_refresh_token(ADA));
    }

    fn nobody_is_sent_to_a_page_whose_login_could_not_be_stored(rig) {
        let session = bobs(&rig);
        let visits = AtomicU32::new(0);
        let ada = Person { server: &rig.server, name: ADA };
        let agent = Agent(|login: &PendingLogin| {
            visits.fetch_add(1, Ordering::SeqCst);
            vec![ada.enters_the_code(login.url())]
        });
        rig.store.on_next(Op::Load, Broken::Fail(StoreErrorKind::Locked));
        let error = session.sign_in_with(email(&rig.server), &agent).unwrap_err();
        assert_eq!((error.kind(), visits.load(Ordering::SeqCst)), (ErrorKind::Store, 0));
        // Where it turns out too late, the old session is still there.
        rig.store.on_next(Op::Save, Broken::Fail(StoreErrorKind::Full));
        let error = session.sign_in_with(email(&rig.server), &agent).unwrap_err();
        assert_eq!((error.kind(), visits.load(Ordering::SeqCst)), (ErrorKind::Store, 1));
        still_bob(&rig, &*session);
    }

    fn users_are_looked_up_and_made(rig) {
        let session = rig.session();
        for missing_404 in [false, true] {
            rig.server.configure(|config| config.unknown_user_404 = missing_404);
            assert_eq!(session.find_user(PHONE).unwrap(), None);
        }
        let made = session.create_user(PHONE).unwrap();
        let found = session.find_user(PHONE).unwrap().unwrap();
        assert_eq!((found.id, found.identifier.as_deref()), (made.id, Some(PHONE)));
        assert_eq!(found.issuer.as_deref(), Some(rig.server.api_key_id()));
        let twice = session.create_user(PHONE).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::Denied);
        assert!(twice.to_string().contains("already exists"), "{twice}");
        assert_eq!(session.find_user("").unwrap_err().kind(), ErrorKind::Config);
    }
}

/// A login may be awaited on any thread.
const fn sendable<T: Send>(future: T) -> T {
    future
}

/// What is sent is not lost with its caller; before that, dropping the caller gives the login up.
#[test]
fn a_caller_who_goes_away_after_the_code_was_sent_is_signed_in_all_the_same() {
    let rig = Rig::new(Kind::Async, Config::default());
    let provider = cotter::Provider::cotter(rig.server.api_key_id()).unwrap();
    let session = cotter::Session::builder(provider.with_base_url(rig.server.base_url()).unwrap())
        .store(std::sync::Arc::clone(&rig.store))
        .transport(cotter::transport::Reqwest::builder().no_proxy().build().unwrap())
        .build()
        .unwrap();
    let ada = Person { server: &rig.server, name: ADA };
    let agent =
        cotter_tests::Awaited(Agent(|login: &PendingLogin| vec![ada.enters_the_code(login.url())]));
    let wait = Fault::delay(Duration::from_secs(1)).after_commit().path("get_identity");
    rig.server.fault(wait);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let login = sendable(session.sign_in_with(email(&rig.server), &agent));
        let sent = async {
            while rig.server.counters().identities == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            biased;
            () = sent => {}
            result = login => panic!("the answer was to be late: {result:?}"),
        }
        let stored = async {
            while session.signed_in_user().await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), stored).await.expect("it is stored");
        assert_eq!(
            session.access_token().await.unwrap().claims().unwrap().audiences(),
            [rig.server.api_key_id()]
        );
    });
}
