//! What the machine boots from: EFI system partitions, boot directories, and the scripts that the
//! boot loader's configuration is made by.
//!
//! A boot file system of its own is one place as a whole: nothing else lies on it, and FAT has no
//! lasting inode numbers. Where `/boot` lies on the root file system, each directory below it is a
//! place, and each file too, because a file can be reached without its directory
//! (open_by_handle_at(2)) or under another name (a hard link that was there before).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use guard_abi::{PlaceKind, device_flag};

use super::{Facts, Places};
use crate::topology::{Mount, MountTable};

/// Where boot files are: Documentation of GRUB, the Boot Loader Specification, and of boards whose
/// firmware reads a partition of its own.
const DIRECTORIES: &[&str] = &[
    "/boot",
    "/boot/efi",
    "/boot/firmware",
    "/efi",
    // What `grub-mkconfig` executes: koan(1) leaves a script that boots its installer here.
    "/etc/grub.d",
];

/// Files and directories below one directory. More is no boot directory.
const MANY: usize = 8_192;

/// Adds them.
pub(super) fn find(facts: Facts<'_>, places: &mut Places) {
    let root = facts.mounts.of(Path::new("/")).map(|mount| mount.dev);
    let mut whole: HashSet<u32> = HashSet::new();
    for path in DIRECTORIES.iter().map(Path::new) {
        match facts.mounts.of(path) {
            Some(mount) if is_of_its_own(mount, path, root) => {
                whole.insert(mount.dev);
            }
            _ => add_tree(facts.mounts, path, places),
        }
    }
    whole.extend(system_partitions(facts, root));
    let mut whole: Vec<u32> = whole.into_iter().collect();
    whole.sort_unstable();
    for dev in whole {
        places.add_whole(dev, PlaceKind::Boot);
    }
}

/// All of a file system is mounted here, and it is not that of the root directory.
fn is_of_its_own(mount: &Mount, path: &Path, root: Option<u32>) -> bool {
    mount.point == path && mount.root == "/" && Some(mount.dev) != root
}

/// Partitions of a type that boots, mounted or not, in whatever mount namespace.
fn system_partitions(facts: Facts<'_>, root: Option<u32>) -> impl Iterator<Item = u32> {
    facts
        .devices
        .devices
        .iter()
        .filter(|device| device.has(device_flag::BOOT_PARTITION))
        .map(|device| device.key.dev)
        .filter(move |dev| Some(*dev) != root)
}

/// A directory on the root file system with all that lies in it, up to other mounts.
fn add_tree(mounts: &MountTable, top: &Path, places: &mut Places) {
    let Some(own) = mounts.of(top).map(|mount| mount.point.clone()) else {
        return;
    };
    let mut left = vec![top.to_owned()];
    let mut seen = 0;
    while let Some(directory) = left.pop() {
        if !is_directory(&directory) || !places.add(mounts, &directory, PlaceKind::Boot) {
            continue;
        }
        places.watch.push(directory.clone());
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                let name = directory.display();
                places.problems.push(format!("{name}: {error}"));
                continue;
            }
        };
        for entry in entries.filter_map(Result::ok) {
            seen += 1;
            if seen > MANY {
                let name = top.display();
                places.problems.push(format!(
                    "{name}: more than {MANY} files; those behind are guarded by their directories alone"
                ));
                return;
            }
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let path = entry.path();
            if kind.is_dir() && mounts.of(&path).is_some_and(|mount| mount.point == own) {
                left.push(path);
            } else if kind.is_file() {
                places.add(mounts, &path, PlaceKind::Boot);
            }
        }
    }
}

fn is_directory(path: &PathBuf) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}
