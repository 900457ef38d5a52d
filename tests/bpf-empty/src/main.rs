//! BPF programs on every hook that dbguard has all the time, which return at once. What a guarded
//! host costs above them is dbguard's own.
//!
//! A hook of the security modules has one for each route; the section says which one it is for.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

/// On any other target there is nothing to run.
#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
mod programs {
    use core::ffi::c_void;

    macro_rules! empty {
        ($($name:ident $section:expr,)+) => {
            $(
                #[unsafe(no_mangle)]
                #[unsafe(link_section = $section)]
                extern "C" fn $name(_: *mut c_void) -> i32 {
                    0
                }
            )+
        };
    }

    macro_rules! security {
        ($($on_lsm:ident $on_fmod_ret:ident $hook:literal,)+) => {
            $(
                empty! {
                    $on_lsm concat!("lsm/", $hook),
                    $on_fmod_ret concat!("fmod_ret/security_", $hook),
                }
            )+
        };
    }

    security! {
        file_open r_file_open "file_open",
        file_ioctl r_file_ioctl "file_ioctl",
        file_ioctl_compat r_file_ioctl_compat "file_ioctl_compat",
        uring_cmd r_uring_cmd "uring_cmd",
        inode_create r_inode_create "inode_create",
        inode_mkdir r_inode_mkdir "inode_mkdir",
        inode_mknod r_inode_mknod "inode_mknod",
        inode_symlink r_inode_symlink "inode_symlink",
        inode_link r_inode_link "inode_link",
        inode_unlink r_inode_unlink "inode_unlink",
        inode_rmdir r_inode_rmdir "inode_rmdir",
        inode_rename r_inode_rename "inode_rename",
        bpf r_bpf "bpf",
        ptrace_access_check r_ptrace_access_check "ptrace_access_check",
        task_kill r_task_kill "task_kill",
        path_truncate r_path_truncate "path_truncate",
        sb_mount r_sb_mount "sb_mount",
        move_mount r_move_mount "move_mount",
        sb_umount r_sb_umount "sb_umount",
        sb_pivotroot r_sb_pivotroot "sb_pivotroot",
        capable r_capable "capable",
        locked_down r_locked_down "locked_down",
    }

    empty! {
        sched_process_exec "tp_btf/sched_process_exec",
        sched_process_fork "tp_btf/sched_process_fork",
        sched_process_exit "tp_btf/sched_process_exit",
        bdev_add "fentry/bdev_add",
        bd_prepare_to_claim "fentry/bd_prepare_to_claim",
        bd_abort_claiming "fentry/bd_abort_claiming",
        bd_end_claim "fentry/bd_end_claim",
        blkdev_put "fentry/blkdev_put",
        bprm_check "fentry/security_bprm_check",
    }

    /// The cgroup device program: 1 is "go on".
    #[unsafe(no_mangle)]
    #[unsafe(link_section = "cgroup/dev")]
    extern "C" fn device(_: *mut c_void) -> i32 {
        1
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }

    /// What the kernel reads to decide which helpers a program may call (kernel/bpf/core.c,
    /// include/linux/license.h).
    // SAFETY: a section of its own, read by loaders alone; nothing else defines this symbol.
    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}
