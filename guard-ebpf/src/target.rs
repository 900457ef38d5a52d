//! From a device node to what is known about the device.

use guard_abi::{DeviceClass, DeviceKey, PassthroughKind, Policy, dev};
use guard_ebpf::control::{self, Control};
use guard_ebpf::decide::{Driver, Object};

use crate::claims;
use crate::kernel::{Inode, S_IFBLK, S_IFMT};
use crate::maps::{CHAR_MAJORS, DEVICES};

/// What a device node is for the guard.
#[derive(Clone, Copy)]
pub enum Found {
    /// A block device, or a character device that passes commands to a drive.
    Drive(Node),
    /// A character device that steers the machine.
    Control(Control, u32),
    /// None of the guard's business.
    Other,
}

impl Found {
    /// By its inode.
    #[inline(always)]
    pub fn of(inode: Inode) -> Self {
        let rdev = inode.rdev();
        if inode.mode() & S_IFMT == S_IFBLK {
            return Self::Drive(Node {
                key: DeviceKey::block(rdev),
                passthrough: PassthroughKind::None,
            });
        }
        let kind = CHAR_MAJORS.get(dev::major(rdev)).copied().unwrap_or(0);
        let passthrough = match kind {
            1 => PassthroughKind::NvmeController,
            2 => PassthroughKind::NvmeGeneric,
            3 => PassthroughKind::ScsiGeneric,
            4 => PassthroughKind::Bsg,
            5 => PassthroughKind::Raw,
            _ => {
                return match control::control(kind, dev::minor(rdev)) {
                    Some(control) => Self::Control(control, rdev),
                    None => Self::Other,
                };
            }
        };
        Self::Drive(Node {
            key: DeviceKey::char(rdev),
            passthrough,
        })
    }
}

/// A device node: what it is, before anything is known about the device.
#[derive(Clone, Copy)]
pub struct Node {
    pub key: DeviceKey,
    pub passthrough: PassthroughKind,
}

impl Node {
    /// The block device of a number.
    #[inline(always)]
    pub const fn block(number: u32) -> Self {
        Self {
            key: DeviceKey::block(number),
            passthrough: PassthroughKind::None,
        }
    }

    /// The node behind an inode; `None` for what is no drive.
    #[inline(always)]
    pub fn of(inode: Inode) -> Option<Self> {
        match Found::of(inode) {
            Found::Drive(node) => Some(node),
            Found::Control(..) | Found::Other => None,
        }
    }

    /// Whether it is a block device.
    #[inline(always)]
    pub fn is_block(self) -> bool {
        matches!(self.passthrough, PassthroughKind::None)
    }
}

/// A device and what is known about it.
#[derive(Clone, Copy)]
pub struct Target {
    pub key: DeviceKey,
    pub object: Object,
    /// As in its entry; of an unknown device each partition may exist.
    pub partitions: u64,
    /// The grant that it is the object of, 0 where there is none.
    pub glass: u64,
}

impl Target {
    /// As it is for the process that runs.
    #[inline(always)]
    pub fn of(node: Node, policy: &Policy) -> Self {
        Self::found(node, policy, claims::are_gone_for_this_process)
    }

    /// As it is for every process alike: device programs may not ask which one runs.
    #[inline(always)]
    pub fn of_any_process(node: Node, policy: &Policy) -> Self {
        Self::found(node, policy, claims::are_gone)
    }

    #[inline(always)]
    fn found(node: Node, policy: &Policy, claims_are_gone: impl FnOnce(u32) -> bool) -> Self {
        // SAFETY: an entry is replaced as a whole, except for one flag that may go (see
        // `use_redundancy_up`); it is copied at once.
        let (class, flags, partitions, glass) = match unsafe { DEVICES.get(node.key) } {
            None => (DeviceClass::Unknown, 0, u64::MAX, 0),
            Some(entry) => (
                class(entry.class),
                entry.flags,
                entry.partitions,
                entry.glass,
            ),
        };
        let mut object = Object {
            class,
            flags,
            passthrough: node.passthrough,
            driver: driver(node, policy),
        };
        if object.is_free_without_claims() && node.is_block() && claims_are_gone(node.key.dev) {
            object = object.without_claims();
        }
        Self {
            key: node.key,
            object,
            partitions,
            glass: u64::from(glass),
        }
    }
}

/// The driver of a block device, by its major number.
#[inline(always)]
fn driver(node: Node, policy: &Policy) -> Driver {
    let major = dev::major(node.key.dev);
    if !node.is_block() {
        Driver::Other
    } else if major == dev::MD_MAJOR {
        Driver::Md
    } else if major == policy.dm_major && major != 0 {
        Driver::DeviceMapper
    } else {
        Driver::Other
    }
}

/// Any number that is no class is read as unknown.
#[inline(always)]
const fn class(number: u32) -> DeviceClass {
    if number == DeviceClass::Free as u32 {
        DeviceClass::Free
    } else if number == DeviceClass::Protected as u32 {
        DeviceClass::Protected
    } else {
        DeviceClass::Unknown
    }
}
