//! The decision about the guard itself, over all commands, signals, acts and grants.

use guard_abi::{
    BpfObjectKind, Decision, FileAct, FileSystem, NameScope, Op, PlaceKind, Reason, tool_grant,
};
use guard_ebpf::decide::{Subject, Verdict};
use guard_ebpf::files::{self, FileObject, NameRule};
use guard_ebpf::itself::{changed_by, is_harmless_signal, signal, trace};

fn with(grants: u32) -> Subject {
    Subject {
        critical: false,
        grants,
    }
}

const REFUSED: Verdict = Verdict::deny(Op::Guard, Reason::GuardItself);

/// include/uapi/linux/bpf.h `enum bpf_cmd`: those that change a map or a link by its descriptor,
/// and where that stands.
#[test]
fn commands_that_change() {
    let changing = [
        (2, BpfObjectKind::Map, 0),
        (3, BpfObjectKind::Map, 0),
        (21, BpfObjectKind::Map, 0),
        (22, BpfObjectKind::Map, 0),
        (25, BpfObjectKind::Map, 36),
        (26, BpfObjectKind::Map, 36),
        (27, BpfObjectKind::Map, 36),
        (29, BpfObjectKind::Link, 0),
        (34, BpfObjectKind::Link, 0),
    ];
    for command in 0..100 {
        let expected = changing.iter().find(|(number, ..)| *number == command);
        let found = changed_by(command).map(|found| (command, found.kind, found.descriptor_at));
        assert_eq!(found.as_ref(), expected, "command {command}");
    }
}

#[test]
fn signals_to_the_controller() {
    for number in 0..=64 {
        let harmless = matches!(number, 0 | 1 | 17 | 18 | 23 | 28);
        assert_eq!(is_harmless_signal(number), harmless, "signal {number}");
        for bit in 0..32 {
            let grants = 1 << bit;
            let may = harmless || matches!(grants, tool_grant::GUARD | tool_grant::INIT);
            let expected = if may { Verdict::ALLOW } else { REFUSED };
            assert_eq!(signal(with(grants), number), expected, "{number} {bit}");
        }
    }
}

#[test]
fn tracing_is_the_guards_alone() {
    for bit in 0..32 {
        let expected = if 1 << bit == tool_grant::GUARD {
            Verdict::ALLOW
        } else {
            REFUSED
        };
        assert_eq!(trace(with(1 << bit)), expected, "{bit}");
    }
}

/// What a subject may do to a place of the guard's, by whom and how.
fn expected(kind: PlaceKind, grant: u32, act: FileAct) -> Decision {
    let covers = matches!(act, FileAct::MountOver | FileAct::MoveMount);
    let trusted = match kind {
        PlaceKind::GuardProgram => tool_grant::PACKAGES,
        PlaceKind::GuardLog => tool_grant::ROTATE,
        _ => 0,
    };
    if grant == tool_grant::GUARD || act == FileAct::Attributes {
        Decision::Allow
    } else if !covers && (kind == PlaceKind::GuardConfig || (grant != 0 && grant == trusted)) {
        Decision::Record
    } else {
        Decision::Deny
    }
}

#[test]
fn files_of_the_guard() {
    for kind in [
        PlaceKind::Guard,
        PlaceKind::GuardProgram,
        PlaceKind::GuardConfig,
        PlaceKind::GuardLog,
    ] {
        for (own, parent) in [(kind, PlaceKind::None), (PlaceKind::None, kind)] {
            for bit in 0..=32_u32 {
                let grants = 1_u32.checked_shl(bit).unwrap_or(0);
                for act in FileAct::ALL {
                    let object = FileObject {
                        fs: FileSystem::Other,
                        own,
                        parent,
                        rule: NameRule::NONE,
                    };
                    let verdict = files::decide(with(grants), object, *act);
                    assert_eq!(
                        verdict.decision,
                        expected(kind, grants, *act),
                        "{kind:?} {grants:#x} {act:?}"
                    );
                }
            }
        }
    }
}

/// The control group of the controller: process 1 freezes and ends what it has started.
#[test]
fn control_group() {
    for (grants, expected) in [
        (0, Decision::Deny),
        (tool_grant::BOOT_FILES, Decision::Deny),
        (tool_grant::INIT, Decision::Allow),
        (tool_grant::GUARD, Decision::Allow),
    ] {
        let object = |scope| FileObject {
            fs: FileSystem::Cgroup,
            own: PlaceKind::None,
            parent: PlaceKind::Controller,
            rule: NameRule {
                op: Op::Guard,
                scope,
            },
        };
        let verdict = files::decide(with(grants), object(NameScope::InPlace), FileAct::Write);
        assert_eq!(verdict.decision, expected, "{grants:#x}");
        // Other files of the group (`cgroup.procs`, `io.stat`) are as they were.
        let verdict = files::decide(with(grants), object(NameScope::Nowhere), FileAct::Write);
        assert_eq!(verdict, Verdict::ALLOW);
    }
}
