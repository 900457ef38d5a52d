//! LSM `file_ioctl_compat`: fs/ioctl.c `compat_ioctl`, for 32-bit processes on a 64-bit kernel.
//! `file_ioctl` is not asked for those.

use core::ffi::c_void;

use super::file_ioctl::ioctl;

/// `int file_ioctl_compat(struct file *file, unsigned int cmd, unsigned long arg)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/file_ioctl_compat")]
extern "C" fn file_ioctl_compat(ctx: *mut c_void) -> i64 {
    ioctl(ctx, true)
}
