//! Members that decisions rest on.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use guard_abi::ExeId;
use guard_abi::members::ABSENT;

use super::offsets::{self as at, member};
use super::{
    Binprm, BlockDevice, BpfAttr, Dentry, File, Inode, Path, Task, UringCmd, VfsMount, VmArea,
    direct, negative, offset, settled,
};

impl File {
    /// `file->f_inode`.
    #[inline(always)]
    pub fn inode(self) -> Inode {
        Inode(direct(self.0, member::FILE_F_INODE))
    }

    /// `file->f_mode`.
    #[inline(always)]
    pub fn mode(self) -> u32 {
        direct(self.0, member::FILE_F_MODE)
    }

    /// `file->f_flags`.
    #[inline(always)]
    pub fn flags(self) -> u32 {
        direct(self.0, member::FILE_F_FLAGS)
    }

    /// The directory entry it was opened by: `file->f_path.dentry`.
    #[inline(always)]
    pub fn dentry(self) -> Dentry {
        Dentry(direct(self.0, member::FILE_F_PATH_DENTRY))
    }

    /// Base name of the path it was opened by: `file->f_path.dentry->d_name.name`, a pointer for
    /// `bpf_probe_read_kernel_str`.
    #[inline(always)]
    pub fn name(self) -> *const c_void {
        let dentry: *const c_void = direct(self.0, member::FILE_F_PATH_DENTRY);
        direct(dentry, member::DENTRY_D_NAME_NAME)
    }
}

impl Inode {
    /// `inode->i_mode`.
    #[inline(always)]
    pub fn mode(self) -> u16 {
        direct(self.0, member::INODE_I_MODE)
    }

    /// `inode->i_rdev`.
    #[inline(always)]
    pub fn rdev(self) -> u32 {
        direct(self.0, member::INODE_I_RDEV)
    }

    /// Identity of the file.
    #[inline(always)]
    pub fn id(self) -> ExeId {
        let block: *const c_void = direct(self.0, member::INODE_I_SB);
        ExeId {
            ino: direct(self.0, member::INODE_I_INO),
            dev: direct(block, member::SUPER_BLOCK_S_DEV),
            reserved: 0,
        }
    }
}

impl Inode {
    /// `inode->i_ino`.
    #[inline(always)]
    pub fn number(self) -> u64 {
        direct(self.0, member::INODE_I_INO)
    }

    /// `inode->i_sb->s_dev`.
    #[inline(always)]
    pub fn superblock_dev(self) -> u32 {
        let block: *const c_void = direct(self.0, member::INODE_I_SB);
        direct(block, member::SUPER_BLOCK_S_DEV)
    }

    /// `inode->i_sb->s_magic`.
    #[inline(always)]
    pub fn superblock_magic(self) -> u64 {
        let block: *const c_void = direct(self.0, member::INODE_I_SB);
        direct(block, member::SUPER_BLOCK_S_MAGIC)
    }
}

impl Inode {
    /// `inode->i_generation`: another for each file that gets the number.
    #[inline(always)]
    pub fn generation(self) -> u32 {
        direct(self.0, member::INODE_I_GENERATION)
    }
}

impl VfsMount {
    /// What is mounted: `mnt->mnt_root`.
    #[inline(always)]
    pub fn root(self) -> Dentry {
        Dentry(direct(self.0, member::VFSMOUNT_MNT_ROOT))
    }
}

impl Path {
    /// `path->mnt`.
    #[inline(always)]
    pub fn mount(self) -> VfsMount {
        VfsMount(direct(self.0, member::PATH_MNT))
    }

    /// `path->dentry`.
    #[inline(always)]
    pub fn dentry(self) -> Dentry {
        Dentry(direct(self.0, member::PATH_DENTRY))
    }
}

impl Dentry {
    /// `dentry->d_inode`; `None` where the name does not exist yet.
    #[inline(always)]
    pub fn inode(self) -> Option<Inode> {
        let inode: *const c_void = direct(self.0, member::DENTRY_D_INODE);
        // Up to Linux 6.17 the verifier believes that there always is one, and takes the first
        // comparison out; later ones ask for it.
        (!inode.is_null() && negative(inode) != 0).then_some(Inode(inode))
    }

    /// `dentry->d_parent`.
    #[inline(always)]
    pub fn parent(self) -> Self {
        Self(direct(self.0, member::DENTRY_D_PARENT))
    }

    /// Its base name, a pointer for `bpf_probe_read_kernel_str`.
    #[inline(always)]
    pub fn name(self) -> *const c_void {
        direct(self.0, member::DENTRY_D_NAME_NAME)
    }
}

impl BpfAttr {
    /// The 32-bit word at byte `at` of `union bpf_attr`, whose layout is an interface
    /// (include/uapi/linux/bpf.h).
    #[inline(always)]
    pub fn word(self, at: usize) -> u32 {
        // SAFETY: as for `direct`: no program in which it is not safe can run.
        unsafe { core::ptr::read_volatile(self.0.byte_add(at).cast::<u32>()) }
    }
}

impl UringCmd {
    /// `ioucmd->file`.
    #[inline(always)]
    pub fn file(self) -> File {
        File(direct(self.0, member::IO_URING_CMD_FILE))
    }

    /// `ioucmd->cmd_op`.
    #[inline(always)]
    pub fn operation(self) -> u32 {
        direct(self.0, member::IO_URING_CMD_CMD_OP)
    }

    /// First byte of the command: `ioucmd->sqe->cmd`, up to 6.4 `ioucmd->cmd`.
    #[inline(always)]
    pub fn first_byte(self) -> Option<u8> {
        if offset(&at::IO_URING_CMD_SQE) != ABSENT {
            let sqe: *const c_void = direct(self.0, member::IO_URING_CMD_SQE);
            return Some(direct(sqe, member::IO_URING_SQE_CMD));
        }
        if offset(&at::IO_URING_CMD_CMD) == ABSENT {
            return None;
        }
        // `const void *`: its pointee has no type to load by. A failure refuses.
        let command: *const u8 = direct(self.0, member::IO_URING_CMD_CMD);
        // SAFETY: the helper checks the address itself.
        unsafe { bpf_probe_read_kernel(command).ok() }
    }
}

impl BlockDevice {
    /// The whole disk: `bdev->bd_contains`, from 5.11 on `bdev->bd_disk->part0`.
    #[inline(always)]
    pub fn whole(self) -> Option<Self> {
        if offset(&at::BLOCK_DEVICE_BD_CONTAINS) != ABSENT {
            let whole = direct(self.0, member::BLOCK_DEVICE_BD_CONTAINS);
            return Some(Self(settled(whole)));
        }
        if offset(&at::BLOCK_DEVICE_BD_DISK) == ABSENT || offset(&at::GENDISK_PART0) == ABSENT {
            return None;
        }
        let disk: *const c_void = direct(self.0, member::BLOCK_DEVICE_BD_DISK);
        Some(Self(direct(disk, member::GENDISK_PART0)))
    }

    /// Whether [`whole`](Self::whole) works for a device that nobody has open.
    #[inline(always)]
    pub fn is_told_of_its_disk() -> bool {
        offset(&at::BLOCK_DEVICE_BD_CONTAINS) == ABSENT
    }

    /// Whether an open claims by `FMODE_EXCL`, and not by naming its holder: the operations of
    /// holders came with that (6.5).
    #[inline(always)]
    pub fn is_claimed_by_mode() -> bool {
        offset(&at::BLOCK_DEVICE_BD_HOLDER_OPS) == ABSENT
    }

    /// `bdev->bd_dev`.
    #[inline(always)]
    pub fn dev(self) -> Option<u32> {
        (offset(&at::BLOCK_DEVICE_BD_DEV) != ABSENT)
            .then(|| direct(self.0, member::BLOCK_DEVICE_BD_DEV))
    }

    /// `bdev->bd_holders`: claims on it. Of a whole disk, those on its partitions count too, and its
    /// own count twice (block/bdev.c `bd_finish_claiming`).
    #[inline(always)]
    pub fn holders(self) -> Option<i32> {
        (offset(&at::BLOCK_DEVICE_BD_HOLDERS) != ABSENT)
            .then(|| direct(self.0, member::BLOCK_DEVICE_BD_HOLDERS))
    }
}

impl Binprm {
    /// The file that is executed; of a script, its interpreter.
    #[inline(always)]
    pub fn file(self) -> File {
        File(direct(self.0, member::BINPRM_FILE))
    }

    /// What execve(2) was given, before any interpreter has taken its place: fs/exec.c
    /// `alloc_bprm` makes the two names one, and `bprm_change_interp` another of the second.
    #[inline(always)]
    pub fn is_first(self) -> bool {
        let given: usize = direct(self.0, member::BINPRM_FILENAME);
        let interpreter: usize = direct(self.0, member::BINPRM_INTERP);
        given == interpreter
    }
}

impl VmArea {
    /// `vma->vm_flags & VM_SHARED` (include/linux/mm.h): stores reach the file. Where the kernel
    /// keeps the flags elsewhere, every mapping counts as shared.
    #[inline(always)]
    pub fn is_shared(self) -> bool {
        const VM_SHARED: u64 = 8;
        if offset(&at::VM_AREA_VM_FLAGS) == ABSENT {
            return true;
        }
        direct::<u64>(self.0, member::VM_AREA_VM_FLAGS) & VM_SHARED != 0
    }

    /// `vma->vm_file`; `None` for memory without a file.
    #[inline(always)]
    pub fn file(self) -> Option<File> {
        let file: *const c_void = direct(self.0, member::VM_AREA_VM_FILE);
        (!file.is_null()).then_some(File(file))
    }
}

impl Task {
    /// Process id.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        direct(self.0, member::TASK_TGID)
    }

    /// Thread id.
    #[inline(always)]
    pub fn pid(self) -> u32 {
        direct(self.0, member::TASK_PID)
    }

    /// Process id of the parent.
    #[inline(always)]
    pub fn parent_tgid(self) -> u32 {
        let parent: *const c_void = direct(self.0, member::TASK_REAL_PARENT);
        direct(parent, member::TASK_TGID)
    }

    /// When the process was started.
    #[inline(always)]
    pub fn start_boot_ns(self) -> u64 {
        let leader: *const c_void = direct(self.0, member::TASK_GROUP_LEADER);
        direct(leader, member::TASK_START_BOOTTIME)
    }

    /// Threads of the process that have not ended: `task->signal->live`.
    #[inline(always)]
    pub fn live_threads(self) -> u32 {
        let signal: *const c_void = direct(self.0, member::TASK_SIGNAL);
        direct(signal, member::SIGNAL_LIVE)
    }

    /// Start and end of the command line in user memory; empty for a kernel thread.
    #[inline(always)]
    pub fn command_line(self) -> (u64, u64) {
        let mm: *const c_void = direct(self.0, member::TASK_MM);
        (
            direct(mm, member::MM_ARG_START),
            direct(mm, member::MM_ARG_END),
        )
    }

    /// Whether it is traced: `task->ptrace`, include/linux/ptrace.h `PT_PTRACED`.
    #[inline(always)]
    pub fn is_traced(self) -> bool {
        direct::<u32>(self.0, member::TASK_PTRACE) != 0
    }

    /// Where `comm` stands, a pointer for `bpf_probe_read_kernel_str`.
    #[inline(always)]
    pub fn comm_name(self) -> *const c_void {
        self.0.wrapping_byte_add(offset(&at::TASK_COMM) as usize)
    }
}
