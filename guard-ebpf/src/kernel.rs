//! Raw loads from kernel memory.
//!
//! *Direct* loads follow a pointer that the verifier knows the type of, at an offset that the
//! loader has written into read-only data: a wrong offset does not load. Decisions rest on these.
//! *Probed* loads (`bpf_probe_read_kernel`) accept any offset and give zero where they fail: they
//! serve the audit record alone.

use core::ffi::c_void;
use core::ptr;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use guard_abi::ExeId;
use guard_abi::members::ABSENT;

macro_rules! offsets {
    ($($name:ident)+) => {
        $(
            #[unsafe(no_mangle)]
            static $name: u32 = ABSENT;
        )+
    };
}

// The table that explains them is `guard_abi::members`; the loader fills in every name of it.
offsets! {
    FILE_F_INODE FILE_F_MODE FILE_F_FLAGS FILE_F_PATH_DENTRY
    INODE_I_MODE INODE_I_RDEV INODE_I_INO INODE_I_SB SUPER_BLOCK_S_DEV DENTRY_D_NAME_NAME
    IO_URING_CMD_FILE IO_URING_CMD_CMD_OP IO_URING_CMD_CMD IO_URING_CMD_SQE IO_URING_SQE_CMD
    BLOCK_DEVICE_BD_DISK BLOCK_DEVICE_BD_DEV GENDISK_PART0
    TASK_MM TASK_TGID TASK_PID TASK_REAL_PARENT TASK_GROUP_LEADER TASK_START_BOOTTIME TASK_COMM
    TASK_SIGNAL TASK_CRED TASK_LOGINUID TASK_SESSIONID
    CRED_UID CRED_EUID SIGNAL_LIVE SIGNAL_TTY
    TTY_INDEX TTY_DRIVER TTY_DRIVER_MAJOR TTY_DRIVER_MINOR_START
    MM_ARG_START MM_ARG_END MM_EXE_FILE BINPRM_FILE
}

/// The injected offset. Volatile: the compiler must not believe the placeholder.
#[inline(always)]
fn offset(of: &'static u32) -> u32 {
    // SAFETY: a reference to a static.
    unsafe { ptr::read_volatile(of) }
}

/// A direct load.
///
/// # Safety
/// `base` is a pointer that the verifier knows as one to the struct that `at` belongs to, and `T`
/// is the member's type. The verifier checks both when the program is loaded.
#[inline(always)]
unsafe fn direct<T>(base: *const c_void, at: &'static u32) -> T {
    // SAFETY: as the caller promises; the kernel turns a fault into zero.
    unsafe { ptr::read_volatile(base.byte_add(offset(at) as usize).cast::<T>()) }
}

/// A probed load; zero where it fails, or where the kernel has no such member.
#[inline(always)]
fn probed<T: Default>(base: *const c_void, at: &'static u32) -> T {
    let offset = offset(at);
    if offset == ABSENT || base.is_null() {
        return T::default();
    }
    // SAFETY: the helper checks every address itself.
    unsafe { bpf_probe_read_kernel(base.byte_add(offset as usize).cast::<T>()).unwrap_or_default() }
}

/// The same for a pointer.
#[inline(always)]
fn probed_pointer(base: *const c_void, at: &'static u32) -> *const c_void {
    ptr::without_provenance(probed::<usize>(base, at))
}

macro_rules! pointer_types {
    ($($(#[$meta:meta])* $name:ident)+) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy)]
            #[repr(transparent)]
            pub struct $name(pub *const c_void);
        )+
    };
}

pointer_types! {
    /// `struct file *`, known to the verifier.
    File
    /// `struct inode *`, known to the verifier.
    Inode
    /// `struct io_uring_cmd *`, known to the verifier.
    UringCmd
    /// `struct block_device *`, known to the verifier.
    BlockDevice
    /// `struct linux_binprm *`, known to the verifier.
    Binprm
    /// `struct task_struct *`, known to the verifier.
    Task
    /// `struct task_struct *` as a number; probed loads alone.
    AnyTask
}

/// `S_IFMT` and its values, include/uapi/linux/stat.h.
pub const S_IFMT: u16 = 0o170_000;
/// A block device.
pub const S_IFBLK: u16 = 0o060_000;
/// A character device.
pub const S_IFCHR: u16 = 0o020_000;
/// `FMODE_WRITE`, include/linux/fs.h.
pub const FMODE_WRITE: u32 = 2;
/// `O_ACCMODE`, include/uapi/asm-generic/fcntl.h.
pub const O_ACCMODE: u32 = 3;

// SAFETY (for every `direct` below): the argument of the hook, or a pointer loaded directly from
// one, in its own type.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "stated once above for all of them"
)]
mod typed {
    use super::*;

    impl File {
        /// `file->f_inode`.
        #[inline(always)]
        pub fn inode(self) -> Inode {
            Inode(unsafe { direct(self.0, &FILE_F_INODE) })
        }

        /// `file->f_mode`.
        #[inline(always)]
        pub fn mode(self) -> u32 {
            unsafe { direct(self.0, &FILE_F_MODE) }
        }

        /// `file->f_flags`.
        #[inline(always)]
        pub fn flags(self) -> u32 {
            unsafe { direct(self.0, &FILE_F_FLAGS) }
        }

        /// Base name of the path it was opened by: `file->f_path.dentry->d_name.name`, a pointer
        /// for `bpf_probe_read_kernel_str`.
        #[inline(always)]
        pub fn name(self) -> *const c_void {
            unsafe {
                let dentry: *const c_void = direct(self.0, &FILE_F_PATH_DENTRY);
                direct(dentry, &DENTRY_D_NAME_NAME)
            }
        }
    }

    impl Inode {
        /// `inode->i_mode`.
        #[inline(always)]
        pub fn mode(self) -> u16 {
            unsafe { direct(self.0, &INODE_I_MODE) }
        }

        /// `inode->i_rdev`.
        #[inline(always)]
        pub fn rdev(self) -> u32 {
            unsafe { direct(self.0, &INODE_I_RDEV) }
        }

        /// Identity of the file.
        #[inline(always)]
        pub fn id(self) -> ExeId {
            unsafe {
                let block: *const c_void = direct(self.0, &INODE_I_SB);
                ExeId {
                    ino: direct(self.0, &INODE_I_INO),
                    dev: direct(block, &SUPER_BLOCK_S_DEV),
                    reserved: 0,
                }
            }
        }
    }

    impl UringCmd {
        /// `ioucmd->file`.
        #[inline(always)]
        pub fn file(self) -> File {
            File(unsafe { direct(self.0, &IO_URING_CMD_FILE) })
        }

        /// `ioucmd->cmd_op`.
        #[inline(always)]
        pub fn operation(self) -> u32 {
            unsafe { direct(self.0, &IO_URING_CMD_CMD_OP) }
        }

        /// First byte of the command: `ioucmd->sqe->cmd`, up to 6.4 `ioucmd->cmd`.
        #[inline(always)]
        pub fn first_byte(self) -> Option<u8> {
            if offset(&IO_URING_CMD_SQE) != ABSENT {
                return Some(unsafe {
                    let sqe: *const c_void = direct(self.0, &IO_URING_CMD_SQE);
                    direct(sqe, &IO_URING_SQE_CMD)
                });
            }
            if offset(&IO_URING_CMD_CMD) == ABSENT {
                return None;
            }
            // `const void *`: its pointee has no type to load by. A failure refuses.
            unsafe {
                let command: *const u8 = direct(self.0, &IO_URING_CMD_CMD);
                bpf_probe_read_kernel(command).ok()
            }
        }
    }

    impl BlockDevice {
        /// dev_t of the whole disk: `bdev->bd_disk->part0->bd_dev`.
        #[inline(always)]
        pub fn disk_dev(self) -> Option<u32> {
            if offset(&BLOCK_DEVICE_BD_DISK) == ABSENT
                || offset(&GENDISK_PART0) == ABSENT
                || offset(&BLOCK_DEVICE_BD_DEV) == ABSENT
            {
                return None;
            }
            unsafe {
                let disk: *const c_void = direct(self.0, &BLOCK_DEVICE_BD_DISK);
                let whole: *const c_void = direct(disk, &GENDISK_PART0);
                Some(direct(whole, &BLOCK_DEVICE_BD_DEV))
            }
        }
    }

    impl Binprm {
        /// The file that is executed; of a script, its interpreter.
        #[inline(always)]
        pub fn file(self) -> File {
            File(unsafe { direct(self.0, &BINPRM_FILE) })
        }
    }

    impl Task {
        /// Process id.
        #[inline(always)]
        pub fn tgid(self) -> u32 {
            unsafe { direct(self.0, &TASK_TGID) }
        }

        /// Process id of the parent.
        #[inline(always)]
        pub fn parent_tgid(self) -> u32 {
            unsafe {
                let parent: *const c_void = direct(self.0, &TASK_REAL_PARENT);
                direct(parent, &TASK_TGID)
            }
        }

        /// When the process was started.
        #[inline(always)]
        pub fn start_boot_ns(self) -> u64 {
            unsafe {
                let leader: *const c_void = direct(self.0, &TASK_GROUP_LEADER);
                direct(leader, &TASK_START_BOOTTIME)
            }
        }

        /// Threads of the process that have not ended: `task->signal->live`.
        #[inline(always)]
        pub fn live_threads(self) -> u32 {
            unsafe {
                let signal: *const c_void = direct(self.0, &TASK_SIGNAL);
                direct(signal, &SIGNAL_LIVE)
            }
        }

        /// Start and end of the command line in user memory; empty for a kernel thread.
        #[inline(always)]
        pub fn command_line(self) -> (u64, u64) {
            unsafe {
                let mm: *const c_void = direct(self.0, &TASK_MM);
                (direct(mm, &MM_ARG_START), direct(mm, &MM_ARG_END))
            }
        }

        /// Where `comm` stands, a pointer for `bpf_probe_read_kernel_str`.
        #[inline(always)]
        pub fn comm_name(self) -> *const c_void {
            unsafe { self.0.byte_add(offset(&TASK_COMM) as usize) }
        }
    }
}

/// `loginuid`, `sessionid` where the kernel has no audit: "not set".
const NOT_SET: u32 = u32::MAX;

impl AnyTask {
    /// Process id.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        probed(self.0, &TASK_TGID)
    }

    /// The parent's group leader.
    #[inline(always)]
    pub fn parent(self) -> Self {
        let parent = probed_pointer(self.0, &TASK_REAL_PARENT);
        Self(probed_pointer(parent, &TASK_GROUP_LEADER))
    }

    /// `comm`.
    #[inline(always)]
    pub fn comm(self) -> [u8; 16] {
        probed(self.0, &TASK_COMM)
    }

    /// When the process was started.
    #[inline(always)]
    pub fn start_boot_ns(self) -> u64 {
        probed(
            probed_pointer(self.0, &TASK_GROUP_LEADER),
            &TASK_START_BOOTTIME,
        )
    }

    /// Real and effective user id.
    #[inline(always)]
    pub fn uids(self) -> (u32, u32) {
        let cred = probed_pointer(self.0, &TASK_CRED);
        (probed(cred, &CRED_UID), probed(cred, &CRED_EUID))
    }

    /// Login user id.
    #[inline(always)]
    pub fn login_uid(self) -> u32 {
        if offset(&TASK_LOGINUID) == ABSENT {
            NOT_SET
        } else {
            probed(self.0, &TASK_LOGINUID)
        }
    }

    /// Audit session id.
    #[inline(always)]
    pub fn session(self) -> u32 {
        if offset(&TASK_SESSIONID) == ABSENT {
            NOT_SET
        } else {
            probed(self.0, &TASK_SESSIONID)
        }
    }

    /// dev_t of the controlling terminal, 0 without one (drivers/tty/tty_io.c `tty_devnum`).
    #[inline(always)]
    pub fn terminal(self) -> u32 {
        let tty = probed_pointer(probed_pointer(self.0, &TASK_SIGNAL), &SIGNAL_TTY);
        if tty.is_null() {
            return 0;
        }
        let driver = probed_pointer(tty, &TTY_DRIVER);
        let minor: u32 =
            probed::<u32>(driver, &TTY_DRIVER_MINOR_START).wrapping_add(probed(tty, &TTY_INDEX));
        guard_abi::dev::make(probed(driver, &TTY_DRIVER_MAJOR), minor)
    }

    /// Start and end of the command line in user memory; empty for a kernel thread.
    #[inline(always)]
    pub fn command_line(self) -> (u64, u64) {
        let mm = probed_pointer(self.0, &TASK_MM);
        (probed(mm, &MM_ARG_START), probed(mm, &MM_ARG_END))
    }

    /// Identity of the executable file, and a pointer to its base name.
    #[inline(always)]
    pub fn executable(self) -> (ExeId, *const c_void) {
        let file = probed_pointer(probed_pointer(self.0, &TASK_MM), &MM_EXE_FILE);
        let inode = probed_pointer(file, &FILE_F_INODE);
        let block = probed_pointer(inode, &INODE_I_SB);
        let dentry = probed_pointer(file, &FILE_F_PATH_DENTRY);
        let id = ExeId {
            ino: probed(inode, &INODE_I_INO),
            dev: probed(block, &SUPER_BLOCK_S_DEV),
            reserved: 0,
        };
        (id, probed_pointer(dentry, &DENTRY_D_NAME_NAME))
    }
}

/// Copies a name of the kernel's, cut to `N - 1` bytes and followed by a zero. `into` should be
/// zero: what lies behind the name stays as it was. Says whether it worked.
#[inline(always)]
pub fn copy_name<const N: usize>(name: *const c_void, into: &mut [u8; N]) -> bool {
    // SAFETY: the helper writes at most `N` bytes and checks the source itself.
    unsafe { bpf_probe_read_kernel_str(into.as_mut_ptr().cast(), N as u32, name) > 0 }
}
