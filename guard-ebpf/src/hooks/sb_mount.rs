//! LSM `sb_mount`: fs/namespace.c `path_mount`, for mount(2). What the newer calls (fsmount, open_tree)
//! have made is attached by move_mount(2), which has a hook of its own.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::Hook;

use crate::kernel::Path;
use crate::mounts::{self, Doing};

// include/uapi/linux/mount.h
const MS_RDONLY: u64 = 1;
const MS_REMOUNT: u64 = 32;
const MS_BIND: u64 = 4096;
const MS_MOVE: u64 = 8192;
/// `MS_UNBINDABLE`, `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`.
const MS_PROPAGATION: u64 = 0b1111 << 17;

/// `int sb_mount(const char *dev_name, const struct path *path, const char *type,
/// unsigned long flags, void *data)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/sb_mount")]
extern "C" fn sb_mount(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let previous: i64 = args.arg(5);
    if previous != 0 {
        return previous;
    }
    let (source, path): (*const c_void, Path) = (args.arg(0), Path(args.arg(1)));
    let flags: u64 = args.arg(3);
    mounts::judge(Hook::SbMount, doing(source, path, flags))
}

/// In the order in which `path_mount` asks.
#[inline(always)]
fn doing(source: *const c_void, path: Path, flags: u64) -> Option<Doing> {
    if flags & MS_REMOUNT != 0 {
        return if flags & (MS_RDONLY | MS_BIND) == MS_RDONLY {
            mounts::read_only(path)
        } else {
            None
        };
    }
    if flags & MS_BIND == 0 {
        if flags & MS_PROPAGATION != 0 {
            return None;
        }
        if flags & MS_MOVE != 0 {
            let moved = mounts::moved_by_name(source, path);
            if moved.is_some() {
                return moved;
            }
        }
    }
    mounts::cover(path)
}
