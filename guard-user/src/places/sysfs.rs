//! Directories of sysfs through which a protected device can be taken away: its own, those of
//! everything that it hangs on up to its bus, of the drivers that serve these, of MD arrays and
//! bcache sets; and `/sys/power`.
//!
//! Only directories that hold one of the names of [`guard_abi::NAMED_FILES`] are told: of 10,000
//! SCSI disks there is one directory each, because disk, `sg` and `bsg` node share their LUN's.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use guard_abi::{
    DeviceClass, DeviceKind, FileSystem, PlaceEntry, PlaceKind, dev, device_flag, place_id,
};

use super::{Facts, Places};
use crate::topology::Classified;

/// Block devices whose own directory has knobs; of others it is only the directories above.
const OWN_KNOBS: [&str; 3] = ["zram", "mmcblk", "rbd"];
/// Directories that only sort what is below them (drivers/base/core.c `class_dir_create_and_add`).
const GLUE: [&str; 4] = ["block", "nvme", "scsi_host", "virtual"];

/// Adds what it finds.
pub(super) fn find(facts: Facts<'_>, places: &mut Places) {
    let mut walk = Walk {
        sys: &facts.roots.sys,
        slots: slots(&facts.roots.sys),
        places,
        seen: HashMap::new(),
        last: PathBuf::new(),
        claimed: None,
    };
    walk.add(&walk.sys.join("power"), PlaceKind::Power);
    for device in &facts.devices.devices {
        if device.class() == DeviceClass::Protected {
            walk.device(device);
        }
    }
}

struct Walk<'a> {
    sys: &'a Path,
    /// PCI slots by the address of what is in them, without its function.
    slots: HashMap<String, PathBuf>,
    places: &'a mut Places,
    /// Inode numbers of what has been added, and where.
    seen: HashMap<u64, usize>,
    /// The device before: neighbours share most of what they hang on.
    last: PathBuf,
    /// The disk that is walked, where it is protected for nothing but being in use: what takes away it
    /// alone is a matter of its claims.
    claimed: Option<u32>,
}

impl Walk<'_> {
    fn device(&mut self, device: &Classified) {
        let is_block = device.key.kind == DeviceKind::Block as u32;
        // Other character devices hang on the same as the drive that they reach.
        if !is_block && !device.name.starts_with("nvme") {
            return;
        }
        let kind = if is_block { "block" } else { "char" };
        let number = device.key.dev;
        let link = format!("dev/{kind}/{}:{}", dev::major(number), dev::minor(number));
        // Without a link the device is gone.
        let Some(own) = self.resolve(&self.sys.join(link)) else {
            return;
        };
        let is_whole = is_block && !own.join("partition").exists();
        let is_claimed = device.entry.flags & device_flag::CLAIMED != 0;
        self.claimed = (is_whole && is_claimed).then_some(number);
        if !is_block || OWN_KNOBS.iter().any(|name| device.name.starts_with(name)) {
            self.add_with_driver(&own);
        }
        if is_block {
            self.stacks(&own, &device.name);
        }
        let above = own.parent().map(Path::to_path_buf).unwrap_or_default();
        self.hangs_on(&above);
        self.last = above;
    }

    /// Every directory from `path` up to its bus.
    fn hangs_on(&mut self, path: &Path) {
        let top = self.sys.join("devices");
        for directory in path.ancestors() {
            if directory == top || !directory.starts_with(&top) {
                break;
            }
            if self.last.starts_with(directory) {
                self.share(directory, &top);
                break;
            }
            let name = directory.file_name().unwrap_or_default();
            let sorts = GLUE.iter().any(|glue| name == *glue);
            let is_target = name.as_encoded_bytes().starts_with(b"target");
            if !sorts && !is_target {
                self.add_with_driver(directory);
            }
            if let Some((device, _)) = name.to_str().and_then(|name| name.rsplit_once('.'))
                && let Some(slot) = self.slots.get(device).cloned()
            {
                self.add(&slot, PlaceKind::Device);
            }
            if name.as_encoded_bytes().starts_with(b"host") {
                self.host(directory);
            }
        }
    }

    /// Several devices hang on these directories: no claim on one of them decides.
    fn share(&mut self, from: &Path, top: &Path) {
        for directory in from.ancestors().take_while(|directory| *directory != top) {
            let Ok(metadata) = fs::metadata(directory) else {
                continue;
            };
            let Some(at) = self.seen.get(&metadata.ino()) else {
                continue;
            };
            let entry = &mut self.places.entries[*at].1;
            if entry.condition == PlaceEntry::ALWAYS {
                return;
            }
            counts_always(entry);
        }
    }

    /// What the classes of SCSI hosts and their transports have beside a host: its state, resets of it
    /// and of its links (drivers/scsi/scsi_sysfs.c, scsi_transport_fc.c, scsi_transport_sas.c).
    fn host(&mut self, host: &Path) {
        let name = host.file_name().unwrap_or_default();
        for class in ["scsi_host", "fc_host", "sas_host", "iscsi_host"] {
            self.add(&host.join(class).join(name), PlaceKind::Device);
        }
        for entry in fs::read_dir(host).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let class = match name.as_encoded_bytes() {
                [b'r', b'p', b'o', b'r', b't', b'-', ..] => "fc_remote_ports",
                [b'p', b'h', b'y', b'-', ..] => "sas_phy",
                _ => continue,
            };
            self.add(&entry.path().join(class).join(&name), PlaceKind::Device);
        }
    }

    /// MD arrays with their members, bcache devices with their sets.
    fn stacks(&mut self, own: &Path, name: &str) {
        if name.starts_with("md") {
            let array = own.join("md");
            self.add(&array, PlaceKind::Array);
            for entry in fs::read_dir(&array).into_iter().flatten().flatten() {
                if entry.file_name().as_encoded_bytes().starts_with(b"dev-") {
                    self.add(&entry.path(), PlaceKind::Member);
                }
            }
        }
        if name.starts_with("rbd") {
            self.add(&self.sys.join("bus/rbd"), PlaceKind::Driver);
        }
        // Of a bcache device it is a link to that of its backing device.
        if let Ok(cache) = fs::canonicalize(own.join("bcache")) {
            self.add(&cache, PlaceKind::Device);
            for set in ["cache", "set"] {
                if let Some(set) = self.resolve(&cache.join(set)) {
                    self.add(&set, PlaceKind::Device);
                }
            }
        }
    }

    fn add_with_driver(&mut self, directory: &Path) {
        self.add_while(directory, PlaceKind::Device, self.claimed);
        if let Some(driver) = self.resolve(&directory.join("driver")) {
            self.add(&driver, PlaceKind::Driver);
        }
    }

    fn add(&mut self, directory: &Path, kind: PlaceKind) -> bool {
        self.add_while(directory, kind, None)
    }

    /// With the device whose claims decide, if there is one. False where there is no such directory.
    fn add_while(&mut self, directory: &Path, kind: PlaceKind, claimed: Option<u32>) -> bool {
        // One tree in every mount, so the inode number alone tells; see `is_one_tree`.
        let Ok(metadata) = fs::metadata(directory) else {
            return false;
        };
        let (condition, operand) = match claimed {
            Some(number) => (PlaceEntry::WHILE_CLAIMED, number),
            None => (PlaceEntry::ALWAYS, 0),
        };
        let entry = PlaceEntry {
            kind: kind as u16,
            condition,
            operand,
        };
        match self.seen.entry(metadata.ino()) {
            Entry::Vacant(vacant) => {
                let id = place_id(FileSystem::Sysfs, 0, metadata.ino());
                vacant.insert(self.places.entries.len());
                self.places.entries.push((id, entry));
            }
            Entry::Occupied(occupied) => {
                let known = &mut self.places.entries[*occupied.get()].1;
                if (known.condition, known.operand) != (condition, operand) {
                    counts_always(known);
                }
            }
        }
        true
    }

    /// Where a link of sysfs leads. They are all relative, and pass through no other link.
    fn resolve(&self, link: &Path) -> Option<PathBuf> {
        let target = fs::read_link(link).ok()?;
        let mut path = link.parent()?.to_path_buf();
        for part in target.components() {
            match part {
                Component::ParentDir => {
                    path.pop();
                }
                Component::Normal(name) => path.push(name),
                _ => {}
            }
        }
        path.starts_with(self.sys).then_some(path)
    }
}

/// No claim decides any more.
const fn counts_always(entry: &mut PlaceEntry) {
    entry.condition = PlaceEntry::ALWAYS;
    entry.operand = 0;
}

/// Slots whose power can be switched off: `/sys/bus/pci/slots/NAME/address`, `DOMAIN:BUS:DEVICE`.
fn slots(sys: &Path) -> HashMap<String, PathBuf> {
    let entries = fs::read_dir(sys.join("bus/pci/slots"))
        .into_iter()
        .flatten();
    let slot = |path: PathBuf| {
        let address = fs::read_to_string(path.join("address")).ok()?;
        Some((address.trim().to_owned(), path))
    };
    entries
        .flatten()
        .filter_map(|entry| slot(entry.path()))
        .collect()
}

#[cfg(test)]
#[path = "sysfs_tests.rs"]
mod tests;
