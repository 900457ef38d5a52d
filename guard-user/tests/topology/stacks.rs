//! Partitions, MD, dm-crypt, multipath, loop, bcache, file systems of many devices.

use guard_user::topology::Memory;

use super::tree::Tree;

const TWO_DISKS: &str = "
    disk sda 8:0 scsi=0:0:0:0
    part sda1 8:1 of=sda
    part sda2 8:2 of=sda
    part sda3 8:3 of=sda
    disk sdb 8:16 scsi=0:0:1:0
    part sdb1 8:17 of=sdb
    mount 8:1 / ext4 /dev/sda1 rw
    swap /dev/sda2 partition
";

#[test]
fn a_used_partition_protects_its_disk_and_leaves_its_siblings_free() {
    let tree = Tree::new(TWO_DISKS);
    let verdicts = tree.judge(&["sdb1"]);
    verdicts.expect(
        "sda: protected in-use
         sda1: protected in-use ext
         sda2: protected in-use swap
         sda3: free disk-protected
         sdb: protected critical
         sdb1: protected critical",
    );
    assert_eq!(
        verdicts.why("sdb"),
        [
            "carries /var/lib/mysql (mariadbd 812, running)",
            "below sdb1"
        ]
    );
    assert_eq!(verdicts.why("sda")[..2], ["root file system", "swap"]);
    assert_eq!(verdicts.why("sda3"), ["free, but shares a drive with sda"]);
    let disk = verdicts.of("sda").entry;
    assert_eq!((disk.partitions, disk.disk_seq), (0b1110, 7));
    assert_eq!(verdicts.of("sda1").entry.disk_seq, 7);
}

#[test]
fn without_uses_all_is_free() {
    let tree = Tree::new("disk sda 8:0\npart sda1 8:1 of=sda\nloop loop0 7:0 size=0");
    tree.judge(&[]).expect("sda: free\nsda1: free\nloop0: free");
}

#[test]
fn a_mounted_whole_disk_protects_the_partitions_that_alias_it() {
    let tree = Tree::new("disk sda 8:0\npart sda1 8:1 of=sda\nmount 8:0 /srv xfs /dev/sda rw");
    tree.judge(&[])
        .expect("sda: protected in-use\nsda1: protected");
}

#[test]
fn an_array_protects_its_members() {
    let text = "
        disk sda 8:0
        part sda1 8:1 of=sda
        disk sdb 8:16
        part sdb1 8:17 of=sdb
        disk sdc 8:32
        md md0 9:0 level=raid1 disks=2 degraded=0 sync=idle over=sda1,sdb1
        mount 9:0 /var/lib/mysql ext4 /dev/md0 rw
    ";
    let verdicts = Tree::new(text).judge(&["md0"]);
    verdicts.expect(
        "md0: protected critical in-use ext md-redundant
         sda1: protected critical in-use md-member
         sdb1: protected critical in-use md-member
         sda: protected critical in-use
         sdc: free",
    );
    let degraded = text.replace("degraded=0", "degraded=1");
    Tree::new(&degraded)
        .judge(&["md0"])
        .expect("md0: protected critical in-use ext");
    let named = text.replace("md0", "md_data");
    Tree::new(&named).judge(&["md_data"]).expect(
        "md_data: protected critical in-use ext md-redundant
         sda1: protected critical in-use md-member",
    );
}

#[test]
fn a_partitioned_array_of_whole_disks_protects_the_aliases_of_its_partitions() {
    let tree = Tree::new(
        "disk sda 8:0
         part sda1 8:1 of=sda
         disk sdb 8:16
         disk sdc 8:32
         md md127 9:127 level=container metadata=external:imsm over=sda,sdb,sdc
         md md126 9:126 level=raid1 disks=2 degraded=0 metadata=external:/md127/0 over=sda,sdb
         part md126p1 259:0 of=md126
         part md126p2 259:1 of=md126",
    );
    tree.judge(&["md126p1"]).expect(
        "md126p1: protected critical
         md126p2: free disk-protected
         md126: protected critical md-redundant
         sda: protected critical md-member
         sda1: protected
         md127: protected
         sdc: protected md-member",
    );
}

#[test]
fn a_free_array_stays_free() {
    let tree = Tree::new(
        "disk sda 8:0
         md md0 9:0 level=raid1 disks=2 degraded=1 over=sda",
    );
    tree.judge(&[]).expect("md0: free\nsda: free");
}

#[test]
fn luks_over_a_partition() {
    let tree = Tree::new(
        "disk sda 8:0
         part sda1 8:1 of=sda
         udev 8:1 ID_FS_TYPE=crypto_LUKS
         dm dm-0 253:0 name=data uuid=CRYPT-LUKS2-abc-data over=sda1",
    );
    let verdicts = tree.judge(&["dm-0"]);
    verdicts.expect("sda1: protected critical luks\nsda: protected critical");
    assert_eq!(verdicts.why("sda1")[1], "below dm-0 (data)");
}

#[test]
fn a_header_apart_is_protected_with_its_mapping_and_a_copy_is_not() {
    let uuid = "0b9c6b8e-5f0c-4d0e-9a3e-2f8d1c7b6a50";
    let devices = |on_data: &str, apart: &str| {
        Tree::new(&format!(
            "disk sda 8:0
             disk sdb 8:16
             udev 8:0 ID_FS_TYPE={on_data} ID_FS_UUID={uuid}
             udev 8:16 ID_FS_TYPE={apart} ID_FS_UUID={uuid}
             dm dm-0 253:0 name=data uuid=CRYPT-LUKS2-{}-data over=sda",
            uuid.replace('-', "")
        ))
    };
    devices("", "crypto_LUKS")
        .judge(&["dm-0"])
        .expect("sda: protected critical\nsdb: protected critical luks");
    devices("crypto_LUKS", "crypto_LUKS")
        .judge(&["dm-0"])
        .expect("sda: protected critical luks\nsdb: free");
    devices("", "xfs")
        .judge(&["dm-0"])
        .expect("sda: protected critical\nsdb: free");
}

#[test]
fn another_path_to_a_drive_carries_what_the_drive_does() {
    let tree = |wwids: [&str; 2]| {
        Tree::new(&format!(
            "disk sda 8:0 wwid={}
             part sda1 8:1 of=sda
             part sda2 8:2 of=sda
             disk sdb 8:16 wwid={}
             part sdb1 8:17 of=sdb
             part sdb2 8:18 of=sdb
             mount 8:1 / xfs /dev/sda1 rw",
            wwids[0], wwids[1]
        ))
    };
    let verdicts = tree(["naa.600a0b80", "naa.600a0b80"]).judge(&[]);
    verdicts.expect(
        "sda1: protected in-use
         sdb1: protected in-use
         sdb: protected in-use
         sdb2: free disk-protected",
    );
    assert_eq!(verdicts.why("sdb1"), ["another path to sda1"]);
    for other in [["naa.600a0b80", "naa.600a0b81"], ["t10.QEMU", "t10.QEMU"]] {
        tree(other).judge(&[]).expect("sdb: free\nsdb1: free");
    }
}

#[test]
fn a_node_made_by_hand_over_a_protected_device_is_protected() {
    for below in ["sda1", "sda"] {
        let tree = Tree::new(&format!(
            "disk sda 8:0
             part sda1 8:1 of=sda
             mount 8:1 / xfs /dev/sda1 rw
             dm dm-0 253:0 name=evil over={below}
             dm dm-1 253:1 name=evil2 over=dm-0
             dm dm-2 253:2 lvm=fake/evil over={below}"
        ));
        let verdicts = tree.judge(&[]);
        verdicts.expect("dm-0: protected\ndm-1: protected\ndm-2: protected");
        assert_eq!(
            verdicts.why("dm-0"),
            [format!("lies over {below}, which is protected")]
        );
        assert!(verdicts.0.free_lv_arguments.is_empty());
    }
}

#[test]
fn multipath_protects_every_path_and_the_partitions_seen_on_paths() {
    let tree = Tree::new(
        "disk sda 8:0 scsi=1:0:0:0
         part sda1 8:1 of=sda
         disk sdb 8:16 scsi=2:0:0:0
         dm dm-0 253:0 name=mpatha uuid=mpath-3600 over=sda,sdb
         dm dm-1 253:1 name=mpatha-part1 uuid=part1-mpath-3600 over=dm-0
         dm dm-2 253:2 name=mpatha-part2 uuid=part2-mpath-3600 over=dm-0
         dm dm-3 253:3 name=raw uuid= over=dm-0",
    );
    tree.judge(&["dm-1"]).expect(
        "dm-1: protected critical
         dm-0: protected critical
         dm-2: free disk-protected
         dm-3: protected
         sda: protected critical
         sdb: protected critical
         sda1: protected",
    );
}

#[test]
fn a_loop_device_over_a_disk_and_over_a_file() {
    let tree = Tree::new(
        "disk sda 8:0
         disk sdb 8:16
         mount 8:16 / xfs /dev/sdb rw
         loop loop0 7:0 file=/dev/sda
         loop loop1 7:1 file=/srv/image
         loop loop2 7:2 size=0
         mount 7:0 /mnt xfs /dev/loop0 rw",
    );
    let verdicts = tree.judge(&["loop1"]);
    verdicts.expect(
        "loop0: protected in-use
         sda: protected in-use
         loop1: protected critical
         sdb: protected critical in-use
         loop2: free",
    );
    let alias = Tree::new("disk sda 8:0\nmount 8:0 / xfs a rw\nloop loop0 7:0 file=/dev/sda");
    alias.judge(&[]).expect("loop0: protected");
}

#[test]
fn bcache_protects_both_and_the_siblings_on_its_cache() {
    let tree = Tree::new(
        "disk sda 8:0
         disk sdb 8:16
         disk nvme0n1 259:0
         bcache bcache0 252:0 over=sda,nvme0n1
         bcache bcache1 252:16 over=sdb,nvme0n1",
    );
    tree.judge(&["bcache0"]).expect(
        "sda: protected critical
         nvme0n1: protected critical
         bcache1: protected",
    );
}

#[test]
fn a_holder_that_is_not_understood_protects() {
    let tree = Tree::new("disk sda 8:0\ndisk sdb 8:16\nnewstack new0 251:0 over=sda");
    std::fs::create_dir_all(tree.path("sys/class/block/sdb/holders/gone0")).unwrap();
    let verdicts = tree.judge(&[]);
    verdicts.expect("sda: protected\nnew0: protected\nsdb: protected");
    assert_eq!(
        verdicts.why("sdb"),
        ["held by something that dbguard does not know"]
    );
}

#[test]
fn btrfs_protects_all_its_members() {
    let mut tree = Tree::new(
        "disk sda 8:0
         disk sdb 8:16
         disk sdc 8:32
         disk sdd 8:48
         mount 0:45 /srv btrfs /dev/sda rw,subvol=/",
    );
    for (uuid, member) in [("u1", "sda"), ("u1", "sdb"), ("u2", "sdd")] {
        std::fs::create_dir_all(tree.path(&format!("sys/fs/btrfs/{uuid}/devices/{member}")))
            .unwrap();
    }
    tree.judge(&[])
        .expect("sda: protected in-use\nsdb: protected in-use\nsdc: free\nsdd: free");
    // A source that leads nowhere: every mounted btrfs may be meant.
    tree.add("mount 0:46 /x btrfs /dev/disk/by-uuid/gone rw");
    tree.judge(&[]).expect("sdd: protected in-use\nsdc: free");
}

#[test]
fn zfs_protects_its_members_or_whatever_could_be_one() {
    let text = "
        disk sda 8:0
        part sda1 8:1 of=sda
        disk sdb 8:16
        disk sdc 8:32
        mount 0:50 /tank zfs tank/data rw";
    let known = Tree::new(&format!(
        "{text}\nudev 8:1 ID_FS_TYPE=zfs_member\nudev 8:16 ID_FS_TYPE=\nudev 8:32 ID_FS_TYPE=ext4"
    ));
    known
        .judge(&[])
        .expect("sda1: protected in-use\nsdb: free\nsdc: free");
    let silent = Tree::new(&format!("{text}\nudev 8:32 ID_FS_TYPE=ext4"));
    silent
        .judge(&[])
        .expect("sda1: protected in-use\nsdb: protected in-use\nsdc: free");
}

#[test]
fn swap_files_and_mounts_of_other_namespaces_count() {
    let mut tree = Tree::new(
        "disk sda 8:0
         disk sdb 8:16
         disk sdc 8:32
         mount 8:0 / xfs /dev/sda rw
         swap /srv/swap\\040file file",
    );
    tree.add("mount 8:16 /srv xfs /dev/sdb rw");
    tree.write(
        "proc/55/mountinfo",
        "9 1 8:32 / /data rw - xfs /dev/sdc rw\n",
    );
    std::fs::create_dir_all(tree.path("proc/55/ns")).unwrap();
    std::os::unix::fs::symlink("mnt:[2]", tree.path("proc/55/ns/mnt")).unwrap();
    let verdicts = tree.judge(&[]);
    verdicts.expect("sdb: protected in-use\nsdc: protected in-use");
    assert!(
        verdicts.why("sdb").contains(&"swap".to_owned()),
        "{:?}",
        verdicts.why("sdb")
    );
}

#[test]
fn signatures_are_told_on_protected_devices_that_are_not_mounted() {
    let tree = Tree::new(
        "disk sda 8:0
         part sda1 8:1 of=sda
         udev 8:1 ID_FS_TYPE=ext4
         disk sdb 8:16
         udev 8:16 ID_FS_TYPE=ext4",
    );
    tree.judge(&["sda1"])
        .expect("sda1: protected critical preen\nsdb: free");
}

#[test]
fn a_data_directory_that_cannot_be_traced_is_a_problem() {
    let tree = Tree::new("disk sda 8:0");
    let inventory = tree.scan();
    let mut uses = tree.uses();
    let mut data = super::tree::data_on(&inventory, "sda");
    data.location = None;
    uses.data.push(data);
    let verdicts = guard_user::topology::classify(&inventory, &uses, &Memory::default());
    assert_eq!(verdicts.problems.len(), 1, "{:?}", verdicts.problems);
}

#[test]
fn what_the_machine_boots_from_is_protected_beside_the_running_system_alone() {
    let esp = "ID_PART_ENTRY_TYPE=c12a7328-f81f-11d2-ba4b-00a0c93ec93b ID_FS_TYPE=vfat";
    let bios = "ID_PART_ENTRY_TYPE=21686148-6449-6e6f-744e-656564454649";
    let tree = Tree::new(&format!(
        "disk sda 8:0
         part sda1 8:1 of=sda
         part sda2 8:2 of=sda
         part sda3 8:3 of=sda
         part sda4 8:4 of=sda
         disk sdb 8:16
         part sdb1 8:17 of=sdb
         udev 8:1 {bios}
         udev 8:2 {esp}
         udev 8:17 {esp}
         mount 8:3 / ext4 /dev/sda3 rw"
    ));
    let verdicts = tree.judge(&[]);
    verdicts.expect(
        "sda1: protected in-use
         sda2: protected in-use preen
         sda4: free disk-protected
         sdb1: free",
    );
    assert_eq!(verdicts.why("sda1"), ["holds what this machine boots from"]);
}
