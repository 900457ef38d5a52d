//! LSM `move_mount`: fs/namespace.c `move_mount`, which both moves mounts and attaches new ones.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::Hook;

use crate::kernel::Path;
use crate::mounts;

/// `int move_mount(const struct path *from_path, const struct path *to_path)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/move_mount")]
extern "C" fn move_mount(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let previous: i64 = args.arg(2);
    if previous != 0 {
        return previous;
    }
    let (from, to) = (Path(args.arg(0)), Path(args.arg(1)));
    let doing = match mounts::moved(from) {
        None => mounts::cover(to),
        moved => moved,
    };
    mounts::judge(Hook::MoveMount, doing)
}
