//! LSM `file_ioctl`: fs/ioctl.c `ioctl`, for processes of the kernel's own word size.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::Hook;

use crate::arguments::Sent;
use crate::judge::{self, ALLOW, Node};
use crate::kernel::File;

/// `int file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/file_ioctl")]
extern "C" fn file_ioctl(ctx: *mut c_void) -> i64 {
    let ctx = LsmContext::new(ctx);
    let previous: i64 = ctx.arg(3);
    if previous != 0 {
        return previous;
    }
    let file = File(ctx.arg(0));
    if !judge::is_device(file.inode().mode()) {
        return ALLOW;
    }
    device(file, ctx.arg(1), ctx.arg(2))
}

/// Out of line: ioctls on ordinary files must not pay for its registers and stack.
#[inline(never)]
fn device(file: File, cmd: u32, argument: u64) -> i64 {
    let sent = Sent {
        cmd,
        argument,
        compat: false,
        first_byte: None,
        uring: false,
    };
    match Node::of(file.inode()) {
        Some(node) => judge::command(Hook::FileIoctl, node, sent),
        None => ALLOW,
    }
}
