//! Acts that no tool performs in just this way: made with system calls.
//!
//! Each function performs the act and answers with the kernel's refusal as an error. None of them
//! knows of the guard.

pub mod compat;
pub mod control;
pub mod descriptor;
pub mod elf;
pub mod hold;
pub mod ioctl;
pub mod machine;
pub mod nvme;
pub mod scsi;
pub mod uring;
pub mod write;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// What destructive acts write: 64 KiB of a byte that no fixture holds.
pub const MARKER: u8 = 0xD5;

/// Opens a device with exactly these `O_*` flags on top of the access mode.
pub fn open(node: &Path, read: bool, write: bool, flags: i32) -> Result<File> {
    OpenOptions::new()
        .read(read)
        .write(write)
        .custom_flags(flags | libc::O_CLOEXEC)
        .open(node)
        .with_context(|| format!("opening {}", node.display()))
}

/// Opens a device for reading alone.
pub fn open_read(node: &Path) -> Result<File> {
    open(node, true, false, libc::O_NONBLOCK)
}

/// The result of a system call made through libc: negative is `errno`.
pub fn check(result: libc::c_long, what: &str) -> Result<libc::c_long> {
    if result < 0 {
        return Err(std::io::Error::last_os_error()).with_context(|| what.to_owned());
    }
    Ok(result)
}
