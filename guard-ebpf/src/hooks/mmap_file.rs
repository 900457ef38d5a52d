//! LSM `mmap_file`: mm/util.c `vm_mmap_pgoff`. Stores to a shared mapping of a device have no hook,
//! so the mapping itself must not come about. Attached on demand, see [`super::file_permission`].

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::programs::LsmContext;
use guard_abi::Hook;

use crate::judge::{self, ALLOW};
use crate::kernel::{File, PROT_WRITE, on_fmod_ret};

/// `MAP_TYPE`, `MAP_SHARED`, `MAP_SHARED_VALIDATE`: include/uapi/linux/mman.h.
const MAP_TYPE: u64 = 0xF;
const MAP_SHARED: u64 = 1;
const MAP_SHARED_VALIDATE: u64 = 3;

/// `int mmap_file(struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/mmap_file")]
extern "C" fn mmap_file(ctx: *mut c_void) -> i64 {
    // Two functions: the compiler would join two branches to one load at a computed place of the
    // context, which the verifier does not take.
    if on_fmod_ret() {
        of_function(ctx)
    } else {
        of_hook(ctx)
    }
}

#[inline(never)]
fn of_hook(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    mapping(ctx, args.arg(3), args.arg(4))
}

/// `security_mmap_file` has no `reqprot`.
#[inline(never)]
fn of_function(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    mapping(ctx, args.arg(2), args.arg(3))
}

#[inline(always)]
fn mapping(ctx: *mut c_void, flags: u64, previous: i64) -> i64 {
    if previous != 0 {
        return previous;
    }
    // The two kinds of protection differ in execution alone.
    let protection: u64 = LsmContext::new(ctx).arg(1);
    let kind = flags & MAP_TYPE;
    if protection & PROT_WRITE == 0 || (kind != MAP_SHARED && kind != MAP_SHARED_VALIDATE) {
        return ALLOW;
    }
    // Memory without a file has none. Up to Linux 6.17 the verifier believes that there always is
    // one, takes a comparison of the pointer out, and lets a load from it crash; as a number it
    // cannot.
    // SAFETY: the helper checks the address itself.
    match unsafe { bpf_probe_read_kernel(ctx.cast::<u64>().cast_const()) } {
        Ok(0) | Err(_) => ALLOW,
        Ok(_) => of_file(ctx),
    }
}

/// Out of line: a mapping of memory must not pay for its registers and stack.
#[inline(never)]
fn of_file(ctx: *mut c_void) -> i64 {
    let file = File(LsmContext::new(ctx).arg(0));
    if file.0.is_null() || !judge::is_device(file.inode().mode()) {
        return ALLOW;
    }
    judge::write(Hook::MmapFile, file)
}
