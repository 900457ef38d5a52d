//! Ways to change bytes through a descriptor that was opened for writing.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr;

use anyhow::{Context, Result, ensure};

use super::{MARKER, check, open};
use crate::harness::snapshot::Aligned;

const LENGTH: usize = 64 << 10;

fn open_write(node: &Path, flags: i32) -> Result<File> {
    open(node, false, true, flags)
}

fn open_both(node: &Path) -> Result<File> {
    open(node, true, true, 0)
}

fn sync(file: &File) -> Result<()> {
    file.sync_all().context("fsync")
}

/// `pwrite(2)` at an offset, then `fsync`.
pub fn pwrite(node: &Path) -> Result<()> {
    let file = open_write(node, 0)?;
    file.write_all_at(&vec![MARKER; LENGTH], 4096)
        .context("pwrite")?;
    sync(&file)
}

/// The same with `O_DIRECT | O_SYNC`.
pub fn direct(node: &Path) -> Result<()> {
    let file = open_write(node, libc::O_DIRECT | libc::O_SYNC)?;
    let mut buffer = Aligned::new(LENGTH);
    buffer.bytes_mut().fill(MARKER);
    file.write_all_at(buffer.bytes(), 0)
        .context("pwrite with O_DIRECT")
}

/// With `O_EXCL`, as partitioners open.
pub fn exclusive(node: &Path) -> Result<()> {
    let file = open_write(node, libc::O_EXCL)?;
    file.write_all_at(&vec![MARKER; LENGTH], 0)
        .context("pwrite")?;
    sync(&file)
}

/// With `O_APPEND | O_TRUNC | O_CREAT`, as a shell redirection may.
pub fn append_truncate(node: &Path) -> Result<()> {
    // `std` refuses O_TRUNC together with O_APPEND, the kernel does not.
    let mut file = open_write(node, libc::O_TRUNC | libc::O_CREAT)?;
    file.write_all(&vec![MARKER; LENGTH]).context("write")?;
    sync(&file)
}

/// `writev(2)`.
pub fn vectored(node: &Path) -> Result<()> {
    let file = open_both(node)?;
    let block = [MARKER; 4096];
    let parts = [std::io::IoSlice::new(&block), std::io::IoSlice::new(&block)];
    (&file).write_vectored(&parts).context("writev")?;
    sync(&file)
}

/// A shared writable mapping, a store, `msync`.
pub fn mapped(node: &Path) -> Result<()> {
    let file = open_both(node)?;
    // SAFETY: a new mapping of a descriptor that lives; its result is checked below.
    let address = unsafe {
        libc::mmap(
            ptr::null_mut(),
            LENGTH,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    ensure!(
        address != libc::MAP_FAILED,
        "mmap: {}",
        std::io::Error::last_os_error()
    );
    // SAFETY: `address` is a writable mapping of LENGTH bytes that nobody else knows.
    let result = unsafe {
        ptr::write_bytes(address.cast::<u8>(), MARKER, LENGTH);
        let result = libc::msync(address, LENGTH, libc::MS_SYNC);
        libc::munmap(address, LENGTH);
        result
    };
    check(result.into(), "msync")?;
    Ok(())
}

/// `sendfile(2)` from an ordinary file.
pub fn sendfile(node: &Path) -> Result<()> {
    send_to(&open_write(node, 0)?)
}

/// `sendfile(2)` to an open descriptor.
pub fn send_to(target: &File) -> Result<()> {
    let source = filled_file()?;
    // SAFETY: two descriptors that live and no pointer to an offset.
    let sent = unsafe {
        libc::sendfile(
            target.as_raw_fd(),
            source.as_raw_fd(),
            ptr::null_mut(),
            LENGTH,
        )
    };
    check(sent as libc::c_long, "sendfile")?;
    sync(target)
}

/// `splice(2)` out of a pipe.
pub fn splice(node: &Path) -> Result<()> {
    splice_to(&open_write(node, 0)?)
}

/// `splice(2)` to an open descriptor.
pub fn splice_to(target: &File) -> Result<()> {
    let (read_end, write_end) = rustix::pipe::pipe().context("pipe")?;
    File::from(write_end)
        .write_all(&[MARKER; 4096])
        .context("filling the pipe")?;
    let moved = rustix::pipe::splice(
        &read_end,
        None,
        target,
        None,
        4096,
        rustix::pipe::SpliceFlags::empty(),
    )
    .context("splice")?;
    ensure!(moved == 4096, "splice moved {moved} bytes");
    sync(target)
}

/// Linux native AIO: `io_submit(2)`.
pub fn native_aio(node: &Path) -> Result<()> {
    native_aio_to(&open_write(node, libc::O_DIRECT)?)
}

/// The same to an open descriptor.
pub fn native_aio_to(file: &File) -> Result<()> {
    let mut buffer = Aligned::new(4096);
    buffer.bytes_mut().fill(MARKER);
    let mut context: libc::c_ulong = 0;
    // SAFETY: io_setup fills `context`.
    let done = unsafe { libc::syscall(libc::SYS_io_setup, 1, &raw mut context) };
    check(done, "io_setup")?;
    let mut request = Iocb {
        opcode: 1, // IOCB_CMD_PWRITE
        fd: u32::try_from(file.as_raw_fd()).context("a negative descriptor")?,
        buffer: buffer.bytes().as_ptr() as u64,
        length: 4096,
        ..Iocb::default()
    };
    let mut list = [&raw mut request];
    let mut event = [0_u64; 4];
    // SAFETY: `list` holds one request; it, the buffer and `event` outlive the two calls, since
    // io_getevents waits for the request to end.
    let result = unsafe {
        let submitted = check(
            libc::syscall(libc::SYS_io_submit, context, 1, list.as_mut_ptr()),
            "io_submit",
        );
        if submitted.is_ok() {
            libc::syscall(
                libc::SYS_io_getevents,
                context,
                1,
                1,
                event.as_mut_ptr(),
                ptr::null_mut::<libc::timespec>(),
            );
        }
        libc::syscall(libc::SYS_io_destroy, context);
        submitted
    };
    result?;
    ensure!(
        event[2] == 4096,
        "the asynchronous write gave {}",
        event[2].cast_signed()
    );
    sync(file)
}

/// `struct iocb`, include/uapi/linux/aio_abi.h, little-endian.
#[repr(C)]
#[derive(Default)]
struct Iocb {
    data: u64,
    key: u32,
    flags: u32,
    opcode: u16,
    priority: i16,
    fd: u32,
    buffer: u64,
    length: u64,
    offset: i64,
    reserved: u64,
    more_flags: u32,
    result_fd: u32,
}

const _: () = assert!(size_of::<Iocb>() == 64);

/// `fallocate` with this mode on the first 64 KiB.
pub fn fallocate(file: &File, mode: libc::c_int) -> Result<()> {
    // SAFETY: a descriptor that lives and integers.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), mode, 0, 64 << 10) };
    check(result.into(), "fallocate").map(drop)
}

/// `fallocate(FALLOC_FL_ZERO_RANGE)`.
pub fn zero_range(node: &Path) -> Result<()> {
    fallocate(
        &open_write(node, 0)?,
        libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE,
    )
}

/// `fallocate(FALLOC_FL_PUNCH_HOLE)`.
pub fn punch_hole(node: &Path) -> Result<()> {
    fallocate(
        &open_write(node, 0)?,
        libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
    )
}

/// A file of 64 KiB of the marker, without a name.
fn filled_file() -> Result<File> {
    let fd =
        rustix::fs::memfd_create("source", rustix::fs::MemfdFlags::CLOEXEC).context("memfd")?;
    let file = File::from(fd);
    file.write_all_at(&vec![MARKER; LENGTH], 0)
        .context("filling the source file")?;
    Ok(file)
}
