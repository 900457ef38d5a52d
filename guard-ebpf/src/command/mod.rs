//! What a command number means.
//!
//! Classification has two steps. [`block`], [`nvme`] and [`scsi`] say what the number alone tells;
//! where the harm depends on the argument they answer with an [`Argument`], the hook reads the
//! bytes, and the second step judges them. Anything that is on no list is refused on a device that
//! is not free: an ioctl invented next year is not a query until someone has looked at it.

pub mod block;
pub mod nvme;
pub mod scsi;

use guard_abi::{Op, PassthroughKind};

/// What a command would do, as far as the guard cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Reads state, or changes nothing that matters.
    Query,
    /// Harmless to data, but recorded on a protected device.
    Notable(Op),
    /// Destroys on the device itself.
    Harm(Op),
    /// Destroys on the whole drive behind the device, whatever partition it was sent to.
    Disk(Op),
    /// A passthrough opcode that is not read-only; reaches the whole drive.
    Opcode(Op),
    /// Puts a device together: harmless while the device carries nothing.
    Assemble(Op),
    /// Takes a member out of an array.
    LoseMember,
    /// On no list.
    Unlisted(Op),
    /// The argument that tells what it does could not be read.
    Unreadable,
}

/// Bytes of user memory that have to be read before the command can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// `struct nvme_passthru_cmd` and its kin: opcode in the first byte, admin command set.
    NvmeAdmin,
    /// The same, I/O command set.
    NvmeIo,
    /// `struct sg_io_hdr` or `struct sg_io_v4`: points at a CDB.
    ScsiGenericIo,
    /// `struct scsi_ioctl_command`: the CDB stands at byte 8.
    ScsiSendCommand,
    /// `u8[4]` of HDIO_DRIVE_CMD: command, sector, feature, count.
    DriveCommand,
    /// `u8[7]` of HDIO_DRIVE_TASK: command, feature, ….
    DriveTask,
    /// `struct blkpg_ioctl_arg`: the operation, and a pointer to the partition.
    PartitionChange,
    /// `int`: set read-only, or back.
    ReadOnlyFlag,
    /// `mdu_disk_info_t`: major and minor of the device that becomes a member.
    MdNewMember,
    /// The number itself is the dev_t (old user-space form) of the device that becomes a member.
    MdHotAdd,
}

/// First step: the number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classified {
    /// Enough is known.
    Known(Command),
    /// The argument decides.
    Needs(Argument),
}

impl Classified {
    pub(crate) const QUERY: Self = Self::Known(Command::Query);
}

/// Classifies an ioctl on a block device or on a passthrough character device.
#[inline(always)]
pub fn ioctl(node: PassthroughKind, cmd: u32) -> Classified {
    if is_generic(cmd) {
        return Classified::QUERY;
    }
    match node {
        PassthroughKind::None | PassthroughKind::Raw => block::ioctl(cmd),
        PassthroughKind::NvmeController | PassthroughKind::NvmeGeneric => nvme::ioctl(cmd),
        PassthroughKind::ScsiGeneric | PassthroughKind::Bsg => scsi::ioctl(cmd),
    }
}

/// Classifies an io_uring command.
#[inline(always)]
pub fn uring(node: PassthroughKind, cmd_op: u32) -> Classified {
    match node {
        PassthroughKind::None if cmd_op == block::BLOCK_URING_CMD_DISCARD => {
            Classified::Known(Command::Harm(Op::Discard))
        }
        PassthroughKind::NvmeController | PassthroughKind::NvmeGeneric => nvme::uring(cmd_op),
        _ => Classified::Known(Command::Unlisted(Op::Passthrough)),
    }
}

/// Commands that the file layer answers for every file, or that every terminal check sends
/// (fs/ioctl.c `do_vfs_ioctl`, asm-generic/ioctls.h).
#[inline(always)]
const fn is_generic(cmd: u32) -> bool {
    matches!(
        cmd,
        0x5401 // TCGETS: isatty(3)
            | 0x5413 // TIOCGWINSZ
            | 0x541B // FIONREAD
            | 0x5421 // FIONBIO
            | 0x5450 // FIONCLEX
            | 0x5451 // FIOCLEX
            | 0x5452 // FIOASYNC
            | 0x5460 // FIOQSIZE
            | 0x8008_6601 // FS_IOC_GETFLAGS
            | 0x8004_6601 // FS_IOC32_GETFLAGS
            | 0x801C_581F // FS_IOC_FSGETXATTR
            | 0xC020_660B // FS_IOC_FIEMAP
    )
}
