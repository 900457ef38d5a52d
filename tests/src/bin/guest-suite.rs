//! Runs the guest suites as root inside a guest:
//! `guest-suite [--list|--plan] [--suite NAME]… [--whole NAME,…|none] [FILTER]`.
//!
//! Prints `case SUITE::NAME ok|FAIL REASON|skip REASON` for each case and `suite done N` at the
//! end; exits with 0 when nothing failed, 1 otherwise, 64 for a wrong command line.

use std::process::ExitCode;

use guard_tests::harness::run::{self, Options};
use guard_tests::harness::shell;
use guard_tests::suites;

fn main() -> ExitCode {
    shell::keep_descriptors_to_ourselves();
    let suites = suites::all();
    match Options::parse(std::env::args().skip(1)) {
        Ok(options) => run::run(&suites, &options),
        Err(problem) => {
            eprintln!("guest-suite: {problem}");
            eprintln!(
                "usage: guest-suite [--list|--plan] [--suite NAME]… [--whole NAME,…|none] [FILTER]"
            );
            for suite in &suites {
                eprintln!("  {:<12} {}", suite.name, suite.about);
            }
            ExitCode::from(64)
        }
    }
}
