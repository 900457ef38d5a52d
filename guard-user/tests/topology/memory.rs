//! What once was critical is recognised when names have moved.

use guard_user::topology::{DeviceIdentity, Memory, Scope};

use super::tree::Tree;

/// Remembers what is critical in one tree.
fn remember(tree: &Tree, databases: &[&str]) -> Memory {
    let mut memory = Memory::default();
    assert!(memory.learn(tree.judge(databases).0.critical_identities(), 1_700_000_000));
    memory
}

#[test]
fn a_disk_is_recognised_under_another_name() {
    let before = Tree::new(
        "disk sda 8:0 wwid=naa.1
         part sda1 8:1 of=sda
         part sda2 8:2 of=sda
         disk sdb 8:16 wwid=naa.2",
    );
    let memory = remember(&before, &["sda1"]);
    assert_eq!(memory.remembered.len(), 2);
    let after = Tree::new(
        "disk sda 8:0 wwid=naa.2
         part sda1 8:1 of=sda
         disk sdb 8:16 wwid=naa.1
         part sdb1 8:17 of=sdb
         part sdb2 8:18 of=sdb",
    );
    let verdicts = after.judge_with(&[], &memory);
    verdicts.expect(
        "sdb: protected critical remembered
         sdb1: protected critical remembered
         sdb2: free disk-protected
         sda: free
         sda1: free",
    );
    let why = &verdicts.why("sdb1")[0];
    assert_eq!(
        why,
        "remembered: carries /var/lib/mysql (mariadbd 812, running)"
    );
}

#[test]
fn a_disk_that_was_given_a_copy_of_the_table_is_another() {
    let disk = |name: &str, number: u32, wwid: &str| {
        format!(
            "disk {name} 8:{number} wwid={wwid}
             part {name}1 8:{} of={name}
             udev 8:{number} ID_PART_TABLE_UUID=aaaa-bb
             udev 8:{} ID_PART_ENTRY_UUID=1111-22\n",
            number + 1,
            number + 1
        )
    };
    let old = disk("sda", 0, "naa.1");
    let memory = remember(&Tree::new(&old), &["sda1"]);
    let both = old.clone() + &disk("sdb", 16, "naa.2");
    Tree::new(&both).judge_with(&[], &memory).expect(
        "sda: protected critical remembered
         sda1: protected critical remembered
         sdb: free
         sdb1: free",
    );
    // Behind another controller a disk may say another word of itself.
    Tree::new(&disk("sdb", 16, "naa.2"))
        .judge_with(&[], &memory)
        .expect("sdb: protected critical remembered\nsdb1: protected critical remembered");
}

#[test]
fn a_member_that_left_an_array_that_lives_is_free() {
    let disks = "disk sda 8:0 wwid=naa.1
         disk sdb 8:16 wwid=naa.2
         udev 8:16 ID_FS_TYPE=linux_raid_member ID_FS_UUID=0b9c6b8e-5f0c-4d0e-9a3e-2f8d1c7b6a50\n";
    let array = |uuid: &str, over: &str| {
        format!("{disks}md md0 9:0 level=raid1 disks=2 mduuid={uuid} over={over}")
    };
    let own = "0b9c6b8e:5f0c4d0e:9a3e2f8d:1c7b6a50";
    let memory = remember(&Tree::new(&array(own, "sda,sdb")), &["md0"]);
    let judged = |text: &str, databases: &[&str]| Tree::new(text).judge_with(databases, &memory);
    judged(&array(own, "sda"), &["md0"]).expect("sda: protected critical md-member\nsdb: free");
    // Without the array, or beside another, it may be all that there is.
    for text in [disks, &array("0b9c6b8e:5f0c4d0e:9a3e2f8d:1c7b6a51", "sda")] {
        judged(text, &[]).expect("sdb: protected critical md-member remembered");
    }
}

#[test]
fn stacks_are_recognised_by_their_uuid_and_their_siblings_stay_free() {
    let text = "
        disk vda 254:0
        part vda1 254:1 of=vda
        udev 254:1 ID_FS_TYPE=LVM2_member ID_PART_ENTRY_UUID=1111-22
        udev 254:0 ID_PART_TABLE_UUID=aaaa-bb
        dm dm-0 253:0 lvm=vg0/data over=vda1
        dm dm-1 253:1 lvm=vg0/spare over=vda1";
    let memory = remember(&Tree::new(text), &["dm-0"]);
    let after = text.replace("dm-0", "dm-7").replace("253:0", "253:7");
    Tree::new(&after).judge_with(&[], &memory).expect(
        "dm-7: protected critical remembered
         dm-1: free disk-protected
         vda1: protected critical lvm-pv remembered
         vda: protected critical remembered",
    );
    // The group is not active: nothing of LVM's may write to the volume either.
    let inactive: String = text
        .lines()
        .filter(|line| !line.contains("dm "))
        .collect::<Vec<_>>()
        .join("\n");
    Tree::new(&inactive)
        .judge_with(&[], &memory)
        .expect("vda1: protected critical remembered\nvda: protected critical remembered");
}

#[test]
fn a_name_alone_counts_only_with_the_size_and_where_there_is_nothing_else() {
    let memory = remember(&Tree::new("disk vda 254:0 size=1000"), &["vda"]);
    assert!(memory.remembered[0].is_weak());
    let verdicts = Tree::new("disk vda 254:0 size=1000").judge_with(&[], &memory);
    verdicts.expect("vda: protected critical remembered");
    assert!(verdicts.why("vda")[0].contains("by name and size alone"));
    Tree::new("disk vda 254:0 size=2000")
        .judge_with(&[], &memory)
        .expect("vda: free");
    Tree::new("disk vda 254:0 size=1000 serial=X")
        .judge_with(&[], &memory)
        .expect("vda: free");
}

#[test]
fn live_data_is_not_called_remembered() {
    let tree = Tree::new("disk sda 8:0 wwid=naa.1");
    let mut memory = remember(&tree, &["sda"]);
    let verdicts = tree.judge_with(&["sda"], &memory);
    verdicts.expect("sda: protected critical");
    assert!(
        !memory.learn(verdicts.0.critical_identities(), 9),
        "nothing new"
    );
    assert_eq!(memory.remembered[0].since, 1_700_000_000);
    assert!(
        tree.judge_with(&[], &memory)
            .0
            .critical_identities()
            .is_empty()
    );
}

#[test]
fn remembering_widens_and_never_narrows() {
    let identity = |scope| DeviceIdentity {
        wwid: Some("naa.1".to_owned()),
        scope,
        ..DeviceIdentity::default()
    };
    let mut memory = Memory::default();
    assert!(memory.learn(vec![identity(Scope::Table)], 1));
    assert!(memory.learn(vec![identity(Scope::Content)], 2));
    assert!(!memory.learn(vec![identity(Scope::Table)], 3));
    assert_eq!(memory.remembered.len(), 1);
    assert_eq!(memory.remembered[0].scope, Scope::Content);
}

#[test]
fn identities_survive_being_written_down() {
    let tree = Tree::new("disk sda 8:0 wwid=naa.1 serial=S1\npart sda1 8:1 of=sda");
    let memory = remember(&tree, &["sda1"]);
    let text = serde_json::to_string(&memory).unwrap();
    assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
}
