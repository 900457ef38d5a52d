//! ioctls of block devices: include/uapi/linux/{fs,blkpg,blkzoned,hdreg,loop,pr,sed-opal}.h,
//! include/uapi/linux/raid/md_u.h.

use guard_abi::{Op, device_flag};

use super::{Argument, Classified, Command, nvme, scsi};

/// `BLOCK_URING_CMD_DISCARD`, include/uapi/linux/blkdev.h, `_IO(0x12, 0)`.
pub const BLOCK_URING_CMD_DISCARD: u32 = 0x1200;

/// `BLKPG_ADD_PARTITION`.
const BLKPG_ADD: u32 = 1;
/// `BLKPG_DEL_PARTITION`.
const BLKPG_DEL: u32 = 2;

/// Classifies an ioctl on a block device.
#[inline(always)]
pub fn ioctl(cmd: u32) -> Classified {
    if is_query(cmd) {
        return Classified::QUERY;
    }
    match cmd {
        0x1277 // BLKDISCARD
        | 0x127D // BLKSECDISCARD
        | 0x127F // BLKZEROOUT
        | 0x4010_1283 // BLKRESETZONE
        | 0x4010_1288 // BLKFINISHZONE
            => Classified::Known(Command::Harm(Op::Discard)),
        // Reads the table anew; refused by the kernel itself while a partition is open.
        0x125F => Classified::Known(Command::Notable(Op::Partition)), // BLKRRPART
        0x1269 => Classified::Needs(Argument::PartitionChange), // BLKPG
        0x125D => Classified::Needs(Argument::ReadOnlyFlag), // BLKROSET
        _ => by_driver(cmd),
    }
}

/// What drivers add to the generic block ioctls.
#[inline(always)]
fn by_driver(cmd: u32) -> Classified {
    match cmd {
        // Loop: include/uapi/linux/loop.h
        0x4C00 // LOOP_SET_FD
        | 0x4C0A // LOOP_CONFIGURE
        | 0x4C02 // LOOP_SET_STATUS
        | 0x4C04 // LOOP_SET_STATUS64
            => Classified::Known(Command::Assemble(Op::Remap)),
        0x4C06 => Classified::Known(Command::Harm(Op::Remap)), // LOOP_CHANGE_FD
        // Takes the size of the file, which may be smaller by now: LOOP_SET_CAPACITY.
        0x4C07 => Classified::Known(Command::Notable(Op::Remap)),
        // MD: include/uapi/linux/raid/md_u.h
        0x4014_0921 => Classified::Needs(Argument::MdNewMember), // ADD_NEW_DISK
        0x928 => Classified::Needs(Argument::MdHotAdd), // HOT_ADD_DISK
        0x4048_0923 => Classified::Known(Command::Assemble(Op::Remap)), // SET_ARRAY_INFO
        0x400C_0930 // RUN_ARRAY
        | 0x0934 // RESTART_ARRAY_RW
            => Classified::Known(Command::Notable(Op::Remap)),
        // The kernel refuses to remove a member that is active (drivers/md/md.c
        // hot_remove_disk), so only a failed one or a spare leaves.
        0x922 => Classified::Known(Command::Notable(Op::Detach)), // HOT_REMOVE_DISK
        0x929 => Classified::Known(Command::LoseMember), // SET_DISK_FAULTY
        0x932 // STOP_ARRAY
        | 0x933 // STOP_ARRAY_RO
            => Classified::Known(Command::Harm(Op::Detach)),
        // ATA drives: include/uapi/linux/hdreg.h
        0x31F => Classified::Needs(Argument::DriveCommand), // HDIO_DRIVE_CMD
        0x31E => Classified::Needs(Argument::DriveTask), // HDIO_DRIVE_TASK
        0x31D => Classified::Known(Command::Disk(Op::Passthrough)), // HDIO_DRIVE_TASKFILE
        // SCSI
        0x6 => Classified::Known(Command::Disk(Op::Detach)), // SCSI_IOCTL_STOP_UNIT
        _ if is_persistent_reservation(cmd) => Classified::Known(Command::Notable(Op::Detach)),
        _ if is_opal(cmd) => Classified::Known(Command::Disk(Op::Passthrough)),
        _ if nvme::is_ioctl(cmd) => nvme::ioctl(cmd),
        _ if scsi::is_ioctl(cmd) => scsi::ioctl(cmd),
        // Whatever else: it may reach the drive behind a partition, so it counts as the drive's.
        _ => Classified::Known(Command::Unlisted(Op::Passthrough)),
    }
}

/// Judges `struct blkpg_ioctl_arg`. `known` says whether the partition that is named exists;
/// mdadm removes partitions that it only supposes (Manage.c, `remove_partitions`).
#[inline(always)]
pub fn partition_change(operation: u32, known: bool) -> Command {
    match operation {
        BLKPG_DEL if !known => Command::Query,
        BLKPG_ADD | BLKPG_DEL => Command::Harm(Op::Partition),
        // BLKPG_RESIZE_PARTITION succeeds on a mounted partition; a shrink cuts data off.
        _ => Command::Harm(Op::Partition),
    }
}

/// Judges a device (its [`guard_abi::device_flag`] bits) that is about to become a member of an MD
/// array. One that was a member already is put back together with its array, which changes no
/// byte of it; and what is laid over it is protected with it.
#[inline(always)]
pub const fn new_member(flags: u32) -> Command {
    if flags & device_flag::MD_MEMBER != 0 {
        Command::Notable(Op::Remap)
    } else {
        Command::Harm(Op::Remap)
    }
}

/// Judges the argument of BLKROSET: writes of a running file system fail once it is read-only.
#[inline(always)]
pub fn read_only_flag(value: u32) -> Command {
    if value == 0 {
        Command::Query
    } else {
        Command::Harm(Op::Detach)
    }
}

/// Queries, and settings that change no data.
#[inline(always)]
const fn is_query(cmd: u32) -> bool {
    is_block_query(cmd) || is_driver_query(cmd)
}

#[inline(always)]
const fn is_block_query(cmd: u32) -> bool {
    matches!(
        cmd,
        0x125E // BLKROGET
            | 0x1260..=0x1268 // BLKGETSIZE BLKFLSBUF BLKRASET/GET BLKFRASET/GET BLKSECTSET/GET BLKSSZGET
            | 0x8008_1270 | 0x8004_1270 // BLKBSZGET
            | 0x4008_1271 | 0x4004_1271 // BLKBSZSET
            | 0x8008_1272 | 0x8004_1272 // BLKGETSIZE64
            | 0xC048_1273 | 0xC040_1273 // BLKTRACESETUP
            | 0x1274..=0x1276 // BLKTRACESTART BLKTRACESTOP BLKTRACETEARDOWN
            | 0x1278..=0x127C // BLKIOMIN BLKIOOPT BLKALIGNOFF BLKPBSZGET BLKDISCARDZEROES
            | 0x127E // BLKROTATIONAL
            | 0x8008_1280 // BLKGETDISKSEQ
            | 0xC010_1282 // BLKREPORTZONE
            | 0x8004_1284 // BLKGETZONESZ
            | 0x8004_1285 // BLKGETNRZONES
            | 0x4010_1286 // BLKOPENZONE
            | 0x4010_1287 // BLKCLOSEZONE
    )
}

#[inline(always)]
const fn is_driver_query(cmd: u32) -> bool {
    matches!(
        cmd,
        // include/uapi/linux/hdreg.h: HDIO_GETGEO and the other HDIO_GET_*
        0x301 | 0x302 | 0x304 | 0x305 | 0x307
            ..=0x310 | 0x31A
            // include/uapi/linux/cdrom.h: CDROM_MEDIA_CHANGED, _DRIVE_STATUS, _GET_CAPABILITY,
            // and CDROM_LAST_WRITTEN, which libblkid sends to every disk
            | 0x5325 | 0x5326 | 0x5331 | 0x5395
            // include/uapi/linux/fd.h: FDGETFDCSTAT, 64 and 32 bits; libblkid asks every disk
            // whether it is a floppy (libblkid/src/probe.c, blkid_probe_set_device)
            | 0x8028_0215 | 0x8020_0215
            // include/uapi/linux/loop.h: LOOP_CLR_FD (deferred by the kernel while in use),
            // LOOP_GET_STATUS, _STATUS64, _SET_DIRECT_IO, _SET_BLOCK_SIZE
            | 0x4C01 | 0x4C03 | 0x4C05 | 0x4C08 | 0x4C09
            // include/uapi/linux/raid/md_u.h: RAID_VERSION, GET_ARRAY_INFO, GET_DISK_INFO,
            // PRINT_RAID_DEBUG, GET_BITMAP_FILE
            | 0x800C_0910 | 0x8048_0911 | 0x8014_0912 | 0x913 | 0x9000_0915
            // include/uapi/linux/pr.h: IOC_PR_READ_KEYS, IOC_PR_READ_RESERVATION
            | 0xC010_70CE | 0x8010_70CF
    ) || is_opal_query(cmd)
}

/// `_IOC_NR` and `_IOC_TYPE` of a command: its low 16 bits.
#[inline(always)]
const fn type_and_number(cmd: u32) -> u32 {
    cmd & 0xFFFF
}

/// IOC_PR_REGISTER … IOC_PR_CLEAR: fencing by cluster managers; access changes, data does not.
#[inline(always)]
const fn is_persistent_reservation(cmd: u32) -> bool {
    matches!(type_and_number(cmd), 0x70C8..=0x70CD)
}

/// IOC_OPAL_*: `_IOC('p', 220…)`.
#[inline(always)]
const fn is_opal(cmd: u32) -> bool {
    matches!(type_and_number(cmd), 0x70DC..=0x70FF)
}

/// IOC_OPAL_GET_STATUS, _GET_LR_STATUS, _GET_GEOMETRY, _DISCOVERY.
#[inline(always)]
const fn is_opal_query(cmd: u32) -> bool {
    matches!(type_and_number(cmd), 0x70EC..=0x70EF)
}
