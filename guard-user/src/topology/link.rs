//! Turning names into indices once every device is read.

use std::collections::BTreeMap;
use std::path::Path;

use super::inventory::{Inventory, Kind};
use super::labels::Signature;
use super::mounts::MountTable;
use super::{Roots, attributes, passthrough};

/// Bits 1 to 63 of `DeviceEntry::partitions` stand for partitions; bit 0 for any above.
fn partition_bit(number: u32) -> u64 {
    if (1..64).contains(&number) {
        1 << number
    } else {
        1
    }
}

/// Sorts the devices, so that the order of a directory has no influence, and joins them.
pub(super) fn link(roots: &Roots, inventory: &mut Inventory) {
    inventory.devices.sort_by_key(|device| device.dev);
    inventory.devices.dedup_by_key(|device| device.dev);
    inventory.by_name = inventory
        .devices
        .iter()
        .enumerate()
        .map(|(index, device)| (device.name.clone(), index as u32))
        .collect();
    inventory.by_dev = inventory
        .devices
        .iter()
        .enumerate()
        .map(|(index, device)| (device.dev, index as u32))
        .collect();
    for device in &mut inventory.devices {
        device.below.clear();
        device.above.clear();
        device.partitions = 0;
        device.disk = None;
    }
    share_names(inventory);
    join_stacks(inventory);
    join_headers(inventory);
    join_loops(roots, inventory);
    join_partitions(inventory);
    for device in &mut inventory.devices {
        for edges in [&mut device.below, &mut device.above] {
            edges.sort_unstable();
            edges.dedup();
            edges.shrink_to_fit();
        }
    }
    inventory.btrfs = btrfs(roots, inventory);
    inventory.same_drives = same_drives(inventory);
    passthrough::connect(inventory);
}

/// One copy of each name: with 10,000 devices the links between them are as many strings.
fn share_names(inventory: &mut Inventory) {
    let by_name = &inventory.by_name;
    for device in &mut inventory.devices {
        let links = device.slaves.iter_mut().chain(&mut device.holders);
        for name in links.chain(&mut device.parent) {
            if let Some((shared, _)) = by_name.get_key_value(&**name) {
                *name = shared.clone();
            }
        }
    }
}

fn add_edge(inventory: &mut Inventory, upper: u32, lower: u32) {
    if upper != lower {
        inventory.devices[upper as usize].below.push(lower);
        inventory.devices[lower as usize].above.push(upper);
    }
}

fn join_stacks(inventory: &mut Inventory) {
    for index in 0..inventory.devices.len() {
        let device = &inventory.devices[index];
        let find = |name| inventory.by_name.get(name).copied();
        let slaves: Vec<u32> = device.slaves.iter().filter_map(find).collect();
        let holders: Vec<Option<u32>> = device.holders.iter().map(find).collect();
        for lower in slaves {
            add_edge(inventory, index as u32, lower);
        }
        // A holder that is none of the devices: gone in this instant, or not understood.
        inventory.devices[index].strange_holder = holders.iter().any(Option::is_none);
        for upper in holders.into_iter().flatten() {
            add_edge(inventory, upper, index as u32);
        }
    }
}

/// A mapping whose LUKS header lies on a device of its own (`cryptsetup --header`) lies on that one
/// too, though the kernel does not know it: without the header the data is noise. The mapping's name
/// for the kernel has the header's UUID (cryptsetup, lib/libdevmapper.c `dm_prepare_uuid`).
fn join_headers(inventory: &mut Inventory) {
    for index in 0..inventory.devices.len() {
        let device = &inventory.devices[index];
        let Some(header) = header_uuid(&device.kind) else {
            continue;
        };
        let has_it = |at: &u32| {
            let device = &inventory.devices[*at as usize];
            device.signature == Signature::Luks && device.content_uuid.as_deref() == Some(header)
        };
        if device.below.iter().any(has_it) {
            // Whoever else has it is a copy.
            continue;
        }
        let apart: Vec<u32> = (0..inventory.devices.len() as u32).filter(has_it).collect();
        for lower in apart {
            add_edge(inventory, index as u32, lower);
        }
    }
}

/// `CRYPT-LUKS2-` and 32 digits.
fn header_uuid(kind: &Kind) -> Option<&str> {
    const DIGITS: usize = 32;
    let Kind::DeviceMapper { uuid, .. } = kind else {
        return None;
    };
    let rest = uuid
        .strip_prefix("CRYPT-LUKS1-")
        .or_else(|| uuid.strip_prefix("CRYPT-LUKS2-"))?;
    rest.get(..DIGITS)
}

fn join_partitions(inventory: &mut Inventory) {
    for index in 0..inventory.devices.len() {
        let device = &inventory.devices[index];
        let Kind::Partition(number) = device.kind else {
            continue;
        };
        let disk = device
            .parent
            .as_ref()
            .and_then(|name| inventory.by_name.get(name))
            .copied();
        let Some(disk) = disk.filter(|disk| *disk as usize != index) else {
            // A partition without its disk: nothing is known about what else lies there.
            inventory.devices[index].strange_holder = true;
            continue;
        };
        add_edge(inventory, index as u32, disk);
        inventory.devices[disk as usize].partitions |= partition_bit(number);
        let disk_seq = inventory.devices[disk as usize].disk_seq;
        let partition = &mut inventory.devices[index];
        partition.disk = Some(disk);
        partition.disk_seq = disk_seq;
    }
}

fn join_loops(roots: &Roots, inventory: &mut Inventory) {
    let mut table = None;
    for index in 0..inventory.devices.len() {
        let Kind::Loop {
            backing_path: Some(path),
        } = &inventory.devices[index].kind
        else {
            continue;
        };
        let path = path.clone();
        let plain = path.strip_suffix(" (deleted)").unwrap_or(&path);
        let inside = roots.host_root().join(plain.trim_start_matches('/'));
        let device = plain
            .strip_prefix("/dev/")
            .and_then(|name| inventory.by_name.get(name).copied())
            .or_else(|| {
                attributes::block_node(&inside).and_then(|dev| inventory.by_dev.get(&dev).copied())
            });
        if let Some(lower) = device {
            add_edge(inventory, index as u32, lower);
            continue;
        }
        let table =
            table.get_or_insert_with(|| MountTable::read(roots, "self").unwrap_or_default());
        let location = table.locate(table, Path::new(plain)).map(Box::new);
        inventory.devices[index].file_on = location;
    }
}

/// Disks, and partitions by their number, that are the same by what the drive says of itself, and as
/// large. Designators of type `t10.` are a vendor's own words, which not every vendor makes unique.
fn same_drives(inventory: &Inventory) -> Vec<Vec<u32>> {
    let mut groups: BTreeMap<(&str, u64, Option<u32>), Vec<u32>> = BTreeMap::new();
    for (index, device) in inventory.devices.iter().enumerate() {
        let disk = device
            .disk
            .map_or(device, |disk| inventory.device(disk as usize));
        let wwid = disk
            .ids
            .wwid
            .as_deref()
            .filter(|wwid| !wwid.starts_with("t10."));
        if let Some(wwid) = wwid.filter(|_| disk.sectors > 0) {
            let key = (wwid, disk.sectors, device.partition());
            groups.entry(key).or_default().push(index as u32);
        }
    }
    groups
        .into_values()
        .filter(|group| group.len() > 1)
        .collect()
}

/// `/sys/fs/btrfs/UUID/devices/NAME`: the members of every mounted btrfs.
fn btrfs(roots: &Roots, inventory: &Inventory) -> Vec<(std::sync::Arc<str>, Vec<u32>)> {
    let base = roots.sys.join("fs/btrfs");
    let mut found = Vec::new();
    for uuid in attributes::list_path(&base).unwrap_or_default() {
        let names = attributes::list_path(&base.join(&uuid).join("devices")).unwrap_or_default();
        let mut members: Vec<u32> = names
            .iter()
            .filter_map(|name| inventory.by_name.get(&*name.replace('!', "/")).copied())
            .collect();
        members.sort_unstable();
        if !members.is_empty() {
            found.push((uuid.into(), members));
        }
    }
    found.sort();
    found
}
