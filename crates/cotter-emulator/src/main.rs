//! The program `cotter-emulator`.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use cotter_emulator::{Config, Emulator, FAULTS, SWITCHES};

fn main() -> ExitCode {
    let matches = command().get_matches();
    match config(&matches).and_then(|config| run(config, &matches)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Where standard error is closed, the exit code has to say it.
            let _ = writeln!(io::stderr(), "cotter-emulator: {why}");
            ExitCode::from(2)
        }
    }
}

fn command() -> Command {
    let listen = Arg::new("listen")
        .long("listen")
        .value_name("ADDRESS")
        .default_value("127.0.0.1:0")
        .help("address to listen at; port 0 takes a free one");
    let exit = Arg::new("exit-on-eof")
        .long("exit-on-eof")
        .action(ArgAction::SetTrue)
        .help("end when standard input closes");
    let quiet = Arg::new("quiet")
        .long("quiet")
        .action(ArgAction::SetTrue)
        .help("don't log requests to standard error");
    let switches = SWITCHES.iter().map(|switch| {
        let arg = Arg::new(switch.name)
            .long(switch.name)
            .value_name(switch.values)
            .allow_hyphen_values(true)
            .help(switch.help);
        if switch.values == "BOOL" {
            arg.num_args(0..=1).default_missing_value("true").allow_hyphen_values(false)
        } else {
            arg
        }
    });
    let mut after = String::from(
        "Prints one JSON line when ready: base_url, login_url, worker_url, api_key_id, \
         control_url, identity_key. TIME is 3600, 3600s, 500ms, 5m, 1h or 30d. Each switch can be \
         changed by POST {control_url}/config.\n\nFaults, for POST {control_url}/faults:\n",
    );
    for (name, help) in FAULTS {
        after.push_str(&format!("  {name:<20} {help}\n"));
    }
    Command::new("cotter-emulator")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A Cotter server to test against, and one that misbehaves on request")
        .after_help(after)
        .args([listen, exit, quiet])
        .args(switches)
}

fn config(matches: &ArgMatches) -> Result<Config, String> {
    let mut config = Config::default().with_log(!matches.get_flag("quiet"));
    if let Some(listen) = matches.get_one::<String>("listen") {
        config = config.with_listen(listen);
    }
    for switch in SWITCHES {
        if let Some(value) = matches.get_one::<String>(switch.name) {
            switch.set(&mut config, value)?;
        }
    }
    Ok(config)
}

fn run(config: Config, matches: &ArgMatches) -> Result<(), String> {
    let listen = config.listen.clone();
    let emulator = Emulator::start(config).map_err(|error| format!("{listen}: {error}"))?;
    let line = serde_json::json!({
        "base_url": emulator.base_url(),
        "login_url": emulator.login_url(),
        "worker_url": emulator.worker_url(),
        "api_key_id": emulator.api_key_id(),
        "control_url": emulator.control_url(),
        "identity_key": emulator.identity_key(),
    });
    let mut out = io::stdout().lock();
    let printed = writeln!(out, "{line}").and_then(|()| out.flush());
    printed.map_err(|error| format!("the ready line: {error}"))?;
    if matches.get_flag("exit-on-eof") {
        wait_for_eof();
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}

/// Returns when standard input has ended or can't be read.
fn wait_for_eof() {
    let mut input = io::stdin().lock();
    let mut buffer = [0; 1024];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}
