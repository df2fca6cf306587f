//! `cotter reseal`: every record sealed anew with the newest key.

use std::process::ExitCode;

use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::settings::Settings;
use crate::world::World;

#[derive(Debug, Serialize)]
struct Answer {
    /// How many records an older key had sealed.
    resealed: usize,
}

pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let resealed = match World::open(settings)? {
        Some(world) => world.store.reseal()?,
        None => 0,
    };
    output::answer(settings, &Answer { resealed }, || match resealed {
        0 => "everything is sealed with the newest key\n".to_owned(),
        1 => "1 record sealed with the newest key\n".to_owned(),
        many => format!("{many} records sealed with the newest key\n"),
    })
}
