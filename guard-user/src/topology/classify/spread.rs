//! Carrying protection through the stacks.
//!
//! Downwards everything that lies below a protected device is protected. Upwards it depends on
//! who lies above: a partition of a disk whose *other* partition is protected is free, a logical
//! volume beside a protected one is free (LVM gives no extent twice), anything else would write
//! into protected data under another name.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::super::inventory::{BlockDevice, Inventory, Kind, VolumeGroup};
use super::super::labels::Signature;
use super::super::lvm::{LvmUuid, is_internal, split_dm_name};
use super::super::reasons::Why;
use super::seeds::Seeds;

/// Marks of a device. A device is protected if it has one of [`mark::PROTECTED`].
pub(super) mod mark {
    /// All that it contains is protected.
    pub(in super::super) const CONTENT: u16 = 1 << 0;
    /// Some partition of it is.
    pub(in super::super) const TABLE: u16 = 1 << 1;
    /// It lies over a protected device, in a way that is not disjoint.
    pub(in super::super) const OVERLAY: u16 = 1 << 2;
    /// Mounted, swapped to, or opened by a database: itself, not through another device.
    pub(in super::super) const DIRECT: u16 = 1 << 3;
    /// Used by the running system.
    pub(in super::super) const USED: u16 = 1 << 4;
    /// Carries critical data now.
    pub(in super::super) const CRITICAL: u16 = 1 << 5;
    /// Is remembered to have carried critical data.
    pub(in super::super) const MEMORY: u16 = 1 << 6;
    /// A database uses it raw.
    pub(in super::super) const RAW: u16 = 1 << 7;
    /// An active swap area.
    pub(in super::super) const SWAP: u16 = 1 << 8;
    /// Not protected itself, but on a drive that is.
    pub(in super::super) const DRIVE: u16 = 1 << 9;

    /// Any of these: protected.
    pub(in super::super) const PROTECTED: u16 = CONTENT | TABLE | OVERLAY;
    /// Passed on to what lies below.
    pub(super) const INHERITED: u16 = USED | CRITICAL | MEMORY;
}

/// Marks of all devices, by index.
pub(super) struct Marks {
    bits: Vec<u16>,
}

impl Marks {
    pub(super) fn of(&self, index: usize) -> u16 {
        self.bits[index]
    }

    pub(super) fn is_protected(&self, index: usize) -> bool {
        self.bits[index] & mark::PROTECTED != 0
    }
}

/// Spreads the seeds until nothing changes. Reasons that are found on the way (a volume group in
/// use, members of a pool) become seeds too, so that they are told like the others.
pub(super) fn spread(inventory: &Inventory, seeds: &mut Seeds) -> Marks {
    let mut work = Work {
        inventory,
        marks: Marks {
            bits: vec![0; inventory.devices.len()],
        },
        queue: VecDeque::new(),
    };
    let mut next = 0;
    loop {
        while next < seeds.marks.len() {
            let (index, bits, _) = seeds.marks[next];
            work.add(index as usize, bits);
            next += 1;
        }
        work.run();
        seeds.marks.extend(work.group_members());
        work.find_opaque(seeds);
        seeds.marks.extend(work.opaque_members(seeds));
        if next == seeds.marks.len() {
            break;
        }
    }
    work.mark_drives();
    work.marks
}

struct Work<'a> {
    inventory: &'a Inventory,
    marks: Marks,
    queue: VecDeque<u32>,
}

impl Work<'_> {
    fn add(&mut self, index: usize, bits: u16) {
        let before = self.marks.bits[index];
        if before | bits != before {
            self.marks.bits[index] = before | bits;
            self.queue.push_back(index as u32);
        }
    }

    /// Each device is queued at most once for each mark it gains, so this is linear in the edges.
    fn run(&mut self) {
        while let Some(index) = self.queue.pop_front() {
            let index = index as usize;
            let inventory = self.inventory;
            let device = inventory.device(index);
            if self.marks.is_protected(index) {
                let bits = self.marks.of(index) & mark::INHERITED;
                let how = if is_partition(device) {
                    mark::TABLE
                } else {
                    mark::CONTENT
                };
                for below in &device.below {
                    self.add(*below as usize, bits | how);
                }
                for above in &device.above {
                    if self.overlaps(*above as usize) {
                        self.add(*above as usize, mark::OVERLAY);
                    }
                }
            }
        }
    }

    /// A write to this device would land in protected data.
    fn overlaps(&self, upper: usize) -> bool {
        let device = self.inventory.device(upper);
        let mut lower = device
            .below
            .iter()
            .map(|below| *below as usize)
            .filter(|below| self.marks.is_protected(*below));
        if is_partition(device) {
            // Protected merely as the disk of another partition: this one is beside it.
            return lower.any(|disk| self.marks.of(disk) & mark::PROTECTED != mark::TABLE);
        }
        match lvm(device) {
            Some(volume) => lower.any(|lower| !self.is_disjoint(device, &volume, lower)),
            None => lower.next().is_some(),
        }
    }

    /// A logical volume that shares no extent with what is protected on a device below it.
    fn is_disjoint(&self, volume: &BlockDevice, own: &Volume<'_>, lower: usize) -> bool {
        let below = self.inventory.device(lower);
        if let Some(layer) = lvm(below) {
            let has_layer = |name: &str| {
                volume.below.iter().any(|index| {
                    lvm(self.inventory.device(*index as usize))
                        .is_some_and(|other| other.uuid.layer == name)
                })
            };
            if own.internal {
                return false;
            }
            return match layer.uuid.layer {
                // A thin volume writes to blocks of its own alone.
                "tpool" => true,
                // A snapshot writes to its own store; a thin one with an external origin to its
                // pool. The origin itself (only `-real` below it) writes through.
                "real" => has_layer("cow") || has_layer("tpool"),
                _ => false,
            };
        }
        let bits = self.marks.of(lower);
        // A device that is mounted or written raw is no physical volume, whatever the UUID of the
        // node above claims.
        let physical = bits & mark::CONTENT != 0 && bits & (mark::DIRECT | mark::OVERLAY) == 0;
        physical && matches!(below.signature, Signature::LvmMember | Signature::Unknown)
    }

    /// Physical volumes of groups that have a volume in use: LVM keeps the group's metadata there.
    fn group_members(&self) -> Vec<(u32, u16, Why)> {
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
    fn opaque_members(&self, seeds: &Seeds) -> Vec<(u32, u16, Why)> {
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

    /// What is free on a drive that is protected: commands for the whole drive reach it through
    /// partitions, through stacks, and through another namespace of the same NVMe subsystem.
    fn mark_drives(&mut self) {
        let inventory = self.inventory;
        let protected = |index: usize| self.marks.is_protected(index);
        let buses: std::collections::HashSet<_> = inventory
            .devices
            .iter()
            .enumerate()
            .filter(|(index, _)| protected(*index))
            .filter_map(|(_, device)| device.bus.as_ref())
            .collect();
        let mut reached: Vec<u32> = (0..inventory.devices.len())
            .filter(|index| {
                protected(*index)
                    || inventory
                        .device(*index)
                        .bus
                        .as_ref()
                        .is_some_and(|bus| buses.contains(bus))
            })
            .map(|index| index as u32)
            .collect();
        let mut seen = vec![false; inventory.devices.len()];
        while let Some(index) = reached.pop() {
            if std::mem::replace(&mut seen[index as usize], true) {
                continue;
            }
            self.marks.bits[index as usize] |= mark::DRIVE;
            reached.extend(&inventory.device(index as usize).above);
        }
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

/// A partition of the kernel's, or one that kpartx made of a multipath device (`part1-mpath-…`,
/// multipath-tools kpartx/devmapper.c).
pub(super) fn is_partition(device: &BlockDevice) -> bool {
    match &device.kind {
        Kind::Partition(_) => true,
        Kind::DeviceMapper { uuid, .. } => uuid
            .strip_prefix("part")
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(number, of)| {
                !number.is_empty()
                    && number.bytes().all(|byte| byte.is_ascii_digit())
                    && of.starts_with("mpath-")
            }),
        _ => false,
    }
}

/// A device-mapper node that LVM made.
pub(super) struct Volume<'a> {
    pub(super) uuid: LvmUuid<'a>,
    pub(super) dm_name: &'a str,
    /// Hidden from people.
    pub(super) internal: bool,
}

impl Volume<'_> {
    pub(super) fn group_name(&self) -> Arc<str> {
        split_dm_name(self.dm_name).map_or_else(|| self.dm_name.into(), |(group, _)| group.into())
    }
}

pub(super) fn lvm(device: &BlockDevice) -> Option<Volume<'_>> {
    let Kind::DeviceMapper { name, uuid } = &device.kind else {
        return None;
    };
    let uuid = LvmUuid::parse(uuid)?;
    Some(Volume {
        uuid,
        dm_name: name,
        internal: is_internal(&uuid, name),
    })
}
