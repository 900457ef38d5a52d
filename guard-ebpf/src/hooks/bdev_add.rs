//! Entry of `bdev_add` (block/bdev.c): a block device becomes visible under its number.
//!
//! A convenience: without it the controller learns of the device by its uevent, milliseconds
//! later, and until then it is unknown. With it, `sgdisk spare; mkfs spare1` on an armed host has
//! no race, and an entry of a device that had the number before cannot outlive it.

use core::ffi::c_void;

use aya_ebpf::programs::FEntryContext;
use guard_abi::{ArmWord, DeviceClass, DeviceEntry, DeviceKey, dev, device_flag};

use crate::emit;
use crate::kernel::BlockDevice;
use crate::maps::{DEVICES, UNCLAIMED};

/// `void bdev_add(struct block_device *bdev, dev_t dev)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "fentry/bdev_add")]
extern "C" fn bdev_add(ctx: *mut c_void) -> i64 {
    let ctx = FEntryContext::new(ctx);
    let device = BlockDevice(ctx.arg(0));
    let number: u32 = ctx.arg(1);
    // The entry first, the generation second: whoever reads the new generation and scans again
    // finds the device; whoever has scanned before finds the generation changed.
    let _ = DEVICES.remove(DeviceKey::block(number));
    let _ = UNCLAIMED.remove(number);
    if begins_free(device, number) {
        let entry = DeviceEntry {
            class: DeviceClass::Free as u32,
            flags: device_flag::INHERITED,
            ..DeviceEntry::default()
        };
        // Full: the device stays unknown.
        let _ = DEVICES.insert(DeviceKey::block(number), entry, 0);
    } else {
        let glass = glass_of_disk(device);
        if glass != 0 {
            // A partition that is made on the object of a grant is its object too.
            let entry = DeviceEntry {
                class: DeviceClass::Unknown as u32,
                flags: device_flag::INHERITED,
                glass,
                ..DeviceEntry::default()
            };
            let _ = DEVICES.insert(DeviceKey::block(number), entry, 0);
        }
    }
    emit::raise(ArmWord::DeviceGen);
    0
}

/// A partition of a disk that is plainly free, or a device that has nothing below it yet: a loop
/// device, whose backing must have been opened for writing to be written through it, or an MD
/// array, whose members are judged one by one (`judge::new_member`).
#[inline(always)]
fn begins_free(device: BlockDevice, number: u32) -> bool {
    let Some(disk) = device.whole().and_then(BlockDevice::dev) else {
        return false;
    };
    // The number of a whole disk is set by the function that begins here.
    if disk == number || disk == 0 {
        return matches!(dev::major(number), dev::LOOP_MAJOR | dev::MD_MAJOR);
    }
    // SAFETY: the entry is read at once.
    unsafe { DEVICES.get(DeviceKey::block(disk)) }.is_some_and(|disk| {
        disk.class == DeviceClass::Free as u32 && disk.flags & device_flag::DISK_PROTECTED == 0
    })
}

/// The grant that the disk of a partition is the object of; 0.
#[inline(always)]
fn glass_of_disk(device: BlockDevice) -> u32 {
    let Some(disk) = device.whole().and_then(BlockDevice::dev) else {
        return 0;
    };
    // SAFETY: the entry is read at once.
    match unsafe { DEVICES.get(DeviceKey::block(disk)) } {
        Some(entry) => entry.glass,
        None => 0,
    }
}
