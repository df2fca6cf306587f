//! `cotter completions` and `cotter man`: from the same words as `--help`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Arg, Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Args;
use crate::failure::Failure;
use crate::output;

pub(super) fn completions(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "cotter", &mut script);
    output::write(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// One page: what belongs to the whole program, with a section for each command.
pub(super) fn man() -> Result<ExitCode, Failure> {
    let mut page = Vec::new();
    program(&mut page).map_err(|error| output::not_written(&error))?;
    output::write(&page)?;
    Ok(ExitCode::SUCCESS)
}

fn program(page: &mut Vec<u8>) -> io::Result<()> {
    let mut program = Args::command();
    program.build();
    let man = Man::new(program.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    program.get_subcommands().try_for_each(|command| section(command, page))?;
    man.render_extra_section(page)?;
    man.render_version_section(page)
}

fn is_own(arg: &Arg) -> bool {
    !arg.is_global_set() && arg.get_id() != "help"
}

fn section(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    if command.get_name() == "help" {
        return Ok(());
    }
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).replace('-', " ");
    writeln!(page, ".SH \"{}\"", title.to_uppercase())?;
    // The global options stand above, once.
    let own = command.clone().mut_args(|arg| {
        let elsewhere = !is_own(&arg);
        arg.hide(elsewhere)
    });
    let man = Man::new(own);
    let mut parts = Vec::new();
    man.render_synopsis_section(&mut parts)?;
    man.render_description_section(&mut parts)?;
    if command.get_arguments().any(is_own) {
        man.render_options_section(&mut parts)?;
    }
    // Sections of a page of its own are parts of a section here.
    let is_preamble = |line: &&str| line.starts_with(".ie ") || line.starts_with(".el ");
    for line in String::from_utf8_lossy(&parts).lines().filter(|line| !is_preamble(line)) {
        match line.strip_prefix(".SH ") {
            Some(name) => writeln!(page, ".SS {name}")?,
            None => writeln!(page, "{line}")?,
        }
    }
    command.get_subcommands().try_for_each(|command| section(command, page))
}
