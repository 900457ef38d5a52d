//! dbguard's BPF object.
//!
//! | program | attached to | part |
//! |---|---|---|
//! | `exec` | tracepoint `sched_process_exec` | arms the host before a database's first instruction; gives tools their grants |
//! | `fork` | tracepoint `sched_process_fork` | hands both on to children |
//! | `exit` | tracepoint `sched_process_exit` | forgets processes, tells of databases that ended |
//! | `bdev_add` | entry of `bdev_add` | a device number begins a new life; partitions of free disks are free |
//! | `bd_prepare_to_claim`, `bd_abort_claiming`, `bd_end_claim`, `blkdev_put` | entries of these functions | a device that was merely in use is free with its last claim |
//! | `file_open` | LSM `file_open` | devices opened for writing |
//! | `file_ioctl`, `file_ioctl_compat` | LSM, the same names | commands to devices |
//! | `uring_cmd` | LSM `uring_cmd` | commands to devices through `io_uring` |
//! | `file_permission`, `mmap_file`, `file_mprotect` | LSM, the same names, on demand | writes through descriptors that were opened before they would have been refused |
//! | `capable`, `locked_down` | LSM, the same names | reboots, other kernels, I/O ports |
//! | `bpf`, `ptrace_access_check`, `task_kill` | LSM, the same names | the guard's own maps, links and processes |
//! | `device` | root cgroup, device program | the second layer: block devices opened for writing by programs, or by the kernel on their behalf |
//! | `inode_*`, `path_truncate` | LSM, the same names | changes of files that matter |
//! | `sb_mount`, `move_mount`, `sb_umount`, `sb_pivotroot` | LSM, the same names | the data of a running database stays mounted |
//! | `bprm_check` | entry of `security_bprm_check` | scripts that are tools |
//!
//! Each hook unpacks, asks [`guard_ebpf::decide`], emits and returns. Raw loads from kernel memory
//! stand in `kernel` alone, reads of user memory in `arguments` and `argv`.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
// `asm!` for BPF is unstable; so is building `core` for it, which needs a nightly all the same.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![allow(clippy::inline_always, reason = "as in the library")]

/// A diagnostic line (feature `diag`; the object that is shipped has none). The loader sets the level in
/// read-only data, so that the verifier takes a line that is off out of the program.
#[cfg(all(target_arch = "bpf", feature = "diag"))]
macro_rules! diag {
    ($($argument:tt)*) => { aya_log_ebpf::debug!($($argument)*) };
}
/// Without the feature there is nothing, not even the map, whose legacy form libbpf refuses.
#[cfg(all(target_arch = "bpf", not(feature = "diag")))]
macro_rules! diag {
    ($($argument:tt)*) => {};
}

#[cfg(target_arch = "bpf")]
mod arguments;
#[cfg(target_arch = "bpf")]
mod argv;
#[cfg(target_arch = "bpf")]
mod claims;
#[cfg(target_arch = "bpf")]
mod emit;
#[cfg(target_arch = "bpf")]
mod granted;
#[cfg(target_arch = "bpf")]
mod hooks;
#[cfg(target_arch = "bpf")]
mod judge;
#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod marks;
#[cfg(target_arch = "bpf")]
mod mounts;
#[cfg(target_arch = "bpf")]
mod places;
#[cfg(target_arch = "bpf")]
mod reach;
#[cfg(target_arch = "bpf")]
mod steer;
#[cfg(target_arch = "bpf")]
mod target;

/// Licence as the kernel asks for it: the helpers that read memory are for programs under the GPL
/// or a licence compatible with it alone (include/linux/license.h). MIT is.
#[cfg(target_arch = "bpf")]
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Version of the contract this object was built from; the loader compares it with its own.
#[cfg(target_arch = "bpf")]
#[unsafe(no_mangle)]
static ABI_VERSION: u32 = guard_abi::ABI_VERSION;

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics; the verifier would refuse the endless loop.
    loop {}
}

/// On any other target there is nothing to run.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
