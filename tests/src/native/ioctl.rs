//! ioctls of block devices, sent through a read-only descriptor wherever the kernel lets them.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::{Context, Result};

use super::{check, open_read};

/// `BLKROSET`.
const BLKROSET: libc::c_ulong = 0x125D;
/// `BLKDISCARD`.
const BLKDISCARD: libc::c_ulong = 0x1277;
/// `BLKSECDISCARD`.
const BLKSECDISCARD: libc::c_ulong = 0x127D;
/// `BLKZEROOUT`.
const BLKZEROOUT: libc::c_ulong = 0x127F;
/// `BLKPG`.
const BLKPG: libc::c_ulong = 0x1269;
/// `FIFREEZE` and such are not block ioctls; nobody uses this number.
const INVENTED: libc::c_ulong = 0x4008_12F3;

/// Sends an ioctl whose argument is a pointer to `argument`.
pub fn send<T>(file: &File, command: libc::c_ulong, argument: &mut T) -> Result<libc::c_int> {
    // SAFETY: the argument lives and has the layout that the caller knows the command to take.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), command, std::ptr::from_mut(argument)) };
    check(result.into(), &format!("ioctl {command:#x}"))?;
    Ok(result)
}

fn range(node: &Path, command: libc::c_ulong, write: bool) -> Result<()> {
    let file = if write {
        super::open(node, false, true, 0)?
    } else {
        open_read(node)?
    };
    on_range(&file, command)
}

fn on_range(file: &File, command: libc::c_ulong) -> Result<()> {
    let mut range = [0_u64, 64 << 10];
    send(file, command, &mut range).map(drop)
}

/// BLKDISCARD through an open descriptor.
pub fn discard_through(file: &File) -> Result<()> {
    on_range(file, BLKDISCARD)
}

/// BLKDISCARD on a descriptor opened for writing.
pub fn discard(node: &Path) -> Result<()> {
    range(node, BLKDISCARD, true)
}

/// BLKZEROOUT on a descriptor opened for writing.
pub fn zero_out(node: &Path) -> Result<()> {
    range(node, BLKZEROOUT, true)
}

/// BLKZEROOUT through a descriptor that is there already.
pub fn zero_out_by(file: &File) -> Result<()> {
    send(file, BLKZEROOUT, &mut [0_u64, 64 << 10]).map(drop)
}

/// BLKDISCARD on a read-only descriptor.
pub fn discard_read_only(node: &Path) -> Result<()> {
    range(node, BLKDISCARD, false)
}

/// BLKSECDISCARD on a read-only descriptor.
pub fn secure_discard_read_only(node: &Path) -> Result<()> {
    range(node, BLKSECDISCARD, false)
}

/// BLKZEROOUT on a read-only descriptor.
pub fn zero_out_read_only(node: &Path) -> Result<()> {
    range(node, BLKZEROOUT, false)
}

/// An ioctl number that no kernel knows.
pub fn invented(node: &Path) -> Result<()> {
    let file = open_read(node)?;
    send(&file, INVENTED, &mut [0_u64; 8]).map(drop)
}

/// BLKROSET through a descriptor.
pub fn set_read_only(file: &File, on: bool) -> Result<()> {
    send(file, BLKROSET, &mut i32::from(on)).map(drop)
}

/// `struct blkpg_partition`, include/uapi/linux/blkpg.h.
#[repr(C)]
struct Partition {
    start: i64,
    length: i64,
    number: i32,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
struct PartitionChange {
    operation: i32,
    flags: i32,
    length: i32,
    data: *mut Partition,
}

/// BLKPG: 1 adds, 2 deletes, 3 resizes partition `number`, sizes in bytes.
pub fn change_partition(
    node: &Path,
    operation: i32,
    number: i32,
    start: i64,
    length: i64,
) -> Result<()> {
    let file = open_read(node)?;
    let mut partition = Partition {
        start,
        length,
        number,
        device_name: [0; 64],
        volume_name: [0; 64],
    };
    let mut change = PartitionChange {
        operation,
        flags: 0,
        length: i32::try_from(size_of::<Partition>()).context("the size of a partition")?,
        data: &raw mut partition,
    };
    send(&file, BLKPG, &mut change).map(drop)
}
