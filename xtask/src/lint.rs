//! `cargo xtask lint`: clippy with warnings denied, on both halves. They are linted apart: in one
//! run cargo would unify their features, and the BPF programs have another compiler and target.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::setup::{self, Need, bpf};
use crate::{build, cmd, paths};

/// Runs the verb.
pub fn run() -> Result<()> {
    setup::ensure(&[Need::Build, Need::Lint])?;
    // Every package is linted, whatever the one before brought.
    let mut failed: Vec<String> = Vec::new();
    for package in build::host_packages()? {
        eprintln!("lint: {package}");
        let mut cargo = build::cargo();
        cargo.args(["clippy", "--quiet", "--package", &package]);
        // The binary of guard-ebpf is for the BPF target; here its library and tests.
        let bpf = package == "guard-ebpf";
        cargo.args(if bpf {
            ["--lib", "--tests"].as_slice()
        } else {
            &["--all-targets"]
        });
        cargo.args(["--", "--deny", "warnings"]);
        if cmd::run(&mut cargo, &format!("linting {package}")).is_err() {
            failed.push(package);
        }
    }
    bpf_half(&mut failed)?;
    if !failed.is_empty() {
        bail!("clippy found faults in {}", failed.join(", "));
    }
    Ok(())
}

fn bpf_half(failed: &mut Vec<String>) -> Result<()> {
    let toolchain = bpf::ensure()?;
    for package in build::bpf_packages()? {
        eprintln!("lint: {package} for the BPF target");
        let mut clippy = Command::new(cargo_clippy(&toolchain));
        clippy
            .args(["clippy", "--quiet", "--package", &package, "--bins"])
            .args([
                "--release",
                "--target",
                "bpfel-unknown-none",
                "-Z",
                "build-std=core",
            ])
            .arg("--target-dir")
            .arg(paths::target().join("bpf-lint"))
            .args(["--", "--deny", "warnings"])
            .current_dir(paths::root());
        build::bpf_environment(&mut clippy, &toolchain);
        clippy.env("CARGO", &toolchain.cargo);
        if cmd::run(&mut clippy, "linting for the BPF target").is_err() {
            failed.push(format!("{package} (BPF)"));
        }
    }
    Ok(())
}

/// The clippy of the BPF compiler: beside its cargo.
fn cargo_clippy(toolchain: &bpf::Toolchain) -> PathBuf {
    toolchain.cargo.with_file_name("cargo-clippy")
}
