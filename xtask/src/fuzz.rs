//! `cargo xtask fuzz`: libFuzzer on what anybody may have written, with OpenSSH in the same process as
//! the reference. What it finds goes to `tests/fuzz/corpus`, which every test run goes through again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::setup::apt::Apt;
use crate::setup::{self, Need};
use crate::{build, cache, cmd, paths};

/// The targets (`guard_user::grant::testing::Target`).
const TARGETS: [&str; 4] = ["request", "signers", "token", "revoked"];

/// The release of cargo-fuzz that is used.
const CARGO_FUZZ: &str = "0.13.1";

/// Longest input, in bytes: above the longest line and any signature that tools write.
const LONGEST: usize = 8192;

/// Fuzz what reads requests, lists of signers and of revocations, and signatures
#[derive(Args, Debug)]
pub struct Options {
    /// One target; all of them without
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
    /// How often each is run
    #[arg(long, default_value_t = 10_000_000)]
    runs: u64,
}

/// Runs the verb. A crash, or a disagreement with OpenSSH, is an error that names the input's file.
pub fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Need::Build])?;
    let reference = openssh()?;
    let cargo_fuzz = cargo_fuzz()?;
    let only = options.target.as_deref();
    let wanted = |name: &&str| only.is_none_or(|only| only == *name);
    for target in TARGETS.into_iter().filter(wanted) {
        one(target, options.runs, &reference, &cargo_fuzz)?;
    }
    Ok(())
}

fn one(target: &str, runs: u64, reference: &Path, cargo_fuzz: &Path) -> Result<()> {
    let crate_dir = paths::root().join("tests/fuzz");
    let kept = crate_dir.join("corpus").join(target);
    // Grown from run to run, and thrown away with the target directory.
    let grown = paths::target().join("fuzz-corpus").join(target);
    let mut seeds = build::cargo();
    seeds.args([
        "run",
        "--quiet",
        "--package",
        "guard-fuzz",
        "--bin",
        "fuzz-seeds",
        "--",
    ]);
    cmd::run(
        seeds.arg(target).arg(&grown),
        "writing a fuzz target's seeds",
    )?;
    let mut fuzz = Command::new(cargo_fuzz);
    fuzz.args(["run", "--sanitizer", "none", "--features", "reference"])
        .arg("--fuzz-dir")
        .arg(&crate_dir)
        .arg("--target-dir")
        .arg(paths::target().join("fuzz"))
        .arg(target)
        .arg(&grown);
    if kept.is_dir() {
        fuzz.arg(&kept);
    }
    fuzz.arg("--").args([
        format!("-runs={runs}"),
        format!("-max_len={LONGEST}"),
        "-print_final_stats=1".to_owned(),
    ]);
    let words = crate_dir.join("words.dict");
    fuzz.arg(format!("-dict={}", words.display()));
    fuzz.env("OPENSSH_REFERENCE", reference)
        .current_dir(paths::root());
    cmd::run(&mut fuzz, &format!("fuzzing {target}"))
}

/// OpenSSH as this machine's Debian has it, compiled as far as verifying goes.
fn openssh() -> Result<PathBuf> {
    let what = "OpenSSH from source, the reference that fuzz targets are compared with";
    let place = cache::ensure("openssh", &cache::key(&["openssh 1"]), what, |work| {
        let log = work.join("log");
        let apt = Apt::of_sources(&work.join("apt"), &["bookworm"], &log)?;
        let files = apt.source("openssh", work)?;
        let archive = files
            .iter()
            .find(|file| file.to_string_lossy().ends_with(".orig.tar.gz"))
            .context("the source package of openssh has no .orig.tar.gz")?;
        let tree = work.join("tree");
        fs::create_dir_all(&tree).context("cannot create a directory for OpenSSH")?;
        let step = |command: &mut Command, doing: &str| {
            cmd::logged(command.current_dir(&tree), doing, &log)
        };
        step(
            Command::new("tar")
                .args(["--strip-components=1", "-xf"])
                .arg(archive),
            "unpacking OpenSSH",
        )?;
        step(
            Command::new("./configure").arg("--without-pie"),
            "configuring OpenSSH (it needs libssl-dev and zlib1g-dev)",
        )?;
        step(
            Command::new("make").args([
                "-j2",
                "libssh.a",
                "openbsd-compat/libopenbsd-compat.a",
                "sshsig.o",
            ]),
            "compiling OpenSSH",
        )?;
        step(
            Command::new("ar").args(["rcs", "libsshsig.a", "sshsig.o"]),
            "archiving OpenSSH's sshsig.o",
        )?;
        fs::remove_dir_all(work.join("apt")).context("cannot remove apt's lists")?;
        fs::remove_dir_all(work.join("source")).context("cannot remove a source package")
    })?;
    Ok(place.join("tree"))
}

/// cargo-fuzz: the machine's, or one of the cache's own.
fn cargo_fuzz() -> Result<PathBuf> {
    if let Some(program) = cmd::which("cargo-fuzz") {
        return Ok(program);
    }
    let key = cache::key(&["cargo-fuzz 1", CARGO_FUZZ]);
    let place = cache::ensure("cargo-fuzz", &key, "cargo-fuzz, from source", |work| {
        let mut cargo = build::cargo();
        cargo
            .args(["install", "--locked", "--version", CARGO_FUZZ, "--root"])
            .arg(work)
            .arg("cargo-fuzz");
        cmd::logged(&mut cargo, "installing cargo-fuzz", &work.join("log"))
    })?;
    let program = place.join("bin/cargo-fuzz");
    if !program.is_file() {
        bail!(
            "{} is missing: remove {}",
            program.display(),
            place.display()
        );
    }
    Ok(program)
}
