//! `/dev/mapper/control`: include/uapi/linux/dm-ioctl.h.

use guard_abi::{Op, Reason, tool_grant};

use super::Meaning;
use crate::decide::{Subject, Verdict};

/// What is done to a device that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Removed, renamed, sent a message (`delete 5` to a thin pool, `key wipe` to a crypt device),
    /// or given another table.
    Change,
    /// Suspended, or resumed: a flag tells.
    Suspend,
}

/// `struct dm_ioctl`: where what counts stands, for 32-bit processes too.
pub mod at {
    /// `__u32 flags`.
    pub const FLAGS: u64 = 28;
    /// `__u64 dev`, as `huge_encode_dev` makes it.
    pub const DEV: u64 = 40;
    /// `char name[128]`.
    pub const NAME: u64 = 48;
    /// `char uuid[129]`.
    pub const UUID: u64 = 176;
}

/// `DM_SUSPEND_FLAG`; without it DM_DEV_SUSPEND resumes.
pub const SUSPEND_FLAG: u32 = 1 << 1;

/// Judges the number of an ioctl. The driver looks at type and number alone, not at size and
/// direction (drivers/md/dm-ioctl.c `ctl_ioctl`).
#[inline(always)]
pub const fn ioctl(cmd: u32) -> Meaning {
    match cmd & 0xFFFF {
        // DM_REMOVE_ALL: no program that keeps devices sends it.
        0xFD01 => Meaning::Known(Verdict::deny(Op::Detach, Reason::RunningSystem)),
        // DM_DEV_REMOVE, DM_DEV_RENAME, DM_TABLE_LOAD, DM_TARGET_MSG
        0xFD04 | 0xFD05 | 0xFD09 | 0xFD0E => Meaning::Mapper(Act::Change),
        0xFD06 => Meaning::Mapper(Act::Suspend), // DM_DEV_SUSPEND
        _ => Meaning::Known(Verdict::ALLOW),
    }
}

/// dev_t (kernel form) of [`at::DEV`]: include/linux/kdev_t.h `huge_decode_dev`.
#[inline(always)]
pub const fn decode_dev(dev: u64) -> u32 {
    let dev = dev as u32;
    let (major, minor) = ((dev & 0xFFF00) >> 8, (dev & 0xFF) | ((dev >> 12) & 0xFFF00));
    guard_abi::dev::make(major, minor)
}

/// Decides about an act on a device that is guarded: it carries critical data, or the root file
/// system. The programs that keep such devices go on.
#[inline(always)]
pub const fn guarded(subject: Subject) -> Verdict {
    const KEEPERS: u32 = tool_grant::KEEP_DM
        | tool_grant::LVM
        | tool_grant::NEW_DM
        | tool_grant::UNLOCK
        | tool_grant::SHUTDOWN;
    if subject.grants & KEEPERS != 0 {
        Verdict::ALLOW
    } else {
        Verdict::deny(Op::Detach, Reason::ProtectedDevice)
    }
}
