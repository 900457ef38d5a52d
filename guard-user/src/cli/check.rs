use std::path::PathBuf;

use guard_abi::Op;

use super::exit::{Exit, Failure, unexpected};
use super::{Output, text};
use crate::control::{Answer, Checked, Request, Verdict, ask};

/// Ask whether an operation would be allowed, before doing it
///
/// Exit codes: 0 it would be allowed; 1 it would be refused because the host is held; 2 it would
/// be refused because a database lives here; 3 not known (unknown device, the controller does not
/// run, or asked wrongly). With several objects the most severe one counts. Without an object the
/// question is about the host as a whole.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Operation class: raw-write, discard, partition, passthrough, remap, detach, reset, …
    #[arg(long = "for", value_name = "OP", default_value = "raw-write", value_parser = operation)]
    op: String,
    /// Say nothing, only exit
    #[arg(long, short)]
    quiet: bool,
    /// Devices, as paths (/dev/nvme1n1, /dev/disk/by-id/…)
    objects: Vec<PathBuf>,
}

fn operation(word: &str) -> Result<String, String> {
    if Op::parse(word).is_some() {
        return Ok(word.to_owned());
    }
    let words: Vec<_> = Op::ALL.iter().map(|op| op.as_str()).collect();
    Err(format!(
        "not an operation class; they are: {}",
        words.join(", ")
    ))
}

pub fn run(args: Args) -> Result<Output, Failure> {
    let Args { op, quiet, objects } = args;
    // A path is resolved where it was typed, not where the controller stands.
    let objects = objects
        .into_iter()
        .map(|path| std::path::absolute(&path).unwrap_or(path))
        .collect();
    let unknown = |failure: Failure| Failure {
        exit: Exit::CHECK_UNKNOWN,
        ..failure
    };
    match ask(&Request::Check { op, objects }).map_err(|error| unknown(error.into()))? {
        Answer::Check(checked) => Ok(Output {
            text: if quiet { String::new() } else { show(&checked) },
            exit: exit_of(&checked),
        }),
        other => Err(unknown(unexpected(other))),
    }
}

fn exit_of(checked: &[Checked]) -> Exit {
    match checked.iter().map(|one| one.verdict).max() {
        Some(Verdict::Allowed) => Exit::OK,
        Some(Verdict::Held) => Exit::CHECK_HELD,
        Some(Verdict::Refused) => Exit::CHECK_REFUSED,
        Some(Verdict::Unknown) | None => Exit::CHECK_UNKNOWN,
    }
}

fn show(checked: &[Checked]) -> String {
    let rows: Vec<Vec<String>> = checked
        .iter()
        .map(|one| {
            let word = match one.verdict {
                Verdict::Allowed => "allowed",
                Verdict::Held => "held",
                Verdict::Refused => "refused",
                Verdict::Unknown => "unknown",
            };
            vec![one.object.clone(), word.to_owned(), one.why.clone()]
        })
        .collect();
    text::columns(&rows, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_severe_counts() {
        let one = |verdict| Checked {
            object: "x".into(),
            verdict,
            why: String::new(),
        };
        assert_eq!(exit_of(&[one(Verdict::Allowed)]), Exit(0));
        assert_eq!(
            exit_of(&[one(Verdict::Refused), one(Verdict::Held)]),
            Exit(2)
        );
        assert_eq!(
            exit_of(&[one(Verdict::Refused), one(Verdict::Unknown)]),
            Exit(3)
        );
        assert_eq!(exit_of(&[]), Exit(3));
    }
}
