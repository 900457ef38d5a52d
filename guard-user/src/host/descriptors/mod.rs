//! Who has a device open for writing, whatever holds it: descriptors of processes and of threads
//! with a table of their own, shared mappings whose descriptor may be closed, descriptors that wait
//! in a socket, files that are registered with an io_uring.
//!
//! What `/proc` shows of the last two does not always tell which file it is; such a holder is
//! reported without a device. Whoever asks must take it for any.

mod text;

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use guard_abi::{DeviceKey, dev};
use rustix::fs::{AtFlags, CWD, FileType, StatxFlags, statx};

use crate::topology::Roots;

/// How a process holds a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// By a descriptor.
    Descriptor(u32),
    /// By a shared mapping that is writable; its first address.
    Mapping(u64),
    /// By one that is not, and can be made so.
    ReadMapping(u64),
    /// By a descriptor that waits in the queue of a unix socket.
    InFlight(u32),
    /// By a place among the files registered with an io_uring, whose own descriptor may be closed.
    Registered(Option<u32>, Option<u32>),
}

/// One way in which a process holds a device open for writing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// The thread whose table it is in; the process itself where that is all threads' table.
    pub tid: u32,
    /// How.
    pub way: Way,
    /// What; `None` where `/proc` does not tell, so that it may be any device.
    pub device: Option<DeviceKey>,
}

/// Answers for the search.
pub trait Asked {
    /// Whether this process is to be looked at.
    fn is_searched(&self, pid: u32) -> bool;
    /// Whether it matters that this process can write this device.
    fn matters(&self, pid: u32, device: DeviceKey) -> bool;
    /// The device whose node has this base name.
    fn named(&self, name: &str) -> Option<DeviceKey>;
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Every holder that matters.
    pub holders: Vec<Holder>,
    /// A process that could not be looked at, and why.
    pub unreadable: Option<(u32, io::Error)>,
}

/// Looks at every process that it is told to. A process that ends meanwhile holds nothing.
pub fn find(roots: &Roots, asked: &dyn Asked) -> Found {
    let mut search = Search {
        asked,
        pid: 0,
        dir: PathBuf::new(),
        rings: false,
        found: Found::default(),
    };
    let entries = match fs::read_dir(&roots.proc) {
        Ok(entries) => entries,
        Err(error) => {
            search.found.unreadable = Some((0, error));
            return search.found;
        }
    };
    for pid in entries.flatten().filter_map(|entry| number(&entry)) {
        if !asked.is_searched(pid) {
            continue;
        }
        search.pid = pid;
        search.dir = roots.proc.join(pid.to_string());
        if let Err(error) = search.process()
            && !is_gone(&error)
        {
            search.found.unreadable.get_or_insert((pid, error));
        }
    }
    search.found
}

fn number(entry: &fs::DirEntry) -> Option<u32> {
    entry.file_name().to_str()?.parse().ok()
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

struct Search<'a> {
    asked: &'a dyn Asked,
    pid: u32,
    dir: PathBuf,
    /// The process has a descriptor of an io_uring.
    rings: bool,
    found: Found,
}

impl Search<'_> {
    fn process(&mut self) -> io::Result<()> {
        self.rings = false;
        self.table(self.pid, &self.dir.join("fd"))?;
        for thread in fs::read_dir(self.dir.join("task"))?.flatten() {
            if let Some(tid) = number(&thread).filter(|tid| *tid != self.pid)
                && !same_table(self.pid, tid)
            {
                match self.table(tid, &thread.path().join("fd")) {
                    Err(error) if !is_gone(&error) => return Err(error),
                    _ => {}
                }
            }
        }
        self.mappings()
    }

    fn add(&mut self, tid: u32, way: Way, device: Option<DeviceKey>) {
        self.found.holders.push(Holder {
            pid: self.pid,
            tid,
            way,
            device,
        });
    }

    /// Looks at one table of descriptors.
    fn table(&mut self, tid: u32, table: &Path) -> io::Result<()> {
        for entry in fs::read_dir(table)? {
            let entry = entry?;
            if let Some(fd) = number(&entry) {
                match self.descriptor(tid, fd, &entry.path()) {
                    Err(error) if !is_gone(&error) => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn descriptor(&mut self, tid: u32, fd: u32, path: &Path) -> io::Result<()> {
        if !is_open_for_writing(path)? {
            return Ok(());
        }
        let target = fs::read_link(path)?;
        let target = target.as_os_str().as_bytes();
        if target.starts_with(b"socket:[") {
            if text::in_flight(&fs::read_to_string(info_of(path))?) > 0
                && !(self.pid == 1 && self.is_nameless_pair(target))
            {
                self.add(tid, Way::InFlight(fd), None);
            }
        } else if target == b"anon_inode:[io_uring]" {
            self.rings = true;
            self.ring(tid, fd, &fs::read_to_string(info_of(path))?);
        } else if target.starts_with(b"/")
            && let Some(device) = device_behind(path)?
            && self.asked.matters(self.pid, device)
        {
            self.add(tid, Way::Descriptor(fd), Some(device));
        }
        Ok(())
    }

    /// Process 1 keeps things in the queues of datagram socket pairs of its own: the network
    /// namespaces of its units and the locks of their users (systemd, src/core/namespace.c
    /// `setup_shareable_ns`, src/core/dynamic-user.c). Nobody else has an end, and they stay for as
    /// long as the unit does.
    fn is_nameless_pair(&self, target: &[u8]) -> bool {
        let table = fs::read_to_string(self.dir.join("net/unix")).unwrap_or_default();
        let inode = String::from_utf8_lossy(target);
        let inode = inode.trim_start_matches("socket:[").trim_end_matches(']');
        text::is_nameless_datagram(&table, inode)
    }

    fn ring(&mut self, tid: u32, fd: u32, fdinfo: &str) {
        let (places, named) = text::registered(fdinfo);
        if places > 0 && named.is_empty() {
            self.add(tid, Way::Registered(Some(fd), None), None);
        }
        for (slot, name) in named {
            if name == "<none>" {
                continue;
            }
            match self.device_named(&name) {
                Named::Other => {}
                Named::Unknown => self.add(tid, Way::Registered(Some(fd), Some(slot)), None),
                Named::Device(device) => {
                    if self.asked.matters(self.pid, device) {
                        self.add(tid, Way::Registered(Some(fd), Some(slot)), Some(device));
                    }
                }
            }
        }
    }

    /// The device that a registered file is: a path in the process's own view, or, on older
    /// kernels, the last component alone.
    fn device_named(&self, name: &str) -> Named {
        let base = name.rsplit('/').next().unwrap_or(name);
        if let Some(device) = self.asked.named(base) {
            return Named::Device(device);
        }
        if !name.starts_with('/') {
            return Named::Unknown;
        }
        match device_behind(&super::exe::inside(&self.dir.join("root"), Path::new(name))) {
            Ok(Some(device)) => Named::Device(device),
            Ok(None) => Named::Other,
            Err(_) => Named::Unknown,
        }
    }

    fn mappings(&mut self) -> io::Result<()> {
        let maps = BufReader::new(fs::File::open(self.dir.join("maps"))?);
        let mut ring_is_mapped = false;
        for line in maps.split(b'\n') {
            let line = line?;
            let Some(mapping) = text::shared_mapping(&String::from_utf8_lossy(&line)) else {
                continue;
            };
            ring_is_mapped |= mapping.path == "anon_inode:[io_uring]";
            if !mapping.path.starts_with('/') {
                continue;
            }
            let file = self
                .dir
                .join(format!("map_files/{:x}-{:x}", mapping.start, mapping.end));
            let device = match is_open_for_writing(&file) {
                Ok(true) => device_behind(&file),
                Ok(false) => Ok(None),
                Err(error) => Err(error),
            };
            match device {
                Ok(Some(device)) if self.asked.matters(self.pid, device) => {
                    let way = if mapping.writable {
                        Way::Mapping
                    } else {
                        Way::ReadMapping
                    };
                    self.add(self.pid, way(mapping.start), Some(device));
                }
                Err(error) if !is_gone(&error) => return Err(error),
                _ => {}
            }
        }
        if ring_is_mapped && !self.rings {
            // Its descriptor is registered and closed (`IORING_REGISTER_RING_FDS`).
            self.add(self.pid, Way::Registered(None, None), None);
        }
        Ok(())
    }
}

enum Named {
    Device(DeviceKey),
    /// Not a device.
    Other,
    /// Cannot be told.
    Unknown,
}

/// The mode of a link in `fd` and `map_files` is the file's access mode (fs/proc/fd.c
/// `tid_fd_update_inode`, fs/proc/base.c `proc_map_files_instantiate`).
fn is_open_for_writing(link: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(link)?.permissions().mode() & 0o200 != 0)
}

/// The block or character device that a link leads to, whatever its name and namespace. Asks no
/// server of a network file system: one that is away would stop the search.
fn device_behind(link: &Path) -> io::Result<Option<DeviceKey>> {
    let stat = statx(CWD, link, AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE)?;
    let number = dev::make(stat.stx_rdev_major, stat.stx_rdev_minor);
    Ok(match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
        FileType::BlockDevice => Some(DeviceKey::block(number)),
        FileType::CharacterDevice => Some(DeviceKey::char(number)),
        _ => None,
    })
}

/// `/proc/PID/fd/N` → `/proc/PID/fdinfo/N`.
fn info_of(descriptor: &Path) -> PathBuf {
    let name = descriptor.file_name().unwrap_or_default();
    let owner = descriptor.parent().and_then(Path::parent);
    owner.unwrap_or(descriptor).join("fdinfo").join(name)
}

/// Whether two threads share their table of descriptors (kcmp(2)). Where that cannot be found out,
/// both tables are looked at.
fn same_table(pid: u32, tid: u32) -> bool {
    /// `KCMP_FILES`, include/uapi/linux/kcmp.h.
    const KCMP_FILES: libc::c_long = 2;
    // SAFETY: kcmp(2) takes numbers alone for this kind of comparison.
    let order = unsafe {
        libc::syscall(
            libc::SYS_kcmp,
            libc::c_long::from(pid),
            libc::c_long::from(tid),
            KCMP_FILES,
            0 as libc::c_long,
            0 as libc::c_long,
        )
    };
    order == 0
}

#[cfg(test)]
mod tests;
