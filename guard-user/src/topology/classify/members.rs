//! What is protected because of what it is a member of, where no link in sysfs says so.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::inventory::{BlockDevice, Kind, VolumeGroup};
use super::super::labels::Signature;
use super::super::reasons::Why;
use super::kinds::lvm;
use super::seeds::{Seeds, roots_of};
use super::shown;
use super::spread::{Work, mark};

/// Devices to protect, with their marks and the reason.
type Found = Vec<(u32, u16, Why)>;

impl Work<'_> {
    /// Everything that follows from the marks of this moment.
    pub(super) fn members(&self, seeds: &mut Seeds) -> Found {
        let mut found = self.group_members();
        self.find_opaque(seeds);
        found.extend(self.opaque_members(seeds));
        found.extend(self.boot_partitions());
        found.extend(self.below_files(seeds));
        found.extend(self.other_paths());
        found
    }

    /// The same drive by another name: a second path to a LUN that no multipath device joins. What one
    /// carries, the other does.
    fn other_paths(&self) -> Found {
        let carried = mark::CONTENT | mark::TABLE | mark::INHERITED;
        let mut found = Vec::new();
        for drive in &self.inventory.same_drives {
            for one in drive {
                let bits = self.marks.of(*one as usize) & carried;
                if bits & (mark::CONTENT | mark::TABLE) == 0 {
                    continue;
                }
                for other in drive {
                    if self.marks.of(*other as usize) & bits != bits {
                        let name = shown(self.inventory, *one as usize);
                        found.push((*other, bits, Why::SameDrive { name }));
                    }
                }
            }
        }
        found
    }

    /// Physical volumes of groups that have a volume in use: LVM keeps the group's metadata there.
    fn group_members(&self) -> Found {
        let mut groups: HashMap<&str, Arc<str>> = HashMap::new();
        for (index, device) in self.inventory.devices.iter().enumerate() {
            if let Some(volume) = lvm(device)
                && self.marks.of(index) & (mark::CONTENT | mark::TABLE) != 0
            {
                groups
                    .entry(volume.uuid.group)
                    .or_insert_with(|| volume.group_name());
            }
        }
        if groups.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut protect = |index: usize, group: &Arc<str>| {
            if self.marks.of(index) & mark::CONTENT == 0 {
                let why = Why::SameGroup {
                    group: group.clone(),
                };
                found.push((index as u32, mark::CONTENT, why));
            }
        };
        for (index, device) in self.inventory.devices.iter().enumerate() {
            if let Some(group) = lvm(device).and_then(|volume| groups.get(volume.uuid.group)) {
                for below in &device.below {
                    if lvm(self.inventory.device(*below as usize)).is_none() {
                        protect(*below as usize, group);
                    }
                }
            }
            let member_of = match &device.volume_group {
                VolumeGroup::None => None,
                VolumeGroup::Uuid(uuid) => groups.get(&**uuid),
                VolumeGroup::Name(name) => groups.values().find(|group| ***group == **name),
                // Which group is not known: it may be this one. Any name will do for the reason.
                VolumeGroup::Unknown => groups.values().min(),
            };
            if let Some(group) = member_of {
                protect(index, group);
            }
        }
        found.sort_by(|one, other| (one.0, &one.2).cmp(&(other.0, &other.2)));
        found.dedup();
        found
    }

    /// A protected loop device over a file: the file system that the file lies on carries it.
    fn below_files(&self, seeds: &mut Seeds) -> Found {
        let mut found = Vec::new();
        for (index, device) in self.inventory.devices.iter().enumerate() {
            let bits = self.marks.of(index) & mark::INHERITED;
            let Some(location) = device.file_on.as_deref().filter(|_| bits != 0) else {
                continue;
            };
            for root in roots_of(self.inventory, location, seeds) {
                if self.marks.of(root as usize) & bits == bits {
                    continue;
                }
                let own = seeds.marks.iter().filter(|(at, ..)| *at as usize == index);
                let reasons = own.map(|(_, _, why)| why.clone());
                let below = Why::Below {
                    name: shown(self.inventory, index),
                };
                let marks = mark::CONTENT | bits;
                found.extend(reasons.chain([below]).map(|why| (root, marks, why)));
            }
        }
        found
    }

    /// Boot partitions beside the running system, mounted or not: a BIOS boot partition never is,
    /// and many hosts mount the EFI system partition only when they write to it.
    fn boot_partitions(&self) -> Found {
        let beside_system = |device: &BlockDevice| {
            device
                .disk
                .is_some_and(|disk| self.marks.of(disk as usize) & mark::USED != 0)
        };
        self.inventory
            .devices
            .iter()
            .enumerate()
            .filter(|(index, device)| {
                device.boots && self.marks.of(*index) & mark::USED == 0 && beside_system(device)
            })
            .map(|(index, _)| (index as u32, mark::CONTENT | mark::USED, Why::Boot))
            .collect()
    }

    /// Devices in use whose driver does not say what lies below.
    fn find_opaque(&self, seeds: &mut Seeds) {
        for (index, device) in self.inventory.devices.iter().enumerate() {
            if self.marks.is_protected(index) && device.below.is_empty() {
                match device.kind {
                    Kind::Opaque("drbd") => seeds.add_opaque("DRBD", Signature::Drbd),
                    Kind::Opaque(_) => seeds.add_opaque("a ZFS pool", Signature::Zfs),
                    _ => {}
                }
            }
        }
    }

    /// Members by their signature; where none has it, everything that could be one.
    fn opaque_members(&self, seeds: &Seeds) -> Found {
        let mut found = Vec::new();
        for (what, signature) in &seeds.opaque {
            let devices = || self.inventory.devices.iter().enumerate();
            let known: Vec<usize> = devices()
                .filter(|(_, device)| device.signature == *signature)
                .map(|(index, _)| index)
                .collect();
            let members = if known.is_empty() {
                devices()
                    .filter(|(_, device)| could_be(device))
                    .map(|(index, _)| index)
                    .collect()
            } else {
                known
            };
            for index in members {
                if self.marks.of(index) & mark::CONTENT == 0 {
                    found.push((
                        index as u32,
                        mark::CONTENT | mark::USED,
                        Why::MayBack { what },
                    ));
                }
            }
        }
        found
    }
}

/// Could lie below a stack that does not name its members: nobody else lies on it, and nothing
/// says that it contains something else.
fn could_be(device: &BlockDevice) -> bool {
    device.above.is_empty()
        && device.sectors > 0
        && !device.removable
        && matches!(device.signature, Signature::Unknown | Signature::Nothing)
        && matches!(
            device.kind,
            Kind::Disk | Kind::Partition(_) | Kind::DeviceMapper { .. } | Kind::Md(_)
        )
}
