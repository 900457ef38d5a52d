//! Devices as the kernel half knows them.

use crate::words::words;

/// dev_t in kernel form, `major << 20 | minor` (include/linux/kdev_t.h).
pub mod dev {
    /// Bits of the minor number.
    pub const MINOR_BITS: u32 = 20;

    /// Loop devices, include/uapi/linux/major.h `LOOP_MAJOR`.
    pub const LOOP_MAJOR: u32 = 7;
    /// MD arrays, `MD_MAJOR` there.
    pub const MD_MAJOR: u32 = 9;

    /// The number of `major:minor`.
    pub const fn make(major: u32, minor: u32) -> u32 {
        (major << MINOR_BITS) | (minor & ((1 << MINOR_BITS) - 1))
    }

    /// The major number.
    pub const fn major(dev: u32) -> u32 {
        dev >> MINOR_BITS
    }

    /// The minor number.
    pub const fn minor(dev: u32) -> u32 {
        dev & ((1 << MINOR_BITS) - 1)
    }
}

words! {
    /// Block and character devices number their `dev_t` apart.
    DeviceKind {
        /// A block device.
        Block = 0 => "block",
        /// A character device that passes commands to a drive.
        Char = 1 => "char",
    }
}

words! {
    /// What a device is to the guard. A device without an entry is `Unknown`.
    DeviceClass {
        /// Not classified yet: treated as protected while the host is armed or held.
        Unknown = 0 => "unknown",
        /// Known, not in use, never critical.
        Free = 1 => "free",
        /// Carries critical data or the running system, or lies below a device that does.
        Protected = 2 => "protected",
    }
}

words! {
    /// What a character device major passes through; the value of `CHAR_MAJORS`.
    PassthroughKind {
        /// An ordinary character device, none of the guard's business.
        None = 0 => "none",
        /// `/dev/nvmeN`, the controller node.
        NvmeController = 1 => "nvme-controller",
        /// `/dev/ngNnM`, the generic namespace node.
        NvmeGeneric = 2 => "nvme-generic",
        /// `/dev/sgN`.
        ScsiGeneric = 3 => "scsi-generic",
        /// `/dev/bsg/…`.
        Bsg = 4 => "bsg",
        /// `/dev/raw/rawN` (major 162, up to Linux 5.13).
        Raw = 5 => "raw",
    }
}

words! {
    /// Character devices that steer the machine instead of a drive; values of `CHAR_MAJORS` beside
    /// those of [`PassthroughKind`]. Which of a major's minors count, the kernel half knows.
    ControlKind {
        /// `/dev/mem`, `/dev/kmem`, `/dev/port` (Documentation/admin-guide/devices.txt, major 1).
        Memory = 16 => "memory",
        /// Miscellaneous (major 10): `/dev/nvram`, `/dev/tpm0`, `/dev/mapper/control`.
        Misc = 17 => "misc",
        /// `/dev/mtdN`: flash memory, often the firmware's.
        Mtd = 18 => "mtd",
        /// `/dev/ipmiN`: the baseboard management controller.
        Ipmi = 19 => "ipmi",
        /// `/dev/tpmN` beyond the first, `/dev/tpmrmN`.
        Tpm = 20 => "tpm",
    }
}

/// Bits of [`DeviceEntry::flags`].
pub mod device_flag {
    /// Carries the data of a critical process, now or as remembered.
    pub const CRITICAL_DATA: u32 = 1 << 0;
    /// Carries the running system: root, boot, swap, or another mount.
    pub const IN_USE: u32 = 1 << 1;
    /// Is a physical volume of an LVM volume group that is in use.
    pub const LVM_PV: u32 = 1 << 2;
    /// Is a member of an MD array, or holds the superblock of one that is not assembled.
    pub const MD_MEMBER: u32 = 1 << 3;
    /// Holds a mounted ext2/3/4 file system.
    pub const EXT_MOUNTED: u32 = 1 << 4;
    /// A database server uses the block device itself, without a file system.
    pub const DB_RAW: u32 = 1 << 5;
    /// The device itself may be free, but commands passed through it reach a protected disk.
    pub const DISK_PROTECTED: u32 = 1 << 6;
    /// An MD array that can lose one more member.
    pub const MD_REDUNDANT: u32 = 1 << 7;
    /// Classified by the kernel half: a partition that appeared on a free disk.
    pub const INHERITED: u32 = 1 << 8;
    /// Protected because it carried critical data once, not because it does so now.
    pub const REMEMBERED: u32 = 1 << 9;
    /// The canary, see [`crate::canary`]: writing is refused whatever the host's state.
    pub const CANARY: u32 = 1 << 13;
    /// Holds a LUKS header: must be opened for writing to be unlocked.
    pub const LUKS: u32 = 1 << 10;
    /// Holds a file system that the boot-time check may repair (ext2/3/4, FAT).
    pub const PREEN: u32 = 1 << 11;
    /// Holds a swap area.
    pub const SWAP: u32 = 1 << 12;
    /// Protected for nothing but claims (mounts, swap, running arrays and mappings over it) that the
    /// kernel holds on the block device itself (`bd_holders`): free from the moment the last one is
    /// given up, whether or not the controller has seen it, see [`crate::maps::UNCLAIMED`].
    pub const CLAIMED: u32 = 1 << 14;
    /// A disk below the root or boot file system, or a partition of a type that boots: boot
    /// sectors are written there.
    pub const BOOT_DISK: u32 = 1 << 20;
    /// A partition of a type that boots: all files on it are boot files.
    pub const BOOT_PARTITION: u32 = 1 << 21;
}

/// Key of the `DEVICES` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceKey {
    /// dev_t in kernel form, see [`dev`].
    pub dev: u32,
    /// A [`DeviceKind`].
    pub kind: u32,
}

impl DeviceKey {
    /// The key of a block device.
    pub const fn block(dev: u32) -> Self {
        Self {
            dev,
            kind: DeviceKind::Block as u32,
        }
    }

    /// The key of a character device.
    pub const fn char(dev: u32) -> Self {
        Self {
            dev,
            kind: DeviceKind::Char as u32,
        }
    }
}

/// Value of the `DEVICES` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceEntry {
    /// A [`DeviceClass`]; any other number is read as unknown.
    pub class: u32,
    /// Bits of [`device_flag`].
    pub flags: u32,
    /// The disk's sequence number (`/sys/block/*/diskseq`), 0 where the kernel has none.
    pub disk_seq: u64,
    /// Bit n (1 to 63): partition n exists. Bit 0: a partition above 63 exists.
    pub partitions: u64,
    /// Number of the grant that it is the object of, 0 where there is none ([`crate::glass`]).
    pub glass: u32,
    /// Zero.
    pub reserved: u32,
}

/// Value of the `UNCLAIMED` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unclaimed {
    /// When the last claim was given up (`CLOCK_MONOTONIC`, ns).
    pub since: u64,
    /// The process (tgid) that has it open exclusively itself since then, for which alone it is free;
    /// 0 where nobody has.
    pub opener: u32,
    /// Zero.
    pub reserved: u32,
}

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers alone, no padding (layout.rs asserts it).
    unsafe impl aya::Pod for super::DeviceKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::DeviceEntry {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Unclaimed {}
}
