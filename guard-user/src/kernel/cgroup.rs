//! The root of the cgroup hierarchy, to which the second layer is attached.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, OFlags, statat};

use super::bpf;
use super::canary::private_file_system;

/// The directory of the root cgroup of the version 2 hierarchy, wherever it is mounted:
/// `/sys/fs/cgroup` on a unified host, `/sys/fs/cgroup/unified` on a hybrid one.
///
/// Where it is mounted nowhere (version 1 alone) it is mounted for this call; every process is in
/// its root all the same. Not otherwise: a second mount sets the options of the first anew
/// (kernel/cgroup/cgroup.c `apply_cgroup_root_flags`).
pub(super) fn root() -> io::Result<OwnedFd> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mut outside = None;
    for path in mounted_roots(&mounts) {
        let directory: OwnedFd = File::open(&path)?.into();
        if is_hierarchy_root(&directory) {
            return Ok(directory);
        }
        outside = Some(path);
    }
    match outside {
        None => mount_privately(),
        Some(path) => Err(io::Error::other(format!(
            "{} is the root of a cgroup namespace, not of the hierarchy",
            path.display()
        ))),
    }
}

/// Attaches a device program to the root, and pins its link.
pub(super) fn attach(program: BorrowedFd<'_>, pin: &Path) -> io::Result<()> {
    let root = root()?;
    let link = bpf::link_to_cgroup(program, root.as_fd())?;
    bpf::pin(link.as_fd(), pin)
}

/// Whether this host has what the second layer is attached to.
pub fn is_there() -> bool {
    root().is_ok()
}

/// Why the second layer is not attached, and what to do.
pub(super) fn why_not_attached() -> String {
    match root() {
        Ok(_) => "it was detached or never attached; run: systemctl restart dbguard".to_owned(),
        Err(error) => format!("this host has no cgroup version 2 hierarchy to attach to: {error}"),
    }
}

/// Where the root of the hierarchy is mounted (proc_pid_mountinfo(5)).
fn mounted_roots(mountinfo: &str) -> impl Iterator<Item = PathBuf> {
    mountinfo.lines().filter_map(|line| {
        let (fields, file_system) = line.split_once(" - ")?;
        let mut fields = fields.split(' ').skip(3);
        let (root, path) = (fields.next()?, fields.next()?);
        let is_ours = root == "/" && file_system.split(' ').next()? == "cgroup2";
        // A path with an escaped space in it does not open, and is said so.
        is_ours.then(|| Path::new(path).to_owned())
    })
}

/// Only cgroups below the root have a type (Documentation/admin-guide/cgroup-v2.rst).
fn is_hierarchy_root(directory: &OwnedFd) -> bool {
    statat(directory.as_fd(), "cgroup.type", AtFlags::empty()).is_err()
        && statat(directory.as_fd(), "cgroup.procs", AtFlags::empty()).is_ok()
}

/// The directory's own descriptor: that of a mount cannot be asked for what lies in it.
fn mount_privately() -> io::Result<OwnedFd> {
    let mount = private_file_system("cgroup2")?;
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(
        &mount,
        ".",
        flags,
        rustix::fs::Mode::empty(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_on_every_kind_of_host() {
        let found = |text: &str| mounted_roots(text).collect::<Vec<_>>();
        let unified =
            "25 30 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(found(unified), [Path::new("/sys/fs/cgroup")]);
        let hybrid = "26 30 0:23 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      27 30 0:24 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(found(hybrid), [Path::new("/sys/fs/cgroup/unified")]);
        let container = "28 30 0:22 /system.slice/x /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        assert!(found(container).is_empty());
        assert!(found("").is_empty());
        assert!(found("no mount at all\n").is_empty());
    }
}
