//! What the medium holds, read past the page cache.
//!
//! Commands that are passed through to a drive change the medium behind the page cache's back, so
//! a buffered read would show old bytes: everything here is read with `O_DIRECT`, after dirty pages
//! were written out.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::disk::Disk;

/// Unit of reading, and of reporting.
pub const CHUNK: usize = 64 << 10;

/// Memory aligned for `O_DIRECT` on any block size up to 4096 bytes.
pub struct Aligned {
    room: Vec<u8>,
    offset: usize,
    length: usize,
}

impl Aligned {
    /// Zeroed memory of `length` bytes.
    pub fn new(length: usize) -> Self {
        let room = vec![0_u8; length + 4096];
        let offset = room.as_ptr().align_offset(4096);
        Self {
            room,
            offset,
            length,
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.room[self.offset..self.offset + self.length]
    }

    /// The bytes, for writing.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.room[self.offset..self.offset + self.length]
    }
}

/// Opens a device for reading past the page cache, its dirty pages written out first.
pub fn open_direct(node: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT | libc::O_CLOEXEC)
        .open(node)
        .with_context(|| format!("cannot open {} for reading", node.display()))?;
    file.sync_all()
        .with_context(|| format!("cannot write out {}", node.display()))?;
    Ok(file)
}

/// Byte ranges of a device that an act is likely to touch.
#[derive(Clone, Debug)]
pub struct Snapshot {
    node: PathBuf,
    ranges: Vec<(u64, Vec<u8>)>,
}

impl Snapshot {
    /// Both ends (2 MiB and 1 MiB) and 48 places in between.
    pub fn take(disk: &Disk) -> Result<Self> {
        let size = disk.size()?;
        let (head, tail) = (2 << 20, 1 << 20);
        if size < 4 << 20 {
            return Self::of(&disk.node, &[(0, size)]);
        }
        let mut ranges = vec![(0, head), (size - tail, tail)];
        let step = (size - head - tail) / 48;
        ranges.extend((0..48).map(|at| ((head + at * step) & !0xFFF, 4096)));
        Self::of(&disk.node, &ranges)
    }

    /// The stated `(offset, length)` ranges; multiples of 4096 bytes, except at the end of the
    /// device.
    pub fn of(node: &Path, ranges: &[(u64, u64)]) -> Result<Self> {
        let file = open_direct(node)?;
        let mut taken = Vec::with_capacity(ranges.len());
        for &(offset, length) in ranges {
            let length = usize::try_from(length).context("range too long")?;
            let mut buffer = Aligned::new(length);
            file.read_exact_at(buffer.bytes_mut(), offset)
                .with_context(|| format!("cannot read {} at {offset}", node.display()))?;
            taken.push((offset, buffer.bytes().to_vec()));
        }
        Ok(Self {
            node: node.to_owned(),
            ranges: taken,
        })
    }

    /// How many bytes differ on the medium now, and where the first one is.
    pub fn changed(&self) -> Result<(u64, Option<u64>)> {
        let wanted: Vec<_> = self
            .ranges
            .iter()
            .map(|(offset, bytes)| (*offset, bytes.len() as u64))
            .collect();
        let now = Self::of(&self.node, &wanted)?;
        let (mut count, mut first) = (0, None);
        for ((offset, before), (_, after)) in self.ranges.iter().zip(&now.ranges) {
            if before == after {
                continue;
            }
            for (at, (a, b)) in before.iter().zip(after).enumerate() {
                if a != b {
                    count += 1;
                    first.get_or_insert(offset + at as u64);
                }
            }
        }
        Ok((count, first))
    }

    /// Fails unless every byte is as it was.
    pub fn unchanged(&self) -> Result<()> {
        let (count, first) = self.changed()?;
        if count != 0 {
            bail!(
                "{count} bytes CHANGED on {}, the first at offset {}",
                self.node.display(),
                first.unwrap_or_default()
            );
        }
        Ok(())
    }
}

/// A checksum of every MiB of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums(Vec<u64>);

impl Sums {
    /// Reads the whole device.
    pub fn take(disk: &Disk) -> Result<Self> {
        let (file, size) = (open_direct(&disk.node)?, disk.size()?);
        let mut buffer = Aligned::new(1 << 20);
        let mut sums = Vec::new();
        let mut at = 0;
        while at < size {
            let length = usize::try_from(size - at)
                .unwrap_or(usize::MAX)
                .min(1 << 20);
            let bytes = &mut buffer.bytes_mut()[..length];
            file.read_exact_at(bytes, at)
                .with_context(|| format!("cannot read {} at {at}", disk.path()))?;
            sums.push(checksum(bytes));
            at += length as u64;
        }
        Ok(Self(sums))
    }

    /// The MiBs that differ.
    pub fn differing(&self, other: &Self) -> Vec<usize> {
        let longer = self.0.len().max(other.0.len());
        (0..longer)
            .filter(|&at| self.0.get(at) != other.0.get(at))
            .collect()
    }
}

/// Not cryptographic: guards against accident. Four lanes, since emulation is slow.
fn checksum(bytes: &[u8]) -> u64 {
    let mut lanes = [0x9E37_79B9_7F4A_7C15_u64, 1, 2, 3];
    let mix = |lanes: &mut [u64; 4], row: &[u8; 32]| {
        let (words, _) = row.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = (*lane ^ u64::from_le_bytes(*word))
                .wrapping_mul(0x0000_0100_0000_01B3)
                .rotate_left(23);
        }
    };
    let (rows, rest) = bytes.as_chunks::<32>();
    for row in rows {
        mix(&mut lanes, row);
    }
    let mut last = [0; 32];
    last[..rest.len()].copy_from_slice(rest);
    mix(&mut lanes, &last);
    lanes.iter().fold(bytes.len() as u64, |sum, lane| {
        sum.wrapping_mul(31).wrapping_add(*lane)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_bit_changes_the_sum() {
        let mut bytes = vec![0_u8; 4096];
        let before = checksum(&bytes);
        for at in [0, 8, 16, 24, 4095] {
            bytes[at] ^= 1;
            assert_ne!(checksum(&bytes), before, "byte {at}");
            bytes[at] ^= 1;
        }
        assert_eq!(checksum(&bytes), before);
        assert_ne!(checksum(&bytes[..4095]), before);
    }

    #[test]
    fn differing_names_the_mebibyte() {
        let (a, b) = (Sums(vec![1, 2, 3]), Sums(vec![1, 9, 3, 4]));
        assert_eq!(a.differing(&b), [1, 3]);
    }
}
