//! Every command number in the lists, computed anew from the kernel's headers: `_IOC` of
//! include/uapi/asm-generic/ioctl.h, types, numbers and sizes of the structs by hand.

use guard_abi::{Op, PassthroughKind};
use guard_ebpf::command::{self, Argument, Classified, Command};

const NONE: u32 = 0;
const WRITE: u32 = 1;
const READ: u32 = 2;
const BOTH: u32 = 3;

/// `_IOC(direction, type, number, size)`.
const fn ioc(direction: u32, kind: u8, number: u32, size: u32) -> u32 {
    direction << 30 | size << 16 | (kind as u32) << 8 | number
}

/// `_IO(type, number)`.
const fn io(kind: u8, number: u32) -> u32 {
    ioc(NONE, kind, number, 0)
}

const fn known(command: Command) -> Classified {
    Classified::Known(command)
}

const QUERY: Classified = known(Command::Query);

#[track_caller]
fn check(node: PassthroughKind, list: &[(&str, u32, Classified)]) {
    for (name, cmd, expected) in list {
        assert_eq!(
            command::ioctl(node, *cmd),
            *expected,
            "{name} ({cmd:#x}) on {node:?}"
        );
    }
}

/// include/uapi/linux/fs.h, blkpg.h, blkzoned.h, blktrace_api.h.
#[test]
fn block_layer() {
    check(
        PassthroughKind::None,
        &[
            (
                "BLKROSET",
                io(0x12, 93),
                Classified::Needs(Argument::ReadOnlyFlag),
            ),
            ("BLKROGET", io(0x12, 94), QUERY),
            (
                "BLKRRPART",
                io(0x12, 95),
                known(Command::Notable(Op::Partition)),
            ),
            ("BLKGETSIZE", io(0x12, 96), QUERY),
            ("BLKFLSBUF", io(0x12, 97), QUERY),
            ("BLKRASET", io(0x12, 98), QUERY),
            ("BLKRAGET", io(0x12, 99), QUERY),
            ("BLKFRASET", io(0x12, 100), QUERY),
            ("BLKFRAGET", io(0x12, 101), QUERY),
            ("BLKSECTSET", io(0x12, 102), QUERY),
            ("BLKSECTGET", io(0x12, 103), QUERY),
            ("BLKSSZGET", io(0x12, 104), QUERY),
            (
                "BLKPG",
                io(0x12, 105),
                Classified::Needs(Argument::PartitionChange),
            ),
            ("BLKBSZGET", ioc(READ, 0x12, 112, 8), QUERY),
            ("BLKBSZSET", ioc(WRITE, 0x12, 113, 8), QUERY),
            ("BLKGETSIZE64", ioc(READ, 0x12, 114, 8), QUERY),
            // struct blk_user_trace_setup: char[32], u16, u32 × 2, u64 × 2, u32
            ("BLKTRACESETUP", ioc(BOTH, 0x12, 115, 72), QUERY),
            ("BLKTRACESTART", io(0x12, 116), QUERY),
            ("BLKTRACESTOP", io(0x12, 117), QUERY),
            ("BLKTRACETEARDOWN", io(0x12, 118), QUERY),
            (
                "BLKDISCARD",
                io(0x12, 119),
                known(Command::Harm(Op::Discard)),
            ),
            ("BLKIOMIN", io(0x12, 120), QUERY),
            ("BLKIOOPT", io(0x12, 121), QUERY),
            ("BLKALIGNOFF", io(0x12, 122), QUERY),
            ("BLKPBSZGET", io(0x12, 123), QUERY),
            ("BLKDISCARDZEROES", io(0x12, 124), QUERY),
            (
                "BLKSECDISCARD",
                io(0x12, 125),
                known(Command::Harm(Op::Discard)),
            ),
            ("BLKROTATIONAL", io(0x12, 126), QUERY),
            (
                "BLKZEROOUT",
                io(0x12, 127),
                known(Command::Harm(Op::Discard)),
            ),
            ("BLKGETDISKSEQ", ioc(READ, 0x12, 128, 8), QUERY),
            // struct blk_zone_report: u64, u32 × 2; struct blk_zone_range: u64 × 2
            ("BLKREPORTZONE", ioc(BOTH, 0x12, 130, 16), QUERY),
            (
                "BLKRESETZONE",
                ioc(WRITE, 0x12, 131, 16),
                known(Command::Harm(Op::Discard)),
            ),
            ("BLKGETZONESZ", ioc(READ, 0x12, 132, 4), QUERY),
            ("BLKGETNRZONES", ioc(READ, 0x12, 133, 4), QUERY),
            ("BLKOPENZONE", ioc(WRITE, 0x12, 134, 16), QUERY),
            ("BLKCLOSEZONE", ioc(WRITE, 0x12, 135, 16), QUERY),
            (
                "BLKFINISHZONE",
                ioc(WRITE, 0x12, 136, 16),
                known(Command::Harm(Op::Discard)),
            ),
        ],
    );
}

/// include/uapi/linux/loop.h, include/uapi/linux/raid/md_u.h.
#[test]
fn loop_and_md() {
    let assemble = known(Command::Assemble(Op::Remap));
    check(
        PassthroughKind::None,
        &[
            ("LOOP_SET_FD", 0x4C00, assemble),
            ("LOOP_CLR_FD", 0x4C01, QUERY),
            ("LOOP_SET_STATUS", 0x4C02, assemble),
            ("LOOP_GET_STATUS", 0x4C03, QUERY),
            ("LOOP_SET_STATUS64", 0x4C04, assemble),
            ("LOOP_GET_STATUS64", 0x4C05, QUERY),
            ("LOOP_CHANGE_FD", 0x4C06, known(Command::Harm(Op::Remap))),
            (
                "LOOP_SET_CAPACITY",
                0x4C07,
                known(Command::Notable(Op::Remap)),
            ),
            ("LOOP_SET_DIRECT_IO", 0x4C08, QUERY),
            ("LOOP_SET_BLOCK_SIZE", 0x4C09, QUERY),
            ("LOOP_CONFIGURE", 0x4C0A, assemble),
            // mdu_version_t: 3 ints; mdu_array_info_t: 18; mdu_disk_info_t: 5; mdu_param_t: 3
            ("RAID_VERSION", ioc(READ, 9, 0x10, 12), QUERY),
            ("GET_ARRAY_INFO", ioc(READ, 9, 0x11, 72), QUERY),
            ("GET_DISK_INFO", ioc(READ, 9, 0x12, 20), QUERY),
            ("PRINT_RAID_DEBUG", io(9, 0x13), QUERY),
            ("GET_BITMAP_FILE", ioc(READ, 9, 0x15, 4096), QUERY),
            (
                "ADD_NEW_DISK",
                ioc(WRITE, 9, 0x21, 20),
                Classified::Needs(Argument::MdNewMember),
            ),
            (
                "HOT_REMOVE_DISK",
                io(9, 0x22),
                known(Command::Notable(Op::Detach)),
            ),
            ("SET_ARRAY_INFO", ioc(WRITE, 9, 0x23, 72), assemble),
            (
                "HOT_ADD_DISK",
                io(9, 0x28),
                Classified::Needs(Argument::MdHotAdd),
            ),
            ("SET_DISK_FAULTY", io(9, 0x29), known(Command::LoseMember)),
            (
                "RUN_ARRAY",
                ioc(WRITE, 9, 0x30, 12),
                known(Command::Notable(Op::Remap)),
            ),
            ("STOP_ARRAY", io(9, 0x32), known(Command::Harm(Op::Detach))),
            (
                "STOP_ARRAY_RO",
                io(9, 0x33),
                known(Command::Harm(Op::Detach)),
            ),
            (
                "RESTART_ARRAY_RW",
                io(9, 0x34),
                known(Command::Notable(Op::Remap)),
            ),
            (
                "CLEAR_ARRAY",
                io(9, 0x20),
                known(Command::Unlisted(Op::Passthrough)),
            ),
        ],
    );
}

/// include/uapi/linux/hdreg.h, cdrom.h, pr.h, sed-opal.h.
#[test]
fn drives() {
    let opal = known(Command::Disk(Op::Passthrough));
    let fencing = known(Command::Notable(Op::Detach));
    check(
        PassthroughKind::None,
        &[
            ("HDIO_GETGEO", 0x301, QUERY),
            ("HDIO_GET_IDENTITY", 0x30D, QUERY),
            (
                "HDIO_DRIVE_CMD",
                0x31F,
                Classified::Needs(Argument::DriveCommand),
            ),
            (
                "HDIO_DRIVE_TASK",
                0x31E,
                Classified::Needs(Argument::DriveTask),
            ),
            ("HDIO_DRIVE_TASKFILE", 0x31D, opal),
            (
                "HDIO_DRIVE_RESET",
                0x31C,
                known(Command::Unlisted(Op::Passthrough)),
            ),
            ("CDROM_MEDIA_CHANGED", 0x5325, QUERY),
            ("CDROM_DRIVE_STATUS", 0x5326, QUERY),
            ("CDROM_GET_CAPABILITY", 0x5331, QUERY),
            ("CDROM_LAST_WRITTEN", 0x5395, QUERY),
            // struct floppy_fdc_state: int × 3, u8 × 2, unsigned long, u32 × 2, u8[4]
            ("FDGETFDCSTAT", ioc(READ, 2, 0x15, 40), QUERY),
            ("FDGETFDCSTAT, 32 bits", ioc(READ, 2, 0x15, 32), QUERY),
            (
                "CDROM_SEND_PACKET",
                0x5393,
                known(Command::Unlisted(Op::Passthrough)),
            ),
            // struct pr_registration: u64 × 2, u32 × 2; pr_reservation: u64, u32 × 2; pr_preempt: u64 × 2, u32 × 2
            ("IOC_PR_REGISTER", ioc(WRITE, b'p', 200, 24), fencing),
            ("IOC_PR_RESERVE", ioc(WRITE, b'p', 201, 16), fencing),
            ("IOC_PR_RELEASE", ioc(WRITE, b'p', 202, 16), fencing),
            ("IOC_PR_PREEMPT", ioc(WRITE, b'p', 203, 24), fencing),
            ("IOC_PR_PREEMPT_ABORT", ioc(WRITE, b'p', 204, 24), fencing),
            ("IOC_PR_CLEAR", ioc(WRITE, b'p', 205, 16), fencing),
            ("IOC_PR_READ_KEYS", ioc(BOTH, b'p', 206, 16), QUERY),
            ("IOC_PR_READ_RESERVATION", ioc(READ, b'p', 207, 16), QUERY),
            ("IOC_OPAL_LOCK_UNLOCK", 0x4118_70DD, opal),
            ("IOC_OPAL_REVERT_TPR", 0x4108_70E2, opal),
            ("IOC_OPAL_ERASE_LR", 0x4110_70E6, opal),
            ("IOC_OPAL_SECURE_ERASE_LR", 0x4110_70E7, opal),
            ("IOC_OPAL_PSID_REVERT_TPR", 0x4108_70E8, opal),
            ("IOC_OPAL_GET_STATUS", ioc(READ, b'p', 236, 8), QUERY),
            ("IOC_OPAL_REVERT_LSP", ioc(WRITE, b'p', 240, 0x118), opal),
        ],
    );
}

/// include/uapi/linux/nvme_ioctl.h: struct nvme_passthru_cmd 72 bytes, nvme_passthru_cmd64 80,
/// nvme_user_io 48, nvme_uring_cmd 72.
#[test]
fn nvme() {
    use PassthroughKind::{None, NvmeController, NvmeGeneric};
    for node in [None, NvmeController, NvmeGeneric] {
        check(
            node,
            &[
                ("NVME_IOCTL_ID", io(b'N', 0x40), QUERY),
                (
                    "ADMIN_CMD",
                    ioc(BOTH, b'N', 0x41, 72),
                    Classified::Needs(Argument::NvmeAdmin),
                ),
                (
                    "SUBMIT_IO",
                    ioc(WRITE, b'N', 0x42, 48),
                    Classified::Needs(Argument::NvmeIo),
                ),
                (
                    "IO_CMD",
                    ioc(BOTH, b'N', 0x43, 72),
                    Classified::Needs(Argument::NvmeIo),
                ),
                ("RESET", io(b'N', 0x44), known(Command::Disk(Op::Detach))),
                (
                    "SUBSYS_RESET",
                    io(b'N', 0x45),
                    known(Command::Disk(Op::Detach)),
                ),
                (
                    "RESCAN",
                    io(b'N', 0x46),
                    known(Command::Notable(Op::Detach)),
                ),
                (
                    "ADMIN64_CMD",
                    ioc(BOTH, b'N', 0x47, 80),
                    Classified::Needs(Argument::NvmeAdmin),
                ),
                (
                    "IO64_CMD",
                    ioc(BOTH, b'N', 0x48, 80),
                    Classified::Needs(Argument::NvmeIo),
                ),
                (
                    "IO64_CMD_VEC",
                    ioc(BOTH, b'N', 0x49, 80),
                    Classified::Needs(Argument::NvmeIo),
                ),
            ],
        );
    }
    let uring = |number| command::uring(NvmeGeneric, ioc(BOTH, b'N', number, 72));
    assert_eq!(uring(0x80), Classified::Needs(Argument::NvmeIo));
    assert_eq!(uring(0x81), Classified::Needs(Argument::NvmeIo));
    assert_eq!(uring(0x82), Classified::Needs(Argument::NvmeAdmin));
    assert_eq!(uring(0x83), Classified::Needs(Argument::NvmeAdmin));
    assert_eq!(uring(0x84), known(Command::Unlisted(Op::Passthrough)));
}

/// include/scsi/sg.h, include/scsi/scsi_ioctl.h.
#[test]
fn scsi() {
    use PassthroughKind::{Bsg, None, ScsiGeneric};
    for node in [None, ScsiGeneric, Bsg] {
        check(
            node,
            &[
                ("SG_IO", 0x2285, Classified::Needs(Argument::ScsiGenericIo)),
                (
                    "SCSI_IOCTL_SEND_COMMAND",
                    1,
                    Classified::Needs(Argument::ScsiSendCommand),
                ),
                ("SCSI_IOCTL_TEST_UNIT_READY", 2, QUERY),
                ("SG_SCSI_RESET", 0x2284, known(Command::Disk(Op::Detach))),
                ("SG_GET_VERSION_NUM", 0x2282, QUERY),
                ("SG_GET_SCSI_ID", 0x2276, QUERY),
                ("SCSI_IOCTL_GET_IDLUN", 0x5382, QUERY),
                ("SCSI_IOCTL_GET_BUS_NUMBER", 0x5386, QUERY),
                ("SCSI_IOCTL_GET_PCI", 0x5387, QUERY),
            ],
        );
    }
    check(
        None,
        &[("SCSI_IOCTL_STOP_UNIT", 6, known(Command::Disk(Op::Detach)))],
    );
}

/// io_uring commands of block devices, include/uapi/linux/blkdev.h.
#[test]
fn block_uring() {
    let on = |node, cmd| command::uring(node, cmd);
    assert_eq!(
        on(PassthroughKind::None, io(0x12, 0)),
        known(Command::Harm(Op::Discard))
    );
    assert_eq!(
        on(PassthroughKind::None, io(0x12, 1)),
        known(Command::Unlisted(Op::Passthrough))
    );
    assert_eq!(
        on(PassthroughKind::Bsg, 0),
        known(Command::Unlisted(Op::Passthrough))
    );
}

#[test]
fn partition_changes() {
    use command::block::{new_member, partition_change, read_only_flag};
    let harm = Command::Harm(Op::Partition);
    for known in [false, true] {
        assert_eq!(partition_change(1, known), harm, "add");
        assert_eq!(partition_change(3, known), harm, "resize");
        assert_eq!(
            partition_change(0, known),
            harm,
            "an operation that does not exist yet"
        );
        assert_eq!(partition_change(u32::MAX, known), harm);
    }
    assert_eq!(partition_change(2, true), harm, "delete");
    assert_eq!(
        partition_change(2, false),
        Command::Query,
        "delete what does not exist"
    );
    assert_eq!(read_only_flag(0), Command::Query);
    for value in [1, 2, u32::MAX] {
        assert_eq!(read_only_flag(value), Command::Harm(Op::Detach));
    }
    assert_eq!(new_member(0), Command::Harm(Op::Remap));
    assert_eq!(
        new_member(guard_abi::device_flag::MD_MEMBER),
        Command::Notable(Op::Remap)
    );
}
