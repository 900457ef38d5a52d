use std::path::{Path, PathBuf};

use super::Output;
use super::exit::{Exit, Failure, unexpected};
use crate::control::{Answer, MarkTarget, Request, ask};

/// Mark something as critical by hand
///
/// For databases that are not recognised by themselves. Marks are kept over reboots (that of a
/// process for as long as its data is remembered) and recorded in the audit log. Marking a
/// directory or device on an idle host makes it held.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// A running process
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// A directory that holds critical data
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// A block device that holds critical data
    #[arg(long, value_name = "DEVICE")]
    device: Option<PathBuf>,
    /// An executable that is a database server
    #[arg(long, value_name = "PATH")]
    exe: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<Output, Failure> {
    let whole = |path: &Path| {
        std::fs::canonicalize(path).map_err(|error| {
            Failure::new(
                Exit::NO_INPUT,
                format!("{}: {error}; name something that exists", path.display()),
            )
        })
    };
    let target = match args.target {
        Target { pid: Some(pid), .. } => MarkTarget::Pid(pid),
        Target {
            data: Some(path), ..
        } => MarkTarget::Data(whole(&path)?),
        // Kept as it was given: a by-id link is worth more than the name it leads to today.
        Target {
            device: Some(path), ..
        } => {
            whole(&path)?;
            MarkTarget::Device(std::path::absolute(&path).unwrap_or(path))
        }
        Target {
            exe: Some(path), ..
        } => MarkTarget::Exe(whole(&path)?),
        Target {
            pid: None,
            data: None,
            device: None,
            exe: None,
        } => {
            return Err(Failure::new(
                Exit::USAGE,
                "say what to mark; see: dbguard mark --help",
            ));
        }
    };
    match ask(&Request::Mark(target))? {
        Answer::Done(text) => Ok(Output::ok(text + "\n")),
        other => Err(unexpected(other)),
    }
}
