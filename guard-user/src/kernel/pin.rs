//! Where the guard lives in bpffs, so that it outlives the controller.
//!
//! ```text
//! /sys/fs/bpf/dbguard/maps/<abi version>/DEVICES …   the maps, shared by every load of this ABI
//! /sys/fs/bpf/dbguard/links/<digest>/file_open …     one complete set of attached programs
//! /sys/fs/bpf/dbguard/links/<digest>/absent/<hook>   a directory for each hook that is not there
//! ```
//! A set is pinned as `new-<pid>` and renamed when it is complete, so a directory that bears a
//! digest is a whole one, and a loader that dies on its way leaves nothing that looks like one.
//! (bpffs reserves names with a dot in them, kernel/bpf/inode.c `bpf_lookup`.)

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The BPF file system.
pub const BPFFS: &str = "/sys/fs/bpf";
/// The guard's directory in it.
pub const ROOT: &str = "/sys/fs/bpf/dbguard";

/// Directory of the maps of this ABI version.
pub fn maps() -> PathBuf {
    Path::new(ROOT)
        .join("maps")
        .join(guard_abi::ABI_VERSION.to_string())
}

/// Path of one map.
pub fn map(name: &str) -> PathBuf {
    maps().join(name)
}

/// Directory of the link sets.
pub fn link_sets() -> PathBuf {
    Path::new(ROOT).join("links")
}

/// Directory of the link set of one object.
pub fn link_set(digest: &str) -> PathBuf {
    link_sets().join(digest)
}

/// In a link set: names of hooks that this kernel does not have.
pub fn absent(set: &Path) -> PathBuf {
    set.join("absent")
}

/// Name of a set that is being built by this process.
pub fn unfinished_set() -> PathBuf {
    link_sets().join(format!("new-{}", std::process::id()))
}

/// Name for a set that is being taken away by this process.
pub fn retired_set(number: usize) -> PathBuf {
    link_sets().join(format!("old-{}-{number}", std::process::id()))
}

/// Every complete link set.
pub fn complete_sets() -> io::Result<Vec<PathBuf>> {
    sets().map(|all| all.into_iter().filter(|set| !is_unfinished(set)).collect())
}

/// Every link set, complete or not.
pub fn sets() -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(link_sets()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        found.push(entry?.path());
    }
    found.sort();
    Ok(found)
}

/// A set that was not finished, or that is being taken away.
pub fn is_unfinished(set: &Path) -> bool {
    set.file_name()
        .is_none_or(|name| name.to_string_lossy().contains('-'))
}

/// Unpins a set. Its programs are detached with the last pin and descriptor of each link.
pub fn remove_set(set: &Path) -> io::Result<()> {
    for entry in fs::read_dir(set)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            for inner in fs::read_dir(entry.path())? {
                fs::remove_dir(inner?.path())?;
            }
            fs::remove_dir(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(set)
}
