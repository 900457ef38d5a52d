//! udev's database, `/run/udev/data/bMAJOR:MINOR` (systemd, src/libsystemd/sd-device): lines
//! `E:KEY=VALUE`. Evidence beside sysfs; everything works without it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use guard_abi::dev;

use super::Roots;
use super::attributes::{Reader, open_dir};
use super::identity::meaningful;
use super::labels::Signature;
use super::md::plain_uuid;

/// What the record of one device says.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) signature: Signature,
    /// Of a file system, a label or a header, without dashes.
    pub(super) content_uuid: Option<Box<str>>,
    pub(super) partuuid: Option<Box<str>>,
    pub(super) table_uuid: Option<Box<str>>,
    pub(super) wwid: Option<Box<str>>,
    pub(super) serial: Option<Box<str>>,
    pub(super) md_uuid: Option<Arc<str>>,
    pub(super) boots: bool,
}

/// The directory of records.
pub(super) struct Database {
    data: Option<OwnedFd>,
}

impl Database {
    pub(super) fn open(roots: &Roots) -> Self {
        Self {
            data: open_dir(&roots.run.join("udev/data")),
        }
    }

    /// udev keeps a database here. Where it does, a device without a record is one that udev has
    /// not looked at yet, and another scan follows.
    pub(super) fn is_there(&self) -> bool {
        self.data.is_some()
    }

    pub(super) fn record(&self, reader: &mut Reader, number: u32) -> Record {
        let name = format!("b{}:{}", dev::major(number), dev::minor(number));
        let text = self
            .data
            .as_ref()
            .and_then(|data| reader.bytes(data, &name));
        text.map_or_else(Record::default, |bytes| {
            parse(&String::from_utf8_lossy(bytes))
        })
    }
}

/// Names of disks that udev's rules probe (systemd, rules.d/60-persistent-storage.rules.in), and
/// of stacked devices, which rules of their own do. A record of another device (`rbd`, `drbd`,
/// `emcpower`, a null block device) says nothing about what it contains.
const PROBED: &[&str] = &[
    "loop", "mmcblk", "msblk", "mspblk", "nvme", "sd", "sr", "vd", "xvd", "bcache", "cciss",
    "dasd", "ubd", "ubi", "scm", "pmem", "nbd", "zd", "dm-", "md",
];

/// Whether udev's probe looks into a device of this name.
pub(super) fn probes(name: &str) -> bool {
    PROBED.iter().any(|family| name.starts_with(family))
}

fn parse(text: &str) -> Record {
    let mut record = Record {
        signature: Signature::Nothing,
        ..Record::default()
    };
    let (mut wwn, mut wwn_long, mut serial_long) = (None, None, None);
    for line in text.lines() {
        let Some((key, value)) = line
            .strip_prefix("E:")
            .and_then(|line| line.split_once('='))
        else {
            continue;
        };
        match key {
            "ID_FS_TYPE" => record.signature = Signature::from_udev(value),
            "ID_FS_UUID" => record.content_uuid = meaningful(&value.replace(['-', ':'], "")),
            "ID_PART_ENTRY_UUID" => record.partuuid = meaningful(value),
            "ID_PART_TABLE_UUID" => record.table_uuid = meaningful(value),
            "ID_WWN" => wwn = meaningful(value),
            "ID_WWN_WITH_EXTENSION" => wwn_long = meaningful(value),
            "ID_SERIAL" => serial_long = meaningful(value),
            "ID_SERIAL_SHORT" => record.serial = meaningful(value),
            "ID_PART_ENTRY_TYPE" => record.boots = is_boot_type(value),
            "MD_UUID" => record.md_uuid = plain_uuid(value),
            _ => {}
        }
    }
    record.wwid = wwn_long.or(wwn);
    record.serial = record.serial.or(serial_long);
    record
}

/// Partition types that firmware or a boot loader reads, mounted or not: in GPT the EFI system
/// partition, the BIOS boot partition, the extended boot loader partition and PReP; in MBR the
/// first and the last.
fn is_boot_type(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
            | "21686148-6449-6e6f-744e-656564454649"
            | "bc13c2ff-59e6-4262-a352-b275fd6f7172"
            | "9e1a2d38-c612-4316-aa26-8b49521e5a8b"
            | "0xef"
            | "0x41"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_of_other_families_are_not_probed() {
        for name in ["sda1", "nvme0n1p3", "dm-4", "md127", "vda"] {
            assert!(probes(name), "{name}");
        }
        for name in ["rbd0", "drbd1", "emcpowera", "nullb0", "rnbd0", "ram0"] {
            assert!(!probes(name), "{name}");
        }
    }

    #[test]
    fn a_record_is_read() {
        let record = parse(
            "S:disk/by-id/x\nW:1\nI:12345\nE:ID_FS_TYPE=LVM2_member\nE:ID_PART_ENTRY_UUID=ab-01\n\
             E:ID_WWN=0x5000\nE:ID_WWN_WITH_EXTENSION=0x50001\nE:ID_SERIAL=Vendor_S1\n\
             E:ID_SERIAL_SHORT=S1\nE:broken\nG:systemd",
        );
        assert_eq!(record.signature, Signature::LvmMember);
        assert_eq!(record.partuuid.as_deref(), Some("ab-01"));
        assert_eq!(record.wwid.as_deref(), Some("0x50001"));
        assert_eq!(record.serial.as_deref(), Some("S1"));
    }
}
