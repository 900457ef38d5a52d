//! What the names and UUIDs that LVM gives its device-mapper nodes tell.

/// Suffixes that LVM keeps for its own hidden volumes, anywhere in a name
/// (lib/misc/lvm-string.c `_lvname_has_reserved_string`).
const RESERVED: &[&str] = &[
    "_cdata", "_cmeta", "_corig", "_cvol", "_wcorig", "_iorig", "_imeta", "_mimage", "_mlog",
    "_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin",
];

/// Length of a volume group's, and of a logical volume's, UUID without dashes.
pub(super) const UUID: usize = 32;

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

/// Ids of group and volume, one after the other, in a device-mapper UUID made by LVM: the same for
/// all layers of a volume.
pub(super) fn volume_ids(uuid: &str) -> Option<&str> {
    uuid.strip_prefix("LVM-")?.get(..2 * UUID)
}

/// True for a volume that LVM hides from people.
pub(super) fn is_internal(uuid: &LvmUuid<'_>, volume: &str) -> bool {
    !uuid.layer.is_empty() || is_reserved(volume)
}

/// True for a name that LVM keeps for itself.
pub(super) fn is_reserved(volume: &str) -> bool {
    RESERVED.iter().any(|reserved| volume.contains(reserved))
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
    let at = single_dash(name, 0)?;
    let (group, volume) = (&name[..at], &name[at + 1..]);
    let both = !group.is_empty() && !volume.is_empty();
    both.then(|| (group.replace("--", "-"), volume.replace("--", "-")))
}

/// The device-mapper name of a volume, without layer: the reverse of [`split_dm_name`].
pub(super) fn dm_name(group: &str, volume: &str) -> String {
    let doubled = |name: &str| name.replace('-', "--");
    format!("{}-{}", doubled(group), doubled(volume))
}

/// The volume's device-mapper name in that of one of its layers: `vg0-pool` in `vg0-pool-tpool`.
pub(super) fn without_layer(dm_name: &str) -> &str {
    let layer = single_dash(dm_name, 0).and_then(|group| single_dash(dm_name, group + 1));
    layer.map_or(dm_name, |at| &dm_name[..at])
}

/// Where the first dash is that is not one of a pair.
fn single_dash(name: &str, from: usize) -> Option<usize> {
    let bytes = name.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'-', Some(b'-')) => at += 2,
            (b'-', _) => return Some(at),
            _ => at += 1,
        }
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
    fn a_volume_is_found_in_the_names_of_its_layers() {
        let name = dm_name("my-vg", "a-b");
        assert_eq!(name, "my--vg-a--b");
        assert_eq!(split_dm_name(&name), Some(("my-vg".into(), "a-b".into())));
        assert_eq!(without_layer(&format!("{name}-tpool")), name);
        for plain in [name.as_str(), "vg0-data", "plain", "vg--only", ""] {
            assert_eq!(without_layer(plain), plain);
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
