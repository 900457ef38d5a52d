use crate::cli::Output;
use crate::cli::exit::{Failure, unexpected};
use crate::control::{self, Answer, Request};

/// Set a damaged ledger aside: every request and grant from before is void
///
/// The damaged one is kept beside the new one. A ledger that is whole is left as it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The name of this host, so that a broadcast cannot do it
    #[arg(long, value_name = "NAME")]
    confirm_host: String,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    let question = Request::OverrideReset {
        confirm_host: args.confirm_host.clone(),
    };
    match control::ask(&question)? {
        Answer::Done(text) => Ok(Output::ok(text + "\n")),
        other => Err(unexpected(other)),
    }
}
