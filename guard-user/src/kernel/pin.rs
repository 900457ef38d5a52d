//! Where the guard lives in bpffs, so that it outlives the controller.
//!
//! ```text
//! /sys/fs/bpf/dbguard/maps/<abi version>/DEVICES …   the maps, shared by every load of this ABI
//! /sys/fs/bpf/dbguard/links/<digest>_<route>/file_open …     one complete set of attached programs
//! /sys/fs/bpf/dbguard/links/<digest>_<route>/absent/<hook>   a directory for each hook that is not there
//! /sys/fs/bpf/dbguard/links/<digest>_<route>/programs/…      programs that are attached on demand
//! /sys/fs/bpf/dbguard/links/<digest>_<route>/on_demand/…     their links, while they are attached
//! ```
//! A set is pinned as `new-<pid>` and renamed when it is complete, so a directory that bears a
//! digest is a whole one, and a loader that dies on its way leaves nothing that looks like one.
//! (bpffs reserves names with a dot in them, kernel/bpf/inode.c `bpf_lookup`.)

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::route::Route;

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

/// Directory of the link set of one object on one route.
pub fn link_set(digest: &str, route: Route) -> PathBuf {
    link_sets().join(format!("{digest}_{route}"))
}

/// The route of a set. Versions that knew one alone named their sets by the digest.
pub fn route_of(set: &Path) -> Route {
    let name = set.file_name().unwrap_or_default().to_string_lossy();
    name.split_once('_')
        .and_then(|(_, route)| Route::parse(route))
        .unwrap_or(Route::Lsm)
}

/// In a link set: names of hooks that this kernel does not have.
pub fn absent(set: &Path) -> PathBuf {
    set.join("absent")
}

/// In a link set: programs that are attached on demand.
pub fn programs(set: &Path) -> PathBuf {
    set.join("programs")
}

/// In a link set: links of those that are attached.
pub fn on_demand(set: &Path) -> PathBuf {
    set.join("on_demand")
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
                let inner = inner?;
                if inner.file_type()?.is_dir() {
                    fs::remove_dir(inner.path())?;
                } else {
                    fs::remove_file(inner.path())?;
                }
            }
            fs::remove_dir(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_set_tells_its_route() {
        for route in Route::ALL {
            let set = link_set("0123456789abcdef", route);
            assert_eq!(route_of(&set), route);
            assert!(!is_unfinished(&set), "{}", set.display());
        }
        assert_eq!(route_of(Path::new("/x/0123456789abcdef")), Route::Lsm);
        assert!(is_unfinished(&unfinished_set()) && is_unfinished(&retired_set(0)));
    }
}
