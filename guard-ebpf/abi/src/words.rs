//! The words that both halves, the audit log and people use.

/// Declares a `#[repr(u8)]` enum with its stable spelling and a checked way back from a number.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal => $text:literal,)+ }) => {
        $(#[$meta])*
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant = $value,)+ }

        impl $name {
            /// Every value, in numeric order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The spelling used in records, messages and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value behind a number from a map or an event; `None` where no such value exists.
            pub const fn from_u8(number: u8) -> Option<Self> {
                match number { $($value => Some(Self::$variant),)+ _ => None }
            }

            /// The value with this spelling.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Operation class: what kind of harm an operation would do.
    Op {
        /// Bytes written past the file system: `open(2)` for writing, `write(2)`.
        RawWrite = 1 => "raw-write",
        /// Blocks thrown away: discard, secure erase, zero-out, zone reset.
        Discard = 2 => "discard",
        /// The kernel's picture of the partition table.
        Partition = 3 => "partition",
        /// Commands sent to the drive past the block layer: NVMe, SCSI, ATA, vendor.
        Passthrough = 4 => "passthrough",
        /// Another device laid over a protected one: dm, md, loop and the like.
        Remap = 5 => "remap",
        /// Files the machine boots from.
        BootFile = 6 => "boot-file",
        /// Firmware variables and firmware itself.
        Firmware = 7 => "firmware",
        /// Another kernel staged or started.
        Kexec = 8 => "kexec",
        /// Commands to the baseboard management controller.
        Bmc = 9 => "bmc",
        /// A device or mount taken away from under the database.
        Detach = 10 => "detach",
        /// Forced reboot or crash.
        Reset = 11 => "reset",
        /// The guard itself.
        Guard = 12 => "guard",
    }
}

impl Op {
    /// The bit of this class in [`crate::Policy::enforced_ops`] and
    /// [`crate::Policy::allowed_ops`].
    #[inline]
    pub const fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

words! {
    /// What an operation was done to.
    ObjectKind {
        /// A block device.
        Block = 0 => "block",
        /// A character device that passes commands to a drive, or steers the machine.
        Char = 1 => "char",
        /// A file or directory.
        File = 2 => "file",
        /// The running kernel or machine itself.
        System = 3 => "system",
    }
}

words! {
    /// What the guard did with an operation.
    Decision {
        /// Nothing to do with the guard. Never sent as an event.
        Allow = 0 => "allow",
        /// Refused with `EPERM`.
        Deny = 1 => "deny",
        /// Would have been refused; its class is observed, by itself or by the mode.
        WouldDeny = 2 => "would-deny",
        /// Allowed on a protected object, and worth a line in the log.
        Record = 3 => "record",
        /// Would have been refused; the configuration allows operations of this class.
        Allowed = 4 => "allowed",
        /// Would have been refused; a grant was open for it.
        Granted = 5 => "granted",
    }
}

words! {
    /// Why an operation was refused or recorded.
    Reason {
        /// Not refused.
        None = 0 => "none",
        /// The device carries critical data or the running system, or lies below one that does.
        ProtectedDevice = 1 => "protected-device",
        /// The device has not been classified; while armed or held it is treated as protected.
        UnknownDevice = 2 => "unknown-device",
        /// The device is free, but the command reaches the whole disk, and that is protected.
        ReachesProtectedDisk = 3 => "reaches-protected-disk",
        /// The ioctl or io_uring command is not on the list of queries and harmless commands.
        CommandNotListed = 4 => "command-not-listed",
        /// The passthrough opcode is not on the list of read-only commands.
        OpcodeNotReadOnly = 5 => "opcode-not-read-only",
        /// The command's argument could not be read, so what it does is not known.
        UnreadableArgument = 6 => "unreadable-argument",
        /// Opened with access mode 3, which grants ioctls without reading or writing.
        AccessModeThree = 7 => "access-mode-3",
        /// Removing this member would leave the array without redundancy.
        NotRedundant = 8 => "not-redundant",
        /// Harmless to data, but recorded because it changes how a protected device is seen.
        Notable = 9 => "notable",
        /// A file that must stay as it is while the host is guarded.
        ProtectedFile = 10 => "protected-file",
        /// It would stop, replace or restart the running system.
        RunningSystem = 11 => "running-system",
        /// It would take the guard away.
        GuardItself = 12 => "guard-itself",
    }
}

words! {
    /// The kernel hook that saw the operation.
    Hook {
        /// `security_file_open`, fs/open.c `do_dentry_open`.
        FileOpen = 1 => "file_open",
        /// `security_file_ioctl`, fs/ioctl.c `ioctl`.
        FileIoctl = 2 => "file_ioctl",
        /// `security_file_ioctl_compat`, fs/ioctl.c `compat_ioctl`.
        FileIoctlCompat = 3 => "file_ioctl_compat",
        /// `security_uring_cmd`, io_uring/uring_cmd.c `io_uring_cmd`.
        UringCmd = 4 => "uring_cmd",
        /// A cgroup device program, security/device_cgroup.c `devcgroup_check_permission`: opens
        /// by programs, and by the kernel on their behalf.
        CgroupDevice = 5 => "cgroup_device",
        /// `security_inode_create`, fs/namei.c.
        InodeCreate = 10 => "inode_create",
        /// `security_inode_mkdir`, fs/namei.c.
        InodeMkdir = 11 => "inode_mkdir",
        /// `security_inode_mknod`, fs/namei.c.
        InodeMknod = 12 => "inode_mknod",
        /// `security_inode_symlink`, fs/namei.c.
        InodeSymlink = 13 => "inode_symlink",
        /// `security_inode_link`, fs/namei.c.
        InodeLink = 14 => "inode_link",
        /// `security_inode_unlink`, fs/namei.c.
        InodeUnlink = 15 => "inode_unlink",
        /// `security_inode_rmdir`, fs/namei.c.
        InodeRmdir = 16 => "inode_rmdir",
        /// `security_inode_rename`, fs/namei.c.
        InodeRename = 17 => "inode_rename",
        /// `security_path_truncate`, fs/open.c.
        PathTruncate = 18 => "path_truncate",
        /// `security_file_permission`, fs/read_write.c `rw_verify_area`: a write through a
        /// descriptor that was open before. Attached on demand.
        FilePermission = 70 => "file_permission",
        /// `security_mmap_file`, mm/util.c `vm_mmap_pgoff`: the same by a new mapping.
        MmapFile = 71 => "mmap_file",
        /// `security_file_mprotect`, mm/mprotect.c `do_mprotect_pkey`: the same by a mapping that
        /// becomes writable.
        FileMprotect = 72 => "file_mprotect",
        /// `security_sb_mount`, fs/namespace.c `path_mount`.
        SbMount = 40 => "sb_mount",
        /// `security_sb_umount`, fs/namespace.c `do_umount`.
        SbUmount = 41 => "sb_umount",
        /// `security_move_mount`, fs/namespace.c `move_mount`.
        MoveMount = 42 => "move_mount",
        /// `security_sb_pivotroot`, fs/namespace.c `pivot_root`.
        SbPivotroot = 43 => "sb_pivotroot",
        /// `security_capable`, kernel/capability.c.
        Capable = 60 => "capable",
        /// `security_locked_down`, arch/x86/kernel/ioport.c and others.
        LockedDown = 61 => "locked_down",
        /// `security_bpf`, kernel/bpf/syscall.c `__sys_bpf`.
        Bpf = 50 => "bpf",
        /// `security_ptrace_access_check`, kernel/ptrace.c `__ptrace_may_access`.
        PtraceAccessCheck = 51 => "ptrace_access_check",
        /// `security_task_kill`, kernel/signal.c `check_kill_permission`.
        TaskKill = 52 => "task_kill",
    }
}
