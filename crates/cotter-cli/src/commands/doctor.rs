//! `cotter doctor`: looks for problems and says what to do about each.

use std::process::ExitCode;

use crate::failure::{Code, Failure};
use crate::settings::Settings;
use crate::world::World;

pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    World::open(settings)?;
    Err(Failure::new(Code::Store, "not yet"))
}
