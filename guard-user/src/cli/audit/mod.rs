//! Reading the audit log, one file a verb.

mod tail;
mod words;

use std::io::{self, ErrorKind};
use std::path::Path;

use super::Output;
use super::exit::{Exit, Failure};

/// Read the audit log
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    Tail(tail::Args),
}

pub fn run(verb: &Verb) -> Result<Output, Failure> {
    match verb {
        Verb::Tail(args) => tail::run(args),
    }
}

/// The log at `path` could not be read.
fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let (exit, next) = match error.kind() {
        ErrorKind::NotFound => (Exit::NO_INPUT, "nothing was recorded yet; has dbguard run?"),
        ErrorKind::PermissionDenied => (Exit::NOT_PERMITTED, "run this as root"),
        _ => (Exit::INTERNAL, "look at the file system"),
    };
    Failure::new(exit, format!("reading {}: {error}; {next}", path.display()))
}
