//! `cotter doctor`: looks for problems and says what to do about each.

use core::time::Duration;
use std::process::ExitCode;
use std::sync::Arc;

use cotter::blocking::Session;
use cotter::core::LeaseAnswer;
use cotter::jwt::KeySet;
use cotter::{BlockingTransport as _, Clock as _, Provider, State, Status, SystemClock, Timestamp};
use http::header::DATE;
use serde::Serialize;

use super::status::{self, Pending};
use crate::failure::{self, Code, Failure};
use crate::output;
use crate::progress::Progress;
use crate::settings::{Format, Settings};
use crate::stores::{self, Place};
use crate::text;
use crate::world::{Lazy, World};

/// What the server may take to answer: an offline machine is told so within five seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// How far the clocks may be apart before that is worth a word; the header has whole seconds.
const CLOCKS_AGREE: u64 = 60;

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
    store: Place,
    lock_holder: Option<Holder>,
    clock_offset_s: Option<i64>,
    reachable: bool,
    pending_rotation: Option<Pending>,
    #[serde(skip)]
    failed: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Verdict,
    message: String,
    hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Note,
    Problem,
}

#[derive(Debug, Serialize)]
struct Holder {
    pid: Option<u32>,
    since: Option<String>,
}

pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let provider = settings.provider()?;
    let mut report = Report {
        ok: true,
        checks: Vec::new(),
        store: stores::nowhere(settings)?,
        lock_holder: None,
        clock_offset_s: None,
        reachable: false,
        pending_rotation: None,
        failed: None,
    };
    match World::open(settings) {
        Ok(Some(world)) => report.look_at_store(settings, &world),
        Ok(None) => report.note(
            "store",
            format!("{}; nothing is stored yet", status::place(&report.store)),
            "sign in: cotter import FILE",
        ),
        Err(failure) => report.problem("store", failure),
    }
    report.ask_server(settings, &provider);
    output::answer(settings, &report, || report.to_text())?;
    match report.failed {
        None => Ok(ExitCode::SUCCESS),
        Some(failure) if settings.format == Format::Json => Err(failure),
        // People have read it just now, with all else.
        Some(failure) => Ok(ExitCode::from(failure.code.exit())),
    }
}

impl Report {
    fn fine(&mut self, name: &'static str, message: impl Into<String>) {
        self.add(name, Verdict::Ok, message.into(), None);
    }

    fn note(&mut self, name: &'static str, message: impl Into<String>, hint: &str) {
        self.add(name, Verdict::Note, message.into(), Some(hint.to_owned()));
    }

    /// The first problem is what the program ends with.
    fn problem(&mut self, name: &'static str, failure: Failure) {
        self.ok = false;
        let Failure { message, hint, .. } = failure.clone();
        self.failed.get_or_insert(failure);
        self.add(name, Verdict::Problem, message, Some(hint));
    }

    fn add(&mut self, name: &'static str, status: Verdict, message: String, hint: Option<String>) {
        self.checks.push(Check { name, status, message, hint });
    }

    fn look_at_store(&mut self, settings: &Settings, world: &World<'_>) {
        self.store = world.place.clone();
        self.fine("store", status::place(&self.store));
        for remark in &world.place.remarks {
            self.fine("store", remark.clone());
        }
        if !world.store.capabilities().durable {
            self.note("store", "what is stored may not survive a power cut", "use --store file");
        }
        let session = match world.session() {
            Ok(session) => session,
            Err(failure) => return self.problem("session", failure),
        };
        let status = match session.status() {
            // Asking for the lock makes its file: not where there is nothing to lock.
            Ok(status) if status.revision.is_some() => self.look_at_lock(world, &session, status),
            Ok(status) => status,
            Err(error) => return self.problem("session", error.into()),
        };
        let name = text::printable(&settings.session);
        let state = status.state.as_str();
        if status.signed_in {
            self.fine("session", format!("{name}: {state}"));
        } else {
            let what = match status.state {
                State::SignedOut => format!("{name}: nobody is signed in"),
                _ => format!("{name}: {state}, and there is nothing left to refresh with"),
            };
            self.note("session", what, "sign in: cotter import FILE");
        }
        if let Some(failure) = status::held(&session, &status) {
            self.problem("session", failure);
        }
        if let Some(pending) = status.pending_rotation {
            let pending = Pending::new(&pending);
            let since = pending.since.clone();
            self.pending_rotation = Some(pending);
            if self.lock_holder.is_some() {
                let what = format!("a refresh begun at {since} is under way");
                self.note("rotation", what, "nothing: who has the lock brings it to its end");
            } else {
                let what = format!(
                    "a refresh of {since} was cut off; whether the server did it is unknown"
                );
                let hint = match status.state {
                    State::Fresh | State::Stale => {
                        "nothing now: it is tried again when the access token has ended; \
                         if the server then refuses, sign in again"
                    }
                    _ => {
                        "the next `cotter token` tries it again, once that exchange must be over; \
                         if the server then refuses, sign in again"
                    }
                };
                self.note("rotation", what, hint);
            }
        } else {
            self.fine("rotation", "no refresh is pending");
        }
    }

    /// Also answers how the session stands, read again under the lock where that tells more.
    fn look_at_lock(&mut self, world: &World<'_>, session: &Session, status: Status) -> Status {
        let key = session.key();
        let mut newer = None;
        match world.store.try_lease(key, Duration::from_secs(1)) {
            Ok(LeaseAnswer::Granted(lease)) => {
                // While this process has the lock, what is not finished is not under way either.
                if status.pending_rotation.is_some() {
                    newer = session.status().ok();
                }
                // A lease that nobody gives back ends with this process.
                let _ = world.store.release(key, lease.owner);
                self.fine("lock", "free");
            }
            Ok(LeaseAnswer::Held(holder)) => {
                let since = holder.since.map(text::rfc3339);
                let who = holder
                    .pid
                    .map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                let when = since.as_ref().map(|at| format!(" since {at}")).unwrap_or_default();
                self.lock_holder = Some(Holder { pid: holder.pid, since });
                self.note(
                    "lock",
                    format!("{who} has it{when}"),
                    "wait for it; if it hangs, end it, and the lock is free",
                );
            }
            Ok(LeaseAnswer::Unsupported) => self.fine("lock", "the store belongs to one process"),
            Err(error) => self.problem("lock", error.into()),
        }
        newer.unwrap_or(status)
    }

    fn ask_server(&mut self, settings: &Settings, provider: &Provider) {
        let Some(request) = provider.jwks_request() else { return };
        let client = Lazy::new(settings.timeout, Arc::new(Progress::new(settings.quiet)));
        let clock = SystemClock::new();
        let before = clock.now().wall;
        let answer = match client.send(request, settings.timeout.min(PATIENCE)) {
            Ok(answer) => answer,
            Err(error) if error.is_config() => {
                let failure = Failure::new(Code::Config, failure::chain(&error));
                return self.problem("server", failure);
            }
            Err(error) => {
                let why = failure::chain(&error);
                let what = format!("{} cannot be reached: {why}", provider.address());
                let failure = Failure::new(Code::Unavailable, what)
                    .with_hint("check the network, HTTPS_PROXY and --base-url");
                return self.problem("server", failure);
            }
        };
        let after = clock.now().wall;
        let status = answer.status();
        let address = provider.address();
        self.reachable = true;
        if status.is_success() && KeySet::from_json(answer.body().expose()).is_ok() {
            self.fine("server", format!("{address} answers"));
        } else if status.is_success() {
            // A page to sign in to the network by, say; its clock is nobody's.
            self.reachable = false;
            let what = format!("{address} answers with something other than its keys");
            let hint = "check the network (is there a page to sign in to it?) and --base-url";
            let failure = Failure::new(Code::Unavailable, what).with_hint(hint);
            return self.problem("server", failure);
        } else {
            let what = format!("{address} answers HTTP {}", status.as_u16());
            let (code, hint) = match status.as_u16() {
                408 | 429 | 500.. => (Code::Unavailable, "try again later"),
                _ => (Code::Config, "check --base-url; it ends in /api/v0"),
            };
            self.problem("server", Failure::new(code, what).with_hint(hint));
        }
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        match date.and_then(|date| httpdate::parse_http_date(date).ok()) {
            Some(date) => self.compare_clocks(date, before, after),
            None => self.fine("clock", "the server does not say what time it is"),
        }
    }

    fn compare_clocks(&mut self, date: std::time::SystemTime, before: Timestamp, after: Timestamp) {
        let since = date.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        let server = i64::try_from(since).unwrap_or(i64::MAX);
        let (before, after) = (before.as_unix_seconds(), after.as_unix_seconds());
        let offset = if server < before {
            server - before
        } else if server > after {
            server - after
        } else {
            0
        };
        self.clock_offset_s = Some(offset);
        let what = match offset {
            0 => "the server's clock and this one agree".to_owned(),
            1.. => format!("the server's clock is {offset} s ahead of this one"),
            _ => format!("the server's clock is {} s behind this one", offset.unsigned_abs()),
        };
        if offset.unsigned_abs() > CLOCKS_AGREE {
            let hint = "set this machine's clock (NTP); tokens are judged by it";
            self.problem("clock", Failure::new(Code::Config, what).with_hint(hint));
        } else {
            self.fine("clock", what);
        }
    }

    fn to_text(&self) -> String {
        let mut said = String::new();
        for Check { name, status, message, hint } in &self.checks {
            let mark = match status {
                Verdict::Ok => "ok",
                Verdict::Note => "note",
                Verdict::Problem => "PROBLEM",
            };
            said.push_str(&format!("{mark:<8} {name:<9} {message}\n"));
            if let Some(hint) = hint {
                said.push_str(&format!("{:<18} try: {hint}\n", ""));
            }
        }
        said
    }
}
