//! Character devices that send commands to drives, and which drives they reach.

use std::collections::HashMap;
use std::sync::Arc;

use guard_abi::{ControlKind, PassthroughKind};

use super::attributes::{Reader, list_path, open_dir};
use super::inventory::{Bus, CharNode, Inventory};
use super::scan::{bus_of, class, numbered};
use super::{Roots, parse_dev};

/// Reads the nodes, the majors of `/proc/devices`, and device-mapper's major. Which drives the
/// nodes reach is filled in by [`connect`] once the devices have their indices.
pub(super) fn read(roots: &Roots, inventory: &mut Inventory) {
    let text = std::fs::read_to_string(roots.proc.join("devices")).unwrap_or_default();
    (inventory.char_majors, inventory.dm_major) = majors(&text);
    inventory.control_majors = control_majors(&text);
    let subsystems = subsystems(roots);
    // A drive on a controller that belongs to a subsystem is reached by all its controllers.
    for device in &mut inventory.devices {
        if let Some(Bus::Nvme(name)) = &device.bus
            && let Some(subsystem) = subsystems.get(&**name)
        {
            device.bus = Some(Bus::Nvme(subsystem.clone()));
        }
    }
    inventory.nodes = nodes(roots, &subsystems);
}

/// A node before its drives are known.
fn nodes(roots: &Roots, subsystems: &HashMap<String, Arc<str>>) -> Vec<CharNode> {
    let mut found = Vec::new();
    let mut reader = Reader::new();
    for (class_name, kind) in [
        ("nvme", PassthroughKind::NvmeController),
        ("nvme-generic", PassthroughKind::NvmeGeneric),
        ("scsi_generic", PassthroughKind::ScsiGeneric),
        ("bsg", PassthroughKind::Bsg),
    ] {
        for (name, place) in class(roots, class_name) {
            let dir = roots.sys.join("class").join(class_name).join(&name);
            let Some(dir) = open_dir(&dir) else { continue };
            let Some(dev) = reader.text(&dir, "dev").and_then(parse_dev) else {
                continue;
            };
            let bus = match bus_of(&place).or_else(|| bus_of(&name)) {
                Some(Bus::Nvme(name)) => {
                    let subsystem = subsystems.get(&*name).cloned();
                    Some(Bus::Nvme(subsystem.unwrap_or(name)))
                }
                other => other,
            };
            let scsi_type = reader
                .number(&dir, "device/type")
                .map(|number| number as u32);
            let host = host_of(&place);
            found.push(CharNode {
                dev,
                name: name.into(),
                kind,
                reaches: Vec::new(),
                bus,
                host,
                scsi_type,
            });
        }
    }
    found.sort_by_key(|node| (node.dev, node.kind));
    found
}

/// `…/host3/…` → 3.
fn host_of(place: &str) -> Option<u32> {
    place
        .split('/')
        .find(|part| numbered(part, "host"))?
        .strip_prefix("host")?
        .parse()
        .ok()
}

/// Controller → subsystem, from `/sys/class/nvme-subsystem/nvme-subsysN/nvmeM`.
fn subsystems(roots: &Roots) -> HashMap<String, Arc<str>> {
    let mut found = HashMap::new();
    for (subsystem, _) in class(roots, "nvme-subsystem") {
        let shared: Arc<str> = subsystem.as_str().into();
        let dir = roots.sys.join("class/nvme-subsystem").join(&subsystem);
        for name in list_path(&dir).unwrap_or_default() {
            if numbered(&name, "nvme") {
                found.insert(name, shared.clone());
            }
        }
    }
    found
}

/// Fills in the drives behind each node.
pub(super) fn connect(inventory: &mut Inventory) {
    let mut by_bus: HashMap<&Bus, Vec<u32>> = HashMap::new();
    for (index, device) in inventory.devices.iter().enumerate() {
        if let (Some(bus), None) = (&device.bus, device.partition()) {
            by_bus.entry(bus).or_default().push(index as u32);
        }
    }
    for node in &mut inventory.nodes {
        let drives = node.bus.as_ref().and_then(|bus| by_bus.get(bus));
        node.reaches = drives.cloned().unwrap_or_default();
        if node.kind == PassthroughKind::NvmeGeneric {
            narrow(node, &inventory.by_name);
        }
    }
}

/// `ng0n1` is the namespace `nvme0n1` alone; the rest of its subsystem is its drive, not its
/// content, and the classification says so by a flag.
fn narrow(node: &mut CharNode, by_name: &HashMap<Arc<str>, u32>) {
    let block = node
        .name
        .strip_prefix("ng")
        .map(|rest| format!("nvme{rest}"));
    if let Some(index) = block.and_then(|name| by_name.get(&*name).copied()) {
        node.reaches = vec![index];
    }
}

/// Majors of `/proc/devices` (fs/proc/devices.c): character drivers that pass commands through,
/// and the major of device-mapper (0: not there).
fn majors(text: &str) -> (Vec<(u32, PassthroughKind)>, u32) {
    let mut block = false;
    let mut found = Vec::new();
    let mut dm_major = 0;
    for line in text.lines() {
        if line.starts_with("Block devices") {
            block = true;
        }
        let mut words = line.split_whitespace();
        let (Some(Ok(major)), Some(name)) = (words.next().map(str::parse::<u32>), words.next())
        else {
            continue;
        };
        if major >= guard_abi::maps::CHAR_MAJORS_MAX {
            continue;
        }
        let kind = match name {
            "device-mapper" if block => {
                dm_major = major;
                continue;
            }
            "nvme" => PassthroughKind::NvmeController,
            "nvme-generic" => PassthroughKind::NvmeGeneric,
            "sg" => PassthroughKind::ScsiGeneric,
            "bsg" => PassthroughKind::Bsg,
            "raw" => PassthroughKind::Raw,
            _ => continue,
        };
        if !block {
            found.push((major, kind));
        }
    }
    (found, dm_major)
}

/// Majors of drivers whose character devices steer the machine. `mem` and `misc` have theirs for
/// ever (include/uapi/linux/major.h); without a table of majors they count all the same.
fn control_majors(text: &str) -> Vec<(u32, ControlKind)> {
    let mut found = vec![(1, ControlKind::Memory), (10, ControlKind::Misc)];
    for line in text
        .lines()
        .take_while(|line| !line.starts_with("Block devices"))
    {
        let mut words = line.split_whitespace();
        let (Some(Ok(major)), Some(name)) = (words.next().map(str::parse::<u32>), words.next())
        else {
            continue;
        };
        let kind = match name {
            "mtd" => ControlKind::Mtd,
            "ipmidev" => ControlKind::Ipmi,
            "tpm" => ControlKind::Tpm,
            _ => continue,
        };
        if major < guard_abi::maps::CHAR_MAJORS_MAX {
            found.push((major, kind));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_devices_are_found_by_their_drivers() {
        assert_eq!(
            control_majors(
                "Character devices:\n  1 mem\n242 ipmidev\n 90 mtd\n250 tpm\n\nBlock devices:\n 31 mtd\n"
            ),
            [
                (1, ControlKind::Memory),
                (10, ControlKind::Misc),
                (242, ControlKind::Ipmi),
                (90, ControlKind::Mtd),
                (250, ControlKind::Tpm),
            ]
        );
    }

    #[test]
    fn majors_are_told_by_their_half_of_the_file() {
        let (chars, dm) = majors(
            "Character devices:\n  1 mem\n 21 sg\n162 raw\n234 nvme\n235 nvme-generic\n247 bsg\n\n\
             Block devices:\n  8 sd\n253 device-mapper\n254 mdp\n259 blkext\n 99 sg\nnonsense\n",
        );
        assert_eq!(dm, 253);
        assert_eq!(
            chars,
            [
                (21, PassthroughKind::ScsiGeneric),
                (162, PassthroughKind::Raw),
                (234, PassthroughKind::NvmeController),
                (235, PassthroughKind::NvmeGeneric),
                (247, PassthroughKind::Bsg),
            ]
        );
        assert_eq!(majors(""), (Vec::new(), 0));
    }
}
