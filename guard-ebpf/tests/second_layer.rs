//! The second layer: what a system call means, what is decided about an open seen from below, and
//! that one act is told once although three hooks see it.

use guard_abi::{
    Decision, DeviceClass, OPEN_FLAGS_UNKNOWN, Op, PassthroughKind, Told, device_flag, tool_grant,
};
use guard_ebpf::caller::{Call, Caller, SystemCall, meaning};
use guard_ebpf::decide::{Access, Act, Driver, Object, Subject, Verdict, decide};
use guard_ebpf::told::{Judge, told};
use proptest::prelude::*;

const CALLERS: [Caller; 6] = [
    Caller::Program,
    Caller::Question,
    Caller::Mount,
    Caller::Table,
    Caller::Kernel,
    Caller::Unknown,
];

const WRITE: Access = Access {
    write: true,
    ioctl_only: false,
};

/// As many arguments as a system call's registers have.
const fn five([first, second, third]: [u64; 3]) -> [u64; 5] {
    [first, second, third, 0, 0]
}

fn call(number: libc::c_long, arguments: [u64; 3]) -> Call {
    meaning(SystemCall {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        compat: false,
        arguments: five(arguments),
    })
}

fn call_32(number: u32, arguments: [u64; 3]) -> Call {
    meaning(SystemCall {
        number,
        compat: true,
        arguments: five(arguments),
    })
}

/// Numbers of the 64-bit table against libc's, those of the 32-bit table as
/// arch/x86/entry/syscalls/syscall_32.tbl has them.
#[cfg(target_arch = "x86_64")]
#[test]
fn system_calls_mean_what_the_tables_say() {
    let pairs: [(libc::c_long, u32, Caller); 19] = [
        (libc::SYS_open, 5, Caller::Program),
        (libc::SYS_openat, 295, Caller::Program),
        (libc::SYS_openat2, 437, Caller::Program),
        (libc::SYS_creat, 8, Caller::Program),
        (libc::SYS_open_by_handle_at, 342, Caller::Program),
        (libc::SYS_io_uring_enter, 426, Caller::Program),
        (libc::SYS_swapon, 87, Caller::Program),
        (libc::SYS_swapoff, 115, Caller::Program),
        (libc::SYS_access, 33, Caller::Question),
        (libc::SYS_faccessat, 307, Caller::Question),
        (libc::SYS_faccessat2, 439, Caller::Question),
        (libc::SYS_mount, 21, Caller::Mount),
        (libc::SYS_fsconfig, 431, Caller::Mount),
        (libc::SYS_ioctl, 54, Caller::Kernel),
        (libc::SYS_write, 4, Caller::Kernel),
        (libc::SYS_writev, 146, Caller::Kernel),
        (libc::SYS_finit_module, 350, Caller::Kernel),
        (libc::SYS_sendmsg, 370, Caller::Kernel),
        (libc::SYS_fsmount, 432, Caller::Kernel),
    ];
    for (wide, narrow, caller) in pairs {
        assert_eq!(call(wide, [0; 3]).caller, caller, "{wide}");
        assert_eq!(
            call_32(narrow, [0; 3]).caller,
            caller,
            "{narrow} of 32 bits"
        );
        let x32 = call(wide | 0x4000_0000, [0; 3]);
        assert_eq!(x32.caller, caller, "{wide} of x32");
    }
    // The tables give some numbers to different calls.
    assert_eq!(call(21, [0; 3]).caller, Caller::Question);
    assert_eq!(call_32(21, [0; 3]).caller, Caller::Mount);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn flags_and_commands_come_from_the_right_argument() {
    let arguments = [11, 12, 13];
    assert_eq!(call(libc::SYS_open, arguments).open_flags, 12);
    assert_eq!(call(libc::SYS_openat, arguments).open_flags, 13);
    assert_eq!(call(libc::SYS_open_by_handle_at, arguments).open_flags, 13);
    let creat = u32::try_from(libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC).unwrap();
    assert_eq!(call(libc::SYS_creat, arguments).open_flags, creat);
    let how = call(libc::SYS_openat2, arguments);
    assert_eq!((how.open_flags, how.flags_at), (OPEN_FLAGS_UNKNOWN, 13));
    assert_eq!(call(libc::SYS_ioctl, arguments).ioctl, 12);
    assert_eq!(call_32(54, arguments).ioctl, 12);
    for again in [
        call(libc::SYS_ioctl, [1, 0x125F, 0]),
        call_32(54, [1, 0x125F, 0]),
    ] {
        assert_eq!((again.caller, again.ioctl), (Caller::Table, 0x125F));
    }
    assert_eq!(call_32(5, arguments).open_flags, 12);
    assert_eq!(call_32(295, arguments).open_flags, 13);
    assert_eq!(call_32(437, arguments).flags_at, 13);
    assert!(call(libc::SYS_swapon, arguments).swap);
    assert!(!call(libc::SYS_openat, arguments).swap);
}

proptest! {
    /// Only the two mounting calls are ever taken for a mount, and only ioctl gives a command.
    #[test]
    fn nothing_else_passes_for_a_mount(number: u32, compat: bool, arguments: [u64; 5]) {
        let call = meaning(SystemCall { number, compat, arguments });
        if call.caller == Caller::Mount {
            let known: &[u32] = if compat { &[21, 431] } else { &[165, 431] };
            prop_assert!(known.contains(&(number & !0x4000_0000)));
        }
        prop_assert!(call.ioctl == 0 || matches!(call.caller, Caller::Kernel | Caller::Table));
        prop_assert_eq!(call.caller == Caller::Table, call.ioctl == 0x125F);
        prop_assert!(call.open_flags == OPEN_FLAGS_UNKNOWN || call.caller == Caller::Program);
    }
}

fn objects() -> impl Iterator<Item = Object> {
    const FLAGS: [u32; 7] = [
        device_flag::LVM_PV,
        device_flag::EXT_MOUNTED,
        device_flag::MD_MEMBER,
        device_flag::LUKS,
        device_flag::PREEN,
        device_flag::SWAP,
        device_flag::DB_RAW,
    ];
    const DRIVERS: [Driver; 3] = [Driver::Other, Driver::DeviceMapper, Driver::Md];
    DeviceClass::ALL.iter().flat_map(|class| {
        DRIVERS.into_iter().flat_map(move |driver| {
            (0..1_u32 << FLAGS.len()).map(move |set| Object {
                class: *class,
                flags: FLAGS
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| set >> at & 1 == 1)
                    .map(|(_, bit)| bit)
                    .sum(),
                passthrough: PassthroughKind::None,
                driver,
            })
        })
    })
}

fn subjects() -> impl Iterator<Item = Subject> {
    (0..1_u32 << 11).flat_map(|set| {
        let low = set & 0x1FF;
        let stack = if set & 0x200 == 0 {
            0
        } else {
            tool_grant::STACK
        };
        let mount = if set & 0x400 == 0 {
            0
        } else {
            tool_grant::MOUNT
        };
        [false, true].map(|critical| Subject {
            critical,
            grants: low | stack | mount,
        })
    })
}

/// The rule said the other way round.
fn expected(subject: Subject, object: Object, caller: Caller) -> Verdict {
    let open = decide(subject, object, Act::Open(WRITE));
    let stack = subject.grants & tool_grant::STACK != 0;
    let mount = subject.grants & tool_grant::MOUNT != 0;
    let excused = match caller {
        Caller::Program => false,
        Caller::Question | Caller::Mount => true,
        Caller::Kernel | Caller::Table => stack,
        Caller::Unknown => stack || mount,
    };
    if open.decision == Decision::Allow || excused {
        return Verdict::ALLOW;
    }
    Verdict {
        op: match caller {
            Caller::Kernel => Op::Remap,
            Caller::Table => Op::Partition,
            _ => Op::RawWrite,
        },
        ..open
    }
}

#[test]
fn the_second_layer_over_the_whole_domain() {
    for object in objects() {
        for subject in subjects() {
            for caller in CALLERS {
                assert_eq!(
                    decide(subject, object, Act::Reach(caller, WRITE)),
                    expected(subject, object, caller),
                    "{subject:?} {object:?} {caller:?}"
                );
            }
        }
    }
}

#[test]
fn the_second_layer_never_lets_a_program_do_more_than_the_first() {
    for object in objects() {
        for subject in subjects() {
            let reach = Act::Reach(Caller::Program, WRITE);
            assert_eq!(
                decide(subject, object, reach),
                decide(subject, object, Act::Open(WRITE)),
                "{subject:?} {object:?}"
            );
        }
    }
}

#[test]
fn reading_is_nobodys_business() {
    let nothing = Access {
        write: false,
        ioctl_only: false,
    };
    for object in objects() {
        for caller in CALLERS {
            let act = Act::Reach(caller, nothing);
            assert_eq!(decide(Subject::default(), object, act), Verdict::ALLOW);
        }
    }
}

/// What one thread does to one device, as the hooks see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// A program opens it: path walk, `file_open`, block layer.
    Open,
    /// It is refused by something else after `file_open`.
    OpenThatFails,
    /// swapon(2) up to 6.11: an open, and a claim.
    SwapOn,
    /// The kernel opens it.
    Kernel,
}

impl Deed {
    fn judges(self) -> &'static [Judge] {
        use Judge::{CgroupDevice, FileOpen};
        match self {
            Self::Open => &[CgroupDevice, FileOpen, CgroupDevice],
            Self::OpenThatFails => &[CgroupDevice, FileOpen],
            Self::SwapOn => &[CgroupDevice, FileOpen, CgroupDevice, CgroupDevice],
            Self::Kernel => &[CgroupDevice],
        }
    }
}

/// Events of a sequence of deeds, one number a deed.
fn events(deeds: &[Deed]) -> Vec<usize> {
    let mut memory = Told::Nothing;
    deeds
        .iter()
        .map(|deed| {
            let due = deed.judges().iter().filter(|judge| {
                let (due, after) = told(memory, **judge, *deed == Deed::SwapOn);
                memory = after;
                due
            });
            due.count()
        })
        .collect()
}

#[test]
fn one_act_is_one_event() {
    for deed in [Deed::Open, Deed::Kernel, Deed::SwapOn] {
        assert_eq!(events(&[deed; 5]), [1; 5], "{deed:?}");
    }
    let mixed = [
        Deed::Open,
        Deed::Kernel,
        Deed::Open,
        Deed::Kernel,
        Deed::Kernel,
        Deed::Open,
        Deed::SwapOn,
        Deed::Open,
        Deed::OpenThatFails,
        Deed::Open,
    ];
    assert_eq!(events(&mixed), [1; 10]);
}

#[test]
fn without_the_second_layer_each_open_is_told_by_file_open() {
    let mut memory = Told::Nothing;
    for _ in 0..5 {
        let (due, after) = told(memory, Judge::FileOpen, false);
        assert!(due);
        memory = after;
    }
}
