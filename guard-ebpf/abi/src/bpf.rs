//! BPF objects as the kernel half knows them: by the numbers that the kernel gives them.

use crate::words::words;

words! {
    /// Kind of a BPF object. Each kind counts its numbers for itself.
    BpfObjectKind {
        /// A map, `bpf_map.id`.
        Map = 1 => "map",
        /// A link between a program and a hook, `bpf_link.id`.
        Link = 2 => "link",
    }
}

/// Key of the `OWN_OBJECTS` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BpfObject {
    /// A [`BpfObjectKind`].
    pub kind: u32,
    /// The number. The kernel counts up, and begins again after 2³¹ of them
    /// (kernel/bpf/syscall.c `bpf_map_alloc_id`).
    pub id: u32,
}

impl BpfObject {
    /// The key of an object.
    pub const fn new(kind: BpfObjectKind, id: u32) -> Self {
        Self {
            kind: kind as u32,
            id,
        }
    }
}

/// Values of the `OWN_OBJECTS` map.
pub mod own {
    /// The guard's: nobody else changes it while the host is armed or held.
    pub const GUARD: u32 = 1;
    /// The canary: nobody changes it, ever.
    pub const CANARY: u32 = 2;
}

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers alone, no padding (layout.rs asserts it).
    unsafe impl aya::Pod for super::BpfObject {}
}
