//! `dbguard`: the controller and the command line in one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    guard_user::cli::main()
}
