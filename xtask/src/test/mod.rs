//! `cargo xtask test`: host tests, then the guest suites on each kernel.

pub mod guests;
pub mod host;
pub mod report;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::build;
use crate::image::kernel::{self, Kernel};
use crate::setup::{self, Need};
use report::Tally;

/// Run the host tests, then the guest suites
#[derive(Args, Debug)]
pub struct Options {
    /// The guests' kernel series, separated by commas; those of Debian 12 by default
    #[arg(long, value_delimiter = ',')]
    kernels: Vec<Kernel>,
    /// How many guests run side by side
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// Run only this guest suite, and no host tests
    #[arg(long, value_name = "NAME")]
    suite: Option<String>,
    /// Run the host tests only
    #[arg(long, conflicts_with_all = ["kernels", "suite"])]
    host: bool,
    /// Run only tests whose name contains this
    filter: Option<String>,
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
    let mut tally = Tally::default();
    if options.suite.is_none() {
        tally.add(&host::run(filter, !options.host)?);
    }
    let mut logs: Vec<PathBuf> = Vec::new();
    if !options.host {
        let kernels: Vec<Kernel> = if options.kernels.is_empty() {
            kernel::usual().collect()
        } else {
            options.kernels.clone()
        };
        let plan = guests::plan(&kernels, options.suite.as_deref(), filter)?;
        for result in guests::run(&plan, options.jobs.max(1)) {
            tally.add(&result.tally);
            if result.tally.failed() {
                logs.push(result.log);
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
