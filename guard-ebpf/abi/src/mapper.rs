//! Names of device-mapper devices, by which `/dev/mapper/control` is told what to act on.

/// Bytes of a name or UUID that count; `DM_NAME_LEN` and `DM_UUID_LEN` are 128 and 129
/// (include/uapi/linux/dm-ioctl.h), with their zero.
pub const DM_TEXT_BYTES: usize = 128;

/// Key of the `DM_NAMES` map: a digest of a name or UUID, zero-padded. The map holds thousands of
/// names; as texts they would be megabytes. Two names with one digest are both guarded.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "a call would cost a BPF program what the verifier knows"
)]
pub fn dm_key(text: &[u64; DM_TEXT_BYTES / 8]) -> u64 {
    /// Odd, with well mixed bits: 2^64 divided by the golden ratio.
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut key = 0_u64;
    for word in text {
        key = (key.rotate_left(23) ^ *word).wrapping_mul(FACTOR);
    }
    key
}
