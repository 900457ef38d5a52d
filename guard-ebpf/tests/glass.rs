//! A grant opens what it says, and nothing beside it.

use guard_abi::Op;
use guard_abi::glass::GlassEntry;
use guard_ebpf::glass::{GlassObject, opens};

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
    let numbers = [0, 1, 2, 17];
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
                            let device = opens(&entry, own, GlassObject::Device(of), *op, now);
                            assert_eq!(device, live && of == own && device_ops == op.bit());
                            let host = opens(&entry, own, GlassObject::Host, *op, now);
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
            assert!(!opens(&none, number, GlassObject::Host, *op, 0));
            assert!(!opens(&none, number, GlassObject::Device(number), *op, 0));
        }
    }
}
