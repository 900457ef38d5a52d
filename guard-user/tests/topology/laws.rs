//! What must hold for every tree.

use std::collections::{BTreeMap, BTreeSet};

use guard_abi::DeviceClass;
use guard_user::topology::{Inventory, Kind, Memory, MountTable, Uses, classify};
use proptest::prelude::*;

use super::tree::{Tree, Verdicts, data_on};

/// What lies on what: `(kind, lower devices)` for each device above the drives.
type Layer = (u8, Vec<u8>);

/// Drives, partitions and layers as a description. Layer n is device `dm-n` or `mdn`.
fn describe(drives: u8, layers: &[Layer]) -> (String, Vec<String>) {
    let mut text = String::new();
    let mut names: Vec<String> = Vec::new();
    for drive in 0..drives {
        let letter = char::from(b'a' + drive);
        let low = u32::from(drive) * 16;
        text.push_str(&format!("disk sd{letter} 8:{low}\n"));
        names.push(format!("sd{letter}"));
        for part in 1..=2 {
            text.push_str(&format!(
                "part sd{letter}{part} 8:{} of=sd{letter}\n",
                low + part
            ));
            names.push(format!("sd{letter}{part}"));
        }
    }
    for (number, (kind, lower)) in layers.iter().enumerate() {
        let below: BTreeSet<&str> = lower
            .iter()
            .map(|at| names[usize::from(*at) % names.len()].as_str())
            .collect();
        let over = below.into_iter().collect::<Vec<_>>().join(",");
        let dm = format!("dm dm-{number} 253:{number}");
        let (name, line) = match kind % 4 {
            0 => (
                format!("dm-{number}"),
                format!("{dm} lvm=vg0/lv{number} over={over}"),
            ),
            1 => (
                format!("dm-{number}"),
                format!("{dm} name=c{number} uuid=CRYPT-LUKS2-{number} over={over}"),
            ),
            2 => (
                format!("dm-{number}"),
                format!("{dm} name=raw{number} over={over}"),
            ),
            _ => (
                format!("md{number}"),
                format!("md md{number} 9:{number} level=raid1 disks=2 degraded=0 over={over}"),
            ),
        };
        text.push_str(&line);
        text.push('\n');
        names.push(name);
    }
    (text, names)
}

fn trees() -> impl Strategy<Value = (u8, Vec<Layer>, Vec<u8>)> {
    let layer = (any::<u8>(), prop::collection::vec(any::<u8>(), 1..3));
    (
        1_u8..4,
        prop::collection::vec(layer, 0..8),
        prop::collection::vec(any::<u8>(), 0..4),
    )
}

fn used(names: &[String], picks: &[u8]) -> Vec<String> {
    picks
        .iter()
        .map(|pick| names[usize::from(*pick) % names.len()].clone())
        .collect()
}

fn judge(inventory: &Inventory, names: &[String]) -> Verdicts {
    let mut uses = Uses::default();
    uses.data
        .extend(names.iter().map(|name| data_on(inventory, name)));
    Verdicts(classify(inventory, &uses, &Memory::default()))
}

/// Everything below a device.
fn closure(inventory: &Inventory, name: &str, seen: &mut BTreeSet<String>) {
    if seen.insert(name.to_owned())
        && let Some(device) = inventory.by_name(name)
    {
        for below in &device.below {
            closure(inventory, &inventory.devices()[*below as usize].name, seen);
        }
    }
}

fn classes(verdicts: &Verdicts) -> BTreeMap<String, DeviceClass> {
    verdicts
        .0
        .devices
        .iter()
        .map(|device| (device.name.to_string(), device.class()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_below_a_used_device_is_protected((drives, layers, picks) in trees()) {
        let (text, names) = describe(drives, &layers);
        let inventory = Tree::new(&text).scan();
        let used = used(&names, &picks);
        let verdicts = judge(&inventory, &used);
        for name in &used {
            let mut below = BTreeSet::new();
            closure(&inventory, name, &mut below);
            for name in below {
                prop_assert!(verdicts.is_protected(&name), "{name} below {used:?} in\n{text}");
            }
        }
    }

    #[test]
    fn one_more_use_never_takes_protection_away((drives, layers, picks) in trees(), more: u8) {
        let (text, names) = describe(drives, &layers);
        let inventory = Tree::new(&text).scan();
        let mut used_names = used(&names, &picks);
        let before = classes(&judge(&inventory, &used_names));
        used_names.extend(used(&names, &[more]));
        let after = classes(&judge(&inventory, &used_names));
        for (name, class) in before {
            if class == DeviceClass::Protected {
                prop_assert_eq!(after[&name], DeviceClass::Protected, "{} in\n{}", name, text);
            }
        }
    }

    #[test]
    fn what_is_free_over_protected_is_a_partition_or_a_volume_beside_it(
        (drives, layers, picks) in trees()
    ) {
        let (text, names) = describe(drives, &layers);
        let inventory = Tree::new(&text).scan();
        let verdicts = judge(&inventory, &used(&names, &picks));
        for device in inventory.devices() {
            if verdicts.is_protected(&device.name) {
                continue;
            }
            for below in &device.below {
                let lower = &inventory.devices()[*below as usize];
                if !verdicts.is_protected(&lower.name) {
                    continue;
                }
                let beside = match &device.kind {
                    Kind::Partition(_) => true,
                    Kind::DeviceMapper { uuid, .. } => uuid.starts_with("LVM-"),
                    _ => false,
                };
                prop_assert!(beside, "{} is free over {} in\n{}", device.name, lower.name, text);
            }
            for above in &device.above {
                let upper = &inventory.devices()[*above as usize];
                prop_assert!(
                    !verdicts.is_protected(&upper.name),
                    "{} is free below {} in\n{}", device.name, upper.name, text
                );
            }
        }
    }

    #[test]
    fn the_order_of_uses_has_no_influence((drives, layers, picks) in trees()) {
        let (text, names) = describe(drives, &layers);
        let inventory = Tree::new(&text).scan();
        let mut used = used(&names, &picks);
        let one = format!("{:?}", judge(&inventory, &used).0.devices);
        used.reverse();
        prop_assert_eq!(one, format!("{:?}", judge(&inventory, &used).0.devices));
    }

    #[test]
    fn mount_tables_of_any_shape_are_read(text in "\\PC{0,200}", lines in "[0-9:/ a-z\\\\-]{0,200}") {
        let _ = MountTable::parse(&text);
        let _ = MountTable::parse(&lines);
    }

}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn files_of_any_content_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let tree = Tree::new(
            "disk sda 8:0\npart sda1 8:1 of=sda\ndm dm-0 253:0 lvm=vg/a over=sda1
             md md0 9:0 over=sda\nloop loop0 7:0 file=/x\nnode sg0 21:0 class=scsi_generic",
        );
        for path in [
            "sys/class/block/sda/size", "sys/class/block/sda1/uevent",
            "sys/class/block/dm-0/dm/uuid", "sys/class/block/dm-0/dm/name",
            "sys/class/block/md0/md/raid_disks", "sys/class/block/loop0/loop/backing_file",
            "sys/class/scsi_generic/sg0/dev", "run/udev/data/b8:0", "proc/self/mountinfo",
            "proc/swaps", "proc/devices", "proc/locks", "run/lvm/pvs_online/x", "dev/sda1",
        ] {
            let path = tree.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
            let inventory = tree.scan();
            let uses = Uses::of_host(&tree.roots, &inventory).unwrap();
            let _ = classify(&inventory, &uses, &Memory::default());
        }
    }
}

#[test]
fn a_tree_that_leads_back_into_itself_ends() {
    let tree =
        Tree::new("disk sda 8:0\ndm dm-0 253:0 name=a over=sda\ndm dm-1 253:1 name=b over=dm-0");
    std::fs::create_dir_all(tree.path("sys/class/block/dm-0/slaves/dm-1")).unwrap();
    tree.judge(&["dm-0"])
        .expect("dm-1: protected critical\nsda: protected critical");
}
