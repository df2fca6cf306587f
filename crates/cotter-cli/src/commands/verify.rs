//! `cotter verify`: whether tokens are what they claim, by the issuer's keys.

use core::time::Duration;
use std::io::{self, BufRead, IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::sync::Arc;

use cotter::jwks::{self, FetchFailureKind, Jwks};
use cotter::jwt::{AccessClaims, IdClaims, Invalid, KeySet, Reason, Verifier};
use cotter::{Clock as _, Provider, SystemClock, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::input;
use crate::args::Verify;
use crate::failure::{self, Code, Failure};
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
        let token = token.trim_ascii();
        if token.is_empty() {
            return Ok(());
        }
        let verdict = judge.judge(token)?;
        all += 1;
        bad += u64::from(verdict.is_err());
        say(settings, &verdict)
    };
    match wish.token.map(Zeroizing::new).filter(|token| token.as_str() != "-") {
        Some(token) => {
            take(&token)?;
            match (all, bad) {
                (1, 0) => input::warn_of_accepted_argument(settings),
                _ => input::warn_of_argument(settings),
            }
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
        if read as u64 == LONGEST && line.last() != Some(&b'\n') {
            stdin.skip_until(b'\n').map_err(unreadable)?;
        }
        // What is not text is no token either, and its line says so.
        take(&Zeroizing::new(String::from_utf8_lossy(&line).into_owned()))?;
    }
}

/// What is told of a good token.
struct Good {
    ends: Timestamp,
    /// The claims as they were signed.
    json: String,
    who: Option<String>,
}

#[derive(Serialize)]
struct Verdict<'a> {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// One line a token, written before the next one is read.
fn say(settings: &Settings, verdict: &Result<Good, Invalid>) -> Result<(), Failure> {
    let line = match (settings.format, verdict) {
        (Format::Json, verdict) => {
            let claims = verdict.as_ref().ok().map(|good| raw(&good.json)).transpose()?;
            output::to_json(&Verdict {
                valid: verdict.is_ok(),
                claims: claims.as_deref(),
                reason: verdict.as_ref().err().map(Invalid::code),
            })?
        }
        (Format::Text, Ok(good)) => valid(good),
        (Format::Text, Err(why)) => format!("invalid: {} ({why})", why.code()),
    };
    output::write(format!("{line}\n").as_bytes())
}

/// The token's own JSON, so that no number in it is changed; on one line, since outside of texts
/// JSON may have line breaks, and inside it has none.
fn raw(json: &str) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(json.replace(['\n', '\r'], " "))
        .map_err(|_| Failure::new(Code::Protocol, "the claims cannot be written as JSON"))
}

fn valid(good: &Good) -> String {
    let who = good.who.as_deref().map_or_else(|| "somebody".to_owned(), text::printable);
    format!("valid: {who}, until {}", text::rfc3339(good.ends))
}

/// A verifier, and where its keys are.
struct Judge {
    keys: Keys,
    id_tokens: bool,
    progress: Arc<Progress>,
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
        let progress = Arc::new(Progress::new(settings.quiet));
        let keys = match wish.jwks.as_deref() {
            Some(place) if !is_url(place) => {
                Keys::Given(Box::new(verifier.keys(read(settings, place)?)))
            }
            place => {
                let client = Lazy::new(settings.timeout, Arc::clone(&progress));
                let keys = Jwks::at(&address(settings, place)?)?.timeout(patience(settings));
                Keys::Remote(keys.verify_blocking_with(verifier, client))
            }
        };
        Ok(Self { keys, id_tokens: wish.id_token, progress })
    }

    fn judge(&self, token: &str) -> Result<Result<Good, Invalid>, Failure> {
        let now = SystemClock::new().now().wall;
        let verdict = match (&self.keys, self.id_tokens) {
            (Keys::Given(keys), false) => keys.verify_access_token(token, now).map(|c| access(&c)),
            (Keys::Given(keys), true) => keys.verify_id_token(token, now).map(|c| id(&c)),
            (Keys::Remote(keys), false) => keys.verify_access_token(token).map(|c| access(&c)),
            (Keys::Remote(keys), true) => keys.verify_id_token(token).map(|c| id(&c)),
        };
        self.progress.done();
        match verdict {
            Err(why) if matches!(why.reason(), Reason::KeysUnavailable { .. }) => {
                Err(self.without_keys())
            }
            verdict => Ok(verdict),
        }
    }

    /// Why there are no keys, and what to do about it.
    fn without_keys(&self) -> Failure {
        let cause = match &self.keys {
            Keys::Given(_) => None,
            Keys::Remote(keys) => keys.last_failure(),
        };
        let mut what = "the issuer's keys cannot be fetched".to_owned();
        let mut hint = "try again, or name the keys with --jwks FILE";
        if let Some(cause) = cause {
            what.push_str(": ");
            what.push_str(&failure::chain(&cause));
            if matches!(cause.kind(), FetchFailureKind::NotKeys | FetchFailureKind::Status(_)) {
                hint = "check that --jwks or --base-url is where the keys are, or try again";
            }
        }
        Failure::new(Code::Unavailable, what).with_hint(hint)
    }
}

/// An offline machine is told so within five seconds.
fn patience(settings: &Settings) -> Duration {
    settings.timeout.min(Duration::from_secs(4))
}

fn access(claims: &AccessClaims) -> Good {
    let who = claims.identifier().or_else(|| claims.subject()).map(str::to_owned);
    Good { ends: claims.expires_at(), json: claims.as_json().to_owned(), who }
}

fn id(claims: &IdClaims) -> Good {
    let who = claims.identifier().or_else(|| claims.subject()).map(str::to_owned);
    Good { ends: claims.expires_at(), json: claims.as_json().to_owned(), who }
}

fn is_url(place: &str) -> bool {
    let scheme = place.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| ["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s)))
}

fn address(settings: &Settings, place: Option<&str>) -> Result<String, Failure> {
    let provider = settings.provider()?;
    let Some(url) = place else {
        let request = provider.jwks_request();
        return Ok(request.map(|request| request.uri().to_string()).unwrap_or_default());
    };
    // Keys over plain http are anybody's keys.
    let named = Provider::cotter(provider.client_id())?.with_jwks_uri(url).map_err(|error| {
        Failure::usage(format!("--jwks: {error}"))
            .with_hint("--jwks is a FILE or an https URL; http only to this machine")
    })?;
    Ok(named.jwks_request().map(|request| request.uri().to_string()).unwrap_or_default())
}

fn read(settings: &Settings, file: &str) -> Result<KeySet, Failure> {
    let bytes = input::read(settings, Some(file.as_ref()), "the keys")?;
    KeySet::from_json(&*bytes).map_err(|error| {
        Failure::usage(format!("{file}: {error}"))
            .with_hint("--jwks is a JWK Set (RFC 7517): {\"keys\": [...]}")
    })
}
