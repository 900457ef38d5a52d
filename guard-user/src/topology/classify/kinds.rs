//! What a device's kind means for its neighbours.

use std::sync::Arc;

use super::super::inventory::{BlockDevice, Inventory, Kind};
use super::super::lvm::{LvmUuid, is_internal, split_dm_name};
use super::spread::mark;

/// A partition of the kernel's, or one that kpartx made of a multipath device (`part1-mpath-…`,
/// multipath-tools kpartx/devmapper.c).
pub(super) fn is_partition(device: &BlockDevice) -> bool {
    match &device.kind {
        Kind::Partition(_) => true,
        Kind::DeviceMapper { uuid, .. } => uuid
            .strip_prefix("part")
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(number, of)| {
                !number.is_empty()
                    && number.bytes().all(|byte| byte.is_ascii_digit())
                    && of.starts_with("mpath-")
            }),
        _ => false,
    }
}

/// A protected device that makes what lies below it used by another for its neighbours. Neither a
/// container, which shares its disks with its arrays, nor a partition that is protected merely as
/// an alias: whatever made it one counts already.
pub(super) fn is_user(device: &BlockDevice, bits: u16) -> bool {
    let alias = is_partition(device) && bits & mark::PROTECTED == mark::OVERLAY;
    bits & mark::PROTECTED != 0 && !alias && !is_container(device)
}

/// The container of MD arrays with external metadata (IMSM, DDF): holds the same disks as they.
pub(super) fn is_container(device: &BlockDevice) -> bool {
    matches!(&device.kind, Kind::Md(array) if array.is_container())
}

/// A snapshot with a store of its own, or a thin volume: what it is written to is its own.
pub(super) fn is_copy(inventory: &Inventory, volume: &BlockDevice) -> bool {
    volume.below.iter().any(|index| {
        lvm(inventory.device(*index as usize))
            .is_some_and(|other| matches!(other.uuid.layer, "cow" | "tpool"))
    })
}

/// A device-mapper node that LVM made.
pub(super) struct Volume<'a> {
    pub(super) uuid: LvmUuid<'a>,
    pub(super) dm_name: &'a str,
    /// Hidden from people.
    pub(super) internal: bool,
}

impl Volume<'_> {
    pub(super) fn group_name(&self) -> Arc<str> {
        split_dm_name(self.dm_name).map_or_else(|| self.dm_name.into(), |(group, _)| group.into())
    }
}

pub(super) fn lvm(device: &BlockDevice) -> Option<Volume<'_>> {
    let Kind::DeviceMapper { name, uuid } = &device.kind else {
        return None;
    };
    let uuid = LvmUuid::parse(uuid)?;
    Some(Volume {
        uuid,
        dm_name: name,
        internal: is_internal(&uuid, name),
    })
}
