//! Entry of `bd_abort_claiming` (block/bdev.c, before 5.11 fs/block_dev.c): what
//! `bd_prepare_to_claim` has announced does not come. A partition table is read again so
//! (block/genhd.c `disk_scan_partitions`), and loop devices take their backing.

use core::ffi::c_void;

use aya_ebpf::programs::FEntryContext;

use crate::claims;
use crate::kernel::BlockDevice;

/// `void bd_abort_claiming(struct block_device *bdev, ...)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "fentry/bd_abort_claiming")]
extern "C" fn bd_abort_claiming(ctx: *mut c_void) -> i64 {
    claims::not_made(BlockDevice(FEntryContext::new(ctx).arg(0)));
    0
}
