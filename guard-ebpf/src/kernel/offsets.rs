//! The offsets that the loader writes into read-only data, under the names that
//! [`guard_abi::members`] explains. Every name of that table must be here, or nothing loads.

use guard_abi::members::ABSENT;

macro_rules! offsets {
    ($($name:ident)+) => {
        $(
            #[unsafe(no_mangle)]
            pub(super) static $name: u32 = ABSENT;
        )+
    };
}

offsets! {
    FILE_F_INODE FILE_F_MODE FILE_F_FLAGS FILE_F_PATH_DENTRY
    INODE_I_MODE INODE_I_RDEV INODE_I_INO INODE_I_SB SUPER_BLOCK_S_DEV SUPER_BLOCK_S_MAGIC
    PATH_DENTRY DENTRY_D_NAME_NAME DENTRY_D_PARENT DENTRY_D_INODE
    IO_URING_CMD_FILE IO_URING_CMD_CMD_OP IO_URING_CMD_CMD IO_URING_CMD_SQE IO_URING_SQE_CMD
    BLOCK_DEVICE_BD_DISK BLOCK_DEVICE_BD_DEV GENDISK_PART0
    TASK_MM TASK_TGID TASK_PID TASK_REAL_PARENT TASK_GROUP_LEADER TASK_START_BOOTTIME TASK_COMM
    TASK_SIGNAL TASK_CRED TASK_LOGINUID TASK_SESSIONID
    CRED_UID CRED_EUID SIGNAL_LIVE SIGNAL_TTY
    TTY_INDEX TTY_DRIVER TTY_DRIVER_MAJOR TTY_DRIVER_MINOR_START
    MM_ARG_START MM_ARG_END MM_EXE_FILE BINPRM_FILE
}

/// See [`guard_abi::members::ON_FMOD_RET`].
#[unsafe(no_mangle)]
pub(super) static ON_FMOD_RET: u32 = 0;
