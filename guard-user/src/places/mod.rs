//! Files and directories that matter to the guard, told to the kernel half by their identity.
//!
//! Each kind of place has a module that finds them; [`find`] joins what they say. A place is a
//! directory or a file by inode, so that neither a bind mount nor another name leads around it.
//!
//! | module | finds |
//! |---|---|
//! | `boot` | what the machine boots from |
//! | `members` | what lies in directories that are places |
//! | `mounts` | where the data of running databases is mounted |
//! | `own` | the guard's own files, pins and control group |
//! | `sysfs` | knobs by which a protected device can be taken away |

mod boot;
mod members;
mod mounts;
mod own;
mod sysfs;

use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use guard_abi::{DeviceClass, FileId, FileSystem, PlaceEntry, PlaceKind, place_id, whole_id};

use crate::host::CriticalProcess;
use crate::topology::{Classification, Mount, MountTable, Roots, kernel_dev};

/// What [`find`] has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The content of the kernel's table. The first entry of an identity counts.
    pub entries: Vec<(FileId, PlaceEntry)>,
    /// Directories whose changes mean another answer: to be watched.
    pub watch: Vec<PathBuf>,
    /// Directories on disks whose files count: see [`Places::members`].
    directories: Vec<(FileId, PathBuf)>,
    /// What could not be found out, in words for a person.
    pub problems: Vec<String>,
}

impl Places {
    /// Adds a file or directory by its path. False where there is none.
    pub fn add(&mut self, mounts: &MountTable, path: &Path, kind: PlaceKind) -> bool {
        // Without links, or the mount table would say where a link lies.
        match std::fs::canonicalize(path) {
            Ok(real) => self.add_file(mounts, &real, kind),
            Err(_) => false,
        }
    }

    /// The same for what lies at the path itself, also where it is a symbolic link.
    pub fn add_itself(&mut self, mounts: &MountTable, path: &Path, kind: PlaceKind) -> bool {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        match std::fs::canonicalize(directory) {
            Ok(real) => self.add_file(mounts, &real.join(name), kind),
            Err(_) => false,
        }
    }

    fn add_file(&mut self, mounts: &MountTable, path: &Path, kind: PlaceKind) -> bool {
        let Some(id) = identity(mounts, path) else {
            return false;
        };
        // Only what lies on a disk gives an inode number to another file.
        let generation = (id.reserved == 0).then(|| generation(path)).flatten();
        let entry = PlaceEntry {
            kind: kind as u16,
            condition: match generation {
                Some(_) => PlaceEntry::OF_GENERATION,
                None => PlaceEntry::ALWAYS,
            },
            operand: generation.unwrap_or(0),
        };
        self.entries.push((id, entry));
        if members::count(id, kind) && path.is_dir() {
            self.directories.push((id, path.to_owned()));
        }
        true
    }

    /// Inode numbers of all that lies in directories on disks whose files count, whatever is mounted
    /// over it. `None` where one of them cannot be read, or is another by now.
    pub fn members(&self) -> Option<Vec<u64>> {
        members::read(&self.directories)
    }

    /// Adds what has this identity.
    pub fn add_id(&mut self, id: FileId, kind: PlaceKind) {
        let entry = PlaceEntry {
            kind: kind as u16,
            ..PlaceEntry::default()
        };
        self.entries.push((id, entry));
    }

    /// Adds all files of a file system.
    pub fn add_whole(&mut self, dev: u32, kind: PlaceKind) {
        self.add_id(whole_id(dev), kind);
    }
}

/// What the finders look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Where sysfs, proc and the rest stand.
    pub roots: &'a Roots,
    /// The host's own mounts.
    pub mounts: &'a MountTable,
    /// The devices as they were judged last.
    pub devices: &'a Classification,
    /// The databases that run.
    pub processes: &'a [CriticalProcess],
}

impl Facts<'_> {
    /// What [`find`] depends on, except for what changes in directories that are watched.
    pub fn digest(&self) -> FactsDigest {
        let mut digest = Digest(DefaultHasher::new());
        for device in &self.devices.devices {
            if device.class() != DeviceClass::Free {
                (device.key.kind, device.key.dev, device.entry.flags).hash(&mut digest.0);
                (device.entry.class, &device.name).hash(&mut digest.0);
            }
        }
        // Writing to a hash does not fail.
        let _ = write!(digest, "{:?}", self.mounts);
        let mut databases = Digest(DefaultHasher::new());
        let _ = write!(databases, "{:?}", self.processes);
        FactsDigest {
            databases: databases.0.finish(),
            host: digest.0.finish(),
        }
    }
}

/// Numbers that are others where [`find`] may answer otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactsDigest {
    /// Of the databases that run.
    pub databases: u64,
    /// Of the devices that are not free, and of the mounts.
    pub host: u64,
}

/// Hashes what is written to it.
struct Digest(DefaultHasher);

impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.hash(&mut self.0);
        Ok(())
    }
}

/// Places among the files on disk, which take long to find: the guard's own, and what the machine
/// boots from.
pub fn on_disk(facts: Facts<'_>) -> Places {
    let mut places = Places::default();
    own::find(facts, &mut places);
    boot::find(facts, &mut places);
    places
}

/// Those with all that is in use now: where data is mounted, and knobs of protected devices.
pub fn with_those_in_use(on_disk: &Places, facts: Facts<'_>) -> Places {
    let mut places = on_disk.clone();
    mounts::find(facts, &mut places);
    sysfs::find(facts, &mut places);
    places
}

/// All places of the host.
pub fn find(facts: Facts<'_>) -> Places {
    with_those_in_use(&on_disk(facts), facts)
}

/// Identity of a file as the kernel half sees it: its inode number, and `s_dev` of its file system
/// from the mount table, because stat(2) tells another number on btrfs and overlayfs.
/// A link at the end of the path is not followed, and there must be none before.
pub fn identity(mounts: &MountTable, path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some(match mounts.of(path) {
        Some(mount) => identity_of(mount, metadata.ino()),
        None => place_id(
            FileSystem::Other,
            kernel_dev(metadata.dev()),
            metadata.ino(),
        ),
    })
}

/// Identity of the file with this inode number on what is mounted.
fn identity_of(mount: &Mount, ino: u64) -> FileId {
    let fs = match mount.fs_type.as_str() {
        "sysfs" => FileSystem::Sysfs,
        "cgroup" | "cgroup2" => FileSystem::Cgroup,
        "configfs" => FileSystem::Configfs,
        _ => FileSystem::Other,
    };
    place_id(fs, mount.dev, ino)
}

/// `inode->i_generation` of a file or directory (ioctl_fs(2) `FS_IOC_GETVERSION`; ext, XFS, btrfs and
/// F2FS know it). `None` where the file system does not say.
fn generation(path: &Path) -> Option<u32> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    /// `_IOR('v', 1, long)`, include/uapi/linux/fs.h.
    const FS_IOC_GETVERSION: libc::c_ulong = 0x8008_7601;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .ok()?;
    // The kernel writes 4 bytes in spite of the number; 8 are there.
    let mut version = 0_u64;
    // SAFETY: the descriptor is open, and the argument points at as much as the number says.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_GETVERSION, &raw mut version) };
    (done == 0).then_some(version as u32)
}
