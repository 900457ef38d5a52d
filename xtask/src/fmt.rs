//! `cargo xtask fmt`: rustfmt over every package.

use anyhow::Result;

use crate::{build, cmd};

/// Formats, or with `check` tells what is not formatted.
pub fn run(check: bool) -> Result<()> {
    let mut cargo = build::cargo();
    cargo.args(["fmt", "--all"]);
    if check {
        cargo.arg("--check");
    }
    cmd::run(&mut cargo, "formatting")
}
