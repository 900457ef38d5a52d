//! Break glass as the kernel half knows it: which grants are open, what each opens, for how long.
//!
//! A *grant* has a number that is never used twice. A process runs under one
//! ([`crate::TaskEntry::glass`]), and so do the processes that it makes; a device is the object of one
//! ([`crate::DeviceEntry::glass`]). Where the two agree, the grant's operation classes are let through.

/// Value of the `GLASS` map; the key is [`slot`] of its number. All zeros where none is open.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GlassEntry {
    /// The grant's number; 0 opens nothing.
    pub number: u32,
    /// [`crate::Op::bit`]s of what may be done to its device.
    pub device_ops: u32,
    /// The same of what may be done to the host: to boot files, firmware, the running system.
    pub host_ops: u32,
    /// Zero.
    pub reserved: u32,
    /// When it ends, ns of CLOCK_BOOTTIME.
    pub expires_boot_ns: u64,
}

/// Grants that can be open at one time; slot 0 counts like the others.
pub const GLASS_SLOTS: u32 = 16;

/// Set in [`crate::TaskEntry::glass`] by the controller: the process runs under the grant from the next
/// program on that it executes, if one use is left ([`GlassUse`]).
pub const GLASS_PENDING: u32 = 1 << 31;

/// Most uses that a grant can have.
pub const GLASS_USES: u32 = 8;

/// Key of the `GLASS_USES` map: one use that is left of a grant. Deleting it is using it up, and the
/// kernel tells one of two that try so.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GlassUse {
    /// The grant's number.
    pub number: u32,
    /// Which use, from 0.
    pub at: u32,
}

/// Where `GLASS` tells of a grant. The numbers of grants that are open differ by less than there are
/// slots, or the controller opens none.
pub const fn slot(number: u32) -> u32 {
    number % GLASS_SLOTS
}

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers alone, no padding (layout.rs asserts it).
    unsafe impl aya::Pod for super::GlassEntry {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::GlassUse {}
}
