//! The life of a signed-in user's tokens, on threads and without a runtime.
//!
//! `cargo run -p cotter-examples --bin quickstart_blocking`
//!
//! It starts an emulated Cotter server in this process, so nothing leaves the machine; with a real
//! project you would leave the emulator out and give your own API key id.

use std::error::Error;
use std::thread;
use std::time::Duration;

use cotter::blocking::Session;
use cotter::{ErrorKind, OAuthToken, Provider};
use cotter_emulator::{Config, Emulator, Fault};

fn main() -> Result<(), Box<dyn Error>> {
    // A server whose access tokens live two seconds, so that we can watch them end.
    let server = Emulator::start(Config::default().with_access_ttl(Duration::from_secs(2)))?;

    let session =
        Session::builder(Provider::cotter(server.api_key_id())?.with_base_url(server.base_url())?)
            // It forgets at exit; the example `desktop` keeps its tokens in sealed files.
            .store(cotter::store::Memory::new())
            .transport(cotter::transport::Ureq::new()?)
            .build()?;

    // What a login returned: here the emulator stands in for the login page.
    let login: OAuthToken = server.token_set("ada@example.test").parse()?;
    session.sign_in(login)?;
    say("signed in", &session)?;

    let first = session.access_token()?;
    say("fresh: handed out as it is", &session)?;

    thread::sleep(Duration::from_millis(2100));
    say("two seconds later", &session)?;

    let second = session.access_token()?;
    assert!(first != second, "an ended token is replaced");
    say("asked again: refreshed on the way", &session)?;

    // A hundred threads find it ended: one exchange serves them all.
    thread::sleep(Duration::from_millis(2100));
    let before = server.counters().exchanges;
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let session = session.clone();
            thread::spawn(move || session.access_token())
        })
        .collect();
    let mut tokens = Vec::new();
    for caller in callers {
        tokens.push(caller.join().expect("no caller panics")?);
    }
    assert!(tokens.iter().all(|token| *token == tokens[0]), "everyone gets the same token");
    let exchanges = server.counters().exchanges - before;
    assert_eq!(exchanges, 1, "one exchange for all");
    println!(
        "{:<42} {exchanges} exchange for {} callers",
        "a hundred threads at once",
        tokens.len()
    );

    // The token is due for a refresh and the server fails: a usable token is still handed out.
    server.fault(Fault::new("drop").count(3));
    thread::sleep(Duration::from_millis(1200));
    let during = session.access_token()?;
    assert!(during == tokens[0], "a good token survives an outage");
    say("outage: the usable token is still served", &session)?;
    server.clear_faults();

    session.sign_out()?;
    let error = session.access_token().expect_err("nobody is signed in any more");
    assert!(matches!(error.kind(), ErrorKind::SignInRequired(_)));
    println!("{:<42} {error}", "signed out: asking again says");
    Ok(())
}

fn say(what: &str, session: &Session) -> Result<(), cotter::Error> {
    let status = session.status()?;
    println!("{what:<42} {:<10} revision {}", status.state.as_str(), revision(&status));
    Ok(())
}

fn revision(status: &cotter::Status) -> u64 {
    status.revision.map_or(0, |revision| revision.counter)
}
