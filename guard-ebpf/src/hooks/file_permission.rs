//! LSM `file_permission`: fs/read_write.c `rw_verify_area`, before each read and write of a file by
//! whatever way (`write`, `pwritev`, `splice`, `sendfile`, aio, io_uring with fixed files), and
//! fs/open.c `vfs_fallocate`.
//!
//! On the path of every read and write, so it is attached only while a descriptor lives that was
//! opened for writing before that would have been refused.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::Hook;

use crate::judge;
use crate::kernel::{File, MAY_WRITE};

/// `int file_permission(struct file *file, int mask)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/file_permission")]
extern "C" fn file_permission(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let previous: i64 = args.arg(2);
    if previous != 0 {
        return previous;
    }
    // `previous` is 0 here, in a register.
    if args.arg::<u32>(1) & MAY_WRITE == 0 || !judge::is_device(File(args.arg(0)).inode().mode()) {
        return previous;
    }
    device(ctx)
}

/// Out of line: ordinary files must not pay for its registers and stack.
#[inline(never)]
fn device(ctx: *mut c_void) -> i64 {
    judge::write(Hook::FilePermission, File(LsmContext::new(ctx).arg(0)))
}
