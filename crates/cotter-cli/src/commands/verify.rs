//! `cotter verify`: whether tokens are what they claim, by the issuer's keys.

use core::time::Duration;
use std::io::{self, BufRead, IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::sync::Arc;

use cotter::jwks::{self, Jwks};
use cotter::jwt::{AccessClaims, IdClaims, Invalid, KeySet, Reason, Verifier};
use cotter::{Clock as _, Provider, SystemClock, Timestamp};
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::input;
use crate::args::Verify;
use crate::failure::{Code, Failure};
use crate::output;
use crate::progress::Progress;
use crate::settings::{self, Format, Settings};
use crate::signatures;
use crate::text;
use crate::world::Lazy;

/// The longest line that is looked at; the verifier refuses far shorter ones.
const LONGEST: u64 = 1024 * 1024;

pub(super) fn run(settings: &Settings, wish: Verify) -> Result<ExitCode, Failure> {
    let judge = Judge::new(settings, &wish)?;
    let (mut bad, mut all) = (0_u64, 0_u64);
    let mut take = |token: &str| {
        let verdict = judge.judge(token)?;
        all += 1;
        bad += u64::from(verdict.is_err());
        say(settings, &verdict)
    };
    match wish.token.map(Zeroizing::new).filter(|token| token.as_str() != "-") {
        Some(token) => {
            input::warn_of_argument(settings);
            take(&token)?;
        }
        None => each_line(settings, take)?,
    }
    match (bad, all) {
        (_, 0) => Err(Failure::new(Code::InvalidToken, "no token was given")),
        (0, _) => Ok(ExitCode::SUCCESS),
        _ => Err(Failure::new(Code::InvalidToken, format!("not valid: {bad} of {all}"))
            .with_hint("the reason stands in the token's line on standard output")),
    }
}

fn each_line(
    settings: &Settings,
    mut take: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut stdin = io::stdin().lock();
    if stdin.is_terminal() {
        output::warn(settings, "reading tokens from standard input, one a line");
    }
    let unreadable = |error: io::Error| {
        Failure::usage(format!("standard input cannot be read: {error}"))
            .with_hint("give a TOKEN, or one a line on standard input")
    };
    loop {
        let mut line = Zeroizing::new(Vec::new());
        let read = stdin.by_ref().take(LONGEST).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            return Ok(());
        }
        if read as u64 == LONGEST {
            stdin.skip_until(b'\n').map_err(unreadable)?;
        }
        // What is not text is no token either, and its line says so.
        let token = Zeroizing::new(String::from_utf8_lossy(&line).trim().to_owned());
        if !token.is_empty() {
            take(&token)?;
        }
    }
}

#[derive(Serialize)]
struct Verdict<'a> {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// One line a token, written before the next one is read.
fn say(settings: &Settings, verdict: &Result<Value, Invalid>) -> Result<(), Failure> {
    let line = match (settings.format, verdict) {
        (Format::Json, verdict) => output::to_json(&Verdict {
            valid: verdict.is_ok(),
            claims: verdict.as_ref().ok(),
            reason: verdict.as_ref().err().map(|why| code(*why)),
        })?,
        (Format::Text, Ok(claims)) => valid(claims),
        (Format::Text, Err(why)) => format!("invalid: {} ({why})", code(*why)),
    };
    output::write(format!("{line}\n").as_bytes())
}

fn valid(claims: &Value) -> String {
    let known = ["identifier", "sub"].iter().find_map(|name| claims[name].as_str());
    let ends = claims["exp"].as_i64().map(Timestamp::from_unix_seconds).map(text::rfc3339);
    let who = known.map_or_else(|| "somebody".to_owned(), text::printable);
    format!("valid: {who}, until {}", ends.as_deref().unwrap_or("a far time"))
}

/// The keys were fetched in this very run, so that a key that is not among them is unknown.
const fn code(why: Invalid) -> &'static str {
    match why.reason() {
        Reason::KidUnknownForNow { .. } => Reason::KidUnknown.code(),
        reason => reason.code(),
    }
}

/// A verifier, and where its keys are.
struct Judge {
    keys: Keys,
    id_tokens: bool,
}

enum Keys {
    Given(Box<Verifier>),
    Remote(jwks::blocking::RemoteVerifier),
}

impl Judge {
    fn new(settings: &Settings, wish: &Verify) -> Result<Self, Failure> {
        let project = settings.api_key_id()?;
        let mut verifier = Verifier::cotter_with(
            signatures::backend(),
            wish.audience.as_deref().unwrap_or(project),
        );
        if let Some(issuer) = &settings.issuer {
            verifier = verifier.issuer(issuer);
        }
        if let Some(leeway) = &wish.leeway {
            verifier = verifier.leeway(settings::duration("--leeway", leeway)?);
        }
        let keys = match wish.jwks.as_deref() {
            Some(place) if !is_url(place) => {
                Keys::Given(Box::new(verifier.keys(read(settings, place)?)))
            }
            place => {
                let client = Lazy::new(settings.timeout, Arc::new(Progress::new(settings.quiet)));
                let keys = Jwks::at(&address(settings, place)?)?.timeout(patience(settings));
                Keys::Remote(keys.verify_blocking_with(verifier, client))
            }
        };
        Ok(Self { keys, id_tokens: wish.id_token })
    }

    fn judge(&self, token: &str) -> Result<Result<Value, Invalid>, Failure> {
        let now = SystemClock::new().now().wall;
        let verdict = match (&self.keys, self.id_tokens) {
            (Keys::Given(keys), false) => keys.verify_access_token(token, now).map(|c| access(&c)),
            (Keys::Given(keys), true) => keys.verify_id_token(token, now).map(|c| id(&c)),
            (Keys::Remote(keys), false) => keys.verify_access_token(token).map(|c| access(&c)),
            (Keys::Remote(keys), true) => keys.verify_id_token(token).map(|c| id(&c)),
        };
        match verdict {
            Err(why) if matches!(why.reason(), Reason::KeysUnavailable { .. }) => {
                Err(Failure::new(Code::Unavailable, "the issuer's keys cannot be fetched")
                    .with_hint("try again, or name the keys with --jwks FILE"))
            }
            verdict => Ok(verdict),
        }
    }
}

/// An offline machine is told so within five seconds.
fn patience(settings: &Settings) -> Duration {
    settings.timeout.min(Duration::from_secs(4))
}

fn access(claims: &AccessClaims) -> Value {
    parsed(claims.as_json())
}

fn id(claims: &IdClaims) -> Value {
    parsed(claims.as_json())
}

fn parsed(claims: &str) -> Value {
    serde_json::from_str(claims).unwrap_or_default()
}

fn is_url(place: &str) -> bool {
    place.starts_with("https://") || place.starts_with("http://")
}

fn address(settings: &Settings, place: Option<&str>) -> Result<String, Failure> {
    let provider = settings.provider()?;
    let Some(url) = place else {
        let request = provider.jwks_request();
        return Ok(request.map(|request| request.uri().to_string()).unwrap_or_default());
    };
    // Keys over plain http are anybody's keys; a provider's address obeys the same rule.
    Provider::cotter(provider.client_id())?.with_base_url(url).map_err(|error| {
        Failure { code: Code::Usage, ..Failure::from(error) }
            .with_hint("--jwks is a FILE or an https URL; http only to this machine")
    })?;
    Ok(url.to_owned())
}

fn read(settings: &Settings, file: &str) -> Result<KeySet, Failure> {
    let bytes = input::read(settings, Some(file.as_ref()), "the keys")?;
    KeySet::from_json(&*bytes).map_err(|error| {
        Failure::usage(format!("{file}: {error}"))
            .with_hint("--jwks is a JWK Set (RFC 7517): {\"keys\": [...]}")
    })
}
