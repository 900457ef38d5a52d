//! Directories of sysfs through which a protected device can be taken away: its own, those of
//! everything that it hangs on up to its bus, of the drivers that serve these, of MD arrays and
//! bcache sets; and `/sys/power`.
//!
//! Only directories that hold one of the names of [`guard_abi::NAMED_FILES`] are told: of 10,000
//! SCSI disks there is one directory each, because disk, `sg` and `bsg` node share their LUN's.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use guard_abi::{
    DeviceClass, DeviceKind, FileSystem, PlaceEntry, PlaceKind, dev, device_flag, place_id,
};

use super::{Facts, Places};
use crate::topology::Classified;

/// Block devices whose own directory has knobs; of others it is only the directories above.
const OWN_KNOBS: [&str; 3] = ["zram", "mmcblk", "rbd"];
/// Directories that only sort what is below them (drivers/base/core.c `class_dir_create_and_add`).
const GLUE: [&str; 4] = ["block", "nvme", "scsi_host", "virtual"];

/// Adds what it finds.
pub(super) fn find(facts: Facts<'_>, places: &mut Places) {
    let mut walk = Walk {
        sys: &facts.roots.sys,
        slots: slots(&facts.roots.sys),
        places,
        seen: HashMap::new(),
        last: PathBuf::new(),
        claimed: None,
    };
    walk.add(&walk.sys.join("power"), PlaceKind::Power);
    for device in &facts.devices.devices {
        if device.class() == DeviceClass::Protected {
            walk.device(device);
        }
    }
}

struct Walk<'a> {
    sys: &'a Path,
    /// PCI slots by the address of what is in them, without its function.
    slots: HashMap<String, PathBuf>,
    places: &'a mut Places,
    /// Inode numbers of what has been added, and where.
    seen: HashMap<u64, usize>,
    /// The device before: neighbours share most of what they hang on.
    last: PathBuf,
    /// The disk that is walked, where it is protected for nothing but being in use: what takes away it
    /// alone is a matter of its claims.
    claimed: Option<u32>,
}

impl Walk<'_> {
    fn device(&mut self, device: &Classified) {
        let is_block = device.key.kind == DeviceKind::Block as u32;
        // Other character devices hang on the same as the drive that they reach.
        if !is_block && !device.name.starts_with("nvme") {
            return;
        }
        let kind = if is_block { "block" } else { "char" };
        let number = device.key.dev;
        let link = format!("dev/{kind}/{}:{}", dev::major(number), dev::minor(number));
        // Without a link the device is gone.
        let Some(own) = self.resolve(&self.sys.join(link)) else {
            return;
        };
        let is_whole = is_block && !own.join("partition").exists();
        let is_claimed = device.entry.flags & device_flag::CLAIMED != 0;
        self.claimed = (is_whole && is_claimed).then_some(number);
        if !is_block || OWN_KNOBS.iter().any(|name| device.name.starts_with(name)) {
            self.add_with_driver(&own);
        }
        if is_block {
            self.stacks(&own, &device.name);
        }
        let above = own.parent().map(Path::to_path_buf).unwrap_or_default();
        self.hangs_on(&above);
        self.last = above;
    }

    /// Every directory from `path` up to its bus.
    fn hangs_on(&mut self, path: &Path) {
        let top = self.sys.join("devices");
        for directory in path.ancestors() {
            if directory == top || !directory.starts_with(&top) {
                break;
            }
            if self.last.starts_with(directory) {
                self.share(directory, &top);
                break;
            }
            let name = directory.file_name().unwrap_or_default();
            let sorts = GLUE.iter().any(|glue| name == *glue);
            let is_target = name.as_encoded_bytes().starts_with(b"target");
            if !sorts && !is_target {
                self.add_with_driver(directory);
            }
            if let Some((device, _)) = name.to_str().and_then(|name| name.rsplit_once('.'))
                && let Some(slot) = self.slots.get(device).cloned()
            {
                self.add(&slot, PlaceKind::Device);
            }
            if name.as_encoded_bytes().starts_with(b"host") {
                self.host(directory);
            }
        }
    }

    /// Several devices hang on these directories: no claim on one of them decides.
    fn share(&mut self, from: &Path, top: &Path) {
        for directory in from.ancestors().take_while(|directory| *directory != top) {
            let Ok(metadata) = fs::metadata(directory) else {
                continue;
            };
            let Some(at) = self.seen.get(&metadata.ino()) else {
                continue;
            };
            let entry = &mut self.places.entries[*at].1;
            if entry.condition == PlaceEntry::ALWAYS {
                return;
            }
            (entry.condition, entry.operand) = (PlaceEntry::ALWAYS, 0);
        }
    }

    /// What the classes of SCSI hosts and their transports have beside a host: its state, resets of it
    /// and of its links (drivers/scsi/scsi_sysfs.c, scsi_transport_fc.c, scsi_transport_sas.c).
    fn host(&mut self, host: &Path) {
        let name = host.file_name().unwrap_or_default();
        for class in ["scsi_host", "fc_host", "sas_host", "iscsi_host"] {
            self.add(&host.join(class).join(name), PlaceKind::Device);
        }
        for entry in fs::read_dir(host).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let class = match name.as_encoded_bytes() {
                [b'r', b'p', b'o', b'r', b't', b'-', ..] => "fc_remote_ports",
                [b'p', b'h', b'y', b'-', ..] => "sas_phy",
                _ => continue,
            };
            self.add(&entry.path().join(class).join(&name), PlaceKind::Device);
        }
    }

    /// MD arrays with their members, bcache devices with their sets.
    fn stacks(&mut self, own: &Path, name: &str) {
        if name.starts_with("md") {
            let array = own.join("md");
            self.add(&array, PlaceKind::Array);
            for entry in fs::read_dir(&array).into_iter().flatten().flatten() {
                if entry.file_name().as_encoded_bytes().starts_with(b"dev-") {
                    self.add(&entry.path(), PlaceKind::Member);
                }
            }
        }
        if name.starts_with("rbd") {
            self.add(&self.sys.join("bus/rbd"), PlaceKind::Driver);
        }
        // Of a bcache device it is a link to that of its backing device.
        if let Ok(cache) = fs::canonicalize(own.join("bcache")) {
            self.add(&cache, PlaceKind::Device);
            for set in ["cache", "set"] {
                if let Some(set) = self.resolve(&cache.join(set)) {
                    self.add(&set, PlaceKind::Device);
                }
            }
        }
    }

    fn add_with_driver(&mut self, directory: &Path) {
        self.add_while(directory, PlaceKind::Device, self.claimed);
        if let Some(driver) = self.resolve(&directory.join("driver")) {
            self.add(&driver, PlaceKind::Driver);
        }
    }

    fn add(&mut self, directory: &Path, kind: PlaceKind) -> bool {
        self.add_while(directory, kind, None)
    }

    /// With the device whose claims decide, if there is one. False where there is no such directory.
    fn add_while(&mut self, directory: &Path, kind: PlaceKind, claimed: Option<u32>) -> bool {
        // One tree in every mount, so the inode number alone tells; see `is_one_tree`.
        let Ok(metadata) = fs::metadata(directory) else {
            return false;
        };
        let (condition, operand) = match claimed {
            Some(number) => (PlaceEntry::WHILE_CLAIMED, number),
            None => (PlaceEntry::ALWAYS, 0),
        };
        let entry = PlaceEntry {
            kind: kind as u16,
            condition,
            operand,
        };
        match self.seen.entry(metadata.ino()) {
            Entry::Vacant(vacant) => {
                let id = place_id(FileSystem::Sysfs, 0, metadata.ino());
                vacant.insert(self.places.entries.len());
                self.places.entries.push((id, entry));
            }
            Entry::Occupied(occupied) => {
                let known = &mut self.places.entries[*occupied.get()].1;
                if (known.condition, known.operand) != (condition, operand) {
                    (known.condition, known.operand) = (PlaceEntry::ALWAYS, 0);
                }
            }
        }
        true
    }

    /// Where a link of sysfs leads. They are all relative, and pass through no other link.
    fn resolve(&self, link: &Path) -> Option<PathBuf> {
        let target = fs::read_link(link).ok()?;
        let mut path = link.parent()?.to_path_buf();
        for part in target.components() {
            match part {
                Component::ParentDir => {
                    path.pop();
                }
                Component::Normal(name) => path.push(name),
                _ => {}
            }
        }
        path.starts_with(self.sys).then_some(path)
    }
}

/// Slots whose power can be switched off: `/sys/bus/pci/slots/NAME/address`, `DOMAIN:BUS:DEVICE`.
fn slots(sys: &Path) -> HashMap<String, PathBuf> {
    let entries = fs::read_dir(sys.join("bus/pci/slots"))
        .into_iter()
        .flatten();
    let slot = |path: PathBuf| {
        let address = fs::read_to_string(path.join("address")).ok()?;
        Some((address.trim().to_owned(), path))
    };
    entries
        .flatten()
        .filter_map(|entry| slot(entry.path()))
        .collect()
}

#[cfg(test)]
mod tests {
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
}
