//! `dbguard settle`: waits until the guard knows what has just been made.

use std::path::PathBuf;
use std::time::Duration;

use super::Output;
use super::exit::{Exit, Failure, unexpected};
use crate::control::{Answer, ControlError, Request, ask_within};

/// Wait until what has happened to devices is known to the guard
///
/// A device that has just been made is unknown, and refused on a guarded host, until the controller
/// has looked at it: some milliseconds, more on a busy host. udev runs this for device-mapper's
/// devices before it tells the tool that waits, so after `lvcreate` or `cryptsetup open` there is
/// nothing to wait for. Returns at once where no controller runs, and after --timeout at the latest.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
    /// Devices that must be known, as paths
    devices: Vec<PathBuf>,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    let devices = args.devices.iter().map(|path| kernel_name(path)).collect();
    let patience = Duration::from_secs(args.timeout);
    match ask_within(patience, &Request::Settle { devices }) {
        Ok(Answer::Done(_)) | Err(ControlError::NotRunning(_)) => Ok(Output::ok(String::new())),
        Err(ControlError::NoAnswer(error)) => Err(Failure::new(
            Exit::TRY_AGAIN,
            format!(
                "the controller has not looked within {} s ({error}); it is refused until then; \
                 see: dbguard status",
                args.timeout
            ),
        )),
        Err(error) => Err(error.into()),
        Ok(other) => Err(unexpected(other)),
    }
}

/// The name below `/dev` that the kernel gives it: `/dev/vg/lv` and the like are links to that.
fn kernel_name(path: &std::path::Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.strip_prefix("/dev").unwrap_or(&path);
    name.to_string_lossy().into_owned()
}
