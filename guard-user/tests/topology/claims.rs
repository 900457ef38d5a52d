//! Devices that are free with the last claim on them.

use guard_abi::DeviceClass::{Free, Protected};
use guard_abi::device_flag;

use super::tree::Tree;

/// Names of the devices that carry the flag.
fn claimed(text: &str, databases: &[&str]) -> Vec<String> {
    let verdicts = Tree::new(text).judge(databases);
    let mut names: Vec<String> = verdicts
        .0
        .devices
        .iter()
        .filter(|device| device.has(device_flag::CLAIMED))
        .map(|device| device.name.to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn mounts_swap_arrays_and_mappings_claim_what_they_lie_on() {
    let text = "
        disk sda 8:0
        part sda1 8:1 of=sda
        part sda2 8:2 of=sda
        part sda3 8:3 of=sda
        disk sdb 8:16
        disk sdc 8:32
        disk sdd 8:48
        disk sde 8:64
        md md0 9:0 level=raid1 disks=2 degraded=0 sync=idle over=sdb,sdc
        dm dm-0 253:0 name=data uuid=CRYPT-LUKS2-abc-data over=sdd
        mount 8:1 /srv xfs /dev/sda1 rw
        swap /dev/sda2 partition
        mount 9:0 /backup ext4 /dev/md0 rw
        mount 253:0 /vault ext4 /dev/mapper/data rw
    ";
    assert_eq!(
        claimed(text, &[]),
        ["dm-0", "md0", "sda", "sda1", "sda2", "sdb", "sdc", "sdd"]
    );
    // Free is free, and whatever carries a database is not free with its last claim.
    assert_eq!(
        claimed(text, &["md0", "sda1", "sde"]),
        ["dm-0", "sda2", "sdd"]
    );
}

#[test]
fn what_is_used_without_a_claim_stays_protected() {
    // A loop device over the disk itself, a program behind FUSE, a boot partition, a mapping that
    // nobody knows over a mounted partition, a container.
    for text in [
        "disk sda 8:0\nloop loop0 7:0 file=/dev/sda\nmount 7:0 /mnt xfs /dev/loop0 rw",
        "disk sda 8:0\nmount 0:50 /mnt fuse.ext2 /dev/sda rw",
        "disk sda 8:0\npart sda1 8:1 of=sda\npart sda2 8:2 of=sda
         udev 8:1 ID_PART_ENTRY_TYPE=21686148-6449-6e6f-744e-656564454649
         mount 8:2 / ext4 /dev/sda2 rw",
        "disk sda 8:0\nmount 8:0 / xfs /dev/sda rw\ndm dm-0 253:0 name=evil over=sda",
        "disk sda 8:0\ndisk sdb 8:16
         md md127 9:127 level=container metadata=external:imsm over=sda,sdb
         md md126 9:126 level=raid1 disks=2 degraded=0 metadata=external:/md127/0 over=sda,sdb
         mount 9:126 /srv xfs /dev/md126 rw",
    ] {
        let found = claimed(text, &[]);
        assert!(!found.contains(&"sda".to_owned()), "{text}: {found:?}");
    }
    let over_loop = "disk sda 8:0\nloop loop0 7:0 file=/dev/sda\nmount 7:0 /mnt xfs /dev/loop0 rw";
    assert_eq!(claimed(over_loop, &[]), ["loop0"]);
}

#[test]
fn what_a_file_system_keeps_on_other_devices_is_in_use_with_it() {
    let text = "
        disk sda 8:0
        disk sdb 8:16
        disk sdc 8:32
        disk sdd 8:48
        disk sde 8:64
        disk sdf 8:80
        part sdf1 8:81 of=sdf
        mount 8:0 /srv xfs /dev/sda rw,logdev=/dev/sdb,rtdev=/dev/sdc,noquota
        mount 8:48 /own ext4 /dev/sdd rw
    ";
    let journals = |names: &[&str]| {
        let mut tree = Tree::new(text);
        for name in names {
            tree.write(&format!("proc/fs/jbd2/{name}/info"), "");
        }
        tree.add("mount 8:81 /other ext4 /dev/sdf1 rw");
        let verdicts = tree.judge(&["sdd"]);
        let of = |name| {
            let device = verdicts.of(name);
            (device.class(), device.has(device_flag::EXT_MOUNTED))
        };
        [of("sdb"), of("sdc"), of("sde"), of("sdd")]
    };
    let [log, realtime, journal, own] = journals(&["sdd-8", "sdf1-8"]);
    assert_eq!(
        [log, realtime, journal],
        [(Protected, false), (Protected, false), (Free, false)]
    );
    assert_eq!(own, (Protected, true));
    // A journal on a disk: of the one that has none of its own.
    let [.., journal, own] = journals(&["sde", "sdf1-8"]);
    assert_eq!([journal, own], [(Protected, false), (Protected, true)]);
}

#[test]
fn btrfs_claims_each_of_its_devices() {
    let text = "disk sda 8:0\ndisk sdb 8:16\nmount 0:40 /srv btrfs /dev/sda:/dev/sdb rw";
    assert_eq!(claimed(text, &[]), ["sda", "sdb"]);
}
