//! LSM `uring_cmd`: io_uring/uring_cmd.c `io_uring_cmd`. Commands sent this way never reach
//! `file_ioctl`.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{Hook, canary};

use crate::arguments::Sent;
use crate::judge::{self, ALLOW};
use crate::kernel::UringCmd;
use crate::target::Node;

/// `int uring_cmd(struct io_uring_cmd *ioucmd)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/uring_cmd")]
extern "C" fn uring_cmd(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let previous: i64 = args.arg(1);
    if previous != 0 {
        return previous;
    }
    if !judge::is_device(UringCmd(args.arg(0)).file().inode().mode()) {
        return previous;
    }
    device(ctx)
}

/// Out of line: commands on sockets must not pay for its registers and stack.
#[inline(never)]
fn device(ctx: *mut c_void) -> i64 {
    let command = UringCmd(LsmContext::new(ctx).arg(0));
    let inode = command.file().inode();
    let Some(node) = Node::of(inode) else {
        // `/dev/null` passes nothing through, so this is off the way of every real command.
        let canary = command.operation() == canary::IOCTL && inode.rdev() == canary::URING_NODE;
        return if canary {
            judge::refuse_canary()
        } else {
            ALLOW
        };
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
