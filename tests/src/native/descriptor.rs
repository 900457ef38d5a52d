//! Ways around the device's name: other nodes, other paths, other processes' descriptors.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::{MARKER, check, open, open_read};

fn overwrite(file: &File) -> Result<()> {
    file.write_all_at(&vec![MARKER; 64 << 10], 0)
        .context("pwrite")?;
    file.sync_all().context("fsync")
}

/// The descriptor's entry in `/proc/self/fd`.
fn proc_path(file: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Reads, then reopens the descriptor for writing through `/proc/self/fd`.
pub fn reopen_proc(node: &Path) -> Result<()> {
    let reader = open_read(node)?;
    overwrite(&open(&proc_path(&reader), true, true, 0)?)
}

/// Opens with `O_PATH`, which no hook sees, then reopens for writing.
pub fn reopen_path(node: &Path) -> Result<()> {
    let handle = open(node, true, false, libc::O_PATH)?;
    overwrite(&open(&proc_path(&handle), false, true, 0)?)
}

/// Through another process's `/proc/PID/fd`.
pub fn reopen_other_process(node: &Path) -> Result<()> {
    let reader = open_read(node)?;
    let path = format!(
        "/proc/{}/task/{}/fd/{}",
        std::process::id(),
        tid(),
        reader.as_raw_fd()
    );
    overwrite(&open(Path::new(&path), true, true, 0)?)
}

fn tid() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// A node made elsewhere, with the same numbers, on an ordinary file system.
pub fn fresh_node(node: &Path) -> Result<()> {
    let meta = fs::metadata(node).with_context(|| format!("stat {}", node.display()))?;
    let path = PathBuf::from(format!("/root/fresh-node-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    let name = CString::new(path.as_os_str().as_bytes()).context("a path with a zero byte")?;
    // SAFETY: a path that ends in a zero byte and integers.
    let made = unsafe { libc::mknod(name.as_ptr(), libc::S_IFBLK | 0o600, meta.rdev()) };
    check(made.into(), "mknod")?;
    let result = open(&path, false, true, 0).and_then(|file| overwrite(&file));
    let _ = fs::remove_file(&path);
    result
}

/// `name_to_handle_at` and `open_by_handle_at`: no path is walked.
pub fn by_handle(node: &Path) -> Result<()> {
    let name = CString::new(node.as_os_str().as_bytes()).context("a path with a zero byte")?;
    let mut handle = Handle {
        bytes: 128,
        kind: 0,
        room: [0; 128],
    };
    let mut mount_id: libc::c_int = 0;
    // SAFETY: `handle` has room for the 128 bytes it states.
    let named = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            name.as_ptr(),
            &raw mut handle,
            &raw mut mount_id,
            0,
        )
    };
    check(named, "name_to_handle_at")?;
    let mount = open(Path::new("/dev"), true, false, libc::O_DIRECTORY)?;
    // SAFETY: the handle was filled by the kernel; the mount's descriptor lives.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            mount.as_raw_fd(),
            &raw mut handle,
            libc::O_RDWR | libc::O_CLOEXEC,
        )
    };
    let fd = i32::try_from(check(fd, "open_by_handle_at")?).context("a descriptor out of range")?;
    // SAFETY: a new descriptor that nothing else owns.
    overwrite(&File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// `struct file_handle` with its room.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    room: [u8; 128],
}

/// A read-only descriptor arrives over a socket and is reopened for writing by the receiver.
pub fn passed(node: &Path) -> Result<()> {
    let (_sender, socket) = post(&open_read(node)?)?;
    overwrite(&open(&proc_path(&receive(&socket)?), true, true, 0)?)
}

/// Sends a copy of a descriptor away: both ends of the socket that it waits in, where it is in no
/// table. The sending one must live, or the descriptor goes with the queue.
pub(super) fn post(file: &File) -> Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .context("socketpair")?;
    let fds = [file.as_fd()];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(
        &ours,
        &[IoSlice::new(b"x")],
        &mut control,
        SendFlags::empty(),
    )
    .context("sendmsg")?;
    Ok((ours, theirs))
}

/// Takes the descriptor that waits in a socket.
pub(super) fn receive(socket: &OwnedFd) -> Result<File> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let mut byte = [0_u8; 1];
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .context("recvmsg")?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Ok(File::from(fd));
        }
    }
    bail!("no descriptor arrived")
}

/// Access mode 3 gives a descriptor for ioctls alone; BLKDISCARD through it.
pub fn access_mode_three(node: &Path) -> Result<()> {
    let name = CString::new(node.as_os_str().as_bytes()).context("a path with a zero byte")?;
    // SAFETY: a path that ends in a zero byte and flags.
    let fd = unsafe { libc::open(name.as_ptr(), 3 | libc::O_CLOEXEC) };
    check(fd.into(), "open with access mode 3")?;
    // SAFETY: a new descriptor that nothing else owns.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    super::ioctl::set_read_only(&file, true)?;
    super::ioctl::set_read_only(&file, false)
}

/// The write open is done by a thread, the write by another process that shares its table.
pub fn from_thread(node: &Path) -> Result<()> {
    let node = node.to_owned();
    thread::spawn(move || overwrite(&open(&node, true, true, 0)?))
        .join()
        .unwrap_or_else(|_| bail!("the thread panicked"))
}

/// `swapon(2)` itself: swapon(8) reads the header first and leaves a device without one alone.
pub fn swap_on(node: &Path) -> Result<()> {
    let name = CString::new(node.as_os_str().as_bytes()).context("a path with a zero byte")?;
    // SAFETY: a path that ends in a zero byte and no flags.
    check(unsafe { libc::swapon(name.as_ptr(), 0) }.into(), "swapon").map(drop)
}
