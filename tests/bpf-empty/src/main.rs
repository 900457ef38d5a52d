//! BPF programs on every hook of dbguard's that return at once. What a guarded host costs above
//! them is dbguard's own.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

/// On any other target there is nothing to run.
#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::macros::{btf_tracepoint, fentry, lsm};
    use aya_ebpf::programs::{BtfTracePointContext, FEntryContext, LsmContext};

    #[lsm(hook = "file_open")]
    fn file_open(_: LsmContext) -> i32 {
        0
    }

    #[lsm(hook = "file_ioctl")]
    fn file_ioctl(_: LsmContext) -> i32 {
        0
    }

    #[lsm(hook = "file_ioctl_compat")]
    fn file_ioctl_compat(_: LsmContext) -> i32 {
        0
    }

    #[lsm(hook = "uring_cmd")]
    fn uring_cmd(_: LsmContext) -> i32 {
        0
    }

    #[btf_tracepoint(function = "sched_process_exec")]
    fn sched_process_exec(_: BtfTracePointContext) -> i32 {
        0
    }

    #[btf_tracepoint(function = "sched_process_fork")]
    fn sched_process_fork(_: BtfTracePointContext) -> i32 {
        0
    }

    #[btf_tracepoint(function = "sched_process_exit")]
    fn sched_process_exit(_: BtfTracePointContext) -> i32 {
        0
    }

    #[fentry(function = "bdev_add")]
    fn bdev_add(_: FEntryContext) -> i32 {
        0
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
