//! LSM `file_mprotect`: mm/mprotect.c `do_mprotect_pkey`. A shared mapping of a device that was made
//! for reading becomes writable. Attached on demand, see [`super::file_permission`].

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::Hook;

use crate::judge::{self, ALLOW};
use crate::kernel::{PROT_WRITE, VmArea};

/// `int file_mprotect(struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/file_mprotect")]
extern "C" fn file_mprotect(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let previous: i64 = args.arg(3);
    if previous != 0 {
        return previous;
    }
    if args.arg::<u64>(2) & PROT_WRITE == 0 {
        return previous;
    }
    mapping(ctx)
}

/// Out of line, as in the other hooks.
#[inline(never)]
fn mapping(ctx: *mut c_void) -> i64 {
    let area = VmArea(LsmContext::new(ctx).arg(0));
    if !area.is_shared() {
        return ALLOW;
    }
    match area.file() {
        Some(file) if judge::is_device(file.inode().mode()) => {
            judge::write(Hook::FileMprotect, file)
        }
        _ => ALLOW,
    }
}
