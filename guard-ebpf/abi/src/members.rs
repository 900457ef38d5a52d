//! The kernel members that the BPF programs read, with the symbol that carries each offset.
//!
//! rustc emits no CO-RE relocations, so the loader looks every member up in the running kernel's
//! BTF, recursing into anonymous structs and unions, and writes its byte offset into the program's
//! read-only data and instructions. A required member that is missing stops the loader, by name.

/// What the loader does when the member does not exist in the running kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Refuse to start.
    Required,
    /// Write [`ABSENT`]; the program takes another way.
    Optional,
}

/// Offset of a member that the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Symbol of a constant beside the offsets: 1 where the security programs are attached by
/// `fmod_ret` to the functions that call the modules, 0 where they are LSM programs. Some functions
/// have other arguments than the hook behind them.
pub const ON_FMOD_RET: &str = "ON_FMOD_RET";

/// Symbol of a constant beside the offsets: number of the mount namespace of process 1.
pub const HOST_MOUNT_NAMESPACE: &str = "HOST_MOUNT_NAMESPACE";

/// One member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Symbol in the object's read-only data, a `u32`.
    pub symbol: &'static str,
    /// Struct name in BTF.
    pub of: &'static str,
    /// Member name; a dotted path where the member lies inside a named struct.
    pub path: &'static str,
    /// What to do when it is missing.
    pub need: Need,
}

macro_rules! members {
    ($($symbol:ident: $of:literal . $path:literal $need:ident,)+) => {
        /// Every member, in the order of the kernel's own headers.
        pub const MEMBERS: &[Member] = &[
            $(Member { symbol: stringify!($symbol), of: $of, path: $path, need: Need::$need },)+
        ];
    };
}

members! {
    // include/linux/fs.h
    FILE_F_INODE: "file"."f_inode" Required,
    FILE_F_MODE: "file"."f_mode" Required,
    FILE_F_FLAGS: "file"."f_flags" Required,
    FILE_F_PATH_DENTRY: "file"."f_path.dentry" Required,
    INODE_I_MODE: "inode"."i_mode" Required,
    INODE_I_RDEV: "inode"."i_rdev" Required,
    INODE_I_INO: "inode"."i_ino" Required,
    INODE_I_SB: "inode"."i_sb" Required,
    INODE_I_GENERATION: "inode"."i_generation" Required,
    SUPER_BLOCK_S_DEV: "super_block"."s_dev" Required,
    SUPER_BLOCK_S_MAGIC: "super_block"."s_magic" Required,
    PATH_DENTRY: "path"."dentry" Required,
    // include/linux/dcache.h
    DENTRY_D_NAME_NAME: "dentry"."d_name.name" Required,
    DENTRY_D_PARENT: "dentry"."d_parent" Required,
    DENTRY_D_INODE: "dentry"."d_inode" Required,
    // include/linux/io_uring*.h: `cmd` up to 6.4, `sqe` after
    IO_URING_CMD_FILE: "io_uring_cmd"."file" Optional,
    IO_URING_CMD_CMD_OP: "io_uring_cmd"."cmd_op" Optional,
    IO_URING_CMD_CMD: "io_uring_cmd"."cmd" Optional,
    IO_URING_CMD_SQE: "io_uring_cmd"."sqe" Optional,
    IO_URING_SQE_CMD: "io_uring_sqe"."cmd" Optional,
    // include/linux/blk_types.h, include/linux/blkdev.h
    BLOCK_DEVICE_BD_DISK: "block_device"."bd_disk" Optional,
    BLOCK_DEVICE_BD_DEV: "block_device"."bd_dev" Optional,
    GENDISK_PART0: "gendisk"."part0" Optional,
    BLOCK_DEVICE_BD_HOLDERS: "block_device"."bd_holders" Optional,
    // from 6.5 on
    BLOCK_DEVICE_BD_HOLDER_OPS: "block_device"."bd_holder_ops" Optional,
    // up to 5.10; there `part0` is no block device
    BLOCK_DEVICE_BD_CONTAINS: "block_device"."bd_contains" Optional,
    // include/linux/sched.h
    TASK_MM: "task_struct"."mm" Required,
    TASK_TGID: "task_struct"."tgid" Required,
    TASK_PID: "task_struct"."pid" Required,
    TASK_REAL_PARENT: "task_struct"."real_parent" Required,
    TASK_GROUP_LEADER: "task_struct"."group_leader" Required,
    TASK_START_BOOTTIME: "task_struct"."start_boottime" Required,
    TASK_COMM: "task_struct"."comm" Required,
    TASK_SIGNAL: "task_struct"."signal" Required,
    TASK_CRED: "task_struct"."cred" Required,
    TASK_LOGINUID: "task_struct"."loginuid" Optional,
    TASK_SESSIONID: "task_struct"."sessionid" Optional,
    TASK_THREAD_PID: "task_struct"."thread_pid" Optional,
    // include/linux/pid.h
    PID_LEVEL: "pid"."level" Optional,
    TASK_PTRACE: "task_struct"."ptrace" Required,
    TASK_FILES: "task_struct"."files" Required,
    // include/linux/fdtable.h
    FILES_FDT: "files_struct"."fdt" Required,
    FDTABLE_MAX_FDS: "fdtable"."max_fds" Required,
    FDTABLE_FD: "fdtable"."fd" Required,
    FILE_PRIVATE_DATA: "file"."private_data" Required,
    // include/linux/bpf.h
    BPF_MAP_ID: "bpf_map"."id" Required,
    BPF_LINK_ID: "bpf_link"."id" Required,
    TASK_FLAGS: "task_struct"."flags" Required,
    TASK_STACK: "task_struct"."stack" Required,
    TASK_CGROUPS: "task_struct"."cgroups" Optional,
    // arch/x86/include/asm/thread_info.h; it lies in the task
    TASK_THREAD_STATUS: "task_struct"."thread_info.status" Optional,
    // include/linux/cgroup-defs.h, include/linux/kernfs.h
    CSS_SET_DFL_CGRP: "css_set"."dfl_cgrp" Optional,
    CGROUP_KN: "cgroup"."kn" Optional,
    KERNFS_NODE_ID: "kernfs_node"."id" Optional,
    // arch/x86/include/asm/ptrace.h
    REGS_ORIG_AX: "pt_regs"."orig_ax" Optional,
    REGS_DI: "pt_regs"."di" Optional,
    REGS_SI: "pt_regs"."si" Optional,
    REGS_DX: "pt_regs"."dx" Optional,
    REGS_R10: "pt_regs"."r10" Optional,
    REGS_R8: "pt_regs"."r8" Optional,
    REGS_BX: "pt_regs"."bx" Optional,
    REGS_CX: "pt_regs"."cx" Optional,
    REGS_CS: "pt_regs"."cs" Optional,
    REGS_SS: "pt_regs"."ss" Optional,
    // include/linux/cred.h
    CRED_UID: "cred"."uid" Required,
    CRED_EUID: "cred"."euid" Required,
    // include/linux/sched/signal.h
    SIGNAL_LIVE: "signal_struct"."live" Required,
    SIGNAL_TTY: "signal_struct"."tty" Required,
    // include/linux/tty.h, include/linux/tty_driver.h
    TTY_INDEX: "tty_struct"."index" Required,
    TTY_DRIVER: "tty_struct"."driver" Required,
    TTY_DRIVER_MAJOR: "tty_driver"."major" Required,
    TTY_DRIVER_MINOR_START: "tty_driver"."minor_start" Required,
    // include/linux/mm_types.h
    VM_AREA_VM_FLAGS: "vm_area_struct"."vm_flags" Optional,
    VM_AREA_VM_FILE: "vm_area_struct"."vm_file" Required,
    MM_ARG_START: "mm_struct"."arg_start" Required,
    MM_ARG_END: "mm_struct"."arg_end" Required,
    MM_EXE_FILE: "mm_struct"."exe_file" Required,
    // include/linux/binfmts.h
    BINPRM_FILE: "linux_binprm"."file" Required,
    BINPRM_FILENAME: "linux_binprm"."filename" Required,
    BINPRM_INTERP: "linux_binprm"."interp" Required,
    // include/linux/mount.h, include/linux/nsproxy.h, fs/mount.h
    VFSMOUNT_MNT_ROOT: "vfsmount"."mnt_root" Required,
    PATH_MNT: "path"."mnt" Required,
    MOUNT_MNT: "mount"."mnt" Required,
    MOUNT_MNT_NS: "mount"."mnt_ns" Required,
    MOUNT_MNT_PARENT: "mount"."mnt_parent" Required,
    MOUNT_MNT_GROUP_ID: "mount"."mnt_group_id" Required,
    MOUNT_MNT_MASTER: "mount"."mnt_master" Required,
    TASK_NSPROXY: "task_struct"."nsproxy" Required,
    NSPROXY_MNT_NS: "nsproxy"."mnt_ns" Required,
    MNT_NAMESPACE_INUM: "mnt_namespace"."ns.inum" Required,
}

/// Direct loads bear in the place of the offset, 16 bits of the instruction, a number from here on:
/// [`marker`]. Nothing else that a program loads lies so far from where its pointer points.
const MARKERS: usize = 0x7000;
/// Apart by this, so that loads of every size look aligned to the compiler.
const APART: usize = 8;

const _: () = assert!(MARKERS + MEMBERS.len() * APART < i16::MAX as usize);

/// What stands in the object in the place of the offset of the member of this symbol. The loader
/// writes the offset there: a load is then one instruction. (As a constant in read-only data it would
/// be four, in each of the loads of each open of a file.)
///
/// # Panics
/// Where there is no such member: the programs do not compile.
pub const fn marker(symbol: &str) -> usize {
    let mut at = 0;
    while at < MEMBERS.len() {
        if same(MEMBERS[at].symbol.as_bytes(), symbol.as_bytes()) {
            return MARKERS + at * APART;
        }
        at += 1;
    }
    panic!("no such member")
}

/// The member that a 16-bit offset in the object stands for.
pub fn marked(offset: i16) -> Option<&'static Member> {
    let above = usize::try_from(offset).ok()?.checked_sub(MARKERS)?;
    let whole = above.is_multiple_of(APART);
    MEMBERS.get(above / APART).filter(|_| whole)
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}
