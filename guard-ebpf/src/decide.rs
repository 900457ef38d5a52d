//! The decision. Hooks collect facts, ask here, and do what they are told.
//!
//! The rule in one sentence: while the host is armed or held, an operation that could destroy is
//! refused on every device that is not known to be free, unless the subject is a program whose
//! work on exactly this kind of device keeps the database alive.

use guard_abi::{
    Decision, DeviceClass, Handling, Op, PassthroughKind, Policy, Reason, device_flag, tool_grant,
};

use crate::caller::Caller;
use crate::command::Command;

/// Who acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Is a critical process (a database server).
    pub critical: bool,
    /// Bits of [`tool_grant`].
    pub grants: u32,
}

/// What is acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// The device's class.
    pub class: DeviceClass,
    /// Bits of [`device_flag`]; 0 for an unknown device.
    pub flags: u32,
    /// `None` for a block device, otherwise what the character device passes commands to.
    pub passthrough: PassthroughKind,
    /// Which driver's major number a block device has.
    pub driver: Driver,
}

impl Object {
    /// Protected for nothing but claims that the kernel holds on it.
    #[inline(always)]
    pub const fn is_free_without_claims(self) -> bool {
        matches!(self.class, DeviceClass::Protected) && self.flags & device_flag::CLAIMED != 0
    }

    /// What such a device is when its last claim is gone: free, perhaps on a drive that is not.
    #[must_use]
    #[inline(always)]
    pub const fn without_claims(self) -> Self {
        Self {
            class: DeviceClass::Free,
            flags: device_flag::DISK_PROTECTED,
            ..self
        }
    }
}

/// Claims on a device and on the disk that it is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimsLeft {
    /// On the device.
    pub device: i32,
    /// On the whole disk and its partitions.
    pub disk: i32,
}

/// Claims that are left when one on a device is given up, from `bd_holders` of the device and of its
/// disk before that. Each claim counts once on its device and once on the disk, so twice where the
/// two are the same (block/bdev.c `bd_finish_claiming`).
#[inline(always)]
pub const fn claims_left(is_disk: bool, device: i32, disk: i32) -> ClaimsLeft {
    let own = if is_disk { 2 } else { 1 };
    ClaimsLeft {
        device: device.wrapping_sub(own),
        disk: disk.wrapping_sub(own),
    }
}

/// Drivers that lay a device over others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// None of these.
    Other,
    /// Device-mapper: its major number is given out when the module loads.
    DeviceMapper,
    /// MD arrays.
    Md,
}

/// How a device is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// `FMODE_WRITE` is set.
    pub write: bool,
    /// `O_ACCMODE` is 3: neither reading nor writing, but ioctls work (open(2), NOTES).
    pub ioctl_only: bool,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The device is opened.
    Open(Access),
    /// The device is opened by a program or on its behalf, as the second layer sees it.
    Reach(Caller, Access),
    /// A command is sent to it; its argument has been read and judged.
    Command(Command),
}

/// The outcome, before the mode is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `Allow`, `Deny` or `Record`; under a policy also `WouldDeny` or `Allowed`.
    pub decision: Decision,
    /// Why, where it is not `Allow`.
    pub reason: Reason,
    /// What kind of harm. Meaningless where it is `Allow`.
    pub op: Op,
}

impl Verdict {
    /// None of the guard's business.
    pub const ALLOW: Self = Self {
        decision: Decision::Allow,
        reason: Reason::None,
        op: Op::RawWrite,
    };

    /// Refused.
    pub const fn deny(op: Op, reason: Reason) -> Self {
        Self {
            decision: Decision::Deny,
            reason,
            op,
        }
    }

    /// Let through, and worth a record.
    pub const fn record(op: Op) -> Self {
        Self {
            decision: Decision::Record,
            reason: Reason::Notable,
            op,
        }
    }

    /// The same verdict under a policy: a refusal of a class that is not to be refused becomes a
    /// record. What is done about the operation is the only difference.
    #[must_use]
    #[inline(always)]
    pub const fn under(self, policy: &Policy) -> Self {
        if !matches!(self.decision, Decision::Deny) {
            return self;
        }
        match policy.handling(self.op) {
            Handling::Refuse => self,
            Handling::Observe => Self {
                decision: Decision::WouldDeny,
                ..self
            },
            Handling::Allow => Self {
                decision: Decision::Allowed,
                ..self
            },
        }
    }
}

/// Decides about one act on one device of a host that is armed or held.
#[inline(always)]
pub fn decide(subject: Subject, object: Object, act: Act) -> Verdict {
    match act {
        Act::Open(access) => decide_open(subject, object, access),
        Act::Reach(caller, access) => decide_reach(subject, object, caller, access),
        Act::Command(command) => decide_command(subject, object, command),
    }
}

/// True where nothing done to the device, whatever the command, can reach protected data. Hooks
/// ask this first, so that work on a free disk reads no argument.
#[inline(always)]
pub fn is_plainly_free(object: Object) -> bool {
    matches!(object.class, DeviceClass::Free) && object.flags & device_flag::DISK_PROTECTED == 0
}

#[inline(always)]
fn decide_open(subject: Subject, object: Object, access: Access) -> Verdict {
    if !(access.write || access.ioctl_only) || matches!(object.class, DeviceClass::Free) {
        return Verdict::ALLOW;
    }
    match object.passthrough {
        PassthroughKind::None | PassthroughKind::Raw | PassthroughKind::ScsiGeneric => {}
        // No `write` file operation stands behind these nodes (drivers/nvme/host/core.c
        // nvme_dev_fops and nvme_ns_chr_fops, block/bsg.c bsg_fops); each command is judged alone.
        PassthroughKind::NvmeController | PassthroughKind::NvmeGeneric | PassthroughKind::Bsg => {
            return Verdict::ALLOW;
        }
    }
    if may_write(subject, object) {
        return Verdict::ALLOW;
    }
    let op = match object.passthrough {
        PassthroughKind::ScsiGeneric => Op::Passthrough,
        _ => Op::RawWrite,
    };
    let reason = if access.write {
        not_free(object)
    } else {
        Reason::AccessModeThree
    };
    Verdict::deny(op, reason)
}

/// What the second layer decides: the same of a program's own opens, and of the kernel's what
/// follows from who asked for it.
#[inline(always)]
fn decide_reach(subject: Subject, object: Object, caller: Caller, access: Access) -> Verdict {
    let verdict = decide_open(subject, object, access);
    if matches!(verdict.decision, Decision::Allow) {
        return verdict;
    }
    let has = |grant: u32| subject.grants & grant != 0;
    match caller {
        Caller::Program => verdict,
        // Nothing is opened. Whoever then opens is refused, and that is recorded.
        Caller::Question => Verdict::ALLOW,
        // A file system is mounted: by the host's start, a failover, a snapshot's backup.
        Caller::Mount => Verdict::ALLOW,
        Caller::Table | Caller::Kernel if has(tool_grant::STACK) => Verdict::ALLOW,
        Caller::Table => Verdict {
            op: Op::Partition,
            ..verdict
        },
        Caller::Kernel => Verdict {
            op: Op::Remap,
            ..verdict
        },
        Caller::Unknown if has(tool_grant::STACK | tool_grant::MOUNT) => Verdict::ALLOW,
        Caller::Unknown => verdict,
    }
}

/// Whether the device may be opened for writing.
#[inline(always)]
fn may_write(subject: Subject, object: Object) -> bool {
    may_change(subject, object) || subject.grants & tool_grant::DRIVE_QUERY != 0
}

/// The programs that keep a live database host going, each on the one kind of device it is for.
#[inline(always)]
fn may_change(subject: Subject, object: Object) -> bool {
    let has = |grant: u32, flag: u32| subject.grants & grant != 0 && object.flags & flag != 0;
    has(tool_grant::LVM, device_flag::LVM_PV)
        || has(tool_grant::EXT_ONLINE, device_flag::EXT_MOUNTED)
        || has(tool_grant::MD_MEMBER, device_flag::MD_MEMBER)
        || has(tool_grant::UNLOCK, device_flag::LUKS)
        || has(tool_grant::PREEN, device_flag::PREEN)
        || has(tool_grant::SWAP_ON, device_flag::SWAP)
        || has(tool_grant::BOOT_SECTOR, device_flag::BOOT_DISK)
        || (subject.grants & makers(object.driver) != 0
            && matches!(object.class, DeviceClass::Unknown))
        || (subject.critical && object.flags & device_flag::DB_RAW != 0)
}

/// The grant of programs that make this driver's devices. They open what they have just made; of
/// an MD array, the open even is what makes it (drivers/md/md.c `md_probe`).
#[inline(always)]
const fn makers(driver: Driver) -> u32 {
    match driver {
        Driver::Other => 0,
        Driver::DeviceMapper => tool_grant::NEW_DM,
        Driver::Md => tool_grant::NEW_MD,
    }
}

#[inline(always)]
fn decide_command(subject: Subject, object: Object, command: Command) -> Verdict {
    if matches!(object.class, DeviceClass::Free) {
        let protected_below = object.flags & device_flag::DISK_PROTECTED != 0;
        return match command {
            Command::Disk(op) | Command::Opcode(op) | Command::Unlisted(op) if protected_below => {
                Verdict::deny(op, Reason::ReachesProtectedDisk)
            }
            Command::Unreadable if protected_below => {
                Verdict::deny(Op::Passthrough, Reason::UnreadableArgument)
            }
            _ => Verdict::ALLOW,
        };
    }
    match command {
        Command::Query => Verdict::ALLOW,
        Command::Notable(op) => Verdict::record(op),
        // An array or loop device that is being put together carries nothing yet.
        Command::Assemble(_) if matches!(object.class, DeviceClass::Unknown) => Verdict::ALLOW,
        // Whoever may write may zero: `lvcreate` wipes the beginning of a new volume so.
        Command::Harm(Op::Discard) if may_change(subject, object) => Verdict::ALLOW,
        Command::Harm(Op::Detach) if subject.grants & tool_grant::SHUTDOWN != 0 => Verdict::ALLOW,
        Command::Assemble(op) if may_grow(subject, object) => Verdict::record(op),
        Command::Harm(op) | Command::Disk(op) | Command::Assemble(op) => {
            Verdict::deny(op, not_free(object))
        }
        Command::LoseMember if object.flags & device_flag::MD_REDUNDANT != 0 => {
            Verdict::record(Op::Detach)
        }
        Command::LoseMember => Verdict::deny(Op::Detach, Reason::NotRedundant),
        Command::Opcode(op) => Verdict::deny(op, Reason::OpcodeNotReadOnly),
        Command::Unlisted(op) => Verdict::deny(op, Reason::CommandNotListed),
        Command::Unreadable => Verdict::deny(Op::Passthrough, Reason::UnreadableArgument),
    }
}

/// `SET_ARRAY_INFO` of an array that runs changes it (drivers/md/md.c `update_array_info`).
#[inline(always)]
const fn may_grow(subject: Subject, object: Object) -> bool {
    matches!(object.driver, Driver::Md) && subject.grants & tool_grant::MD_GROW != 0
}

#[inline(always)]
const fn not_free(object: Object) -> Reason {
    match object.class {
        DeviceClass::Unknown => Reason::UnknownDevice,
        DeviceClass::Free | DeviceClass::Protected => Reason::ProtectedDevice,
    }
}
