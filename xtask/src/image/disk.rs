//! Disk images: GPT tables and file systems written into sparse files, nothing mounted.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cmd;

/// One mebibyte in bytes.
pub const MIB: u64 = 1 << 20;

/// A GPT partition to be made.
pub struct Partition {
    /// Length in mebibytes; `None` takes what is left (last partition only).
    pub mib: Option<u64>,
    /// GPT type, as sfdisk spells it.
    pub kind: &'static str,
    /// GPT partition name.
    pub name: &'static str,
}

/// Makes a sparse file of `mib` mebibytes; existing content is dropped.
pub fn sparse(path: &Path, mib: u64) -> Result<()> {
    File::create(path)
        .and_then(|file| file.set_len(mib * MIB))
        .with_context(|| format!("cannot make the disk image {}", path.display()))
}

/// Writes a GPT with `parts` one after another from the first mebibyte on.
pub fn partition(path: &Path, id: &str, parts: &[Partition]) -> Result<()> {
    let mut script = format!("label: gpt\nlabel-id: {id}\n");
    for part in parts {
        let size = part
            .mib
            .map(|mib| format!("size={mib}MiB, "))
            .unwrap_or_default();
        // Infallible: a String takes every write.
        let _ = writeln!(script, "{size}type={}, name={}", part.kind, part.name);
    }
    let sfdisk = cmd::which("sfdisk").context("sfdisk is missing: apt-get install fdisk")?;
    let mut child = Command::new(sfdisk)
        .args(["--quiet", "--no-reread", "--no-tell-kernel"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start sfdisk")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(script.as_bytes())
            .context("cannot give sfdisk its script")?;
    }
    let status = child.wait().context("cannot wait for sfdisk")?;
    if !status.success() {
        bail!(
            "partitioning {}: sfdisk ended with {status}",
            path.display()
        );
    }
    Ok(())
}

/// Where an ext4 file system goes and what it holds.
pub struct Ext4<'a> {
    /// The disk image.
    pub image: &'a Path,
    /// Where the partition begins, in mebibytes.
    pub start_mib: u64,
    /// Its length in mebibytes.
    pub mib: u64,
    /// The file system's label.
    pub label: &'a str,
    /// Owner of the root directory.
    pub owner: (u32, u32),
    /// The directory whose content is copied in.
    pub content: &'a Path,
}

impl Ext4<'_> {
    /// Makes the file system, complete: a guest has no inode tables left to initialise.
    pub fn make(&self, log: &Path) -> Result<()> {
        let (uid, gid) = self.owner;
        let options = format!(
            "offset={},root_owner={uid}:{gid},lazy_itable_init=0,lazy_journal_init=0",
            self.start_mib * MIB
        );
        let mke2fs =
            cmd::which("mke2fs").context("mke2fs is missing: apt-get install e2fsprogs")?;
        cmd::logged(
            Command::new(mke2fs)
                .args([
                    "-q", "-F", "-t", "ext4", "-b", "4096", "-E", &options, "-L", self.label,
                ])
                .arg("-d")
                .arg(self.content)
                .arg(self.image)
                .arg(format!("{}M", self.mib)),
            "making a file system",
            log,
        )
    }
}

/// Makes a FAT file system (an EFI system partition) at `start_mib` with what is in `content`.
pub fn make_fat(image: &Path, start_mib: u64, mib: u64, content: &Path, log: &Path) -> Result<()> {
    let mkfs =
        cmd::which("mkfs.vfat").context("mkfs.vfat is missing: apt-get install dosfstools")?;
    cmd::logged(
        Command::new(mkfs)
            .arg(format!("--offset={}", start_mib * MIB / 512))
            .args(["-F", "16", "-n", "ESP"])
            .arg(image)
            .arg(format!("{}", mib * 1024)),
        "making an EFI system partition",
        log,
    )?;
    let mcopy = cmd::which("mcopy").context("mcopy is missing: apt-get install mtools")?;
    let mut entries = Vec::new();
    for entry in fs::read_dir(content).context("listing the EFI system partition's files")? {
        let entry = entry.context("listing the EFI system partition's files")?;
        entries.push(entry.path());
    }
    entries.sort();
    cmd::logged(
        Command::new(mcopy)
            .args(["-s", "-Q", "-i"])
            .arg(format!("{}@@{}M", image.display(), start_mib))
            .args(&entries)
            .arg("::/"),
        "filling an EFI system partition",
        log,
    )
}

/// Copies a directory tree as `cp -a` does: owners, modes, links and times stay.
pub fn copy_tree(from: &Path, to: &Path, log: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    cmd::logged(
        Command::new("cp")
            .args(["-a", "--no-preserve=context"])
            .arg(from.join("."))
            .arg(to),
        "copying files into a guest image",
        log,
    )
}
