//! Small files: sysfs attributes, udev's database, links. One buffer, one system call each.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags, open, openat};

/// A sysfs attribute is at most a page; udev's records are longer. What does not fit is cut.
const LIMIT: usize = 16 * 1024;

/// Reads attributes into one buffer that is used again.
pub(super) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; LIMIT],
        }
    }

    /// The text of an attribute below an opened directory, without the newline at its end.
    /// `None` where there is none, where it cannot be read, or where it is not text: to the
    /// caller a device that vanishes and one that never had the attribute are the same.
    pub(super) fn text(&mut self, dir: &OwnedFd, name: &str) -> Option<&str> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(dir, name, flags, Mode::empty()).ok()?;
        self.fill(&file)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .map(str::trim_end)
    }

    /// A number in decimal.
    pub(super) fn number(&mut self, dir: &OwnedFd, name: &str) -> Option<u64> {
        self.text(dir, name)?.parse().ok()
    }

    /// Raw bytes of an attribute.
    pub(super) fn bytes(&mut self, dir: &OwnedFd, name: &str) -> Option<&[u8]> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(dir, name, flags, Mode::empty()).ok()?;
        self.fill(&file)
    }

    fn fill(&mut self, file: &OwnedFd) -> Option<&[u8]> {
        let mut length = 0;
        while length < self.buffer.len() {
            match rustix::io::read(file, &mut self.buffer[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
        }
        Some(&self.buffer[..length])
    }
}

/// Opens a directory for [`Reader`].
pub(super) fn open_dir(path: &Path) -> Option<OwnedFd> {
    open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()
}

/// Opens a directory below an opened one.
pub(super) fn open_dir_at(dir: &OwnedFd, name: &str) -> Option<OwnedFd> {
    openat(
        dir,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()
}

/// Names in a directory, in no order; `None` where it cannot be listed.
pub(super) fn list(dir: &OwnedFd) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir).ok()? {
        let entry = entry.ok()?;
        if let Ok(name) = entry.file_name().to_str()
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    }
    Some(names)
}

/// Names in a directory given by its path.
pub(super) fn list_path(path: &Path) -> Option<Vec<String>> {
    list(&open_dir(path)?)
}

/// dev_t in kernel form of the block device node at a path, through links.
pub(super) fn block_node(path: &Path) -> Option<u32> {
    let meta = std::fs::metadata(path).ok()?;
    meta.file_type()
        .is_block_device()
        .then(|| super::kernel_dev(meta.rdev()))
}

/// The last component of what a link points at.
pub(super) fn link_name(path: &Path) -> Option<String> {
    std::fs::read_link(path)
        .ok()?
        .file_name()?
        .to_str()
        .map(str::to_owned)
}
