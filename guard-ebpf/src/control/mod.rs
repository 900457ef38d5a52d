//! Character devices that steer the machine: memory and ports, firmware, the BMC, device-mapper.

pub mod ipmi;
pub mod mapper;

use guard_abi::{ControlKind, Op, Reason};

use crate::decide::{Access, Verdict};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Physical memory, kernel memory, I/O ports.
    Memory,
    /// The firmware's battery-backed settings.
    Nvram,
    /// Flash memory.
    Flash,
    /// The trusted platform module.
    Tpm,
    /// The baseboard management controller.
    Bmc,
    /// device-mapper's control node.
    Mapper,
    /// Hibernation by programs: freezes them all, and puts another memory in place of this one.
    Snapshot,
}

/// Which one a character device is (Documentation/admin-guide/devices.txt,
/// include/linux/miscdevice.h); `None`: an ordinary one.
#[inline(always)]
pub const fn control(kind: u32, minor: u32) -> Option<Control> {
    const MEMORY: u32 = ControlKind::Memory as u32;
    const MISC: u32 = ControlKind::Misc as u32;
    const MTD: u32 = ControlKind::Mtd as u32;
    const IPMI: u32 = ControlKind::Ipmi as u32;
    const TPM: u32 = ControlKind::Tpm as u32;
    match (kind, minor) {
        // `mem`, `kmem` (up to Linux 5.12), `port`.
        (MEMORY, 1 | 2 | 4) => Some(Control::Memory),
        (MISC, 144) => Some(Control::Nvram),
        (MISC, 224) | (TPM, _) => Some(Control::Tpm),
        (MISC, 231) => Some(Control::Snapshot),
        (MISC, 236) => Some(Control::Mapper),
        (MTD, _) => Some(Control::Flash),
        (IPMI, _) => Some(Control::Bmc),
        _ => None,
    }
}

/// Decides about an open on a host that is armed or held. Reading is for inventory and monitoring.
#[inline(always)]
pub const fn open(control: Control, access: Access) -> Verdict {
    if !access.write {
        return Verdict::ALLOW;
    }
    match control {
        Control::Memory | Control::Snapshot => Verdict::deny(Op::Reset, Reason::RunningSystem),
        Control::Nvram | Control::Flash => Verdict::deny(Op::Firmware, Reason::ProtectedFile),
        // Every use writes, attestation and unlocking too; clearing cannot be told from them here.
        Control::Tpm => Verdict::record(Op::Firmware),
        // Each command is judged alone.
        Control::Bmc | Control::Mapper => Verdict::ALLOW,
    }
}

/// What a command's number alone tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Enough.
    Known(Verdict),
    /// It sends a message to the BMC; the struct is the 32-bit one.
    Bmc {
        /// The struct has 32-bit pointers.
        compat: bool,
    },
    /// It acts on a device-mapper device.
    Mapper(mapper::Act),
}

/// Judges the number of a command.
#[inline(always)]
pub const fn command(control: Control, cmd: u32) -> Meaning {
    match control {
        // NVRAM_INIT, NVRAM_SETCKS (include/uapi/linux/nvram.h)
        Control::Nvram if matches!(cmd, 0x7040 | 0x7041) => {
            Meaning::Known(Verdict::deny(Op::Firmware, Reason::ProtectedFile))
        }
        // kernel/power/user.c `snapshot_ioctl`: it serves any descriptor, and nothing but this.
        Control::Snapshot => Meaning::Known(Verdict::deny(Op::Reset, Reason::RunningSystem)),
        Control::Bmc => ipmi::ioctl(cmd),
        Control::Mapper => mapper::ioctl(cmd),
        // Flash is erased through descriptors opened for writing alone (drivers/mtd/mtdchar.c).
        _ => Meaning::Known(Verdict::ALLOW),
    }
}
