//! What the program writes: answers to standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::progress;
use crate::settings::{Format, Settings};

/// Writes an answer, to the end.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let _line = progress::clean_line();
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| not_written(&error))
}

/// Writes a secret and a newline in one go, so that a closed pipe gets all or nothing.
pub(crate) fn secret_line(secret: &str) -> Result<(), Failure> {
    let mut line = zeroize::Zeroizing::new(Vec::with_capacity(secret.len() + 1));
    line.extend_from_slice(secret.as_bytes());
    line.push(b'\n');
    write(&line)
}

/// Writes an answer as it was asked for.
pub(crate) fn answer(
    settings: &Settings,
    json: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<ExitCode, Failure> {
    let mut written = match settings.format {
        Format::Json => to_json(json)?,
        Format::Text => text(),
    };
    if !written.is_empty() && !written.ends_with('\n') {
        written.push('\n');
    }
    write(written.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|_| Failure::new(Code::Protocol, "the answer cannot be written as JSON"))
}

pub(crate) fn not_written(error: &io::Error) -> Failure {
    Failure::new(Code::Output, format!("standard output cannot be written: {}", error.kind()))
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Said<'a>,
}

#[derive(Serialize)]
struct Said<'a> {
    code: &'a str,
    message: &'a str,
    hint: &'a str,
}

/// Says what went wrong and what to do, and gives the exit code.
pub(crate) fn failure(failure: &Failure, format: Format) -> ExitCode {
    let Failure { code, message, hint } = failure;
    match format {
        Format::Json => {
            let said = Said { code: code.as_str(), message, hint };
            line_to_stderr(&serde_json::to_string(&Envelope { error: said }).unwrap_or_default());
        }
        Format::Text => {
            let (on, off) = if colours() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
            line_to_stderr(&format!("{on}cotter:{off} {message}"));
            line_to_stderr(&format!("{on}  try:{off} {hint}"));
        }
    }
    ExitCode::from(code.exit())
}

/// Says something that is no failure; JSON is for answers and errors only.
pub(crate) fn warn(settings: &Settings, text: &str) {
    tracing::warn!("{text}");
    if !settings.quiet && settings.format == Format::Text {
        line_to_stderr(&format!("cotter: {text}"));
    }
}

#[derive(Serialize)]
struct Warning<'a> {
    warning: Warned<'a>,
}

#[derive(Serialize)]
struct Warned<'a> {
    message: &'a str,
}

/// Says something that is no failure as an object of its own.
pub(crate) fn warn_json(settings: &Settings, message: &str) {
    tracing::warn!("{message}");
    if !settings.quiet {
        let warning = Warning { warning: Warned { message } };
        line_to_stderr(&serde_json::to_string(&warning).unwrap_or_default());
    }
}

/// Nobody is left to be told if standard error is gone.
pub(crate) fn line_to_stderr(line: &str) {
    let _ = writeln!(progress::clean_line(), "{line}");
}

/// Whether standard error is a terminal that wants colours (<https://no-color.org>).
pub(crate) fn colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !unwanted && !is_dumb() && io::stderr().is_terminal()
}

/// Whether the terminal says of itself that it knows no escape sequences.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}
