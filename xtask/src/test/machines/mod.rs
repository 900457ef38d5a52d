//! Tests that take machines of their own: several of them, or one that does not come back.

mod broadcast;
mod rescue;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::matrix::Configuration;
use super::report::{self, Tally};
use crate::guest::{Guest, Script};
use crate::paths;

/// Takes the name of a case and how it ended.
type Show<'a> = dyn FnMut(&str, Result<()>) + 'a;

/// One such test. It is chosen like a suite, by its name.
#[derive(Clone, Copy)]
pub struct Test {
    /// The name that a choice of suites knows it by.
    pub name: &'static str,
    /// Performs its cases.
    perform: fn(Configuration, &mut Show<'_>),
}

/// All of them.
pub const ALL: &[Test] = &[
    Test {
        name: "broadcast",
        perform: broadcast::perform,
    },
    Test {
        name: "rescue",
        perform: rescue::perform,
    },
];

/// One boot with its script may take this long.
const LIMIT: Duration = Duration::from_mins(10);

/// Where scripts and their files are in a guest.
const IN_GUEST: &str = "/usr/local/machines";

impl Test {
    /// The test of a name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|test| test.name == name).copied()
    }

    /// Performs it, and shows the cases.
    pub fn run(self, on: Configuration) -> Tally {
        let mut tally = Tally::default();
        (self.perform)(on, &mut |case, result| {
            let name = format!("{}::{case}", self.name);
            match result {
                Ok(()) => {
                    tally.passed += 1;
                    report::show(on, "ok", &name, "");
                }
                Err(why) => {
                    report::show(on, "FAIL", &name, &format!("{why:#}"));
                    tally.fail(format!("{on}: {name}: {why:#}"));
                }
            }
        });
        tally
    }
}

/// A guest of a configuration that has what the scripts share.
fn guest(on: Configuration) -> Result<Guest> {
    let path = paths::root().join("tests/machines/lib.sh");
    let library = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Guest::new(on.kernel).route(on.route).timeout(LIMIT).file(
        &format!("{IN_GUEST}/lib.sh"),
        0o644,
        library,
    ))
}

/// A script of theirs.
fn script(name: &str) -> Result<Script> {
    Script::file(&paths::root().join("tests/machines").join(name), &[])
}
