//! `cargo xtask VERB`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::guest::Failure;
use xtask::package::NotYet;
use xtask::setup::Missing;
use xtask::{bench, build, coverage, demo, fmt, fuzz, lint, package, setup, test, vm};

/// The service is not available: something needed is missing (sysexits.h EX_UNAVAILABLE).
const UNAVAILABLE: u8 = 69;

/// The guest failed, not the script in it: no script's usual status, as timeout(1) and containers
/// have it.
const GUEST_FAILED: u8 = 125;

/// Set up, build, boot and test dbguard
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install and make what is missing on this machine
    Setup,
    /// Build the BPF object, the controller and the guest programs
    Build {
        /// Build the controller optimised
        #[arg(long)]
        release: bool,
    },
    Vm(vm::Options),
    Test(test::Options),
    /// Format every package
    Fmt {
        /// Tell what is not formatted, change nothing
        #[arg(long)]
        check: bool,
    },
    /// Make docs/coverage.md anew from the table in tests/src/coverage
    Coverage,
    /// Run clippy on both halves with warnings denied
    Lint,
    /// Make Debian packages (not part of this version)
    Package,
    Demo(demo::Options),
    Fuzz(fuzz::Options),
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Setup => setup::run().map(|()| 0),
        Verb::Build { release } => build::run(release).map(|()| 0),
        Verb::Vm(options) => vm::run(&options),
        Verb::Test(options) => test::run(&options),
        Verb::Fmt { check } => fmt::run(check).map(|()| 0),
        Verb::Coverage => coverage::run().map(|()| 0),
        Verb::Lint => lint::run().map(|()| 0),
        Verb::Package => package::run().map(|()| 0),
        Verb::Demo(options) => demo::run(&options),
        Verb::Fuzz(options) => fuzz::run(&options).map(|()| 0),
        Verb::Bench(options) => bench::run(&options),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(if error.is::<Missing>() || error.is::<NotYet>() {
                UNAVAILABLE
            } else if error.is::<Failure>() {
                GUEST_FAILED
            } else {
                1
            })
        }
    }
}
