//! Breaking the glass: one signed act on one object, for one command, and nothing beside it.

mod bindings;
mod chain;
mod ends;
mod hardware;
mod people;
mod recipes;

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{fixture, signing};
use crate::acts;
use crate::harness::case::{Case, skip};
use crate::harness::disk::Disk;
use crate::harness::guard;
use crate::harness::shell::{self, Output, Script};

/// The cases. What the kernel half enforces is tried everywhere; what the controller alone decides, once.
pub fn cases() -> Vec<Case> {
    vec![
        Case::prepare("prepare", prepare),
        Case::test("wipe-once", chain::wipe_once).limit(90),
        Case::test("nothing-beside-it", chain::nothing_beside_it).limit(90),
        Case::test("partition-and-mkfs", chain::partition_and_mkfs).limit(90),
        Case::test("passthrough", chain::passthrough).limit(60),
        Case::test("of-the-host", chain::of_the_host).limit(60),
        Case::test("repair", recipes::repair).limit(60).once(),
        Case::test("wiped-by-the-drive", recipes::wiped_by_the_drive)
            .limit(60)
            .on_each_kernel(),
        Case::test("boot-loader", recipes::boot_loader)
            .limit(150)
            .once(),
        Case::test("rescue-kernel", recipes::rescue_kernel)
            .limit(60)
            .on_each_kernel(),
        Case::test("drill", chain::drill).limit(60).once(),
        Case::test("every-byte-is-bound", bindings::every_byte)
            .limit(90)
            .once(),
        Case::test("replay-and-use", bindings::replay)
            .limit(60)
            .once(),
        Case::test("other-hosts", bindings::other_hosts)
            .limit(60)
            .once(),
        Case::test("other-device", bindings::other_device)
            .limit(60)
            .on_each_kernel(),
        Case::test("clock-moved", bindings::clock_moved)
            .limit(60)
            .once(),
        Case::test("keys-that-do-not-count", people::keys)
            .limit(90)
            .once(),
        Case::test("hardware-keys", hardware::keys).limit(90).once(),
        Case::test("two-people", people::two).limit(90).once(),
        Case::test("requester", people::requester).limit(60).once(),
        Case::test("emergency-key", people::emergency)
            .limit(60)
            .once(),
        Case::test("signers-accepted", people::accepted)
            .limit(60)
            .once(),
        Case::test("revoked-while-it-runs", ends::revoked).limit(60),
        Case::test("time-over-while-it-runs", ends::time_over)
            .limit(150)
            .once(),
        Case::test("controller-dead", ends::controller_dead).limit(150),
        Case::test("ledger-damaged", ends::ledger_damaged)
            .limit(150)
            .once(),
        Case::clean_up("remove", remove),
    ]
}

/// The disk that grants are about, and one that none is.
const DISKS: [&str; 2] = ["granted", "beside"];

fn prepare() -> Result<()> {
    guard::must_be_armed()?;
    fixture::load_modules()?;
    acts::prepare_scratch()?;
    signing::prepare()?;
    for name in DISKS {
        let disk = fixture::memory_disk(name, 64)?;
        guard::wait_free(&disk.node)?;
        guard::mark_device(&disk.node)?;
        guard::wait_guarded(&disk.node)?;
    }
    Ok(())
}

fn remove() -> Result<()> {
    signing::remove()?;
    for name in DISKS {
        let disk = fixture::memory_disk(name, 64)?;
        shell::must(&format!(
            "dbguard release --confirm-host $(uname -n) {}",
            disk.path()
        ))?;
        fixture::drop_memory_disk(name)?;
    }
    Ok(())
}

fn granted() -> Result<Disk> {
    fixture::memory_disk(DISKS[0], 64)
}

fn beside() -> Result<Disk> {
    fixture::memory_disk(DISKS[1], 64)
}

/// A script with the functions of those who sign, and the two disks.
fn script(text: &str) -> Result<Output> {
    let whole = format!("{}{text}", signing::HEAD);
    Script::new(&whole)
        .with("DEV", granted()?.path())
        .with("OTHER", beside()?.path())
        .with("DIR", acts::SCRATCH)
        .limit(140)
        .run()
}

/// The same, which must succeed.
fn must(text: &str) -> Result<String> {
    let output = script(text)?;
    let last = output.text.lines().last().unwrap_or_default();
    if output.code == Some(shell::NOT_HERE) && last.starts_with("no ") {
        return Err(skip(last));
    }
    ensure!(
        output.succeeded(),
        "`{text}` ended with {:?}: {}",
        output.code,
        output.tail()
    );
    Ok(output.text)
}

/// A script that ends with what must be refused, by this status and in these words.
fn refused(text: &str, status: i32, words: &str) -> Result<()> {
    let output = script(text)?;
    ensure!(
        output.code == Some(status) && output.text.contains(words),
        "`{text}` ended with {:?} and not with {status} and `{words}`: {}",
        output.code,
        output.tail()
    );
    Ok(())
}

/// Nothing is open any more.
fn all_closed() -> Result<()> {
    let mut left = None;
    // The controller hears of the end of the last command a moment after whoever started it.
    for _ in 0..50 {
        let text = must("dbguard override list --json")?;
        let list: serde_json::Value = serde_json::from_str(&text).context("the list is no JSON")?;
        let grants = list["grants"].as_array().context("no grants")?;
        left = grants
            .iter()
            .find(|grant| grant["closed"].is_null())
            .cloned();
        if left.is_none() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    bail!("still open: {left:?}")
}
