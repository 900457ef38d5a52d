//! A zoned disk: a reset empties a zone without writing a block.

use anyhow::{Result, ensure};

use super::fixture;
use crate::acts;
use crate::harness::case::Case;
use crate::harness::disk::Disk;
use crate::harness::shell::{self, Output, Script};
use crate::harness::snapshot::Snapshot;
use crate::harness::{audit, guard};

const NAME: &str = "zoned";
const MIB: u32 = 32;
/// Eight zones in memory, each to be written from its beginning.
const MAKE: &str = "set -e; C=/sys/kernel/config/nullb/$N; mkdir -p $C; [ -e $C/zoned ] || { echo no zoned disks; exit 77; }
    echo $MIB >$C/size; echo 1 >$C/memory_backed; echo 4096 >$C/blocksize; echo 1 >$C/zoned; echo 4 >$C/zone_size
    echo 1 >$C/power || { rmdir $C; echo no zoned disks; exit 77; }; udevadm settle";
const FILL: &str = "dd if=$DIR/junk64k of=$DEV bs=64k oflag=direct conv=notrunc";
const RESET: &str = "blkzone reset $DEV";

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case::prepare("prepare", || {
            guard::must_be_armed()?;
            fixture::load_modules()?;
            acts::prepare_scratch()
        }),
        Case::test("zones-reset", reset),
    ]
}

fn perform(text: &str, disk: &Disk) -> Result<Output> {
    Script::new(text)
        .with("DEV", disk.path())
        .with("DIR", acts::SCRATCH)
        .run()
}

fn reset() -> Result<()> {
    Script::new(MAKE)
        .with("N", NAME)
        .with("MIB", MIB.to_string())
        .must()?;
    let disk = fixture::memory_disk(NAME, MIB)?;
    guard::wait_free(&disk.node)?;
    ensure!(perform(FILL, &disk)?.succeeded(), "it cannot be written");
    let full = Snapshot::take(&disk)?;
    let output = perform(RESET, &disk)?;
    ensure!(
        output.succeeded() && full.unchanged().is_err(),
        "on a free disk it resets nothing, so it proves nothing: {}",
        output.tail()
    );
    ensure!(perform(FILL, &disk)?.succeeded(), "it cannot be written");
    guard::mark_device(&disk.node)?;
    let full = Snapshot::take(&disk)?;
    let mark = audit::mark();
    let output = perform(RESET, &disk)?;
    full.unchanged()?;
    ensure!(!output.succeeded(), "it claims to have succeeded");
    audit::wait_refusal(mark, &[disk.numbers()?], &["raw-write"])?;
    shell::must(&format!(
        "dbguard release --confirm-host \"$(uname -n)\" {}",
        disk.path()
    ))?;
    fixture::drop_memory_disk(NAME)
}
