//! Which files and directories are places, found in trees of a test's own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use guard_abi::{
    DeviceClass, DeviceEntry, DeviceKey, FileId, FileSystem, PlaceKind, device_flag, place_id,
    whole_id,
};
use guard_user::places::{Facts, Places, find};
use guard_user::topology::{Classification, Classified, MountTable, Roots};

/// dev_t of a partition.
const fn dev(major: u32, minor: u32) -> u32 {
    major << 20 | minor
}

fn partition(number: u32, flags: u32) -> Classified {
    Classified {
        key: DeviceKey::block(number),
        entry: DeviceEntry {
            class: DeviceClass::Protected as u32,
            flags,
            ..DeviceEntry::default()
        },
        name: "vda".into(),
        stack_name: None,
        why: Vec::new(),
        identity: None,
    }
}

fn places(mounts: &str, devices: Vec<Classified>) -> Places {
    find(Facts {
        // Asked about processes alone, of which there are none.
        roots: &Roots::under(Path::new("/nonexistent")),
        mounts: &MountTable::parse(mounts),
        devices: &Classification {
            devices,
            ..Classification::default()
        },
        processes: &[],
    })
}

fn kind_of(places: &Places, id: FileId) -> Option<u16> {
    let found = places.entries.iter().find(|(known, _)| *known == id);
    found.map(|(_, entry)| entry.kind)
}

#[test]
fn a_boot_file_system_of_its_own_is_one_place() {
    let table = "\
21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 8:2 / /boot rw - ext4 /dev/sda2 rw
23 22 8:3 / /boot/efi rw - vfat /dev/sda3 rw";
    let places = places(table, Vec::new());
    for number in [dev(8, 2), dev(8, 3)] {
        assert_eq!(
            kind_of(&places, whole_id(number)),
            Some(PlaceKind::Boot as u16)
        );
    }
    assert_eq!(kind_of(&places, whole_id(dev(8, 1))), None);
}

#[test]
fn the_root_file_system_is_never_one_place() {
    // A bind mount of the root, a subvolume of it, and a root that lies on a bootable partition.
    let table = "\
21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 8:1 / /boot rw - ext4 /dev/sda1 rw
23 21 8:1 /@boot /efi rw - btrfs /dev/sda1 rw";
    let devices = vec![partition(dev(8, 1), device_flag::BOOT_PARTITION)];
    let places = places(table, devices);
    assert_eq!(kind_of(&places, whole_id(dev(8, 1))), None);
}

#[test]
fn a_system_partition_is_a_place_though_nobody_mounts_it() {
    let table = "21 1 8:1 / / rw - ext4 /dev/sda1 rw";
    let devices = vec![
        partition(
            dev(8, 7),
            device_flag::BOOT_PARTITION | device_flag::BOOT_DISK,
        ),
        partition(dev(8, 0), device_flag::BOOT_DISK),
    ];
    let places = places(table, devices);
    assert_eq!(
        kind_of(&places, whole_id(dev(8, 7))),
        Some(PlaceKind::Boot as u16)
    );
    assert_eq!(kind_of(&places, whole_id(dev(8, 0))), None);
}

#[test]
fn a_place_is_told_from_a_later_file_of_the_same_number() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("grub.cfg");
    fs::write(&file, "x").expect("written");
    let mut places = Places::default();
    let table = MountTable::parse("21 1 8:1 / / rw - ext4 /dev/sda1 rw");
    assert!(places.add(&table, &file, PlaceKind::Boot));
    assert!(!places.add(&table, Path::new("/nonexistent/x"), PlaceKind::Boot));
    let ino = fs::metadata(&file).expect("there").ino();
    let (id, entry) = places.entries[0];
    assert_eq!(id, place_id(FileSystem::Other, dev(8, 1), ino));
    assert_eq!(entry.kind, PlaceKind::Boot as u16);
}
