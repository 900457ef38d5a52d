//! Logical volumes that are not active and that `lvremove` may name: an old thin snapshot has no
//! device, because LVM does not activate it unless it is told to (lvmthin(7)).
//!
//! All that is known of them is LVM's text copy of the group's metadata, which may be behind. So a
//! volume is named only where nothing else that is known speaks against it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::inventory::{Inventory, Kind};
use super::super::lvm::{LvmUuid, dm_name, is_reserved, split_dm_name, volume_ids, without_layer};
use super::super::lvm_metadata::{Group, Volume};
use super::super::memory::Memory;

/// Group and name of each volume that is not active, visible, part of nothing else and never known
/// to have carried critical data; in order.
pub(super) fn volumes(inventory: &Inventory, memory: &Memory) -> BTreeSet<(String, String)> {
    let mut known = Known::default();
    known.add_active(inventory);
    known.add_remembered(memory);
    let mut found = BTreeSet::new();
    for group in inventory.lvm_copies.groups() {
        let one_of_its_name = inventory
            .lvm_copies
            .ids_of(&group.name)
            .all(|id| id == &*group.id);
        if !one_of_its_name || group.shared || !known.agrees_with(group) {
            continue;
        }
        let referred: HashSet<&str> = group
            .volumes
            .iter()
            .flat_map(|volume| volume.refers.iter().map(AsRef::as_ref))
            .collect();
        for volume in &group.volumes {
            if is_apart(volume) && !referred.contains(&*volume.name) && !known.has(group, volume) {
                found.insert((group.name.to_string(), volume.name.to_string()));
            }
        }
    }
    found
}

/// People see it, and LVM does not keep it for itself.
fn is_apart(volume: &Volume) -> bool {
    volume.status.iter().any(|flag| &**flag == "VISIBLE") && !is_reserved(&volume.name)
}

/// What is known of volumes without LVM's copies: from active devices and from memory.
#[derive(Default)]
struct Known<'a> {
    /// Ids of the active groups of each name.
    groups: BTreeMap<String, BTreeSet<&'a str>>,
    /// Group's and volume's ids in one.
    ids: HashSet<&'a str>,
    /// Device-mapper names without layers.
    names: HashSet<&'a str>,
    /// Ids of remembered volumes by group's id, and since when.
    remembered: HashMap<&'a str, Vec<(&'a str, u64)>>,
}

impl<'a> Known<'a> {
    fn add_active(&mut self, inventory: &'a Inventory) {
        for device in &inventory.devices {
            let Kind::DeviceMapper { name, uuid } = &device.kind else {
                continue;
            };
            self.names.insert(without_layer(name));
            self.ids.extend(volume_ids(uuid));
            if let (Some((group, _)), Some(uuid)) = (split_dm_name(name), LvmUuid::parse(uuid)) {
                self.groups.entry(group).or_default().insert(uuid.group);
            }
        }
    }

    fn add_remembered(&mut self, memory: &'a Memory) {
        for identity in &memory.remembered {
            let Some(uuid) = identity.stack_uuid.as_deref() else {
                continue;
            };
            self.names
                .extend(uuid.strip_prefix("dm-name:").map(without_layer));
            let Some(ids) = volume_ids(uuid) else {
                continue;
            };
            self.ids.insert(ids);
            if let Some(parsed) = LvmUuid::parse(uuid) {
                let of_group = self.remembered.entry(parsed.group).or_default();
                of_group.push((ids, identity.since));
            }
        }
    }

    /// The copy describes the one active group of its name, and was not made before a volume was
    /// remembered that it does not have. (Where no volume of the group is active, its disks are
    /// not protected for it, and whoever may write them needs no grant.)
    fn agrees_with(&self, group: &Group) -> bool {
        let active = self.groups.get(&*group.name);
        let is_active = active.is_some_and(|ids| ids.iter().eq([&&*group.id]));
        let has = |ids: &str| {
            let volumes = &mut group.volumes.iter();
            volumes.any(|volume| ids.ends_with(&*volume.id))
        };
        let remembered = self.remembered.get(&*group.id);
        is_active
            && remembered
                .into_iter()
                .flatten()
                .all(|(ids, since)| group.written >= *since || has(ids))
    }

    /// It is active under its id or under its name, or is remembered.
    fn has(&self, group: &Group, volume: &Volume) -> bool {
        self.ids
            .contains(format!("{}{}", group.id, volume.id).as_str())
            || self
                .names
                .contains(dm_name(&group.name, &volume.name).as_str())
    }
}
