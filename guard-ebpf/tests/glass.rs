//! A grant opens what it says, and nothing beside it.

use guard_abi::Op;
use guard_abi::glass::GlassEntry;
use guard_ebpf::glass::{HOST, opens};

const NOW: u64 = 1_000;

fn entry(number: u32, device_ops: u32, host_ops: u32) -> GlassEntry {
    GlassEntry {
        number,
        device_ops,
        host_ops,
        reserved: 0,
        expires_boot_ns: NOW + 1,
    }
}

/// Over all operation classes, objects, numbers and times: one formula, written down another way.
#[test]
fn number_object_class_and_time_all_count() {
    let numbers: [u32; 4] = [0, 1, 2, 17];
    for op in Op::ALL {
        for held in numbers {
            for own in numbers {
                for of in numbers {
                    for now in [0, NOW, NOW + 1, u64::MAX] {
                        for (device_ops, host_ops) in
                            [(0, 0), (op.bit(), 0), (0, op.bit()), (!op.bit(), !op.bit())]
                        {
                            let entry = entry(held, device_ops, host_ops);
                            let live = own != 0 && held == own && now <= NOW;
                            let op_number = *op as u8;
                            let number = own.into();
                            let device = opens(&entry, number, of.into(), op_number, || now);
                            assert_eq!(device, live && of == own && device_ops == op.bit());
                            let host = opens(&entry, number, HOST, op_number, || now);
                            assert_eq!(host, live && host_ops == op.bit());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn an_empty_slot_opens_nothing() {
    for op in Op::ALL {
        for number in [0, 16] {
            let none = GlassEntry::default();
            assert!(!opens(&none, number, HOST, *op as u8, || 0));
            assert!(!opens(&none, number, number, *op as u8, || 0));
        }
    }
}

/// What is no operation class is opened by nothing.
#[test]
fn other_numbers_are_no_class() {
    let last = Op::ALL.len() as u8;
    for op in std::iter::once(0).chain(last + 1..=u8::MAX) {
        let all = Op::ALL.iter().fold(0, |ops, op| ops | op.bit());
        let entry = entry(1, all, all);
        assert!(!opens(&entry, 1, HOST, op, || NOW));
        assert!(!opens(&entry, 1, 1, op, || NOW));
    }
}

/// The clock is asked where nothing else refuses.
#[test]
fn the_clock_is_asked_last() {
    let entry = entry(1, Op::RawWrite.bit(), 0);
    let asked = |number, object, op: Op| {
        let mut asked = false;
        let opened = opens(&entry, number, object, op as u8, || {
            asked = true;
            NOW
        });
        assert_eq!(asked, opened);
        asked
    };
    assert!(asked(1, 1, Op::RawWrite));
    assert!(!asked(1, 1, Op::Discard));
    assert!(!asked(1, HOST, Op::RawWrite));
    assert!(!asked(2, 1, Op::RawWrite));
}
