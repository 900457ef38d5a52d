//! LSM `sb_mount`: fs/namespace.c `path_mount`, for mount(2). What the newer calls (fsmount, open_tree)
//! have made is attached by move_mount(2), which has a hook of its own.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::programs::LsmContext;
use guard_abi::Hook;

use crate::argv::opaque;
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
    let stops = flags & (MS_REMOUNT | MS_BIND) == MS_REMOUNT && has_abort(args.arg(4));
    let doing = if stops {
        mounts::abort(path)
    } else {
        doing(source, path, flags)
    };
    mounts::judge(Hook::SbMount, doing)
}

/// Bytes of a remount's options that are searched.
const OPTION_BYTES: usize = 128;
/// Behind a comma: the option by which ext2, ext3 and ext4 stop as after an error (fs/ext4/super.c
/// `Opt_abort`).
const ABORT: u64 = word(*b"\0,abort\0");
/// The same with another behind it.
const ABORT_AND_MORE: u64 = word(*b"\0,abort,");

const fn word(text: [u8; 8]) -> u64 {
    u64::from_be_bytes(text)
}

/// Whether `abort` is among the options, which are kernel memory by now. Without a branch for each
/// byte: the verifier walks every path there is.
#[inline(always)]
fn has_abort(options: *const c_void) -> bool {
    let mut text = [0_u64; OPTION_BYTES / 8];
    // SAFETY: at most as many bytes as the array has are written; the helper checks the source.
    let read = unsafe {
        bpf_probe_read_kernel_str(text.as_mut_ptr().cast(), OPTION_BYTES as u32, options)
    };
    if read <= 0 {
        return false;
    }
    let (mut last, mut found) = (u64::from(b','), 0_u64);
    for at in 0..OPTION_BYTES {
        let byte = (text[at / 8] >> (at % 8 * 8)) & 0xFF;
        last = opaque((last << 8) | byte) & (u64::MAX >> 8);
        found |= opaque((last ^ ABORT).wrapping_sub(1) >> 63);
        found |= opaque((last ^ ABORT_AND_MORE).wrapping_sub(1) >> 63);
    }
    found != 0
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
