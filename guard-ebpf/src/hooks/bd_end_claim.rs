//! Entry of `bd_end_claim` (block/bdev.c, from 6.5 on): an exclusive open ends.

use core::ffi::c_void;

use aya_ebpf::programs::FEntryContext;

use crate::claims;
use crate::kernel::BlockDevice;

/// `void bd_end_claim(struct block_device *bdev, void *holder)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "fentry/bd_end_claim")]
extern "C" fn bd_end_claim(ctx: *mut c_void) -> i64 {
    claims::given_up(BlockDevice(FEntryContext::new(ctx).arg(0)));
    0
}
