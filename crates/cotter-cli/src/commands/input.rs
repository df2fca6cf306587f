//! What is read from a file or from standard input.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::output;
use crate::settings::{Format, Settings};
use crate::text;

/// The most that is read.
const MOST: usize = 1024 * 1024;

const VISIBLE: &str = "a token among the arguments can be seen by every user of this machine; \
                       better give it on standard input";

/// For a token that came as an argument.
pub(super) fn warn_of_argument(settings: &Settings) {
    output::warn(settings, VISIBLE);
}

/// For a token that came as an argument and was accepted, also where JSON is wanted: standard error
/// then holds nothing else.
pub(super) fn warn_of_accepted_argument(settings: &Settings) {
    match settings.format {
        Format::Text => output::warn(settings, VISIBLE),
        Format::Json => output::warn_json(settings, VISIBLE),
    }
}

/// The whole of `file`; of standard input where that is `-` or none.
pub(super) fn read(
    settings: &Settings,
    file: Option<&Path>,
    what: &str,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match file.filter(|file| *file != Path::new("-")) {
        Some(path) => {
            let name = text::file(path.as_os_str());
            let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
            all(file, &name, what)
        }
        None => {
            let stdin = io::stdin().lock();
            if stdin.is_terminal() {
                output::warn(settings, &format!("reading {what} from standard input"));
            }
            all(stdin, "standard input", what)
        }
    }
}

fn all(from: impl Read, name: &str, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // At its full size from the start, so that no copy is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST + 1));
    from.take(MOST as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(name, &error))?;
    if bytes.len() > MOST {
        return Err(Failure::usage(format!("{name} is longer than 1 MiB"))
            .with_hint(format!("give {what} and nothing else")));
    }
    Ok(bytes)
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::usage(format!("{name} cannot be read: {error}"))
        .with_hint("give a readable FILE, or -")
}
