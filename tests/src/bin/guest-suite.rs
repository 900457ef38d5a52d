//! Runs the guest suites as root inside a guest:
//! `guest-suite [--list|--plan] [--suite NAME]… [--whole NAME,…|none] [FILTER]`.
//!
//! Prints `case SUITE::NAME ok|FAIL REASON|skip REASON` for each case and `suite done N` at the
//! end; exits with 0 when nothing failed, 1 otherwise, 64 for a wrong command line.

use std::process::ExitCode;

use guard_tests::harness::run::{self, Options};
use guard_tests::harness::shell;
use guard_tests::native::hold;
use guard_tests::suites;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("--hold", way)) = words.split_first().map(|(verb, way)| (verb.as_str(), way)) {
        return hold::run(way);
    }
    shell::keep_descriptors_to_ourselves();
    match Options::parse(words) {
        Ok(options) => run::run(suites::ALL, &options),
        Err(problem) => {
            eprintln!("guest-suite: {problem}");
            eprintln!(
                "usage: guest-suite [--list|--plan] [--suite NAME]… [--whole NAME,…|none] [FILTER]"
            );
            for suite in suites::ALL {
                eprintln!("  {:<12} {}", suite.name, suite.about);
            }
            ExitCode::from(64)
        }
    }
}
