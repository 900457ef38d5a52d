//! NVMe passthrough: include/uapi/linux/nvme_ioctl.h, include/linux/nvme.h; NVM Express Base
//! Specification, "Opcodes for Admin Commands" and "Opcodes for I/O Commands".

use guard_abi::Op;

use super::{Argument, Classified, Command};

/// Whether the command is of the NVMe driver (`_IOC` type 'N', numbers 0x40 to 0x4F and the
/// io_uring ones).
#[inline(always)]
pub const fn is_ioctl(cmd: u32) -> bool {
    matches!(cmd & 0xFFFF, 0x4E40..=0x4E4F)
}

/// Classifies an ioctl on an NVMe node, character or block.
#[inline(always)]
pub fn ioctl(cmd: u32) -> Classified {
    match cmd {
        0x4E40 => Classified::QUERY, // NVME_IOCTL_ID
        0xC048_4E41 // NVME_IOCTL_ADMIN_CMD
        | 0xC050_4E47 // NVME_IOCTL_ADMIN64_CMD
            => Classified::Needs(Argument::NvmeAdmin),
        0xC048_4E43 // NVME_IOCTL_IO_CMD
        | 0xC050_4E48 // NVME_IOCTL_IO64_CMD
        | 0xC050_4E49 // NVME_IOCTL_IO64_CMD_VEC
        | 0x4030_4E42 // NVME_IOCTL_SUBMIT_IO: struct nvme_user_io, opcode first as well
        | 0x402C_4E42 // the same from a 32-bit caller on x86, whose u64 needs no padding
            => Classified::Needs(Argument::NvmeIo),
        0x4E44 // NVME_IOCTL_RESET
        | 0x4E45 // NVME_IOCTL_SUBSYS_RESET
            => Classified::Known(Command::Disk(Op::Detach)),
        0x4E46 => Classified::Known(Command::Notable(Op::Detach)), // NVME_IOCTL_RESCAN
        _ => Classified::Known(Command::Unlisted(Op::Passthrough)),
    }
}

/// Classifies an io_uring command on an NVMe character node.
#[inline(always)]
pub fn uring(cmd_op: u32) -> Classified {
    match cmd_op {
        // NVME_URING_CMD_IO, NVME_URING_CMD_IO_VEC
        0xC048_4E80 | 0xC048_4E81 => Classified::Needs(Argument::NvmeIo),
        // NVME_URING_CMD_ADMIN, NVME_URING_CMD_ADMIN_VEC
        0xC048_4E82 | 0xC048_4E83 => Classified::Needs(Argument::NvmeAdmin),
        _ => Classified::Known(Command::Unlisted(Op::Passthrough)),
    }
}

/// Judges an admin opcode.
#[inline(always)]
pub fn admin(opcode: u8) -> Command {
    match opcode {
        0x02 // Get Log Page
        | 0x06 // Identify
        | 0x0A // Get Features
        | 0x14 // Device Self-test
        | 0x82 // Security Receive
            => Command::Query,
        _ => Command::Opcode(Op::Passthrough),
    }
}

/// Judges an I/O opcode.
#[inline(always)]
pub fn io(opcode: u8) -> Command {
    match opcode {
        0x00 // Flush
        | 0x02 // Read
        | 0x05 // Compare
        | 0x0C // Verify
        | 0x0E // Reservation Report
        | 0x12 // I/O Management Receive
        | 0x7A // Zone Management Receive
            => Command::Query,
        _ => Command::Opcode(Op::Passthrough),
    }
}
