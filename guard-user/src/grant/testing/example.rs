//! A request as a host makes it.

use guard_abi::Op;

use super::super::request::{Device, NONCE_BYTES, Object, Request};

/// One for two operations on a drive.
pub fn request() -> Request {
    Request {
        host: "db7".into(),
        machine_id: "0123456789abcdef0123456789abcdef".into(),
        boot_id: "5b1fae2e-7a83-4e5c-9e0e-b1a53d7a4d52".into(),
        nonce: [0xa5; NONCE_BYTES],
        event: "E-7K2Q".into(),
        requester: "alice, session 3, from 10.0.0.5".into(),
        requester_id: "1000".into(),
        ops: vec![Op::RawWrite, Op::Discard, Op::Partition],
        object: Object::Device(Device {
            name: "nvme1n1".into(),
            dev: "259:1".into(),
            wwid: "eui.0025388b710c1f2a".into(),
            serial: "none".into(),
            diskseq: 7,
            bytes: 1 << 30,
        }),
        carries: "/var/lib/mysql (mariadbd 812, running)".into(),
        state: "armed".into(),
        role: "unknown".into(),
        uses: 1,
        minutes: 30,
        asked_boot_s: 4_711,
        asked: "2026-11-22T23:00:00Z".into(),
        incident: "INC-4242".into(),
        reason: "failed disk, replaced by vendor".into(),
        policy: "sha256:00".into(),
        signers: 2,
    }
}
