use super::Output;
use super::exit::{Exit, Failure};

/// Take the kernel half out: nothing is refused on this host any more
///
/// The last step of removing dbguard, after `systemctl disable --now dbguard`. Refused while the
/// host is armed or held: release it first. --confirm-host takes the name of this one host, exactly
/// as `uname -n` prints it. Recorded in the audit log.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of this host, as `uname -n` prints it
    #[arg(long, value_name = "NAME")]
    confirm_host: String,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    crate::daemon::unload::unload(&args.confirm_host)
        .map(|text| Output::ok(text + "\n"))
        .map_err(|end| Failure::new(Exit(end.exit), end.message))
}
