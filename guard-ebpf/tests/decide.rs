//! The decision, over its whole domain: every class, flag that matters, grant, access and kind of
//! node, and every command, against the rules restated one by one.

use guard_abi::{
    Decision, DeviceClass, Handling, Mode, Op, PassthroughKind, Policy, Reason, device_flag,
    tool_grant,
};
use guard_ebpf::command::Command;
use guard_ebpf::decide::{
    Access, Act, Driver, Object, Subject, Verdict, claims_left, decide, is_plainly_free,
};

/// Each grant with the flag it holds for.
const PAIRS: [(u32, u32); 6] = [
    (tool_grant::LVM, device_flag::LVM_PV),
    (tool_grant::EXT_ONLINE, device_flag::EXT_MOUNTED),
    (tool_grant::MD_MEMBER, device_flag::MD_MEMBER),
    (tool_grant::UNLOCK, device_flag::LUKS),
    (tool_grant::PREEN, device_flag::PREEN),
    (tool_grant::SWAP_ON, device_flag::SWAP),
];

/// Flags that any decision looks at.
const FLAGS: [u32; 9] = [
    device_flag::LVM_PV,
    device_flag::EXT_MOUNTED,
    device_flag::MD_MEMBER,
    device_flag::LUKS,
    device_flag::PREEN,
    device_flag::SWAP,
    device_flag::DB_RAW,
    device_flag::DISK_PROTECTED,
    device_flag::MD_REDUNDANT,
];

const DRIVERS: [Driver; 3] = [Driver::Other, Driver::DeviceMapper, Driver::Md];

/// All grants that an open may depend on: bits 0 to 8. `SHUTDOWN` is about commands alone.
const GRANTS: u32 = 1 << 9;

/// The `n`th combination of `bits`.
fn combination(bits: &[u32], n: u32) -> u32 {
    bits.iter()
        .enumerate()
        .filter(|(at, _)| n >> at & 1 == 1)
        .map(|(_, bit)| bit)
        .sum()
}

fn objects() -> impl Iterator<Item = Object> {
    DeviceClass::ALL.iter().flat_map(|class| {
        PassthroughKind::ALL.iter().flat_map(move |passthrough| {
            DRIVERS.into_iter().flat_map(move |driver| {
                (0..1 << FLAGS.len()).map(move |n| Object {
                    class: *class,
                    flags: combination(&FLAGS, n),
                    passthrough: *passthrough,
                    driver,
                })
            })
        })
    })
}

fn commands() -> Vec<Command> {
    let mut all = vec![Command::Query, Command::LoseMember, Command::Unreadable];
    for op in Op::ALL {
        all.extend([
            Command::Notable(*op),
            Command::Harm(*op),
            Command::Disk(*op),
            Command::Opcode(*op),
            Command::Assemble(*op),
            Command::Unlisted(*op),
        ]);
    }
    all
}

/// The rule for opens, said the other way round: when may a device be opened like this?
fn open_is_fine(subject: Subject, object: Object, access: Access) -> bool {
    let changes_nothing = !access.write && !access.ioctl_only;
    let has_no_write = matches!(
        object.passthrough,
        PassthroughKind::NvmeController | PassthroughKind::NvmeGeneric | PassthroughKind::Bsg
    );
    let granted = PAIRS
        .iter()
        .any(|(grant, flag)| subject.grants & grant != 0 && object.flags & flag != 0);
    let queries_drives = subject.grants & tool_grant::DRIVE_QUERY != 0;
    let makes_them = match object.driver {
        Driver::DeviceMapper => subject.grants & tool_grant::NEW_DM != 0,
        Driver::Md => subject.grants & tool_grant::NEW_MD != 0,
        Driver::Other => false,
    };
    let made_it = makes_them && object.class == DeviceClass::Unknown;
    let owns_it = subject.critical && object.flags & device_flag::DB_RAW != 0;
    changes_nothing
        || object.class == DeviceClass::Free
        || has_no_write
        || granted
        || queries_drives
        || made_it
        || owns_it
}

#[test]
fn opens_over_the_whole_domain() {
    for object in objects() {
        for grants in 0..GRANTS {
            for bits in 0..8_u32 {
                let subject = Subject {
                    critical: bits & 1 != 0,
                    grants,
                };
                let access = Access {
                    write: bits & 2 != 0,
                    ioctl_only: bits & 4 != 0,
                };
                let verdict = decide(subject, object, Act::Open(access));
                let fine = open_is_fine(subject, object, access);
                assert_eq!(
                    verdict.decision,
                    if fine {
                        Decision::Allow
                    } else {
                        Decision::Deny
                    },
                    "{subject:?} {object:?} {access:?} gave {verdict:?}"
                );
                if !fine {
                    check_open_reason(object, access, verdict);
                }
            }
        }
    }
}

fn check_open_reason(object: Object, access: Access, verdict: Verdict) {
    let reason = match (access.write, object.class) {
        (false, _) => Reason::AccessModeThree,
        (true, DeviceClass::Unknown) => Reason::UnknownDevice,
        (true, _) => Reason::ProtectedDevice,
    };
    assert_eq!(verdict.reason, reason, "{object:?} {access:?}");
    let op = match object.passthrough {
        PassthroughKind::ScsiGeneric => Op::Passthrough,
        _ => Op::RawWrite,
    };
    assert_eq!(verdict.op, op, "{object:?}");
}

#[test]
fn more_grants_never_take_anything_away() {
    for object in objects() {
        for grants in 0..GRANTS {
            for more in 0..8 {
                let access = Access {
                    write: true,
                    ioctl_only: false,
                };
                let with = |grants| {
                    let subject = Subject {
                        critical: false,
                        grants,
                    };
                    decide(subject, object, Act::Open(access)).decision == Decision::Allow
                };
                assert!(
                    !with(grants) || with(grants | 1 << more),
                    "{object:?}: grants {grants:#x} allow, with bit {more} they do not"
                );
            }
        }
    }
}

#[test]
fn a_grant_for_one_kind_of_device_opens_no_other() {
    let write = Act::Open(Access {
        write: true,
        ioctl_only: false,
    });
    for (grant, flag) in PAIRS {
        for n in 0..1 << FLAGS.len() {
            let flags = combination(&FLAGS, n) & !flag;
            let object = Object {
                class: DeviceClass::Protected,
                flags,
                passthrough: PassthroughKind::None,
                driver: Driver::Other,
            };
            let subject = Subject {
                critical: false,
                grants: grant,
            };
            let verdict = decide(subject, object, write);
            assert_eq!(
                verdict.decision,
                Decision::Deny,
                "grant {grant:#x}, flags {flags:#x}"
            );
        }
    }
}

#[test]
fn commands_over_the_whole_domain() {
    for object in objects() {
        for command in commands() {
            let verdict = decide(Subject::default(), object, Act::Command(command));
            let expected = expected_for_command(object, command);
            assert_eq!(
                (verdict.decision, verdict.reason),
                expected,
                "{object:?} {command:?}"
            );
        }
    }
}

fn expected_for_command(object: Object, command: Command) -> (Decision, Reason) {
    let fine = (Decision::Allow, Reason::None);
    let deny = |reason| (Decision::Deny, reason);
    let told = (Decision::Record, Reason::Notable);
    let has = |flag| object.flags & flag != 0;
    if object.class == DeviceClass::Free {
        return match command {
            _ if !has(device_flag::DISK_PROTECTED) => fine,
            Command::Disk(_) | Command::Opcode(_) | Command::Unlisted(_) => {
                deny(Reason::ReachesProtectedDisk)
            }
            Command::Unreadable => deny(Reason::UnreadableArgument),
            _ => fine,
        };
    }
    let unknown = object.class == DeviceClass::Unknown;
    let not_free = if unknown {
        Reason::UnknownDevice
    } else {
        Reason::ProtectedDevice
    };
    match command {
        Command::Query => fine,
        Command::Assemble(_) if unknown => fine,
        Command::Notable(_) => told,
        Command::LoseMember if has(device_flag::MD_REDUNDANT) => told,
        Command::LoseMember => deny(Reason::NotRedundant),
        Command::Harm(_) | Command::Disk(_) | Command::Assemble(_) => deny(not_free),
        Command::Opcode(_) => deny(Reason::OpcodeNotReadOnly),
        Command::Unlisted(_) => deny(Reason::CommandNotListed),
        Command::Unreadable => deny(Reason::UnreadableArgument),
    }
}

#[test]
fn only_mdadm_that_grows_it_changes_a_protected_array() {
    for object in objects().filter(|object| object.class == DeviceClass::Protected) {
        for grant in [0, tool_grant::MD_GROW, !tool_grant::MD_GROW] {
            let subject = Subject {
                critical: false,
                grants: grant,
            };
            let verdict = decide(subject, object, Act::Command(Command::Assemble(Op::Remap)));
            let may = grant == tool_grant::MD_GROW && object.driver == Driver::Md;
            let expected = if may {
                Decision::Record
            } else {
                Decision::Deny
            };
            assert_eq!(verdict.decision, expected, "{object:?} {grant:#x}");
        }
    }
}

#[test]
fn who_asks_matters_to_a_discard_an_array_and_at_shutdown_alone() {
    let mighty = Subject {
        critical: true,
        grants: u32::MAX,
    };
    for object in objects() {
        for command in commands() {
            if matches!(command, Command::Harm(Op::Discard | Op::Detach)) {
                continue;
            }
            if matches!(command, Command::Assemble(_)) && object.driver == Driver::Md {
                continue;
            }
            let act = Act::Command(command);
            assert_eq!(
                decide(Subject::default(), object, act),
                decide(mighty, object, act)
            );
        }
    }
}

#[test]
fn only_the_shutdown_stops_an_array() {
    let stop = Act::Command(Command::Harm(Op::Detach));
    for object in objects().filter(|object| object.class != DeviceClass::Free) {
        for bit in 0..32 {
            for critical in [false, true] {
                let grants = 1 << bit;
                let subject = Subject { critical, grants };
                let fine = grants == tool_grant::SHUTDOWN;
                let verdict = decide(subject, object, stop).decision;
                assert_eq!(verdict == Decision::Allow, fine, "{subject:?} {object:?}");
            }
        }
    }
}

#[test]
fn whoever_may_write_may_zero_and_no_one_else() {
    let zero = Act::Command(Command::Harm(Op::Discard));
    let write = Access {
        write: true,
        ioctl_only: false,
    };
    let blocks = objects().filter(|object| object.passthrough == PassthroughKind::None);
    for object in blocks {
        for grants in 0..GRANTS {
            for critical in [false, true] {
                let subject = Subject { critical, grants };
                // Opening a drive to ask it something is no leave to change it.
                let writer = Subject {
                    grants: grants & !tool_grant::DRIVE_QUERY,
                    ..subject
                };
                let fine = open_is_fine(writer, object, write);
                let verdict = decide(subject, object, zero).decision;
                assert_eq!(verdict == Decision::Allow, fine, "{subject:?} {object:?}");
            }
        }
    }
}

#[test]
fn plainly_free_devices_are_never_refused_anything() {
    for object in objects().filter(|object| is_plainly_free(*object)) {
        for command in commands() {
            assert_eq!(
                decide(Subject::default(), object, Act::Command(command)),
                Verdict::ALLOW
            );
        }
        for bits in 0..4_u32 {
            let access = Access {
                write: bits & 1 != 0,
                ioctl_only: bits & 2 != 0,
            };
            assert_eq!(
                decide(Subject::default(), object, Act::Open(access)),
                Verdict::ALLOW
            );
        }
    }
}

/// A policy with the bits of these classes set in the two words.
fn policy(enforced_ops: u32, allowed_ops: u32) -> Policy {
    Policy {
        enforced_ops,
        allowed_ops,
        ..Policy::STRICTEST
    }
}

#[test]
fn modes_differ_in_the_returned_value_alone() {
    for op in Op::ALL {
        let denied = Verdict {
            decision: Decision::Deny,
            reason: Reason::ProtectedDevice,
            op: *op,
        };
        let becomes = |decision| Verdict { decision, ..denied };
        for (enforced, allowed, decision) in [
            (Policy::ALL_OPS, 0, Decision::Deny),
            (op.bit(), 0, Decision::Deny),
            (op.bit(), !op.bit(), Decision::Deny),
            (Policy::ALL_OPS & !op.bit(), 0, Decision::WouldDeny),
            (0, 0, Decision::WouldDeny),
            (Policy::ALL_OPS, op.bit(), Decision::Allowed),
            (0, Policy::ALL_OPS, Decision::Allowed),
        ] {
            let policy = policy(enforced, allowed);
            assert_eq!(
                denied.under(&policy),
                becomes(decision),
                "{op:?} {policy:?}"
            );
        }
        for decision in [Decision::Allow, Decision::Record] {
            for policy in [policy(0, 0), policy(0, u32::MAX), Policy::STRICTEST] {
                assert_eq!(becomes(decision).under(&policy), becomes(decision));
            }
        }
    }
}

#[test]
fn each_class_is_handled_by_itself() {
    for one in Op::ALL {
        for (policy, handling, rest) in [
            (policy(!one.bit(), 0), Handling::Observe, Handling::Refuse),
            (
                policy(u32::MAX, one.bit()),
                Handling::Allow,
                Handling::Refuse,
            ),
            (policy(one.bit(), 0), Handling::Refuse, Handling::Observe),
        ] {
            for op in Op::ALL {
                let wanted = if op == one { handling } else { rest };
                assert_eq!(policy.handling(*op), wanted, "{op:?} beside {one:?}");
            }
        }
        assert_eq!(policy(!one.bit(), 0).mode(), Mode::Enforce);
        assert_eq!(policy(one.bit(), 0).mode(), Mode::Observe);
    }
}

#[test]
fn each_operation_has_a_bit_of_its_own() {
    let bits: u32 = Op::ALL.iter().map(|op| op.bit()).sum();
    assert_eq!(bits.count_ones() as usize, Op::ALL.len());
    assert_eq!(bits & Policy::ENFORCE, 0, "the mode has a bit of its own");
}

#[test]
fn boot_sectors_are_written_where_they_are_alone() {
    let subject = Subject {
        critical: false,
        grants: tool_grant::BOOT_SECTOR | tool_grant::PACKAGES | tool_grant::BOOT_FILES,
    };
    let access = Access {
        write: true,
        ioctl_only: false,
    };
    for object in objects().filter(|object| object.passthrough == PassthroughKind::None) {
        let disk = Object {
            flags: object.flags | device_flag::BOOT_DISK,
            ..object
        };
        assert_eq!(
            decide(subject, disk, Act::Open(access)).decision,
            Decision::Allow
        );
        let elsewhere = decide(subject, object, Act::Open(access)).decision;
        let without = decide(Subject::default(), object, Act::Open(access)).decision;
        assert_eq!(elsewhere, without);
    }
}

#[test]
fn a_device_that_was_merely_in_use_is_free_without_claims() {
    for class in DeviceClass::ALL {
        for flags in [
            0,
            device_flag::CLAIMED,
            device_flag::CLAIMED | device_flag::IN_USE,
        ] {
            let object = Object {
                class: *class,
                flags,
                passthrough: PassthroughKind::None,
                driver: Driver::Other,
            };
            let expected = *class == DeviceClass::Protected && flags != 0;
            assert_eq!(object.is_free_without_claims(), expected, "{object:?}");
        }
    }
    let held = Object {
        class: DeviceClass::Protected,
        flags: device_flag::CLAIMED | device_flag::IN_USE | device_flag::EXT_MOUNTED,
        passthrough: PassthroughKind::None,
        driver: Driver::Md,
    };
    // A command for the whole drive may reach what the controller has not said is free.
    let left = held.without_claims();
    assert_eq!(
        (left.class, left.flags, left.driver),
        (DeviceClass::Free, device_flag::DISK_PROTECTED, Driver::Md)
    );
}

#[test]
fn claims_are_counted_as_the_block_layer_counts_them() {
    // Device and disk: each claim on a partition counts on both, one on the disk twice on itself.
    let left = |is_disk, device, disk| {
        let left = claims_left(is_disk, device, disk);
        (left.device, left.disk)
    };
    assert_eq!(left(false, 1, 1), (0, 0));
    assert_eq!(left(false, 1, 2), (0, 1));
    assert_eq!(left(false, 2, 2), (1, 1));
    assert_eq!(left(true, 2, 2), (0, 0));
    assert_eq!(left(true, 4, 4), (2, 2));
    // Nothing to give up: no count is zero by that.
    assert_eq!(left(false, 0, 0), (-1, -1));
    assert_eq!(left(true, 1, 1), (-1, -1));
}
