//! The life of a signed-in user's tokens, asynchronously.
//!
//! `cargo run -p cotter-examples --bin quickstart`
//!
//! It starts an emulated Cotter server in this process, so nothing leaves the machine; with a real
//! project you would leave the emulator out and give your own API key id.

use std::error::Error;
use std::time::Duration;

use cotter::{ErrorKind, OAuthToken, Provider, Session};
use cotter_emulator::{Config, Emulator, Fault};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A server whose access tokens live two seconds, so that we can watch them end.
    let server = Emulator::start(Config::default().with_access_ttl(Duration::from_secs(2)))?;

    let session =
        Session::builder(Provider::cotter(server.api_key_id())?.with_base_url(server.base_url())?)
            // It forgets at exit; the example `desktop` keeps its tokens in sealed files.
            .store(cotter::store::Memory::new())
            .transport(cotter::transport::Reqwest::new()?)
            .build()?;

    // What a login returned: here the emulator stands in for the login page.
    let login: OAuthToken = server.token_set("ada@example.test").parse()?;
    session.sign_in(login).await?;
    say("signed in", &session).await?;

    let first = session.access_token().await?;
    say("fresh: handed out as it is", &session).await?;

    // The other end of the wire: an API that verifies what it is shown (examples/src/api.rs).
    let api = cotter_examples::api::serve(server.base_url(), server.api_key_id()).await?;
    let client = reqwest::Client::new();
    let nobody = client.get(format!("{api}/me")).send().await?.status();
    assert_eq!(nobody, 401, "an API lets nobody in without a token");
    let ada = client.get(format!("{api}/me")).bearer_auth(first.expose()).send().await?;
    assert_eq!(ada.status(), 200, "and ada with hers");
    println!("{:<42} {}", "an API that verifies it answers", ada.text().await?.trim());

    tokio::time::sleep(Duration::from_millis(2100)).await;
    say("two seconds later", &session).await?;

    let second = session.access_token().await?;
    assert!(first != second, "an ended token is replaced");
    say("asked again: refreshed on the way", &session).await?;

    // A hundred callers find it ended: one exchange serves them all.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let before = server.counters().exchanges;
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.access_token().await })
        })
        .collect();
    let mut tokens = Vec::new();
    for caller in callers {
        tokens.push(caller.await??);
    }
    assert!(tokens.iter().all(|token| *token == tokens[0]), "everyone gets the same token");
    let exchanges = server.counters().exchanges - before;
    assert_eq!(exchanges, 1, "one exchange for all");
    println!(
        "{:<42} {exchanges} exchange for {} callers",
        "a hundred callers at once",
        tokens.len()
    );

    // The token is due for a refresh and the server fails: a usable token is still handed out.
    server.fault(Fault::new("drop").count(3));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let during = session.access_token().await?;
    assert!(during == tokens[0], "a good token survives an outage");
    say("outage: the usable token is still served", &session).await?;
    server.clear_faults();

    session.sign_out().await?;
    let error = session.access_token().await.expect_err("nobody is signed in any more");
    assert!(matches!(error.kind(), ErrorKind::SignInRequired(_)));
    println!("{:<42} {error}", "signed out: asking again says");
    Ok(())
}

async fn say(what: &str, session: &Session) -> Result<(), cotter::Error> {
    let status = session.status().await?;
    println!("{what:<42} {:<10} revision {}", status.state.as_str(), revision(&status));
    Ok(())
}

fn revision(status: &cotter::Status) -> u64 {
    status.revision.map_or(0, |revision| revision.counter)
}
