//! The offsets that the loader writes into read-only data, under the names that
//! [`guard_abi::members`] explains. Every name of that table must be here, or nothing loads.

use guard_abi::members::ABSENT;

macro_rules! offsets {
    ($($name:ident)+) => {
        $(
            #[unsafe(no_mangle)]
            pub(super) static $name: u32 = ABSENT;
        )+

        /// What direct loads have in the place of an offset: [`guard_abi::members::marker`].
        #[allow(dead_code, reason = "of some members there are probed loads alone")]
        pub(super) mod member {
            $(pub const $name: usize = guard_abi::members::marker(stringify!($name));)+
        }
    };
}

offsets! {
    FILE_F_INODE FILE_F_MODE FILE_F_FLAGS FILE_F_PATH_DENTRY INODE_I_MODE INODE_I_RDEV
    INODE_I_INO INODE_I_SB INODE_I_GENERATION SUPER_BLOCK_S_DEV SUPER_BLOCK_S_MAGIC PATH_DENTRY
    DENTRY_D_NAME_NAME DENTRY_D_PARENT DENTRY_D_INODE IO_URING_CMD_FILE IO_URING_CMD_CMD_OP
    IO_URING_CMD_CMD IO_URING_CMD_SQE IO_URING_SQE_CMD BLOCK_DEVICE_BD_DISK BLOCK_DEVICE_BD_DEV
    GENDISK_PART0 BLOCK_DEVICE_BD_HOLDERS BLOCK_DEVICE_BD_CONTAINS BLOCK_DEVICE_BD_HOLDER_OPS
    TASK_MM TASK_TGID TASK_PID TASK_REAL_PARENT TASK_GROUP_LEADER
    TASK_START_BOOTTIME TASK_COMM TASK_SIGNAL TASK_CRED TASK_LOGINUID TASK_SESSIONID TASK_FLAGS
    TASK_STACK TASK_CGROUPS TASK_THREAD_STATUS CSS_SET_DFL_CGRP CGROUP_KN KERNFS_NODE_ID
    REGS_ORIG_AX REGS_DI REGS_SI REGS_DX REGS_R10 REGS_R8 REGS_BX REGS_CX REGS_CS REGS_SS CRED_UID CRED_EUID
    SIGNAL_LIVE SIGNAL_TTY TASK_PTRACE TASK_FILES FILES_FDT FDTABLE_MAX_FDS FDTABLE_FD
    FILE_PRIVATE_DATA BPF_MAP_ID BPF_LINK_ID TTY_INDEX TTY_DRIVER TTY_DRIVER_MAJOR
    TTY_DRIVER_MINOR_START VM_AREA_VM_FLAGS VM_AREA_VM_FILE TASK_THREAD_PID PID_LEVEL
    MM_ARG_START MM_ARG_END MM_EXE_FILE
    BINPRM_FILE BINPRM_FILENAME BINPRM_INTERP VFSMOUNT_MNT_ROOT PATH_MNT MOUNT_MNT MOUNT_MNT_NS
    MOUNT_MNT_PARENT MOUNT_MNT_GROUP_ID MOUNT_MNT_MASTER TASK_NSPROXY NSPROXY_MNT_NS
    MNT_NAMESPACE_INUM
}

/// See [`guard_abi::members::ON_FMOD_RET`].
#[unsafe(no_mangle)]
pub(super) static ON_FMOD_RET: u32 = 0;

/// See [`guard_abi::members::HOST_MOUNT_NAMESPACE`].
#[unsafe(no_mangle)]
pub(super) static HOST_MOUNT_NAMESPACE: u32 = 0;
