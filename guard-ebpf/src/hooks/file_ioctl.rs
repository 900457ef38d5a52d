//! LSM `file_ioctl`: fs/ioctl.c `ioctl`, for processes of the kernel's own word size. What is done
//! about a command serves 32-bit processes too, see [`super::file_ioctl_compat`].

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::Hook;

use crate::arguments::Sent;
use crate::judge::{self, ALLOW};
use crate::kernel::File;
use crate::steer;
use crate::target::Found;

/// `int file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/file_ioctl")]
extern "C" fn file_ioctl(ctx: *mut c_void) -> i64 {
    ioctl(ctx, false)
}

/// Ordinary files leave here.
#[inline(always)]
pub fn ioctl(ctx: *mut c_void, compat: bool) -> i64 {
    let args = LsmContext::new(ctx);
    let previous: i64 = args.arg(3);
    if previous != 0 {
        return previous;
    }
    // `previous` is 0 here, in a register.
    if judge::is_device(File(args.arg(0)).inode().mode()) {
        return device(ctx, compat);
    }
    if judge::is_of_file_system(args.arg(1)) {
        return file_system(ctx, compat);
    }
    previous
}

/// An ioctl that stops the file system that the file lies in.
#[inline(never)]
fn file_system(ctx: *mut c_void, compat: bool) -> i64 {
    let args = LsmContext::new(ctx);
    judge::file_system(by(compat), File(args.arg(0)).inode(), args.arg(1))
}

#[inline(always)]
const fn by(compat: bool) -> Hook {
    if compat {
        Hook::FileIoctlCompat
    } else {
        Hook::FileIoctl
    }
}

/// Out of line: ioctls on ordinary files must not pay for its registers and stack.
#[inline(never)]
fn device(ctx: *mut c_void, compat: bool) -> i64 {
    let args = LsmContext::new(ctx);
    let (file, cmd, argument) = (File(args.arg(0)), args.arg(1), args.arg::<u64>(2));
    // `compat_ptr`: the upper half of the register is not part of a 32-bit pointer.
    let argument = if compat {
        argument & u64::from(u32::MAX)
    } else {
        argument
    };
    let sent = Sent {
        cmd,
        argument,
        compat,
        first_byte: None,
        uring: false,
    };
    let hook = by(compat);
    match Found::of(file.inode()) {
        Found::Drive(node) => judge::command(hook, node, sent),
        Found::Control(control, dev) => steer::command(hook, control, dev, sent),
        Found::Other => ALLOW,
    }
}
