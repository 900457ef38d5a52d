//! Devices that carried critical data once, known by what stays the same when names move.

use serde::{Deserialize, Serialize};

use super::inventory::{BlockDevice, Inventory};

/// How much of a device critical data covered.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All of it.
    #[default]
    Content,
    /// Some partition of it; the partition table and drive-wide commands are what matters.
    Table,
}

/// What a device is recognised by after a reboot or a move to another port.
///
/// Any one identifier that agrees is a match: two devices that share one (multipath, a cloned
/// disk) are both protected. The kernel's name is used only where there is nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceIdentity {
    /// World-wide id of the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wwid: Option<String>,
    /// Serial number of the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Number of the partition on the disk that `wwid` and `serial` name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// UUID of the partition in its table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partuuid: Option<String>,
    /// UUID of the partition table of a whole disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_uuid: Option<String>,
    /// UUID of a device-mapper or MD device, or the file behind a loop device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_uuid: Option<String>,
    /// Kernel name when it was seen. A means of recognition only with `sectors`, and only where
    /// every other field is empty.
    pub name: String,
    /// Size in sectors of 512 bytes.
    pub sectors: u64,
    /// How much of it was critical.
    pub scope: Scope,
    /// What it carried, for people.
    pub why: String,
    /// When it was first remembered, seconds since 1970. The classification leaves it 0; whoever
    /// stores the identity sets it.
    pub since: u64,
}

impl DeviceIdentity {
    /// True where only the kernel's name and the size tell the device: it may be another one after
    /// a reboot.
    pub fn is_weak(&self) -> bool {
        self.wwid.is_none()
            && self.serial.is_none()
            && self.partuuid.is_none()
            && self.table_uuid.is_none()
            && self.stack_uuid.is_none()
    }

    /// True where both describe the same device, whatever is said about it.
    pub fn same_device(&self, other: &Self) -> bool {
        if self.is_weak() || other.is_weak() {
            return self.is_weak()
                && other.is_weak()
                && self.name == other.name
                && self.sectors == other.sectors;
        }
        agree(self.stack_uuid.as_ref(), other.stack_uuid.as_ref())
            || agree(self.partuuid.as_ref(), other.partuuid.as_ref())
            || agree(self.table_uuid.as_ref(), other.table_uuid.as_ref())
            || (self.partition == other.partition
                && (agree(self.wwid.as_ref(), other.wwid.as_ref())
                    || agree(self.serial.as_ref(), other.serial.as_ref())))
    }
}

impl DeviceIdentity {
    /// What the drives themselves say: the same, another, or nothing that could be compared.
    pub fn same_hardware(&self, other: &Self) -> Option<bool> {
        [(&self.wwid, &other.wwid), (&self.serial, &other.serial)]
            .into_iter()
            .find_map(|(one, other)| Some(one.as_ref()? == other.as_ref()?))
    }
}

fn agree(one: Option<&String>, other: Option<&String>) -> bool {
    one.is_some() && one == other
}

/// What the host remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Devices that stay protected until they are released.
    pub remembered: Vec<DeviceIdentity>,
}

impl Memory {
    /// Adds what is not there yet. A device that was remembered for its table alone and is now
    /// critical as a whole is widened, never narrowed. True where anything changed.
    pub fn learn(&mut self, identities: Vec<DeviceIdentity>, now: u64) -> bool {
        let mut changed = false;
        for mut new in identities {
            match self.remembered.iter_mut().find(|old| old.same_device(&new)) {
                Some(old) if old.scope == Scope::Table && new.scope == Scope::Content => {
                    old.scope = Scope::Content;
                    old.why = new.why;
                    changed = true;
                }
                Some(_) => {}
                None => {
                    new.since = now;
                    self.remembered.push(new);
                    changed = true;
                }
            }
        }
        changed
    }
}

impl Memory {
    /// What a person means who types this: the device, its partitions, its disk. `present` is the device
    /// that the path leads to now, which may have had another name when it was remembered, and whose
    /// name may have been another's. What leads to no device is a name, a WWID or a serial number.
    pub fn meant_by(&self, typed: &str, present: Option<&DeviceIdentity>) -> Vec<DeviceIdentity> {
        let text = typed.strip_prefix("/dev/").unwrap_or(typed);
        let by_words = |one: &DeviceIdentity| {
            let ids = [&one.wwid, &one.serial, &one.partuuid, &one.stack_uuid];
            one.name == text || ids.into_iter().any(|id| id.as_deref() == Some(text))
        };
        let is_meant = |one: &DeviceIdentity| match present {
            Some(present) => one.same_device(present),
            None => by_words(one),
        };
        let mut meant: Vec<&DeviceIdentity> =
            self.remembered.iter().filter(|one| is_meant(one)).collect();
        // A copy of a partition table is not the drive that it was copied from.
        if let Some(present) = present
            && meant
                .iter()
                .any(|one| one.same_hardware(present) == Some(true))
        {
            meant.retain(|one| one.same_hardware(present) != Some(false));
        }
        let same_drive = |one: &DeviceIdentity, other: &DeviceIdentity| {
            agree(one.wwid.as_ref(), other.wwid.as_ref())
                || agree(one.serial.as_ref(), other.serial.as_ref())
        };
        let with_drive = |one: &&DeviceIdentity| {
            meant
                .iter()
                .any(|meant| one == meant || same_drive(one, meant))
        };
        self.remembered.iter().filter(with_drive).cloned().collect()
    }
}

impl Inventory {
    /// The identity of the block device with this dev_t.
    pub fn identity(&self, dev: u32, scope: Scope) -> Option<DeviceIdentity> {
        let index = self.index_of_dev(dev)?;
        Some(identify(self, index, scope))
    }

    /// Identities of all block devices.
    pub fn identities(&self, scope: Scope) -> Vec<DeviceIdentity> {
        (0..self.devices().len())
            .map(|index| identify(self, index, scope))
            .collect()
    }
}

/// The identity of a device as it is now.
pub(super) fn identify(inventory: &Inventory, index: usize, scope: Scope) -> DeviceIdentity {
    let device = inventory.device(index);
    let disk = device
        .disk
        .map_or(device, |disk| inventory.device(disk as usize));
    let mut identity = DeviceIdentity {
        wwid: text(disk.ids.wwid.as_deref()),
        serial: text(disk.ids.serial.as_deref()),
        partition: device.partition(),
        stack_uuid: stack_uuid(device),
        name: device.name.to_string(),
        sectors: device.sectors,
        scope,
        ..DeviceIdentity::default()
    };
    if device.partition().is_some() {
        identity.partuuid = text(device.ids.partuuid.as_deref());
    } else {
        identity.table_uuid = text(device.ids.table_uuid.as_deref());
    }
    identity
}

fn text(value: Option<&str>) -> Option<String> {
    value.map(str::to_owned)
}

fn stack_uuid(device: &BlockDevice) -> Option<String> {
    use super::inventory::Kind;
    match &device.kind {
        Kind::DeviceMapper { uuid, name } => {
            // A node made by hand has no UUID; its dm name at least is not counted up at boot.
            Some(if uuid.is_empty() {
                format!("dm-name:{name}")
            } else {
                uuid.to_string()
            })
        }
        Kind::Md(array) => array.uuid.as_ref().map(ToString::to_string),
        Kind::Loop {
            backing_path: Some(path),
            ..
        } => Some(format!("loop:{path}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, wwid: &str, table: &str) -> DeviceIdentity {
        DeviceIdentity {
            wwid: Some(wwid.into()),
            table_uuid: Some(table.into()),
            name: name.into(),
            ..DeviceIdentity::default()
        }
    }

    fn names(found: &[DeviceIdentity]) -> Vec<&str> {
        found.iter().map(|one| one.name.as_str()).collect()
    }

    /// `sdb` was remembered; since the reboot it is `sdc`, and `sdb` is another disk.
    #[test]
    fn a_name_means_the_device_that_has_it_now() {
        let partition = DeviceIdentity {
            partition: Some(1),
            ..disk("sdb1", "naa.a", "t1")
        };
        let memory = Memory {
            remembered: vec![
                disk("sdb", "naa.a", "t1"),
                partition,
                disk("sdd", "naa.d", "t4"),
            ],
        };
        let meant =
            |typed: &str, present: Option<DeviceIdentity>| memory.meant_by(typed, present.as_ref());
        let now = |name, wwid, table| Some(disk(name, wwid, table));
        assert_eq!(
            names(&meant("/dev/sdc", now("sdc", "naa.a", "t1"))),
            ["sdb", "sdb1"]
        );
        assert_eq!(
            names(&meant("/dev/sdb", now("sdb", "naa.b", "t2"))),
            [""; 0]
        );
        // Gone, or named by what it says of itself.
        assert_eq!(names(&meant("/dev/sdb", None)), ["sdb", "sdb1"]);
        assert_eq!(names(&meant("naa.d", None)), ["sdd"]);
        // The drive's own word before the table's.
        assert_eq!(
            names(&meant("/dev/sde", now("sde", "naa.d", "t1"))),
            ["sdd"]
        );
        assert_eq!(
            names(&meant("/dev/sde", now("sde", "naa.e", "t4"))),
            ["sdd"]
        );
    }
}
