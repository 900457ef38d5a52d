//! Devices that a mounted file system uses beside the one that it is known by: a journal of ext, a log
//! and a realtime volume of XFS, a log of ReiserFS. The mount table names none of them as a source,
//! sysfs joins nothing to them, and to lose one is to lose the file system.

use std::collections::{BTreeMap, BTreeSet};

use guard_abi::dev;

use super::mounts::Mount;
use super::{Inventory, Roots, attributes};

/// Goes through the mounts of a host.
pub(super) struct Search<'a> {
    roots: &'a Roots,
    inventory: &'a Inventory,
    /// Names in `/proc/fs/jbd2`.
    journals: Vec<String>,
    found: BTreeMap<u32, BTreeSet<u32>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(roots: &'a Roots, inventory: &'a Inventory) -> Self {
        let journals = attributes::list_path(&roots.proc.join("fs/jbd2")).unwrap_or_default();
        Self {
            roots,
            inventory,
            journals,
            found: BTreeMap::new(),
        }
    }

    /// Looks at a mount; once for each file system is enough.
    pub(super) fn add(&mut self, mount: &Mount) {
        if dev::major(mount.dev) == 0 {
            return;
        }
        let mut others: BTreeSet<u32> = self.in_options(mount).collect();
        if mount.is_ext() || mount.fs_type == "ocfs2" {
            others.extend(self.journals_of(mount));
        }
        others.remove(&mount.dev);
        if !others.is_empty() {
            self.found.entry(mount.dev).or_default().extend(others);
        }
    }

    /// By dev_t of the file system.
    pub(super) fn found(self) -> BTreeMap<u32, Vec<u32>> {
        let sorted = |(dev, others): (u32, BTreeSet<u32>)| (dev, others.into_iter().collect());
        self.found.into_iter().map(sorted).collect()
    }

    /// Every option that names a device: `logdev` and `rtdev` of XFS (fs/xfs/xfs_super.c
    /// `xfs_fs_show_options`), `jdev` of ReiserFS, and what is of their kind.
    fn in_options(&self, mount: &Mount) -> impl Iterator<Item = u32> {
        let values = mount.options.split(',').filter_map(|option| {
            let (_, value) = option.split_once('=')?;
            value.starts_with("/dev/").then_some(value)
        });
        values.filter_map(|path| self.inventory.resolve(self.roots, path))
    }

    /// Journals on devices of their own. The kernel names a journal by its device, and by its inode
    /// behind a dash where it is a file of the file system's own (fs/jbd2/journal.c
    /// `jbd2_journal_init_dev`, `jbd2_journal_init_inode`). It does not say whose a device is: any
    /// file system's that has no journal of its own.
    fn journals_of(&self, mount: &Mount) -> Vec<u32> {
        let Some(device) = self.inventory.by_dev(mount.dev) else {
            return Vec::new();
        };
        // As `strreplace` has it there.
        let own = format!("{}-", device.name.replace('/', "!"));
        let is_own = |name: &&String| {
            let inode = name.strip_prefix(&own);
            inode.is_some_and(|inode| inode.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if self.journals.iter().any(|name| is_own(&name)) {
            return Vec::new();
        }
        let device_of = |name: &String| self.inventory.by_name(&name.replace('!', "/"));
        let devices = self.journals.iter().filter_map(device_of);
        devices.map(|device| device.dev).collect()
    }
}
