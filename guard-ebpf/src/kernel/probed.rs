//! Members for the audit record.

use core::ffi::c_void;

use guard_abi::ExeId;
use guard_abi::members::ABSENT;

use super::offsets as at;
use super::{AnyDentry, AnyTask, offset, probed, probed_pointer};

/// `loginuid`, `sessionid` where the kernel has no audit: "not set".
const NOT_SET: u32 = u32::MAX;

impl AnyDentry {
    /// The entry whose address is this number.
    #[inline(always)]
    pub fn at(address: u64) -> Self {
        Self(core::ptr::without_provenance(address as usize))
    }

    /// Its base name, a pointer for `bpf_probe_read_kernel_str`; null where it cannot be read.
    #[inline(always)]
    pub fn name(self) -> *const c_void {
        probed_pointer(self.0, &at::DENTRY_D_NAME_NAME)
    }

    /// The directory it lies in; the root of a file system lies in itself.
    #[inline(always)]
    pub fn parent(self) -> Self {
        Self(probed_pointer(self.0, &at::DENTRY_D_PARENT))
    }
}

impl AnyTask {
    /// Process id.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        probed(self.0, &at::TASK_TGID)
    }

    /// The parent's group leader.
    #[inline(always)]
    pub fn parent(self) -> Self {
        let parent = probed_pointer(self.0, &at::TASK_REAL_PARENT);
        Self(probed_pointer(parent, &at::TASK_GROUP_LEADER))
    }

    /// `comm`.
    #[inline(always)]
    pub fn comm(self) -> [u8; 16] {
        probed(self.0, &at::TASK_COMM)
    }

    /// When the process was started.
    #[inline(always)]
    pub fn start_boot_ns(self) -> u64 {
        probed(
            probed_pointer(self.0, &at::TASK_GROUP_LEADER),
            &at::TASK_START_BOOTTIME,
        )
    }

    /// Real and effective user id.
    #[inline(always)]
    pub fn uids(self) -> (u32, u32) {
        let cred = probed_pointer(self.0, &at::TASK_CRED);
        (probed(cred, &at::CRED_UID), probed(cred, &at::CRED_EUID))
    }

    /// Login user id.
    #[inline(always)]
    pub fn login_uid(self) -> u32 {
        if offset(&at::TASK_LOGINUID) == ABSENT {
            NOT_SET
        } else {
            probed(self.0, &at::TASK_LOGINUID)
        }
    }

    /// Audit session id.
    #[inline(always)]
    pub fn session(self) -> u32 {
        if offset(&at::TASK_SESSIONID) == ABSENT {
            NOT_SET
        } else {
            probed(self.0, &at::TASK_SESSIONID)
        }
    }

    /// dev_t of the controlling terminal, 0 without one (drivers/tty/tty_io.c `tty_devnum`).
    #[inline(always)]
    pub fn terminal(self) -> u32 {
        let tty = probed_pointer(probed_pointer(self.0, &at::TASK_SIGNAL), &at::SIGNAL_TTY);
        if tty.is_null() {
            return 0;
        }
        let driver = probed_pointer(tty, &at::TTY_DRIVER);
        let minor: u32 = probed::<u32>(driver, &at::TTY_DRIVER_MINOR_START)
            .wrapping_add(probed(tty, &at::TTY_INDEX));
        guard_abi::dev::make(probed(driver, &at::TTY_DRIVER_MAJOR), minor)
    }

    /// Start and end of the command line in user memory; empty for a kernel thread.
    #[inline(always)]
    pub fn command_line(self) -> (u64, u64) {
        let mm = probed_pointer(self.0, &at::TASK_MM);
        (probed(mm, &at::MM_ARG_START), probed(mm, &at::MM_ARG_END))
    }

    /// Identity of the executable file, and a pointer to its base name.
    #[inline(always)]
    pub fn executable(self) -> (ExeId, *const c_void) {
        let file = probed_pointer(probed_pointer(self.0, &at::TASK_MM), &at::MM_EXE_FILE);
        let inode = probed_pointer(file, &at::FILE_F_INODE);
        let block = probed_pointer(inode, &at::INODE_I_SB);
        let dentry = probed_pointer(file, &at::FILE_F_PATH_DENTRY);
        let id = ExeId {
            ino: probed(inode, &at::INODE_I_INO),
            dev: probed(block, &at::SUPER_BLOCK_S_DEV),
            reserved: 0,
        };
        (id, probed_pointer(dentry, &at::DENTRY_D_NAME_NAME))
    }
}
