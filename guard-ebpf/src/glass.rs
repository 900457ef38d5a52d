//! Break glass: whether an open grant lifts a refusal.

use guard_abi::Op;
use guard_abi::glass::GlassEntry;

/// What an operation is done to, as grants tell objects apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlassObject {
    /// A device with the grant that it is the object of, 0 where there is none.
    Device(u32),
    /// The host: what it boots from, its firmware, the running system.
    Host,
}

/// [`GlassObject::Host`] as a number, where [`GlassObject::Device`] is that of its grant.
pub const HOST: u32 = u32::MAX;

/// Whether a process under grant `number` may do this under the entry at the grant's slot, at `now` (ns
/// of CLOCK_BOOTTIME).
#[inline(always)]
pub const fn opens(entry: &GlassEntry, number: u32, object: GlassObject, op: Op, now: u64) -> bool {
    let ops = match object {
        GlassObject::Device(of) if of == number => entry.device_ops,
        GlassObject::Device(_) => 0,
        GlassObject::Host => entry.host_ops,
    };
    number != 0 && entry.number == number && ops & op.bit() != 0 && now < entry.expires_boot_ns
}
