//! Where things live: the checkout, cargo's target directory, the user's cache.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the checkout this binary was built from.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Cargo's target directory: `CARGO_TARGET_DIR` where it is set, else `target/` in the checkout.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => root().join(dir),
        _ => root().join("target"),
    }
}

/// What outlives a checkout: kernels, root file systems, bpf-linker. `XDG_CACHE_HOME/dbguard`, or
/// `~/.cache/dbguard`.
pub fn cache() -> Result<PathBuf> {
    if let Some(dir) = env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        return Ok(PathBuf::from(dir).join("dbguard"));
    }
    let home = env::var_os("HOME")
        .filter(|dir| !dir.is_empty())
        .context("neither XDG_CACHE_HOME nor HOME is set: set one, the guest images go there")?;
    Ok(PathBuf::from(home).join(".cache/dbguard"))
}

/// Every guest's log files: `target/guests/<run>/`.
pub fn guests() -> PathBuf {
    target().join("guests")
}

/// The parts of the guest image that are kept in the repository.
pub fn guest_assets() -> PathBuf {
    root().join("tests/guest")
}
