//! Puts a free disk back as it was, between the control runs of destructive acts.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::disk::Disk;
use super::shell;
use super::snapshot::{Aligned, CHUNK, Snapshot, open_direct};

/// The parts of a disk that are not zero.
pub struct Image {
    disk: Disk,
    chunks: Vec<(u64, Vec<u8>)>,
    partitions: Vec<PathBuf>,
    /// Where the kernel has the partitions.
    places: String,
}

impl Image {
    /// Reads the disk.
    pub fn take(disk: &Disk) -> Result<Self> {
        let (file, size) = (open_direct(&disk.node)?, disk.size()?);
        let mut buffer = Aligned::new(CHUNK);
        let mut chunks = Vec::new();
        let mut at = 0;
        while at < size {
            let length = usize::try_from(size - at).unwrap_or(CHUNK).min(CHUNK);
            let bytes = &mut buffer.bytes_mut()[..length];
            file.read_exact_at(bytes, at)
                .with_context(|| format!("cannot read {} at {at}", disk.path()))?;
            if bytes.iter().any(|byte| *byte != 0) {
                chunks.push((at, bytes.to_vec()));
            }
            at += length as u64;
        }
        let partitions = (1..16)
            .map(|number| disk.partition_path(number))
            .filter(|path| path.exists())
            .collect();
        Ok(Self {
            disk: disk.clone(),
            chunks,
            partitions,
            places: places(disk)?,
        })
    }

    /// Writes those parts where they were, and has the kernel read the partition table again if it
    /// has another one.
    /// What an act wrote into places that were zero stays: no act looks there.
    pub fn restore(&self) -> Result<()> {
        let file = self.open()?;
        for (offset, bytes) in &self.chunks {
            file.write_all_at(bytes, *offset)
                .with_context(|| format!("cannot restore {} at {offset}", self.disk.path()))?;
        }
        file.sync_all()
            .with_context(|| format!("cannot write out {}", self.disk.path()))?;
        drop(file);
        if places(&self.disk)? != self.places {
            shell::Script::new(
                "udevadm settle; blockdev --rereadpt $D || partx -u $D; udevadm settle",
            )
            .with("D", self.disk.path())
            .must()?;
            for path in &self.partitions {
                Disk::wait(path, true)?;
            }
        }
        Ok(())
    }

    /// The parts that are not zero as they are now, for comparison: where tools look and write.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let ranges: Vec<_> = self
            .chunks
            .iter()
            .map(|(offset, bytes)| (*offset, bytes.len() as u64))
            .collect();
        Snapshot::of(&self.disk.node, &ranges)
    }

    fn open(&self) -> Result<File> {
        OpenOptions::new()
            .write(true)
            .open(&self.disk.node)
            .with_context(|| format!("cannot open {} for writing", self.disk.path()))
    }
}

/// Begin and length of each partition, as the kernel has them.
fn places(disk: &Disk) -> Result<String> {
    shell::Script::new("grep -H . /sys/block/$N/$N*/start /sys/block/$N/$N*/size || true")
        .with("N", &disk.name)
        .must()
}

/// Fills both ends and the middle of a free device with bytes that no tool writes, so that any act
/// shows.
pub fn fill(disk: &Disk) -> Result<()> {
    let size = disk.size()?;
    let file = OpenOptions::new()
        .write(true)
        .open(&disk.node)
        .with_context(|| format!("cannot open {} for writing", disk.path()))?;
    let pattern: Vec<u8> = (0..1_u32 << 20).map(|at| 0x61 + (at % 23) as u8).collect();
    for offset in [
        0,
        1 << 20,
        (size / 2) & !0xFFFFF,
        size.saturating_sub(1 << 20) & !0xFFF,
    ] {
        let length = usize::try_from(size - offset)
            .unwrap_or(pattern.len())
            .min(pattern.len());
        file.write_all_at(&pattern[..length], offset)
            .with_context(|| format!("cannot fill {} at {offset}", disk.path()))?;
    }
    file.sync_all()
        .with_context(|| format!("cannot write out {}", disk.path()))
}
