//! LSM `inode_link`: fs/namei.c `vfs_link`, before a file gets another name. Both ends count: a name
//! outside by which a boot file could be written, and a file put among those that boot.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{FileAct, Hook};

use crate::judge::ALLOW;
use crate::kernel::{Dentry, Inode};
use crate::places;

/// `int inode_link(struct dentry *old_dentry, struct inode *dir, struct dentry *new_dentry)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/inode_link")]
extern "C" fn inode_link(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let (old, directory, new) = (Dentry(args.arg(0)), Inode(args.arg(1)), Dentry(args.arg(2)));
    let refused = places::entry(directory, old, Hook::InodeLink, FileAct::Link);
    if refused != ALLOW {
        return refused;
    }
    places::entry(directory, new, Hook::InodeLink, FileAct::Create)
}
