//! `cargo xtask bench`: what dbguard costs, in guest instructions, and what its controller takes.

mod report;
mod side_by_side;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::guest::{Guard, Guest, Route, Script};
use crate::image::kernel::Kernel;
use crate::image::root::Db;
use crate::setup::{self, Need, bpf};
use crate::test::matrix::{self, Configuration};
use crate::{build, cmd, paths};
use report::{Costs, Report, Rest};

/// Devices in the guard's maps.
const DEVICES: u32 = 10_000;
/// How long the controller is watched doing nothing, in seconds.
const IDLE: u32 = 30;
/// One boot with its script may take this long.
const LIMIT: Duration = Duration::from_mins(15);

/// Measure what dbguard costs, in guest instructions
#[derive(Args, Debug)]
pub struct Options {
    /// Kernel series, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "6.1,6.12")]
    kernels: Vec<Kernel>,
    /// Routes, separated by commas; by default every route that the kernel has
    #[arg(long, value_delimiter = ',')]
    routes: Vec<Route>,
    /// Perform the same acts guarded by nothing, by the kernel's own switch, by an AppArmor profile,
    /// and by dbguard, and count
    #[arg(long)]
    side_by_side: bool,
    /// Use what was built before, build nothing
    #[arg(long)]
    no_build: bool,
}

/// Runs the verb; gives the exit status: 0 where every bar is kept.
pub fn run(options: &Options) -> Result<u8> {
    setup::ensure(&[Need::Build, Need::Guests])?;
    if !options.no_build {
        build::for_guests()?;
        build::for_installation()?;
        build_empty()?;
    }
    if options.side_by_side {
        let mut worst = 0;
        for kernel in &options.kernels {
            worst = worst.max(side_by_side::run(*kernel)?);
        }
        return Ok(worst);
    }
    let mut kept = true;
    for one in matrix::all() {
        let asked_for = options.routes.is_empty() || options.routes.contains(&one.route);
        if options.kernels.contains(&one.kernel) && asked_for {
            kept &= measure(one)?.kept();
        }
    }
    println!(
        "{}",
        if kept {
            "All bars kept."
        } else {
            "BARS BROKEN, see above."
        }
    );
    Ok(u8::from(!kept))
}

/// Measures on one kernel and route, in two guests one after the other.
fn measure(configuration: Configuration) -> Result<Report> {
    let Configuration { kernel, route } = configuration;
    let mut report = Report::default();
    let empty = fs::read(empty_object())
        .with_context(|| format!("cannot read {}", empty_object().display()))?;
    let cost = Guest::new(kernel).route(route).icount(true).file(
        "/usr/local/bench/empty.bpf.o",
        0o644,
        empty,
    );
    eprintln!("bench: {configuration}: counting instructions");
    boot(
        cost,
        "cost.sh",
        &[&DEVICES.to_string(), &route.to_string()],
        &mut report,
    )?;
    println!("\nLinux {configuration}\n{}", Costs(&report));
    eprintln!("bench: {configuration}: the controller with {DEVICES} devices");
    boot(
        Guest::new(kernel).route(route),
        "controller.sh",
        &[&DEVICES.to_string(), &IDLE.to_string()],
        &mut report,
    )?;
    println!("{}", Rest(&report));
    Ok(report)
}

/// Boots a guest without a database and without the guard's service, for the script to start.
fn boot(guest: Guest, script: &str, args: &[&str], report: &mut Report) -> Result<()> {
    let mut machine = guest
        // What it takes depends on how it was optimised.
        .dbguard(build::installed_dbguard())
        .guard(Guard::Off)
        .db(Db::None)
        .timeout(LIMIT)
        .prepare()?;
    let path = paths::root().join("tests/bench").join(script);
    let script = Script::file(&path, &[])?.args(args);
    let mut output = Vec::new();
    let outcome = machine.run(&script, &mut |bytes| output.extend_from_slice(bytes))?;
    let text = String::from_utf8_lossy(&output);
    for line in text.lines() {
        if !report.take(line) {
            eprintln!("    {line}");
        }
    }
    if outcome.status != 0 {
        // What was measured is worth showing; the bars that lack their numbers are broken.
        eprintln!(
            "bench: {} ended with {} in the guest",
            path.display(),
            outcome.status
        );
    }
    Ok(())
}

/// Where the empty programs' object is put.
fn empty_object() -> PathBuf {
    paths::target().join("bpf/bpfel-unknown-none/release/bpf-empty")
}

/// Builds the empty programs the way dbguard's own are built.
fn build_empty() -> Result<()> {
    let toolchain = bpf::ensure()?;
    let mut cargo = Command::new(&toolchain.cargo);
    cargo
        .args(["build", "--quiet", "--package", "bpf-empty", "--release"])
        .args([
            "--target",
            "bpfel-unknown-none",
            "-Z",
            "build-std=core",
            "--target-dir",
        ])
        .arg(paths::target().join("bpf"))
        .current_dir(paths::root());
    build::bpf_environment(&mut cargo, &toolchain);
    cmd::run(&mut cargo, "building the empty BPF programs")
}
