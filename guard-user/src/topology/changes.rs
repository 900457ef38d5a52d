//! What may have changed since devices were read, so that what has not need not be read again.

use std::collections::BTreeSet;
use std::sync::Arc;

/// What is to be looked at again. The parts add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Block devices, by the names that `/dev` has (`cciss/c0d0`).
    pub devices: BTreeSet<Arc<str>>,
    /// Passthrough nodes came or went.
    pub nodes: bool,
    /// It is not known what: everything.
    pub all: bool,
}

impl Changes {
    /// Everything.
    pub fn all() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// Adds what another event brought.
    pub fn extend(&mut self, other: Self) {
        self.devices.extend(other.devices);
        self.nodes |= other.nodes;
        self.all |= other.all;
    }
}
