//! `cotter whoami`: who is signed in; no network, never a token.

use std::process::ExitCode;

use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::settings::Settings;
use crate::text;
use crate::world::World;

/// What `whoami` answers; what is unknown is null.
#[derive(Debug, Serialize)]
struct Answer {
    identifier: Option<String>,
    subject: Option<String>,
    auth_method: Option<String>,
}

pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let user = World::need(settings)?.session()?.signed_in_user()?;
    let answer =
        Answer { identifier: user.identifier, subject: user.id, auth_method: user.auth_method };
    output::answer(settings, &answer, || {
        let known = answer.identifier.as_deref().or(answer.subject.as_deref());
        known.map_or_else(|| "somebody whose tokens have no name".to_owned(), text::printable)
    })
}
