//! Marks turned into the entries of the kernel's map.

use std::collections::{BTreeMap, BTreeSet};

use guard_abi::{DeviceClass, DeviceEntry, DeviceKey, PassthroughKind, device_flag};

use super::super::inventory::{BlockDevice, CharNode, Inventory, Kind};
use super::super::labels::Signature;
use super::super::lvm::{dm_name, is_pool_metadata, split_dm_name};
use super::super::memory::{Memory, Scope, identify};
use super::super::reasons::Why;
use super::Classified;
use super::claims;
use super::explain::Explainer;
use super::inactive;
use super::kinds::lvm;
use super::seeds::Seeds;
use super::spread::{Marks, mark};

pub(super) fn all(
    inventory: &Inventory,
    seeds: &Seeds,
    marks: &Marks,
    reasons: &Explainer<'_>,
) -> Vec<Classified> {
    let mut devices = Vec::with_capacity(inventory.devices.len() + inventory.nodes.len());
    let boot_disks = boot_disks(inventory, seeds);
    let claimed = claims::hold_all(inventory, seeds, marks);
    for (index, claimed) in claimed.into_iter().enumerate() {
        let mut device = block(inventory, seeds, marks, reasons, index);
        if device.class() == DeviceClass::Protected {
            device.entry.flags |= boot_flags(inventory.device(index), boot_disks.contains(&index));
            if claimed {
                device.entry.flags |= device_flag::CLAIMED;
            }
        }
        devices.push(device);
    }
    let hosts = protected_hosts(inventory, marks);
    for node in &inventory.nodes {
        devices.extend(passthrough(inventory, marks, reasons, &hosts, node));
    }
    devices
}

/// Whole disks below the file systems that the machine boots from: where boot sectors are.
fn boot_disks(inventory: &Inventory, seeds: &Seeds) -> BTreeSet<usize> {
    let boots = |why: &Why| match why {
        Why::Mount { point } => matches!(&**point, "/" | "/boot" | "/boot/efi" | "/efi"),
        _ => false,
    };
    let mut left: Vec<usize> = seeds
        .marks
        .iter()
        .filter(|(_, _, why)| boots(why))
        .map(|(index, _, _)| *index as usize)
        .collect();
    let mut seen = BTreeSet::new();
    let mut disks = BTreeSet::new();
    while let Some(index) = left.pop() {
        if !seen.insert(index) {
            continue;
        }
        let below = &inventory.device(index).below;
        if below.is_empty() {
            disks.insert(index);
        }
        left.extend(below.iter().map(|below| *below as usize));
    }
    disks
}

fn boot_flags(device: &BlockDevice, is_boot_disk: bool) -> u32 {
    match (device.boots, is_boot_disk) {
        (true, _) => device_flag::BOOT_DISK | device_flag::BOOT_PARTITION,
        (false, true) => device_flag::BOOT_DISK,
        (false, false) => 0,
    }
}

fn block(
    inventory: &Inventory,
    seeds: &Seeds,
    marks: &Marks,
    reasons: &Explainer<'_>,
    index: usize,
) -> Classified {
    let device = inventory.device(index);
    let bits = marks.of(index);
    let (class, flags) = if marks.is_protected(index) {
        (
            DeviceClass::Protected,
            protected_flags(inventory, seeds, index, bits),
        )
    } else if bits & mark::DRIVE != 0 {
        (DeviceClass::Free, device_flag::DISK_PROTECTED)
    } else {
        (DeviceClass::Free, 0)
    };
    let identity = (flags & device_flag::CRITICAL_DATA != 0).then(|| {
        let scope = if bits & mark::CONTENT == 0 {
            Scope::Table
        } else {
            Scope::Content
        };
        identify(inventory, index, scope)
    });
    let mut why = reasons.of(index);
    why.shrink_to_fit();
    Classified {
        key: DeviceKey::block(device.dev),
        entry: DeviceEntry {
            class: class as u32,
            flags,
            disk_seq: device.disk_seq,
            partitions: device.partitions,
            ..DeviceEntry::default()
        },
        name: device.name.clone(),
        stack_name: match &device.kind {
            Kind::DeviceMapper { name, .. } => Some(name.clone()),
            _ => None,
        },
        identity: identity.map(|mut identity| {
            identity.why = why.first().map(ToString::to_string).unwrap_or_default();
            Box::new(identity)
        }),
        why,
    }
}

fn protected_flags(inventory: &Inventory, seeds: &Seeds, index: usize, bits: u16) -> u32 {
    let device = inventory.device(index);
    let above = |test: fn(&BlockDevice) -> bool| {
        device
            .above
            .iter()
            .any(|above| test(inventory.device(*above as usize)))
    };
    let mounted = seeds.mounted.get(&(index as u32));
    let mut flags = match (bits & mark::CRITICAL != 0, bits & mark::MEMORY != 0) {
        (true, _) => device_flag::CRITICAL_DATA,
        (false, true) => device_flag::CRITICAL_DATA | device_flag::REMEMBERED,
        (false, false) => 0,
    };
    let mut set = |condition: bool, flag: u32| flags |= if condition { flag } else { 0 };
    set(bits & mark::USED != 0, device_flag::IN_USE);
    set(bits & mark::RAW != 0, device_flag::DB_RAW);
    set(is_lvm_storage(inventory, device, bits), device_flag::LVM_PV);
    set(
        above(|device| matches!(device.kind, Kind::Md(_)))
            || device.signature == Signature::MdMember,
        device_flag::MD_MEMBER,
    );
    set(
        matches!(&device.kind, Kind::Md(array) if array.is_redundant()),
        device_flag::MD_REDUNDANT,
    );
    set(mounted == Some(&true), device_flag::EXT_MOUNTED);
    set(device.signature == Signature::Luks, device_flag::LUKS);
    // A check of a mounted file system would write under it.
    set(
        mounted.is_none() && matches!(device.signature, Signature::Ext | Signature::Fat),
        device_flag::PREEN,
    );
    set(
        bits & mark::SWAP != 0 || (mounted.is_none() && device.signature == Signature::Swap),
        device_flag::SWAP,
    );
    flags
}

/// Physical volumes of groups in use, and pools' metadata: what LVM's own tools write.
fn is_lvm_storage(inventory: &Inventory, device: &BlockDevice, bits: u16) -> bool {
    if let Some(volume) = lvm(device) {
        return is_pool_metadata(&volume.uuid, volume.dm_name);
    }
    let carries_volume = device
        .above
        .iter()
        .any(|above| lvm(inventory.device(*above as usize)).is_some());
    // A mounted device is no physical volume, whatever is claimed above it.
    let physical = bits & mark::CONTENT != 0 && bits & mark::DIRECT == 0;
    physical
        && (carries_volume
            || (bits & mark::MEMORY == 0 && device.signature == Signature::LvmMember))
}

/// SCSI hosts with a protected drive: enclosures and controllers on them can take it away.
fn protected_hosts(inventory: &Inventory, marks: &Marks) -> BTreeSet<u32> {
    let mut hosts = BTreeSet::new();
    for node in &inventory.nodes {
        if node
            .reaches
            .iter()
            .any(|index| marks.is_protected(*index as usize))
        {
            hosts.extend(node.host);
        }
    }
    hosts
}

/// `None` leaves the node unknown: it is a drive's, but of a drive that is not in sysfs.
fn passthrough(
    inventory: &Inventory,
    marks: &Marks,
    reasons: &Explainer<'_>,
    hosts: &BTreeSet<u32>,
    node: &CharNode,
) -> Option<Classified> {
    let protected: Vec<u32> = node
        .reaches
        .iter()
        .copied()
        .filter(|index| marks.is_protected(*index as usize))
        .collect();
    let shares = node
        .reaches
        .iter()
        .any(|index| marks.of(*index as usize) & mark::DRIVE != 0);
    let (class, flags, why) = if !protected.is_empty() {
        let flags = protected
            .iter()
            .fold(0, |flags, index| flags | carried_flags(marks, *index));
        (DeviceClass::Protected, flags, reasons.of_node(&protected))
    } else if shares {
        let why = reasons.shared(node.bus.as_ref());
        (DeviceClass::Free, device_flag::DISK_PROTECTED, why)
    } else if node.reaches.is_empty() {
        (without_drive(node, hosts)?, 0, Vec::new())
    } else {
        (DeviceClass::Free, 0, Vec::new())
    };
    let disk_seq = match node.reaches.as_slice() {
        [one] => inventory.device(*one as usize).disk_seq,
        _ => 0,
    };
    Some(Classified {
        key: DeviceKey::char(node.dev),
        entry: DeviceEntry {
            class: class as u32,
            flags,
            disk_seq,
            partitions: 0,
            ..DeviceEntry::default()
        },
        name: node.name.clone(),
        stack_name: None,
        why,
        identity: None,
    })
}

/// What the drive's data is, as far as it matters for a node.
fn carried_flags(marks: &Marks, index: u32) -> u32 {
    let bits = marks.of(index as usize);
    let mut flags = 0;
    if bits & mark::USED != 0 {
        flags |= device_flag::IN_USE;
    }
    if bits & (mark::CRITICAL | mark::MEMORY) != 0 {
        flags |= device_flag::CRITICAL_DATA;
    }
    flags
}

/// A node that reaches no block device: by its peripheral device type (SPC-4, table 138).
fn without_drive(node: &CharNode, hosts: &BTreeSet<u32>) -> Option<DeviceClass> {
    /// Tape, CD, scanner, optical memory card, changer: media that are not this host's disks.
    const MEDIA: &[u32] = &[1, 5, 6, 8, 15];
    /// Storage array controller, enclosure: they command other drives.
    const COMMANDERS: &[u32] = &[12, 13];
    let on_protected_host = node.host.is_none_or(|host| hosts.contains(&host));
    match (node.kind, node.scsi_type) {
        // A controller without namespaces.
        (PassthroughKind::NvmeController, _) => Some(DeviceClass::Free),
        (_, Some(kind)) if MEDIA.contains(&kind) => Some(DeviceClass::Free),
        (_, Some(kind)) if COMMANDERS.contains(&kind) && !on_protected_host => {
            Some(DeviceClass::Free)
        }
        (_, Some(kind)) if COMMANDERS.contains(&kind) => Some(DeviceClass::Protected),
        // A transport's node (SAS host, expander, UFS).
        (PassthroughKind::Bsg, None) if !on_protected_host => Some(DeviceClass::Free),
        (PassthroughKind::Bsg, None) => Some(DeviceClass::Protected),
        _ => None,
    }
}

/// The three spellings of every free logical volume that people can name. A group name that two
/// groups share is left out: the argument would not tell which is meant.
///
/// A volume that is itself merely mounted is listed too. LVM refuses to remove it while it is
/// (lib/metadata/lv_manip.c `lv_remove_single`, lib/activate/activate.c `lv_check_not_in_use`), and
/// a backup that unmounts its snapshot and removes it at once must not depend on how fast the
/// controller sees the first of the two.
///
/// Volumes that are not active stand at the end, in case there is no room for all.
pub(super) fn free_lv_arguments(
    inventory: &Inventory,
    marks: &Marks,
    memory: &Memory,
) -> Vec<String> {
    let mut groups: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut free = BTreeSet::new();
    for (index, device) in inventory.devices.iter().enumerate() {
        let Some(volume) = lvm(device) else { continue };
        let Some((group, name)) = split_dm_name(volume.dm_name) else {
            continue;
        };
        groups
            .entry(group.clone())
            .or_default()
            .insert(volume.uuid.group);
        // Whatever lies over a volume that is to be removed must be free as well. If something
        // protected did, the volume would be protected; asked again because the answer removes.
        let carries = device
            .above
            .iter()
            .any(|above| marks.is_protected(*above as usize));
        let bits = marks.of(index);
        let merely_mounted = bits & mark::PROTECTED == mark::CONTENT
            && bits & mark::DIRECT != 0
            && bits & (mark::CRITICAL | mark::MEMORY | mark::RAW | mark::SWAP) == 0;
        let free_to_remove = !marks.is_protected(index) || merely_mounted;
        if free_to_remove && !volume.internal && !carries {
            free.insert((group, name, volume.dm_name.to_owned()));
        }
    }
    let inactive = inactive::volumes(inventory, memory).into_iter();
    free.into_iter()
        .filter(|(group, ..)| groups.get(group).is_some_and(|uuids| uuids.len() == 1))
        .chain(inactive.map(|(group, name)| {
            let dm_name = dm_name(&group, &name);
            (group, name, dm_name)
        }))
        .flat_map(|(group, name, dm_name)| {
            [
                format!("{group}/{name}"),
                format!("/dev/{group}/{name}"),
                format!("/dev/mapper/{dm_name}"),
            ]
        })
        .collect()
}
