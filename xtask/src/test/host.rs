//! The tests that run on this machine: every package's own, as `cargo test` runs them.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::report::{self, Tally};
use crate::image::btf;
use crate::image::kernel::SERIES;
use crate::{build, paths};

/// Runs them, showing the packages as they pass and the output of those that fail.
/// With `guests`, the tests that read the guest kernels' type information get it.
pub fn run(filter: Option<&str>, guests: bool) -> Result<Tally> {
    let types = if guests {
        Some(btf::directory(SERIES)?)
    } else {
        None
    };
    let mut tally = Tally::default();
    for package in build::host_packages()? {
        eprintln!("test: host tests of {package}");
        let mut cargo = build::cargo();
        cargo.args(["test", "--quiet", "--no-fail-fast", "--package", &package]);
        cargo.env("DBGUARD_BPF_OBJECT", build::object());
        if let Some(types) = &types {
            cargo.env("DBGUARD_BTF_DIR", types);
        }
        cargo.args(["--", "--format=pretty"]).args(filter);
        let output = cargo
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start cargo test for {package}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let dir = paths::target().join("test");
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let log = dir.join(format!("{package}.log"));
        fs::write(&log, &output.stdout)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let mut found = report::cargo_test(&text);
        if !output.status.success() && !found.failed() {
            found.fail(format!(
                "host: cargo test of {package} ended with {}",
                output.status
            ));
        }
        if found.failed() {
            print!("{text}");
        }
        println!("host {package}: {}", found.line());
        tally.add(&found);
    }
    Ok(tally)
}
