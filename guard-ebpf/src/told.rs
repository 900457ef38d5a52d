//! One act, one event, although several hooks see it.
//!
//! A program's open of a block device is judged three times: by the cgroup device hook when the
//! path is walked (fs/namei.c `inode_permission`), by `file_open`, and by the cgroup device hook
//! again when the block layer opens the device (block/bdev.c `bdev_permission`, before 6.8
//! `blkdev_get_by_dev`). Where the first refuses, the others are not asked. Where it only
//! observes, each thread remembers how far the act on this device has been told.

use guard_abi::Told;

/// Which of the hooks judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// The cgroup device hook.
    CgroupDevice,
    /// `file_open`.
    FileOpen,
}

/// Whether an event is due, and what is remembered from now on. `swap`: swapon(2) has the device
/// opened once more.
#[inline(always)]
pub const fn told(before: Told, judge: Judge, swap: bool) -> (bool, Told) {
    match (judge, before) {
        (Judge::CgroupDevice, Told::ByFileOpen) if swap => (false, Told::ByFileOpen),
        (Judge::CgroupDevice, Told::ByFileOpen) => (false, Told::Nothing),
        // Whatever was told was another act, of which no open came: the kernel's own.
        (Judge::CgroupDevice, _) => (true, Told::ByCgroup),
        (Judge::FileOpen, Told::ByCgroup) => (false, Told::ByFileOpen),
        (Judge::FileOpen, _) => (true, Told::ByFileOpen),
    }
}
