//! Fills the guard's device map, as on a host with thousands of disks.

use anyhow::{Context, Result};
use aya::maps::{HashMap, Map, MapData};
use guard_abi::{DeviceClass, DeviceEntry, DeviceKey, dev, device_flag};

/// Where the guard pins the maps of each ABI version (guard-user/src/kernel/pin.rs).
const MAPS: &str = "/sys/fs/bpf/dbguard/maps";
/// A major number that no driver of the guests has (Documentation/admin-guide/devices.txt: 240 to
/// 254 are for local use; 12 bits are allowed).
const MAJOR: u32 = 4000;

/// Adds `count` protected devices to the pinned map and says how many entries it has then.
pub fn run(count: u32) -> Result<()> {
    let path = format!(
        "{MAPS}/{}/{}",
        guard_abi::ABI_VERSION,
        guard_abi::maps::DEVICES
    );
    let data = MapData::from_pin(&path).with_context(|| format!("cannot open {path}"))?;
    let mut devices: HashMap<_, DeviceKey, DeviceEntry> = Map::HashMap(data)
        .try_into()
        .context("DEVICES is not a hash map")?;
    let entry = DeviceEntry {
        class: DeviceClass::Protected as u32,
        // The controller keeps what it takes for the kernel half's own.
        flags: device_flag::IN_USE | device_flag::INHERITED,
        ..DeviceEntry::default()
    };
    for minor in 0..count {
        devices
            .insert(DeviceKey::block(dev::make(MAJOR, minor)), entry, 0)
            .with_context(|| format!("cannot add entry {minor}"))?;
    }
    println!("@devices {}", devices.keys().flatten().count());
    Ok(())
}
