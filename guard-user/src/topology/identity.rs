//! What stays the same about a device when its name moves.

/// Identifiers of one device; empty where it has none. Partitions have those of the table only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HardwareIds {
    /// World-wide id, as the drive tells it.
    pub wwid: Option<Box<str>>,
    /// Serial number.
    pub serial: Option<Box<str>>,
    /// UUID of the partition.
    pub partuuid: Option<Box<str>>,
    /// UUID of the partition table.
    pub table_uuid: Option<Box<str>>,
}

/// An identifier that identifies: trimmed, and not one of the fillers that vendors ship.
pub(super) fn meaningful(raw: &str) -> Option<Box<str>> {
    let text = raw.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let mut letters = text.chars().filter(|c| c.is_alphanumeric());
    let first = letters.next()?;
    // "0000000000", "none", "N/A" and their like stand in thousands of machines.
    if letters.all(|c| c == first) && !first.is_alphabetic() {
        return None;
    }
    let plain = text.to_ascii_lowercase();
    if matches!(
        plain.as_str(),
        "none" | "n/a" | "unknown" | "default" | "123456789"
    ) {
        return None;
    }
    // A partition UUID of a blank MBR.
    (!plain.starts_with("00000000-0")).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::meaningful;

    #[test]
    fn fillers_identify_nothing() {
        for filler in [
            "",
            "   ",
            "0",
            "00000000",
            "none",
            "N/A",
            "\0\0",
            "00000000-01",
            "---",
        ] {
            assert_eq!(meaningful(filler), None, "{filler:?}");
        }
        assert_eq!(meaningful(" S4EW-1 \n").as_deref(), Some("S4EW-1"));
        assert_eq!(meaningful("d").as_deref(), Some("d"));
    }
}
