//! The decision about files: what the machine boots from, the guard's own, and those of the
//! kernel's file systems by which a machine is steered.

use guard_abi::{FileAct, FileSystem, NameScope, Op, PlaceKind, Reason, tool_grant};

use crate::decide::{Subject, Verdict};

/// What the table of names says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRule {
    /// What kind of harm writing it does.
    pub op: Op,
    /// Where the name counts.
    pub scope: NameScope,
}

impl NameRule {
    /// No rule.
    pub const NONE: Self = Self {
        op: Op::Guard,
        scope: NameScope::Nowhere,
    };
}

/// A file that something is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileObject {
    /// Its file system.
    pub fs: FileSystem,
    /// What it is itself.
    pub own: PlaceKind,
    /// What the directory is that it lies in.
    pub parent: PlaceKind,
    /// What its name says.
    pub rule: NameRule,
}

/// Decides about one act on one file of a host that is armed or held.
#[inline(always)]
pub fn decide(subject: Subject, object: FileObject, act: FileAct) -> Verdict {
    let has = |grant: u32| subject.grants & grant != 0;
    match object.rule.scope {
        NameScope::Everywhere if changes_content(act) => {
            return Verdict::deny(object.rule.op, reason(object.rule.op));
        }
        NameScope::InPlace if changes_content(act) && !matches!(object.parent, PlaceKind::None) => {
            return Verdict::deny(object.rule.op, reason(object.rule.op));
        }
        NameScope::Harmless => return Verdict::ALLOW,
        _ => {}
    }
    if matches!(object.fs, FileSystem::Efivars) && !matches!(act, FileAct::Attributes) {
        if has(tool_grant::BOOT_FILES) {
            return Verdict::ALLOW;
        }
        return Verdict::deny(Op::Firmware, Reason::ProtectedFile);
    }
    // Making a file beside what boots, or of the guard, counts by the directory alone.
    match strongest(object.own, object.parent) {
        PlaceKind::Boot if !matches!(act, FileAct::Attributes) => {
            if has(tool_grant::BOOT_FILES) {
                Verdict::ALLOW
            } else {
                Verdict::deny(Op::BootFile, Reason::ProtectedFile)
            }
        }
        PlaceKind::BootState if !matches!(act, FileAct::Attributes) => {
            if has(tool_grant::BOOT_STATE) {
                Verdict::ALLOW
            } else {
                Verdict::deny(Op::BootFile, Reason::ProtectedFile)
            }
        }
        PlaceKind::Guard => {
            if has(tool_grant::GUARD) {
                Verdict::ALLOW
            } else {
                Verdict::deny(Op::Guard, Reason::GuardItself)
            }
        }
        PlaceKind::Mount if moves_away(act) && matches!(object.own, PlaceKind::Mount) => {
            Verdict::deny(Op::Detach, Reason::ProtectedFile)
        }
        _ => Verdict::ALLOW,
    }
}

/// A file is what it is itself before it is what it lies in.
#[inline(always)]
const fn strongest(own: PlaceKind, parent: PlaceKind) -> PlaceKind {
    match own {
        PlaceKind::None => parent,
        _ => own,
    }
}

/// Files of the kernel's own file systems are made and removed by the kernel alone, except
/// firmware variables and pinned objects; what counts is a write, or a cover.
#[inline(always)]
const fn changes_content(act: FileAct) -> bool {
    matches!(act, FileAct::Write | FileAct::MountOver)
}

#[inline(always)]
const fn moves_away(act: FileAct) -> bool {
    matches!(
        act,
        FileAct::Remove
            | FileAct::RenameFrom
            | FileAct::RenameTo
            | FileAct::MountOver
            | FileAct::MoveMount
            | FileAct::Unmount
    )
}

#[inline(always)]
const fn reason(op: Op) -> Reason {
    match op {
        Op::Guard => Reason::GuardItself,
        Op::Reset | Op::Kexec => Reason::RunningSystem,
        Op::Detach => Reason::ProtectedDevice,
        _ => Reason::ProtectedFile,
    }
}
