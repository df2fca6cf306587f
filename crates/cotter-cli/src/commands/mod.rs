//! One module per command.

mod decode;
mod devices;
mod doctor;
mod exec;
mod generate;
mod import;
mod input;
mod login;
mod logout;
mod reseal;
mod sessions;
mod status;
mod token;
mod verify;
mod whoami;

use std::process::ExitCode;

use crate::args::Command;
use crate::failure::Failure;
use crate::settings::Settings;

pub(crate) fn run(command: Command, settings: &Settings) -> Result<ExitCode, Failure> {
    match command {
        Command::Import { file } => import::run(settings, file.as_deref()),
        Command::Token { id, refresh, min_ttl, force_refresh } => {
            let which = match (id, refresh) {
                (true, _) => token::Which::Id,
                (_, true) => token::Which::Refresh,
                _ => token::Which::Access,
            };
            token::run(settings, which, min_ttl.as_deref(), force_refresh)
        }
        Command::Status => status::run(settings),
        Command::Sessions { everything } => sessions::run(settings, everything),
        Command::Logout { all, everything } => logout::run(settings, all, everything),
        Command::Exec { command } => exec::run(settings, &command),
        Command::Decode { token } => decode::run(settings, token),
        Command::Verify(wish) => verify::run(settings, wish),
        Command::Doctor => doctor::run(settings),
        Command::Reseal => reseal::run(settings),
        Command::Login(wish) => login::run(settings, &wish),
        Command::Devices { what } => devices::run(settings, what),
        Command::Whoami => whoami::run(settings),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man => generate::man(),
    }
}
