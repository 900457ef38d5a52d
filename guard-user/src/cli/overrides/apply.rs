use std::path::PathBuf;

use crate::cli::Output;
use crate::cli::exit::{Failure, unexpected};
use crate::control::{self, Answer, Grant, Request};

/// Open what a signed request asks for
///
/// Nothing is open to anybody until a command is run with `dbguard exec --grant`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The request, as it was made here
    request: PathBuf,
    /// A signature over it from each of those who sign; `-` reads one that is pasted
    #[arg(required = true)]
    signatures: Vec<PathBuf>,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    // What is no text is told by the controller, and recorded there.
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let request = text(super::read(&args.request)?);
    let signatures = args
        .signatures
        .iter()
        .map(|path| super::read(path).map(text));
    let question = Request::OverrideApply {
        request,
        signatures: signatures.collect::<Result<_, _>>()?,
    };
    match control::ask(&question)? {
        Answer::Opened(grant) => Ok(Output::ok(told(&grant))),
        other => Err(unexpected(other)),
    }
}

fn told(grant: &Grant) -> String {
    if let Some(why) = &grant.closed {
        return format!(
            "the chain works: signed by {}; nothing was opened ({why})\n",
            grant.signers.join(", ")
        );
    }
    let commands = if grant.uses == 1 {
        "one command"
    } else {
        "commands"
    };
    format!(
        "{id} is open: {opens} on {object}, for {uses} {commands}, {minutes} minutes\n\
         not open: anything else on this host; anything for a process that was not started so:\n  \
         dbguard exec --grant {id} -- COMMAND …\n\
         to close it: dbguard override revoke {id}\n",
        id = grant.id,
        opens = grant.opens.join(" "),
        object = grant.object,
        uses = grant.uses,
        minutes = grant.seconds_left.div_ceil(60),
    )
}
