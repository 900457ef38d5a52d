//! Where the data of running databases is mounted: not to be covered, moved or lazily unmounted, nor
//! to be renamed under the server.
//!
//! A directory is named as long as the server runs that keeps its data there. Once it has ended, in
//! order or not, an administrator puts another mount in its place or moves its directory aside to
//! restore a backup; nothing is lost by that, and the devices stay protected.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use guard_abi::{FileId, PATH_ID_BYTES, PlaceKind, path_id};

use super::{Facts, Places, identity, identity_of};
use crate::host::{CriticalProcess, resolve_in_root};
use crate::topology::{Mount, MountTable, Roots};

/// Adds them.
pub(super) fn find(facts: Facts<'_>, places: &mut Places) {
    for process in facts.processes {
        // A worker's directories are its parent's.
        for directory in &process.data_dirs {
            add(facts, process, &directory.path, places);
        }
    }
}

/// A data directory, and every directory that leads to it.
fn add(facts: Facts<'_>, process: &CriticalProcess, path: &Path, places: &mut Places) {
    let Some((own, dev)) = in_process(facts.roots, process, path) else {
        return;
    };
    places.add_id(own, PlaceKind::Mount);
    let host_root = facts.roots.host_root();
    let on_host = resolve_in_root(&host_root, path);
    if identity(facts.mounts, &on_host) == Some(own) {
        add_way(facts.mounts, &on_host, places);
    } else {
        // A container's: on the host, what its file system is mounted by. Its own root, an overlay,
        // goes with the container: runtimes unmount that lazily as soon as the server has ended.
        let is_carrier = |mount: &&Mount| mount.dev == dev && mount.fs_type != "overlay";
        for mount in facts.mounts.mounts().iter().filter(is_carrier) {
            add_way(facts.mounts, &mount.point, places);
        }
    }
}

/// Identity of a directory as a process sees it, and the device of its file system.
fn in_process(roots: &Roots, process: &CriticalProcess, path: &Path) -> Option<(FileId, u32)> {
    let number = process.pid.to_string();
    let root = roots.proc.join(&number).join("root");
    let real = resolve_in_root(&root, path);
    let mounts = MountTable::read(roots, &number).ok()?;
    let metadata = std::fs::metadata(root.join(real.strip_prefix("/").ok()?)).ok()?;
    let mount = mounts.of(&real)?;
    Some((identity_of(mount, metadata.ino()), mount.dev))
}

/// A directory of the host and all above it.
fn add_way(mounts: &MountTable, path: &Path, places: &mut Places) {
    let ways: Vec<PathBuf> = path.ancestors().map(Path::to_owned).collect();
    for way in ways {
        places.add(mounts, &way, PlaceKind::Mount);
        add_named(&way, PlaceKind::Mount, places);
    }
}

/// The same by the path as text: all that mount(2) tells of a mount that is moved.
pub(super) fn add_named(path: &Path, kind: PlaceKind, places: &mut Places) {
    if let Some(id) = named(path) {
        places.add_id(id, kind);
    }
}

/// The key of a path as text; `None` where it is too long.
fn named(path: &Path) -> Option<FileId> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = path.as_os_str().as_bytes();
    let mut text = [0; PATH_ID_BYTES];
    // One byte stays zero, as in the kernel half.
    if bytes.len() >= text.len() {
        return None;
    }
    text[..bytes.len()].copy_from_slice(bytes);
    Some(path_id(&text))
}
