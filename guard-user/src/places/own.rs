//! The guard's own files: program and unit, configuration, state, log, socket, pins, control group.

use std::path::{Path, PathBuf};

use guard_abi::PlaceKind;

use super::{Facts, Places};
use crate::audit::log_path;
use crate::control::SOCKET_PATH;
use crate::host::own_program;
use crate::kernel::pin;
use crate::state::STATE_PATH;

/// Where packages install the program.
const PROGRAM: &str = "/usr/sbin/dbguard";
/// Its defaults.
const DEFAULTS: &str = "/usr/lib/dbguard";
/// Its configuration.
const CONFIGURATION: &str = "/etc/dbguard";
/// Where systemd finds the unit, and where it is enabled (systemd.unit(5)). Drop-ins beside it are
/// an operator's to write.
const UNITS: [&str; 3] = [
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/etc/systemd/system",
];
const UNIT: &str = "dbguard.service";
/// Directories below the guard's own that are looked into.
const DEEP: u32 = 3;

/// Adds them.
pub(super) fn find(facts: Facts<'_>, places: &mut Places) {
    let mounts = facts.mounts;
    for program in [own_program(), Path::new(PROGRAM)] {
        places.add(mounts, program, PlaceKind::GuardProgram);
    }
    for directory in UNITS {
        let directory = Path::new(directory);
        places.add_itself(mounts, &directory.join(UNIT), PlaceKind::GuardProgram);
        for enabled in wanted_in(directory) {
            places.add_itself(mounts, &enabled, PlaceKind::GuardProgram);
        }
    }
    add_tree(
        facts,
        places,
        Path::new(DEFAULTS),
        PlaceKind::GuardProgram,
        DEEP,
    );
    add_tree(
        facts,
        places,
        Path::new(CONFIGURATION),
        PlaceKind::GuardConfig,
        DEEP,
    );
    for (file, kind) in [
        (Path::new(STATE_PATH), PlaceKind::Guard),
        (log_path(), PlaceKind::GuardLog),
        (Path::new(SOCKET_PATH), PlaceKind::Guard),
    ] {
        if let Some(directory) = file.parent() {
            add_tree(facts, places, directory, kind, DEEP);
        }
    }
    // Below it everything counts, without being told.
    places.add(mounts, Path::new(pin::ROOT), PlaceKind::Guard);
    // What lies over a directory that leads there hides it as well (nothing lies over the root), and
    // whoever takes such a mount away takes away what is mounted below. The others are what the
    // controller sees the host through.
    let ways = [pin::BPFFS, SOCKET_PATH, "/proc/self", "/dev/null"];
    for way in ways.iter().flat_map(|path| Path::new(path).ancestors()) {
        let is_directory = way.parent().is_some() && way.is_dir() && !way.is_symlink();
        if is_directory && places.add(mounts, way, PlaceKind::Pins) {
            super::mounts::add_named(way, PlaceKind::Pins, places);
        }
    }
    for group in control_groups(facts) {
        places.add(mounts, &group, PlaceKind::Controller);
    }
}

/// A directory and those in it.
fn add_tree(facts: Facts<'_>, places: &mut Places, path: &Path, kind: PlaceKind, deep: u32) {
    if !places.add(facts.mounts, path, kind) {
        return;
    }
    // What is the guard's alone it does not wait to be told of.
    if !matches!(kind, PlaceKind::Guard) {
        places.watch.push(path.to_owned());
    }
    if deep == 0 {
        return;
    }
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_tree(facts, places, &entry.path(), kind, deep - 1);
        }
    }
}

/// Links by which the unit is enabled: `sysinit.target.wants/dbguard.service` and the like.
fn wanted_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|kind| kind == "wants" || kind == "requires")
        })
        .map(|path| path.join(UNIT))
        .filter(|path| path.is_symlink())
        .collect()
}

/// The controller's control groups, in each hierarchy, and those that they lie in: what freezes or
/// ends one of them does so to the controller. Not the roots, which have no such files.
fn control_groups(facts: Facts<'_>) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(facts.roots.proc.join("self/cgroup")).unwrap_or_default();
    let mut groups = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let Some(root) = hierarchy(facts, controllers) else {
            continue;
        };
        let group = Path::new(group.trim_start_matches('/'));
        groups.extend(
            group
                .ancestors()
                .filter(|group| !group.as_os_str().is_empty())
                .map(|group| root.join(group)),
        );
    }
    groups
}

/// Where a hierarchy of cgroups(7) is mounted; version 2 has no list of controllers.
fn hierarchy<'a>(facts: Facts<'a>, controllers: &str) -> Option<&'a Path> {
    let mounts = facts.mounts.mounts().iter();
    let is = |mount: &&crate::topology::Mount| {
        mount.root == "/"
            && if controllers.is_empty() {
                mount.fs_type == "cgroup2"
            } else {
                mount.fs_type == "cgroup"
                    && controllers
                        .split(',')
                        .any(|one| mount.options.split(',').any(|option| option == one))
            }
    };
    mounts
        .into_iter()
        .find(is)
        .map(|mount| mount.point.as_path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Classification, MountTable, Roots};

    #[test]
    fn groups_in_both_versions() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(dir.path().join("self")).expect("made");
        std::fs::write(
            dir.path().join("self/cgroup"),
            "7:freezer:/\n1:name=systemd:/system.slice/a.service\n0::/system.slice/a.service\n",
        )
        .expect("written");
        let roots = Roots {
            proc: dir.path().to_owned(),
            ..Roots::host()
        };
        let mounts = MountTable::parse(
            "30 20 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
             31 20 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
             32 20 0:28 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n",
        );
        let devices = Classification::default();
        let facts = Facts {
            roots: &roots,
            mounts: &mounts,
            devices: &devices,
            processes: &[],
        };
        let groups = control_groups(facts);
        let expected = [
            "/sys/fs/cgroup/systemd/system.slice/a.service",
            "/sys/fs/cgroup/systemd/system.slice",
            "/sys/fs/cgroup/unified/system.slice/a.service",
            "/sys/fs/cgroup/unified/system.slice",
        ];
        assert_eq!(groups, expected.map(PathBuf::from));
    }
}
