//! What a device contains, as udev's probe (libblkid) recorded it, or as its first bytes tell
//! where udev has no record.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Content that matters to the guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Signature {
    /// udev has no record, and nobody looked.
    #[default]
    Unknown,
    /// Looked at, nothing that matters here.
    Nothing,
    /// ext2, ext3 or ext4.
    Ext,
    /// FAT, as EFI system partitions have.
    Fat,
    /// XFS or another file system that its own mount repairs.
    OtherFs,
    /// Swap area.
    Swap,
    /// LUKS header.
    Luks,
    /// LVM physical volume.
    LvmMember,
    /// Superblock of an MD array.
    MdMember,
    /// Member of a ZFS pool.
    Zfs,
    /// Lower device of DRBD.
    Drbd,
    /// Member of a bcachefs file system.
    Bcachefs,
}

impl Signature {
    /// From `ID_FS_TYPE` (libblkid's names, libblkid/src/superblocks).
    pub(super) fn from_udev(fs_type: &str) -> Self {
        match fs_type {
            "ext2" | "ext3" | "ext4" | "ext4dev" | "jbd" => Self::Ext,
            "vfat" | "msdos" | "exfat" => Self::Fat,
            "swap" | "swsuspend" => Self::Swap,
            "crypto_LUKS" => Self::Luks,
            "LVM2_member" => Self::LvmMember,
            "linux_raid_member" | "isw_raid_member" | "ddf_raid_member" => Self::MdMember,
            "zfs_member" => Self::Zfs,
            "drbd" => Self::Drbd,
            "bcachefs" => Self::Bcachefs,
            "" => Self::Nothing,
            _ => Self::OtherFs,
        }
    }

    /// Reads the few places where these signatures lie (at most 8 KiB). `Unknown` where the device
    /// cannot be read: a drive that is asleep or failing must not stop a scan.
    pub(super) fn probe(node: &Path) -> Self {
        read_head(node).map_or(Self::Unknown, |head| Self::of_head(&head))
    }

    fn of_head(head: &[u8]) -> Self {
        let at =
            |offset: usize, magic: &[u8]| head.get(offset..offset + magic.len()) == Some(magic);
        if at(0, b"LUKS\xBA\xBE") {
            Self::Luks
        } else if (0..4).any(|sector| at(sector * 512, b"LABELONE")) {
            Self::LvmMember
        } else if at(4096 - 10, b"SWAPSPACE2") || at(4096 - 10, b"SWAP-SPACE") {
            Self::Swap
        } else if at(1024 + 56, b"\x53\xEF") {
            Self::Ext
        } else if at(4096, b"\xFC\x4E\x2B\xA9") || at(0, b"\xFC\x4E\x2B\xA9") {
            Self::MdMember
        } else if at(0, b"XFSB") {
            Self::OtherFs
        } else if at(510, b"\x55\xAA") && (at(54, b"FAT") || at(82, b"FAT32")) {
            Self::Fat
        } else {
            Self::Nothing
        }
    }
}

/// UUID of a LUKS header, without dashes: at the same place in both versions (cryptsetup,
/// lib/luks1/luks.h `struct luks_phdr`, lib/luks2/luks2.h `struct luks2_hdr_disk`).
pub(super) fn luks_uuid(node: &Path) -> Option<Box<str>> {
    const AT: u64 = 168;
    const LENGTH: usize = 40;
    let bytes = read_at(node, AT, LENGTH)?;
    let text = bytes.split(|byte| *byte == 0).next()?;
    let text = std::str::from_utf8(text).ok()?.replace('-', "");
    (!text.is_empty()).then(|| text.into())
}

/// Bytes from the start that [`Signature::probe`] and the LVM label need.
pub(super) const HEAD: usize = 8192;

pub(super) fn read_head(node: &Path) -> Option<Vec<u8>> {
    read_at(node, 0, HEAD)
}

/// Up to `length` bytes from `offset` of a block device or (in tests) an image file.
pub(super) fn read_at(node: &Path, offset: u64, length: usize) -> Option<Vec<u8>> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(node)
        .ok()?;
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    bytes.truncate(filled);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut head = vec![0; HEAD];
        for (offset, bytes) in parts {
            head[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        head
    }

    #[test]
    fn signatures_are_told_apart() {
        for (parts, expected) in [
            (head(&[(0, b"LUKS\xBA\xBE")]), Signature::Luks),
            (head(&[(512, b"LABELONE")]), Signature::LvmMember),
            (head(&[(4086, b"SWAPSPACE2")]), Signature::Swap),
            (head(&[(1080, b"\x53\xEF")]), Signature::Ext),
            (head(&[(4096, b"\xFC\x4E\x2B\xA9")]), Signature::MdMember),
            (head(&[(0, b"XFSB")]), Signature::OtherFs),
            (
                head(&[(510, b"\x55\xAA"), (82, b"FAT32   ")]),
                Signature::Fat,
            ),
            (head(&[(510, b"\x55\xAA")]), Signature::Nothing),
        ] {
            assert_eq!(Signature::of_head(&parts), expected);
        }
        assert_eq!(Signature::of_head(&[]), Signature::Nothing);
    }
}
