use super::Output;
use super::exit::{Failure, unexpected};
use crate::control::{Answer, Request, ask};

/// Release a held host, or forget one remembered device
///
/// Releasing the host is refused while a database lives on it. --confirm-host takes the name of
/// this one host, exactly as `uname -n` prints it, so that a command sent to many hosts releases
/// none of the others.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of this host, as `uname -n` prints it
    #[arg(long, value_name = "NAME")]
    confirm_host: String,
    /// A remembered device (/dev/…, or its name in `dbguard devices`) instead of the whole host
    device: Option<String>,
}

pub fn run(args: Args) -> Result<Output, Failure> {
    let Args {
        confirm_host,
        device,
    } = args;
    match ask(&Request::Release {
        device,
        confirm_host,
    })? {
        Answer::Done(text) => Ok(Output::ok(text + "\n")),
        other => Err(unexpected(other)),
    }
}
