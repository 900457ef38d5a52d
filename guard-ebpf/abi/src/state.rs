//! Host state as the kernel half knows it.
//!
//! The guard enforces exactly while `arm_gen != released_gen`. The first is written by the kernel
//! half alone (at each exec of a critical process), the second by the controller alone (at an
//! explicit, audited release). A release writes the generation it has looked at; a database that
//! starts in between raises `arm_gen` again, so there is no moment at which it runs unguarded.

use crate::words::words;

/// Index into the `ARM` array, whose `u64` values the kernel half alone writes.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmWord {
    /// Raised by one at each exec of a critical process.
    ArmGen = 0,
    /// Raised by one whenever a block device appears, so that the controller can tell that a
    /// classification it has computed is out of date.
    DeviceGen = 1,
}

impl ArmWord {
    /// Number of words.
    pub const COUNT: u32 = 2;
}

words! {
    /// `observe` and `enforce` differ in the returned value alone.
    Mode {
        /// Record what would be refused, refuse nothing.
        Observe = 0 => "observe",
        /// Refuse.
        Enforce = 1 => "enforce",
    }
}

/// `released_gen` of a host that is held until someone says otherwise: equal to no generation.
pub const RELEASED_NEVER: u64 = u64::MAX;

/// The one value of the `POLICY` array, written by the controller alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The arm generation that was released last.
    pub released_gen: u64,
    /// Bit `op as u32`: operations of this class are refused; otherwise only observed.
    pub enforced_ops: u32,
    /// Major number of device-mapper nodes, 0 where device-mapper is not there.
    pub dm_major: u32,
}

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers alone, no padding (layout.rs asserts it).
    unsafe impl aya::Pod for super::Policy {}
}
