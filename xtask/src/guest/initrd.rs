//! The initramfs: an uncompressed cpio archive (`newc` format, kernel
//! Documentation/driver-api/early-userspace/buffer-format.rst) with a static busybox and the
//! drivers of the root disk. Each run appends an archive of its own with the files for the guest.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{cmd, paths};

/// Drivers wanted before the root disk is mounted. Those built into the kernel are skipped.
const DRIVERS: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "ext4",
    "nvme",
    "virtio_scsi",
    "sd_mod",
    "virtio_console",
];

/// What ext4 asks modprobe for, which is not there yet: `ext4_fill_super` (fs/ext4/super.c) wanted
/// it by name until 6.13; since then it calls a library.
const CHECKSUM: &str = "crc32c_generic";

/// An archive being written.
#[derive(Default)]
pub struct Cpio {
    bytes: Vec<u8>,
    inode: u32,
}

impl Cpio {
    /// Adds a directory. Parents come first.
    pub fn dir(&mut self, path: &str) {
        self.entry(path, 0o040_755, &[]);
    }

    /// Adds a file with its permission bits.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entry(path, 0o100_000 | (mode & 0o7777), content);
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, to: &str) {
        self.entry(path, 0o120_777, to.as_bytes());
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        // The kernel looks for the next archive's magic after zero padding.
        while !self.bytes.len().is_multiple_of(512) {
            self.bytes.push(0);
        }
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.inode += 1;
        let fields = [
            self.inode,
            mode,
            0,
            0,
            1,
            0,
            content.len() as u32,
            0,
            0,
            0,
            0,
            path.len() as u32 + 1,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

/// The archive that all guests of one kernel share. `tree` is the unpacked root file system,
/// `modules` the directory of the kernel's modules in it.
pub fn base(tree: &Path, modules: &Path) -> Result<Vec<u8>> {
    let mut cpio = Cpio::default();
    for dir in ["bin", "dev", "proc", "sys", "newroot", "modules", "payload"] {
        cpio.dir(dir);
    }
    let busybox = tree.join("usr/bin/busybox");
    let bytes = fs::read(&busybox)
        .or_else(|_| fs::read(tree.join("bin/busybox")))
        .with_context(|| format!("cannot read {}", busybox.display()))?;
    cpio.file("bin/busybox", 0o755, &bytes);
    let init = paths::guest_assets().join("initramfs/init");
    let script = fs::read(&init).with_context(|| format!("cannot read {}", init.display()))?;
    cpio.file("init", 0o755, &script);

    let index = fs::read_to_string(modules.join("modules.dep")).context("reading modules.dep")?;
    let builtin = fs::read_to_string(modules.join("modules.builtin")).unwrap_or_default();
    let mut order = String::new();
    let checksum = load_order(&index, &builtin, &[CHECKSUM]).unwrap_or_default();
    let drivers = load_order(&index, &builtin, DRIVERS)?;
    let rest = drivers.iter().filter(|path| !checksum.contains(path));
    for path in checksum.iter().chain(rest) {
        let name = module_name(path) + ".ko";
        cpio.file(
            &format!("modules/{name}"),
            0o644,
            &module(&modules.join(path))?,
        );
        order.push_str(&name);
        order.push('\n');
    }
    cpio.file("modules/order", 0o644, order.as_bytes());
    Ok(cpio.finish())
}

/// The files of modules.dep to load, dependencies first. A line is `file: dependency ...`, its
/// dependencies listed so that the last is loaded first (depmod(8)).
fn load_order<'a>(index: &'a str, builtin: &str, wanted: &[&str]) -> Result<Vec<&'a str>> {
    let lines: BTreeMap<String, (&str, &str)> = index
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(file, needs)| (module_name(file), (file, needs)))
        .collect();
    let mut order = Vec::new();
    for name in wanted {
        if let Some((file, needs)) = lines.get(*name) {
            for path in needs.split_whitespace().rev().chain([*file]) {
                if !order.contains(&path) {
                    order.push(path);
                }
            }
        } else if !builtin.lines().any(|line| module_name(line) == *name) {
            bail!("the guest kernel has no driver {name}");
        }
    }
    Ok(order)
}

/// The name the kernel gives a module file: no directory, no ending, dashes as underscores.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

/// A module's bytes, uncompressed: busybox hands them to the kernel as they are.
fn module(path: &Path) -> Result<Vec<u8>> {
    let name = path.to_string_lossy();
    let tool = match name.rsplit('.').next() {
        Some("ko") => return fs::read(path).with_context(|| format!("cannot read {name}")),
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => bail!("{name}: not a kernel module that can be unpacked"),
    };
    let output = Command::new(cmd::which(tool).with_context(|| format!("{tool} is missing"))?)
        .arg("-dc")
        .arg(path)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {tool}"))?;
    if !output.status.success() {
        bail!("unpacking {name}: {tool} ended with {}", output.status);
    }
    Ok(output.stdout)
}

/// The files that one run brings into its guest, by their paths there.
#[derive(Default)]
pub struct Payload {
    files: BTreeMap<String, (u32, Vec<u8>)>,
    links: BTreeMap<String, String>,
}

impl Payload {
    /// Adds a file. `path` is absolute in the guest; directories are made as needed.
    pub fn file(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) {
        self.files.insert(
            path.trim_start_matches('/').to_owned(),
            (mode, content.into()),
        );
    }

    /// Adds a copy of a file of this machine, with its permission bits.
    pub fn copy(&mut self, path: &str, from: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        let meta = fs::metadata(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.file(path, meta.permissions().mode(), content);
        Ok(())
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, to: &str) {
        self.links
            .insert(path.trim_start_matches('/').to_owned(), to.to_owned());
    }

    /// The archive to put behind the base archive.
    pub fn archive(&self) -> Vec<u8> {
        let mut cpio = Cpio::default();
        let mut made: Vec<String> = Vec::new();
        for path in self.files.keys().chain(self.links.keys()) {
            let parents: Vec<_> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
            for parent in parents {
                if !made.iter().any(|dir| dir == parent) {
                    cpio.dir(&format!("payload/{parent}"));
                    made.push(parent.to_owned());
                }
            }
        }
        for (path, (mode, content)) in &self.files {
            cpio.file(&format!("payload/{path}"), *mode, content);
        }
        for (path, to) in &self.links {
            cpio.symlink(&format!("payload/{path}"), to);
        }
        cpio.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_110_bytes_and_parts_are_aligned() {
        let mut cpio = Cpio::default();
        cpio.file("abc", 0o755, b"hello");
        // 110 + "abc\0" = 114, padded to 116; 5 bytes of content, padded to 124.
        assert_eq!(cpio.bytes.len(), 124);
        assert_eq!(&cpio.bytes[14..22], b"000081ed");
        assert_eq!(&cpio.bytes[54..62], b"00000005");
        assert_eq!(&cpio.bytes[116..121], b"hello");
        assert!(cpio.finish().len().is_multiple_of(512));
    }

    #[test]
    fn dependencies_load_before_what_needs_them() {
        let index = "kernel/a/virtio_blk.ko.xz: kernel/v/virtio_ring.ko.xz kernel/v/virtio.ko.xz\n\
            kernel/v/virtio.ko.xz:\nkernel/v/virtio-pci.ko.xz: kernel/v/virtio.ko.xz\n";
        let order = load_order(
            index,
            "kernel/fs/ext4/ext4.ko\n",
            &["virtio_pci", "virtio_blk", "ext4"],
        );
        assert_eq!(
            order.unwrap(),
            [
                "kernel/v/virtio.ko.xz",
                "kernel/v/virtio-pci.ko.xz",
                "kernel/v/virtio_ring.ko.xz",
                "kernel/a/virtio_blk.ko.xz"
            ]
        );
        assert!(load_order(index, "", &["ext4"]).is_err());
    }

    #[test]
    fn payload_makes_directories_before_files() {
        let mut payload = Payload::default();
        payload.file("/usr/sbin/dbguard", 0o755, "x");
        let bytes = payload.archive();
        let find = |text: &str| {
            bytes
                .windows(text.len())
                .position(|window| window == text.as_bytes())
                .unwrap()
        };
        assert!(find("payload/usr\0") < find("payload/usr/sbin\0"));
        assert!(find("payload/usr/sbin\0") < find("payload/usr/sbin/dbguard\0"));
    }
}
