//! `cotter sessions`: who is signed in here.

use std::process::ExitCode;

use cotter::{Provider, StoreKey};
use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::settings::Settings;
use crate::text;
use crate::world::World;

const UNREADABLE: &str = "unreadable";

#[derive(Debug, Serialize)]
struct Line {
    /// `None` for a record that cannot be opened: nobody can tell whose it is.
    session: Option<String>,
    state: &'static str,
    signed_in: bool,
    access_expires_at: Option<String>,
    api_key_id: Option<String>,
    base_url: Option<String>,
    /// Why nothing more can be said, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub(super) fn run(settings: &Settings, everything: bool) -> Result<ExitCode, Failure> {
    let mut lines = Vec::new();
    if let Some(world) = World::open(settings)? {
        let (keys, unreadable) = keys(settings, &world, everything)?;
        for key in keys {
            lines.push(line(&world, &key)?);
        }
        lines.extend(unreadable.into_iter().map(|failure| Line {
            session: None,
            state: UNREADABLE,
            signed_in: false,
            access_expires_at: None,
            api_key_id: None,
            base_url: None,
            problem: Some(failure.message),
        }));
    }
    output::answer(settings, &lines, || {
        lines.iter().map(|line| to_text(line, everything)).collect()
    })
}

/// The keys of this server and API key id, or all of them, in order; and why there may be more.
pub(super) fn keys(
    settings: &Settings,
    world: &World<'_>,
    everything: bool,
) -> Result<(Vec<StoreKey>, Vec<Failure>), Failure> {
    let own = settings.provider()?.store_key("")?;
    let (mut keys, mut unreadable) = (Vec::new(), Vec::new());
    for found in world.store.survey()? {
        match found {
            Ok(key) => keys.push(key),
            Err(error) => unreadable.push(error.into()),
        }
    }
    // A device's key is no session, and outlasts them.
    keys.retain(|key| !key.is_reserved());
    keys.retain(|key| {
        everything || (key.provider() == own.provider() && key.client() == own.client())
    });
    keys.sort_unstable();
    Ok((keys, unreadable))
}

/// A provider whose sessions are stored under this key, whatever its dialect.
pub(super) fn provider_of(key: &StoreKey) -> Result<Provider, Failure> {
    Ok(Provider::oauth2("https://localhost/", key.client())?
        .danger_allow_plain_http()
        .with_base_url(key.provider())?)
}

fn line(world: &World<'_>, key: &StoreKey) -> Result<Line, Failure> {
    let status = world.session_of(provider_of(key)?, key.session())?.status();
    let (status, problem) = match status {
        Ok(status) => (Some(status), None),
        // One record that cannot be read must not hide the others.
        Err(error) => (None, Some(Failure::from(error).message)),
    };
    let status = status.as_ref();
    Ok(Line {
        session: Some(key.session().to_owned()),
        state: status.map_or(UNREADABLE, |status| status.state.as_str()),
        signed_in: status.is_some_and(|status| status.signed_in),
        access_expires_at: status.and_then(|status| status.access_expires_at).map(text::rfc3339),
        api_key_id: Some(key.client().to_owned()),
        base_url: Some(key.provider().to_owned()),
        problem,
    })
}

fn to_text(line: &Line, everything: bool) -> String {
    let shown =
        |value: &Option<String>| value.as_deref().map_or_else(|| "?".to_owned(), text::printable);
    let mut said = format!("{:<20} {}", shown(&line.session), line.state);
    if everything {
        said = format!("{said:<34} {} {}", shown(&line.api_key_id), shown(&line.base_url));
    }
    if let Some(problem) = &line.problem {
        said = format!("{said} ({problem})");
    }
    said + "\n"
}
