//! Thousands of refusals: each is counted by the kernel half, and each is in the log or in a gap
//! record.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::harness::case::Case;
use crate::harness::disk::{Disk, until};
use crate::harness::{audit, guard, shell};
use crate::native::write;
use crate::suites::fixture;

/// Refusals of the storm by threads.
const STORM: u64 = 6_000;

/// The cases.
pub fn cases() -> Vec<Case> {
    let cases = vec![
        Case::prepare("prepare", || {
            guard::must_be_armed()?;
            fixture::load_modules()?;
            let disk = fixture::memory_disk("storm", 64)?;
            guard::mark_device(&disk.node)
        }),
        Case::test("counted-exactly", counted_exactly).limit(240),
        Case::test("many-processes", many_processes).limit(120),
        Case::test("devices-are-followed-meanwhile", followed_meanwhile)
            .limit(180)
            .once(),
        Case::test("event-ids-are-unique", event_ids_are_unique),
        Case::test("why-knows-the-last", why_knows_the_last),
    ];
    cases.into_iter().map(Case::on_each_kernel).collect()
}

fn disk() -> Result<Disk> {
    fixture::memory_disk("storm", 64)
}

/// Events that the log accounts for since `mark`: refusals and records of one, gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounted {
    /// Events in denial records, their counts added up.
    pub recorded: u64,
    /// Events that gap records stand for.
    pub lost: u64,
}

/// Adds up the log since `mark`.
pub fn accounted(mark: audit::Mark) -> Result<Accounted> {
    let mut sum = Accounted::default();
    for record in audit::since(mark)? {
        if record.is_kind("denial") {
            sum.recorded += record.number("/count");
        } else if record.is_kind("gap") && matches!(record.text("/what"), "dropped" | "missing") {
            sum.lost += record.number("/lost");
        }
    }
    Ok(sum)
}

/// Waits until log and kernel agree about everything since `mark` and `before`.
pub fn reconcile(mark: audit::Mark, before: guard::Counters) -> Result<Accounted> {
    let agree = || -> Result<bool> {
        let sum = accounted(mark)?;
        Ok(sum.recorded + sum.lost == guard::counters()?.events() - before.events())
    };
    until(Duration::from_mins(1), agree).with_context(|| {
        format!(
            "the log accounts for {:?} since, the kernel counted {:?} before and {:?} now",
            accounted(mark),
            before,
            guard::counters()
        )
    })?;
    accounted(mark)
}

fn counted_exactly() -> Result<()> {
    let disk = disk()?;
    // What earlier cases did must be in the log before this one counts.
    thread::sleep(Duration::from_secs(1));
    let (mark, before) = (audit::mark(), guard::counters()?);
    let refused = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..STORM / 4 {
                    if write::pwrite(&disk.node).is_err() {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let refused = refused.into_inner();
    ensure!(
        refused == STORM,
        "{} of {STORM} writes SUCCEEDED",
        STORM - refused
    );
    let counted = guard::counters()?.denied - before.denied;
    ensure!(
        counted == STORM,
        "the kernel half counted {counted} refusals of {STORM}"
    );
    let sum = reconcile(mark, before)?;
    ensure!(sum.recorded + sum.lost == STORM, "{sum:?} of {STORM}");
    ensure!(sum.recorded > 0, "nothing was recorded");
    Ok(())
}

fn many_processes() -> Result<()> {
    let disk = disk()?;
    thread::sleep(Duration::from_secs(1));
    let (mark, before) = (audit::mark(), guard::counters()?);
    let output = shell::Script::new(
        "ok=0; for i in $(seq 60); do ( : >$D ) 2>/dev/null && ok=$((ok+1)); done; echo $ok",
    )
    .with("D", disk.path())
    .limit(90)
    .must()?;
    ensure!(
        output.trim() == "0",
        "{} of 60 redirections SUCCEEDED",
        output.trim()
    );
    let counted = guard::counters()?.denied - before.denied;
    ensure!(
        counted == 60,
        "the kernel half counted {counted} refusals of 60"
    );
    reconcile(mark, before).map(drop)
}

/// A storm that does not end must not keep the controller from seeing that another disk is used.
fn followed_meanwhile() -> Result<()> {
    let (stormed, other) = (disk()?, fixture::memory_disk("calm", 48)?);
    guard::wait_free(&other.node)?;
    thread::sleep(Duration::from_secs(1));
    let (mark, before) = (audit::mark(), guard::counters()?);
    let over = AtomicBool::new(false);
    let succeeded = AtomicU64::new(0);
    let followed = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if write::pwrite(&stormed.node).is_ok() {
                    succeeded.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let followed = use_and_leave(&other);
        over.store(true, Ordering::Relaxed);
        followed
    });
    followed.context("while refusals kept coming")?;
    ensure!(succeeded.into_inner() == 0, "a write SUCCEEDED");
    reconcile(mark, before).map(drop)
}

/// Mounts a free disk, and takes it out of use again.
fn use_and_leave(disk: &Disk) -> Result<()> {
    let on = |script: &str| shell::Script::new(script).with("D", disk.path()).must();
    on("mkfs.ext4 -q -F $D; mkdir -p /mnt/calm; mount $D /mnt/calm")?;
    guard::wait_guarded(&disk.node)?;
    on("umount /mnt/calm")?;
    guard::wait_free(&disk.node)
}

fn event_ids_are_unique() -> Result<()> {
    let mut events: Vec<String> = audit::all()?
        .iter()
        .map(|record| record.text("/event").to_owned())
        .filter(|event| !event.is_empty())
        .collect();
    let all = events.len();
    ensure!(all > 0, "no event in the log");
    events.sort();
    events.dedup();
    ensure!(
        events.len() == all,
        "{} event ids are used twice",
        all - events.len()
    );
    let mut last = 0;
    for record in audit::all()? {
        let seq = record.number("/seq");
        ensure!(seq == last + 1, "record {seq} follows record {last}");
        last = seq;
    }
    Ok(())
}

fn why_knows_the_last() -> Result<()> {
    let disk = disk()?;
    let mark = audit::mark();
    ensure!(write::pwrite(&disk.node).is_err(), "the write SUCCEEDED");
    let record = audit::wait_refusal(mark, &[disk.numbers()?], &["raw-write"])?;
    let event = record.text("/event").to_owned();
    let output = guard::cli(&format!("why {event}"))?;
    ensure!(
        output.succeeded(),
        "dbguard why ended with {:?}: {}",
        output.code,
        output.text
    );
    for word in [&event, &disk.name] {
        ensure!(
            output.text.contains(word.as_str()),
            "`why` does not name {word}: {}",
            output.text
        );
    }
    let lower = guard::cli(&format!("why {}", event.to_lowercase()))?;
    ensure!(
        lower.succeeded(),
        "`why` does not take the id in lower case: {}",
        lower.text
    );
    let missing = guard::cli("why E-ZZZZZZ")?;
    ensure!(
        !missing.succeeded(),
        "`why` of an unknown event ended with 0: {}",
        missing.text
    );
    Ok(())
}
