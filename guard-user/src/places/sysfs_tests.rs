//! Knobs of made-up machines.

use std::os::unix::fs::symlink;

use guard_abi::{DeviceEntry, DeviceKey, FileId, dev};

use super::*;
use crate::topology::{Classification, MountTable, Roots};

fn classified(name: &str, key: DeviceKey, class: DeviceClass) -> Classified {
    Classified {
        key,
        entry: DeviceEntry {
            class: class as u32,
            ..DeviceEntry::default()
        },
        name: name.into(),
        stack_name: None,
        why: Vec::new(),
        identity: None,
    }
}

struct Sysfs(tempfile::TempDir);

impl Sysfs {
    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join("sys").join(path)
    }

    fn dir(&self, path: &str) {
        fs::create_dir_all(self.path(path)).expect("made");
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("has one")).expect("made");
        symlink(target, path).expect("linked");
    }

    /// What is found, as paths.
    fn find(&self, devices: Vec<Classified>) -> Vec<(String, PlaceKind)> {
        let mut found: Vec<_> = self
            .places(devices)
            .entries
            .iter()
            .map(|(id, entry)| {
                let kind = PlaceKind::from_u8(entry.kind as u8).expect("a kind");
                (self.name(*id), kind)
            })
            .collect();
        found.sort();
        found
    }

    /// What counts only while the device of this number is claimed.
    fn while_claimed(&self, devices: Vec<Classified>) -> Vec<(String, u32)> {
        let places = self.places(devices);
        let conditional =
            |(_, entry): &&(FileId, PlaceEntry)| entry.condition == PlaceEntry::WHILE_CLAIMED;
        let mut found: Vec<_> = places
            .entries
            .iter()
            .filter(conditional)
            .map(|(id, entry)| (self.name(*id), entry.operand))
            .collect();
        found.sort();
        found
    }

    fn places(&self, devices: Vec<Classified>) -> Places {
        let roots = Roots::under(self.0.path());
        let devices = Classification {
            devices,
            ..Classification::default()
        };
        let mut places = Places::default();
        let mounts = MountTable::default();
        find(
            Facts {
                roots: &roots,
                mounts: &mounts,
                devices: &devices,
                processes: &[],
            },
            &mut places,
        );
        places
    }

    /// The path behind an identity.
    fn name(&self, id: FileId) -> String {
        let top = self.path("");
        let mut left = vec![top.clone()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).expect("read").flatten() {
                let metadata = entry.metadata().expect("there");
                if metadata.ino() == id.ino {
                    let path = entry.path();
                    let path = path.strip_prefix(&top).expect("below");
                    return path.display().to_string();
                }
                if metadata.is_dir() {
                    left.push(entry.path());
                }
            }
        }
        format!("inode {}", id.ino)
    }
}

/// Two disks and a free one on one SCSI host, an NVMe drive, an array, a network card.
fn machine() -> Sysfs {
    let sysfs = Sysfs(tempfile::tempdir().expect("a directory"));
    let host = "devices/pci0000:00/0000:00:04.0/virtio1/host0";
    for (lun, name, minor) in [("0:0:0:0", "sda", 0), ("0:0:1:0", "sdb", 16)] {
        let target = &lun[..5];
        let place = format!("{host}/target{target}/{lun}/block/{name}");
        sysfs.dir(&place);
        sysfs.link(&format!("dev/block/8:{minor}"), &format!("../../{place}"));
        sysfs.link(
            &format!("{host}/target{target}/{lun}/driver"),
            "../../../../../../../bus/scsi/drivers/sd",
        );
    }
    let drive = "devices/pci0000:00/0000:00:05.0/nvme/nvme0";
    sysfs.dir(&format!("{drive}/nvme0n1/nvme0n1p1"));
    sysfs.link(
        "dev/block/259:1",
        &format!("../../{drive}/nvme0n1/nvme0n1p1"),
    );
    sysfs.link("dev/char/240:0", &format!("../../{drive}"));
    sysfs.link(
        "devices/pci0000:00/0000:00:05.0/driver",
        "../../../bus/pci/drivers/nvme",
    );
    for (slot, address) in [("4", "0000:00:04"), ("9", "0000:00:09")] {
        let slot = format!("bus/pci/slots/{slot}");
        sysfs.dir(&slot);
        fs::write(sysfs.path(&slot).join("address"), format!("{address}\n")).expect("written");
    }
    sysfs.dir(&format!("{host}/scsi_host/host0"));
    sysfs.dir(&format!("{host}/phy-0:0/sas_phy/phy-0:0"));
    sysfs.dir("devices/virtual/block/md0/md/dev-sda");
    sysfs.link("dev/block/9:0", "../../devices/virtual/block/md0");
    for other in [
        "bus/pci/drivers/nvme",
        "bus/scsi/drivers/sd",
        "devices/pci0000:00/0000:00:09.0/net/eth0",
        "power",
    ] {
        sysfs.dir(other);
    }
    sysfs
}

#[test]
fn what_a_protected_disk_hangs_on_and_no_more() {
    let sysfs = machine();
    let found = sysfs.find(vec![
        classified(
            "sda",
            DeviceKey::block(dev::make(8, 0)),
            DeviceClass::Protected,
        ),
        classified("sdb", DeviceKey::block(dev::make(8, 16)), DeviceClass::Free),
    ]);
    let host = "devices/pci0000:00/0000:00:04.0/virtio1/host0";
    let expected = [
        ("bus/pci/slots/4".to_owned(), PlaceKind::Device),
        ("bus/scsi/drivers/sd".to_owned(), PlaceKind::Driver),
        ("devices/pci0000:00".to_owned(), PlaceKind::Device),
        (
            "devices/pci0000:00/0000:00:04.0".to_owned(),
            PlaceKind::Device,
        ),
        (
            "devices/pci0000:00/0000:00:04.0/virtio1".to_owned(),
            PlaceKind::Device,
        ),
        (host.to_owned(), PlaceKind::Device),
        (format!("{host}/phy-0:0/sas_phy/phy-0:0"), PlaceKind::Device),
        (format!("{host}/scsi_host/host0"), PlaceKind::Device),
        (format!("{host}/target0:0:0/0:0:0:0"), PlaceKind::Device),
        ("power".to_owned(), PlaceKind::Power),
    ];
    assert_eq!(found, expected);
}

/// `umount X && echo 1 >…/device/delete` does not wait for the controller; a disk that is protected
/// for more, or hangs beside one that is, does.
#[test]
fn knobs_of_a_disk_in_use_are_a_matter_of_its_claims() {
    let sysfs = machine();
    let host = "devices/pci0000:00/0000:00:04.0/virtio1/host0";
    let lun = format!("{host}/target0:0:0/0:0:0:0");
    let other = format!("{host}/target0:0:1/0:0:1:0");
    sysfs.dir(&format!("{other}/block/sdc"));
    sysfs.link("dev/block/8:32", &format!("../../{other}/block/sdc"));
    let sda = dev::make(8, 0);
    let of = |name: &str, number, flags| {
        let mut device = classified(name, DeviceKey::block(number), DeviceClass::Protected);
        device.entry.flags = flags;
        device
    };
    let alone = sysfs.while_claimed(vec![of("sda", sda, device_flag::CLAIMED)]);
    assert!(alone.contains(&(lun.clone(), sda)), "{alone:?}");
    assert!(alone.contains(&(host.to_owned(), sda)), "{alone:?}");
    assert!(!alone.iter().any(|(path, _)| path.contains("drivers")));
    assert_eq!(sysfs.while_claimed(vec![of("sda", sda, 0)]), []);
    let sdc = dev::make(8, 32);
    for flags in [0, device_flag::CLAIMED] {
        let both = vec![of("sda", sda, device_flag::CLAIMED), of("sdc", sdc, flags)];
        let found = sysfs.while_claimed(both);
        assert!(found.contains(&(lun.clone(), sda)), "{found:?}");
        let above = |(path, _): &&(String, u32)| !path.contains("target");
        assert_eq!(found.iter().find(above), None);
        let of_other = found.contains(&(other.clone(), sdc));
        assert_eq!(of_other, flags != 0, "{found:?}");
    }
}

#[test]
fn controllers_and_arrays() {
    let sysfs = machine();
    let found = sysfs.find(vec![
        classified(
            "md0",
            DeviceKey::block(dev::make(9, 0)),
            DeviceClass::Protected,
        ),
        classified(
            "nvme0n1p1",
            DeviceKey::block(dev::make(259, 1)),
            DeviceClass::Protected,
        ),
        classified(
            "gone",
            DeviceKey::block(dev::make(8, 99)),
            DeviceClass::Protected,
        ),
        classified(
            "nvme0",
            DeviceKey::char(dev::make(240, 0)),
            DeviceClass::Protected,
        ),
    ]);
    let has = |path: &str, kind| found.contains(&(path.to_owned(), kind));
    assert!(has("devices/virtual/block/md0/md", PlaceKind::Array));
    assert!(has(
        "devices/virtual/block/md0/md/dev-sda",
        PlaceKind::Member
    ));
    let pci = "devices/pci0000:00/0000:00:05.0";
    assert!(has(pci, PlaceKind::Device));
    assert!(has(&format!("{pci}/nvme/nvme0"), PlaceKind::Device));
    assert!(has("bus/pci/drivers/nvme", PlaceKind::Driver));
    assert!(!found.iter().any(|(path, _)| path.contains("09.0")));
}

#[test]
fn ten_thousand_disks_need_a_directory_each() {
    let sysfs = Sysfs(
        tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .expect("a directory"),
    );
    let devices = (0..10_000_u32)
        .map(|number| {
            let lun = format!("0:0:{number}:0");
            let place = format!(
                "devices/pci0000:00/0000:00:04.0/host0/target0:0:{number}/{lun}/block/sd{number}x"
            );
            sysfs.dir(&place);
            sysfs.link(&format!("dev/block/8:{number}"), &format!("../../{place}"));
            classified(
                &format!("sd{number}x"),
                DeviceKey::block(dev::make(8, number)),
                DeviceClass::Protected,
            )
        })
        .collect();
    let roots = Roots::under(sysfs.0.path());
    let devices = Classification {
        devices,
        ..Classification::default()
    };
    let mut places = Places::default();
    let mounts = MountTable::default();
    let facts = Facts {
        roots: &roots,
        mounts: &mounts,
        devices: &devices,
        processes: &[],
    };
    find(facts, &mut places);
    assert_eq!(places.entries.len(), 10_000 + 3);
}
