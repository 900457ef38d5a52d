use crate::cli::Output;
use crate::cli::exit::{Failure, unexpected};
use crate::control::{self, Answer, Request};

/// Close a grant at once, also for what runs under it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The grant, such as G-19
    #[arg(value_parser = super::grant)]
    grant: u32,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    match control::ask(&Request::OverrideRevoke { grant: args.grant })? {
        Answer::Done(text) => Ok(Output::ok(text + "\n")),
        other => Err(unexpected(other)),
    }
}
