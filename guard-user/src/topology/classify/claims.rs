//! Which devices are protected for nothing but claims that the kernel holds on them.
//!
//! Of those the kernel half knows by itself when they are free again: with the last claim
//! (`bd_holders`, [`guard_abi::device_flag::CLAIMED`]). Everything that protects a device without a
//! claim on it (a database, memory, a boot partition, a loop device or target that was laid over it)
//! must keep it out of this set.

use super::super::inventory::{BlockDevice, Inventory, Kind};
use super::super::reasons::Why;
use super::kinds::is_container;
use super::seeds::Seeds;
use super::spread::{Marks, mark};

/// By index.
pub(super) fn hold_all(inventory: &Inventory, seeds: &Seeds, marks: &Marks) -> Vec<bool> {
    const CLAIMS: u16 =
        mark::CONTENT | mark::TABLE | mark::DIRECT | mark::USED | mark::SWAP | mark::DRIVE;
    let mut held: Vec<bool> = (0..inventory.devices.len())
        .map(|index| {
            let bits = marks.of(index);
            marks.is_protected(index)
                && bits & mark::USED != 0
                && bits & !CLAIMS == 0
                && !inventory.device(index).boots
                && !seeds.not_claimed.contains(&(index as u32))
        })
        .collect();
    for (index, _, why) in &seeds.marks {
        if !matches!(why, Why::Mount { .. } | Why::Swap) {
            held[*index as usize] = false;
        }
    }
    // What lies above a device must hold it by a claim, and be no reason of another kind itself.
    let mut changed = true;
    while changed {
        changed = false;
        for index in 0..held.len() {
            let by_claims = || {
                inventory.device(index).above.iter().all(|above| {
                    let above = *above as usize;
                    !marks.is_protected(above)
                        || (held[above] && claims_what_is_below(inventory.device(above)))
                })
            };
            if held[index] && !by_claims() {
                held[index] = false;
                changed = true;
            }
        }
    }
    held
}

/// Whether a device in use of this kind keeps what it lies on open exclusively: drivers/md/dm.c
/// `open_table_device`, drivers/md/md.c `md_import_device`, drivers/md/bcache/super.c
/// `register_bcache`. A partition's claims count on its disk as well. A loop device keeps what it
/// was given open like any program.
fn claims_what_is_below(device: &BlockDevice) -> bool {
    match device.kind {
        Kind::Partition(_) | Kind::DeviceMapper { .. } | Kind::Bcache => true,
        Kind::Md(_) => !is_container(device),
        _ => false,
    }
}
