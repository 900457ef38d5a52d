//! The decision about mounts: covering, moving or taking away what carries critical data, and
//! replacing the root directory.
//!
//! What is done in a mount namespace other than the host's concerns that namespace alone: containers
//! and systemd's units cover the same directories in theirs, and pivot.

use guard_abi::{Op, PlaceKind, Reason, tool_grant};

use crate::decide::{Subject, Verdict};

/// Who acts, beside what a [`Subject`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doer {
    /// Its mount namespace is that of process 1, or cannot be told; or what it does is done there,
    /// too, because the mount propagates.
    pub in_host_namespace: bool,
    /// It is process 1, which replaces the root in order (soft-reboot), once it has ended all
    /// services.
    pub is_init: bool,
}

/// What is done. A place is what the directory at that end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountAct {
    /// Something is mounted over it.
    Cover(PlaceKind),
    /// A mount is moved from here.
    Move(PlaceKind),
    /// A mount is moved, and the kernel does not say which: mount(2) names the source by a path
    /// that has not been looked up.
    MoveUnknown,
    /// It is unmounted.
    Unmount {
        /// The root of what is mounted.
        place: PlaceKind,
        /// `MNT_DETACH`: at once, whoever uses it.
        lazy: bool,
        /// `MNT_FORCE`, on a file system that then fails what is under way.
        forced: bool,
    },
    /// Its file system is made read-only.
    ReadOnly(PlaceKind),
    /// Its file system is told to stop, as after an error.
    Abort(PlaceKind),
    /// The root directory is replaced.
    Pivot,
}

/// File systems that `MNT_FORCE` does anything to: those with `umount_begin` (NFS, CIFS, SMB2,
/// FUSE, 9P, Ceph; include/uapi/linux/magic.h and their own headers). On any other it is an
/// ordinary umount, which fails while the file system is used.
pub const fn can_be_forced(magic: u64) -> bool {
    matches!(
        magic,
        0x6969 | 0xFF53_4D42 | 0xFE53_4D42 | 0x6573_5546 | 0x0102_1997 | 0x00C3_6400
    )
}

/// Decides about one act on a host that is armed or held.
#[inline(always)]
pub fn decide(subject: Subject, doer: Doer, act: MountAct) -> Verdict {
    if !doer.in_host_namespace {
        return Verdict::ALLOW;
    }
    match act {
        // The machine goes down, in order.
        MountAct::Unmount { .. } if subject.grants & tool_grant::SHUTDOWN != 0 => Verdict::ALLOW,
        // soft-reboot, which has ended all services, takes /sys and /run with it.
        MountAct::Move(PlaceKind::Pins) if doer.is_init => Verdict::record(Op::Guard),
        // What lies over the program, its configuration or its log is what everybody sees. An
        // ordinary umount takes the pins away too: nothing holds their file system.
        MountAct::Cover(
            PlaceKind::Guard
            | PlaceKind::Pins
            | PlaceKind::GuardProgram
            | PlaceKind::GuardConfig
            | PlaceKind::GuardLog,
        )
        | MountAct::Move(PlaceKind::Guard | PlaceKind::Pins)
        | MountAct::Unmount {
            place: PlaceKind::Guard | PlaceKind::Pins,
            ..
        } if subject.grants & tool_grant::GUARD == 0 => {
            Verdict::deny(Op::Guard, Reason::GuardItself)
        }
        MountAct::Cover(PlaceKind::Mount) | MountAct::Abort(PlaceKind::Mount) => DETACH,
        // The machine does not boot from what is mounted; but an upgrade would go astray.
        MountAct::Cover(PlaceKind::Boot) => Verdict::record(Op::BootFile),
        MountAct::Move(PlaceKind::Mount) | MountAct::MoveUnknown if doer.is_init => {
            Verdict::record(Op::Detach)
        }
        MountAct::Move(PlaceKind::Mount) | MountAct::MoveUnknown => DETACH,
        MountAct::Unmount {
            place: PlaceKind::Mount,
            lazy,
            forced,
        } if lazy || forced => DETACH,
        MountAct::ReadOnly(PlaceKind::Mount) => Verdict::record(Op::Detach),
        MountAct::Pivot if doer.is_init => Verdict::record(Op::Detach),
        MountAct::Pivot => Verdict::deny(Op::Detach, Reason::RunningSystem),
        _ => Verdict::ALLOW,
    }
}

const DETACH: Verdict = Verdict::deny(Op::Detach, Reason::ProtectedFile);
