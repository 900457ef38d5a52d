//! Members for the audit record, and one that a decision asks for: where it cannot be read, the
//! decision is the stricter one.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::helpers::generated::bpf_get_current_task;
use guard_abi::members::ABSENT;
use guard_abi::{BpfObject, BpfObjectKind, ExeId};

use super::offsets as at;
use super::{
    AnyDentry, AnyHolder, AnyTask, S_IFBLK, S_IFMT, VfsMount, offset, probed, probed_pointer,
};

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

impl AnyHolder {
    /// Whether it is the file of a program that opens this block device: block/fops.c `blkdev_open`
    /// (before 5.11 fs/block_dev.c) claims a device with the file itself. Of anything else, what
    /// stands at these places leads to no number of the same device.
    #[inline(always)]
    pub fn is_open_file_of(self, number: u32) -> bool {
        let inode = probed_pointer(self.0, &at::FILE_F_INODE);
        let mode: u16 = probed(inode, &at::INODE_I_MODE);
        let device: u32 = probed(inode, &at::INODE_I_RDEV);
        mode & S_IFMT == S_IFBLK && device == number
    }
}

impl AnyTask {
    /// The thread that runs.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: a helper without arguments.
        Self(unsafe { bpf_get_current_task() } as *const c_void)
    }

    /// How deep its pid namespace lies below the first one (kernel/pid.c `task_active_pid_ns`).
    /// 0, the first itself, where it cannot be read.
    #[inline(always)]
    pub fn pid_namespace_level(self) -> u32 {
        probed(probed_pointer(self.0, &at::TASK_THREAD_PID), &at::PID_LEVEL)
    }

    /// Process id.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        probed(self.0, &at::TASK_TGID)
    }

    /// A thread of the kernel's own. Up to Linux 5.11 io_uring's workers are such threads too, and
    /// they write for a user (`PF_IO_WORKER`, include/linux/sched.h). A load that fails says no.
    #[inline(always)]
    pub fn is_kernel_thread(self) -> bool {
        const PF_IO_WORKER: u32 = 0x10;
        const PF_KTHREAD: u32 = 0x0020_0000;
        let flags: u32 = probed(self.0, &at::TASK_FLAGS);
        flags & PF_KTHREAD != 0 && flags & PF_IO_WORKER == 0
    }

    /// Thread id.
    #[inline(always)]
    pub fn tid(self) -> u32 {
        probed(self.0, &at::TASK_PID)
    }

    /// cgroup v2 id: `task->cgroups->dfl_cgrp->kn->id` (include/linux/cgroup.h `cgroup_id`).
    #[inline(always)]
    pub fn cgroup_id(self) -> u64 {
        let set = probed_pointer(self.0, &at::TASK_CGROUPS);
        let cgroup = probed_pointer(set, &at::CSS_SET_DFL_CGRP);
        probed(probed_pointer(cgroup, &at::CGROUP_KN), &at::KERNFS_NODE_ID)
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

    /// The BPF object behind a descriptor of the process: its number, by where that stands in the
    /// object. A descriptor of anything else gives some number.
    ///
    /// The one decision that rests on probed loads, because no typed pointer leads from a
    /// descriptor to its file. Members that are not where they should be would let everything
    /// pass: the controller proves the way with a map of its own (`canary`).
    #[inline(always)]
    pub fn bpf_object(self, descriptor: u32, kind: BpfObjectKind) -> Option<BpfObject> {
        let files = probed_pointer(self.0, &at::TASK_FILES);
        let table = probed_pointer(files, &at::FILES_FDT);
        if descriptor >= probed::<u32>(table, &at::FDTABLE_MAX_FDS) {
            return None;
        }
        let slots = probed_pointer(table, &at::FDTABLE_FD);
        let slot = slots.wrapping_byte_add(descriptor as usize * size_of::<usize>());
        // SAFETY: the helper checks the address itself.
        let file = unsafe { bpf_probe_read_kernel(slot.cast::<usize>()) }.ok()?;
        let file: *const c_void = core::ptr::without_provenance(file);
        let object = probed_pointer(file, &at::FILE_PRIVATE_DATA);
        let id = match kind {
            BpfObjectKind::Map => probed(object, &at::BPF_MAP_ID),
            BpfObjectKind::Link => probed(object, &at::BPF_LINK_ID),
        };
        Some(BpfObject::new(kind, id))
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

/// Mount namespaces. Decisions rest on these too, and cannot be had by direct loads: the helper that
/// gives the current task to the verifier is missing on 5.10, and `struct mount` lies around the
/// `vfsmount` that hooks are given. What cannot be read counts as the host's own.
impl AnyTask {
    /// The mount namespace, as a number.
    #[inline(always)]
    pub fn mount_namespace(self) -> u64 {
        let nsproxy = probed_pointer(self.0, &at::TASK_NSPROXY);
        probed(nsproxy, &at::NSPROXY_MNT_NS)
    }

    /// Whether its mount namespace is that of process 1.
    #[inline(always)]
    pub fn is_in_host_mount_namespace(self) -> bool {
        let namespace = core::ptr::without_provenance(self.mount_namespace() as usize);
        let inum: u32 = probed(namespace, &at::MNT_NAMESPACE_INUM);
        // SAFETY: a reference to a static. Volatile: the compiler must not believe what stands
        // there.
        let host = unsafe { (&raw const at::HOST_MOUNT_NAMESPACE).read_volatile() };
        inum == 0 || inum == host
    }
}

#[inline(always)]
fn propagates(mount: *const c_void) -> bool {
    let group: u32 = probed(mount, &at::MOUNT_MNT_GROUP_ID);
    let master: u64 = probed(mount, &at::MOUNT_MNT_MASTER);
    group != 0 && master == 0
}

impl VfsMount {
    /// The mount namespace that it is attached in, as [`AnyTask::mount_namespace`]; another or 0
    /// for a mount that is not attached, such as a copy that open_tree(2) has made.
    #[inline(always)]
    pub fn namespace(self) -> u64 {
        probed(self.around(), &at::MOUNT_MNT_NS)
    }

    /// Whether what is mounted on it appears in the host's mount namespace, too: it has peers and
    /// receives from nobody (fs/pnode.h `IS_MNT_SHARED`, `IS_MNT_SLAVE`), as the host's own mounts
    /// and their copies in a namespace that was not told otherwise (mount_namespaces(7)). A service
    /// manager and container engines make theirs private, or slaves first and shared then.
    #[inline(always)]
    pub fn propagates(self) -> bool {
        propagates(self.around())
    }

    /// The same of the mount that it is mounted on: whether it is unmounted there, too.
    #[inline(always)]
    pub fn is_mounted_on_one_that_propagates(self) -> bool {
        propagates(probed_pointer(self.around(), &at::MOUNT_MNT_PARENT))
    }

    /// `container_of(mnt, struct mount, mnt)`.
    #[inline(always)]
    fn around(self) -> *const c_void {
        let mount = (self.0 as u64).wrapping_sub(u64::from(offset(&at::MOUNT_MNT)));
        core::ptr::without_provenance(mount as usize)
    }
}
