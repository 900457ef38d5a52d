//! LVM: siblings are free, internals follow their volume, groups hold together.

use guard_user::topology::{Changes, DeviceIdentity, Memory, Uses, classify};

use super::tree::{Tree, lvm_id};

const GROUP: &str = "
    disk sda 8:0
    part sda1 8:1 of=sda
    udev 8:1 ID_FS_TYPE=LVM2_member
    disk sdb 8:16
    udev 8:16 ID_FS_TYPE=LVM2_member
    dm dm-0 253:0 lvm=vg0/data over=sda1
    dm dm-1 253:1 lvm=vg0/spare over=sda1,sdb
";

#[test]
fn a_volume_beside_a_protected_one_is_free() {
    let verdicts = Tree::new(GROUP).judge(&["dm-0"]);
    verdicts.expect(
        "dm-0: protected critical
         dm-1: free disk-protected
         sda1: protected critical lvm-pv
         sda: protected critical
         sdb: protected lvm-pv",
    );
    assert_eq!(
        verdicts.why("sdb"),
        ["physical volume of group vg0, which is in use"]
    );
    assert_eq!(
        verdicts.0.free_lv_arguments,
        ["vg0/spare", "/dev/vg0/spare", "/dev/mapper/vg0-spare"]
    );
}

#[test]
fn a_volume_on_a_disk_that_udev_does_not_probe_is_free_too() {
    // Of rbd, drbd, emcpower and the like udev's record says nothing; of a volume made a moment
    // ago, nothing yet.
    for disk in ["rbd0", "sda"] {
        let tree = Tree::new(&format!(
            "disk {disk} 8:0
             udev 8:0 ID_MODEL=x
             dm dm-0 253:0 lvm=vg0/data over={disk}
             dm dm-1 253:1 lvm=vg0/spare over={disk}"
        ));
        tree.judge(&["dm-0"]).expect(&format!(
            "dm-0: protected critical
             dm-1: free disk-protected
             {disk}: protected critical lvm-pv"
        ));
    }
}

#[test]
fn names_with_dashes_are_spelt_both_ways() {
    let tree = Tree::new("disk sda 8:0\ndm dm-0 253:0 lvm=my-vg/a-b over=sda");
    assert_eq!(
        tree.judge(&[]).0.free_lv_arguments,
        ["my-vg/a-b", "/dev/my-vg/a-b", "/dev/mapper/my--vg-a--b"]
    );
}

#[test]
fn a_volume_that_is_merely_mounted_may_be_named_and_a_pool_may_not() {
    // LVM refuses what is open; after the umount nobody has to wait for the controller.
    let tree = Tree::new(
        "disk sda 8:0
         dm dm-0 253:0 lvm=vg0/data over=sda
         dm dm-1 253:1 lvm=vg0/scratch over=sda
         mount 253:1 /scratch xfs /dev/dm-1 rw",
    );
    let verdicts = tree.judge(&["dm-0"]);
    assert!(verdicts.is_protected("dm-1"));
    assert_eq!(verdicts.0.free_lv_arguments[0], "vg0/scratch");
    assert_eq!(verdicts.0.free_lv_arguments.len(), 3);
    let pool = Tree::new(
        "disk sda 8:0
         dm dm-0 253:0 lvm=vg0/pool over=sda
         dm dm-1 253:1 lvm=vg0/thin over=dm-0
         mount 253:1 /scratch xfs /dev/dm-1 rw",
    );
    assert!(
        !pool
            .judge(&[])
            .0
            .free_lv_arguments
            .contains(&"vg0/pool".to_owned())
    );
}

#[test]
fn two_groups_of_one_name_give_no_argument() {
    let tree = Tree::new(&format!(
        "disk sda 8:0
         dm dm-0 253:0 lvm=vg0/a over=sda
         dm dm-1 253:1 name=vg0-b uuid=LVM-{}{} over=sda",
        lvm_id("other"),
        lvm_id("b")
    ));
    assert!(tree.judge(&[]).0.free_lv_arguments.is_empty());
}

#[test]
fn a_snapshot_is_free_until_it_is_mounted_and_its_origin_is_not() {
    let text = "
        disk sda 8:0
        udev 8:0 ID_FS_TYPE=LVM2_member
        dm dm-1 253:1 lvm=vg0/data/real over=sda
        dm dm-0 253:0 lvm=vg0/data over=dm-1
        dm dm-3 253:3 lvm=vg0/snap/cow over=sda
        dm dm-2 253:2 lvm=vg0/snap over=dm-1,dm-3
    ";
    let tree = Tree::new(text);
    let verdicts = tree.judge(&["dm-0"]);
    verdicts.expect(
        "dm-0: protected critical
         dm-1: protected critical
         dm-2: free disk-protected
         dm-3: free disk-protected
         sda: protected critical lvm-pv",
    );
    assert_eq!(verdicts.0.free_lv_arguments[0], "vg0/snap");
    assert_eq!(verdicts.0.free_lv_arguments.len(), 3);
    let mounted = Tree::new(&format!("{text}\nmount 253:2 /backup xfs /dev/dm-2 ro"));
    let verdicts = mounted.judge(&["dm-0"]);
    verdicts.expect("dm-2: protected in-use\ndm-3: protected in-use");
    // LVM itself refuses it while it is mounted, and afterwards nobody has to wait.
    assert_eq!(verdicts.0.free_lv_arguments[0], "vg0/snap");
    assert_eq!(verdicts.0.free_lv_arguments.len(), 3);
    let critical = mounted.judge(&["dm-0", "dm-2"]);
    assert!(critical.0.free_lv_arguments.is_empty());
    // The snapshot alone is mounted: writing to the origin would write through.
    mounted.judge(&[]).expect("dm-0: protected");
}

#[test]
fn a_thin_pool_is_protected_under_all_its_names_and_its_other_volumes_are_free() {
    let tree = Tree::new(
        "disk sda 8:0
         udev 8:0 ID_FS_TYPE=LVM2_member
         dm dm-0 253:0 lvm=vg0/pool_tmeta/tmeta over=sda
         dm dm-1 253:1 lvm=vg0/pool_tdata/tdata over=sda
         dm dm-2 253:2 lvm=vg0/pool/tpool over=dm-0,dm-1
         dm dm-3 253:3 lvm=vg0/pool/pool over=dm-2
         dm dm-4 253:4 lvm=vg0/data over=dm-2
         dm dm-5 253:5 lvm=vg0/other over=dm-2",
    );
    let verdicts = tree.judge(&["dm-4"]);
    verdicts.expect(
        "dm-0: protected critical lvm-pv
         dm-1: protected critical
         dm-2: protected critical
         dm-3: protected
         dm-4: protected critical
         dm-5: free disk-protected
         sda: protected critical lvm-pv",
    );
    assert_eq!(verdicts.0.free_lv_arguments[0], "vg0/other");
    assert_eq!(verdicts.0.free_lv_arguments.len(), 3);
}

#[test]
fn a_new_pools_parts_are_free_while_lvm_makes_them() {
    let tree = Tree::new(
        "disk sda 8:0
         udev 8:0 ID_FS_TYPE=LVM2_member
         dm dm-0 253:0 lvm=vg0/data over=sda
         dm dm-1 253:1 lvm=vg0/new_tmeta/tmeta over=sda",
    );
    let verdicts = tree.judge(&["dm-0"]);
    verdicts.expect("dm-1: free disk-protected");
    assert!(verdicts.0.free_lv_arguments.is_empty());
}

#[test]
fn raid_images_follow_their_volume() {
    let tree = Tree::new(
        "disk sda 8:0
         disk sdb 8:16
         udev 8:0 ID_FS_TYPE=LVM2_member
         udev 8:16 ID_FS_TYPE=LVM2_member
         dm dm-0 253:0 lvm=vg0/data_rimage_0 over=sda
         dm dm-1 253:1 lvm=vg0/data_rimage_1 over=sdb
         dm dm-2 253:2 lvm=vg0/data over=dm-0,dm-1
         dm dm-3 253:3 lvm=vg0/free_rimage_0 over=sda
         dm dm-4 253:4 lvm=vg0/free over=dm-3",
    );
    let verdicts = tree.judge(&["dm-2"]);
    verdicts.expect(
        "dm-0: protected critical
         dm-1: protected critical
         sdb: protected critical lvm-pv
         dm-3: free disk-protected
         dm-4: free disk-protected",
    );
    assert_eq!(verdicts.0.free_lv_arguments[0], "vg0/free");
    assert_eq!(verdicts.0.free_lv_arguments.len(), 3);
}

#[test]
fn a_physical_volume_that_does_not_tell_its_group_is_protected_while_any_is_in_use() {
    let silent = "
        disk sda 8:0
        udev 8:0 ID_FS_TYPE=LVM2_member
        disk sdb 8:16
        udev 8:16 ID_FS_TYPE=LVM2_member
        disk sdc 8:32
        udev 8:32 ID_FS_TYPE=
        dm dm-0 253:0 lvm=vg0/data over=sda
    ";
    let tree = Tree::new(silent);
    tree.judge(&["dm-0"])
        .expect("sdb: protected lvm-pv\nsdc: free");
    tree.judge(&[]).expect("sdb: free\nsda: free");
    for (group, expected) in [("vg0", "protected lvm-pv"), ("vg9", "free")] {
        let tree = Tree::new(silent);
        tree.write("run/lvm/pvs_online/abc", &format!("8:16\nvg:{group}\n"));
        tree.judge(&["dm-0"]).expect(&format!("sdb: {expected}"));
    }
}

#[test]
fn the_label_on_the_disk_tells_the_group() {
    let tree = Tree::new(
        "disk sda 8:0
         udev 8:0 ID_FS_TYPE=LVM2_member
         disk sdb 8:16
         udev 8:16 ID_FS_TYPE=LVM2_member
         disk sdc 8:32
         udev 8:32 ID_FS_TYPE=LVM2_member
         dm dm-0 253:0 lvm=vg0/data over=sda",
    );
    for (name, group) in [("sdb", "vg0"), ("sdc", "vg9")] {
        std::fs::write(tree.path(&format!("dev/{name}")), label(&lvm_id(group))).unwrap();
    }
    tree.judge(&["dm-0"])
        .expect("sdb: protected lvm-pv\nsdc: free");
}

/// A physical volume's label and the head of its metadata.
fn label(group: &str) -> Vec<u8> {
    let mut image = vec![0; 16 * 1024];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(512, b"LABELONE");
    put(532, &32_u32.to_le_bytes());
    put(536, b"LVM2 001");
    put(544 + 40, &1_048_576_u64.to_le_bytes());
    put(544 + 72, &4096_u64.to_le_bytes());
    put(4100, b" LVM2 x[5A%r0N*>");
    put(4096 + 40, &512_u64.to_le_bytes());
    put(4096 + 512, format!("vg {{\nid = \"{group}\"\n").as_bytes());
    image
}

#[test]
fn crypt_on_a_free_volume_is_free_and_a_mapping_over_a_protected_one_is_not() {
    let tree = Tree::new(&format!(
        "{GROUP}
         dm dm-5 253:5 name=x uuid=CRYPT-LUKS2-1-x over=dm-1
         dm dm-6 253:6 name=y uuid=CRYPT-LUKS2-2-y over=dm-0"
    ));
    tree.judge(&["dm-0"])
        .expect("dm-5: free disk-protected\ndm-6: protected");
}

/// A thin pool with an active volume; its old snapshot is not active.
const THIN: &str = "
    disk sda 8:0
    udev 8:0 ID_FS_TYPE=LVM2_member
    dm dm-0 253:0 lvm=vg0/pool_tmeta/tmeta over=sda
    dm dm-1 253:1 lvm=vg0/pool_tdata/tdata over=sda
    dm dm-2 253:2 lvm=vg0/pool/tpool over=dm-0,dm-1
    dm dm-4 253:4 lvm=vg0/thin over=dm-2
";

/// Volumes as LVM writes them down: name, and the strings of its segment. One that begins with a
/// dot is hidden.
const COPY: &[(&str, &str)] = &[
    ("pool", r#"metadata = "pool_tmeta" pool = "pool_tdata""#),
    ("thin", r#"thin_pool = "pool""#),
    ("old-1", r#"thin_pool = "pool" origin = "thin""#),
    (".pool_tmeta", r#"stripes = ["pv0", 0]"#),
    (".pool_tdata", r#"stripes = ["pv0", 1]"#),
    // LVM's own, whatever its status says.
    ("lvol0_pmspare", r#"stripes = ["pv0", 2]"#),
    ("base", r#"stripes = ["pv0", 3]"#),
    ("cow", r#"stripes = ["pv0", 4]"#),
    (".snapshot0", r#"origin = "base" cow_store = "cow""#),
    (".hidden", r#"stripes = ["pv0", 5]"#),
];

/// The text of a copy that was made at the second 1000.
fn copy(group: &str, id: &str, volumes: &[(&str, &str)]) -> String {
    let mut text = format!(
        "# Generated by LVM2\ncreation_time = 1000\n\n{group} {{\n\tid = \"{}\"\n\tlogical_volumes {{\n",
        dashed(id)
    );
    for (name, strings) in volumes {
        let (name, visible) = match name.strip_prefix('.') {
            Some(name) => (name, ""),
            None => (*name, ", \"VISIBLE\""),
        };
        text.push_str(&format!(
            "{name} {{\nid = \"{}\"\nstatus = [\"READ\"{visible}]\nsegment1 {{\n{strings}\n}}\n}}\n",
            dashed(&lvm_id(name))
        ));
    }
    text + "\t}\n}\n"
}

/// `AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA`.
fn dashed(id: &str) -> String {
    let mut dashed = id.to_owned();
    for at in [26, 22, 18, 14, 10, 6] {
        dashed.insert(at, '-');
    }
    dashed
}

fn with_copy(text: &str, copy: &str) -> Tree {
    let tree = Tree::new(text);
    tree.write("proc/1/root/etc/lvm/backup/vg0", copy);
    tree
}

fn arguments(tree: &Tree, memory: &Memory) -> Vec<String> {
    tree.judge_with(&["dm-4"], memory).0.free_lv_arguments
}

const OLD: [&str; 3] = ["vg0/old-1", "/dev/vg0/old-1", "/dev/mapper/vg0-old--1"];

#[test]
fn an_inactive_snapshot_may_be_named_and_what_others_need_may_not() {
    let tree = with_copy(THIN, &copy("vg0", &lvm_id("vg0"), COPY));
    assert_eq!(arguments(&tree, &Memory::default()), OLD);
    // What is active stands before it.
    let spare = with_copy(
        &format!("{THIN}\ndm dm-9 253:9 lvm=vg0/zz over=sda"),
        &copy("vg0", &lvm_id("vg0"), COPY),
    );
    let found = arguments(&spare, &Memory::default());
    assert_eq!(found[0], "vg0/zz");
    assert_eq!(found[3..], OLD);
    // Neither the pool nor the origin is active either.
    let asleep = with_copy(
        "disk sda 8:0\ndm dm-4 253:4 lvm=vg0/else over=sda",
        &copy("vg0", &lvm_id("vg0"), COPY),
    );
    assert_eq!(arguments(&asleep, &Memory::default()), OLD);
    // Gone from the group, or nothing known any more.
    tree.write("proc/1/root/etc/lvm/backup/vg0", "vg0 {");
    assert!(arguments(&tree, &Memory::default()).is_empty());
    let mut inventory = spare.scan();
    inventory.forget_inactive_volumes();
    let verdicts = classify(&inventory, &Uses::default(), &Memory::default());
    assert!(!verdicts.free_lv_arguments.contains(&OLD[0].to_owned()));
}

#[test]
fn an_update_sees_what_was_written_down() {
    let tree = Tree::new(THIN);
    let mut inventory = tree.scan();
    let named = |inventory: &_| {
        let verdicts = classify(inventory, &Uses::default(), &Memory::default());
        verdicts.free_lv_arguments.contains(&OLD[0].to_owned())
    };
    assert!(!named(&inventory));
    tree.write(
        "proc/1/root/etc/lvm/backup/vg0",
        &copy("vg0", &lvm_id("vg0"), COPY),
    );
    inventory.update(&tree.roots, &Changes::default()).unwrap();
    assert!(named(&inventory));
}

#[test]
fn an_active_volume_is_judged_by_its_device_alone() {
    let text = copy("vg0", &lvm_id("vg0"), COPY);
    // Under the id that was written down, another id, or as a layer; in use by a database.
    for node in [
        "lvm=vg0/old-1".to_owned(),
        format!("name=vg0-x uuid=LVM-{}{}", lvm_id("vg0"), lvm_id("old-1")),
        format!(
            "name=vg0-old--1 uuid=LVM-{}{}",
            lvm_id("vg0"),
            lvm_id("new")
        ),
        format!(
            "name=vg0-old--1-tpool uuid=LVM-{}{}-tpool",
            lvm_id("vg0"),
            lvm_id("new")
        ),
        "name=vg0-old--1".to_owned(),
    ] {
        let tree = with_copy(&format!("{THIN}\ndm dm-5 253:5 {node} over=dm-2"), &text);
        let verdicts = tree.judge(&["dm-4", "dm-5"]);
        assert!(verdicts.is_protected("dm-5"));
        assert!(verdicts.0.free_lv_arguments.is_empty(), "{node}");
    }
}

#[test]
fn an_inactive_volume_that_carried_data_is_never_named() {
    let text = copy("vg0", &lvm_id("vg0"), COPY);
    let active = with_copy(
        &format!("{THIN}\ndm dm-5 253:5 lvm=vg0/old-1 over=dm-2"),
        &text,
    );
    let mut memory = Memory::default();
    let identities = active.judge(&["dm-5"]).0.critical_identities();
    memory.learn(identities, 900);
    let tree = with_copy(THIN, &text);
    assert!(arguments(&tree, &memory).is_empty());
    let by = |stack_uuid: String, since| Memory {
        remembered: vec![DeviceIdentity {
            stack_uuid: Some(stack_uuid),
            since,
            ..DeviceIdentity::default()
        }],
    };
    let volume = |name: &str| format!("LVM-{}{}", lvm_id("vg0"), lvm_id(name));
    for uuid in [
        volume("old-1"),
        volume("old-1") + "-real",
        "dm-name:vg0-old--1".to_owned(),
    ] {
        assert!(arguments(&tree, &by(uuid.clone(), 0)).is_empty(), "{uuid}");
    }
    // A volume that is not written down: the copy is from before it was remembered, and may be
    // wrong about the names; or from later, and the volume is gone.
    assert!(arguments(&tree, &by(volume("unheard"), 1001)).is_empty());
    assert_eq!(arguments(&tree, &by(volume("unheard"), 999)), OLD);
    assert_eq!(arguments(&tree, &by(volume("thin"), 1001)), OLD);
}

#[test]
fn a_group_that_is_not_certain_gives_no_inactive_volume() {
    let (own, other) = (lvm_id("vg0"), lvm_id("other"));
    let text = copy("vg0", &own, COPY);
    let none = Memory::default();
    // The one that is active has another id, or none is active.
    assert!(arguments(&with_copy(THIN, &copy("vg0", &other, COPY)), &none).is_empty());
    let idle = with_copy("disk sda 8:0", &text);
    assert!(idle.judge(&[]).0.free_lv_arguments.is_empty());
    // Two are active, or two are written down.
    let second = format!(
        "{THIN}\ndm dm-5 253:5 name=vg0-b uuid=LVM-{other}{} over=sda",
        lvm_id("b")
    );
    assert!(arguments(&with_copy(&second, &text), &none).is_empty());
    let tree = with_copy(THIN, &text);
    tree.write("proc/1/root/etc/lvm/backup/old", &copy("vg0", &other, COPY));
    assert!(arguments(&tree, &none).is_empty());
    // Of several hosts: active elsewhere, perhaps.
    let shared = text.replacen("id =", "lock_type = \"dlm\"\nid =", 1);
    assert!(arguments(&with_copy(THIN, &shared), &none).is_empty());
}
