//! In observe mode every hook that sees an act lets it go on to the next: it is told once.

use anyhow::{Context, Result, ensure};

use crate::harness::guard;
use crate::harness::shell::Script;
use crate::suites::fixture;

/// Opens of each kind, none of which writes a byte.
const ACTS: u64 = 60;
const SCRIPT: &str = "
    for i in $(seq 20); do dd if=/dev/null of=$DEV conv=notrunc 2>/dev/null || exit 1; done
    python3 -c \"
import os
for i in range(20):
    os.close(os.open('$DEV', os.O_RDWR))
for i in range(19):
    os.close(os.open('$DEV', os.O_WRONLY | os.O_NONBLOCK))\" || exit 1
    echo '0 8192 linear $DEV 0' | dmsetup create --notable l2-seen || exit 1
    echo \"0 8192 linear $DEV 0\" | dmsetup load l2-seen || exit 1
    dmsetup remove --retry l2-seen";

pub fn told_once() -> Result<()> {
    let held = fixture::memory_disk("l2-held", 128)?;
    guard::configure("mode = \"observe\"\n")?;
    let counted = count(&held.path());
    guard::configure("")?;
    let (would_deny, denied) = counted?;
    ensure!(denied == 0, "observe mode refused {denied}");
    ensure!(
        would_deny == ACTS,
        "{ACTS} acts were counted as {would_deny}"
    );
    Ok(())
}

fn count(device: &str) -> Result<(u64, u64)> {
    let before = guard::counters()?;
    Script::new(SCRIPT)
        .with("DEV", device)
        .limit(120)
        .must()
        .context("observe mode refused")?;
    let after = guard::counters()?;
    Ok((
        after.would_deny - before.would_deny,
        after.denied - before.denied,
    ))
}
