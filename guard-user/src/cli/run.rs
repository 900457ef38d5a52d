use super::Output;
use super::exit::{Exit, Failure};

/// Run the controller (started by the service)
///
/// Loads the kernel half, or takes over the one that is loaded, keeps its picture of the host
/// current, and writes the audit log. Ending it changes nothing about what is refused.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args) -> Result<Output, Failure> {
    crate::daemon::run().map_err(|end| Failure::new(Exit(end.exit), end.message))?;
    Ok(Output::ok(String::new()))
}
