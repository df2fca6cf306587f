//! `cotter exec`: another program, with a valid token in its environment.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::process::{Command, ExitCode};

use super::token;
use crate::failure::Failure;
use crate::output;
use crate::settings::Settings;
use crate::text;
use crate::world::World;

pub(super) fn run(settings: &Settings, command: &[OsString]) -> Result<ExitCode, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::usage("no command was given"));
    };
    let world = World::need(settings)?;
    let session = world.session()?;
    let granted = world.rested(|| token::access(&session));
    world.progress.done();
    // A lost session ends here: behind the other program's exit code nobody would hear of it.
    world.make_durable(&session)?;
    let token = granted?;
    let mut child = Command::new(program);
    child
        .args(arguments)
        .env("COTTER_ACCESS_TOKEN", token.expose())
        .env_remove("COTTER_STORE_KEY")
        .env_remove("COTTER_STORE_KEY_OLD");
    // A database that one process owns is free again for what the child may do.
    drop((token, session, world));
    let error = become_it(child)?;
    Ok(not_run(settings, &text::file(program), &error))
}

/// Gives why it did not work.
#[cfg(unix)]
fn become_it(mut child: Command) -> Result<io::Error, Failure> {
    use std::os::unix::process::CommandExt as _;
    Ok(child.exec())
}

/// Where a process cannot be replaced, it is waited for.
#[cfg(not(unix))]
fn become_it(mut child: Command) -> Result<io::Error, Failure> {
    match child.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => Ok(error),
    }
}

/// As a shell has it: 127 for what is not there, 126 for what cannot be run.
fn not_run(settings: &Settings, program: &str, error: &io::Error) -> ExitCode {
    let (code, what) = match error.kind() {
        ErrorKind::NotFound => (127, "there is no such command".to_owned()),
        kind => (126, format!("it cannot be run: {kind}")),
    };
    let failure = Failure::usage(format!("{program}: {what}"))
        .with_hint("check its name, and that it may be executed");
    output::failure(&failure, settings.format);
    ExitCode::from(code)
}
