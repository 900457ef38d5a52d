//! The label of an LVM physical volume: which volume group it belongs to.
//!
//! Layout: lib/format_text/layout.h and lib/label/label.h of LVM2. Only what is needed to find the
//! group's name and UUID is read; whatever does not fit is "not known", and that protects.

use std::path::Path;

use super::labels::{HEAD, read_at};

/// `struct label_header`: id, sector, crc, offset of the body, type.
const LABEL: &[u8; 8] = b"LABELONE";
const LABEL_TYPE: &[u8; 8] = b"LVM2 001";
/// `FMTT_MAGIC` of `struct mda_header`.
const MDA_MAGIC: &[u8; 16] = b" LVM2 x[5A%r0N*>";
/// Enough of the metadata text for `name { id = "…"`.
const TEXT: usize = 512;

/// What a physical volume says about its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    /// The group's UUID, without dashes.
    Group(String),
    /// A physical volume of no group.
    Orphan,
    /// Could not be read or understood.
    Unknown,
}

/// Reads the label and the head of the metadata of a device.
pub(super) fn read(node: &Path) -> Membership {
    let Some(head) = read_at(node, 0, HEAD) else {
        return Membership::Unknown;
    };
    // A volume without a metadata area of its own may belong to any group.
    let Some(offset) = metadata_area(&head) else {
        return Membership::Unknown;
    };
    let Some(header) = read_at(node, offset, 512) else {
        return Membership::Unknown;
    };
    match text_offset(&header) {
        None => Membership::Unknown,
        Some(0) => Membership::Orphan,
        Some(text_at) => offset
            .checked_add(text_at)
            .and_then(|at| read_at(node, at, TEXT))
            .and_then(|text| group_uuid(&String::from_utf8_lossy(&text)))
            .map_or(Membership::Unknown, Membership::Group),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(
        bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(
        bytes.get(at..at.checked_add(8)?)?.try_into().ok()?,
    ))
}

/// Offset of the first metadata area. `None`: no label, or a label without an area.
fn metadata_area(head: &[u8]) -> Option<u64> {
    let label = (0..4).map(|sector| sector * 512).find(|at| {
        head.get(*at..at + 8) == Some(LABEL) && head.get(at + 24..at + 32) == Some(LABEL_TYPE)
    })?;
    let body = label + u32_at(head, label + 20)? as usize;
    // struct pv_header: uuid[32], device size, then (offset, size) pairs: data areas up to a pair
    // of zeros, metadata areas up to another.
    let mut at = body + 40;
    while u64_at(head, at)? != 0 {
        at += 16;
    }
    let first = u64_at(head, at + 16)?;
    (first != 0).then_some(first)
}

/// Offset of the current metadata text in its area; 0 where there is none.
fn text_offset(header: &[u8]) -> Option<u64> {
    // struct mda_header: checksum, magic[16], version, start, size, then struct raw_locn.
    if header.get(4..20) != Some(MDA_MAGIC) {
        return None;
    }
    u64_at(header, 40)
}

/// `name {` newline `id = "AAAAAA-AAAA-…"`.
fn group_uuid(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('{')?;
    let (_, rest) = rest.split_once("id = \"")?;
    let (id, _) = rest.split_once('"')?;
    let plain: String = id.chars().filter(|c| *c != '-').collect();
    (plain.len() == 32 && plain.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "Zx2EWZ-aaaa-bbbb-cccc-dddd-eeee-ffffff";

    fn image(text: &str) -> Vec<u8> {
        let mut image = vec![0; 16 * 1024];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(512, LABEL);
        put(512 + 20, &32_u32.to_le_bytes());
        put(512 + 24, LABEL_TYPE);
        let body = 512 + 32;
        put(body + 40, &(1_u64 << 20).to_le_bytes());
        put(body + 40 + 32, &4096_u64.to_le_bytes());
        put(body + 40 + 40, &(8192_u64).to_le_bytes());
        put(4096 + 4, MDA_MAGIC);
        if !text.is_empty() {
            put(4096 + 40, &1024_u64.to_le_bytes());
            put(4096 + 1024, text.as_bytes());
        }
        image
    }

    fn read_image(image: &[u8]) -> Membership {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pv");
        std::fs::write(&path, image).unwrap();
        read(&path)
    }

    #[test]
    fn the_group_is_found() {
        let text = format!("vg0 {{\nid = \"{ID}\"\nseqno = 3\n");
        assert_eq!(
            read_image(&image(&text)),
            Membership::Group(ID.replace('-', ""))
        );
        assert_eq!(read_image(&image("")), Membership::Orphan);
    }

    #[test]
    fn whatever_does_not_fit_is_unknown() {
        let good = image(&format!("vg0 {{\nid = \"{ID}\"\n"));
        assert_eq!(read_image(&[]), Membership::Unknown);
        assert_eq!(read(Path::new("/nonexistent")), Membership::Unknown);
        assert_eq!(read_image(&image("garbage")), Membership::Unknown);
        for length in (0..good.len()).step_by(37) {
            let _never_panics = read_image(&good[..length]);
        }
        let mut wild = good;
        wild[512 + 20..512 + 24].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read_image(&wild), Membership::Unknown);
    }
}
