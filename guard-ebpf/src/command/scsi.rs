//! SCSI and ATA passthrough: include/scsi/sg.h, include/uapi/linux/bsg.h,
//! include/scsi/scsi_ioctl.h; SPC, SBC, SAT and ACS for the opcodes.

use guard_abi::Op;

use super::{Argument, Classified, Command};

/// Bytes of a CDB that are looked at; no opcode on the lists needs more.
pub const CDB_BYTES: usize = 16;

/// A SCSI command descriptor block as far as it is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cdb {
    /// The block, zero-padded.
    pub bytes: [u8; CDB_BYTES],
    /// Its length as the caller stated it.
    pub length: u8,
    /// The first two bytes of the data buffer, little-endian, where [`Cdb::needs_data`] asked.
    pub data: Option<u16>,
}

/// Whether the command is of the SCSI layer.
#[inline(always)]
pub const fn is_ioctl(cmd: u32) -> bool {
    matches!(cmd, 0x1 | 0x2 | 0x5 | 0x2200..=0x22FF | 0x5380..=0x53FF)
}

/// Classifies an ioctl on a SCSI node, character or block.
#[inline(always)]
pub fn ioctl(cmd: u32) -> Classified {
    match cmd {
        0x2285 => Classified::Needs(Argument::ScsiGenericIo), // SG_IO
        0x1 => Classified::Needs(Argument::ScsiSendCommand), // SCSI_IOCTL_SEND_COMMAND
        0x2284 => Classified::Known(Command::Disk(Op::Detach)), // SG_SCSI_RESET
        0x2 // SCSI_IOCTL_TEST_UNIT_READY
        | 0x5 // SCSI_IOCTL_START_UNIT
        | 0x2201..=0x2203 // SG_SET_TIMEOUT SG_GET_TIMEOUT SG_EMULATED_HOST
        | 0x2270..=0x2272 | 0x2275..=0x2276 // SG_*_COMMAND_Q SG_*_RESERVED_SIZE SG_GET_SCSI_ID
        | 0x2279..=0x2283 // SG_*_LOW_DMA SG_*_PACK_ID … SG_GET_VERSION_NUM SG_NEXT_CMD_LEN
        | 0x2286..=0x2289 // SG_GET_REQUEST_TABLE SG_*_KEEP_ORPHAN SG_GET_ACCESS_COUNT
        | 0x1267 // BLKSECTGET
        | 0xC048_1273 | 0xC040_1273 | 0x1274..=0x1276 // BLKTRACE*
        | 0x5380..=0x5382 // SCSI_IOCTL_DOORLOCK/UNLOCK (removable media) SCSI_IOCTL_GET_IDLUN
        | 0x5385..=0x5387 // SCSI_IOCTL_PROBE_HOST/GET_BUS_NUMBER/GET_PCI
            => Classified::QUERY,
        _ => Classified::Known(Command::Unlisted(Op::Passthrough)),
    }
}

impl Cdb {
    /// Whether the harm depends on the data sent along: SMART WRITE LOG to the SCT log, whose
    /// first word is the action.
    #[inline(always)]
    pub const fn needs_data(&self) -> bool {
        matches!(
            self.ata(),
            Some(Ata {
                command: 0xB0,
                feature: 0xD6,
                log: 0xE0
            })
        )
    }

    /// The ATA command that an ATA PASS-THROUGH CDB carries (SAT, "ATA PASS-THROUGH (12)/(16)").
    #[inline(always)]
    pub const fn ata(&self) -> Option<Ata> {
        match self.bytes[0] {
            0x85 => Some(Ata {
                command: self.bytes[14],
                feature: self.bytes[4],
                log: self.bytes[8],
            }),
            0xA1 => Some(Ata {
                command: self.bytes[9],
                feature: self.bytes[3],
                log: self.bytes[5],
            }),
            _ => None,
        }
    }

    /// Judges the block.
    #[inline(always)]
    pub fn judge(&self) -> Command {
        if self.length == 0 {
            return Command::Unreadable;
        }
        match self.bytes[0] {
            // PERSISTENT RESERVE OUT: fencing by cluster managers; access changes, data does not.
            0x5F => Command::Notable(Op::Detach),
            // SEND DIAGNOSTIC: a self-test where no parameter list comes along.
            0x1D if self.bytes[3] == 0 && self.bytes[4] == 0 => Command::Query,
            // 32-byte commands: READ(32) alone.
            0x7F if self.bytes[8] == 0x00 && self.bytes[9] == 0x09 => Command::Query,
            0x85 | 0xA1 => match self.ata() {
                Some(ata) => ata.judge(self.data),
                None => Command::Opcode(Op::Passthrough),
            },
            opcode if is_read_only(opcode) => Command::Query,
            _ => Command::Opcode(Op::Passthrough),
        }
    }
}

/// Opcodes that read (SPC-5, SBC-4, MMC-6).
#[inline(always)]
const fn is_read_only(opcode: u8) -> bool {
    matches!(
        opcode,
        0x00 // TEST UNIT READY
            | 0x03 // REQUEST SENSE
            | 0x08 | 0x28 | 0xA8 | 0x88 // READ(6/10/12/16)
            | 0x12 // INQUIRY
            | 0x1A | 0x5A // MODE SENSE
            | 0x1C // RECEIVE DIAGNOSTIC RESULTS
            | 0x25 // READ CAPACITY(10)
            | 0x2F | 0xAF | 0x8F // VERIFY
            | 0x34 | 0x90 // PRE-FETCH
            | 0x35 | 0x91 // SYNCHRONIZE CACHE
            | 0x37 | 0xB7 // READ DEFECT DATA
            | 0x3C // READ BUFFER
            | 0x3E // READ LONG(10)
            | 0x43 | 0x46 | 0x4A | 0x51 | 0x52 | 0xAD // MMC: TOC, configuration, events, disc
            | 0x4D // LOG SENSE
            | 0x5E // PERSISTENT RESERVE IN
            | 0x95 // ZBC IN: REPORT ZONES
            | 0x9E // SERVICE ACTION IN(16)
            | 0xA0 // REPORT LUNS
            | 0xA2 // SECURITY PROTOCOL IN
            | 0xA3 // MAINTENANCE IN
            | 0xAB // SERVICE ACTION IN(12)
    )
}

/// What an ATA command needs to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ata {
    /// COMMAND field.
    pub command: u8,
    /// FEATURES field, bits 7:0.
    pub feature: u8,
    /// LBA field, bits 7:0: the log address of SMART log commands.
    pub log: u8,
}

impl Ata {
    /// Judges the command (ACS-4). `data` is the first word of the data buffer where
    /// [`Cdb::needs_data`] asked for it.
    #[inline(always)]
    pub const fn judge(self, data: Option<u16>) -> Command {
        match self.command {
            0xEC // IDENTIFY DEVICE
            | 0xA1 // IDENTIFY PACKET DEVICE
            | 0xE5 | 0x98 // CHECK POWER MODE
            | 0x2F | 0x47 // READ LOG EXT, READ LOG DMA EXT
            | 0x20 | 0x24 | 0x25 | 0x29 | 0xC4 | 0xC8 | 0x60 // READ
            | 0x40 | 0x42 // READ VERIFY
            | 0xE7 | 0xEA // FLUSH CACHE
                => Command::Query,
            0xB0 => self.judge_smart(data),
            _ => Command::Opcode(Op::Passthrough),
        }
    }

    const fn judge_smart(self, data: Option<u16>) -> Command {
        match self.feature {
            0xD0 // READ DATA
            | 0xD1 // READ THRESHOLDS
            | 0xD2 // ATTRIBUTE AUTOSAVE
            | 0xD3 // SAVE ATTRIBUTES
            | 0xD4 // EXECUTE OFF-LINE IMMEDIATE: self-tests
            | 0xD5 // READ LOG
            | 0xD8 // ENABLE OPERATIONS
            | 0xDA // RETURN STATUS
            | 0xDB // AUTO OFF-LINE
                => Command::Query,
            // SCT by SMART WRITE LOG: error recovery control and data tables read or set timers;
            // action 2 is WRITE SAME.
            0xD6 if self.log == 0xE0 => match data {
                Some(3 | 5) => Command::Query,
                Some(_) => Command::Opcode(Op::Passthrough),
                None => Command::Unreadable,
            },
            _ => Command::Opcode(Op::Passthrough),
        }
    }
}

/// Judges `u8[4]` of HDIO_DRIVE_CMD (drivers/ata/libata-scsi.c `ata_cmd_ioctl`).
#[inline(always)]
pub const fn drive_command(bytes: [u8; 4]) -> Command {
    Ata {
        command: bytes[0],
        feature: bytes[2],
        log: 0,
    }
    .judge(None)
}

/// Judges `u8[7]` of HDIO_DRIVE_TASK (drivers/ata/libata-scsi.c `ata_task_ioctl`).
#[inline(always)]
pub const fn drive_task(command: u8, feature: u8) -> Command {
    Ata {
        command,
        feature,
        log: 0,
    }
    .judge(None)
}
