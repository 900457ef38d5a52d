//! System calls that stop the machine or stage another kernel.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::{Context, Result};

use super::check;

/// `LINUX_REBOOT_MAGIC1`, the first of two magic numbers.
pub const MAGIC1: u32 = 0xFEE1_DEAD;
/// The second of the two.
pub const MAGIC2: u32 = 672_274_793;
/// Where the one page of [`kexec_load`] would go.
pub const KEXEC_ADDRESS: u32 = 16 << 20;

/// reboot(2) with this command.
pub fn reboot(command: u32) -> Result<()> {
    // SAFETY: numbers alone.
    let result = unsafe { libc::syscall(libc::SYS_reboot, MAGIC1, MAGIC2, command, 0_usize) };
    check(result, "reboot").map(drop)
}

/// `struct kexec_segment`, include/uapi/linux/kexec.h.
#[repr(C)]
struct Segment {
    from: *const u8,
    from_bytes: usize,
    to: usize,
    to_bytes: usize,
}

/// kexec_load(2) of one page that does nothing useful.
pub fn kexec_load(flags: u32) -> Result<()> {
    let page = vec![0_u8; 4096];
    let segment = Segment {
        from: page.as_ptr(),
        from_bytes: page.len(),
        to: KEXEC_ADDRESS as usize,
        to_bytes: page.len(),
    };
    // SAFETY: the segment and its page live; the kernel copies them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_load,
            u64::from(KEXEC_ADDRESS),
            1_usize,
            &raw const segment,
            u64::from(flags),
        )
    };
    check(result, "kexec_load").map(drop)
}

/// kexec_load(2) of nothing: takes away what was staged.
pub fn kexec_unload() -> Result<()> {
    // SAFETY: numbers alone.
    let result = unsafe { libc::syscall(libc::SYS_kexec_load, 0_usize, 0_usize, 0_usize, 0_usize) };
    check(result, "kexec_load of nothing").map(drop)
}

/// kexec_file_load(2) of a kernel without an initramfs (`KEXEC_FILE_NO_INITRAMFS`).
pub fn kexec_file_load(kernel: &Path, flags: u32) -> Result<()> {
    let file = File::open(kernel).with_context(|| format!("opening {}", kernel.display()))?;
    let line = c"quiet";
    // SAFETY: the line lives; the kernel copies it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            file.as_raw_fd(),
            -1,
            line.to_bytes_with_nul().len(),
            line.as_ptr(),
            u64::from(4 | flags),
        )
    };
    check(result, "kexec_file_load").map(drop)
}

/// The right to use port 0x80, which only POST cards listen to.
pub fn io_port() -> Result<()> {
    // SAFETY: the right alone is asked for, and given back; nothing is sent to the port.
    let result = unsafe { libc::ioperm(0x80, 1, 1) };
    check(result.into(), "ioperm")?;
    // SAFETY: as above.
    check(unsafe { libc::ioperm(0x80, 1, 0) }.into(), "ioperm").map(drop)
}

/// `iopl(3)`.
pub fn io_level() -> Result<()> {
    // SAFETY: the right alone is asked for, and given back.
    check(unsafe { libc::iopl(3) }.into(), "iopl")?;
    // SAFETY: as above.
    check(unsafe { libc::iopl(0) }.into(), "iopl").map(drop)
}
