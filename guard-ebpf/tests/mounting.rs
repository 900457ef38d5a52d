//! The decision about mounts, over its whole domain, against the rules restated.

use guard_abi::{Decision, Op, PlaceKind, Reason, tool_grant as grant};
use guard_ebpf::decide::{Subject, Verdict};
use guard_ebpf::mounting::{Doer, MountAct, can_be_forced, decide};

const FLAGS: [bool; 2] = [false, true];

fn acts() -> Vec<MountAct> {
    let mut acts = vec![MountAct::Pivot, MountAct::MoveUnknown];
    for place in PlaceKind::ALL.iter().copied() {
        acts.extend([
            MountAct::Cover(place),
            MountAct::Move(place),
            MountAct::ReadOnly(place),
            MountAct::Abort(place),
        ]);
        for lazy in FLAGS {
            acts.extend(FLAGS.map(|forced| MountAct::Unmount {
                place,
                lazy,
                forced,
            }));
        }
    }
    acts
}

fn each(mut check: impl FnMut(Subject, Doer, MountAct, Verdict)) {
    for grants in [
        0,
        grant::SHUTDOWN,
        grant::GUARD,
        grant::SHUTDOWN | grant::GUARD,
        grant::BOOT_FILES,
    ] {
        for critical in FLAGS {
            for in_host_namespace in FLAGS {
                for is_init in FLAGS {
                    for act in acts() {
                        let (subject, doer) = (
                            Subject { critical, grants },
                            Doer {
                                in_host_namespace,
                                is_init,
                            },
                        );
                        check(subject, doer, act, decide(subject, doer, act));
                    }
                }
            }
        }
    }
}

#[test]
fn other_namespaces_are_their_own_affair() {
    each(|_, doer, act, verdict| {
        if !doer.in_host_namespace {
            assert_eq!(verdict.decision, Decision::Allow, "{act:?}");
        }
    });
}

#[test]
fn what_is_refused_in_the_host_namespace() {
    each(|subject, doer, act, verdict| {
        let guard = subject.grants & grant::GUARD == 0;
        let shutdown = subject.grants & grant::SHUTDOWN != 0;
        let refused = doer.in_host_namespace
            && match act {
                MountAct::Cover(PlaceKind::Mount) | MountAct::Abort(PlaceKind::Mount) => true,
                MountAct::Move(PlaceKind::Pins) if doer.is_init => false,
                MountAct::Cover(
                    PlaceKind::Guard
                    | PlaceKind::Pins
                    | PlaceKind::GuardProgram
                    | PlaceKind::GuardConfig
                    | PlaceKind::GuardLog,
                )
                | MountAct::Move(PlaceKind::Guard | PlaceKind::Pins) => guard,
                MountAct::Unmount {
                    place: PlaceKind::Guard | PlaceKind::Pins,
                    ..
                } => guard && !shutdown,
                MountAct::Move(PlaceKind::Mount) | MountAct::MoveUnknown | MountAct::Pivot => {
                    !doer.is_init
                }
                MountAct::Unmount {
                    place: PlaceKind::Mount,
                    lazy,
                    forced,
                } => (lazy || forced) && !shutdown,
                _ => false,
            };
        assert_eq!(
            verdict.decision == Decision::Deny,
            refused,
            "{subject:?} {doer:?} {act:?}"
        );
        match (refused, verdict.reason) {
            (true, Reason::GuardItself) => assert_eq!(verdict.op, Op::Guard),
            (true, _) => assert_eq!(verdict.op, Op::Detach),
            (false, _) => {}
        }
    });
}

#[test]
fn an_ordinary_umount_is_left_to_the_kernel() {
    each(|_, _, act, verdict| {
        if let MountAct::Unmount {
            place,
            lazy: false,
            forced: false,
        } = act
            && !matches!(place, PlaceKind::Guard | PlaceKind::Pins)
        {
            assert_eq!(verdict.decision, Decision::Allow, "{place:?}");
        }
    });
}

#[test]
fn force_does_something_to_network_file_systems_alone() {
    // include/uapi/linux/magic.h: NFS, FUSE; ext4, XFS, btrfs, tmpfs.
    assert!(can_be_forced(0x6969) && can_be_forced(0x6573_5546));
    for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994] {
        assert!(!can_be_forced(local));
    }
}
