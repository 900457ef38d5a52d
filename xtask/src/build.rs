//! `cargo xtask build`: the BPF object, the controller with the object inside, the guest programs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::{self, Need, bpf};
use crate::{cmd, paths};

/// Where the BPF object is put for the controller's build to find.
pub fn object() -> PathBuf {
    paths::target().join("bpf/dbguard.bpf.o")
}

/// How the programs around the BPF object are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// For a debugger.
    Dev,
    /// What is installed.
    Release,
    /// What guests get: optimised as much, linked in seconds instead of minutes.
    Guest,
}

impl Profile {
    /// Cargo's name for it, and the directory its programs are in.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Dev => ("dev", "debug"),
            Self::Release => ("release", "release"),
            Self::Guest => ("guest", "guest"),
        }
    }
}

/// The controller that guests get.
pub fn dbguard() -> PathBuf {
    guest_program("dbguard")
}

/// The controller as it is installed.
pub fn installed_dbguard() -> PathBuf {
    paths::target()
        .join(Profile::Release.names().1)
        .join("dbguard")
}

/// The programs of package guard-tests that guests get, by name.
pub fn guest_programs() -> Result<Vec<(String, PathBuf)>> {
    let programs = packages()?
        .into_iter()
        .filter(|package| package.name == "guard-tests")
        .flat_map(|package| package.bins)
        .map(|name| {
            let path = guest_program(&name);
            (name, path)
        });
    Ok(programs.collect())
}

/// Where a program for guests is built.
pub fn guest_program(name: &str) -> PathBuf {
    paths::target().join(Profile::Guest.names().1).join(name)
}

/// Runs the verb.
pub fn run(release: bool) -> Result<()> {
    setup::ensure(&[Need::Build])?;
    build(if release {
        Profile::Release
    } else {
        Profile::Dev
    })
}

/// Builds everything that guests get.
pub fn for_guests() -> Result<()> {
    build(Profile::Guest)
}

/// Builds the controller as it is installed; needs the BPF object.
pub fn for_installation() -> Result<()> {
    build_host(Profile::Release)
}

fn build(profile: Profile) -> Result<()> {
    build_object()?;
    build_host(profile)
}

/// Builds the BPF object. Always optimised: the verifier does not take anything else.
pub fn build_object() -> Result<()> {
    let toolchain = bpf::ensure()?;
    let dir = paths::target().join("bpf");
    let mut cargo = Command::new(&toolchain.cargo);
    cargo
        .args([
            "build",
            "--quiet",
            "--package",
            "guard-ebpf",
            "--bin",
            "dbguard-bpf",
            "--release",
        ])
        .args([
            "--target",
            "bpfel-unknown-none",
            "-Z",
            "build-std=core",
            "--target-dir",
        ])
        .arg(&dir)
        .current_dir(paths::root());
    bpf_environment(&mut cargo, &toolchain);
    cmd::run(&mut cargo, "building the BPF object")?;
    let built = dir.join("bpfel-unknown-none/release/dbguard-bpf");
    let object = object();
    let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    // Left alone when unchanged, so that the controller is not built again for nothing.
    if fs::read(&object).ok().as_deref() != Some(&bytes) {
        fs::write(&object, bytes).with_context(|| format!("cannot write {}", object.display()))?;
    }
    Ok(())
}

/// The environment of every build for the BPF target.
pub fn bpf_environment(cargo: &mut Command, toolchain: &bpf::Toolchain) {
    cargo
        .env("RUSTC", &toolchain.rustc)
        // Debian's stable compiler builds `core` only when told that it may.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-C debuginfo=2 -C link-arg=--btf")
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &toolchain.linker)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTUP_TOOLCHAIN");
}

fn build_host(profile: Profile) -> Result<()> {
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--package", "guard-user"]);
    if profile != Profile::Release {
        // These have guard-user compiled with what tests need beside.
        cargo.args(["--package", "guard-tests"]);
    }
    cargo.args(["--bins", "--profile", profile.names().0]);
    cargo.env("DBGUARD_BPF_OBJECT", object());
    cmd::run(&mut cargo, "building the controller and the guest programs")
}

/// The cargo that runs us, in the checkout.
pub fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(program);
    cargo.current_dir(paths::root());
    cargo
}

/// A package of the workspace.
struct Package {
    name: String,
    bins: Vec<String>,
    /// Whether plain cargo builds it: it is a default member.
    host: bool,
}

/// The packages that plain cargo builds and tests.
pub fn host_packages() -> Result<Vec<String>> {
    Ok(packages()?
        .into_iter()
        .filter(|package| package.host)
        .map(|package| package.name)
        .collect())
}

/// The packages with BPF programs: guard-ebpf, and those that plain cargo leaves out.
pub fn bpf_packages() -> Result<Vec<String>> {
    let wanted = |package: &Package| package.name == "guard-ebpf" || !package.host;
    Ok(packages()?
        .into_iter()
        .filter(wanted)
        .map(|package| package.name)
        .collect())
}

fn packages() -> Result<Vec<Package>> {
    let text = cmd::capture(
        cargo().args(["metadata", "--no-deps", "--format-version", "1", "--quiet"]),
        "reading the workspace",
    )?;
    let json: serde_json::Value =
        serde_json::from_str(&text).context("reading what cargo metadata printed")?;
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let host = list(&json["workspace_default_members"]);
    let packages = list(&json["packages"]).into_iter().map(|entry| Package {
        name: entry["name"].as_str().unwrap_or_default().to_owned(),
        bins: list(&entry["targets"])
            .iter()
            .filter(|target| list(&target["kind"]).iter().any(|kind| kind == "bin"))
            .filter_map(|target| target["name"].as_str().map(str::to_owned))
            .collect(),
        host: host.contains(&entry["id"]),
    });
    Ok(packages.collect())
}
