//! `dbguard override …`: breaking the glass, one file a step.

mod apply;
mod list;
mod request;
mod reset;
mod revoke;
mod sign;

use super::Output;
use super::exit::{Exit, Failure};
use crate::grant::grant_number;

/// Break the glass: have one act on one object let through, signed and recorded
///
/// Ask here, have it signed by people who may (dbguard or ssh-keygen, on their own machine), apply it
/// here, and run the command with `dbguard exec --grant`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    Request(request::Args),
    Drill(request::DrillArgs),
    Sign(sign::Args),
    Apply(apply::Args),
    List(list::Args),
    Revoke(revoke::Args),
    Reset(reset::Args),
}

pub fn run(verb: &Verb) -> Result<Output, Failure> {
    match verb {
        Verb::Request(args) => request::run(args),
        Verb::Drill(args) => request::drill(args),
        Verb::Sign(args) => sign::run(args),
        Verb::Apply(args) => apply::run(args),
        Verb::List(args) => list::run(args),
        Verb::Revoke(args) => revoke::run(args),
        Verb::Reset(args) => reset::run(args),
    }
}

/// A grant as it is typed.
pub fn grant(text: &str) -> Result<u32, String> {
    grant_number(text)
        .ok_or_else(|| "a grant is named like G-19; `dbguard override list` shows them".to_owned())
}

/// A file's content, of `-` what comes in.
fn read(path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    const MOST: u64 = 64 * 1024;
    let mut bytes = Vec::new();
    let outcome = if path == std::path::Path::new("-") {
        std::io::stdin().lock().take(MOST).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes))
    };
    match outcome {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::new(
            Exit::NO_INPUT,
            format!("{}: {error}", path.display()),
        )),
    }
}
