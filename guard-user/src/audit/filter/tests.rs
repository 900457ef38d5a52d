use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::audit::record::{Body, Record};
use crate::audit::sample::{self, Sample};
use crate::audit::time::NANOS;

const START: u64 = 1_795_000_000 * NANOS;

fn log(seed: u64, count: usize, denials: u64) -> (Vec<Record>, Vec<u8>) {
    let records: Vec<Record> = Sample::new(seed, START)
        .denials(denials)
        .take(count)
        .collect();
    let mut bytes = Vec::new();
    sample::write(&mut bytes, records.iter().cloned()).expect("written");
    (records, bytes)
}

fn found(filter: &Filter, bytes: &[u8]) -> Vec<u64> {
    let mut seen = Vec::new();
    filter
        .matcher()
        .lines(bytes, |line| seen.extend(peek(line).map(|peek| peek.seq)));
    seen
}

/// Made once: records take longer to make than to look through.
static LOGS: LazyLock<Vec<(Vec<Record>, Vec<u8>)>> =
    LazyLock::new(|| (0..3).map(|seed| log(seed, 120, 600)).collect());

/// The same question, answered from whole records in the plainest way.
#[expect(clippy::too_many_lines, reason = "one line for each part of a filter")]
fn naive(filter: &Filter, record: &Record) -> bool {
    let value = serde_json::to_value(record).expect("JSON");
    let at = |path: &str| {
        value
            .pointer(path)
            .and_then(|one| one.as_str())
            .map(str::to_owned)
    };
    let is =
        |wanted: &Option<String>, has: &[Option<String>]| wanted.is_none() || has.contains(wanted);
    let perhaps = |wanted: &Option<String>, told: bool, has: Option<String>| match wanted.as_deref()
    {
        None => true,
        Some(NONE) => told && has.is_none(),
        Some(wanted) => has.as_deref() == Some(wanted),
    };
    let strings = |path: &str| -> Vec<Option<String>> {
        let list = value
            .pointer(path)
            .and_then(|list| list.as_array().cloned());
        let list = list.unwrap_or_default();
        list.iter()
            .map(|one| one.as_str().map(str::to_owned))
            .collect()
    };
    let uid = |path: &str| {
        value
            .pointer(path)
            .and_then(serde_json::Value::as_u64)
            .map(|uid| uid.to_string())
    };
    let denial = matches!(record.body, Body::Denial(_));
    let (is_held, told) = match record.body {
        Body::Descriptor(_) => (true, true),
        _ => (false, denial),
    };
    let place = |name: &str| {
        at(&format!("/process/{name}")).or(at(&format!("/{name}")).filter(|_| is_held))
    };
    let run_as = |of: &str| at(&format!("{of}/user")).or(uid(&format!("{of}/uid")));
    let exe = at("/process/exe")
        .filter(|exe| !exe.is_empty())
        .or(at("/process/comm"));
    let people = [
        at("/process/login"),
        at("/process/user"),
        uid("/process/uid"),
        at("/by/login"),
        at("/by/user"),
        uid("/by/uid"),
        at("/user"),
        at("/login"),
        at("/requester"),
        at("/signers/0/person"),
        at("/signers/1/person"),
    ];
    let ops = [vec![at("/op")], strings("/opens")].concat();
    let mut devices = vec![
        at("/object/name"),
        at("/object/dev"),
        at("/object/wwid"),
        at("/object/serial"),
        at("/device"),
        at("/dev"),
        at("/object"),
    ];
    devices.extend(
        at("/object")
            .iter()
            .flat_map(|text| {
                text.split(' ')
                    .map(|one| Some(one.trim_matches(['(', ')']).to_owned()))
            })
            .collect::<Vec<_>>(),
    );
    let bare = |text: &String| text.trim_start_matches("/dev/").to_owned();
    let devices: Vec<String> = devices.iter().flatten().map(bare).collect();
    filter
        .since
        .as_ref()
        .is_none_or(|since| record.time >= *since)
        && filter
            .until
            .as_ref()
            .is_none_or(|until| record.time < *until)
        && is(&filter.state, &[at("/state")])
        && is(&filter.mode, &[at("/mode")])
        && is(&filter.kind, &[at("/kind")])
        && is(&filter.decision, &[at("/decision")])
        && is(&filter.event, &[at("/event")])
        && is(&filter.op, &ops)
        && is(&filter.grant, &[at("/grant"), at("/grant/id")])
        && is(&filter.incident, &[at("/incident"), at("/grant/incident")])
        && is(&filter.object, &[at("/object/name")])
        && perhaps(&filter.wwid, denial, at("/object/wwid"))
        && filter
            .device
            .as_ref()
            .is_none_or(|one| devices.contains(&bare(one)))
        && is(&filter.user, &people)
        && is(
            &filter.login,
            &[at("/process/login"), at("/by/login"), at("/login")],
        )
        && is(
            &filter.run_as,
            &[run_as("/process"), run_as("/by"), at("/user")],
        )
        && perhaps(&filter.unit, told, place("unit"))
        && perhaps(&filter.container, told, place("container"))
        && is(&filter.exe, &[exe, at("/exe")])
        && filter
            .text
            .as_ref()
            .is_none_or(|text| contains(&value, text))
}

fn contains(value: &serde_json::Value, text: &str) -> bool {
    match value {
        serde_json::Value::String(string) => string.contains(text),
        serde_json::Value::Array(list) => list.iter().any(|one| contains(one, text)),
        serde_json::Value::Object(map) => map.values().any(|one| contains(one, text)),
        _ => false,
    }
}

/// One part of a filter, with values that records have and some that none has.
fn part() -> impl Strategy<Value = Filter> {
    let words: &[(&str, &[&str])] = &[
        ("state", &["armed", "held", "idle", "nonsense"]),
        ("mode", &["enforce", "observe"]),
        ("kind", &["denial", "override", "gap", "descriptor"]),
        ("op", &["discard", "raw-write", "boot-file"]),
        ("decision", &["deny", "would-deny", "granted"]),
        (
            "device",
            &[
                "nvme1n1",
                "/dev/nvme1n1",
                "259:1",
                "8:11",
                "eui.0025385691000000",
                "S64GNS0R710403",
                "/dev/nvme3n1",
                "1n1",
            ],
        ),
        ("object", &["nvme1n1", "/boot/grub/grub.cfg", "8:11"]),
        ("wwid", &["eui.0025385691000007", "-"]),
        (
            "user",
            &["ann", "root", "1001", "0", "frank", "no login session"],
        ),
        ("login", &["ann", "no login session"]),
        ("run_as", &["root", "1002"]),
        ("unit", &["reinstall.service", "-", "backup.service"]),
        (
            "container",
            &[
                "-",
                "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeecafe",
            ],
        ),
        ("exe", &["/usr/bin/dd", "dd", "nvme"]),
        ("grant", &["G-1", "G-2"]),
        ("incident", &["INC-4242", "INC-4210"]),
        (
            "text",
            &[
                "alert(1)",
                "line\nfeed, \"quoted\"",
                "名前",
                "kind",
                "4b1d",
                "\u{1b}",
            ],
        ),
    ];
    let choices: Vec<(String, String)> = words
        .iter()
        .flat_map(|(name, values)| {
            values
                .iter()
                .map(|value| ((*name).to_owned(), (*value).to_owned()))
        })
        .collect();
    prop::sample::select(choices).prop_map(|(name, value)| {
        let mut filter = Filter::default();
        let place = match name.as_str() {
            "state" => &mut filter.state,
            "mode" => &mut filter.mode,
            "kind" => &mut filter.kind,
            "op" => &mut filter.op,
            "decision" => &mut filter.decision,
            "device" => &mut filter.device,
            "object" => &mut filter.object,
            "wwid" => &mut filter.wwid,
            "user" => &mut filter.user,
            "login" => &mut filter.login,
            "run_as" => &mut filter.run_as,
            "unit" => &mut filter.unit,
            "container" => &mut filter.container,
            "exe" => &mut filter.exe,
            "grant" => &mut filter.grant,
            "incident" => &mut filter.incident,
            _ => &mut filter.text,
        };
        *place = Some(value);
        filter
    })
}

fn both(one: Filter, other: Filter) -> Filter {
    Filter {
        since: one.since.or(other.since),
        until: one.until.or(other.until),
        state: one.state.or(other.state),
        mode: one.mode.or(other.mode),
        kind: one.kind.or(other.kind),
        op: one.op.or(other.op),
        decision: one.decision.or(other.decision),
        event: one.event.or(other.event),
        device: one.device.or(other.device),
        object: one.object.or(other.object),
        wwid: one.wwid.or(other.wwid),
        user: one.user.or(other.user),
        login: one.login.or(other.login),
        run_as: one.run_as.or(other.run_as),
        unit: one.unit.or(other.unit),
        container: one.container.or(other.container),
        exe: one.exe.or(other.exe),
        grant: one.grant.or(other.grant),
        incident: one.incident.or(other.incident),
        text: one.text.or(other.text),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn finds_what_a_plain_reading_finds(seed in 0_usize..3, one in part(), two in prop::option::of(part()), cut in 0_usize..160) {
        let (records, bytes) = &LOGS[seed];
        let mut filter = both(one, two.unwrap_or_default());
        if let Some(record) = records.get(cut) {
            filter.since = Some(record.time.clone());
        }
        let wanted: Vec<u64> = records.iter().filter(|record| naive(&filter, record)).map(|record| record.seq).collect();
        prop_assert_eq!(found(&filter, bytes), wanted, "{:?}", filter);
    }
}

/// What a filter says of itself asks the same again.
#[test]
fn every_part_is_found_somewhere() {
    let (records, bytes) = log(3, 600, 600);
    for filter in [
        Filter {
            device: Some("/dev/nvme1n1".into()),
            ..Filter::default()
        },
        Filter {
            user: Some("frank".into()),
            ..Filter::default()
        },
        Filter {
            text: Some("alert(1)".into()),
            ..Filter::default()
        },
        Filter {
            wwid: Some(NONE.into()),
            ..Filter::default()
        },
        Filter {
            until: Some(records[9].time.clone()),
            ..Filter::default()
        },
    ] {
        let wanted: Vec<u64> = records
            .iter()
            .filter(|record| naive(&filter, record))
            .map(|record| record.seq)
            .collect();
        assert!(
            !wanted.is_empty() && wanted.len() < records.len(),
            "{filter:?}"
        );
        assert_eq!(found(&filter, &bytes), wanted, "{filter:?}");
    }
    assert_eq!(found(&Filter::default(), &bytes).len(), records.len());
    let event = records.iter().find_map(|record| record.event.clone());
    let filter = Filter {
        event,
        ..Filter::default()
    };
    assert!(!found(&filter, &bytes).is_empty());
    assert_eq!(filter.options()[0], "--event");
}
