//! The eBPF toolchain: a compiler that can build `core` for the BPF target, and a bpf-linker whose
//! LLVM is of the same major version. Two routes lead there: a rustup nightly with `rust-src` and a
//! bpf-linker on the path, used where both are found; or Debian's `rustc-web` and LLVM 22.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{cache, cmd, paths};

/// The sources of `core` as Debian's `rust-web-src` installs them.
pub const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/core/Cargo.toml";
/// Where Debian's LLVM 22 lives.
const LLVM: &str = "/usr/lib/llvm-22";
/// The bpf-linker that the Debian route builds.
const LINKER_VERSION: &str = "0.13.0";
/// The LLVM major that the installed bpf-linker on the rustup route must share with the compiler.
const RUSTUP_HINT: &str = "rustup toolchain install nightly-2026-05-20 --component rust-src && \
     cargo +nightly-2026-05-20 install bpf-linker --version 0.10.4";

/// A compiler and linker for the BPF target.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// The compiler.
    pub rustc: PathBuf,
    /// The cargo that goes with it.
    pub cargo: PathBuf,
    /// The linker.
    pub linker: PathBuf,
}

/// Whether the rustup route is there; then the Debian packages are not needed.
pub fn has_rustup_route() -> bool {
    rustup_route().is_some()
}

/// What is missing besides packages, with its command.
pub fn missing() -> Vec<String> {
    if has_rustup_route() || linker_slot().is_ok_and(|slot| slot.is_dir()) {
        return Vec::new();
    }
    vec![
        format!("bpf-linker {LINKER_VERSION}: run `cargo xtask setup` once the packages are there"),
        format!("instead of rustc-web, cargo-web, rust-web-src, llvm-22-dev: {RUSTUP_HINT}"),
    ]
}

/// Gives the toolchain, building bpf-linker if it has to.
pub fn ensure() -> Result<Toolchain> {
    if let Some(toolchain) = rustup_route() {
        return Ok(toolchain);
    }
    let what = format!("bpf-linker {LINKER_VERSION} against LLVM 22 (two to four minutes)");
    let slot = cache::ensure("bpf-linker", &linker_key(), &what, |work| {
        cmd::logged(
            Command::new("cargo")
                .args([
                    "install",
                    "--locked",
                    "bpf-linker",
                    "--version",
                    LINKER_VERSION,
                ])
                .args(["--no-default-features", "--features", "llvm-22", "--root"])
                .arg(work)
                .arg("--target-dir")
                .arg(work.join("build"))
                .env("LLVM_PREFIX", LLVM)
                .env_remove("CARGO_ENCODED_RUSTFLAGS")
                .env_remove("RUSTFLAGS")
                .current_dir("/"),
            "building bpf-linker",
            &work.join("log"),
        )?;
        std::fs::remove_dir_all(work.join("build")).context("cannot remove the build directory")
    })?;
    let toolchain = Toolchain {
        rustc: "/usr/bin/rustc".into(),
        cargo: "/usr/bin/cargo".into(),
        linker: slot.join("bin/bpf-linker"),
    };
    check_debian(&toolchain)?;
    Ok(toolchain)
}

/// Debian 12 also has a `rustc` of 2022 under the same path.
fn check_debian(toolchain: &Toolchain) -> Result<()> {
    let version = cmd::capture(
        Command::new(&toolchain.rustc).args(["--version", "--verbose"]),
        "asking the BPF compiler's version",
    )?;
    if llvm_major(&version) != Some(22) {
        bail!(
            "{} is not the compiler of package rustc-web with LLVM 22 but:\n{version}\
             run: apt-get install rustc-web cargo-web rust-web-src",
            toolchain.rustc.display()
        );
    }
    Ok(())
}

fn linker_key() -> String {
    cache::key(&["bpf-linker 1", LINKER_VERSION, LLVM])
}

fn linker_slot() -> Result<PathBuf> {
    cache::slot("bpf-linker", &linker_key())
}

/// A rustup nightly with `rust-src`, and a bpf-linker on the path.
fn rustup_route() -> Option<Toolchain> {
    let linker = cmd::which("bpf-linker")?;
    let list = quietly(Command::new("rustup").args(["toolchain", "list"]))?;
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.starts_with("nightly"))
        .find_map(|name| {
            let which = |tool: &str| {
                quietly(Command::new("rustup").args(["which", "--toolchain", name, tool]))
                    .map(|path| PathBuf::from(path.trim()))
            };
            let (rustc, cargo) = (which("rustc")?, which("cargo")?);
            let sysroot = quietly(Command::new(&rustc).args(["--print", "sysroot"]))?;
            let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
            if !source.is_dir() {
                return None;
            }
            let toolchain = Toolchain {
                rustc,
                cargo,
                linker: linker.clone(),
            };
            links(&toolchain).then_some(toolchain)
        })
}

/// Whether the linker reads what the compiler writes: their LLVMs must be of one major version, and
/// nothing but a try tells.
fn links(toolchain: &Toolchain) -> bool {
    let dir = paths::target().join("bpf/try");
    if std::fs::create_dir_all(&dir).is_err() {
        return false;
    }
    let source = dir.join("try.rs");
    let text = "#![no_std]\n#![no_main]\n#![feature(no_core)]\n#![no_core]\n";
    if std::fs::write(&source, text).is_err() {
        return false;
    }
    Command::new(&toolchain.rustc)
        .args([
            "--target",
            "bpfel-unknown-none",
            "--crate-type",
            "cdylib",
            "-C",
        ])
        .arg(format!("linker={}", toolchain.linker.display()))
        .arg("-o")
        .arg(dir.join("try.o"))
        .arg(&source)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The LLVM major of `rustc --version --verbose`.
fn llvm_major(version: &str) -> Option<u32> {
    let line = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

fn quietly(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_version_is_read() {
        assert_eq!(llvm_major("rustc 1.96.0\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.63.0\n"), None);
    }
}
