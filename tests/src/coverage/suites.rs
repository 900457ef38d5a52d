//! The suites' cases as the table names them.

use crate::harness::case::{Breadth, Stage};
use crate::suites;

/// What a suite's cases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each performs what must be refused: each belongs to a row.
    Destruction,
    /// Each performs what must go on: each belongs to a piece of work.
    Legitimate,
    /// They test the guard's own behaviour; rows may name them.
    Behaviour,
}

/// Suites by their names. A suite that is not here is a fault of this table.
pub const KINDS: &[(&str, Kind)] = &[
    ("legitimate", Kind::Legitimate),
    ("storage", Kind::Legitimate),
    ("live", Kind::Destruction),
    ("destruction-*", Kind::Destruction),
    ("boot", Kind::Behaviour),
    ("descriptors", Kind::Behaviour),
    ("firmware", Kind::Behaviour),
    ("identity", Kind::Behaviour),
    ("overrides", Kind::Behaviour),
    ("guard-itself", Kind::Behaviour),
    ("layer2", Kind::Behaviour),
    ("machine", Kind::Behaviour),
    ("mounts", Kind::Behaviour),
    ("observe", Kind::Behaviour),
    ("controller", Kind::Behaviour),
    ("route", Kind::Behaviour),
    ("storm", Kind::Behaviour),
    ("hoststate", Kind::Behaviour),
];

/// Cases of destruction and legitimate suites that belong to no row, and why.
pub const APART: &[(&str, &str)] = &[
    (
        "*::every-byte",
        "compares the whole disk after all acts of its suite",
    ),
    (
        "live::*-database-answers",
        "asks the database after all acts on its disk",
    ),
    (
        "live::rows-on-disk",
        "reads the rows again from disk after all acts",
    ),
    (
        "legitimate::spares-are-free",
        "puts the spare disks back for the suites after it",
    ),
];

/// What stands before the act's name in the name of a case.
const PREFIXES: &[(&str, &str)] = &[
    ("destruction-*", "free-"),
    ("layer2", "free-"),
    ("mounts", "free-"),
    ("destruction-volume", "lv-"),
    ("destruction-array", "md-"),
    ("destruction-beside", "log-"),
    ("destruction-beside", "rt-"),
    ("live", "disk-"),
    ("live", "partition-"),
    ("hoststate", "held-disk-"),
    ("hoststate", "held-partition-"),
];

/// A test of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Its suite.
    pub suite: &'static str,
    /// Its name in the suite.
    pub name: String,
    /// On how many configurations it runs.
    pub breadth: Breadth,
}

impl Test {
    /// The act that it performs; `None` where its suite performs none on whole devices.
    pub fn act(&self) -> Option<&str> {
        let is_destruction = self.kind() == Some(Kind::Destruction);
        PREFIXES
            .iter()
            .filter(|(suite, _)| matches(suite, self.suite))
            .find_map(|(_, prefix)| self.name.strip_prefix(prefix))
            .or_else(|| is_destruction.then_some(self.name.as_str()))
    }

    /// Whether a pattern of the table means it: `SUITE::CASE`, or the name of an act.
    pub fn is_meant_by(&self, pattern: &str) -> bool {
        match pattern.split_once("::") {
            Some((suite, name)) => matches(suite, self.suite) && matches(name, &self.name),
            None => self.act().is_some_and(|act| matches(pattern, act)),
        }
    }

    /// What its suite's cases are; `None` where the table does not know the suite.
    pub fn kind(&self) -> Option<Kind> {
        KINDS
            .iter()
            .find(|(suite, _)| matches(suite, self.suite))
            .map(|(_, kind)| *kind)
    }
}

/// Every test there is.
pub fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for suite in suites::ALL {
        for case in (suite.cases)() {
            if case.stage == Stage::Test {
                tests.push(Test {
                    suite: suite.name,
                    name: case.name,
                    breadth: case.breadth,
                });
            }
        }
    }
    tests
}

/// Whether a text is what a pattern means, `*` standing for any run of letters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
