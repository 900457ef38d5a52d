//! A recipe of docs/break-glass.md to its end: on a live database host another kernel is refused, and
//! under a grant it is staged and started.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::{Show, guest, script};
use crate::guest::Failure;
use crate::test::matrix::Configuration;

/// What the rescue system says on the console.
const RESCUED: &str = "@rescued";

pub(super) fn perform(on: Configuration, show: &mut Show<'_>) {
    show("kernel-started-under-a-grant", started(on));
}

fn started(on: Configuration) -> Result<()> {
    let mut machine = guest(on)?.prepare()?;
    let mut output = Vec::new();
    let ended = machine.run(&script("rescue.sh")?, &mut |bytes| {
        output.extend_from_slice(bytes);
    });
    let told = String::from_utf8_lossy(&output);
    match ended {
        Ok(outcome) => bail!("the script ended with {}: {told}", outcome.status),
        // The rescue system has switched the machine off.
        Err(error) if matches!(error.downcast_ref(), Some(Failure::NoVerdict(_))) => {}
        Err(error) => return Err(error.context(told.into_owned())),
    }
    let path = machine.dir().join("serial.log");
    let console = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        String::from_utf8_lossy(&console).contains(RESCUED),
        "the rescue system did not start: {told}"
    );
    Ok(())
}
