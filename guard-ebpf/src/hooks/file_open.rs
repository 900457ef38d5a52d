//! LSM `file_open`: fs/open.c `do_dentry_open`, before the block layer sees the open. The identity
//! of a device is `inode->i_rdev`, whatever node, mount namespace or descriptor leads there.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{FileAct, Hook};
use guard_ebpf::decide::Access;

use crate::judge::{self, ALLOW, Found};
use crate::kernel::{FMODE_READ, FMODE_WRITE, File, O_ACCMODE};
use crate::places::{self, Done};
use crate::steer;

/// `int file_open(struct file *file)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/file_open")]
extern "C" fn file_open(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let previous: i64 = args.arg(1);
    if previous != 0 {
        return previous;
    }
    let file = File(args.arg(0));
    // Whoever only reads harms nothing. Access mode 3 has neither bit.
    // `previous` is 0 here, in a register.
    if file.mode() & (FMODE_READ | FMODE_WRITE) == FMODE_READ {
        return previous;
    }
    let inode = file.inode();
    if judge::is_device(inode.mode()) {
        return device(ctx);
    }
    if places::is_ordinary(inode, Some(inode), file.dentry()) {
        return previous;
    }
    named(ctx)
}

/// Out of line: opens of ordinary files must not pay for its registers and stack.
#[inline(never)]
fn device(ctx: *mut c_void) -> i64 {
    let file = File(LsmContext::new(ctx).arg(0));
    let flags = file.flags();
    let access = Access {
        write: file.mode() & FMODE_WRITE != 0,
        ioctl_only: flags & O_ACCMODE == 3,
    };
    if !(access.write || access.ioctl_only) {
        return ALLOW;
    }
    match Found::of(file.inode()) {
        Found::Drive(node) => judge::open(node, access, flags),
        Found::Control(control, dev) => steer::open(control, dev, access, flags),
        Found::Other => ALLOW,
    }
}

/// A file that may be one of those that matter.
#[inline(never)]
fn named(ctx: *mut c_void) -> i64 {
    let file = File(LsmContext::new(ctx).arg(0));
    let inode = file.inode();
    let Some(fs) = places::watched(inode) else {
        return ALLOW;
    };
    let done = Done {
        hook: Hook::FileOpen,
        act: FileAct::Write,
        open_flags: file.flags(),
    };
    places::judge(fs, inode, file.dentry(), done)
}
