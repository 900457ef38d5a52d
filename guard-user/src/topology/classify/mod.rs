//! From devices and uses to what the kernel half is told.
//!
//! [`seeds`] turns uses and memory into marked devices, [`spread`] carries the marks through the
//! stacks until nothing changes, and this module turns marks into entries with their reasons.
//! Every rule only ever adds a mark, so the order of devices and uses has no influence, and one
//! more use never takes protection away.

mod claims;
mod entries;
mod explain;
mod inactive;
mod kinds;
mod members;
mod seeds;
mod spread;

use std::sync::Arc;

use guard_abi::{
    ControlKind, DM_TEXT_BYTES, DeviceClass, DeviceEntry, DeviceKey, PassthroughKind, device_flag,
    dm_key,
};

use super::memory::{DeviceIdentity, Memory};
use super::reasons::Why;
use super::uses::Uses;
use super::{Inventory, Kind};

/// One device with its verdict.
#[derive(Clone, Debug)]
pub struct Classified {
    /// Key in the kernel's map.
    pub key: DeviceKey,
    /// Value in the kernel's map.
    pub entry: DeviceEntry,
    /// Kernel name (`nvme0n1p1`).
    pub name: Arc<str>,
    /// Name in the stack (`vg0-data`), where it has one.
    pub stack_name: Option<Arc<str>>,
    /// Reasons, the weightiest first.
    pub why: Vec<Why>,
    /// How to recognise it later; for devices with critical data alone.
    pub identity: Option<Box<DeviceIdentity>>,
}

impl Classified {
    /// `Free` or `Protected`. Devices that are not classified have no entry at all.
    pub fn class(&self) -> DeviceClass {
        DeviceClass::ALL
            .iter()
            .copied()
            .find(|class| *class as u32 == self.entry.class)
            .unwrap_or(DeviceClass::Unknown)
    }

    /// True for the device of the root file system.
    pub fn is_root(&self) -> bool {
        self.why
            .iter()
            .any(|why| matches!(why, Why::Mount { point } if &**point == "/"))
    }

    /// True where the entry has this [`device_flag`].
    pub fn has(&self, flag: u32) -> bool {
        self.entry.flags & flag != 0
    }
}

/// All devices with their verdicts, and what else the kernel half is told about them.
#[derive(Clone, Debug, Default)]
pub struct Classification {
    /// Block devices by dev_t, then passthrough nodes by dev_t.
    pub devices: Vec<Classified>,
    /// What each character major passes through.
    pub char_majors: Vec<(u32, PassthroughKind)>,
    /// Majors of character devices that steer the machine.
    pub control_majors: Vec<(u32, ControlKind)>,
    /// Names and UUIDs ([`guard_abi::dm_key`]) of device-mapper devices that are neither suspended
    /// nor removed by anybody but who keeps them.
    pub guarded_dm: Vec<u64>,
    /// device-mapper's major, 0 where it is not there.
    pub dm_major: u32,
    /// Arguments with which `lvremove` may name volumes that are free.
    pub free_lv_arguments: Vec<String>,
    /// What could not be traced; each makes the host's state doubtful and belongs in `status`.
    pub problems: Vec<String>,
}

impl Classification {
    /// Identities of the devices that carry critical data now.
    pub fn critical_identities(&self) -> Vec<DeviceIdentity> {
        let live = |device: &&Classified| {
            device.has(device_flag::CRITICAL_DATA) && !device.has(device_flag::REMEMBERED)
        };
        self.devices
            .iter()
            .filter(live)
            .filter_map(|device| device.identity.as_deref().cloned())
            .collect()
    }

    /// The verdict on one device.
    pub fn get(&self, key: DeviceKey) -> Option<&Classified> {
        let order = |device: &Classified| (device.key.kind, device.key.dev);
        self.devices
            .binary_search_by_key(&(key.kind, key.dev), order)
            .ok()
            .map(|at| &self.devices[at])
    }
}

/// Judges every device.
pub fn classify(inventory: &Inventory, uses: &Uses, memory: &Memory) -> Classification {
    let mut seeds = seeds::collect(inventory, uses, memory);
    let marks = spread::spread(inventory, &mut seeds);
    let reasons = explain::Explainer::new(inventory, &seeds, &marks);
    let devices = entries::all(inventory, &seeds, &marks, &reasons);
    Classification {
        free_lv_arguments: entries::free_lv_arguments(inventory, &marks, memory),
        guarded_dm: guarded_dm(inventory, &devices),
        devices,
        char_majors: inventory.char_majors.clone(),
        control_majors: inventory.control_majors.clone(),
        dm_major: inventory.dm_major,
        problems: seeds.problems,
    }
}

/// Of devices that carry critical data, and of the root file system's. Others that are in use may
/// be a container engine's, which keeps them itself.
fn guarded_dm(inventory: &Inventory, devices: &[Classified]) -> Vec<u64> {
    let mut keys: Vec<u64> = inventory
        .devices
        .iter()
        .zip(devices)
        .filter(|(_, known)| known.has(device_flag::CRITICAL_DATA) || known.is_root())
        .filter_map(|(device, _)| match &device.kind {
            Kind::DeviceMapper { name, uuid } => Some([name, uuid]),
            _ => None,
        })
        .flatten()
        .filter(|text| !text.is_empty())
        .map(|text| text_key(text))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The key of a name or UUID, as the kernel half makes it of one that it was sent.
fn text_key(text: &str) -> u64 {
    let mut words = [0_u64; DM_TEXT_BYTES / 8];
    // The last byte is the zero that ends the longest text.
    for (at, byte) in text.bytes().take(DM_TEXT_BYTES - 1).enumerate() {
        words[at / 8] |= u64::from(byte) << (8 * (at % 8));
    }
    dm_key(&words)
}

/// `dm-0 (vg0-data)`.
fn shown(inventory: &Inventory, index: usize) -> Arc<str> {
    let device = inventory.device(index);
    match &device.kind {
        Kind::DeviceMapper { name, .. } => format!("{} ({name})", device.name).into(),
        _ => device.name.clone(),
    }
}
