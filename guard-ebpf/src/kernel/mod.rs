//! Raw loads from kernel memory.
//!
//! *Direct* loads follow a pointer that the verifier knows the type of, at an offset that the
//! loader has written into the instruction: a wrong offset does not load. Decisions rest on these.
//! *Probed* loads (`bpf_probe_read_kernel`, with offsets from read-only data) accept any offset and
//! give zero where they fail: they serve the audit record alone.

mod direct;
mod offsets;
mod probed;
mod system_call;

use core::arch::asm;
use core::ffi::c_void;
use core::ptr;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_probe_read_kernel_str};
use guard_abi::members::ABSENT;

/// The injected offset. Volatile: the compiler must not believe the placeholder.
#[inline(always)]
fn offset(of: &'static u32) -> u32 {
    // SAFETY: a reference to a static.
    unsafe { ptr::read_volatile(of) }
}

/// Whether the arguments are those of the function `security_<hook>`, and not those of the hook.
/// A constant to the verifier, which takes the other branch away.
#[inline(always)]
pub fn on_fmod_ret() -> bool {
    offset(&offsets::ON_FMOD_RET) != 0
}

/// A direct load of the member `at` ([`offsets::member`]) of the struct behind `base`.
///
/// Safe, because the verifier lets a program with it load only where `base` is a pointer to a
/// kernel struct whose type it knows, and reads a member that is there and of this size; a fault
/// gives zero.
#[inline(always)]
fn direct<T>(base: *const c_void, at: usize) -> T {
    // SAFETY: see above; no program in which it is not safe can run.
    unsafe { ptr::read_volatile(base.byte_add(at).cast::<T>()) }
}

/// The pointer itself. The compiler does not join the load that it comes from with another: of the
/// offsets of both it would make additions, which the loader does not write into.
#[inline(always)]
fn settled(pointer: *const c_void) -> *const c_void {
    let mut number = pointer as usize;
    // SAFETY: moves a register to itself.
    unsafe { asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack)) };
    ptr::without_provenance(number)
}

/// The address, negated: to the verifier a number of which it knows nothing, unlike the pointer.
#[inline(always)]
fn negative(pointer: *const c_void) -> u64 {
    let mut number = pointer as u64;
    // SAFETY: an instruction on one register.
    unsafe {
        asm!("{number} = -{number}", number = inout(reg) number, options(pure, nomem, nostack));
    };
    number
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

/// The process that runs, by its number in the initial namespace. Not for device programs: up to 5.10
/// they may not ask (kernel/bpf/cgroup.c `cgroup_base_func_proto`); see [`AnyTask::tgid`].
#[inline(always)]
pub fn current_process() -> u32 {
    // SAFETY: a helper without arguments.
    (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32
}

/// The thread that runs, by its number in the initial namespace. As [`current_process`].
#[inline(always)]
pub fn current_thread() -> u32 {
    // SAFETY: a helper without arguments. The lower half is the thread.
    unsafe { bpf_get_current_pid_tgid() as u32 }
}

macro_rules! pointer_types {
    ($($(#[$meta:meta])* $name:ident)+) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy, PartialEq, Eq)]
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
    /// `union bpf_attr *`, known to the verifier.
    BpfAttr
    /// `struct block_device *`, known to the verifier.
    BlockDevice
    /// `struct linux_binprm *`, known to the verifier.
    Binprm
    /// `struct vm_area_struct *`, known to the verifier.
    VmArea
    /// `struct task_struct *`, known to the verifier.
    Task
    /// `struct dentry *`, known to the verifier.
    Dentry
    /// `const struct path *`, known to the verifier.
    Path
    /// `struct vfsmount *`, known to the verifier.
    VfsMount
    /// `struct dentry *` as a number; probed loads alone.
    AnyDentry
    /// Who claims a block device, `void *`: a file, a super block, an array …; probed loads alone.
    AnyHolder
    /// `struct task_struct *` as a number; probed loads alone.
    AnyTask
}

/// Bits of `bpf_cgroup_dev_ctx.access_type`, include/uapi/linux/bpf.h.
pub mod device_access {
    /// `BPF_DEVCG_DEV_BLOCK`.
    pub const BLOCK: u32 = 1 << 0;
    /// `BPF_DEVCG_ACC_WRITE`.
    pub const WRITE: u32 = 1 << 2;
}

/// `S_IFMT` and its values, include/uapi/linux/stat.h.
pub const S_IFMT: u16 = 0o170_000;
/// A block device.
pub const S_IFBLK: u16 = 0o060_000;
/// A character device.
pub const S_IFCHR: u16 = 0o020_000;
/// `FMODE_READ`, include/linux/fs.h.
pub const FMODE_READ: u32 = 1;
/// `FMODE_WRITE`, include/linux/fs.h.
pub const FMODE_WRITE: u32 = 2;
/// `FMODE_WRITER`, include/linux/fs.h: to be written to, and no special file (a device, FIFO or
/// socket). fs/open.c `do_dentry_open` says so before it asks the security modules.
pub const FMODE_WRITER: u32 = 0x1_0000;
/// `MAY_WRITE`, include/linux/fs.h.
pub const MAY_WRITE: u32 = 2;
/// `PROT_WRITE`, include/uapi/asm-generic/mman-common.h.
pub const PROT_WRITE: u64 = 2;
/// `O_ACCMODE`, include/uapi/asm-generic/fcntl.h.
pub const O_ACCMODE: u32 = 3;

/// Copies a name of the kernel's, cut to `N - 1` bytes and followed by a zero. `into` should be
/// zero: what lies behind the name stays as it was. Says whether it worked.
#[inline(always)]
pub fn copy_name<const N: usize>(name: *const c_void, into: &mut [u8; N]) -> bool {
    // SAFETY: the helper writes at most `N` bytes and checks the source itself.
    unsafe { bpf_probe_read_kernel_str(into.as_mut_ptr().cast(), N as u32, name) > 0 }
}
