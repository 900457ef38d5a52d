//! Entry of `blkdev_put` (block/bdev.c, before 5.11 fs/block_dev.c): an open of a block device ends.
//! Up to 6.4 this is where a claim is given up; the second argument says whether there is one. From
//! 6.5 to 6.8 it is the holder, and `bd_end_claim` tells.

use core::ffi::c_void;

use aya_ebpf::programs::FEntryContext;

use crate::claims;
use crate::kernel::BlockDevice;

/// `FMODE_EXCL`, include/linux/fs.h up to 6.4.
const FMODE_EXCL: u32 = 0x80;

/// `void blkdev_put(struct block_device *bdev, fmode_t mode)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "fentry/blkdev_put")]
extern "C" fn blkdev_put(ctx: *mut c_void) -> i64 {
    let ctx = FEntryContext::new(ctx);
    // Before 5.19 the trampoline stores no more than the argument's own four bytes.
    let mode: u32 = ctx.arg(1);
    if BlockDevice::is_claimed_by_mode() && mode & FMODE_EXCL != 0 {
        claims::given_up(BlockDevice(ctx.arg(0)));
    }
    0
}
