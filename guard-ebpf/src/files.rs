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
    if matches!(object.fs, FileSystem::Efivars) {
        return firmware_variable(subject, object.rule.scope, act);
    }
    // The service manager freezes, ends and limits what it has started.
    if matches!(object.parent, PlaceKind::Controller) && has(tool_grant::GUARD | tool_grant::INIT) {
        return Verdict::ALLOW;
    }
    match object.rule.scope {
        NameScope::Everywhere if changes_content(act) => {
            return Verdict::deny(object.rule.op, reason(object.rule.op));
        }
        NameScope::InPlace if changes_content(act) => {
            return in_place(subject, object);
        }
        NameScope::Harmless => return Verdict::ALLOW,
        _ => {}
    }
    // Making a file beside what boots, or of the guard, counts by the directory alone.
    let mut place = strongest(object.own, object.parent);
    if matches!(place, PlaceKind::Boot) && matches!(object.rule.scope, NameScope::BootState) {
        place = PlaceKind::BootState;
    }
    match place {
        PlaceKind::Boot => boot(has(tool_grant::BOOT_FILES), act),
        PlaceKind::BootState => boot(has(tool_grant::BOOT_STATE), act),
        PlaceKind::Guard => of_the_guard(subject, false, act),
        PlaceKind::GuardProgram => of_the_guard(subject, has(tool_grant::PACKAGES), act),
        PlaceKind::GuardLog => of_the_guard(subject, has(tool_grant::ROTATE), act),
        // What is written there counts only when the controller accepts it.
        PlaceKind::GuardConfig => of_the_guard(subject, true, act),
        // A rename destroys nothing and a directory is removed only when empty; but the server
        // that runs on it will find its files no more.
        PlaceKind::Mount if moves_away(act) && matches!(object.own, PlaceKind::Mount) => {
            Verdict::deny(Op::Detach, Reason::ProtectedFile)
        }
        _ => Verdict::ALLOW,
    }
}

/// What is done to a file of the guard's, by someone who is or is not trusted with that kind of
/// file. Whoever is changes it, and it is noted; to hide it is nobody's.
#[inline(always)]
const fn of_the_guard(subject: Subject, trusted: bool, act: FileAct) -> Verdict {
    if matches!(act, FileAct::Attributes) || subject.grants & tool_grant::GUARD != 0 {
        Verdict::ALLOW
    } else if trusted && !covers(act) {
        Verdict::record(Op::Guard)
    } else {
        Verdict::deny(Op::Guard, Reason::GuardItself)
    }
}

/// What is done to something that the machine boots from, by someone who may or may not. Changes
/// by those who may are noted: once for each file, where its content or its name is final.
#[inline(always)]
const fn boot(may: bool, act: FileAct) -> Verdict {
    match act {
        FileAct::Attributes => Verdict::ALLOW,
        FileAct::Create | FileAct::RenameFrom if may => Verdict::ALLOW,
        _ if may => Verdict::record(Op::BootFile),
        _ => Verdict::deny(Op::BootFile, Reason::ProtectedFile),
    }
}

/// A package manager may add a boot entry and order the entries; what is done once, at the next
/// boot, is no part of an upgrade. Attributes alone (`chattr -i`) change nothing yet.
#[inline(always)]
const fn firmware_variable(subject: Subject, scope: NameScope, act: FileAct) -> Verdict {
    let may = match (scope, act) {
        (NameScope::Harmless, _) | (_, FileAct::Attributes) => true,
        (NameScope::Everywhere, _) => matches!(act, FileAct::Remove),
        _ => subject.grants & tool_grant::BOOT_FILES != 0,
    };
    if may {
        Verdict::ALLOW
    } else {
        Verdict::deny(Op::Firmware, Reason::ProtectedFile)
    }
}

/// A knob of sysfs, by what the directory belongs to that it lies in.
#[inline(always)]
const fn in_place(subject: Subject, object: FileObject) -> Verdict {
    let op = object.rule.op;
    match object.parent {
        PlaceKind::Device | PlaceKind::Driver | PlaceKind::Controller => {
            Verdict::deny(op, reason(op))
        }
        PlaceKind::Array | PlaceKind::Member => {
            // `mdmon` keeps external metadata through these, `mdadm` assembles and replaces. What
            // `mdadm --grow` would cut off or make without redundancy it does here, too, and then it
            // has not the grant.
            let keepers = tool_grant::MD_MEMBER | tool_grant::MD_KEEP | tool_grant::SHUTDOWN;
            if subject.grants & keepers != 0 {
                Verdict::ALLOW
            } else {
                Verdict::deny(Op::Detach, Reason::ProtectedDevice)
            }
        }
        PlaceKind::Power => Verdict::deny(Op::Reset, Reason::RunningSystem),
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

/// After this act there may be a file in the directory that was not there before. (An exchange brings
/// one to either: `renameat2(2)`.)
#[inline(always)]
pub const fn may_bring(act: FileAct) -> bool {
    matches!(
        act,
        FileAct::Create | FileAct::RenameFrom | FileAct::RenameTo
    )
}

/// What lies there is hidden by something else, and comes back.
#[inline(always)]
const fn covers(act: FileAct) -> bool {
    matches!(act, FileAct::MountOver | FileAct::MoveMount)
}

#[inline(always)]
const fn moves_away(act: FileAct) -> bool {
    matches!(
        act,
        FileAct::Remove | FileAct::RenameFrom | FileAct::RenameTo
    )
}

#[inline(always)]
const fn reason(op: Op) -> Reason {
    match op {
        Op::Guard => Reason::GuardItself,
        Op::Reset | Op::Kexec => Reason::RunningSystem,
        Op::Detach | Op::Passthrough => Reason::ProtectedDevice,
        _ => Reason::ProtectedFile,
    }
}
