//! Reads tokens from standard input, one JSON string a line, and prints a verdict for each.
//!
//! `verdicts VECTORS NOW LEEWAY`: the vectors' file has the keys and the API key id. For comparing
//! this crate with others; see `tests/foreign/jose-differential.sh`.

use core::error::Error;
use core::time::Duration;
use std::io::{BufRead as _, Write as _, stdin, stdout};

use cotter_core::Timestamp;
use cotter_jwt::{KeySet, Verifier};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("usage: verdicts VECTORS NOW LEEWAY");
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(argument()?)?)?;
    let now = Timestamp::from_unix_seconds(argument()?.parse()?);
    let leeway = Duration::from_secs(argument()?.parse()?);
    let api_key_id = vectors["api_key_id"].as_str().ok_or("no API key id")?;
    let verifier = Verifier::cotter(api_key_id)
        .keys(KeySet::from_json(vectors["jwks"].to_string())?)
        .leeway(leeway);
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        let token: String = serde_json::from_str(&line?)?;
        let code = verifier.verify_access_token(&token, now).map_or_else(|no| no.code(), |_| "ok");
        writeln!(out, "{code}")?;
    }
    Ok(())
}
