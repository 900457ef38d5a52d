//! The command line, one file a verb. Names and exit codes are an interface.

mod audit;
mod check;
mod config;
mod devices;
mod exec;
pub mod exit;
mod mark;
mod overrides;
mod qr;
mod release;
mod report;
mod run;
mod settle;
mod status;
pub mod text;
mod unload;
mod why;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::error::ErrorKind as ClapError;
use clap::{Parser, Subcommand};

use crate::kernel::LOAD_VERB;
use exit::{Exit, Failure};

/// Keep a database host's disks from being destroyed while a database lives on it
///
/// Exit codes: 0 done; 64 usage; 69 this kernel or build cannot do it; 70 an error of dbguard's
/// own; 73 a file cannot be written; 75 try again (the controller does not run, or a condition must change first); 77 not
/// permitted; 78 configuration. `check` and `status` have their own, see their help.
#[derive(Debug, Parser)]
#[command(
    name = "dbguard",
    version,
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Args),
    Status(status::Args),
    Check(check::Args),
    Devices(devices::Args),
    Settle(settle::Args),
    Why(why::Args),
    Mark(mark::Args),
    Release(release::Args),
    Report(report::Args),
    Unload(unload::Args),
    Exec(exec::Args),
    #[command(subcommand, name = "override")]
    Override(overrides::Verb),
    #[command(subcommand)]
    Audit(audit::Verb),
    #[command(subcommand)]
    Config(config::Verb),
    /// Load the kernel half (used by `run`)
    #[command(name = LOAD_VERB, hide = true)]
    Load,
}

/// What a verb has to say, and its exit code.
#[derive(Debug)]
struct Output {
    text: String,
    exit: Exit,
}

impl Output {
    fn ok(text: String) -> Self {
        Self {
            text,
            exit: Exit::OK,
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&arguments, &error),
    };
    if matches!(cli.verb, Verb::Load) {
        return crate::kernel::load_child();
    }
    match run_verb(cli.verb) {
        Ok(output) => {
            print(&output.text);
            output.exit.into()
        }
        Err(failure) => {
            complain(&failure.message);
            failure.exit.into()
        }
    }
}

fn run_verb(verb: Verb) -> Result<Output, Failure> {
    match verb {
        Verb::Run(args) => run::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Check(args) => check::run(args),
        Verb::Devices(args) => devices::run(&args),
        Verb::Settle(args) => settle::run(&args),
        Verb::Why(args) => why::run(&args),
        Verb::Mark(args) => mark::run(args),
        Verb::Release(args) => release::run(args),
        Verb::Report(args) => report::run(&args),
        Verb::Unload(args) => unload::run(&args),
        Verb::Exec(args) => exec::run(&args),
        Verb::Override(verb) => overrides::run(&verb),
        Verb::Audit(verb) => audit::run(&verb),
        Verb::Config(verb) => config::run(&verb),
        Verb::Load => Ok(Output::ok(String::new())),
    }
}

/// Help goes to standard output and succeeds; a wrong command line goes to standard error. Only
/// `check` answers with its own code, because automation reads 2 as "would be refused".
fn usage(arguments: &[OsString], error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if matches!(
        error.kind(),
        ClapError::DisplayHelp | ClapError::DisplayVersion
    ) {
        print(&text);
        return Exit::OK.into();
    }
    let _ = io::stderr().write_all(text.as_bytes());
    let is_check = arguments.get(1).is_some_and(|verb| verb == "check");
    if is_check {
        Exit::CHECK_UNKNOWN.into()
    } else {
        Exit::USAGE.into()
    }
}

/// A reader that has gone away (`dbguard devices | head`) is no error.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        complain(&format!("writing to standard output failed: {error}"));
    }
}

/// For a person, beside what goes to standard output.
fn tell(text: &str) {
    // Nobody to tell where standard error is closed.
    let _ = io::stderr().write_all(text.as_bytes());
}

fn complain(message: &str) {
    // Nobody to tell where standard error is closed.
    let _ = writeln!(io::stderr(), "dbguard: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn later_verbs_are_not_there_yet() {
        assert!(Cli::try_parse_from(["dbguard", "doctor"]).is_err());
        assert!(Cli::try_parse_from(["dbguard", "audit", "verify"]).is_err());
    }
}
