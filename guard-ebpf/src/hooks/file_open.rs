//! LSM `file_open`: fs/open.c `do_dentry_open`, before the block layer sees the open. The identity
//! of a device is `inode->i_rdev`, whatever node, mount namespace or descriptor leads there.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{FileAct, Hook};
use guard_ebpf::decide::Access;

use crate::judge::{self, ALLOW};
use crate::kernel::{FMODE_READ, FMODE_WRITE, FMODE_WRITER, File, O_ACCMODE};
use crate::marks;
use crate::places::{self, Done};
use crate::steer;
use crate::target::Found;

/// `int file_open(struct file *file)`
///
/// What a program before this one has returned is not looked at: a trampoline ends at the first
/// refusal (arch/x86/net/bpf_jit_comp.c `invoke_bpf_mod_ret`).
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/file_open")]
extern "C" fn file_open(ctx: *mut c_void) -> i64 {
    let file = File(LsmContext::new(ctx).arg(0));
    // Compared with numbers, each takes an instruction less than to test a bit.
    let mode = file.mode() & (FMODE_WRITER | FMODE_READ | FMODE_WRITE);
    if mode >= FMODE_WRITER {
        if marks::is_plain(file.inode()) {
            return ALLOW;
        }
        return named(ctx);
    }
    // Whoever only reads harms nothing. Access mode 3 has neither bit.
    if mode == FMODE_READ {
        return ALLOW;
    }
    // A device, or another file that is no ordinary one; or access mode 3, which is neither to read
    // nor to write.
    if judge::is_device(file.inode().mode()) {
        device(ctx)
    } else {
        named(ctx)
    }
}

/// Out of line, and beside `named`: an open of an ordinary file must not pay for registers and stack,
/// and one below the other had more stack than there is.
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
    if places::is_ordinary(inode, Some(inode), file.dentry()) {
        return ALLOW;
    }
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
