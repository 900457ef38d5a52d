//! Nodes that send commands to drives.

use guard_abi::PassthroughKind;

use super::tree::Tree;

const DRIVES: &str = "
    nvme nvme0n1 259:0 ctrl=nvme0 wwid=eui.1
    part nvme0n1p1 259:1 of=nvme0n1
    nvme nvme0n2 259:2 ctrl=nvme0 wwid=eui.2
    nvme nvme1n1 259:3 ctrl=nvme1 wwid=eui.3
    node nvme0 240:0 class=nvme
    node nvme1 240:1 class=nvme
    node ng0n1 241:0 class=nvme-generic ctrl=nvme0
    node ng0n2 241:1 class=nvme-generic ctrl=nvme0
    node ng1n1 241:2 class=nvme-generic ctrl=nvme1
    disk sda 8:0 scsi=2:0:0:0
    disk sdb 8:16 scsi=2:0:1:0
    node sg0 21:0 class=scsi_generic scsi=2:0:0:0 type=0
    node sg1 21:1 class=scsi_generic scsi=2:0:1:0 type=0
    node 2:0:0:0 247:0 class=bsg scsi=2:0:0:0
    node sg2 21:2 class=scsi_generic scsi=2:0:9:0 type=13
    node sg3 21:3 class=scsi_generic scsi=3:0:9:0 type=13
    node sg4 21:4 class=scsi_generic scsi=4:0:0:0 type=5
    node sg5 21:5 class=scsi_generic scsi=4:0:1:0 type=0
";

#[test]
fn a_controller_is_protected_if_any_of_its_namespaces_is() {
    let verdicts = Tree::new(DRIVES).judge(&["nvme0n1p1"]);
    verdicts.expect(
        "nvme0: protected critical
         ng0n1: protected critical
         nvme0n2: free disk-protected
         ng0n2: free disk-protected
         nvme1: free
         ng1n1: free
         nvme1n1: free
         sg0: free",
    );
    assert_eq!(verdicts.why("nvme0")[0], "passes commands to nvme0n1");
    assert_eq!(
        verdicts.why("nvme0")[1],
        "carries /var/lib/mysql (mariadbd 812, running)"
    );
    assert_eq!(
        verdicts.why("nvme0n2"),
        ["free, but shares a drive with nvme0n1"]
    );
}

#[test]
fn scsi_nodes_follow_their_disk() {
    let verdicts = Tree::new(DRIVES).judge(&["sda"]);
    verdicts.expect(
        "sg0: protected critical
         2:0:0:0: protected critical
         sg1: free
         sg2: protected
         sg3: free
         sg4: free",
    );
    // A disk's node without the disk: nobody knows what is on it.
    assert!(!verdicts.is_known("sg5"));
    assert_eq!(verdicts.0.dm_major, 253);
    assert!(
        verdicts
            .0
            .char_majors
            .contains(&(241, PassthroughKind::NvmeGeneric))
    );
}

#[test]
fn native_multipath_protects_every_controller_of_the_subsystem() {
    let mut tree = Tree::new(
        "nvme nvme0n1 259:0 subsys=nvme-subsys0
         node nvme0 240:0 class=nvme subsys=nvme-subsys0
         node nvme1 240:1 class=nvme subsys=nvme-subsys0
         node nvme2 240:2 class=nvme subsys=nvme-subsys2",
    );
    // A hidden path has no number.
    tree.write("sys/class/block/nvme0c1n1/uevent", "DEVTYPE=disk\n");
    tree.add("node ng0n1 241:0 class=nvme-generic");
    tree.judge(&["nvme0n1"]).expect(
        "nvme0: protected critical
         nvme1: protected critical
         nvme2: free
         ng0n1: protected critical",
    );
}

#[test]
fn keys_find_their_entries() {
    let verdicts = Tree::new(DRIVES).judge(&["sda"]);
    for device in &verdicts.0.devices {
        assert_eq!(
            verdicts.key(device.key).map(|found| &found.name),
            Some(&device.name)
        );
    }
}
