//! Where protection starts: what is used, what is remembered, what is not understood.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::inventory::{BlockDevice, Inventory, Kind};
use super::super::labels::Signature;
use super::super::memory::{DeviceIdentity, Memory, Scope, identify};
use super::super::mounts::Location;
use super::super::reasons::Why;
use super::super::uses::Uses;
use super::spread::mark;

/// Marks to begin with, and the reasons that go with them.
#[derive(Default)]
pub(super) struct Seeds {
    /// (device, marks, reason).
    pub(super) marks: Vec<(u32, u16, Why)>,
    /// Devices with a mounted file system of their own, and whether it is a writable ext2/3/4.
    pub(super) mounted: HashMap<u32, bool>,
    /// Devices with a mount or swap area for which the kernel may hold no claim on them: the device
    /// is merely what the mount names as its source.
    pub(super) not_claimed: HashSet<u32>,
    /// What file systems keep on other devices, see [`Uses::beside`].
    beside: HashMap<u32, Vec<u32>>,
    /// Things in use that do not tell what they lie on: what, and the signature of its members.
    pub(super) opaque: Vec<(&'static str, Signature)>,
    pub(super) problems: Vec<String>,
}

pub(super) fn collect(inventory: &Inventory, uses: &Uses, memory: &Memory) -> Seeds {
    let index_of = |dev: &u32| inventory.index_of_dev(*dev).map(|index| index as u32);
    let mut seeds = Seeds::default();
    for (file_system, others) in &uses.beside {
        let others = others.iter().filter_map(index_of).collect();
        seeds.beside.insert(*file_system, others);
    }
    from_mounts(inventory, uses, &mut seeds);
    from_databases(inventory, uses, &mut seeds);
    from_memory(inventory, memory, &mut seeds);
    for (index, device) in inventory.devices.iter().enumerate() {
        if device.strange_holder || device.kind == Kind::Stranger {
            seeds
                .marks
                .push((index as u32, mark::CONTENT, Why::StrangeHolder));
        }
    }
    // The same reasons in the same order, however the uses were found.
    seeds
        .marks
        .sort_by(|one, other| (one.0, &one.2, one.1).cmp(&(other.0, &other.2, other.1)));
    seeds.marks.dedup();
    seeds
}

fn from_mounts(inventory: &Inventory, uses: &Uses, seeds: &mut Seeds) {
    for mount in &uses.mounts {
        let why = Why::Mount {
            point: mount.point.to_string_lossy().into(),
        };
        let claims = is_claimed(inventory, &mount.location);
        for index in roots_of(inventory, &mount.location, seeds) {
            if !claims {
                seeds.not_claimed.insert(index);
            }
            seeds.marks.push((
                index,
                mark::CONTENT | mark::DIRECT | mark::USED,
                why.clone(),
            ));
            let is_its_own = inventory.device(index as usize).dev == mount.location.dev;
            *seeds.mounted.entry(index).or_default() |= mount.ext_writable && is_its_own;
        }
    }
    for swap in &uses.swaps {
        let Some(location) = &swap.location else {
            let path = swap.path.display();
            seeds
                .problems
                .push(format!("swap {path} could not be traced to a device"));
            continue;
        };
        let own = if swap.is_file { 0 } else { mark::SWAP };
        let claims = is_claimed(inventory, location);
        for index in roots_of(inventory, location, seeds) {
            if !claims {
                seeds.not_claimed.insert(index);
            }
            let bits = mark::CONTENT | mark::DIRECT | mark::USED | own;
            seeds.marks.push((index, bits, Why::Swap));
        }
    }
}

fn from_databases(inventory: &Inventory, uses: &Uses, seeds: &mut Seeds) {
    const BITS: u16 = mark::CONTENT | mark::DIRECT | mark::CRITICAL;
    for data in &uses.data {
        let why = Why::Data {
            path: data.path.to_string_lossy().into(),
            server: data.name.as_str().into(),
            pid: data.pid,
        };
        let roots = match &data.location {
            Some(location) => roots_of(inventory, location, seeds),
            None => Vec::new(),
        };
        let expected = data.location.as_ref().is_none_or(has_device);
        if roots.is_empty() && expected {
            let path = data.path.display();
            let name = &data.name;
            seeds
                .problems
                .push(format!("{path} ({name}) could not be traced to a device"));
        }
        seeds
            .marks
            .extend(roots.into_iter().map(|index| (index, BITS, why.clone())));
    }
    for raw in &uses.raw {
        let why = Why::RawData {
            server: raw.name.as_str().into(),
            pid: raw.pid,
        };
        match inventory.index_of_dev(raw.dev) {
            Some(index) => {
                seeds.marks.push((index as u32, BITS | mark::RAW, why));
            }
            None => seeds.problems.push(format!(
                "block device {} ({}) is not among the devices in sysfs",
                Inventory::show_dev(raw.dev),
                raw.name
            )),
        }
    }
}

fn has_device(location: &Location) -> bool {
    location.dev >> guard_abi::dev::MINOR_BITS != 0
        || super::super::uses::MULTI_DEVICE.contains(&location.fs_type.as_str())
        || location.source.starts_with("/dev/")
}

/// The block devices that a file system lies on directly.
pub(super) fn roots_of(inventory: &Inventory, location: &Location, seeds: &mut Seeds) -> Vec<u32> {
    if let Some(index) = inventory.index_of_dev(location.dev) {
        let beside = seeds.beside.get(&location.dev).into_iter().flatten();
        return std::iter::once(index as u32)
            .chain(beside.copied())
            .collect();
    }
    let named: Vec<u32> = location
        .source
        .split(':')
        .filter_map(|path| inventory.find(path))
        .collect();
    match location.fs_type.as_str() {
        "btrfs" => btrfs_members(inventory, &named),
        "zfs" => {
            seeds.add_opaque("a ZFS pool", Signature::Zfs);
            Vec::new()
        }
        "bcachefs" => {
            // The source may name one member of many.
            seeds.add_opaque("a bcachefs file system", Signature::Bcachefs);
            named
        }
        _ => named,
    }
}

/// The kernel's file system, or the swap area, has its devices open exclusively (block/bdev.c
/// `bd_prepare_to_claim` by fs/super.c `get_tree_bdev`, mm/swapfile.c `claim_swapfile`, fs/btrfs/
/// volumes.c `btrfs_open_one_device`). A program behind FUSE that has a device open has not.
fn is_claimed(inventory: &Inventory, location: &Location) -> bool {
    inventory.index_of_dev(location.dev).is_some() || location.fs_type == "btrfs"
}

/// All members of the btrfs that one of the named devices belongs to; of every btrfs where the
/// name leads nowhere.
fn btrfs_members(inventory: &Inventory, named: &[u32]) -> Vec<u32> {
    let holds = |members: &&Vec<u32>| members.iter().any(|member| named.contains(member));
    let sets = || inventory.btrfs.iter().map(|(_, members)| members);
    let mut found: Vec<u32> = sets().filter(holds).flatten().copied().collect();
    if found.is_empty() {
        found = named.to_vec();
    }
    if found.is_empty() {
        found = sets().flatten().copied().collect();
    }
    found
}

impl Seeds {
    pub(super) fn add_opaque(&mut self, what: &'static str, members: Signature) {
        if !self.opaque.contains(&(what, members)) {
            self.opaque.push((what, members));
            self.opaque.sort_by_key(|(what, _)| *what);
        }
    }
}

fn from_memory(inventory: &Inventory, memory: &Memory, seeds: &mut Seeds) {
    if memory.remembered.is_empty() {
        return;
    }
    let known = Known::index(&memory.remembered);
    let mut matches = Vec::new();
    for index in 0..inventory.devices.len() {
        let own = identify(inventory, index, Scope::Content);
        let found = known.matching(&own).into_iter();
        matches.extend(found.map(|remembered| (index, remembered, remembered.same_hardware(&own))));
    }
    // Remembered devices that are there, by their drives' own word. Another drive that has the same
    // table is a copy: the spare that is to replace a mirror's disk is given it first.
    let present: HashSet<*const DeviceIdentity> = matches
        .iter()
        .filter(|(_, _, same)| *same == Some(true))
        .map(|(_, remembered, _)| std::ptr::from_ref(*remembered))
        .collect();
    for (index, remembered, same) in matches {
        let is_copy = same == Some(false) && present.contains(&std::ptr::from_ref(remembered));
        if is_copy || was_replaced(inventory, index) {
            continue;
        }
        let scope = match remembered.scope {
            Scope::Content => mark::CONTENT,
            Scope::Table => mark::TABLE,
        };
        let what: Arc<str> = remembered.why.as_str().into();
        let why = Why::Remembered {
            what,
            weak: remembered.is_weak(),
        };
        seeds.marks.push((index as u32, scope | mark::MEMORY, why));
    }
}

/// A member that was taken out of an array that lives on without it: what it holds, the array has,
/// and newer. It is added again, given away, or put back on the shelf.
fn was_replaced(inventory: &Inventory, index: usize) -> bool {
    let device = inventory.device(index);
    let Some(own) = &device.content_uuid else {
        return false;
    };
    let is_its_array = |other: &BlockDevice| match &other.kind {
        Kind::Md(array) => {
            let uuid = array
                .uuid
                .as_deref()
                .and_then(|uuid| uuid.strip_prefix("md-"));
            !other.below.is_empty() && uuid.is_some_and(|uuid| uuid.eq_ignore_ascii_case(own))
        }
        _ => false,
    };
    device.signature == Signature::MdMember
        && device.above.is_empty()
        && inventory.devices.iter().any(is_its_array)
}

/// Remembered identities by each thing they can be recognised by.
struct Known<'a> {
    all: &'a [DeviceIdentity],
    by_key: HashMap<(u8, &'a str, Option<u32>), Vec<u32>>,
}

fn keys(identity: &DeviceIdentity) -> impl Iterator<Item = (u8, &str, Option<u32>)> {
    let partition = identity.partition;
    let weak = identity.is_weak();
    [
        (0, identity.stack_uuid.as_deref(), None),
        (1, identity.partuuid.as_deref(), None),
        (2, identity.table_uuid.as_deref(), None),
        (3, identity.wwid.as_deref(), partition),
        (4, identity.serial.as_deref(), partition),
        (5, weak.then_some(identity.name.as_str()), None),
    ]
    .into_iter()
    .filter_map(|(tag, text, number)| text.map(|text| (tag, text, number)))
}

impl<'a> Known<'a> {
    fn index(all: &'a [DeviceIdentity]) -> Self {
        let mut by_key: HashMap<_, Vec<u32>> = HashMap::new();
        for (at, identity) in all.iter().enumerate() {
            for key in keys(identity) {
                by_key.entry(key).or_default().push(at as u32);
            }
        }
        Self { all, by_key }
    }

    fn matching(&self, own: &DeviceIdentity) -> Vec<&'a DeviceIdentity> {
        let mut found: Vec<u32> = keys(own)
            .filter_map(|key| self.by_key.get(&key))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .map(|at| &self.all[at as usize])
            .filter(|remembered| remembered.same_device(own))
            .collect()
    }
}
