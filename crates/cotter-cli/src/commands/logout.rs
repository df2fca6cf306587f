//! `cotter logout`: forgets, also during somebody else's refresh.

use std::process::ExitCode;

use serde::Serialize;

use super::sessions;
use crate::failure::Failure;
use crate::output;
use crate::settings::Settings;
use crate::text;
use crate::world::World;

#[derive(Debug, Serialize)]
struct Answer {
    /// The sessions that were there and are not any more.
    signed_out: Vec<String>,
}

pub(super) fn run(settings: &Settings, all: bool, everything: bool) -> Result<ExitCode, Failure> {
    let mut gone = Vec::new();
    let mut failed = None;
    if let Some(world) = World::open(settings)? {
        if all {
            let (keys, unreadable) = sessions::keys(settings, &world, everything)?;
            failed = unreadable.into_iter().next();
            for key in keys {
                let session = world.session_of(sessions::provider_of(&key)?, key.session())?;
                match session.sign_out() {
                    Ok(answer) if answer.was_signed_in => gone.push(key.session().to_owned()),
                    Ok(_) => {}
                    // The others are forgotten all the same.
                    Err(error) => failed = Some(Failure::from(error)),
                }
            }
        } else if world.session()?.sign_out()?.was_signed_in {
            gone.push(settings.session.clone());
        }
    }
    let answer = Answer { signed_out: gone };
    // Who was forgotten is said also where that did not go well for all.
    if failed.is_none() || !answer.signed_out.is_empty() {
        output::answer(settings, &answer, || match answer.signed_out.as_slice() {
            [] => "nobody was signed in\n".to_owned(),
            names => names
                .iter()
                .map(|name| format!("signed out: {}\n", text::printable(name)))
                .collect(),
        })?;
    }
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}
