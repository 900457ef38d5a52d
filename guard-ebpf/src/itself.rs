//! The decision about the guard itself as the kernel sees it: its maps and links, its processes.

use guard_abi::{BpfObjectKind, Op, Reason, tool_grant};

use crate::decide::{Subject, Verdict};

/// An object that a bpf(2) command changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Kind of the object.
    pub kind: BpfObjectKind,
    /// Where in `union bpf_attr` the descriptor stands.
    pub descriptor_at: usize,
}

const MAP: Option<Changed> = Some(Changed {
    kind: BpfObjectKind::Map,
    descriptor_at: 0,
});
/// `batch.map_fd` of `union bpf_attr`.
const MAP_BATCH: Option<Changed> = Some(Changed {
    kind: BpfObjectKind::Map,
    descriptor_at: 36,
});
const LINK: Option<Changed> = Some(Changed {
    kind: BpfObjectKind::Link,
    descriptor_at: 0,
});

/// What a command of `enum bpf_cmd` (include/uapi/linux/bpf.h) changes by a descriptor.
///
/// Getting a descriptor is nobody's harm: `bpftool map show` asks for one of every map, in read and
/// write mode (tools/bpf/bpftool/map.c `do_show`), and a refusal would end its list. Programs and
/// types cannot be changed once they are loaded.
#[inline(always)]
pub const fn changed_by(command: u32) -> Option<Changed> {
    match command {
        // BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_MAP_LOOKUP_AND_DELETE_ELEM, BPF_MAP_FREEZE
        2 | 3 | 21 | 22 => MAP,
        // BPF_MAP_LOOKUP_AND_DELETE_BATCH, BPF_MAP_UPDATE_BATCH, BPF_MAP_DELETE_BATCH
        25..=27 => MAP_BATCH,
        // BPF_LINK_UPDATE, BPF_LINK_DETACH
        29 | 34 => LINK,
        _ => None,
    }
}

/// Decides about a change of one of the guard's maps and links.
#[inline(always)]
pub const fn change(subject: Subject) -> Verdict {
    if subject.grants & tool_grant::GUARD != 0 {
        Verdict::ALLOW
    } else {
        REFUSED
    }
}

const REFUSED: Verdict = Verdict::deny(Op::Guard, Reason::GuardItself);

/// `PTRACE_MODE_ATTACH`, include/linux/ptrace.h: for more than looking at a process. It is asked
/// for ptrace(2) itself, `process_vm_writev`, `/proc/PID/mem` and `pidfd_getfd`.
pub const PTRACE_MODE_ATTACH: u32 = 2;

/// Decides about access to the memory and descriptors of a process of the guard.
#[inline(always)]
pub const fn trace(subject: Subject) -> Verdict {
    change(subject)
}

/// Whether a signal is of no consequence for the controller's work: asking whether it is there,
/// the order to read the configuration again, going on, and what is ignored by default (signal(7)).
#[inline(always)]
pub const fn is_harmless_signal(signal: u32) -> bool {
    const NONE: u32 = 0;
    const HUP: u32 = 1;
    const CHLD: u32 = 17;
    const CONT: u32 = 18;
    const URG: u32 = 23;
    const WINCH: u32 = 28;
    matches!(signal, NONE | HUP | CHLD | CONT | URG | WINCH)
}

/// Decides about a signal to the controller. Process 1 stops and restarts it in order; what the
/// kernel sends by itself is not asked about.
#[inline(always)]
pub const fn signal(subject: Subject, signal: u32) -> Verdict {
    if is_harmless_signal(signal) || subject.grants & (tool_grant::GUARD | tool_grant::INIT) != 0 {
        Verdict::ALLOW
    } else {
        REFUSED
    }
}
