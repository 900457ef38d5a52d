//! `cargo xtask setup`: finds what is missing on this machine, installs or makes it, and says so.
//! A second run finds everything and does nothing.

pub mod apt;
pub mod bpf;
pub mod packages;

use std::fmt;

use anyhow::{Context, Result};

use crate::image::kernel::{Flavour, SERIES};
use crate::image::root::{self, Db};
use crate::image::{kernel, rootfs};
use crate::{cache, paths};

/// What a verb is going to do, and therefore needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Compile the BPF object and the programs around it.
    Build,
    /// Boot guests.
    Guests,
    /// Lint the BPF programs.
    Lint,
}

/// Things that are missing and cannot be installed from here, each with what to do about it.
#[derive(Debug)]
pub struct Missing(pub Vec<String>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "these are missing, and installing them needs root and apt:"
        )?;
        for line in &self.0 {
            writeln!(f, "  {line}")?;
        }
        write!(
            f,
            "install them, or run `cargo xtask setup` as root on Debian 12, then try again"
        )
    }
}

impl std::error::Error for Missing {}

/// Runs the verb: everything that any other verb needs.
pub fn run() -> Result<()> {
    ensure(&[Need::Build, Need::Guests])?;
    for series in SERIES {
        root::base(*series, Flavour::Cloud)?;
    }
    for db in [Db::Mariadb, Db::Postgres, Db::None] {
        root::data_disk(db)?;
    }
    eprintln!(
        "set-up: complete; downloads and images are in {}",
        paths::cache()?.display()
    );
    Ok(())
}

/// Makes sure that everything for `needs` is there. Images are made where they are first used, so
/// that one guest does not wait for another's kernel.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let packages = packages::missing(needs);
    let can_install = packages::can_install();
    if !can_install {
        let mut missing: Vec<String> = Vec::new();
        if !packages.is_empty() {
            let names = packages
                .iter()
                .map(|want| want.package)
                .collect::<Vec<_>>()
                .join(" ");
            missing.extend(packages.iter().map(packages::Want::line));
            missing.push(format!(
                "all of these: apt-get install --no-install-recommends {names}"
            ));
        }
        if needs.contains(&Need::Build) {
            missing.extend(bpf::missing());
        }
        if needs.contains(&Need::Guests) {
            missing.extend(missing_images()?);
        }
        if !missing.is_empty() {
            return Err(Missing(missing).into());
        }
        return Ok(());
    }
    if !packages.is_empty() {
        packages::install(&packages)?;
        // apt takes away what it cannot have beside a new package, such as the tools of another
        // release's QEMU: those were there a moment ago, and are wanted of this release now.
        let taken = packages::missing(needs);
        if !taken.is_empty() {
            eprintln!("set-up: apt-get removed what did not fit the packages it installed");
            packages::install(&taken)?;
        }
    }
    if needs.contains(&Need::Build) {
        bpf::ensure().context("setting up the eBPF toolchain")?;
    }
    Ok(())
}

/// Guest images that are not in the cache; making them needs root for the files' owners.
fn missing_images() -> Result<Vec<String>> {
    let cache = paths::cache()?;
    let mut missing = Vec::new();
    if !cache::slot("rootfs", &rootfs::key())?.is_dir() {
        missing.push("guest root file system".to_owned());
    }
    for series in kernel::usual() {
        if !cache::slot("kernels", &kernel::key(series, Flavour::Cloud))?.is_dir() {
            missing.push(format!("guest kernel {series}"));
        }
        if !root::is_made(series, Flavour::Cloud)? {
            missing.push(format!("guest root disk for kernel {series}"));
        }
    }
    let command = format!(
        "sudo env PATH=\"$PATH\" XDG_CACHE_HOME={} cargo xtask setup",
        cache.parent().unwrap_or(&cache).display()
    );
    Ok(missing
        .into_iter()
        .map(|what| format!("{what}: {command}"))
        .collect())
}
