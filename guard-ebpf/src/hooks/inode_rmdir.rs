//! LSM `inode_rmdir`: fs/namei.c, before a directory is removed.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{FileAct, Hook};

use crate::kernel::{Dentry, Inode};
use crate::places;

/// `int inode_rmdir(struct inode *dir, struct dentry *dentry)`
///
/// What a program before this one has returned is not looked at: a trampoline ends at the first
/// refusal (arch/x86/net/bpf_jit_comp.c `invoke_bpf_mod_ret`).
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/inode_rmdir")]
extern "C" fn inode_rmdir(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    places::entry(
        Inode(args.arg(0)),
        Dentry(args.arg(1)),
        Hook::InodeRmdir,
        FileAct::Remove,
    )
}
