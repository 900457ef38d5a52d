use std::collections::BTreeMap;

use super::*;
use crate::audit::account::Account;
use crate::audit::record::{Change, EventKey, ModeChange, Object, Process, Start};
use crate::audit::time::{NANOS, rfc3339};

pub(crate) fn at(second: u64) -> String {
    rfc3339(second * NANOS)
}

pub(crate) fn record(second: u64, mode: &str, body: Body) -> Record {
    Record {
        v: 1,
        seq: second,
        event: matches!(body, Body::Denial(_)).then(|| format!("E-{second}")),
        time: at(second),
        boot_ns: second,
        boot_id: "b".into(),
        machine_id: "m".into(),
        host: "db7".into(),
        mode: mode.into(),
        state: "armed".into(),
        account: Account::default(),
        body,
        prev_hash: None,
        hash: None,
    }
}

pub(crate) fn denial(decision: &str, exe: &str, device: &str) -> Denial {
    Denial {
        decision: decision.into(),
        reason: "protected-device".into(),
        hook: "file_open".into(),
        op: "raw-write".into(),
        object: Object {
            kind: "block".into(),
            name: device.into(),
            why: vec!["carries /var/lib/mysql (mariadbd 812, running)".into()],
            ..Object::default()
        },
        process: Process {
            exe: exe.into(),
            argv: vec![exe.into(), "-a".into(), format!("/dev/{device}")],
            user: Some("root".into()),
            login: "ann".into(),
            unit: Some("wipe.service".into()),
            ..Process::default()
        },
        database: Vec::new(),
        command: None,
        act: None,
        open: None,
        grant: None,
        count: 1,
        key: EventKey(1, 2, 3),
        repeats: Vec::new(),
    }
}

fn denied(denial: Denial) -> Body {
    Body::Denial(Box::new(denial))
}

fn nothing() -> Body {
    Body::State(Change {
        from: "idle".into(),
        to: "armed".into(),
        why: "x".into(),
    })
}

fn mode(from: &str, from_ops: &[(&str, &str)], to: &str, to_ops: &[(&str, &str)]) -> Body {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(op, handling)| ((*op).to_owned(), (*handling).to_owned()))
            .collect()
    };
    Body::Mode(ModeChange {
        from: from.into(),
        to: to.into(),
        from_ops: map(from_ops),
        to_ops: map(to_ops),
        why: "x".into(),
    })
}

/// Takes records that are given oldest first.
pub(crate) fn read(records: &[Record]) -> WouldBlock {
    let mut found = WouldBlock::default();
    for record in records.iter().rev() {
        found.take(record);
    }
    found.finish();
    found
}

#[test]
fn operations_of_one_kind_are_one_group() {
    let mut third = denial("would-deny", "/sbin/wipefs", "sda");
    third.count = 5;
    third.reason = "unknown-device".into();
    let mut other_op = denial("would-deny", "/sbin/wipefs", "sda");
    other_op.op = "passthrough".into();
    let mut other_unit = denial("would-deny", "/sbin/wipefs", "sda");
    other_unit.process.unit = None;
    let mut found = read(&[
        record(
            1,
            "observe",
            denied(denial("would-deny", "/sbin/wipefs", "sda")),
        ),
        record(
            2,
            "observe",
            denied(denial("would-deny", "/sbin/wipefs", "sdb")),
        ),
        record(3, "observe", denied(third)),
        record(4, "observe", denied(other_op)),
        record(5, "observe", denied(other_unit)),
        record(6, "enforce", denied(denial("deny", "/sbin/wipefs", "sda"))),
        record(
            7,
            "enforce",
            denied(denial("allowed", "/sbin/wipefs", "sda")),
        ),
        record(
            8,
            "enforce",
            denied(denial("record", "/sbin/wipefs", "sda")),
        ),
    ]);
    assert_eq!((found.would_block, found.refused, found.allowed), (9, 1, 1));
    let groups = found.groups();
    assert_eq!(groups.len(), 4);
    let first = &groups[0];
    assert_eq!((first.count, first.object.name.as_str()), (6, "sda"));
    assert_eq!((&first.first, &first.last), (&at(1), &at(3)));
    assert_eq!(first.example.event.as_deref(), Some("E-3"), "the newest");
    assert_eq!(first.reasons.len(), 2);
    assert!(groups.iter().all(|group| !group.advice.is_empty()));
}

/// A kernel name that another disk had in an earlier boot is another object.
#[test]
fn disks_are_told_apart_by_their_wwid() {
    let with = |wwid: &str| {
        let mut denial = denial("would-deny", "/bin/dd", "sda");
        denial.object.wwid = Some(wwid.into());
        denied(denial)
    };
    let mut found = read(&[
        record(1, "observe", with("naa.1")),
        record(2, "observe", with("naa.2")),
    ]);
    assert_eq!(found.groups().len(), 2);
}

#[test]
fn a_gap_lies_between_two_records() {
    let gap = |what: &str, lost| {
        Body::Gap(Gap {
            what: what.into(),
            lost,
            detail: "the ring was full".into(),
        })
    };
    let found = read(&[
        record(1, "observe", gap("log", 0)),
        record(5, "observe", nothing()),
        record(9, "observe", gap("dropped", 412)),
    ]);
    assert_eq!(
        found.gaps,
        [
            Missing {
                from: Some(at(5)),
                to: at(9),
                lost: 412,
                what: "events were lost: the ring was full".into(),
            },
            Missing {
                from: None,
                to: at(1),
                lost: 0,
                what: "the ring was full".into(),
            },
        ]
    );
}

#[test]
fn modes_are_told_as_long_as_they_held() {
    let start = Body::Start(Start {
        version: "1".into(),
        pid: 1,
        adopted: true,
        route: "lsm".into(),
        kernel: "k".into(),
        hooks: Vec::new(),
        missing: Vec::new(),
        ops: [("kexec".to_owned(), "observe".to_owned())].into(),
    });
    let found = read(&[
        record(1, "observe", nothing()),
        record(2, "observe", nothing()),
        record(
            3,
            "enforce",
            mode("observe", &[], "enforce", &[("kexec", "observe")]),
        ),
        record(4, "enforce", nothing()),
        record(5, "enforce", start),
        record(6, "enforce", nothing()),
        record(
            7,
            "enforce",
            mode("enforce", &[("kexec", "observe")], "enforce", &[]),
        ),
        record(8, "enforce", nothing()),
    ]);
    let spans: Vec<_> = found
        .spans
        .iter()
        .map(|span| (span.mode.as_str(), span.from.clone(), span.to.clone()))
        .collect();
    assert_eq!(
        spans,
        [
            ("enforce", at(7), at(8)),
            ("enforce, except kexec observe", at(3), at(7)),
            ("observe", at(1), at(3)),
        ]
    );
}

#[test]
fn memory_has_a_bound() {
    let mut found = WouldBlock::default();
    for number in 0..GROUPS_MAX as u64 + 7 {
        let denial = denial("would-deny", &format!("/bin/{number}"), "sda");
        found.take(&record(number, "observe", denied(denial)));
    }
    found.finish();
    assert_eq!(found.ungrouped, 7);
    assert_eq!(found.groups().len(), GROUPS_MAX);
}
