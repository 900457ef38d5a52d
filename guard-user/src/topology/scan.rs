//! Reading sysfs: one pass over `/sys/class/block`, about eight small reads a device.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use guard_abi::dev;

use super::attributes::{Reader, list, list_path, open_dir, open_dir_at};
use super::changes::Changes;
use super::identity::meaningful;
use super::inventory::{BlockDevice, Bus, Inventory, Kind, VolumeGroup};
use super::labels::Signature;
use super::lvm_label::{self, Membership};
use super::md::MdArray;
use super::udev::{self, Database, Record};
use super::{Roots, TopologyError, link, passthrough};

/// What is open during a scan.
pub(super) struct Scanner<'a> {
    pub(super) roots: &'a Roots,
    reader: Reader,
    class: OwnedFd,
    udev: Database,
}

impl Inventory {
    /// Reads every block device and passthrough node. A device that vanishes meanwhile is left
    /// out; only a sysfs that cannot be read at all is an error.
    pub fn scan(roots: &Roots) -> Result<Self, TopologyError> {
        let mut scanner = Scanner::new(roots)?;
        let names = list(&scanner.class).unwrap_or_default();
        let mut inventory = Self::default();
        inventory.devices.reserve(names.len());
        for name in &names {
            inventory.devices.extend(scanner.device(name));
        }
        passthrough::read(roots, &mut inventory);
        link::link(roots, &mut inventory);
        inventory.lvm_copies.refresh(roots);
        Ok(inventory)
    }

    /// Reads the changed devices anew, and those that came or went unannounced. Devices whose
    /// stacking changed have had uevents of their own; their slaves and holders are read again
    /// too, because those get none. So are arrays, whose redundancy changes without an event.
    ///
    /// What changes without an event and without a holder (a read-only flag, a label that another
    /// machine wrote) is seen by the next [`Inventory::scan`].
    pub fn update(&mut self, roots: &Roots, changes: &Changes) -> Result<(), TopologyError> {
        if changes.all {
            *self = Self::scan(roots)?;
            return Ok(());
        }
        let mut scanner = Scanner::new(roots)?;
        let mut first = changes.devices.clone();
        first.extend(self.came_or_went(&scanner));
        // A drive is reached by its subsystem's nodes, whichever of the two came first.
        let nodes = changes.nodes || !first.is_empty();
        let arrays = self.devices.iter();
        first.extend(
            arrays
                .filter(|device| matches!(device.kind, Kind::Md(_)))
                .map(|device| device.name.clone()),
        );
        let mut fresh: BTreeMap<Arc<str>, Option<BlockDevice>> = BTreeMap::new();
        let mut around = BTreeSet::new();
        for name in first {
            let new = scanner.device(&sysfs_name(&name));
            // Those that it lay on before and those that it lies on now.
            let old = self.by_name(&name);
            for device in old.into_iter().chain(new.as_ref()) {
                around.extend(device.slaves.iter().cloned());
                around.extend(device.holders.iter().cloned());
                around.extend(device.parent.clone());
            }
            fresh.insert(name, new);
        }
        for name in around {
            if let Entry::Vacant(place) = fresh.entry(name) {
                let new = scanner.device(&sysfs_name(place.key()));
                place.insert(new);
            }
        }
        self.devices
            .retain(|device| !fresh.contains_key(&device.name));
        self.devices.extend(fresh.into_values().flatten());
        if nodes {
            passthrough::read(roots, self);
        }
        link::link(roots, self);
        self.lvm_copies.refresh(roots);
        Ok(())
    }

    /// Names that are in sysfs and not here, or the other way round.
    fn came_or_went(&self, scanner: &Scanner<'_>) -> Vec<Arc<str>> {
        let there: HashSet<Arc<str>> = list(&scanner.class)
            .unwrap_or_default()
            .iter()
            .map(|name| name.replace('!', "/").into())
            .collect();
        let here = self.devices.iter().map(|device| &device.name);
        let went = here.filter(|name| !there.contains(*name)).cloned();
        let came = there.iter().filter(|name| self.by_name(name).is_none());
        went.chain(came.cloned()).collect()
    }
}

/// A slash in a name of `/dev` is an exclamation mark in sysfs (lib/kobject.c
/// `kobject_set_name_vargs`).
fn sysfs_name(name: &str) -> String {
    name.replace('/', "!")
}

/// The lines of `uevent` that matter.
#[derive(Default)]
struct Uevent {
    major: Option<u32>,
    minor: Option<u32>,
    is_partition: bool,
    partition: Option<u32>,
    disk_seq: u64,
    partuuid: Option<Box<str>>,
}

impl Uevent {
    fn parse(text: &str) -> Self {
        let mut event = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "MAJOR" => event.major = value.parse().ok(),
                "MINOR" => event.minor = value.parse().ok(),
                "DEVTYPE" => event.is_partition = value == "partition",
                "PARTN" => event.partition = value.parse().ok(),
                "DISKSEQ" => event.disk_seq = value.parse().unwrap_or(0),
                "PARTUUID" => event.partuuid = meaningful(value),
                _ => {}
            }
        }
        event
    }

    /// `None` for a disk without a node (the hidden paths of NVMe multipath).
    fn dev(&self) -> Option<u32> {
        let (major, minor) = (self.major?, self.minor?);
        (major < 1 << 12 && minor < 1 << dev::MINOR_BITS).then(|| dev::make(major, minor))
    }
}

impl<'a> Scanner<'a> {
    fn new(roots: &'a Roots) -> Result<Self, TopologyError> {
        let path = roots.sys.join("class/block");
        let class = rustix::fs::open(
            &path,
            rustix::fs::OFlags::RDONLY
                | rustix::fs::OFlags::DIRECTORY
                | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )
        .map_err(|error| TopologyError::Unreadable {
            path,
            hint: "is sysfs mounted on /sys?",
            source: error.into(),
        })?;
        Ok(Self {
            roots,
            reader: Reader::new(),
            class,
            udev: Database::open(roots),
        })
    }

    /// Everything about one device; `None` where it is not there, or not whole any more.
    fn device(&mut self, name: &str) -> Option<BlockDevice> {
        let dir = open_dir_at(&self.class, name)?;
        let event = Uevent::parse(self.reader.text(&dir, "uevent")?);
        let number = event.dev()?;
        let place = rustix::fs::readlinkat(&self.class, name, Vec::new()).ok();
        let place = place
            .as_ref()
            .and_then(|place| place.to_str().ok())
            .unwrap_or("");
        let record = self.udev.record(&mut self.reader, number);
        let mut device = BlockDevice::new(number, &name.replace('!', "/"));
        device.sectors = self.reader.number(&dir, "size").unwrap_or(0);
        device.disk_seq = event.disk_seq;
        device.read_only = self.reader.number(&dir, "ro") == Some(1);
        device.bus = bus_of(place);
        device.holders = names(open_dir_at(&dir, "holders").as_ref()).into();
        device.signature = match record.signature {
            Signature::Nothing if !udev::probes(name) => Signature::Unknown,
            signature => signature,
        };
        if matches!(device.signature, Signature::Luks | Signature::MdMember) {
            device.content_uuid.clone_from(&record.content_uuid);
        }
        device.boots = record.boots;
        if event.is_partition {
            let read = || {
                self.reader
                    .number(&dir, "partition")
                    .map(|number| number as u32)
            };
            device.kind = Kind::Partition(event.partition.or_else(read)?);
            device.parent = parent_of(place);
            device.ids.partuuid = event.partuuid.or(record.partuuid);
        } else {
            let mut slaves = names(open_dir_at(&dir, "slaves").as_ref());
            device.kind = self.kind(&dir, name, &mut slaves, &record);
            device.slaves = slaves.into();
            device.removable = self.reader.number(&dir, "removable") == Some(1);
            device.ids.table_uuid = record.table_uuid;
        }
        if device.kind == Kind::Disk {
            device.ids.wwid = self.wwid(&dir).or(record.wwid);
            device.ids.serial = self.serial(&dir).or(record.serial);
        }
        self.look_inside(&mut device);
        Some(device)
    }

    fn kind(
        &mut self,
        dir: &OwnedFd,
        name: &str,
        slaves: &mut Vec<Arc<str>>,
        record: &Record,
    ) -> Kind {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if let Some(dm) = open_dir_at(dir, "dm") {
            let name = self.reader.text(&dm, "name").unwrap_or("").into();
            let uuid = self.reader.text(&dm, "uuid").unwrap_or("").into();
            return Kind::DeviceMapper { name, uuid };
        }
        // Named arrays are called `md_NAME` (mdadm.conf(5), CREATE names=).
        let is_array = open_dir_at(dir, "md").is_some();
        match stem {
            _ if is_array => {
                let mut array = MdArray::read(&mut self.reader, dir);
                array.uuid = array.uuid.or_else(|| record.md_uuid.clone());
                Kind::Md(Box::new(array))
            }
            "loop" => Kind::Loop {
                backing_path: self.reader.text(dir, "loop/backing_file").map(Into::into),
            },
            "bcache" => Kind::Bcache,
            "drbd" => Kind::Opaque("drbd"),
            "zd" => Kind::Opaque("zfs"),
            "zram" => {
                // A zram that writes back holds its backing device without a link.
                if let Some(path) = self.reader.text(dir, "backing_dev")
                    && let Some(backing) = path.strip_prefix("/dev/")
                {
                    slaves.push(backing.into());
                }
                Kind::Disk
            }
            _ if slaves.is_empty() => Kind::Disk,
            _ => Kind::Stranger,
        }
    }

    fn wwid(&mut self, dir: &OwnedFd) -> Option<Box<str>> {
        for name in ["wwid", "device/wwid", "device/cid"] {
            if let Some(wwid) = self.reader.text(dir, name).and_then(meaningful) {
                return Some(wwid);
            }
        }
        None
    }

    fn serial(&mut self, dir: &OwnedFd) -> Option<Box<str>> {
        for name in ["serial", "device/serial"] {
            if let Some(serial) = self.reader.text(dir, name).and_then(meaningful) {
                return Some(serial);
            }
        }
        // Vital product data, page 0x80: four bytes of header, then the serial number (SPC-4).
        let page = self.reader.bytes(dir, "device/vpd_pg80")?;
        meaningful(std::str::from_utf8(page.get(4..)?).ok()?)
    }

    /// What the device's first sectors tell, only where nobody else tells it. Never a
    /// device-mapper node, whose reads wait while it is suspended.
    fn look_inside(&mut self, device: &mut BlockDevice) {
        let dm = matches!(device.kind, Kind::DeviceMapper { .. });
        let readable = device.sectors > 0 && !dm;
        if device.signature == Signature::Unknown && readable && !self.udev.is_there() {
            device.signature = Signature::probe(&self.node(device));
            if device.signature == Signature::Luks {
                device.content_uuid = super::labels::luks_uuid(&self.node(device));
            }
        }
        // Where volumes lie on it, their names tell the group.
        if device.signature == Signature::LvmMember && device.holders.is_empty() {
            device.volume_group = if readable {
                match lvm_label::read(&self.node(device)) {
                    Membership::Group(uuid) => VolumeGroup::Uuid(uuid.into()),
                    Membership::Orphan => VolumeGroup::None,
                    Membership::Unknown => self.group_online(device.dev),
                }
            } else {
                self.group_online(device.dev)
            };
        }
    }

    fn node(&self, device: &BlockDevice) -> std::path::PathBuf {
        self.roots.dev.join(&*device.name)
    }

    /// `/run/lvm/pvs_online/<pv>`: `major:minor`, then `vg:<name>` (tools/pvscan.c).
    fn group_online(&self, number: u32) -> VolumeGroup {
        let path = self.roots.run.join("lvm/pvs_online");
        for name in list_path(&path).unwrap_or_default() {
            let Ok(text) = std::fs::read_to_string(path.join(name)) else {
                continue;
            };
            let mut lines = text.lines();
            if lines.next().and_then(super::parse_dev) == Some(number) {
                return lines
                    .find_map(|line| line.strip_prefix("vg:"))
                    .map_or(VolumeGroup::Unknown, |group| {
                        VolumeGroup::Name(group.trim().into())
                    });
            }
        }
        VolumeGroup::Unknown
    }
}

fn names(dir: Option<&OwnedFd>) -> Vec<Arc<str>> {
    let found = dir.and_then(list).unwrap_or_default();
    found
        .iter()
        .map(|name| name.replace('!', "/").into())
        .collect()
}

/// `…/block/sda/sda1` → `sda`.
fn parent_of(place: &str) -> Option<Arc<str>> {
    let name = Path::new(place).parent()?.file_name()?.to_str()?;
    Some(name.replace('!', "/").into())
}

/// Finds the SCSI address or the NVMe subsystem in the path of a device in `/sys/devices`.
pub(super) fn bus_of(place: &str) -> Option<Bus> {
    let mut nvme = None;
    for part in place.split('/') {
        if let Some(address) = scsi_address(part) {
            return Some(address);
        }
        if numbered(part, "nvme-subsys") || numbered(part, "nvme") {
            nvme = Some(Bus::Nvme(part.into()));
        }
    }
    nvme
}

/// `H:C:T:L`, all decimal.
pub(super) fn scsi_address(text: &str) -> Option<Bus> {
    let mut parts = text.split(':');
    let host = parts.next()?.parse().ok()?;
    let channel = parts.next()?.parse().ok()?;
    let target = parts.next()?.parse().ok()?;
    let lun = parts.next()?.parse().ok()?;
    parts
        .next()
        .is_none()
        .then_some(Bus::Scsi(host, channel, target, lun))
}

/// `stem` followed by digits alone.
pub(super) fn numbered(text: &str, stem: &str) -> bool {
    text.strip_prefix(stem)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Opens a class directory and lists it with the place of each entry in `/sys/devices`.
pub(super) fn class(roots: &Roots, class: &str) -> Vec<(String, String)> {
    let path = roots.sys.join("class").join(class);
    let Some(dir) = open_dir(&path) else {
        return Vec::new();
    };
    let place = |name: &str| {
        let link = rustix::fs::readlinkat(&dir, name, Vec::new()).ok()?;
        link.into_string().ok()
    };
    list(&dir)
        .unwrap_or_default()
        .into_iter()
        .map(|name| {
            let place = place(&name).unwrap_or_default();
            (name, place)
        })
        .collect()
}
