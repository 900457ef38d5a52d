//! Performs every act of the suites on disks in use, whatever guards them: `guest-compare`. Prints
//! `@vector NAME blocked|harmed` for each.

use std::process::ExitCode;

use guard_tests::compare;
use guard_tests::harness::shell;

fn main() -> ExitCode {
    shell::keep_descriptors_to_ourselves();
    match compare::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}
