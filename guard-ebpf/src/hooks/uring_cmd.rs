//! LSM `uring_cmd`: io_uring/uring_cmd.c `io_uring_cmd`. Commands sent this way never reach
//! `file_ioctl`.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::Hook;

use crate::arguments::Sent;
use crate::judge::{self, ALLOW, Node};
use crate::kernel::UringCmd;

/// `int uring_cmd(struct io_uring_cmd *ioucmd)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/uring_cmd")]
extern "C" fn uring_cmd(ctx: *mut c_void) -> i64 {
    let ctx = LsmContext::new(ctx);
    let previous: i64 = ctx.arg(1);
    if previous != 0 {
        return previous;
    }
    let command = UringCmd(ctx.arg(0));
    if !judge::is_device(command.file().inode().mode()) {
        return ALLOW;
    }
    device(command)
}

/// Out of line: commands on sockets must not pay for its registers and stack.
#[inline(never)]
fn device(command: UringCmd) -> i64 {
    let Some(node) = Node::of(command.file().inode()) else {
        return ALLOW;
    };
    let sent = Sent {
        cmd: command.operation(),
        argument: 0,
        compat: false,
        first_byte: command.first_byte(),
        uring: true,
    };
    judge::command(Hook::UringCmd, node, sent)
}
