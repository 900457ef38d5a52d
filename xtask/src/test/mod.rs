//! `cargo xtask test`: host tests, then the guest suites on each kernel.

pub mod guests;
pub mod host;
pub mod machines;
pub mod matrix;
pub mod report;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::build;
use crate::guest::Route;
use crate::setup::{self, Need};
use report::Tally;

/// Run the host tests, then the guest suites
#[derive(Args, Debug)]
pub struct Options {
    /// The guests' kernel series, separated by commas, each on the route of its own boot; `all` is
    /// every kernel on every route
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    kernels: Vec<String>,
    /// The routes, separated by commas: lsm, fmod_ret
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum)]
    routes: Vec<Route>,
    /// How many guests run side by side; two a processor by default, since guests wait a lot
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Run only this guest suite, all of it, and no host tests; `broadcast` and `rescue` take machines of
    /// their own
    #[arg(long, value_name = "NAME")]
    suite: Option<String>,
    /// Run the host tests only
    #[arg(long, conflicts_with_all = ["kernels", "routes", "suite"])]
    host: bool,
    /// Run only tests whose name contains this
    filter: Option<String>,
}

/// Two guests a processor: an emulated guest waits for its devices and timers more than half of the
/// time. Fewer where memory is short of 3 GiB for each.
fn side_by_side() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: usize = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    (2 * processors).min((kib >> 20) / 3).max(1)
}

/// Runs the verb; gives the exit status.
pub fn run(options: &Options) -> Result<u8> {
    let needs: &[Need] = if options.host {
        &[Need::Build]
    } else {
        &[Need::Build, Need::Guests]
    };
    setup::ensure(needs)?;
    if options.host {
        build::build_object()?;
    } else {
        build::for_guests()?;
    }
    let filter = options.filter.as_deref();
    let configurations = matrix::chosen(&options.kernels, &options.routes)?;
    let mut tally = Tally::default();
    if options.suite.is_none() {
        tally.add(&host::run(filter, !options.host)?);
    }
    let mut logs: Vec<PathBuf> = Vec::new();
    if !options.host {
        let choice = guests::Choice {
            suite: options.suite.clone(),
            filter: options.filter.clone(),
        };
        let jobs = options.jobs.unwrap_or_else(side_by_side).max(1);
        if let Some(test) = choice.suite.as_deref().and_then(machines::Test::named) {
            for on in &configurations {
                tally.add(&test.run(*on));
            }
        } else {
            let plan = guests::plan(&configurations, &choice, jobs)?;
            for result in guests::run(&plan, &choice, jobs) {
                tally.add(&result.tally);
                logs.extend(result.log.filter(|_| result.tally.failed()));
            }
        }
    }
    for name in &tally.failures {
        println!("failed: {name}");
    }
    for log in &logs {
        println!("output and console: {}", log.display());
    }
    if tally.total() == 0 {
        if let Some(filter) = filter {
            bail!("no test's name contains {filter}: nothing ran");
        }
        bail!("nothing ran");
    }
    println!("{}", tally.line());
    Ok(u8::from(tally.failed()))
}
