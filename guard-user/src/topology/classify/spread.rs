//! Carrying protection through the stacks.
//!
//! Downwards everything that lies below a protected device is protected. Upwards it depends on
//! who lies above: a partition of a disk whose *other* partition is protected is free, a logical
//! volume beside a protected one is free (LVM gives no extent twice), anything else would write
//! into protected data under another name.

use std::collections::VecDeque;

use super::super::inventory::{BlockDevice, Inventory, Kind};
use super::super::labels::Signature;
use super::kinds::{Volume, is_container, is_copy, is_partition, is_user, lvm};
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

    /// It lies below a device that merely lies over a protected one.
    pub(in super::super) const HELD: u16 = 1 << 10;

    /// Any of these: protected.
    pub(in super::super) const PROTECTED: u16 = CONTENT | TABLE | OVERLAY | HELD;
    /// Passed on to what lies below.
    pub(in super::super) const INHERITED: u16 = USED | CRITICAL | MEMORY;
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
    let count = inventory.devices.len();
    let mut work = Work {
        inventory,
        marks: Marks {
            bits: vec![0; count],
        },
        seeded: vec![Seeded::default(); count],
        users: vec![0; count],
        queue: VecDeque::new(),
        upwards: false,
    };
    let mut next = work.sow(seeds, 0);
    // Downwards first: what is remembered must be known before what lies over it is judged.
    work.run();
    work.upwards = true;
    work.queue.extend(0..count as u32);
    loop {
        work.run();
        let members = work.members(seeds);
        seeds.marks.extend(members);
        if next == seeds.marks.len() {
            break;
        }
        next = work.sow(seeds, next);
    }
    work.mark_drives();
    work.marks
}

/// Where the protection of all of a device comes from, other than from devices above it.
#[derive(Clone, Copy, Default)]
struct Seeded {
    by_use: bool,
    by_memory: bool,
}

pub(super) struct Work<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) marks: Marks,
    seeded: Vec<Seeded>,
    /// Devices above that count as users, see [`is_user`].
    users: Vec<u32>,
    queue: VecDeque<u32>,
    upwards: bool,
}

/// Used, by itself or through what lies above; not merely over a protected device.
const USER: u16 = mark::CONTENT | mark::TABLE;

impl Work<'_> {
    /// Adds the seeds from `next` on; gives the place of the next ones.
    fn sow(&mut self, seeds: &Seeds, next: usize) -> usize {
        for (index, bits, _) in &seeds.marks[next..] {
            let seeded = &mut self.seeded[*index as usize];
            if bits & mark::CONTENT != 0 {
                seeded.by_memory |= bits & mark::MEMORY != 0;
                seeded.by_use |= bits & mark::MEMORY == 0;
            }
            self.add(*index as usize, *bits);
        }
        seeds.marks.len()
    }

    fn add(&mut self, index: usize, bits: u16) {
        let before = self.marks.bits[index];
        let after = before | bits;
        if after == before {
            return;
        }
        self.marks.bits[index] = after;
        self.queue.push_back(index as u32);
        let device = self.inventory.device(index);
        if !is_user(device, before) && is_user(device, after) {
            for below in &device.below {
                let users = &mut self.users[*below as usize];
                *users += 1;
                // "Used by another" changes its answer at the first user and at the second.
                if *users <= 2 {
                    self.queue.push_back(*below);
                }
            }
        }
    }

    /// A device is queued once for each mark and twice for its users, so this is linear in the
    /// edges.
    fn run(&mut self) {
        while let Some(index) = self.queue.pop_front() {
            let index = index as usize;
            if !self.marks.is_protected(index) {
                continue;
            }
            let device = self.inventory.device(index);
            let bits = self.marks.of(index) & mark::INHERITED;
            let how = match (is_partition(device), self.marks.of(index) & USER != 0) {
                (_, false) => mark::HELD,
                (true, true) => mark::TABLE,
                (false, true) => mark::CONTENT,
            };
            for below in &device.below {
                self.add(*below as usize, bits | how);
            }
            if !self.upwards {
                continue;
            }
            for above in &device.above {
                if self.overlaps(*above as usize) {
                    self.add(*above as usize, mark::OVERLAY);
                }
            }
        }
    }

    /// A write to this device would land in data that is protected for another reason than this
    /// device itself.
    fn overlaps(&self, upper: usize) -> bool {
        let device = self.inventory.device(upper);
        let mut lower = device
            .below
            .iter()
            .map(|below| *below as usize)
            .filter(|below| self.marks.is_protected(*below));
        if is_partition(device) {
            // Protected merely as the disk of another partition: this one is beside it.
            let whole = mark::CONTENT | mark::OVERLAY;
            return lower.any(|disk| self.marks.of(disk) & whole != 0);
        }
        match lvm(device) {
            Some(volume) => lower.any(|lower| {
                self.is_used_by_another(upper, lower) && !self.is_disjoint(device, &volume, lower)
            }),
            None => lower.any(|lower| self.is_used_by_another(upper, lower)),
        }
    }

    fn is_used_by_another(&self, upper: usize, lower: usize) -> bool {
        let seeded = self.seeded[lower];
        // What is remembered below a remembered device is remembered because of it.
        let remembered = seeded.by_memory && self.marks.of(upper) & mark::MEMORY == 0;
        let counts = is_user(self.inventory.device(upper), self.marks.of(upper));
        // The volumes of a container and the container lie on the same disks by right.
        let is_array = matches!(self.inventory.device(upper).kind, Kind::Md(_));
        let in_container = || {
            self.inventory.device(lower).above.iter().any(|above| {
                self.marks.is_protected(*above as usize)
                    && is_container(self.inventory.device(*above as usize))
            })
        };
        seeded.by_use
            || remembered
            || self.marks.of(lower) & mark::OVERLAY != 0
            || self.users[lower] > u32::from(counts)
            || (!is_array && in_container())
    }

    /// A logical volume that shares no extent with what is protected on a device below it.
    fn is_disjoint(&self, volume: &BlockDevice, own: &Volume<'_>, lower: usize) -> bool {
        let below = self.inventory.device(lower);
        if let Some(layer) = lvm(below) {
            if own.internal {
                return false;
            }
            return match layer.uuid.layer {
                // A thin volume writes to blocks of its own alone.
                "tpool" => true,
                // A snapshot writes to its own store; a thin one with an external origin to its
                // pool. The origin itself (only `-real` below it) writes through.
                "real" => is_copy(self.inventory, volume),
                _ => false,
            };
        }
        let bits = self.marks.of(lower);
        // A device that is mounted, partitioned or under another stack is no physical volume,
        // whatever the UUID of the node above claims.
        let otherwise = mark::DIRECT | mark::OVERLAY | mark::TABLE;
        let physical = bits & (mark::CONTENT | mark::HELD) != 0 && bits & otherwise == 0;
        // udev's record is late where the volume has only just been made. What is remembered for
        // itself may have no signature at all, and must not be taken for one.
        let unmarked = match below.signature {
            Signature::LvmMember | Signature::Unknown => true,
            Signature::Nothing => !self.seeded[lower].by_memory,
            _ => false,
        };
        physical && unmarked
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
