//! A machine with 10,000 block devices: time and memory. A program of its own, so that no other
//! test's memory is counted.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "topology/tree.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "shared with the other tests"
)]
mod tree;

use std::fmt::Write;
use std::time::Duration;

use guard_abi::DeviceClass;
use guard_user::topology::{Changes, Inventory, Memory, Uses, classify};

use tree::{Tree, data_on};

/// 1,250 drives with a generic node each; on every drive three partitions; on the second an LVM
/// volume group with two volumes, on the third LUKS. Every fifth volume is mounted.
fn description(drives: u32) -> String {
    let mut text = String::new();
    for drive in 0..drives {
        let minor = drive * 16;
        let (a, b) = (drive * 3, drive * 3 + 1);
        let c = b + 1;
        write!(
            text,
            "disk sd{drive}x {major}:{low} scsi=0:0:{drive}:0 wwid=naa.{drive} serial=S{drive}
             part sd{drive}x1 {major}:{p1} of=sd{drive}x
             part sd{drive}x2 {major}:{p2} of=sd{drive}x
             part sd{drive}x3 {major}:{p3} of=sd{drive}x
             udev {major}:{low} ID_PART_TABLE_UUID=table-{drive}
             udev {major}:{p2} ID_FS_TYPE=LVM2_member ID_PART_ENTRY_UUID=u-{drive}
             dm dm-{a} 253:{a} lvm=vg{drive}/data over=sd{drive}x2
             dm dm-{b} 253:{b} lvm=vg{drive}/spare over=sd{drive}x2
             dm dm-{c} 253:{c} name=luks{drive} uuid=CRYPT-LUKS2-{drive}-x over=sd{drive}x3
             node sg{drive} 21:{drive} class=scsi_generic scsi=0:0:{drive}:0 type=0
             ",
            major = 8 + minor / 16384,
            low = minor % 16384,
            p1 = minor % 16384 + 1,
            p2 = minor % 16384 + 2,
            p3 = minor % 16384 + 3,
        )
        .unwrap();
        if drive % 5 == 0 {
            writeln!(
                text,
                "mount 253:{a} /srv/{drive} xfs /dev/mapper/vg{drive}-data rw"
            )
            .unwrap();
        }
    }
    text
}

/// Processor time of this thread: other work on the machine has no influence on it.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap(),
    )
}

/// Resident pages in KiB, from `/proc/self/statm`.
fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 4
}

#[test]
fn ten_thousand_devices_are_judged_in_time() {
    let tree = Tree::new(&description(1_430));
    let before = resident_kib();
    let start = cpu_time();
    let inventory = Inventory::scan(&tree.roots).unwrap();
    let scanned = cpu_time().saturating_sub(start);
    let mut uses = Uses::of_host(&tree.roots, &inventory).unwrap();
    uses.data.push(data_on(&inventory, "dm-15"));
    let judging = cpu_time();
    let verdicts = classify(&inventory, &uses, &Memory::default());
    let judged = cpu_time().saturating_sub(judging);
    let grown = resident_kib().saturating_sub(before);
    println!(
        "{} devices, {} entries: scan {scanned:?}, classify {judged:?}, resident +{grown} KiB",
        inventory.devices().len(),
        verdicts.devices.len()
    );
    assert_eq!(inventory.devices().len(), 1_430 * 7);
    assert_eq!(verdicts.devices.len(), 1_430 * 8);
    let protected = |name: &str| {
        let device = verdicts
            .devices
            .iter()
            .find(|device| &*device.name == name)
            .unwrap();
        device.class() == DeviceClass::Protected
    };
    assert!(protected("sd0x") && protected("sg0") && protected("sd0x2") && protected("dm-0"));
    assert!(!protected("dm-1") && !protected("sd0x1") && !protected("sd1x") && !protected("sg1"));
    // All but the one with the database.
    assert_eq!(verdicts.free_lv_arguments.len(), 3 * (1_430 * 2 - 1));
    // The bar is 1.5 s for an optimised build; a debug build is several times slower.
    let bar = if cfg!(debug_assertions) { 8_000 } else { 1_500 };
    let spent = scanned + judged;
    assert!(spent.as_millis() < bar, "{scanned:?} + {judged:?}");
    // The controller as a whole has 15 MB.
    assert!(grown < 12 * 1024, "resident grew by {grown} KiB");
}

#[test]
fn an_update_gives_what_a_scan_gives() {
    let mut tree = Tree::new(&description(20));
    let mut inventory = tree.scan();
    tree.add("dm dm-900 253:900 lvm=vg3/new over=sd3x2\ndisk sdz 66:0");
    std::fs::remove_file(tree.path("sys/class/block/dm-4")).unwrap();
    std::fs::remove_dir(tree.path(
        "sys/devices/pci0000:00/0000:00:05.0/host0/target/0:0:1:0/block/sd1x/sd1x2/holders/dm-4",
    ))
    .unwrap();
    // Of the disk that came no event has arrived.
    let changes = Changes {
        devices: ["dm-900", "dm-4"].map(Into::into).into(),
        ..Changes::default()
    };
    inventory.update(&tree.roots, &changes).unwrap();
    let fresh = tree.scan();
    let uses = Uses::of_host(&tree.roots, &fresh).unwrap();
    let shown = |inventory| {
        let verdicts = classify(inventory, &uses, &Memory::default());
        format!("{:#?}", verdicts.devices)
    };
    assert_eq!(shown(&inventory), shown(&fresh));
}
