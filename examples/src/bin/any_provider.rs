//! Any OAuth 2.0 provider: import a token set, then let 64 callers at once use it past its end, twice.
//!
//! `any_provider TOKEN_ENDPOINT CLIENT_ID [none|strict|grace=SECONDS] < token-response.json`
//!
//! Ends with exit 0 if every caller got the same, new token each time, so that the one refresh per
//! round is the server's to count.

use std::error::Error;
use std::io::Read as _;
use std::time::Duration;

use cotter::{AccessToken, OAuthToken, Provider, Rotation, Session};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let endpoint = arguments.next().ok_or("the token endpoint is missing")?;
    let client_id = arguments.next().ok_or("the client id is missing")?;
    let rotation = match arguments.next().as_deref() {
        None | Some("strict") => Rotation::Strict,
        Some("none") => Rotation::None,
        Some(grace) => {
            let seconds = grace.strip_prefix("grace=").ok_or("the rotation is not known")?;
            Rotation::Grace(Duration::from_secs(seconds.parse()?))
        }
    };
    let mut response = String::new();
    std::io::stdin().read_to_string(&mut response)?;

    let session =
        Session::builder(Provider::oauth2(&endpoint, &client_id)?.with_rotation(rotation))
            .store(cotter::store::Memory::new())
            .transport(cotter::transport::Reqwest::new()?)
            .build()?;
    session.sign_in(response.parse::<OAuthToken>()?).await?;

    let mut last = session.access_token().await?;
    for round in 1..=2 {
        while session.cached_access_token().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let tokens = all_at_once(&session).await?;
        if tokens.iter().any(|token| *token != tokens[0]) {
            return Err("the callers got different tokens".into());
        }
        if tokens[0] == last {
            return Err("the callers got the old token".into());
        }
        last = tokens[0].clone();
        println!("round {round}: {} callers, one new token", tokens.len());
    }
    Ok(())
}

async fn all_at_once(session: &Session) -> Result<Vec<AccessToken>, Box<dyn Error>> {
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.access_token().await })
        })
        .collect();
    let mut tokens = Vec::new();
    for caller in callers {
        tokens.push(caller.await??);
    }
    Ok(tokens)
}
