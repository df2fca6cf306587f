//! README's main examples, started three times: a login is read once, and no token is spent twice.
#![allow(clippy::unwrap_used, reason = "it is a test")]

use core::time::Duration;
use std::path::Path;

use cotter::{OAuthToken, Provider, blocking, store, transport};
use cotter_emulator::{Config, Emulator};
use cotter_tests::ADA;

fn provider(server: &Emulator) -> Provider {
    Provider::cotter(server.api_key_id()).unwrap().with_base_url(server.base_url()).unwrap()
}

fn sealed(home: &Path) -> store::File {
    store::File::open(home.join("data"), store::KeyFile::new(home.join("config/key"))).unwrap()
}

/// One start of the blocking example.
fn start(server: &Emulator, home: &Path, login: impl FnOnce() -> OAuthToken) -> String {
    let session = blocking::Session::builder(provider(server))
        .store(sealed(home))
        .transport(transport::Ureq::builder().no_proxy().build().unwrap())
        .build()
        .unwrap();
    let mut access = session.access_token();
    if access.as_ref().is_err_and(|error| error.needs_sign_in()) {
        session.sign_in(login()).unwrap();
        access = session.access_token();
    }
    access.unwrap().expose().to_owned()
}

/// One start of the async example.
#[tokio::main]
async fn start_async(server: &Emulator, home: &Path, login: impl FnOnce() -> OAuthToken) -> String {
    let session = cotter::Session::builder(provider(server))
        .blocking_store(sealed(home))
        .transport(transport::Reqwest::builder().no_proxy().build().unwrap())
        .build()
        .unwrap();
    let mut access = session.access_token().await;
    if access.as_ref().is_err_and(|error| error.needs_sign_in()) {
        session.sign_in(login()).await.unwrap();
        access = session.access_token().await;
    }
    access.unwrap().expose().to_owned()
}

#[test]
fn a_program_that_starts_again_is_still_signed_in() {
    let short = Config::default().with_access_ttl(Duration::from_secs(2));
    for face in [false, true] {
        let (server, home) =
            (Emulator::start(short.clone()).unwrap(), tempfile::tempdir().unwrap());
        let begin = |login: &mut dyn FnMut() -> OAuthToken| match face {
            false => start(&server, home.path(), login),
            true => start_async(&server, home.path(), login),
        };
        let mut never = || panic!("the login is read again");
        let first = begin(&mut || server.token_set(ADA).parse().unwrap());
        assert!(!first.is_empty());
        let mut last = first;
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(2100));
            let next = begin(&mut never);
            assert_ne!(next, last, "an ended token was handed out");
            last = next;
        }
        let counted = server.counters();
        assert_eq!((counted.exchanges, counted.reuses), (2, 0));
    }
}
