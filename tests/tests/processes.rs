//! Many processes and one signed-in user, on one file store, and on a copy of it each.
#![allow(clippy::unwrap_used, reason = "it is a test")]

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use cotter::blocking::Session;
use cotter::seal::{Given, SealKey};
use cotter::store::{File, Memory};
use cotter::{BlockingTokenStore, OAuthToken, Provider};
use cotter_emulator::{Config, Emulator, OnReuse};

const PROCESSES: usize = 20;
const REFRESHES: u64 = 50;
const USER: &str = "ada@example.test";

fn provider(api_key_id: &str, base_url: &str) -> Provider {
    Provider::cotter(api_key_id).unwrap().with_base_url(base_url).unwrap()
}

fn open(folder: &Path) -> File {
    File::open(folder, Given::new(SealKey::from_bytes([7; 32]))).unwrap()
}

fn session(store: impl BlockingTokenStore + 'static, provider: Provider) -> Session {
    let transport = cotter::transport::Ureq::builder().no_proxy().build().unwrap();
    // Twenty refresh at once, on a machine that may be slow: somebody always comes last.
    let policy = cotter::Policy::default().with_lock_wait(Duration::from_secs(300));
    Session::builder(provider).store(store).transport(transport).policy(policy).build().unwrap()
}

/// What the store in `folder` holds, in a store of this process alone.
fn copy(folder: &Path, provider: &Provider) -> Memory {
    let (key, copy) = (provider.store_key("default").unwrap(), Memory::new());
    let loaded = open(folder).load(&key).unwrap().unwrap();
    let expected = cotter::core::Expected::Absent;
    copy.save(&key, &loaded.record.unwrap(), expected, loaded.revision).unwrap();
    copy
}

fn child(test: &str, folder: &Path, server: &Emulator) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("COTTER_TEST_FOLDER", folder)
        .env("COTTER_TEST_SERVER", server.base_url())
        .env("COTTER_TEST_API_KEY", server.api_key_id())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// What this process was given, if it is a child.
fn given() -> Option<(PathBuf, Provider)> {
    let folder = std::env::var_os("COTTER_TEST_FOLDER")?;
    let variable = |name| std::env::var(name).unwrap();
    let provider = provider(&variable("COTTER_TEST_API_KEY"), &variable("COTTER_TEST_SERVER"));
    Some((folder.into(), provider))
}

/// Another process, which wants fifty new tokens whatever the others do.
#[test]
#[ignore = "run by a test below, in processes of its own"]
fn refreshing_child() {
    let Some((folder, provider)) = given() else { return };
    let session = session(open(&folder), provider);
    let mut last = session.access_token().unwrap();
    for n in 0..REFRESHES {
        let next = session.refresh().unwrap_or_else(|error| panic!("refresh {n}: {error:?}"));
        assert!(next != last, "refresh {n} brought the token that was there before it");
        last = next;
    }
}

/// Another process, which knows of no others.
#[test]
#[ignore = "run by a test below, in processes of its own"]
fn lonely_child() {
    let Some((folder, provider)) = given() else { return };
    let copy = copy(&folder, &provider);
    let refreshed = session(copy, provider).refresh();
    std::process::exit(i32::from(refreshed.is_err()));
}

#[test]
fn twenty_processes_refresh_fifty_times_each_one_after_the_other() {
    // Held for a moment each, so that the server sees two at once if there ever are two.
    let hold = Duration::from_millis(10);
    let config = Config::default().with_on_reuse(OnReuse::RevokeFamily).with_hold(hold);
    let server = Emulator::start(config).unwrap();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let own = session(open(&folder), provider(server.api_key_id(), server.base_url()));
    own.sign_in(server.token_set(USER).parse::<OAuthToken>().unwrap()).unwrap();

    let began = Instant::now();
    let mut children: Vec<_> =
        (0..PROCESSES).map(|_| child("refreshing_child", &folder, &server)).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let counters = server.counters();
    println!("{} exchanges in {:?}: {counters:?}", counters.exchanges, began.elapsed());

    // A forced refresh is an exchange of its own: what another process just got serves nobody here.
    assert_eq!(counters.exchanges, PROCESSES as u64 * REFRESHES);
    assert_eq!(counters.refresh_requests, counters.exchanges);
    assert_eq!((counters.reuses, counters.refused), (0, 0));
    assert_eq!(counters.max_in_flight, 1);

    // What stands in the store is what the server issued last, and it goes on from there.
    let stored = own.refresh_token().unwrap();
    assert_eq!(Some(stored.expose()), server.current_refresh_token(USER).as_deref());
    own.refresh().unwrap();
    assert_eq!(server.counters().reuses, 0);
}

/// The counts of the test above say something: with a store each, they are others.
#[test]
fn processes_with_a_copy_each_are_seen_by_the_server() {
    let server = Emulator::start(Config::default()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let own = session(open(&folder), provider(server.api_key_id(), server.base_url()));
    own.sign_in(server.token_set(USER).parse::<OAuthToken>().unwrap()).unwrap();

    server.pause();
    let mut children: Vec<_> = (0..2).map(|_| child("lonely_child", &folder, &server)).collect();
    assert!(server.wait_for_requests(2, Duration::from_secs(60)));
    server.resume();
    let ended = children.iter_mut().map(|child| child.wait().unwrap().success());
    assert_eq!(ended.filter(|well| *well).count(), 1);
    let counters = server.counters();
    assert_eq!((counters.max_in_flight, counters.reuses), (2, 1));
    // And the store holds a refresh token that is spent.
    let stored = own.refresh_token().unwrap();
    assert_ne!(Some(stored.expose()), server.current_refresh_token(USER).as_deref());
}
