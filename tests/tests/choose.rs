//! The choice among real stores: what is chosen, what is said of the others, and what a candidate that
//! hangs, panics or forgets costs.

#![allow(clippy::unwrap_used, missing_docs)]

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use cotter::seal::{Given, SealKey};
use cotter::store::{Candidate, File, KeyFile, Memory, Outcome, Protection, Sled, choose};
use cotter::{BlockingTokenStore, Offload, StoreError, StoreErrorKind};

fn dynamic(store: impl BlockingTokenStore + 'static) -> Arc<dyn BlockingTokenStore> {
    Arc::new(store)
}

fn given() -> Given {
    Given::new(SealKey::from_bytes([7; 32]))
}

fn file(folder: &Path) -> Candidate {
    let folder = folder.to_owned();
    Candidate::new("file", Protection::Sealed, move || Ok(dynamic(File::open(&folder, given())?)))
}

fn fails(name: &'static str, kind: StoreErrorKind) -> Candidate {
    let error = move || Err(StoreError::new(kind, "it is away").with_hint("bring it back"));
    Candidate::new(name, Protection::OperatingSystem, error)
}

#[test]
fn the_first_that_keeps_things_is_used_and_the_report_says_why() {
    let home = tempfile::tempdir().unwrap();
    let kept = home.path().join("store");
    let memory = Memory::new();
    let chosen = choose(vec![
        fails("keyring", StoreErrorKind::Unavailable),
        Candidate::new("memory", Protection::OperatingSystem, move || Ok(dynamic(memory.clone()))),
        file(&kept),
        file(&home.path().join("never")),
    ])
    .unwrap();
    assert_eq!(
        chosen.report.to_string(),
        "keyring: it is away\nmemory: does not keep what is stored\nfile: chosen\nfile: not needed"
    );
    assert_eq!(chosen.report.chosen(), Some(2));
    assert!(chosen.store.list().unwrap().is_empty(), "the test record is gone");
    assert!(!home.path().join("never").exists(), "what was not needed was not touched");
}

#[test]
fn every_store_of_ours_that_is_durable_can_be_chosen() {
    let home = tempfile::tempdir().unwrap();
    let sled = home.path().join("sled");
    let open = move || Ok(dynamic(Sled::open(&sled, given())?));
    let candidate = Candidate::new("sled", Protection::Sealed, open);
    let chosen = choose(vec![candidate.with_patience(Duration::from_secs(60))]).unwrap();
    assert_eq!(chosen.report.to_string(), "sled: chosen");
}

#[test]
fn nothing_is_put_in_clear_without_a_word() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("clear");
    let open = {
        let folder = folder.clone();
        move || Ok(dynamic(File::danger_open_unsealed(&folder)?))
    };
    let clear = || Candidate::new("clear", Protection::Nothing, open.clone());
    let none = choose(vec![clear()]).unwrap_err();
    assert!(matches!(none.0.tried()[0].outcome, Outcome::InClear));
    assert!(!folder.exists(), "it was not even opened");
    let error = cotter::Error::from(none);
    assert!(error.to_string().contains("token store"), "{error}");
    assert_eq!(choose(vec![clear().danger_allow_in_clear()]).unwrap().report.chosen(), Some(0));
}

#[test]
fn one_that_hangs_costs_its_patience() {
    let home = tempfile::tempdir().unwrap();
    let (_let_go, held) = mpsc::channel::<()>();
    let hangs = move || {
        let _ = held.recv();
        Err(StoreError::new(StoreErrorKind::Other, "late"))
    };
    let hangs = Candidate::new("hangs", Protection::OperatingSystem, hangs)
        .with_patience(Duration::from_millis(50));
    let chosen = choose(vec![hangs, file(&home.path().join("store"))]).unwrap();
    assert!(matches!(chosen.report.tried()[0].outcome, Outcome::TimedOut(_)));
    assert_eq!(chosen.report.chosen(), Some(1));
}

#[test]
fn one_that_panics_is_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let panics = Candidate::new("panics", Protection::OperatingSystem, || panic!("a bug"));
    let chosen = choose(vec![panics, file(&home.path().join("store"))]).unwrap();
    assert_eq!(chosen.report.to_string(), "panics: it panicked\nfile: chosen");
}

#[test]
fn where_none_will_do_the_error_is_that_of_the_first_with_its_advice() {
    let none = choose(vec![
        fails("keyring", StoreErrorKind::Unavailable),
        fails("disk", StoreErrorKind::Full),
    ])
    .unwrap_err();
    let error = cotter::Error::from(none);
    let stored = error.store_error().unwrap();
    assert_eq!(
        (stored.kind(), stored.hint()),
        (StoreErrorKind::Unavailable, Some("bring it back"))
    );
    assert!(stored.to_string().contains("disk: it is away"), "{stored}");
    assert!(choose(Vec::<Candidate>::new()).is_err());
}

#[test]
fn a_store_that_is_there_is_opened_by_its_own_key_and_no_other_is_made() {
    let home = tempfile::tempdir().unwrap();
    let (folder, key) = (home.path().join("store"), home.path().join("config/key"));
    File::open(&folder, given()).unwrap();
    let by_file = {
        let (folder, key) = (folder.clone(), key.clone());
        move || Ok(dynamic(File::open(&folder, KeyFile::new(&key))?))
    };
    let by_file = Candidate::new("key file", Protection::Sealed, by_file);
    let chosen = choose(vec![by_file, file(&folder)]).unwrap();
    assert_eq!(chosen.report.chosen(), Some(1), "{}", chosen.report);
    assert!(!key.exists(), "no other key was made");
}

#[tokio::test]
async fn an_async_session_takes_what_was_chosen() {
    let home = tempfile::tempdir().unwrap();
    let (store, report) = Offload::choose(vec![file(&home.path().join("store"))]).await.unwrap();
    assert_eq!(report.to_string(), "file: chosen");
    let server = cotter_emulator::Emulator::start(cotter_emulator::Config::default()).unwrap();
    let provider = cotter::Provider::cotter(server.api_key_id()).unwrap();
    let session = cotter::Session::builder(provider.with_base_url(server.base_url()).unwrap())
        .store(store)
        .transport(cotter::transport::Reqwest::builder().no_proxy().build().unwrap())
        .build()
        .unwrap();
    session.sign_in(server.token_set("ada@example.test").parse().unwrap()).await.unwrap();
    session.refresh().await.unwrap();
    assert_eq!(server.counters().exchanges, 1);
    let none: Vec<Candidate> = vec![fails("disk", StoreErrorKind::Full)];
    assert!(Offload::choose(none).await.is_err());
}
