//! Entry of `bd_prepare_to_claim` (block/bdev.c, before 5.11 fs/block_dev.c): somebody is about to
//! open a block device exclusively.

use core::ffi::c_void;

use aya_ebpf::programs::FEntryContext;

use crate::claims;
use crate::kernel::{AnyHolder, BlockDevice};

/// `int bd_prepare_to_claim(struct block_device *bdev, void *holder, ...)`; up to 5.10 the whole disk
/// stands between the two.
#[unsafe(no_mangle)]
#[unsafe(link_section = "fentry/bd_prepare_to_claim")]
extern "C" fn bd_prepare_to_claim(ctx: *mut c_void) -> i64 {
    if BlockDevice::is_told_of_its_disk() {
        with_two(ctx)
    } else {
        with_three(ctx)
    }
}

// Out of line: joined, they would read the context at an offset in a register, which the verifier
// does not accept.

#[inline(never)]
fn with_two(ctx: *mut c_void) -> i64 {
    let ctx = FEntryContext::new(ctx);
    let device = BlockDevice(ctx.arg(0));
    claims::claimed(device, device.whole(), AnyHolder(ctx.arg(1)));
    0
}

/// A device that nobody has open does not know its disk there.
#[inline(never)]
fn with_three(ctx: *mut c_void) -> i64 {
    let ctx = FEntryContext::new(ctx);
    claims::claimed(
        BlockDevice(ctx.arg(0)),
        Some(BlockDevice(ctx.arg(1))),
        AnyHolder(ctx.arg(2)),
    );
    0
}
