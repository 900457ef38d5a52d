//! Writing tables into the kernel's maps so that at no moment anything is less guarded than both
//! the old and the new table say.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use guard_abi::{
    ArgumentName, DeviceClass, DeviceEntry, DeviceKey, Engine, EngineName, ExeId, FileId, FileName,
    FileRule, NAMED_FILES, PlaceEntry, ToolRule, VerbKey, VerbRule, device_flag, maps as names,
};

use super::bpf::Plain;
use super::guard::Guard;
use super::maps::Map;
use super::problem::{GuardError, Result};

/// What [`Guard::sync_devices`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Entries that became protected, or changed while protected.
    pub protected: usize,
    /// Those of them that were free: somebody may have them open for writing.
    pub were_free: usize,
    /// Entries that became free or unknown, or changed while so.
    pub freed: usize,
    /// Entries deleted: their devices are gone, or unknown again.
    pub deleted: usize,
    /// Entries left as they were.
    pub unchanged: usize,
    /// Partitions that the kernel half has classified and the caller does not know yet: kept.
    pub inherited: usize,
    /// Devices that found no room. They count as unknown: refused while armed or held.
    pub no_room: usize,
}

impl Guard {
    /// Makes the `DEVICES` map say what `wanted` says: first whatever adds protection, then what
    /// takes it away, then what is gone. Partitions that the kernel half has added meanwhile are
    /// kept; the canary is kept.
    pub fn sync_devices(&mut self, wanted: &[(DeviceKey, DeviceEntry)]) -> Result<SyncReport> {
        let map = &self.maps.devices;
        let present: HashMap<DeviceKey, DeviceEntry> = map.entries()?.into_iter().collect();
        let mut report = SyncReport::default();
        let protects = |entry: &DeviceEntry| entry.class != DeviceClass::Free as u32;
        for adds_protection in [true, false] {
            for (key, entry) in wanted {
                if protects(entry) != adds_protection {
                    continue;
                }
                if present.get(key) == Some(entry) {
                    report.unchanged += 1;
                } else if !map.set_if_room(key, entry)? {
                    report.no_room += 1;
                } else if adds_protection {
                    report.protected += 1;
                    let was_free = present.get(key).is_some_and(|before| !protects(before));
                    report.were_free += usize::from(was_free);
                } else {
                    report.freed += 1;
                }
            }
        }
        let keys: HashSet<DeviceKey> = wanted.iter().map(|(key, _)| *key).collect();
        for (key, entry) in &present {
            if keys.contains(key) || entry.flags & device_flag::CANARY != 0 {
                continue;
            }
            if entry.flags & device_flag::INHERITED != 0 {
                report.inherited += 1;
            } else if map.remove(key)? {
                report.deleted += 1;
            }
        }
        if report.no_room > 0 && report.deleted > 0 {
            self.retry_for_room(wanted, &mut report)?;
        }
        Ok(report)
    }

    /// Takes out of `UNCLAIMED` what was written before this moment (`CLOCK_MONOTONIC`, ns): the
    /// entries of `DEVICES` say by now what has become of those devices.
    pub fn forget_unclaimed(&self, before: u64) -> Result<()> {
        let map = &self.maps.unclaimed;
        for (dev, mark) in map.entries()? {
            // dev_t 0 stands for no device.
            if dev != 0 && mark.since < before {
                map.remove(&dev)?;
            }
        }
        Ok(())
    }

    /// After deletions have made room: the entries that found none.
    fn retry_for_room(
        &self,
        wanted: &[(DeviceKey, DeviceEntry)],
        report: &mut SyncReport,
    ) -> Result<()> {
        report.no_room = 0;
        for (key, entry) in wanted {
            if self.maps.devices.get(key)?.is_none()
                && !self.maps.devices.set_if_room(key, entry)?
            {
                report.no_room += 1;
            }
        }
        Ok(())
    }

    /// Says which executables are database servers: new ones first, then the old are forgotten.
    pub fn set_engines(
        &self,
        by_name: &[(EngineName, Engine)],
        by_exe: &[(ExeId, Engine)],
    ) -> Result<()> {
        let number = |engine: &Engine| u32::from(*engine as u8);
        let names: Vec<_> = by_name
            .iter()
            .map(|(name, engine)| (*name, number(engine)))
            .collect();
        let exes: Vec<_> = by_exe
            .iter()
            .map(|(exe, engine)| (*exe, number(engine)))
            .collect();
        replace(&self.maps.engine_names, &names, Order::AddFirst)?;
        replace(&self.maps.engine_exes, &exes, Order::AddFirst)
    }

    /// Says what the names in the kernel's own file systems mean: [`guard_abi::NAMED_FILES`].
    pub(super) fn set_file_names(&self) -> Result<()> {
        let names: Vec<_> = NAMED_FILES
            .iter()
            .map(|file| {
                let rule = FileRule {
                    op: file.op as u32,
                    scope: file.scope as u32,
                };
                (FileName::new(file.fs, file.name), rule)
            })
            .collect();
        replace(&self.maps.file_names, &names, Order::AddFirst)
    }

    /// Says which files and directories are places: new ones first, then the old are forgotten. Of
    /// an identity that is given twice the first counts. `before` is what the table holds where
    /// that is known; otherwise it is read. `members` reads the inode numbers of all that lies in
    /// those directories, and is asked when the kernel half counts what is put there. Gives what
    /// [`additions`](Self::additions) was before: as long as it is that, ordinary files are spared.
    pub fn set_places(
        &self,
        before: Option<&[(FileId, PlaceEntry)]>,
        wanted: &[(FileId, PlaceEntry)],
        members: impl FnOnce() -> Option<Vec<u64>>,
    ) -> Result<u64> {
        let before = match before {
            Some(told) => first_counts(told),
            None => self.maps.places.entries()?.into_iter().collect(),
        };
        let wanted = first_counts(wanted);
        let (mut marks, handed_over) = self.mark_places(&wanted)?;
        // A place counts only when its file system is looked at, and the other way round.
        let (slots_before, slots_after) = (superblock_slots(&before), superblock_slots(&wanted));
        for slot in &slots_after {
            self.maps.superblocks.set(slot, &1)?;
        }
        for (id, place) in &wanted {
            if before.get(id) != Some(place) {
                self.maps.places.set(id, place)?;
            }
        }
        for id in before.keys().filter(|id| !wanted.contains_key(*id)) {
            self.maps.places.remove(id)?;
        }
        for slot in slots_before.difference(&slots_after) {
            self.maps.superblocks.set(slot, &0)?;
        }
        let members = members();
        for ino in members.iter().flatten() {
            marks.mark_member(*ino);
        }
        // Before anything rests on them.
        self.maps.marks.set(&0, &marks)?;
        marks.open(wanted.keys().copied(), handed_over);
        if members.is_some() {
            marks.open_plain(by_places(&wanted).into_iter(), handed_over);
        }
        self.maps.marks.set(&0, &marks)?;
        Ok(handed_over)
    }

    /// Says which device-mapper devices are guarded ([`guard_abi::dm_key`] of names and UUIDs).
    pub fn set_guarded_dm(&self, keys: &[u64]) -> Result<()> {
        let keys: Vec<_> = keys.iter().map(|key| (*key, 1_u32)).collect();
        replace(&self.maps.dm_names, &keys, Order::AddFirst)
    }

    /// Says which executables are tools, with what verbs and arguments. Grants are taken away
    /// before others are given. Processes that run already keep what they were given at exec.
    pub fn set_tools(
        &self,
        rules: &[(ExeId, ToolRule)],
        verbs: &[(VerbKey, VerbRule)],
        arguments: &[ArgumentName],
    ) -> Result<()> {
        let arguments: Vec<_> = arguments.iter().map(|name| (*name, 1_u32)).collect();
        replace(&self.maps.arguments, &arguments, Order::RemoveFirst)?;
        replace(&self.maps.verbs, verbs, Order::RemoveFirst)?;
        replace(&self.maps.tools, rules, Order::RemoveFirst)
    }
}

fn first_counts(places: &[(FileId, PlaceEntry)]) -> HashMap<FileId, PlaceEntry> {
    places.iter().rev().copied().collect()
}

/// The slots of the file systems on disk that hold these.
fn superblock_slots(places: &HashMap<FileId, PlaceEntry>) -> HashSet<u32> {
    let on_disk = places.keys().filter(|id| id.reserved == 0);
    on_disk.map(|id| names::superblock_slot(id.dev)).collect()
}

/// The file systems on disk that hold these, those with most places first.
fn by_places(places: &HashMap<FileId, PlaceEntry>) -> Vec<u32> {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for id in places.keys().filter(|id| id.reserved == 0) {
        *counts.entry(id.dev).or_default() += 1;
    }
    let mut found: Vec<(Reverse<usize>, u32)> = counts
        .into_iter()
        .map(|(dev, count)| (Reverse(count), dev))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, dev)| dev).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// What is new, then what is gone.
    AddFirst,
    /// What is gone, then what is new.
    RemoveFirst,
}

/// Makes a map hold exactly `wanted`, touching what differs alone.
pub(super) fn replace<K, V>(map: &Map<K, V>, wanted: &[(K, V)], order: Order) -> Result<()>
where
    K: Plain + Eq + Hash,
    V: Plain + PartialEq,
{
    let present: HashMap<K, V> = map.entries()?.into_iter().collect();
    let remove_stale = || -> Result<()> {
        let wanted: HashSet<K> = wanted.iter().map(|(key, _)| *key).collect();
        for key in present.keys().filter(|key| !wanted.contains(*key)) {
            map.remove(key)?;
        }
        Ok(())
    };
    if order == Order::RemoveFirst {
        remove_stale()?;
    }
    let mut missing = 0;
    for (key, value) in wanted {
        if present.get(key) != Some(value) && !map.set_if_room(key, value)? {
            missing += 1;
        }
    }
    if order == Order::AddFirst {
        remove_stale()?;
    }
    if missing == 0 {
        return Ok(());
    }
    Err(GuardError::Full {
        name: map.name(),
        missing,
        wanted: wanted.len(),
    })
}
