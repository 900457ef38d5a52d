//! The decision about files, over its whole domain, against the rules restated.

use guard_abi::{
    Decision, FileAct, FileSystem, NameScope, Op, PlaceKind, Reason, tool_grant as grant,
};
use guard_ebpf::decide::Subject;
use guard_ebpf::files::{FileObject, NameRule, decide, may_bring};

const GRANTS: [u32; 4] = [
    grant::BOOT_FILES,
    grant::BOOT_STATE,
    grant::GUARD,
    grant::LVM,
];

fn subjects() -> impl Iterator<Item = Subject> {
    (0_u32..1 << GRANTS.len()).flat_map(|n| {
        let chosen = GRANTS
            .iter()
            .enumerate()
            .filter(move |(at, _)| n >> at & 1 == 1);
        let grants = chosen.map(|(_, bit)| bit).sum();
        [false, true].map(|critical| Subject { critical, grants })
    })
}

fn on_disk(own: PlaceKind, parent: PlaceKind, scope: NameScope) -> FileObject {
    FileObject {
        fs: FileSystem::Other,
        own,
        parent,
        rule: NameRule {
            op: Op::BootFile,
            scope,
        },
    }
}

#[test]
fn boot_files_are_changed_by_those_who_may_alone() {
    let scopes = [NameScope::Nowhere, NameScope::BootState];
    let places = [
        (PlaceKind::Boot, PlaceKind::None),
        (PlaceKind::Boot, PlaceKind::Boot),
        (PlaceKind::None, PlaceKind::Boot),
        (PlaceKind::BootState, PlaceKind::Boot),
    ];
    for subject in subjects() {
        for scope in scopes {
            for (own, parent) in places {
                for act in FileAct::ALL.iter().copied() {
                    let state = own == PlaceKind::BootState || scope == NameScope::BootState;
                    let needed = if state {
                        grant::BOOT_STATE
                    } else {
                        grant::BOOT_FILES
                    };
                    let may = subject.grants & needed != 0;
                    let verdict = decide(subject, on_disk(own, parent, scope), act);
                    let wanted = match act {
                        FileAct::Attributes => Decision::Allow,
                        FileAct::Create | FileAct::RenameFrom if may => Decision::Allow,
                        _ if may => Decision::Record,
                        _ => Decision::Deny,
                    };
                    assert_eq!(
                        verdict.decision, wanted,
                        "{subject:?} {own:?} {parent:?} {scope:?} {act:?}"
                    );
                    if wanted == Decision::Deny {
                        assert_eq!(
                            (verdict.op, verdict.reason),
                            (Op::BootFile, Reason::ProtectedFile)
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_name_means_nothing_elsewhere() {
    for subject in subjects() {
        for act in FileAct::ALL.iter().copied() {
            for parent in [PlaceKind::None, PlaceKind::Mount] {
                let object = on_disk(PlaceKind::None, parent, NameScope::BootState);
                assert_eq!(decide(subject, object, act).decision, Decision::Allow);
            }
        }
    }
}

#[test]
fn a_data_directory_stays_where_it_is_and_can_be_written() {
    for subject in subjects() {
        for act in FileAct::ALL.iter().copied() {
            let object = on_disk(PlaceKind::Mount, PlaceKind::Mount, NameScope::Nowhere);
            let verdict = decide(subject, object, act);
            let refused = matches!(
                act,
                FileAct::Remove | FileAct::RenameFrom | FileAct::RenameTo
            );
            assert_eq!(verdict.decision == Decision::Deny, refused, "{act:?}");
            assert!(!refused || verdict.op == Op::Detach);
            // What lies in it is the file system's affair.
            let inside = on_disk(PlaceKind::None, PlaceKind::Mount, NameScope::Nowhere);
            assert_eq!(decide(subject, inside, act).decision, Decision::Allow);
        }
    }
}

#[test]
fn what_brings_a_file_into_a_directory() {
    let brings: Vec<_> = (1..=u8::MAX)
        .map_while(FileAct::from_u8)
        .filter(|act| may_bring(*act))
        .collect();
    let expected = [FileAct::Create, FileAct::RenameFrom, FileAct::RenameTo];
    assert_eq!(brings.len(), expected.len());
    assert!(expected.iter().all(|act| brings.contains(act)));
}
