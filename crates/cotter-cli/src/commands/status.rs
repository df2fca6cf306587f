//! `cotter status`: how the session stands; no network, never a token.

use std::process::ExitCode;

use cotter::blocking::Session;
use cotter::{Clock as _, ErrorKind, Status, SystemClock, Timestamp};
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::output;
use crate::settings::Settings;
use crate::stores::{self, Place};
use crate::text;
use crate::world::World;

/// What `status` answers; what is unknown is null.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) signed_in: bool,
    pub(super) state: &'static str,
    pub(super) access_expires_at: Option<String>,
    pub(super) id_expires_at: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) identifier: Option<String>,
    session: String,
    api_key_id: String,
    base_url: String,
    pub(super) store: Place,
    revision: Option<u64>,
    pub(super) pending_rotation: Option<Pending>,
    #[serde(skip)]
    ends: Option<Timestamp>,
    /// Not in the JSON, whose members are laid down: a strict reader may refuse another one.
    #[serde(skip)]
    held: Option<Failure>,
}

/// A refresh whose outcome is not known.
#[derive(Debug, Serialize)]
pub(super) struct Pending {
    pub(super) since: String,
    pub(super) revision: u64,
}

impl Pending {
    pub(super) fn new(pending: &cotter::core::Pending) -> Self {
        Self { since: text::rfc3339(pending.since), revision: pending.revision.counter }
    }
}

impl Report {
    pub(super) fn new(settings: &Settings, status: &Status, store: Place) -> Result<Self, Failure> {
        let provider = settings.provider()?;
        Ok(Self {
            signed_in: status.signed_in,
            state: status.state.as_str(),
            access_expires_at: status.access_expires_at.map(text::rfc3339),
            id_expires_at: status.id_expires_at.map(text::rfc3339),
            subject: status.subject.clone(),
            identifier: status.identifier.clone(),
            session: settings.session.clone(),
            api_key_id: provider.client_id().to_owned(),
            base_url: provider.address().to_owned(),
            store,
            revision: status.revision.map(|revision| revision.counter),
            pending_rotation: status.pending_rotation.as_ref().map(Pending::new),
            ends: status.access_expires_at,
            held: None,
        })
    }

    /// Who was signed in just now, and where that is stored.
    pub(super) fn signed_in_text(&self) -> String {
        let who = self.identifier.as_deref().or(self.subject.as_deref()).unwrap_or("somebody");
        let ends = self.access_expires_at.as_deref().unwrap_or("an unknown time");
        let place = place(&self.store);
        format!("signed in: {}, access token until {ends}\n{place}\n", text::printable(who))
    }

    fn to_text(&self) -> String {
        let unknown = || "-".to_owned();
        let shown = |value: &Option<String>| value.as_deref().map_or_else(unknown, text::printable);
        let mut lines = vec![
            ("signed in", if self.signed_in { "yes" } else { "no" }.to_owned()),
            ("state", self.state.to_owned()),
            ("identifier", shown(&self.identifier)),
            ("subject", shown(&self.subject)),
            ("access token", self.ends.map_or_else(unknown, until)),
            (
                "id token",
                self.id_expires_at.as_ref().map_or_else(unknown, |at| format!("until {at}")),
            ),
            ("session", text::printable(&self.session)),
            ("API key id", self.api_key_id.clone()),
            ("server", self.base_url.clone()),
            ("store", place(&self.store)),
        ];
        if let Some(revision) = self.revision {
            lines.push(("revision", revision.to_string()));
        }
        if let Some(pending) = &self.pending_rotation {
            // Whether somebody is at it only the lock tells, which is not asked here.
            lines.push(("pending", format!("a refresh begun at {}, not finished", pending.since)));
        }
        if let Some(held) = &self.held {
            lines.push(("held", format!("{}; {}", held.message, held.hint)));
        }
        lines.into_iter().map(|(name, value)| format!("{name:<13} {value}\n")).collect()
    }
}

pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let report = match World::open(settings)? {
        Some(world) => {
            let session = world.session()?;
            let status = session.status()?;
            let held = held(&session, &status);
            Report { held, ..Report::new(settings, &status, world.place)? }
        }
        None => Report::new(settings, &Status::signed_out(), stores::nowhere(settings)?)?,
    };
    output::answer(settings, &report, || report.to_text())
}

/// Why the newest tokens are not handed out, if so.
pub(super) fn held(session: &Session, status: &Status) -> Option<Failure> {
    if !status.held {
        return None;
    }
    // A plain read of the refresh token is refused where the reason forbids to use it, and names it.
    let why = session.refresh_token().err().filter(|error| error.kind() == ErrorKind::Protocol);
    Some(why.map_or_else(
        || {
            let what = "the newest tokens failed a check and are not handed out";
            Failure::new(Code::Protocol, what)
        },
        Failure::from,
    ))
}

/// The store in one line.
pub(super) fn place(place: &Place) -> String {
    let mut line = place.kind.clone().unwrap_or_else(|| "none yet".to_owned());
    if let Some(path) = &place.path {
        line.push_str(", ");
        line.push_str(&text::printable_path(path));
    }
    if let Some(source) = &place.key_source {
        line.push_str(", key from ");
        line.push_str(source);
    }
    // A file has to be backed up; the others say all there is.
    if let Some(key) =
        place.key.as_ref().filter(|_| place.key_source.as_deref() == Some("key-file"))
    {
        line.push_str(&format!(" ({})", text::printable_path(key)));
    }
    line
}

fn until(end: Timestamp) -> String {
    let now = SystemClock::new().now().wall;
    let at = text::rfc3339(end);
    if end > now {
        format!("until {at}, {} left", text::span(end.saturating_since(now)))
    } else {
        format!("ended at {at}, {} ago", text::span(now.saturating_since(end)))
    }
}
