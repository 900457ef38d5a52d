//! Files as the kernel half knows them: places on disk that matter, and files of the kernel's own
//! file systems by which a machine is steered.

use crate::words::words;
use crate::{ExeId, Op};

/// Identity of a file or directory: `inode->i_ino`, and `i_sb->s_dev`, see [`place_id`].
pub type FileId = ExeId;

words! {
    /// File systems whose files are told apart by name. Any other is [`FileSystem::Other`].
    FileSystem {
        /// A file system on a disk, in memory, on the network.
        Other = 0 => "other",
        /// sysfs(5).
        Sysfs = 1 => "sysfs",
        /// proc(5).
        Proc = 2 => "proc",
        /// Firmware variables, Documentation/filesystems/efivarfs.rst.
        Efivars = 3 => "efivarfs",
        /// Documentation/filesystems/configfs.rst.
        Configfs = 4 => "configfs",
        /// Pinned BPF objects, kernel/bpf/inode.c.
        Bpf = 5 => "bpf",
        /// cgroups(7), both versions.
        Cgroup = 6 => "cgroup",
        /// Documentation/filesystems/debugfs.rst.
        Debugfs = 7 => "debugfs",
        /// Documentation/trace/ftrace.rst.
        Tracefs = 8 => "tracefs",
    }
}

impl FileSystem {
    /// The file system behind `s_magic` (include/uapi/linux/magic.h).
    pub const fn of_magic(magic: u64) -> Self {
        match magic {
            0x6265_6572 => Self::Sysfs,
            0x9FA0 => Self::Proc,
            0xDE5E_81E4 => Self::Efivars,
            0x6265_6570 => Self::Configfs,
            0xCAFE_4A11 => Self::Bpf,
            0x6367_7270 | 0x0027_E0EB => Self::Cgroup,
            0x6462_6720 => Self::Debugfs,
            0x7472_6163 => Self::Tracefs,
            _ => Self::Other,
        }
    }

    /// Whether inode numbers mean the same in every mount of it, so that `s_dev` must not count:
    /// sysfs has a superblock for each network namespace, over one tree (fs/kernfs/mount.c).
    pub const fn is_one_tree(self) -> bool {
        matches!(self, Self::Sysfs | Self::Cgroup | Self::Configfs)
    }
}

/// The key of `PLACES` for a file.
pub const fn place_id(fs: FileSystem, dev: u32, ino: u64) -> FileId {
    if fs.is_one_tree() {
        FileId {
            ino,
            dev: 0,
            reserved: fs as u32,
        }
    } else {
        FileId {
            ino,
            dev,
            reserved: 0,
        }
    }
}

/// The key of `PLACES` for all files of a file system. FAT gives a file another inode number each
/// time it is looked up (fs/fat/inode.c `fat_build_inode`), so that an EFI system partition is one
/// place as a whole. No file has number 0.
pub const fn whole_id(dev: u32) -> FileId {
    place_id(FileSystem::Other, dev, 0)
}

/// Bytes of a path that a [`path_id`] is made of.
pub const PATH_ID_BYTES: usize = 128;

/// The key of `PLACES` for a path as text, of which mount(2) with `MS_MOVE` gives the kernel half no
/// more: the FNV-1a hash of the path, padded with zeros. A longer one has no such key.
#[inline]
pub const fn path_id(path: &[u8; PATH_ID_BYTES]) -> FileId {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < PATH_ID_BYTES {
        hash = (hash ^ path[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    FileId {
        ino: hash,
        dev: u32::MAX,
        reserved: u32::MAX,
    }
}

words! {
    /// What a file or directory is to the guard; the value of `PLACES`.
    PlaceKind {
        /// Nothing.
        None = 0 => "none",
        /// A directory from which the machine boots, or a file in it.
        Boot = 1 => "boot",
        /// A file that says what the machine boots into next: `grubenv`, `loader.conf`.
        BootState = 2 => "boot-state",
        /// The guard's own file or directory.
        Guard = 3 => "guard",
        /// sysfs directory of a protected device, or of one that it hangs on.
        Device = 4 => "device",
        /// sysfs directory of a driver that serves a protected device.
        Driver = 5 => "driver",
        /// Where a file system that carries critical data or the system is mounted, or a data
        /// directory: not to be moved, covered or taken away.
        Mount = 6 => "mount",
        /// The controller's control group, or one that it lies in.
        Controller = 7 => "controller",
        /// sysfs directory of a protected MD array.
        Array = 8 => "array",
        /// sysfs directory of a member of such an array.
        Member = 9 => "member",
        /// `/sys/power`.
        Power = 10 => "power",
        /// Root of the file system in which the guard's objects are pinned, and the directories that
        /// lead to it: they stay mounted and uncovered. What else is there is not the guard's.
        Pins = 11 => "pins",
        /// The guard's program and its unit: package managers replace them.
        GuardProgram = 20 => "guard-program",
        /// The guard's log: rotated, beside being written by the guard.
        GuardLog = 22 => "guard-log",
        /// The guard's configuration: written by whoever runs the host. What is written there
        /// counts only when the controller accepts it.
        GuardConfig = 21 => "guard-config",
    }
}

/// Value of the `PLACES` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceEntry {
    /// A [`PlaceKind`]; any other number is none.
    pub kind: u16,
    /// When it counts: [`PlaceEntry::ALWAYS`], [`PlaceEntry::OF_GENERATION`],
    /// [`PlaceEntry::WHILE_CLAIMED`].
    pub condition: u16,
    /// What the condition is about.
    pub operand: u32,
}

impl PlaceEntry {
    /// It always counts.
    pub const ALWAYS: u16 = 0;
    /// The file's `inode->i_generation` is the operand, by which it is told from one that got its inode
    /// number later, or has it in another btrfs subvolume. It may well be 0 (mke2fs makes such files).
    pub const OF_GENERATION: u16 = 1;
    /// The device of this number (`dev_t` as the kernel has it) has a claim on it: a knob of sysfs that
    /// takes away this disk alone, which is protected for nothing but being in use.
    pub const WHILE_CLAIMED: u16 = 2;
}

/// Bytes of a file's name that count.
pub const FILE_NAME_BYTES: usize = 28;

/// Key of the `FILE_NAMES` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileName {
    /// A [`FileSystem`].
    pub fs: u32,
    /// Base name, zero-padded; longer names are compared by their first 27 bytes.
    pub name: [u8; FILE_NAME_BYTES],
}

impl FileName {
    /// The key of a name.
    pub const fn new(fs: FileSystem, name: &str) -> Self {
        let text = name.as_bytes();
        let mut key = [0; FILE_NAME_BYTES];
        let mut at = 0;
        while at < text.len() && at < FILE_NAME_BYTES - 1 {
            key[at] = text[at];
            at += 1;
        }
        Self {
            fs: fs as u32,
            name: key,
        }
    }
}

words! {
    /// Where a name counts; the value of [`FileRule::scope`].
    NameScope {
        /// Nowhere.
        Nowhere = 0 => "nowhere",
        /// Wherever in its file system.
        Everywhere = 1 => "everywhere",
        /// In a directory that is a place.
        InPlace = 2 => "in-place",
        /// Nothing about it is the guard's business, although its file system's other files are.
        Harmless = 3 => "harmless",
        /// Among what the machine boots from, where it says what is booted next. In lower case:
        /// FAT takes any.
        BootState = 4 => "boot-state",
    }
}

/// Value of the `FILE_NAMES` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileRule {
    /// An [`Op`].
    pub op: u32,
    /// A [`NameScope`].
    pub scope: u32,
}

words! {
    /// What is done to a file; [`crate::DenialEvent::cmd`] of such an event.
    FileAct {
        /// Opened for writing.
        Write = 1 => "write",
        /// Made: a file, directory, link or node.
        Create = 2 => "create",
        /// Removed.
        Remove = 3 => "remove",
        /// Renamed, away from its place.
        RenameFrom = 4 => "rename",
        /// Replaced, or put into the place, by renaming another.
        RenameTo = 5 => "rename-over",
        /// Given another name.
        Link = 6 => "link",
        /// Cut to a length.
        Truncate = 7 => "truncate",
        /// Covered by mounting something over it.
        MountOver = 8 => "mount-over",
        /// Its mount is moved elsewhere.
        MoveMount = 9 => "move-mount",
        /// Its mount is taken away by force, or lazily.
        Unmount = 10 => "unmount",
        /// Owner, mode or flags are changed.
        Attributes = 11 => "attributes",
        /// The root directory is replaced.
        PivotRoot = 12 => "pivot-root",
        /// Its file system is made read-only.
        ReadOnly = 13 => "read-only",
    }
}

/// A file of the kernel's own file systems by which a machine is steered, and what writing it does.
#[derive(Clone, Copy, Debug)]
pub struct NamedFile {
    /// Its file system.
    pub fs: FileSystem,
    /// Its base name.
    pub name: &'static str,
    /// What kind of harm.
    pub op: Op,
    /// Where the name counts.
    pub scope: NameScope,
}

pub(crate) const fn named(
    fs: FileSystem,
    name: &'static str,
    op: Op,
    scope: NameScope,
) -> NamedFile {
    NamedFile {
        fs,
        name,
        op,
        scope,
    }
}

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers alone, no padding (layout.rs asserts it).
    unsafe impl aya::Pod for super::PlaceEntry {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::FileName {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::FileRule {}
}
