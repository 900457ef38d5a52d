//! Every block device and passthrough node of a machine, and how they are stacked.

use std::collections::HashMap;
use std::sync::Arc;

use guard_abi::{ControlKind, DeviceKey, PassthroughKind, dev};

use super::identity::HardwareIds;
use super::labels::Signature;
use super::lvm_metadata::Copies;
use super::md::MdArray;
use super::mounts::Location;

/// What a block device is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A drive, or anything else that lies on no other block device of this machine.
    Disk,
    /// A partition with its number.
    Partition(u32),
    /// A device-mapper node.
    DeviceMapper {
        /// The name given by whoever made it (`vg0-data`).
        name: Arc<str>,
        /// Its UUID, which tells the maker (`LVM-…`, `CRYPT-…`, `mpath-…`). May be empty.
        uuid: Arc<str>,
    },
    /// An MD array.
    Md(Box<MdArray>),
    /// A loop device.
    Loop {
        /// Path of the backing file or device, as the kernel tells it. `None` where nothing is
        /// attached.
        backing_path: Option<Arc<str>>,
    },
    /// A device that bcache makes of a backing and a caching device.
    Bcache,
    /// A device that lies on others without telling the block layer which (drbd, zvol, rbd …);
    /// the name of its driver.
    Opaque(&'static str),
    /// Made by a driver that stacks devices and that the guard does not know.
    Stranger,
}

/// One block device.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that hold independently of each other"
)]
#[derive(Clone, Debug)]
pub struct BlockDevice {
    /// dev_t, kernel form.
    pub dev: u32,
    /// Kernel name (`nvme0n1p1`).
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// Index of the whole disk, for a partition.
    pub disk: Option<u32>,
    /// Size in sectors of 512 bytes.
    pub sectors: u64,
    /// The disk's sequence number, 0 where the kernel has none.
    pub disk_seq: u64,
    /// Bit n: partition n exists; bit 0: one above 63 does.
    pub partitions: u64,
    /// Devices that this one lies on (indices). A partition lies on its disk.
    pub below: Vec<u32>,
    /// Devices that lie on this one.
    pub above: Vec<u32>,
    /// What the regular file behind a loop device lies on.
    pub file_on: Option<Box<Location>>,
    /// Somebody holds it who is not among the devices.
    pub strange_holder: bool,
    /// Read-only for every opener.
    pub read_only: bool,
    /// Removable medium.
    pub removable: bool,
    /// What stays the same when names move.
    pub ids: HardwareIds,
    /// A partition of a type that the machine boots from.
    pub boots: bool,
    /// What it contains, as far as its first sectors tell.
    pub signature: Signature,
    /// UUID of its LUKS header, or of the array that it is or was a member of: hexadecimal digits
    /// alone.
    pub content_uuid: Option<Box<str>>,
    /// Which volume group it belongs to, for a physical volume that no volume lies on.
    pub volume_group: VolumeGroup,
    /// Where it hangs, for a drive that passthrough nodes reach.
    pub(super) bus: Option<Bus>,
    /// Names of `slaves/`, `holders/` and of the whole disk, from which the indices are made.
    pub(super) slaves: Box<[Arc<str>]>,
    pub(super) holders: Box<[Arc<str>]>,
    pub(super) parent: Option<Arc<str>>,
}

impl BlockDevice {
    /// A device of which nothing but its name is known yet.
    pub(super) fn new(dev: u32, name: &str) -> Self {
        Self {
            dev,
            name: name.into(),
            kind: Kind::Disk,
            disk: None,
            sectors: 0,
            disk_seq: 0,
            partitions: 0,
            below: Vec::new(),
            above: Vec::new(),
            file_on: None,
            strange_holder: false,
            read_only: false,
            removable: false,
            boots: false,
            ids: HardwareIds::default(),
            signature: Signature::Unknown,
            content_uuid: None,
            volume_group: VolumeGroup::None,
            bus: None,
            slaves: Box::default(),
            holders: Box::default(),
            parent: None,
        }
    }

    /// Kernel name of the disk that it is a partition of.
    pub fn parent_name(&self) -> Option<&str> {
        self.parent.as_deref()
    }

    /// The partition's number.
    pub fn partition(&self) -> Option<u32> {
        match self.kind {
            Kind::Partition(number) => Some(number),
            _ => None,
        }
    }
}

/// Membership of a physical volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VolumeGroup {
    /// Not a physical volume, or of no group, or its volumes tell by themselves.
    #[default]
    None,
    /// UUID of the group, without dashes.
    Uuid(Box<str>),
    /// Name of the group.
    Name(Box<str>),
    /// A physical volume that does not tell: it may belong to any group.
    Unknown,
}

/// Where a disk hangs, as far as passthrough nodes need it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bus {
    /// Host, channel, target, LUN.
    Scsi(u32, u32, u32, u64),
    /// NVMe subsystem, or the controller where it has none.
    Nvme(Arc<str>),
}

/// A character device that passes commands to drives.
#[derive(Clone, Debug)]
pub struct CharNode {
    /// dev_t, kernel form.
    pub dev: u32,
    /// Kernel name (`sg0`).
    pub name: Arc<str>,
    /// What it passes through.
    pub kind: PassthroughKind,
    /// Drives that its commands reach.
    pub reaches: Vec<u32>,
    pub(super) bus: Option<Bus>,
    /// SCSI host that it hangs on.
    pub(super) host: Option<u32>,
    /// SCSI peripheral device type (SPC-4, table 138).
    pub(super) scsi_type: Option<u32>,
}

/// The devices of a machine at one moment.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub(super) devices: Vec<BlockDevice>,
    pub(super) by_dev: HashMap<u32, u32>,
    pub(super) by_name: HashMap<Arc<str>, u32>,
    pub(super) nodes: Vec<CharNode>,
    pub(super) char_majors: Vec<(u32, PassthroughKind)>,
    pub(super) control_majors: Vec<(u32, ControlKind)>,
    pub(super) dm_major: u32,
    /// UUID of each mounted btrfs with the indices of its devices.
    pub(super) btrfs: Vec<(Arc<str>, Vec<u32>)>,
    /// Devices that are the same drive, or the same partition of one, by several paths.
    pub(super) same_drives: Vec<Vec<u32>>,
    /// What LVM wrote down about its groups: volumes that are not active have no device.
    pub(super) lvm_copies: Copies,
}

impl Inventory {
    /// All block devices, by dev_t.
    pub fn devices(&self) -> &[BlockDevice] {
        &self.devices
    }

    /// All passthrough nodes.
    pub fn nodes(&self) -> &[CharNode] {
        &self.nodes
    }

    /// Leaves out volumes that are not active. For a host whose memory was lost: which of them
    /// carried data is not known. The next scan or update reads of them again.
    pub fn forget_inactive_volumes(&mut self) {
        self.lvm_copies = Copies::default();
    }

    pub(super) fn device(&self, index: usize) -> &BlockDevice {
        &self.devices[index]
    }

    /// The device with this dev_t.
    pub fn by_dev(&self, dev: u32) -> Option<&BlockDevice> {
        self.index_of_dev(dev).map(|index| self.device(index))
    }

    /// The device with this kernel name.
    pub fn by_name(&self, name: &str) -> Option<&BlockDevice> {
        self.by_name
            .get(name)
            .map(|index| self.device(*index as usize))
    }

    /// What a device is made of: itself, its partitions, and the nodes that pass commands to it. Empty
    /// where there is none.
    pub fn made_of(&self, dev: u32) -> Vec<DeviceKey> {
        let Some(whole) = self.index_of_dev(dev) else {
            return Vec::new();
        };
        let is_part = |device: &&BlockDevice| device.disk == Some(whole as u32);
        let parts = self.devices.iter().filter(is_part);
        let reaches_it = |node: &&CharNode| node.reaches.contains(&(whole as u32));
        let nodes = self.nodes.iter().filter(reaches_it);
        std::iter::once(DeviceKey::block(dev))
            .chain(parts.map(|part| DeviceKey::block(part.dev)))
            .chain(nodes.map(|node| DeviceKey::char(node.dev)))
            .collect()
    }

    /// The drive that a node passes commands to, where it is one alone.
    pub fn drive_of_node(&self, node: u32) -> Option<&BlockDevice> {
        let node = self.nodes.iter().find(|known| known.dev == node)?;
        match node.reaches.as_slice() {
            [one] => Some(self.device(*one as usize)),
            _ => None,
        }
    }

    pub(super) fn index_of_dev(&self, dev: u32) -> Option<usize> {
        self.by_dev.get(&dev).map(|index| *index as usize)
    }

    /// The device behind a path by its kernel or device-mapper name alone.
    pub(super) fn find(&self, path: &str) -> Option<u32> {
        let relative = path.strip_prefix("/dev/")?;
        if let Some(index) = self.by_name.get(relative) {
            return Some(*index);
        }
        let (group, volume) = relative.split_once('/')?;
        let matches = |device: &BlockDevice| match &device.kind {
            Kind::DeviceMapper { name, .. } if group == "mapper" => &**name == volume,
            Kind::DeviceMapper { name, .. } => {
                super::lvm::split_dm_name(name).is_some_and(|(vg, lv)| vg == group && lv == volume)
            }
            _ => false,
        };
        self.devices
            .iter()
            .position(matches)
            .map(|index| index as u32)
    }

    /// dev_t of the device behind a path as mount tables and swaps write it. Follows the links
    /// that udev makes where the name alone does not tell.
    pub fn resolve(&self, roots: &super::Roots, path: &str) -> Option<u32> {
        if let Some(index) = self.find(path) {
            return Some(self.device(index as usize).dev);
        }
        let link = roots.dev.join(path.strip_prefix("/dev/")?);
        super::attributes::block_node(&link).or_else(|| {
            // A link whose target has no node: a /dev of another namespace.
            let target = super::attributes::link_name(&link)?;
            self.by_name(&target).map(|device| device.dev)
        })
    }

    /// `major:minor`, for people.
    pub fn show_dev(number: u32) -> String {
        format!("{}:{}", dev::major(number), dev::minor(number))
    }
}
