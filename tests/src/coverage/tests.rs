use std::fs;
use std::path::Path;

use super::*;
use crate::harness::case::Breadth;
use guard_abi::{Decision, Hook, MACHINE_DEFAULTS, Op};

/// `DBGUARD_WRITE_COVERAGE=1` writes the document instead of comparing it.
const WRITE: &str = "DBGUARD_WRITE_COVERAGE";

fn rows() -> impl Iterator<Item = &'static Row> {
    SECTIONS.iter().flat_map(|section| section.rows)
}

/// Patterns of the whole table with who names them.
fn patterns() -> Vec<(&'static str, &'static str)> {
    let of_rows = rows().map(|row| (row.id, row.tests));
    let of_work = WORK.iter().map(|work| (work.id, work.tests));
    let of_limits = LIMITS.iter().map(|limit| match limit.measured {
        Measured::By(tests) => (limit.id, tests),
        Measured::Not(_) => (limit.id, &[][..]),
    });
    of_rows
        .chain(of_work)
        .chain(of_limits)
        .flat_map(|(id, tests)| tests.iter().map(move |pattern| (id, *pattern)))
        .collect()
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_document_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PATH);
    let text = text();
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &text).expect("written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "{PATH} is not what the table says: run cargo xtask coverage"
    );
}

#[test]
fn every_test_named_exists() {
    let tests = tests();
    let faults: Vec<String> = patterns()
        .into_iter()
        .filter(|(_, pattern)| !tests.iter().any(|test| test.is_meant_by(pattern)))
        .map(|(id, pattern)| format!("{id}: no test is meant by `{pattern}`"))
        .collect();
    none(&faults);
}

/// A hook may work on one kernel and route and not on another: each row that is tested at all is
/// tested on each of them, each piece of work done on each kernel.
#[test]
fn every_row_is_tried_on_every_configuration() {
    let tests = tests();
    let of_rows = rows().map(|row| (row.id, row.tests, &[Breadth::Every][..]));
    let of_work = WORK
        .iter()
        .map(|work| (work.id, work.tests, &[Breadth::Every, Breadth::Kernel][..]));
    let faults: Vec<String> = of_rows
        .chain(of_work)
        .filter(|(_, patterns, _)| !patterns.is_empty())
        .filter(|(_, patterns, wide)| {
            !tests.iter().any(|test| {
                wide.contains(&test.breadth)
                    && patterns.iter().any(|pattern| test.is_meant_by(pattern))
            })
        })
        .map(|(id, patterns, _)| format!("{id}: none runs everywhere: {}", patterns.join(" ")))
        .collect();
    none(&faults);
}

#[test]
fn every_suite_is_of_a_kind() {
    let faults: Vec<String> = tests()
        .iter()
        .filter(|test| test.kind().is_none())
        .map(|test| format!("{}: say in coverage/suites.rs what kind it is", test.suite))
        .collect();
    none(&faults);
}

/// A destructive case belongs to a vector, a legitimate one to a piece of work; whatever belongs
/// to neither is named with its reason.
#[test]
fn every_case_belongs_somewhere() {
    let meant =
        |test: &Test, patterns: &[&str]| patterns.iter().any(|pattern| test.is_meant_by(pattern));
    let of_rows: Vec<&str> = rows().flat_map(|row| row.tests.iter().copied()).collect();
    let of_work: Vec<&str> = WORK
        .iter()
        .flat_map(|work| work.tests.iter().copied())
        .collect();
    let apart: Vec<&str> = APART.iter().map(|(pattern, _)| *pattern).collect();
    // A limitation is work that is not let through quite as it should be.
    let of_limits: Vec<&str> = LIMITS
        .iter()
        .filter_map(|limit| match limit.measured {
            Measured::By(tests) => Some(tests.iter().copied()),
            Measured::Not(_) => None,
        })
        .flatten()
        .collect();
    let faults: Vec<String> = tests()
        .iter()
        .filter(|test| !meant(test, &apart))
        .filter(|test| match test.kind() {
            Some(Kind::Destruction) => !meant(test, &of_rows),
            Some(Kind::Legitimate) => !meant(test, &of_work) && !meant(test, &of_limits),
            Some(Kind::Behaviour) | None => false,
        })
        .map(|test| format!("{}::{} belongs to no row", test.suite, test.name))
        .collect();
    none(&faults);
}

#[test]
fn exceptions_are_needed() {
    let tests = tests();
    for (pattern, why) in APART {
        assert!(!why.is_empty());
        assert!(
            tests.iter().any(|test| test.is_meant_by(pattern)),
            "{pattern} means no test"
        );
    }
}

#[test]
fn every_hook_named_is_attached() {
    use guard_user::kernel::{Attach, HOOKS, ON_DEMAND};
    let known: Vec<&str> = HOOKS
        .iter()
        .chain(ON_DEMAND)
        .flat_map(|hook| match hook.attach {
            Attach::CgroupDevice => [Hook::CgroupDevice.as_str(), hook.target],
            _ => [hook.program, hook.target],
        })
        .collect();
    let faults: Vec<String> = rows()
        .flat_map(|row| row.hooks.iter().map(move |hook| (row.id, hook)))
        .filter(|(_, hook)| !known.contains(hook))
        .map(|(id, hook)| format!("{id}: the loader attaches no hook `{hook}`"))
        .collect();
    none(&faults);
}

/// Each row is covered, or says why not; none is there twice; none breaks the table's cells.
#[test]
fn rows_are_whole() {
    let mut ids = Vec::new();
    let mut faults = Vec::new();
    let mut cells = Vec::new();
    for row in rows() {
        ids.push(row.id);
        cells.extend([row.what, row.tools, row.exists, row.left]);
        let needs_hook = !matches!(row.usual, Usual::Allowed(_));
        if row.tests.is_empty() && row.left.is_empty() {
            faults.push(format!("{}: neither tested nor said why not", row.id));
        }
        if !row.tests.is_empty() && row.hooks.is_empty() && needs_hook {
            faults.push(format!("{}: tested, and no hook sees it", row.id));
        }
        if let Usual::RefusedByRule(rule, why) | Usual::RecordedByRule(rule, why) = row.usual {
            cells.push(why);
            if Op::parse(rule).is_none() || why.is_empty() {
                faults.push(format!(
                    "{}: `{rule}` is no class, or has no reason",
                    row.id
                ));
            }
        }
    }
    for work in WORK {
        ids.push(work.id);
        cells.extend([work.what, work.left]);
        if work.tests.is_empty() && work.left.is_empty() {
            faults.push(format!("{}: neither tested nor said why not", work.id));
        }
    }
    for limit in LIMITS {
        ids.push(limit.id);
        cells.extend([limit.what, limit.reason]);
    }
    for (at, id) in ids.iter().enumerate() {
        if ids[..at].contains(id) {
            faults.push(format!("{id} is there twice"));
        }
    }
    for cell in cells {
        if cell.contains(['|', '\n']) {
            faults.push(format!("breaks the table: {cell}"));
        }
    }
    none(&faults);
}

/// What the decision does by default where a site may choose is what the rows say.
#[test]
fn defaults_of_the_machine_are_the_rows() {
    let mut faults = Vec::new();
    for default in MACHINE_DEFAULTS {
        let Some(row) = rows().find(|row| row.id == default.row) else {
            faults.push(format!("{}: no row for {}", default.row, default.name));
            continue;
        };
        let of = |decision| {
            let of_row = MACHINE_DEFAULTS
                .iter()
                .filter(move |other| other.row == default.row && other.decision == decision);
            of_row.map(|other| other.op.as_str()).collect::<Vec<_>>()
        };
        let (refused, recorded) = (of(Decision::Deny), of(Decision::Record));
        let agrees = match row.usual {
            Usual::RefusedByRule(rule, _) => {
                refused.contains(&rule) || (refused.is_empty() && recorded.is_empty())
            }
            Usual::RecordedByRule(rule, _) => refused.is_empty() && recorded.contains(&rule),
            Usual::Allowed(_) => refused.is_empty() && recorded.is_empty(),
            Usual::Refused | Usual::RefusedOnDevice => false,
        };
        if !agrees {
            faults.push(format!(
                "{}: the row says otherwise than {}",
                row.id, default.name
            ));
        }
    }
    none(&faults);
}

/// The catalogue's rows are all here.
#[test]
fn no_row_of_the_catalogue_is_missing() {
    let ids: Vec<&str> = rows().map(|row| row.id).collect();
    for (letter, count) in [
        ("A", 21),
        ("B", 15),
        ("C", 4),
        ("D", 15),
        ("E", 7),
        ("F", 16),
        ("G", 5),
        ("H", 4),
        ("I", 1),
        ("S", 11),
    ] {
        for number in 1..=count {
            let id = format!("{letter}{number}");
            assert!(ids.contains(&id.as_str()), "{id} is missing");
        }
    }
    assert_eq!(WORK.len(), 13);
}

#[test]
fn patterns_mean_what_they_say() {
    for (pattern, text, wanted) in [
        ("dd", "dd", true),
        ("dd", "dd-direct", false),
        ("dd*", "dd-direct", true),
        ("*-fw-*", "nvme-fw-commit", true),
        ("*", "", true),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "acb", false),
        ("ab*ba", "aba", false),
    ] {
        assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
    }
    let test = |suite, name: &str| Test {
        suite,
        name: name.to_owned(),
        breadth: Breadth::Every,
    };
    assert_eq!(test("destruction-scsi", "free-dd").act(), Some("dd"));
    assert_eq!(test("destruction-array", "md-dd").act(), Some("dd"));
    assert_eq!(
        test("destruction-scsi", "md-build-over").act(),
        Some("md-build-over")
    );
    assert_eq!(test("hoststate", "held-disk-dd").act(), Some("dd"));
    assert_eq!(test("hoststate", "observe").act(), None);
    assert!(test("live", "partition-cp").is_meant_by("cp"));
    assert!(!test("legitimate", "swap").is_meant_by("swap"));
    assert!(!test("descriptors", "pwrite").is_meant_by("pwrite"));
    assert!(test("descriptors", "pwrite").is_meant_by("descriptors::pwrite"));
}
