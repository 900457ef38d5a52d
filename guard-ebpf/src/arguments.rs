//! Reading what a command's number alone does not tell.
//!
//! All of it is user memory: a page that is not there (`bpf_probe_read_user` does not wait for
//! it) makes the command unreadable, and so refused. Another thread can change the bytes between
//! this read and the driver's; the guard is against mistakes of programs, not against programs
//! written to race it.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::helpers::generated::bpf_probe_read_user as read_user_bytes;
use guard_abi::{Op, PassthroughKind, dev};
use guard_ebpf::command::scsi::{CDB_BYTES, Cdb};
use guard_ebpf::command::{Argument, Command, block, nvme, scsi};

use crate::argv;
use crate::emit::Opcode;

/// A command as it was sent.
#[derive(Clone, Copy)]
pub struct Sent {
    /// Its number.
    pub cmd: u32,
    /// The ioctl's argument; for an `io_uring` command, unused.
    pub argument: u64,
    /// From a 32-bit process: pointers are 4 bytes, and structs that hold them shorter.
    pub compat: bool,
    /// First byte of an `io_uring` command.
    pub first_byte: Option<u8>,
    /// Came through `io_uring`.
    pub uring: bool,
}

/// Reads a value of user memory.
#[inline(always)]
pub fn user<T>(base: u64, offset: u64) -> Option<T> {
    // SAFETY: the helper checks the address; every `T` here is an integer or an array of them.
    unsafe { bpf_probe_read_user(base.wrapping_add(offset) as *const T).ok() }
}

/// Reads a pointer of the caller's width, at its offset for each.
#[inline(always)]
fn pointer(sent: Sent, native: u64, compat: u64) -> Option<u64> {
    if sent.compat {
        user::<u32>(sent.argument, compat).map(u64::from)
    } else {
        user::<u64>(sent.argument, native)
    }
}

/// The command, and its passthrough opcode where it has one.
type Judged = (Command, Opcode);

/// Second step of [`guard_ebpf::command`]: reads the argument and judges it.
#[inline(always)]
pub fn judge(argument: Argument, node: PassthroughKind, sent: Sent, partitions: u64) -> Judged {
    match argument {
        Argument::NvmeAdmin => by_opcode(nvme_opcode(sent), nvme::admin),
        Argument::NvmeIo => by_opcode(nvme_opcode(sent), nvme::io),
        Argument::ScsiGenericIo if matches!(node, PassthroughKind::Bsg) => by_block(bsg(sent)),
        Argument::ScsiGenericIo => by_block(scsi_generic(sent)),
        Argument::ScsiSendCommand => by_block(read_cdb(sent.argument.wrapping_add(8), 16)),
        // hdparm sends a null pointer after a test; the driver answers EINVAL
        // (drivers/ata/libata-scsi.c `ata_cmd_ioctl`, `ata_task_ioctl`).
        Argument::DriveCommand | Argument::DriveTask if sent.argument == 0 => {
            (Command::Query, Opcode::NONE)
        }
        Argument::DriveCommand => match user::<[u8; 4]>(sent.argument, 0) {
            Some(bytes) => (scsi::drive_command(bytes), Opcode::of(bytes[0])),
            None => (Command::Unreadable, Opcode::NONE),
        },
        Argument::DriveTask => match user::<[u8; 2]>(sent.argument, 0) {
            Some([command, feature]) => (scsi::drive_task(command, feature), Opcode::of(command)),
            None => (Command::Unreadable, Opcode::NONE),
        },
        Argument::PartitionChange => (partition_change(sent, partitions), Opcode::NONE),
        Argument::ReadOnlyFlag => (
            user::<u32>(sent.argument, 0).map_or(Command::Unreadable, block::read_only_flag),
            Opcode::NONE,
        ),
        // Judged by the device that becomes a member, see `judge::new_member`.
        Argument::MdNewMember | Argument::MdHotAdd => (Command::Unlisted(Op::Remap), Opcode::NONE),
    }
}

/// dev_t of the device that becomes a member of an array.
#[inline(always)]
pub fn member(argument: Argument, sent: Sent) -> Option<u32> {
    if matches!(argument, Argument::MdHotAdd) {
        // include/linux/kdev_t.h `new_decode_dev`.
        let old = sent.argument as u32;
        let major = (old & 0x000F_FF00) >> 8;
        let minor = (old & 0xFF) | ((old >> 12) & 0x000F_FF00);
        return Some(dev::make(major, minor));
    }
    // `mdu_disk_info_t`: number, major, minor, raid_disk, state; the same for 32-bit callers.
    let major = user::<u32>(sent.argument, 4)?;
    let minor = user::<u32>(sent.argument, 8)?;
    Some(dev::make(major, minor))
}

#[inline(always)]
fn by_opcode(opcode: Option<u8>, judge: fn(u8) -> Command) -> Judged {
    match opcode {
        Some(opcode) => (judge(opcode), Opcode::of(opcode)),
        None => (Command::Unreadable, Opcode::NONE),
    }
}

#[inline(always)]
fn by_block(block: Option<Cdb>) -> Judged {
    match block {
        Some(block) => (block.judge(), Opcode::of(block.bytes[0])),
        None => (Command::Unreadable, Opcode::NONE),
    }
}

/// Opcode of any NVMe command struct: its first byte.
#[inline(always)]
fn nvme_opcode(sent: Sent) -> Option<u8> {
    if sent.uring {
        sent.first_byte
    } else {
        user::<u8>(sent.argument, 0)
    }
}

/// `struct sg_io_hdr` (include/scsi/sg.h), `struct compat_sg_io_hdr` (drivers/scsi/scsi_ioctl.c).
#[inline(always)]
fn scsi_generic(sent: Sent) -> Option<Cdb> {
    let length = user::<u8>(sent.argument, 8)?;
    let mut block = read_cdb(pointer(sent, 24, 20)?, u32::from(length))?;
    if block.needs_data() {
        let segments = user::<u16>(sent.argument, 10)?;
        // A scattered buffer is not followed: unreadable, so refused.
        if segments == 0 {
            block.data = user::<u16>(pointer(sent, 16, 16)?, 0);
        }
    }
    Some(block)
}

/// `struct sg_io_v4` (include/uapi/linux/bsg.h), the same for 32-bit callers.
#[inline(always)]
fn bsg(sent: Sent) -> Option<Cdb> {
    // A transport's own requests (SAS, FC, UFS) are not command blocks: unreadable, so refused.
    if user::<u32>(sent.argument, 8)? != 0 {
        return None;
    }
    let length = user::<u32>(sent.argument, 12)?;
    let mut block = read_cdb(user::<u64>(sent.argument, 16)?, length)?;
    if block.needs_data() && user::<u32>(sent.argument, 56)? == 0 {
        block.data = user::<u16>(user::<u64>(sent.argument, 72)?, 0);
    }
    Some(block)
}

/// Reads a command block, its first 16 bytes at most; the rest counts as zero, as for the drive.
#[inline(always)]
fn read_cdb(from: u64, length: u32) -> Option<Cdb> {
    let wanted = if length > CDB_BYTES as u32 {
        CDB_BYTES as u32
    } else {
        length
    };
    // The mask says again what the comparison has found. The compiler may compare one copy of the
    // length and pass another, of which Linux 6.1's verifier knows nothing; behind `opaque` it
    // cannot.
    const { assert!(CDB_BYTES.is_power_of_two()) };
    let wanted = argv::opaque(u64::from(wanted)) as u32 & (2 * CDB_BYTES as u32 - 1);
    let mut room = [[0_u8; CDB_BYTES]; 2];
    // SAFETY: fewer bytes than the room has are written; the helper checks the source itself.
    let failed =
        unsafe { read_user_bytes(room.as_mut_ptr().cast(), wanted, from as *const c_void) };
    if wanted > 0 && failed != 0 {
        return None;
    }
    let [bytes, _] = room;
    Some(Cdb {
        bytes,
        length: wanted as u8,
        data: None,
    })
}

/// `struct blkpg_ioctl_arg` and the `struct blkpg_partition` behind it
/// (include/uapi/linux/blkpg.h).
#[inline(always)]
fn partition_change(sent: Sent, partitions: u64) -> Command {
    let read = || -> Option<(u32, u32)> {
        let operation = user::<u32>(sent.argument, 0)?;
        let partition = user::<u32>(pointer(sent, 16, 12)?, 16)?;
        Some((operation, partition))
    };
    let Some((operation, number)) = read() else {
        return Command::Unreadable;
    };
    let bit = if number < 64 { number } else { 0 };
    let known = partitions & (1 << bit) != 0;
    block::partition_change(operation, known)
}
