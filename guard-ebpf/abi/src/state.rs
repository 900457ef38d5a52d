//! Host state as the kernel half knows it.
//!
//! The guard enforces exactly while `arm_gen != released_gen`. The first is written by the kernel
//! half alone (at each exec of a critical process), the second by the controller alone (at an
//! explicit, audited release). A release writes the generation it has looked at; a database that
//! starts in between raises `arm_gen` again, so there is no moment at which it runs unguarded.

use crate::words::{Op, words};

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

words! {
    /// What becomes of an operation of some class that the guard would refuse.
    Handling {
        /// It is refused.
        Refuse = 0 => "refuse",
        /// It is let through, and recorded as one that would have been refused.
        Observe = 1 => "observe",
        /// It is let through, and recorded as one that the configuration allows.
        Allow = 2 => "allow",
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
    /// Bit [`Op::bit`]: operations of this class are refused; otherwise only observed.
    ///
    /// Bit 0 belongs to no class. It is set where the mode is enforce, so that a reader can tell
    /// the mode from the classes that differ from it; the kernel half does not look at it.
    pub enforced_ops: u32,
    /// Bit [`Op::bit`]: operations of this class are allowed, whatever `enforced_ops` says.
    pub allowed_ops: u32,
    /// Major number of device-mapper nodes, 0 where device-mapper is not there.
    pub dm_major: u32,
    /// Zero.
    pub reserved: u32,
}

impl Policy {
    /// `enforced_ops` where every class is refused.
    pub const ALL_OPS: u32 = u32::MAX;
    /// The bit of `enforced_ops` that tells the mode.
    pub const ENFORCE: u32 = 1;

    /// Refuses everything, and is released by nothing: what holds where no policy can be read.
    pub const STRICTEST: Self = Self {
        released_gen: RELEASED_NEVER,
        enforced_ops: Self::ALL_OPS,
        allowed_ops: 0,
        dm_major: 0,
        reserved: 0,
    };

    /// What becomes of an operation of this class that the guard would refuse.
    #[inline]
    pub const fn handling(&self, op: Op) -> Handling {
        if self.allowed_ops & op.bit() != 0 {
            Handling::Allow
        } else if self.enforced_ops & op.bit() != 0 {
            Handling::Refuse
        } else {
            Handling::Observe
        }
    }

    /// The mode, beside which single classes may be handled otherwise.
    pub const fn mode(&self) -> Mode {
        if self.enforced_ops & Self::ENFORCE != 0 {
            Mode::Enforce
        } else {
            Mode::Observe
        }
    }
}

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers alone, no padding (layout.rs asserts it).
    unsafe impl aya::Pod for super::Policy {}
}
