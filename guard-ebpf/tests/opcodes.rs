//! Every opcode of every command set: what is on the list of commands that only read is written
//! out here once more, in full, and everything else must be refused.

use guard_abi::Op;
use guard_ebpf::command::Command;
use guard_ebpf::command::nvme;
use guard_ebpf::command::scsi::{Ata, Cdb, drive_command, drive_task};

const REFUSED: Command = Command::Opcode(Op::Passthrough);

#[test]
fn nvme_admin() {
    for opcode in 0..=u8::MAX {
        let reads = [0x02, 0x06, 0x0A, 0x14, 0x82].contains(&opcode);
        let expected = if reads { Command::Query } else { REFUSED };
        assert_eq!(nvme::admin(opcode), expected, "{opcode:#x}");
    }
    // Format NVM, Sanitize, Namespace Management, Firmware Commit, Set Features, Security Send.
    for opcode in [0x80, 0x84, 0x0D, 0x10, 0x09, 0x81] {
        assert_eq!(nvme::admin(opcode), REFUSED, "{opcode:#x}");
    }
}

#[test]
fn nvme_io() {
    for opcode in 0..=u8::MAX {
        let reads = [0x00, 0x02, 0x05, 0x0C, 0x0E, 0x12, 0x7A].contains(&opcode);
        let expected = if reads { Command::Query } else { REFUSED };
        assert_eq!(nvme::io(opcode), expected, "{opcode:#x}");
    }
    // Write, Write Uncorrectable, Write Zeroes, Dataset Management, Copy, Zone Append, Zone Send.
    for opcode in [0x01, 0x04, 0x08, 0x09, 0x19, 0x7D, 0x79] {
        assert_eq!(nvme::io(opcode), REFUSED, "{opcode:#x}");
    }
}

fn cdb(bytes: &[u8]) -> Cdb {
    let mut whole = [0; 16];
    whole[..bytes.len()].copy_from_slice(bytes);
    Cdb {
        bytes: whole,
        length: 16,
        data: None,
    }
}

#[test]
fn scsi_opcodes() {
    const READS: &[u8] = &[
        0x00, 0x03, 0x08, 0x12, 0x1A, 0x1C, 0x25, 0x28, 0x2F, 0x34, 0x35, 0x37, 0x3C, 0x3E, 0x43,
        0x46, 0x4A, 0x4D, 0x51, 0x52, 0x5A, 0x5E, 0x88, 0x8F, 0x90, 0x91, 0x95, 0x9E, 0xA0, 0xA2,
        0xA3, 0xA8, 0xAB, 0xAD, 0xAF, 0xB7,
    ];
    for opcode in 0..=u8::MAX {
        // Judged by more than their first byte: below.
        if [0x1D, 0x5F, 0x7F, 0x85, 0xA1].contains(&opcode) {
            continue;
        }
        let expected = if READS.contains(&opcode) {
            Command::Query
        } else {
            REFUSED
        };
        assert_eq!(cdb(&[opcode]).judge(), expected, "{opcode:#x}");
    }
    // FORMAT UNIT, WRITE, WRITE SAME, UNMAP, SANITIZE, MODE SELECT, WRITE BUFFER, START STOP UNIT,
    // COMPARE AND WRITE, EXTENDED COPY, SECURITY PROTOCOL OUT, WRITE LONG, REASSIGN BLOCKS.
    for opcode in [
        0x04, 0x0A, 0x2A, 0xAA, 0x8A, 0x2E, 0xAE, 0x8E, 0x41, 0x93, 0x42, 0x48, 0x15, 0x55, 0x3B,
        0x1B, 0x89, 0x83, 0xB5, 0x3F, 0x9F, 0x07,
    ] {
        assert_eq!(cdb(&[opcode]).judge(), REFUSED, "{opcode:#x}");
    }
}

#[test]
fn scsi_opcodes_that_need_more_than_one_byte() {
    assert_eq!(
        cdb(&[0x5F]).judge(),
        Command::Notable(Op::Detach),
        "PERSISTENT RESERVE OUT"
    );
    assert_eq!(cdb(&[0x1D, 0x04]).judge(), Command::Query, "self-test");
    assert_eq!(
        cdb(&[0x1D, 0x10, 0, 0, 8]).judge(),
        REFUSED,
        "with a parameter list"
    );
    assert_eq!(
        cdb(&[0x1D, 0x10, 0, 1, 0]).judge(),
        REFUSED,
        "with a long parameter list"
    );
    let mut variable = [0; 16];
    variable[0] = 0x7F;
    for action in 0..=u16::MAX {
        [variable[8], variable[9]] = action.to_be_bytes();
        let expected = if action == 9 { Command::Query } else { REFUSED };
        assert_eq!(
            cdb(&variable).judge(),
            expected,
            "service action {action:#x}"
        );
    }
    let empty = Cdb {
        length: 0,
        ..cdb(&[0x12])
    };
    assert_eq!(empty.judge(), Command::Unreadable, "no command block");
}

const ATA_READS: &[u8] = &[
    0x20, 0x24, 0x25, 0x29, 0x2F, 0x40, 0x42, 0x47, 0x60, 0x98, 0xA1, 0xC4, 0xC8, 0xE5, 0xE7, 0xEA,
    0xEC,
];
const SMART_READS: &[u8] = &[0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD8, 0xDA, 0xDB];

#[test]
fn ata_commands_by_every_way_in() {
    for command in 0..=u8::MAX {
        for feature in 0..=u8::MAX {
            let reads =
                ATA_READS.contains(&command) || (command == 0xB0 && SMART_READS.contains(&feature));
            let expected = if reads { Command::Query } else { REFUSED };
            let direct = Ata {
                command,
                feature,
                log: 0,
            };
            assert_eq!(direct.judge(None), expected, "{command:#x} {feature:#x}");
            assert_eq!(
                drive_command([command, 0, feature, 1]),
                expected,
                "HDIO_DRIVE_CMD"
            );
            assert_eq!(drive_task(command, feature), expected, "HDIO_DRIVE_TASK");
            let long = cdb(&[0x85, 0, 0, 0, feature, 0, 0, 0, 0, 0, 0, 0, 0, 0, command]);
            assert_eq!(long.judge(), expected, "ATA PASS-THROUGH(16)");
            let short = cdb(&[0xA1, 0, 0, feature, 0, 0, 0, 0, 0, command]);
            assert_eq!(short.judge(), expected, "ATA PASS-THROUGH(12)");
        }
    }
}

#[test]
fn sct_by_smart_write_log() {
    let long = |log| cdb(&[0x85, 0, 0, 0, 0xD6, 0, 0, 0, log, 0, 0, 0, 0, 0, 0xB0]);
    let short = |log| cdb(&[0xA1, 0, 0, 0xD6, 0, log, 0, 0, 0, 0xB0]);
    for make in [&long as &dyn Fn(u8) -> Cdb, &short] {
        for log in 0..=u8::MAX {
            assert_eq!(make(log).needs_data(), log == 0xE0, "{log:#x}");
        }
        assert_eq!(make(0x80).judge(), REFUSED, "another log");
        assert_eq!(make(0xE0).judge(), Command::Unreadable, "data not read");
        for action in 0..=u16::MAX {
            let block = Cdb {
                data: Some(action),
                ..make(0xE0)
            };
            let expected = if [3, 5].contains(&action) {
                Command::Query
            } else {
                REFUSED
            };
            assert_eq!(block.judge(), expected, "SCT action {action}");
        }
    }
}
