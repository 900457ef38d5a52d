//! An ioctl invented next year is refused: whatever number it has.

use guard_abi::{Decision, DeviceClass, PassthroughKind};
use guard_ebpf::command::{self, Classified, Command};
use guard_ebpf::decide::{Act, Driver, Object, Subject, decide};
use proptest::prelude::*;

/// Type bytes (`_IOC_TYPE`) under which anything is listed, by hand: `'T'`, `'f'`, `'X'` generic,
/// 0x02 floppy, 0x12 block, 0x03 `hdreg`, 'S' CD-ROM and SCSI, 0x22 sg, 'L' loop, 9 md, 'p'
/// reservations and OPAL, 'N' NVMe, 0 the old SCSI numbers.
const TYPES: &[u8] = &[
    b'T', b'f', b'X', 0x02, 0x12, 0x03, b'S', 0x22, b'L', 9, b'p', b'N', 0,
];

fn nodes() -> impl Strategy<Value = PassthroughKind> {
    prop::sample::select(PassthroughKind::ALL)
}

fn is_refused_on_what_is_not_free(node: PassthroughKind, command: Command) -> bool {
    [DeviceClass::Protected, DeviceClass::Unknown]
        .into_iter()
        .all(|class| {
            let object = Object {
                class,
                flags: 0,
                passthrough: node,
                driver: Driver::Other,
            };
            let verdict = decide(Subject::default(), object, Act::Command(command));
            verdict.decision == Decision::Deny
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 20_000,
        failure_persistence: None,
        max_global_rejects: 1 << 20,
        max_local_rejects: 1 << 20,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_unlisted_type_is_refused(
        cmd in any::<u32>(),
        kind in any::<u8>().prop_filter("listed", |kind| !TYPES.contains(kind)),
        node in nodes(),
    ) {
        let cmd = cmd & !0xFF00 | u32::from(kind) << 8;
        match command::ioctl(node, cmd) {
            Classified::Known(command) => {
                prop_assert!(is_refused_on_what_is_not_free(node, command), "{cmd:#x} {command:?}");
            }
            Classified::Needs(argument) => prop_assert!(false, "{cmd:#x} needs {argument:?}"),
        }
    }

    /// A listed number with another size or direction is another command.
    #[test]
    fn another_size_is_another_command(size in 1_u32..0x4000, node in nodes()) {
        for listed in [0x1269, 0x125D, 0x0928, 0x31F, 0x2285, 0x4E40, 0x1260] {
            let cmd = listed | size << 16 | 2 << 30;
            // The sizes of other listed commands.
            prop_assume!(cmd != 0x8004_1284 && cmd != 0x8004_1285);
            let classified = command::ioctl(node, cmd);
            let refused = match classified {
                Classified::Known(command) => is_refused_on_what_is_not_free(node, command),
                Classified::Needs(_) => false,
            };
            prop_assert!(refused, "{cmd:#x} {classified:?}");
        }
    }

    #[test]
    fn an_unlisted_uring_command_is_refused(
        cmd in any::<u32>().prop_filter("NVMe's", |cmd| (cmd >> 8) as u8 != b'N'),
        node in nodes(),
    ) {
        match command::uring(node, cmd) {
            Classified::Known(command) => {
                prop_assert!(is_refused_on_what_is_not_free(node, command), "{cmd:#x} {command:?}");
            }
            Classified::Needs(argument) => prop_assert!(false, "{cmd:#x} needs {argument:?}"),
        }
    }
}

/// Every number of 16 bits, that is every `_IO` command there can be: how many pass as a query
/// must change by a deliberate edit alone.
#[test]
fn the_number_of_queries_is_known() {
    let queries = |node| {
        (0..=u32::from(u16::MAX))
            .filter(|cmd| command::ioctl(node, *cmd) == Classified::Known(Command::Query))
            .count()
    };
    assert_eq!(queries(PassthroughKind::None), 88);
    assert_eq!(queries(PassthroughKind::NvmeController), 9);
    assert_eq!(queries(PassthroughKind::ScsiGeneric), 43);
}
