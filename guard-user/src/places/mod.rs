//! Files and directories that matter to the guard, told to the kernel half by their identity.
//!
//! Each kind of place has a module that finds them; [`find`] joins what they say. A place is a
//! directory or a file by inode, so that neither a bind mount nor another name leads around it.
//!
//! | module | finds |
//! |---|---|

use std::path::Path;

use guard_abi::{FileId, FileSystem, PlaceEntry, PlaceKind, place_id};

use crate::topology::{Classification, MountTable, Roots, kernel_dev};

/// What [`find`] has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The content of the kernel's table. The first entry of an identity counts.
    pub entries: Vec<(FileId, PlaceEntry)>,
    /// Directories whose changes mean another answer: to be watched.
    pub watch: Vec<std::path::PathBuf>,
    /// What could not be found out, in words for a person.
    pub problems: Vec<String>,
}

impl Places {
    /// Adds a file or directory by its path. False where there is none.
    pub fn add(&mut self, mounts: &MountTable, path: &Path, kind: PlaceKind) -> bool {
        let Some(id) = identity(mounts, path) else {
            return false;
        };
        let entry = PlaceEntry {
            kind: kind as u32,
            reserved: 0,
        };
        self.entries.push((id, entry));
        true
    }
}

/// What the finders look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Where sysfs, proc and the rest stand.
    pub roots: &'a Roots,
    /// The host's own mounts.
    pub mounts: &'a MountTable,
    /// The devices as they were judged last.
    pub devices: &'a Classification,
}

/// All places of the host.
pub fn find(_facts: Facts<'_>) -> Places {
    Places::default()
}

/// Identity of a file as the kernel half sees it: its inode number, and `s_dev` of its file system
/// from the mount table, because stat(2) tells another number on btrfs and overlayfs.
pub fn identity(mounts: &MountTable, path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    let mount = mounts.of(path);
    let dev = mount.map_or_else(|| kernel_dev(metadata.dev()), |mount| mount.dev);
    let fs = match mount.map(|mount| mount.fs_type.as_str()) {
        Some("sysfs") => FileSystem::Sysfs,
        Some("cgroup" | "cgroup2") => FileSystem::Cgroup,
        Some("configfs") => FileSystem::Configfs,
        _ => FileSystem::Other,
    };
    Some(place_id(fs, dev, metadata.ino()))
}
