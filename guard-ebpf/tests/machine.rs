//! The decisions about the machine itself, over their whole domains: reboots and kernels, firmware
//! variables, knobs of sysfs, character devices that steer, messages to the BMC.

use std::collections::HashSet;

use guard_abi::{
    Decision, FileAct, FileName, FileSystem, NAMED_FILES, NameScope, Op, PlaceKind, Reason,
    SystemCall, kexec, reboot, tool_grant,
};
use guard_ebpf::caller;
use guard_ebpf::control::ipmi::{self, Message};
use guard_ebpf::control::{Control, Meaning, command, control, mapper, open};
use guard_ebpf::decide::{Access, Subject, Verdict};
use guard_ebpf::files::{FileObject, NameRule, decide};
use guard_ebpf::machine::{self, Called, Caller, boot, locked_down};

const NOBODY: Subject = Subject {
    critical: false,
    grants: 0,
};

fn with(grants: u32) -> Subject {
    Subject { grants, ..NOBODY }
}

fn is_denied(verdict: Verdict) -> bool {
    verdict.decision == Decision::Deny
}

const ANYBODY: Caller = Caller {
    init: false,
    contained: false,
};
const INIT: Caller = Caller {
    init: true,
    contained: false,
};
const CONTAINED: Caller = Caller {
    init: false,
    contained: true,
};

#[expect(clippy::unnecessary_wraps, reason = "what the hook hands on")]
fn called(call: SystemCall, argument: u32) -> Option<Called> {
    Some(Called { call, argument })
}

#[test]
fn only_process_one_and_what_it_leaves_behind_reboot() {
    let ways = [
        reboot::RESTART,
        reboot::RESTART2,
        reboot::HALT,
        reboot::POWER_OFF,
        12345,
    ];
    for way in ways {
        let called = called(SystemCall::Reboot, way);
        for grants in [0, !tool_grant::SHUTDOWN] {
            assert_eq!(
                boot(with(grants), ANYBODY, called),
                Verdict::deny(Op::Reset, Reason::RunningSystem),
                "{way:#x}"
            );
        }
        assert_eq!(boot(NOBODY, INIT, called), Verdict::ALLOW);
        assert_eq!(boot(NOBODY, CONTAINED, called), Verdict::ALLOW);
        assert_eq!(
            boot(with(tool_grant::SHUTDOWN), ANYBODY, called),
            Verdict::ALLOW
        );
    }
    for harmless in [reboot::CAD_ON, reboot::CAD_OFF] {
        let called = called(SystemCall::Reboot, harmless);
        assert_eq!(boot(NOBODY, ANYBODY, called), Verdict::ALLOW);
    }
}

#[test]
fn nobody_starts_a_staged_kernel_or_suspends() {
    for caller in [ANYBODY, INIT] {
        for subject in [NOBODY, with(u32::MAX)] {
            let kexec = boot(subject, caller, called(SystemCall::Reboot, reboot::KEXEC));
            assert_eq!(kexec, Verdict::deny(Op::Kexec, Reason::RunningSystem));
            let suspend = called(SystemCall::Reboot, reboot::SW_SUSPEND);
            assert!(is_denied(boot(subject, caller, suspend)));
        }
    }
}

#[test]
fn kernels_are_staged_for_a_crash_alone() {
    for caller in [ANYBODY, INIT, CONTAINED] {
        for flags in [0, 2, 4, 0x003E_0000, !kexec::ON_CRASH] {
            let load = boot(with(u32::MAX), caller, called(SystemCall::KexecLoad, flags));
            assert_eq!(load, Verdict::deny(Op::Kexec, Reason::RunningSystem));
            let crash = called(SystemCall::KexecLoad, flags | kexec::ON_CRASH);
            assert_eq!(boot(NOBODY, caller, crash), Verdict::record(Op::Kexec));
        }
        for flags in [0, 4, 8] {
            let file = |flags| boot(NOBODY, caller, called(SystemCall::KexecFileLoad, flags));
            assert!(is_denied(file(flags)));
            assert_eq!(file(flags | kexec::FILE_UNLOAD), Verdict::ALLOW);
            let crash = file(flags | kexec::FILE_ON_CRASH);
            assert_eq!(crash, Verdict::record(Op::Kexec));
        }
        let unload = called(SystemCall::KexecUnload, 0);
        assert_eq!(boot(NOBODY, caller, unload), Verdict::ALLOW);
    }
}

#[test]
fn what_is_not_known_is_refused() {
    assert!(is_denied(boot(NOBODY, ANYBODY, None)));
    assert!(is_denied(boot(NOBODY, CONTAINED, None)));
    assert_eq!(boot(NOBODY, INIT, None), Verdict::ALLOW);
}

/// Numbers of the 64-bit table against libc's, those of the 32-bit table as
/// arch/x86/entry/syscalls/syscall_32.tbl has them.
#[cfg(target_arch = "x86_64")]
#[test]
fn calls_are_told_by_their_numbers() {
    let number = |call: libc::c_long| u32::try_from(call).unwrap();
    let tell = |number, compat, second| {
        machine::called(caller::SystemCall {
            number,
            compat,
            arguments: [1, second, 3, 4, 5],
        })
    };
    for (number, compat) in [(number(libc::SYS_reboot), false), (88, true)] {
        assert_eq!(tell(number, compat, 2), called(SystemCall::Reboot, 3));
    }
    for (number, compat) in [
        (number(libc::SYS_kexec_load), false),
        (0x4000_0210, false),
        (283, true),
    ] {
        assert_eq!(tell(number, compat, 2), called(SystemCall::KexecLoad, 4));
        assert_eq!(tell(number, compat, 0), called(SystemCall::KexecUnload, 4));
    }
    let file = number(libc::SYS_kexec_file_load);
    assert_eq!(tell(file, false, 2), called(SystemCall::KexecFileLoad, 5));
    let known = (0..1024).filter(|number| tell(*number, false, 2).is_some());
    assert_eq!(known.collect::<Vec<_>>(), [169, 246, 320, 528]);
    let known = (0..1024).filter(|number| tell(*number, true, 2).is_some());
    assert_eq!(known.collect::<Vec<_>>(), [88, 283]);
}

#[test]
fn of_lockdown_reasons_ports_alone_count() {
    for what in 0..64 {
        assert_eq!(is_denied(locked_down(what)), what == 7);
    }
}

#[test]
fn names_are_told_apart() {
    let mut seen = HashSet::new();
    for file in NAMED_FILES {
        assert!(
            seen.insert(FileName::new(file.fs, file.name)),
            "{} twice",
            file.name
        );
    }
}

fn judge(subject: Subject, fs: FileSystem, parent: PlaceKind, name: &str, act: FileAct) -> Verdict {
    let key = FileName::new(fs, name);
    let rule = NAMED_FILES
        .iter()
        .find(|file| FileName::new(file.fs, file.name) == key)
        .map_or(NameRule::NONE, |file| NameRule {
            op: file.op,
            scope: file.scope,
        });
    let object = FileObject {
        fs,
        own: PlaceKind::None,
        parent,
        rule,
    };
    decide(subject, object, act)
}

#[test]
fn what_boots_once_is_nobodys_to_set_and_everybodys_to_take_back() {
    let set = [
        FileAct::Write,
        FileAct::Create,
        FileAct::RenameTo,
        FileAct::Link,
        FileAct::Truncate,
    ];
    for name in [
        "BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        "LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
        "FactoryResetRequest-8cf2644b-4b0b-428f-9387-6d876050dc67",
        "OsIndications-8be4df61-93ca-11d2-aa0d-00e098032b8c",
    ] {
        let judge = |grants, act| {
            judge(
                with(grants),
                FileSystem::Efivars,
                PlaceKind::None,
                name,
                act,
            )
        };
        for act in set {
            assert_eq!(
                judge(u32::MAX, act),
                Verdict::deny(Op::Firmware, Reason::ProtectedFile),
                "{name}"
            );
        }
        assert_eq!(judge(0, FileAct::Remove), Verdict::ALLOW, "{name}");
    }
}

#[test]
fn other_variables_are_the_package_managers() {
    for name in [
        "BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        "Boot0003-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        "PK-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        "Anything-00000000-0000-0000-0000-000000000000",
    ] {
        for act in FileAct::ALL {
            let judge = |grants| {
                judge(
                    with(grants),
                    FileSystem::Efivars,
                    PlaceKind::None,
                    name,
                    *act,
                )
            };
            assert_eq!(is_denied(judge(0)), *act != FileAct::Attributes);
            assert_eq!(judge(tool_grant::BOOT_FILES), Verdict::ALLOW);
        }
    }
    let token = "LoaderSystemToken-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    let write = judge(
        NOBODY,
        FileSystem::Efivars,
        PlaceKind::None,
        token,
        FileAct::Write,
    );
    assert_eq!(write, Verdict::ALLOW);
}

#[test]
fn knobs_count_where_they_belong_to_something_protected() {
    let places = [
        (PlaceKind::Device, "delete", Some(Op::Detach)),
        (PlaceKind::Device, "state", Some(Op::Detach)),
        (PlaceKind::Device, "remove", Some(Op::Detach)),
        (PlaceKind::Device, "config", Some(Op::Passthrough)),
        (PlaceKind::Device, "uevent", None),
        (PlaceKind::Device, "rescan", None),
        (PlaceKind::Driver, "unbind", Some(Op::Detach)),
        (PlaceKind::Driver, "bind", None),
        (PlaceKind::Array, "array_state", Some(Op::Detach)),
        (PlaceKind::Array, "sync_action", None),
        (PlaceKind::Member, "state", Some(Op::Detach)),
        (PlaceKind::Power, "state", Some(Op::Reset)),
        (PlaceKind::Power, "resume", Some(Op::Reset)),
        (PlaceKind::Power, "wakeup_count", None),
        (PlaceKind::None, "delete", None),
        (PlaceKind::None, "unbind", None),
        (PlaceKind::None, "remove", None),
        (PlaceKind::None, "state", None),
    ];
    for (place, name, op) in places {
        for subject in [NOBODY, with(tool_grant::BOOT_FILES | tool_grant::LVM)] {
            let verdict = judge(subject, FileSystem::Sysfs, place, name, FileAct::Write);
            let expected = op.is_some();
            assert_eq!(is_denied(verdict), expected, "{name} in {place:?}");
            assert!(op.is_none_or(|op| op == verdict.op), "{name} in {place:?}");
        }
    }
    let maker = with(tool_grant::NEW_MD | tool_grant::MD_GROW);
    let act = FileAct::Write;
    let verdict = judge(maker, FileSystem::Sysfs, PlaceKind::Array, "level", act);
    assert!(is_denied(verdict) && verdict.op == Op::Detach);
    for keeper in [tool_grant::MD_MEMBER, tool_grant::MD_KEEP] {
        for place in [PlaceKind::Array, PlaceKind::Member] {
            let act = FileAct::Write;
            let verdict = judge(with(keeper), FileSystem::Sysfs, place, "state", act);
            assert_eq!(verdict, Verdict::ALLOW);
        }
    }
}

#[test]
fn triggers_count_everywhere_and_for_everybody() {
    for (fs, name, op) in [
        (FileSystem::Proc, "sysrq-trigger", Op::Reset),
        (FileSystem::Proc, "ftrace_enabled", Op::Guard),
        (FileSystem::Proc, "scsi", Op::Detach),
        (FileSystem::Debugfs, "DIRECT", Op::Reset),
        (FileSystem::Sysfs, "new_var", Op::Firmware),
    ] {
        let verdict = judge(with(u32::MAX), fs, PlaceKind::None, name, FileAct::Write);
        assert!(is_denied(verdict) && verdict.op == op, "{name}");
        let other = if fs == FileSystem::Proc {
            FileSystem::Sysfs
        } else {
            FileSystem::Proc
        };
        let verdict = judge(NOBODY, other, PlaceKind::None, name, FileAct::Write);
        assert_eq!(verdict, Verdict::ALLOW, "{name} in {other:?}");
    }
}

#[test]
fn character_devices_are_known_by_major_and_minor() {
    let expected = |kind: u32, minor: u32| match (kind, minor) {
        (16, 1 | 2 | 4) => Some(Control::Memory),
        (17, 144) => Some(Control::Nvram),
        (17, 224) | (20, _) => Some(Control::Tpm),
        (17, 231) => Some(Control::Snapshot),
        (17, 236) => Some(Control::Mapper),
        (18, _) => Some(Control::Flash),
        (19, _) => Some(Control::Bmc),
        _ => None,
    };
    for kind in 0..40 {
        for minor in 0..1024 {
            assert_eq!(control(kind, minor), expected(kind, minor));
        }
    }
}

#[test]
fn reading_is_for_everybody() {
    for device in [
        Control::Memory,
        Control::Nvram,
        Control::Flash,
        Control::Tpm,
        Control::Bmc,
        Control::Mapper,
        Control::Snapshot,
    ] {
        for ioctl_only in [false, true] {
            let access = Access {
                write: false,
                ioctl_only,
            };
            assert_eq!(open(device, access), Verdict::ALLOW);
        }
        let write = open(
            device,
            Access {
                write: true,
                ioctl_only: false,
            },
        );
        let refused = matches!(
            device,
            Control::Memory | Control::Nvram | Control::Flash | Control::Snapshot
        );
        assert_eq!(is_denied(write), refused, "{device:?}");
    }
}

/// The rules in words: chassis commands that are no query, group extensions that cut power,
/// firmware.
#[test]
fn messages_to_the_bmc() {
    for netfn in 0..=u8::MAX {
        for cmd in 0..=u8::MAX {
            for first in [0, 1, 0xDC] {
                let mut data = [0; ipmi::DATA_BYTES];
                data[0] = first;
                let verdict = ipmi::message(Message { netfn, cmd, data });
                let expected = match netfn & !1 {
                    0 => !matches!(cmd, 0 | 1 | 4 | 6 | 7 | 9 | 10 | 11 | 15),
                    8 => true,
                    0x2C => first == 0 && matches!(cmd, 4 | 10 | 12 | 0x31 | 0x35),
                    6 => continue,
                    _ => false,
                };
                assert_eq!(
                    is_denied(verdict),
                    expected,
                    "{netfn:#x} {cmd:#x} {first:#x}"
                );
            }
        }
    }
    let plain = |cmd| {
        ipmi::message(Message {
            netfn: 6,
            cmd,
            data: [0; 8],
        })
    };
    assert_eq!(plain(0x22), Verdict::ALLOW, "watchdog");
    assert_eq!(plain(0x24), Verdict::ALLOW, "watchdog");
    assert_eq!(plain(0x01), Verdict::ALLOW, "identity");
    assert_eq!(plain(0x02).decision, Decision::Record, "cold reset");
}

#[test]
fn bridged_messages_are_looked_into() {
    let bridged = |netfn: u8, cmd: u8| {
        ipmi::message(Message {
            netfn: 6,
            cmd: 0x34,
            data: [0, 0x20, netfn << 2, 0, 0x81, 0, cmd, 3],
        })
    };
    assert!(is_denied(bridged(0, 2)), "chassis control");
    assert!(is_denied(bridged(0, 8)), "boot options");
    assert!(!is_denied(bridged(4, 0x2D)), "a sensor");
    assert!(!is_denied(bridged(0x0A, 0x43)), "the event log");
}

#[test]
fn ioctls_of_the_bmc_and_the_mapper() {
    let ioc = |direction: u32, kind: u8, number: u32, size: u32| {
        direction << 30 | size << 16 | u32::from(kind) << 8 | number
    };
    // struct ipmi_req is 40 bytes, with retries 48; 20 and 28 for a 32-bit process.
    for (number, size, compat) in [
        (13, 40, false),
        (21, 48, false),
        (13, 20, true),
        (21, 28, true),
    ] {
        assert_eq!(
            command(Control::Bmc, ioc(2, b'i', number, size)),
            Meaning::Bmc { compat }
        );
    }
    for number in 0..=0x11 {
        // struct dm_ioctl is 312 bytes; the driver takes any size and direction.
        for cmd in [ioc(3, 0xFD, number, 312), ioc(0, 0xFD, number, 0)] {
            let expected = match number {
                1 => Meaning::Known(Verdict::deny(Op::Detach, Reason::RunningSystem)),
                4 | 5 | 9 | 14 => Meaning::Mapper(mapper::Act::Change),
                6 => Meaning::Mapper(mapper::Act::Suspend),
                _ => Meaning::Known(Verdict::ALLOW),
            };
            assert_eq!(command(Control::Mapper, cmd), expected, "{number}");
        }
    }
}

#[test]
fn a_guarded_mapping_is_its_keepers() {
    assert!(is_denied(mapper::guarded(NOBODY)));
    assert!(is_denied(mapper::guarded(with(
        tool_grant::DRIVE_QUERY | tool_grant::BOOT_FILES
    ))));
    for keeper in [
        tool_grant::KEEP_DM,
        tool_grant::LVM,
        tool_grant::NEW_DM,
        tool_grant::UNLOCK,
        tool_grant::SHUTDOWN,
    ] {
        assert_eq!(mapper::guarded(with(keeper)), Verdict::ALLOW);
    }
}

#[test]
fn device_numbers_of_the_mapper() {
    // huge_encode_dev of 253:5 and 253:300.
    assert_eq!(
        mapper::decode_dev(253 << 8 | 5),
        guard_abi::dev::make(253, 5)
    );
    let encoded = 253 << 8 | (0x12C & 0xFF) | (0x12C & !0xFF) << 12;
    assert_eq!(mapper::decode_dev(encoded), guard_abi::dev::make(253, 300));
}

#[test]
fn scopes_that_nothing_has_are_nothing() {
    let nowhere = NAMED_FILES
        .iter()
        .filter(|file| file.scope == NameScope::Nowhere)
        .count();
    assert_eq!(nowhere, 0);
}
