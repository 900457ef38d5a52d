//! LSM `path_truncate`: fs/open.c `vfs_truncate`, for truncate(2). (Whatever cuts an open file has
//! opened it for writing before.) Absent where the kernel has no CONFIG_SECURITY_PATH.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{FileAct, Hook};

use crate::judge::ALLOW;
use crate::kernel::Path;
use crate::places;

/// `int path_truncate(const struct path *path)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/path_truncate")]
extern "C" fn path_truncate(ctx: *mut c_void) -> i64 {
    let dentry = Path(LsmContext::new(ctx).arg(0)).dentry();
    match dentry.inode() {
        Some(inode) => places::entry(inode, dentry, Hook::PathTruncate, FileAct::Truncate),
        None => ALLOW,
    }
}
