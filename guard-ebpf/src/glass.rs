//! Break glass: whether an open grant lifts a refusal.

use guard_abi::glass::GlassEntry;

/// The host as an object: what it boots from, its firmware, the running system. Any other object is a
/// device, and named by the number of the grant that it is the object of. No grant has this number.
pub const HOST: u64 = u32::MAX as u64;

/// Whether a process under grant `number` may do an operation of class `op` ([`guard_abi::Op`]) to
/// `object` under the entry at the grant's slot. `now` (ns of CLOCK_BOOTTIME) is asked last: most
/// refusals need no clock.
///
/// In 64 bits, as the kernel half's registers are: narrower numbers cost an instruction each time they
/// are compared.
#[inline(always)]
pub fn opens(
    entry: &GlassEntry,
    number: u64,
    object: u64,
    op: u8,
    now: impl FnOnce() -> u64,
) -> bool {
    let ops = if object == HOST {
        entry.host_ops
    } else if object == number {
        entry.device_ops
    } else {
        0
    };
    number != 0
        && u64::from(entry.number) == number
        && u32::from(op) < u32::BITS
        && u64::from(ops) >> op & 1 != 0
        && now() < entry.expires_boot_ns
}
