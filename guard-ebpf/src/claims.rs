//! Claims on block devices: who has one open exclusively, the kernel for a mount, a swap area, an
//! array or a mapping among them.
//!
//! A device that is protected merely because it is in use ([`device_flag::CLAIMED`]) is free when
//! its last claim is gone. The controller sees that too, some milliseconds later, and on a busy host
//! much later; `umount X && mkfs X` in a script does not wait for it.
//!
//! [`device_flag::CLAIMED`]: guard_abi::device_flag::CLAIMED

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use guard_abi::Unclaimed;
use guard_ebpf::decide::claims_left;

use crate::kernel::{AnyHolder, BlockDevice, current_process};
use crate::maps::UNCLAIMED;

/// No device has this number. Its entry says that claims are seen: without that, nothing would take
/// out a device that is claimed again.
const SEEN: u32 = 0;

/// Somebody is about to claim the device.
#[inline(always)]
pub fn claimed(device: BlockDevice, disk: Option<BlockDevice>, holder: AnyHolder) {
    let Some(number) = device.dev() else { return };
    let disk = disk.and_then(BlockDevice::dev);
    if !are_seen() {
        note(SEEN);
    }
    // A program's own exclusive open is no use that protects from itself: `mkfs` and its like open so,
    // and send commands through the file. From 6.10 on a swap area is claimed in the same way
    // (mm/swapfile.c `swapon`), so it protects from everybody else until the controller has looked.
    if holder.is_open_file_of(number) {
        opened_by_this(number);
        if let Some(disk) = disk {
            opened_by_this(disk);
        }
        return;
    }
    let _ = UNCLAIMED.remove(number);
    if let Some(disk) = disk {
        let _ = UNCLAIMED.remove(disk);
    }
}

/// Whether a claim has been seen since the maps were made.
#[inline(always)]
fn are_seen() -> bool {
    are_gone(SEEN)
}

/// The process that runs is the one that the device is still free for.
#[inline(always)]
fn opened_by_this(number: u32) {
    if let Some(mark) = UNCLAIMED.get_ptr_mut(number) {
        // SAFETY: the pointer is to an entry of a map whose memory outlives the program (a deleted entry's
        // is used again, for an entry of the same type); one aligned word is written.
        unsafe { (*mark).opener = current_process() };
    }
}

/// A claim on the device is about to be given up.
#[inline(always)]
pub fn given_up(device: BlockDevice) {
    if !are_seen() {
        return;
    }
    let Some(whole) = device.whole() else { return };
    let (Some(number), Some(disk)) = (device.dev(), whole.dev()) else {
        return;
    };
    let (Some(own), Some(all)) = (device.holders(), whole.holders()) else {
        return;
    };
    let left = claims_left(number == disk, own, all);
    if left.device == 0 && number != SEEN {
        note(number);
    }
    if left.disk == 0 && disk != number && disk != SEEN {
        note(disk);
    }
}

/// A claim that was announced is not made after all.
#[inline(always)]
pub fn not_made(device: BlockDevice) {
    if let (Some(number), Some(0)) = (device.dev(), device.holders())
        && number != SEEN
    {
        note(number);
    }
}

/// Whether the device's last claim was given up, and none made since but by programs' own opens. The
/// device program asks so: up to 5.10 it may not ask which process runs, and what it sees of a device
/// that somebody has open exclusively the kernel refuses by itself.
#[inline(always)]
pub fn are_gone(number: u32) -> bool {
    // SAFETY: the entry is not looked into.
    unsafe { UNCLAIMED.get(number) }.is_some()
}

/// Whether the device's last claim was given up, and none made since that protects from the process
/// that runs.
#[inline(always)]
pub fn are_gone_for_this_process(number: u32) -> bool {
    // SAFETY: one aligned word of the entry is read, at once.
    unsafe { UNCLAIMED.get(number) }
        .is_some_and(|mark| mark.opener == 0 || mark.opener == current_process())
}

#[inline(always)]
fn note(number: u32) {
    // SAFETY: a helper without arguments.
    let since = unsafe { bpf_ktime_get_ns() };
    let mark = Unclaimed {
        since,
        ..Unclaimed::default()
    };
    // Full: the controller sees it.
    let _ = UNCLAIMED.insert(number, mark, 0);
}
