//! What the names and UUIDs that LVM gives its device-mapper nodes tell.

/// Suffixes that LVM keeps for its own hidden volumes, anywhere in a name
/// (lib/misc/lvm-string.c `_lvname_has_reserved_string`).
const RESERVED: &[&str] = &[
    "_cdata", "_cmeta", "_corig", "_cvol", "_wcorig", "_iorig", "_imeta", "_mimage", "_mlog",
    "_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin",
];

/// Length of a volume group's, and of a logical volume's, UUID without dashes.
const UUID: usize = 32;

/// A device-mapper UUID made by LVM: `LVM-` + group + volume (+ `-layer`), lib/misc/lvm-string.c
/// `build_dm_uuid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LvmUuid<'a> {
    /// UUID of the volume group, without dashes.
    pub(super) group: &'a str,
    /// `real`, `cow`, `tpool`, `tdata`, …; empty for a volume as people see it.
    pub(super) layer: &'a str,
}

impl<'a> LvmUuid<'a> {
    pub(super) fn parse(uuid: &'a str) -> Option<Self> {
        let rest = uuid.strip_prefix("LVM-")?;
        let ids = rest.get(..2 * UUID)?;
        if !ids.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let layer = match &rest[2 * UUID..] {
            "" => "",
            layer => layer.strip_prefix('-')?,
        };
        Some(Self {
            group: &ids[..UUID],
            layer,
        })
    }
}

/// True for a volume that LVM hides from people.
pub(super) fn is_internal(uuid: &LvmUuid<'_>, volume: &str) -> bool {
    !uuid.layer.is_empty() || RESERVED.iter().any(|reserved| volume.contains(reserved))
}

/// True for metadata of a pool: repaired by LVM's own tools when the pool is activated.
pub(super) fn is_pool_metadata(uuid: &LvmUuid<'_>, volume: &str) -> bool {
    matches!(uuid.layer, "tmeta" | "cmeta")
        || volume.contains("_tmeta")
        || volume.contains("_cmeta")
        || volume.contains("_pmspare")
}

/// Group and volume of a device-mapper name: `vg--a-lv` is volume `lv` of group `vg-a`
/// (lib/misc/lvm-string.c, libdm `dm_split_lvm_name`). A layer stays in the volume's name.
pub fn split_dm_name(name: &str) -> Option<(String, String)> {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'-' {
            if bytes.get(at + 1) == Some(&b'-') {
                at += 2;
                continue;
            }
            let (group, volume) = (&name[..at], &name[at + 1..]);
            let both = !group.is_empty() && !volume.is_empty();
            return both.then(|| (group.replace("--", "-"), volume.replace("--", "-")));
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_the_single_dash() {
        let split = |name| split_dm_name(name);
        assert_eq!(split("vg0-data"), Some(("vg0".into(), "data".into())));
        assert_eq!(
            split("my--vg-the--lv"),
            Some(("my-vg".into(), "the-lv".into()))
        );
        assert_eq!(split("a----b-c"), Some(("a--b".into(), "c".into())));
        for none in ["plain", "vg--only", "-x", "x-", ""] {
            assert_eq!(split(none), None, "{none:?}");
        }
    }

    #[test]
    fn uuids_tell_group_and_layer() {
        let ids = "a".repeat(32) + &"b".repeat(32);
        let public = format!("LVM-{ids}");
        assert_eq!(
            LvmUuid::parse(&public),
            Some(LvmUuid {
                group: &"a".repeat(32),
                layer: ""
            })
        );
        let layered = format!("LVM-{ids}-real");
        assert_eq!(
            LvmUuid::parse(&layered).map(|uuid| uuid.layer),
            Some("real")
        );
        for wrong in [
            "LVM-short",
            "CRYPT-LUKS2-x",
            "",
            "LVM-",
            &format!("LVM-{ids}x"),
        ] {
            assert_eq!(LvmUuid::parse(wrong), None, "{wrong:?}");
        }
        assert_eq!(LvmUuid::parse(&format!("LVM-{}é", "a".repeat(62))), None);
    }
}
