//! Debian packages that the verbs use, found by what they bring rather than by their names, so that
//! another distribution's package does as well.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Need, bpf};
use crate::{cmd, paths};

/// A package and how to see that it is there.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// The Debian package.
    pub package: &'static str,
    /// A program it brings, or an absolute path.
    pub sign: &'static str,
    /// What it is for.
    pub why: &'static str,
    need: Need,
}

const WANTS: &[Want] = &[
    want("gcc", "cc", "linking Rust programs", Need::Build),
    want(
        "libc6-dev",
        "/usr/include/stdio.h",
        "linking Rust programs",
        Need::Build,
    ),
    want("make", "make", "libbpf", Need::Build),
    want("pkg-config", "pkg-config", "libbpf", Need::Build),
    want(
        "libelf-dev",
        "/usr/include/gelf.h",
        "libbpf, which reads the BPF object with it",
        Need::Build,
    ),
    want("zlib1g-dev", "/usr/include/zlib.h", "libelf", Need::Build),
    want(
        "qemu-system-x86",
        "qemu-system-x86_64",
        "running guests",
        Need::Guests,
    ),
    want("qemu-utils", "qemu-img", "disk overlays", Need::Guests),
    want(
        "ovmf",
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "EFI guests",
        Need::Guests,
    ),
    want(
        "mmdebstrap",
        "mmdebstrap",
        "the guests' root file system",
        Need::Guests,
    ),
    want("e2fsprogs", "mke2fs", "guest disks", Need::Guests),
    want("fdisk", "sfdisk", "guest disks", Need::Guests),
    want("dosfstools", "mkfs.vfat", "guest disks", Need::Guests),
    want("mtools", "mcopy", "guest disks", Need::Guests),
    want("kmod", "depmod", "guest kernels' modules", Need::Guests),
    want("xz-utils", "xz", "guest kernels", Need::Guests),
    want("zstd", "zstd", "guest kernels", Need::Guests),
    want("lz4", "lz4", "guest kernels", Need::Guests),
    want(
        "openssh-client",
        "ssh-keygen",
        "the verifier that ours is compared with",
        Need::Guests,
    ),
    want(
        "util-linux",
        "setpriv",
        "stopping guests with their starter",
        Need::Guests,
    ),
];

/// What the Debian route to the eBPF toolchain needs besides.
const BPF_WANTS: &[Want] = &[
    want(
        "rustc-web",
        "/usr/bin/rustc",
        "compiling the BPF programs",
        Need::Build,
    ),
    want(
        "cargo-web",
        "/usr/bin/cargo",
        "compiling the BPF programs",
        Need::Build,
    ),
    want(
        "rust-web-src",
        bpf::DEBIAN_SOURCE,
        "`core` for the BPF target",
        Need::Build,
    ),
    want(
        "llvm-22-dev",
        "/usr/lib/llvm-22/bin/llvm-config",
        "building bpf-linker",
        Need::Build,
    ),
    want(
        "rust-web-clippy",
        "/usr/bin/cargo-clippy",
        "linting the BPF programs",
        Need::Lint,
    ),
];

const fn want(package: &'static str, sign: &'static str, why: &'static str, need: Need) -> Want {
    Want {
        package,
        sign,
        why,
        need,
    }
}

impl Want {
    /// One line for a list of missing things.
    pub fn line(&self) -> String {
        format!(
            "{} ({}): apt-get install {}",
            self.sign, self.why, self.package
        )
    }

    fn is_there(&self) -> bool {
        if self.sign.starts_with('/') {
            Path::new(self.sign).exists()
        } else {
            cmd::which(self.sign).is_some()
        }
    }
}

/// The packages that are missing for `needs`.
pub fn missing(needs: &[Need]) -> Vec<Want> {
    let toolchain: &[Want] = if bpf::has_rustup_route() {
        &[]
    } else {
        BPF_WANTS
    };
    WANTS
        .iter()
        .chain(toolchain)
        .filter(|want| needs.contains(&want.need) && !want.is_there())
        .copied()
        .collect()
}

/// Whether this process may install packages.
pub fn can_install() -> bool {
    rustix::process::geteuid().is_root() && cmd::which("apt-get").is_some()
}

/// Installs packages with apt, saying which.
pub fn install(wants: &[Want]) -> Result<()> {
    let mut names: Vec<&str> = wants.iter().map(|want| want.package).collect();
    names.dedup();
    eprintln!("set-up: installing with apt-get:");
    for want in wants {
        eprintln!("set-up:   {:<18} {}", want.package, want.why);
    }
    let dir = paths::cache()?.join("logs");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let log = dir.join("apt.log");
    eprintln!(
        "set-up: apt-get update and install, a minute or two (log: {})",
        log.display()
    );
    let mut update = Command::new("apt-get");
    cmd::logged(update.arg("update"), "updating apt's lists", &log)?;
    cmd::logged(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args([
                "install",
                "-y",
                "--no-install-recommends",
                "-o",
                "DPkg::Lock::Timeout=600",
            ])
            .args(&names),
        "installing packages",
        &log,
    )?;
    let left: Vec<String> = wants
        .iter()
        .filter(|want| !want.is_there())
        .map(Want::line)
        .collect();
    if !left.is_empty() {
        bail!(
            "apt-get ended well, yet these are still missing:\n  {}",
            left.join("\n  ")
        );
    }
    Ok(())
}
