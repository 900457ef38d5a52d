//! Rows about devices: written, commanded, laid over each other, mounted.

use super::Usual::{Allowed, RecordedByRule, RefusedByRule, RefusedOnDevice};
use super::{Row, row};

/// Both ways in that an ioctl has, and io_uring's.
const COMMANDS: &[&str] = &["file_ioctl", "file_ioctl_compat", "uring_cmd"];
const IOCTL: &[&str] = &["file_ioctl", "file_ioctl_compat"];
/// Opens of block devices by programs. The second layer is asked first (cases `layer2::write*`).
const OPEN: &[&str] = &["file_open", "cgroup_device"];
/// Opens by the kernel on a program's behalf.
const REACH: &[&str] = &["cgroup_device"];

const ALL: &str = "all kernels";

/// A: bytes written past the file system.
#[rustfmt::skip]
pub const WRITES: &[Row] = &[
    row("A1", "A device opened for writing and written, by whatever call", "dd, cat, cp, tee, shred, qemu-img, fio, rsync; write, aio, io_uring, splice, sendfile", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&[
            "dd", "dd-direct", "shell-redirection", "cp", "tee", "cat-append", "redirection-*", "python", "perl", "truncate-and-dd",
            "shred", "busybox-dd", "dcfldd", "dc3dd", "ddrescue", "socat", "pv", "rsync-write-devices", "qemu-*", "scrub", "wipe",
            "fio-*", "partclone", "pwrite*", "open-exclusive", "open-truncate", "writev", "sendfile", "splice", "aio", "io-uring*",
            "mount-elsewhere-and-dd", "storm::counted-exactly", "storm::many-processes",
            "layer2::write", "layer2::write-by-openat2", "layer2::without-trampolines",
        ]),
    row("A2", "Signatures erased", "wipefs -a, wipefs -af, wipefs --offset", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["wipefs-*"]),
    row("A3", "A file system, swap area or label made", "mkfs.*, mkswap, make-bcache", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["mkfs.*", "mke2fs-whole", "mkswap", "make-bcache", "swap-over", "swaplabel"]),
    row("A4", "A partition table written", "sgdisk, parted, sfdisk, fdisk, gdisk", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["sgdisk-*", "parted-*", "sfdisk-*", "fdisk", "gdisk"]),
    row("A5", "Blocks discarded or zeroed", "blkdiscard; BLKDISCARD, BLKSECDISCARD, BLKZEROOUT", ALL, RefusedOnDevice)
        .hooks(&["file_open", "cgroup_device", "file_ioctl", "file_ioctl_compat"])
        .tests(&["blkdiscard*", "BLKDISCARD-*", "BLKZEROOUT-*", "BLKSECDISCARD-*", "observe::class-discard"]),
    row("A6", "Ranges punched out", "fallocate on a block device", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["fallocate-*"]),
    row("A7", "Zones reset", "blkzone reset: BLKRESETZONE", ALL, RefusedOnDevice)
        .hooks(&["file_open", "cgroup_device", "file_ioctl", "file_ioctl_compat"])
        .tests(&["destruction-zones::zones-reset"]),
    row("A8", "A file system mended, tuned, shrunk or edited past the kernel", "e2fsck -y, xfs_repair, tune2fs, debugfs -w, resize2fs, btrfs check", ALL,
        RefusedByRule("raw-write", "nobody mends what is in use; growing a mounted ext file system has a grant, because lvextend -r needs it"))
        .hooks(OPEN)
        .tests(&["e2fsck", "tune2fs*", "debugfs-write", "resize2fs-shrink", "e2label", "zerofree", "xfs_repair-log", "xfs_admin", "btrfs*"]),
    row("A9", "Keys of an encrypted disk destroyed", "cryptsetup luksFormat, luksErase, luksKillSlot, luksHeaderRestore", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["luksFormat", "luks-*", "identity::header-apart"])
        .but("the key wipe of an open mapping: no case sends it; any message to a critical mapping is refused, see D2"),
    row("A10", "Members of an array overwritten", "mdadm --create, --zero-superblock", ALL, RefusedOnDevice)
        .hooks(&["file_open", "cgroup_device", "file_ioctl"])
        .tests(&["mdadm-create*", "mdadm-zero-superblock"]),
    row("A11", "LVM's metadata destroyed", "pvcreate, pvremove, vgremove, vgcreate, lvremove, lvreduce, vgcfgrestore", ALL,
        RefusedByRule("raw-write", "the same program makes snapshots and grows volumes: the verb and its arguments decide, see L2 and L3"))
        .hooks(&["exec", "file_open", "cgroup_device"])
        .tests(&["pvcreate*", "pvremove", "vgremove", "vgcreate-over", "lvremove*", "lvreduce", "lvresize-shrink", "lvm-*", "lvcreate-renamed", "vgcfgrestore", "lvchange-*", "vgchange-*"]),
    row("A12", "Boot sectors written", "grub-install on a BIOS disk, dd of a boot image", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["grub-bios-setup", "boot::boot-sector-by-a-package"]),
    row("A13", "A device used as swap", "swapon, mkswap then swapon", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["swapon*", "swap-then-swapon"]),
    row("A14", "A device mapped and stored to", "mmap MAP_SHARED", ALL, RefusedOnDevice)
        .hooks(&["file_open", "cgroup_device", "mmap_file", "file_mprotect"])
        .tests(&["mapped", "descriptors::map-later", "descriptors::mapped-for-reading", "descriptors::mapped"]),
    row("A15", "A descriptor from before the host was armed, passed on or inherited", "SCM_RIGHTS, pidfd_getfd, fork, exec, io_uring with registered files", ALL,
        RefusedByRule("raw-write", "a server's own raw device goes on; everybody else's writes are judged for as long as such a descriptor lives"))
        .hooks(&["file_permission", "mmap_file", "file_mprotect", "file_ioctl", "file_ioctl_compat"])
        .tests(&[
            "passed-descriptor", "observe::class-discard", "descriptors::pwrite", "descriptors::sendfile", "descriptors::splice", "descriptors::aio-direct",
            "descriptors::zero-range", "descriptors::discard", "descriptors::map-later", "descriptors::mapped-for-reading", "descriptors::mapped",
            "descriptors::executed", "descriptors::in-flight", "descriptors::thread", "descriptors::registered", "descriptors::container",
            "descriptors::sg-write", "descriptors::controller-killed", "descriptors::armed-without-a-window",
        ])
        .but("what was under way or dirtied before, see X6"),
    row("A16", "Another way to the same device", "mknod, a container's /dev, /proc/self/fd, O_PATH, open_by_handle_at, io_uring OPENAT, namespaces, a second path to a LUN", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&[
            "fresh-node", "reopen-*", "open-by-handle", "from-thread", "mount-namespace", "pid-mount-chroot", "user-namespace", "cgroup-namespace",
            "nspawn", "crun-privileged", "setpriv-no-caps", "another-user-in-disk-group", "systemd-run", "nsenter-init", "renamed-*", "compat-write",
            "identity::second-path",
        ]),
    row("A17", "Raw character devices", "/dev/raw/rawN", "up to 5.13", RefusedOnDevice)
        .hooks(OPEN)
        .not_covered("the driver is a module of 5.10 alone; no case"),
    row("A18", "Access mode 3: commands without reading or writing", "open(dev, 3)", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["access-mode-3"]),
    row("A19", "Persistent memory", "/dev/dax*, ndctl", ALL, RefusedOnDevice)
        .not_covered("the guests have no persistent memory"),
    row("A20", "Flash memory", "flash_erase, flashcp, flashrom", ALL,
        RefusedByRule("firmware", "it is the firmware's more often than a disk; reading goes on"))
        .hooks(&["file_open"])
        .tests(&["firmware::flash-written"])
        .but("/dev/mtdblockN: a block device as any other"),
    row("A21", "ZFS labels", "zpool create -f, labelclear", "where the module is installed", RefusedOnDevice)
        .not_covered("ZFS is not part of these kernels"),
];

/// B: commands sent to a drive past the block layer.
#[rustfmt::skip]
pub const PASSTHROUGH: &[Row] = &[
    row("B1", "NVMe admin commands that are not read-only", "nvme format, sanitize, delete-ns, fw-commit, set-feature, admin-passthru", ALL,
        RefusedByRule("passthrough", "reading commands are allowed by opcode (identify, log pages, get features, self-test); vendor opcodes are refused, since nobody can tell what they do"))
        .hooks(COMMANDS)
        .tests(&["nvme-format*", "nvme-sanitize", "nvme-admin-passthru*", "nvme-delete-ns", "nvme-detach-ns", "nvme-set-feature*", "nvme-fw-*", "nvme-security*", "ADMIN*", "vendor-opcode"]),
    row("B2", "NVMe I/O commands that write", "nvme write-zeroes, dsm, write, copy, io-passthru; SUBMIT_IO", ALL, RefusedOnDevice)
        .hooks(COMMANDS)
        .tests(&["nvme-write*", "nvme-dsm", "nvme-copy", "nvme-io-passthru*", "IO_CMD-*", "IO64_CMD-*", "SUBMIT_IO-*", "compat-IO_CMD*"]),
    row("B3", "The same through io_uring", "NVME_URING_CMD_*", "6.1 and newer", RefusedOnDevice)
        .hooks(&["uring_cmd"])
        .tests(&["uring-cmd-*"]),
    row("B4", "A controller reset", "nvme reset, subsystem-reset", ALL, RefusedOnDevice)
        .hooks(IOCTL)
        .tests(&["nvme-reset*", "nvme-subsystem-reset", "nvme-ns-rescan"]),
    row("B5", "SCSI and ATA commands that are not read-only, to a disk, a partition or what lies over it", "sg_raw, sg_dd, sg_unmap, sg_format, sg_sanitize, sg_write_same", ALL,
        RefusedByRule("passthrough", "a list of reading commands is allowed (inquiry, sense, logs, SMART); everything else is refused, known or not"))
        .hooks(IOCTL)
        .tests(&["sg_*", "SG_IO-block", "SG_IO-partition", "SG_IO-unreadable-cdb", "SEND_COMMAND", "compat-SG_IO-*", "observe::class-passthrough"]),
    row("B6", "The same through /dev/sg*, also by write()", "sg_raw, sgp_dd", ALL, RefusedOnDevice)
        .hooks(&["file_open", "file_ioctl", "file_ioctl_compat"])
        .tests(&["sg_dd-sg", "sgp_dd", "sg_raw-write-sg", "sg_raw-write16", "sg_unmap-sg", "SG_IO-sg", "sg-write-call"]),
    row("B7", "The same through /dev/bsg", "sg_raw", ALL, RefusedOnDevice)
        .hooks(IOCTL)
        .tests(&["sg_raw-write-bsg", "SG_IO-bsg"]),
    row("B8", "ATA commands through hdparm", "hdparm --security-erase, --trim-sector-ranges, --write-sector, --dco-restore", ALL, RefusedOnDevice)
        .hooks(IOCTL)
        .tests(&["hdparm-*"]),
    row("B9", "Self-encrypting drives reverted", "sedutil; IOC_OPAL_*", ALL, RefusedOnDevice)
        .hooks(IOCTL)
        .not_covered("no emulated drive has OPAL; the numbers are on no list, which refuses them (host test)"),
    row("B10", "Persistent reservations", "blkpr, sg_persist", ALL,
        RecordedByRule("detach", "a cluster's fencing agent sends them; access changes, data does not"))
        .hooks(IOCTL)
        .not_covered("no emulated disk has reservations; host tests tell the commands apart"),
    row("B11", "eMMC commands", "mmc; MMC_IOC_CMD", ALL, RefusedOnDevice)
        .hooks(IOCTL)
        .not_covered("the guests have no eMMC; the numbers are on no list, which refuses them"),
    row("B12", "RAID controllers told to delete a volume", "storcli, ssacli, perccli, arcconf", ALL,
        RefusedByRule("passthrough", "frames are the vendor's own; where the controller's node is a block or sg node it is judged as one"))
        .not_covered("the controllers' own character nodes are not classified, and no guest has one"),
    row("B13", "DASD formatted", "dasdfmt", "s390 alone", RefusedOnDevice)
        .not_covered("s390 alone"),
    row("B14", "Discards through io_uring", "BLOCK_URING_CMD_DISCARD", "6.12 and newer", RefusedOnDevice)
        .hooks(&["uring_cmd"])
        .not_covered("needs a descriptor opened for writing, which A1 refuses; the command itself has a host test"),
    row("B15", "Any of these from a 32-bit program", "", ALL, RefusedOnDevice)
        .hooks(&["file_ioctl_compat"])
        .tests(&["compat-*"]),
];

/// C: what the kernel believes of a disk.
#[rustfmt::skip]
pub const PICTURE: &[Row] = &[
    row("C1", "Partitions added, resized or deleted in the kernel's table", "addpart, delpart, resizepart, partx: BLKPG", ALL,
        RefusedByRule("partition", "a shrunk partition of a live disk cuts the data off; no operator does it to a protected one"))
        .hooks(IOCTL)
        .tests(&["delpart", "addpart", "resizepart", "partx-delete", "BLKPG-resize", "compat-BLKPG", "observe::class-partition"]),
    row("C2", "The table read anew", "blockdev --rereadpt, partprobe", ALL,
        RecordedByRule("partition", "the kernel itself refuses it while a partition is open; udev and installers do it all the time"))
        .hooks(IOCTL)
        .tests(&["rereadpt"]),
    row("C3", "A device made read-only", "blockdev --setro", ALL,
        RefusedByRule("detach", "every later open for writing fails, the database's too"))
        .hooks(IOCTL)
        .tests(&["setro", "compat-BLKROSET", "observe::class-detach"]),
    row("C4", "Buffers flushed, read-ahead set", "blockdev --flushbufs, --setra", ALL, Allowed("harmless"))
        .hooks(IOCTL)
        .tests(&["flushbufs", "legitimate::blockdev"]),
    row("C5", "A command that nobody has looked at", "an ioctl number that is on no list", ALL, RefusedOnDevice)
        .hooks(COMMANDS)
        .tests(&["invented-ioctl"]),
];

/// D: another device laid over a protected one.
#[rustfmt::skip]
pub const STACKED: &[Row] = &[
    row("D1", "A device-mapper table over a device, then written through it", "dmsetup create, cryptsetup plain", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["dm-linear*", "crypt-plain", "layer2::dm-table", "layer2::dm-table-of-a-free-map"])
        .but("tables of programs that put a host together, see X8"),
    row("D2", "Mappings removed, suspended, replaced or sent messages", "dmsetup remove, suspend, message, wipe_table", ALL,
        RefusedByRule("detach", "removing, emptying or suspending a live mapping is no operator's; LVM, cryptsetup and multipath keep theirs and go on"))
        .hooks(IOCTL)
        .tests(&[
            "machine::dm-suspend*", "machine::compat-dm-suspend", "machine::dm-remove*", "machine::dm-wipe-table", "machine::dm-reload",
            "machine::dm-rename", "machine::dm-message", "machine::luks-suspend", "machine::luks-close-deferred", "machine::luks-shrunk",
        ])
        .but("mappings that carry neither critical data nor the root file system: a container engine keeps its own"),
    row("D3", "Arrays stopped, robbed of members, or given a protected disk", "mdadm --stop, --fail, --remove, --add, --build", ALL,
        RefusedByRule("detach", "a member that the array can spare may be failed and replaced, see L5; anything else loses data"))
        .hooks(&["file_ioctl", "file_ioctl_compat", "file_open", "cgroup_device"])
        .tests(&["mdadm-stop", "mdadm-array-size", "mdadm-level-0", "two-failed-at-once", "md-build-over", "observe::class-remap", "layer2::md-new-dev"]),
    row("D4", "Loop devices over a disk", "losetup", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["loop-*"]),
    row("D5", "A disk exported by LIO", "targetcli", ALL, RefusedOnDevice)
        .hooks(REACH)
        .tests(&["layer2::scsi-target", "layer2::file-target"])
        .but("the back end pscsi: no case"),
    row("D6", "A disk exported by NVMe over fabrics", "nvmetcli", ALL, RefusedOnDevice)
        .hooks(REACH)
        .tests(&["layer2::nvme-target"]),
    row("D7", "A disk served by a program", "nbd-server, qemu-nbd, qemu", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["qemu-nbd"]),
    row("D8", "bcache over a disk", "make-bcache, /sys/fs/bcache/register", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .tests(&["make-bcache", "layer2::bcache-register"])
        .but("stopping and detaching a cache in sysfs: refused, and no case does it"),
    row("D9", "Btrfs given, or robbed of, a device or subvolume", "btrfs device add, replace, subvolume delete", ALL,
        RefusedByRule("remap", "the kernel opens the disk that is given, and writes it"))
        .hooks(OPEN)
        .tests(&["layer2::btrfs-add-device", "layer2::btrfs-replace-device"])
        .but("removing one and deleting a subvolume are let through, because snapshots are deleted by every backup tool"),
    row("D10", "A device mounted for writing", "mount, fsmount", ALL,
        Allowed("mounting its own file system is how a database starts and fails over; see X9"))
        .hooks(REACH)
        .tests(&["layer2::work-mount*", "mounts::failover", "hoststate::stop-and-unmount-stays-held", "hoststate::restart-arms-again", "legitimate::postgres-on-its-own-disk"]),
    row("D11", "Hibernation and resume", "/sys/power/resume, /sys/power/state, reboot(2)", ALL, RefusedByRule("reset", "no database server hibernates"))
        .hooks(&["file_open", "capable"])
        .tests(&["machine::hibernation-by-a-program", "machine::suspend", "machine::resume-device", "machine::reboot-suspend"]),
    row("D12", "DRBD told to throw its copy away", "drbdadm create-md, invalidate", "where the module is installed", RefusedOnDevice)
        .not_covered("DRBD is not part of the guests"),
    row("D13", "ZFS pools destroyed", "zpool destroy, zfs destroy", "where the module is installed",
        Allowed("`/dev/zfs` carries snapshots and scrubs too; what a pool is made of is judged as devices, see A21"))
        .not_covered("ZFS is not part of these kernels"),
    row("D14", "USB mass-storage gadgets", "g_mass_storage", ALL, RefusedOnDevice)
        .hooks(OPEN)
        .not_covered("opens the disk as any program does, see A1; the guests have no gadget controller"),
    row("D15", "Other drivers that open disks themselves", "block2mtd, rnbd, xen-blkback, ocfs2", ALL, RefusedOnDevice)
        .hooks(REACH)
        .tests(&["firmware::flash-over-a-protected-disk", "layer2::block2mtd"])
        .but("block2mtd stands for them; the others need hardware or peers"),
];

/// E: what is done to a file system that is mounted.
#[rustfmt::skip]
pub const FILE_SYSTEMS: &[Row] = &[
    row("E1", "A file system shut down", "xfs_io shutdown: XFS_IOC_GOINGDOWN", ALL, RefusedByRule("detach", "made for tests of file systems"))
        .hooks(IOCTL)
        .tests(&["machine::ext4-error", "machine::file-system-shutdown", "mounts::aborted"]),
    row("E2", "A file system frozen", "fsfreeze", ALL,
        RecordedByRule("detach", "backup agents freeze for a snapshot"))
        .hooks(IOCTL)
        .tests(&["legitimate::fsfreeze"]),
    row("E3", "A file system shrunk", "resize2fs, lvreduce", ALL, RefusedOnDevice)
        .hooks(&["exec", "file_open", "cgroup_device"])
        .tests(&["resize2fs-shrink", "lvreduce", "lvresize-shrink"])
        .but("shrinking by an ioctl on the mount; ext4 and XFS refuse that themselves, Btrfs does it"),
    row("E4", "The database's file system taken away, covered or moved", "umount -l, umount -f, mount over it or above it, mount --move, mv", ALL,
        RefusedByRule("detach", "failover unmounts after the server has stopped; before, it pulls the data from under a live one"))
        .hooks(&["sb_umount", "sb_mount", "move_mount", "inode_rename"])
        .tests(&["mounts::lazy-umount*", "mounts::root-lazily-unmounted", "mounts::covered-*", "mounts::moved*", "mounts::data-directory-renamed", "mounts::tablespace-of-a-running-server"])
        .but("umount -f of a network file system: no case; on any other it is an ordinary umount, which the kernel refuses while the file system is used"),
    row("E5", "Files deleted", "rm -rf", ALL,
        Allowed("what a database may do to its files, root may: the guard is about devices and what boots"))
        .not_covered("out of scope: backups and database permissions are for that"),
    row("E6", "Remounted read-only", "mount -o remount,ro", ALL, RecordedByRule("detach", "an outage that ends with another remount"))
        .hooks(&["sb_mount"])
        .tests(&["mounts::read-only-is-recorded"])
        .but("mount_setattr(2) and fsconfig(2) do not ask this hook: what they do is not recorded, see X22"),
    row("E7", "Free blocks trimmed", "fstrim", ALL, Allowed("free blocks hold nothing"))
        .tests(&["legitimate::fstrim"]),
];
