//! Reading the audit log, one file a verb.

mod report;
mod search;
mod tail;
mod words;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure};
use super::{Output, tell};
use crate::audit::names::printable;
use crate::audit::scan::Scan;
use crate::audit::{LOG_PATH, time, when};

/// A clock may have been set back by so much, ns, and a file that ends before a period still has
/// records of it.
const CLOCK_DOUBT: u64 = 86_400 * time::NANOS;

/// Read the audit log
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    Tail(tail::Args),
    Search(Box<search::Args>),
    Report(report::Args),
}

pub fn run(verb: &Verb) -> Result<Output, Failure> {
    match verb {
        Verb::Tail(args) => tail::run(args),
        Verb::Search(args) => search::run(args),
        Verb::Report(args) => report::run(args),
    }
}

/// A moment of the command line, ns since 1970.
fn moment(text: &str) -> Result<u64, String> {
    when::parse_when(text, time::wall_ns()).ok_or_else(|| when::HINT.to_owned())
}

/// The log, or the one in another directory.
fn log_in(dir: Option<&Path>) -> PathBuf {
    let log = Path::new(LOG_PATH);
    match (dir, log.file_name()) {
        (Some(dir), Some(name)) => dir.join(name),
        _ => log.to_owned(),
    }
}

/// Finds the files of a log; one without any record is a failure.
fn open(log: &Path) -> Result<Scan, Failure> {
    let scan = Scan::find(log).map_err(|error| unreadable(log, &error))?;
    if scan.is_empty() && scan.unread.is_empty() {
        return Err(unreadable(log, &ErrorKind::NotFound.into()));
    }
    Ok(scan)
}

/// The time before which whole files are left out of a period that begins at `since`.
fn some_way_before(since: Option<u64>) -> Option<String> {
    since.map(|since| time::rfc3339(since.saturating_sub(CLOCK_DOUBT)))
}

/// Tells of files that could not be read.
fn tell_unread(scan: &Scan) {
    for unread in &scan.unread {
        let path = unread.path.to_string_lossy();
        tell(&format!(
            "dbguard: not read: {}: {}\n",
            printable(&path),
            unread.why
        ));
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
