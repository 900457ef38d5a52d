//! LSM `inode_rename`: fs/namei.c `vfs_rename`, before a file is moved. Both ends count: what is
//! moved away, and what is replaced or joined.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{FileAct, Hook};

use crate::judge::ALLOW;
use crate::kernel::{Dentry, Inode};
use crate::places;

/// `int inode_rename(struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir,
/// struct dentry *new_dentry)`; `security_inode_rename` has flags behind these.
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/inode_rename")]
extern "C" fn inode_rename(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let (old_directory, old) = (Inode(args.arg(0)), Dentry(args.arg(1)));
    let (new_directory, new) = (Inode(args.arg(2)), Dentry(args.arg(3)));
    let refused = places::entry(old_directory, old, Hook::InodeRename, FileAct::RenameFrom);
    if refused != ALLOW {
        return refused;
    }
    let refused = places::entry(new_directory, new, Hook::InodeRename, FileAct::RenameTo);
    if refused == ALLOW {
        places::hand_over(old, new);
    }
    refused
}
