//! `cargo xtask coverage`: docs/coverage.md anew, from the table in tests/src/coverage.

use anyhow::Result;

use crate::{build, cmd};

/// Runs the table's own tests, which write the document first. A table that contradicts the suites
/// is told, and fails.
pub fn run() -> Result<()> {
    let mut cargo = build::cargo();
    cargo.args(["test", "--quiet", "--package", "guard-tests", "--lib"]);
    cargo.args(["--", "coverage::"]);
    cargo.env("DBGUARD_WRITE_COVERAGE", "1");
    cmd::run(&mut cargo, "making docs/coverage.md")
}
