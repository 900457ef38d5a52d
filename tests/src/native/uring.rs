//! io_uring: opens and writes that no system call of their own announces, and NVMe passthrough.

use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use io_uring::squeue::{Entry, Entry128, Flags};
use io_uring::{IoUring, cqueue, opcode, types};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use super::nvme::Command;
use super::{MARKER, check, open_read};
use crate::harness::case::skip;
use crate::harness::snapshot::Aligned;

/// Submits one request and waits for its result.
fn one(ring: &mut IoUring, entry: &Entry, what: &str) -> Result<i32> {
    // SAFETY: whatever the entry points at is kept by the caller until the result has arrived.
    unsafe { ring.submission().push(entry) }.context("the submission queue is full")?;
    ring.submit_and_wait(1)
        .with_context(|| format!("submitting {what}"))?;
    let result = ring.completion().next().context("no completion")?.result();
    check(errno_result(result), what)?;
    Ok(result)
}

/// Completions carry `-errno`; libc's way is -1 and `errno`.
fn errno_result(result: i32) -> libc::c_long {
    if result < 0 {
        // SAFETY: errno of this thread.
        unsafe { *libc::__errno_location() = -result };
        return -1;
    }
    result.into()
}

fn open_and_write(node: &Path, flags: Flags) -> Result<()> {
    let mut ring = IoUring::new(4).context("io_uring_setup")?;
    let path = CString::new(node.as_os_str().as_bytes()).context("a path with a zero byte")?;
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr())
        .flags(libc::O_WRONLY | libc::O_DIRECT | libc::O_CLOEXEC)
        .build()
        .flags(flags);
    let fd = one(&mut ring, &open, "opening through io_uring")?;
    let mut data = Aligned::new(4096);
    data.bytes_mut().fill(MARKER);
    let write = opcode::Write::new(types::Fd(fd), data.bytes().as_ptr(), 4096)
        .build()
        .flags(flags);
    let written = one(&mut ring, &write, "writing through io_uring");
    let sync = opcode::Fsync::new(types::Fd(fd)).build();
    let synced = one(&mut ring, &sync, "fsync through io_uring");
    // SAFETY: the descriptor was made above and is not used any more.
    unsafe { libc::close(fd) };
    ensure!(written? == 4096, "a short write");
    synced.map(drop)
}

/// OPENAT and WRITE.
pub fn write(node: &Path) -> Result<()> {
    open_and_write(node, Flags::empty())
}

/// The same by a kernel worker thread.
pub fn write_by_worker(node: &Path) -> Result<()> {
    open_and_write(node, Flags::ASYNC)
}

/// A submission queue that a kernel thread empties.
pub fn write_by_poller(node: &Path) -> Result<()> {
    let mut ring = IoUring::builder()
        .setup_sqpoll(2_000)
        .build(4)
        .context("io_uring_setup with SQPOLL")?;
    let file = super::open(node, false, true, libc::O_DIRECT)?;
    let mut data = Aligned::new(4096);
    data.bytes_mut().fill(MARKER);
    let write =
        opcode::Write::new(types::Fd(file.as_raw_fd()), data.bytes().as_ptr(), 4096).build();
    ensure!(
        one(&mut ring, &write, "writing through io_uring")? == 4096,
        "a short write"
    );
    Ok(())
}

/// An NVMe command on a generic or controller node (opened for reading) by IORING_OP_URING_CMD.
fn nvme_command(node: &Path, operation: u32, command: Command, what: &str) -> Result<()> {
    let file = open_read(node)?;
    let built: std::io::Result<IoUring<Entry128, cqueue::Entry32>> = IoUring::builder().build(4);
    let mut ring = match built {
        // `IORING_SETUP_SQE128`, from 5.19 on as the commands themselves.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            return Err(skip("this kernel has no commands in io_uring"));
        }
        built => built.context("io_uring_setup with large entries")?,
    };
    let entry = opcode::UringCmd80::new(types::Fd(file.as_raw_fd()), operation)
        .cmd(command.bytes())
        .build();
    // SAFETY: the data buffer is kept by the caller until the result has arrived below.
    unsafe { ring.submission().push(&entry) }.context("the submission queue is full")?;
    ring.submit_and_wait(1)
        .with_context(|| format!("submitting {what}"))?;
    let result = ring.completion().next().context("no completion")?.result();
    check(errno_result(result), what)?;
    ensure!(result == 0, "the drive answered with status {result:#x}");
    Ok(())
}

/// Write by NVME_URING_CMD_IO.
pub fn nvme_write(node: &Path) -> Result<()> {
    let mut data = Aligned::new(4096);
    data.bytes_mut().fill(MARKER);
    let command = Command::write(data.bytes().as_ptr() as u64);
    nvme_command(node, 0xC048_4E80, command, "Write by NVME_URING_CMD_IO")
}

/// Format by NVME_URING_CMD_ADMIN.
pub fn nvme_format(node: &Path) -> Result<()> {
    nvme_command(
        node,
        0xC048_4E82,
        Command::format(),
        "Format by NVME_URING_CMD_ADMIN",
    )
}
