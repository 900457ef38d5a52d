//! A device program at the root cgroup: security/device_cgroup.c `devcgroup_check_permission`,
//! asked by fs/namei.c `inode_permission` for every use of a device node, and by the block layer
//! for every open, the kernel's own among them (block/bdev.c `bdev_permission`, before 6.8
//! `blkdev_get_by_dev`).
//!
//! The second layer. It runs where trampolines do not (`kernel.ftrace_enabled=0`, `bpf` missing
//! from the active security modules), and it sees what no security hook does: devices that the
//! kernel opens for a device-mapper table, an array, a target, a cache, a swap area or a mount.

use core::ffi::c_void;

use guard_ebpf::decide::Access;

use crate::judge::ALLOW;
use crate::kernel::device_access;
use crate::reach::reach;
use crate::target::Node;

/// What a device program returns: 1 lets go on, 0 refuses with `EPERM`.
const GO_ON: i64 = 1;
const STOP: i64 = 0;

/// `struct bpf_cgroup_dev_ctx`, include/uapi/linux/bpf.h.
#[repr(C)]
struct DeviceContext {
    /// Access in the upper half, type in the lower.
    access_type: u32,
    major: u32,
    minor: u32,
}

/// `int device(struct bpf_cgroup_dev_ctx *ctx)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "cgroup/dev")]
extern "C" fn device(ctx: *mut c_void) -> i64 {
    let ctx = ctx.cast::<DeviceContext>();
    // SAFETY: the kernel hands a context of this layout to every device program.
    let access_type = unsafe { (&raw const (*ctx).access_type).read() };
    // `/dev/null`, terminals, readers, and the making of nodes leave here.
    if access_type & 0xFFFF != device_access::BLOCK || access_type >> 16 & device_access::WRITE == 0
    {
        return GO_ON;
    }
    // SAFETY: as above.
    let (major, minor) = unsafe {
        (
            (&raw const (*ctx).major).read(),
            (&raw const (*ctx).minor).read(),
        )
    };
    if block(major, minor) == ALLOW {
        GO_ON
    } else {
        STOP
    }
}

/// Out of line: terminals and the like must not pay for its registers and stack.
#[inline(never)]
fn block(major: u32, minor: u32) -> i64 {
    let access = Access {
        write: true,
        ioctl_only: false,
    };
    reach(Node::block(guard_abi::dev::make(major, minor)), access)
}
