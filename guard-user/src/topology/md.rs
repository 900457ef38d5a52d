//! MD arrays, from `/sys/block/mdN/md` (Documentation/admin-guide/md.rst).

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::attributes::{Reader, open_dir_at};

/// State of one array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MdArray {
    /// `raid1`, `raid5`, `container`, …; empty where the array is not assembled.
    pub level: Box<str>,
    /// Members that the array should have.
    pub raid_disks: u64,
    /// Members that are missing or not yet in sync.
    pub degraded: u64,
    /// `idle`, `resync`, `recover`, `check`, ….
    pub sync_action: Box<str>,
    /// `1.2`, `external:imsm`, `external:/md127/0`, ….
    pub metadata: Box<str>,
    /// UUID where the kernel or udev tells it.
    pub uuid: Option<Arc<str>>,
}

impl MdArray {
    pub(super) fn read(reader: &mut Reader, device: &OwnedFd) -> Self {
        let Some(md) = open_dir_at(device, "md") else {
            return Self::default();
        };
        let mut text = |name: &str| reader.text(&md, name).unwrap_or("").into();
        let level: Box<str> = text("level");
        let sync_action = text("sync_action");
        let metadata = text("metadata_version");
        let uuid: Box<str> = text("uuid");
        // `raid_disks` of an array that is being reshaped reads "4 (3)": the first is the new one.
        let first =
            |text: Option<&str>| -> Option<u64> { text?.split_whitespace().next()?.parse().ok() };
        Self {
            level,
            raid_disks: first(reader.text(&md, "raid_disks")).unwrap_or(0),
            // Unreadable counts as degraded: never redundant by mistake.
            degraded: first(reader.text(&md, "degraded")).unwrap_or(u64::MAX),
            sync_action,
            metadata,
            uuid: plain_uuid(&uuid),
        }
    }

    /// Holds the disks of arrays with external metadata and carries nothing itself
    /// (`external:imsm`; the arrays in it read `external:/md127/0`).
    pub fn is_container(&self) -> bool {
        &*self.level == "container"
            || self
                .metadata
                .strip_prefix("external:")
                .is_some_and(|rest| !rest.starts_with(['/', '-']))
    }

    /// One more member may fail or leave without loss of data.
    pub fn is_redundant(&self) -> bool {
        // An array that is being reshaped is in two layouts at once.
        if &*self.sync_action == "reshape" || &*self.sync_action == "unknown" {
            return false;
        }
        // After an unclean stop parity may not match data until the resync ends, so a member that
        // is lost meanwhile is rebuilt wrongly.
        let parity_is_good = &*self.sync_action != "resync";
        match &*self.level {
            "raid1" => self.raid_disks.saturating_sub(self.degraded) >= 2,
            // Which of the remaining members carry the last copy depends on the layout.
            "raid10" => self.degraded == 0 && self.raid_disks >= 2,
            "raid4" | "raid5" => self.degraded == 0 && parity_is_good,
            "raid6" => self.degraded <= 1 && parity_is_good,
            _ => false,
        }
    }
}

/// One spelling for an array's UUID: the kernel writes dashes, mdadm and udev colons.
pub(super) fn plain_uuid(text: &str) -> Option<Arc<str>> {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let all_zero = digits.bytes().all(|byte| byte == b'0');
    (digits.len() == 32 && !all_zero).then(|| format!("md-{}", digits.to_ascii_lowercase()).into())
}

#[cfg(test)]
mod tests {
    use super::MdArray;

    fn array(level: &str, raid_disks: u64, degraded: u64, sync_action: &str) -> MdArray {
        MdArray {
            level: level.into(),
            raid_disks,
            degraded,
            sync_action: sync_action.into(),
            ..MdArray::default()
        }
    }

    #[test]
    fn redundancy_by_level() {
        for (level, disks, degraded, action, expected) in [
            ("raid1", 2, 0, "idle", true),
            ("raid1", 2, 1, "recover", false),
            ("raid1", 3, 1, "recover", true),
            ("raid1", 2, 0, "resync", true),
            ("raid1", 1, 0, "idle", false),
            ("raid10", 4, 0, "check", true),
            ("raid10", 4, 1, "idle", false),
            ("raid5", 3, 0, "idle", true),
            ("raid5", 3, 0, "resync", false),
            ("raid5", 3, 0, "reshape", false),
            ("raid5", 3, 1, "idle", false),
            ("raid6", 4, 1, "idle", true),
            ("raid6", 4, 2, "idle", false),
            ("raid0", 2, 0, "idle", false),
            ("linear", 2, 0, "", false),
            ("", 0, u64::MAX, "", false),
            ("raid1", 2, u64::MAX, "idle", false),
        ] {
            assert_eq!(
                array(level, disks, degraded, action).is_redundant(),
                expected,
                "{level} {disks} {degraded} {action}"
            );
        }
    }
}
