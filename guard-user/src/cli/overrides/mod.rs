//! `dbguard override …`: breaking the glass, one file a step.

mod apply;
mod list;
mod request;
mod reset;
mod revoke;
mod sign;

use super::Output;
use super::exit::{Exit, Failure};

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

/// `G-19`, `g-19` or `19`.
pub fn grant_number(text: &str) -> Result<u32, String> {
    let digits = text
        .strip_prefix("G-")
        .or_else(|| text.strip_prefix("g-"))
        .unwrap_or(text);
    match digits.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a grant is named like G-19; `dbguard override list` shows them".to_owned()),
    }
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

#[cfg(test)]
mod tests {
    use super::grant_number;

    #[test]
    fn grants_are_named_as_they_are_shown() {
        for text in ["G-19", "g-19", "19"] {
            assert_eq!(grant_number(text), Ok(19), "{text}");
        }
        for text in ["", "G-", "G-0", "E-19", "-19", "G-x"] {
            assert!(grant_number(text).is_err(), "{text}");
        }
    }
}
