//! The program `cotter`: hands out a valid token of a signed-in user.

mod args;
mod commands;
mod config_file;
mod failure;
mod keys;
mod log;
mod output;
mod progress;
mod settings;
mod signatures;
mod stores;
mod text;
mod world;

use std::ffi::OsString;
use std::panic;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::{Args, Command};
use crate::failure::{Code, Failure};
use crate::settings::{Format, Settings};

fn main() -> ExitCode {
    // What a panic says may hold anything; where it happened is enough for a report.
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        output::line_to_stderr(&format!("cotter: a bug at {place}"));
    }));
    let args: Vec<OsString> = std::env::args_os().collect();
    let mut format = Format::Text;
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| run(&args, &mut format)));
    match outcome {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => output::failure(&failure, format),
        Err(_) => output::failure(
            &Failure::new(Code::Protocol, "cotter has run into a bug of its own")
                .with_hint("please report it with the command and the place named above"),
            format,
        ),
    }
}

fn run(args: &[OsString], format: &mut Format) -> Result<ExitCode, Failure> {
    let mut args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => return not_parsed(&error, args, format),
    };
    // Also for what is wrong with the settings themselves.
    *format = settings::format_of(&args.globals);
    // A login waits for a person, not for one answer.
    if let Command::Login(wish) = &mut args.command {
        wish.patience = args.globals.timeout.take();
    }
    let settings = Settings::gather(&args.globals)?;
    log::start(&settings.log)?;
    tracing::debug!(?settings, "settled");
    // So that a test can see what a bug would show.
    #[cfg(debug_assertions)]
    if let Ok(planted) = std::env::var("COTTER_TEST_PANIC") {
        panic!("{planted}");
    }
    commands::run(args.command, &settings)
}

/// Help and version are answers; everything else is a usage error.
fn not_parsed(
    error: &clap::Error,
    args: &[OsString],
    format: &mut Format,
) -> Result<ExitCode, Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            error.print().map_err(|error| output::not_written(&error))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            *format = settings::format_at_a_glance(args);
            Err(usage(error, args))
        }
    }
}

/// Clap's first line, and its advice where it has some.
fn usage(error: &clap::Error, args: &[OsString]) -> Failure {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand
    ) {
        return Failure::usage("no command was given");
    }
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("the command line cannot be read");
    let mut message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    if message.ends_with(':') {
        message = format!("{message} {}", lines.next().unwrap_or_default());
    }
    // What was typed in the wrong place may be a token; clap shows what is not UTF-8 the same way.
    for arg in args.iter().map(|arg| arg.to_string_lossy()) {
        let value = arg.split_once('=').map_or("", |(_, value)| value);
        for typed in [&*arg, value] {
            let kept = text::unless_long(typed);
            if kept != typed {
                message = message.replace(typed, kept);
            }
        }
    }
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    let hint = tip.filter(|tip| tip.len() < 100).unwrap_or("see `cotter --help`");
    Failure::usage(message).with_hint(hint)
}
