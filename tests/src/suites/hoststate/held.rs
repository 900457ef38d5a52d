//! From armed to held, and what keeps it so.

use anyhow::{Context, Result, ensure};

use super::{STATE, armed, data_is_refused_in, held, mounted, unload, unload_with_state_kept};
use crate::harness::disk::Disk;
use crate::harness::{audit, db, guard, shell};

pub fn crash_leaves_held() -> Result<()> {
    armed()?;
    let pid = db::pid()?;
    let mark = audit::mark();
    shell::must(&format!("kill -9 {pid}"))?;
    guard::wait_state("held")?;
    data_is_refused_in("held")?;
    let partition = Disk::role("data")?.partition(1)?;
    let answer = guard::check(&partition.node)?;
    ensure!(
        answer == guard::answer::HELD,
        "check of held data answers {answer}, not 1"
    );
    audit::wait(mark, "the change from armed to held", |record| {
        record.is_kind("state") && record.text("/from") == "armed" && record.text("/to") == "held"
    })
    .map(drop)
}

pub fn release_needs_the_name() -> Result<()> {
    held()?;
    let mark = audit::mark();
    // What a broadcast, a script for many hosts, or a guess would send.
    let attempts = [
        "release",
        "release --confirm-host",
        "release --confirm-host ''",
        "release --confirm-host localhost",
        "release --confirm-host \"$(uname -n).example.org\"",
        "release --confirm-host \"$(uname -n)x\"",
        "release --confirm-host \"$(uname -n | tr a-z A-Z)\"",
        "release --confirm-host 'db*'",
        "release --confirm-host '$(hostname)'",
        "release --confirm-host .",
        "release --confirm-host \"$(cat /etc/machine-id)\"",
        "release --yes",
        "release --force --confirm-host \"$(uname -n)\"",
    ];
    for attempt in attempts {
        let output = guard::cli(attempt)?;
        ensure!(
            !output.succeeded(),
            "`dbguard {attempt}` SUCCEEDED: {}",
            output.text
        );
        ensure!(
            output.code == Some(64),
            "`dbguard {attempt}` ended with {:?}",
            output.code
        );
        ensure!(
            guard::state()? == "held",
            "after `dbguard {attempt}` the host is {}",
            guard::state()?
        );
    }
    // A wrong name is worth a record: somebody tried.
    audit::wait(mark, "a refused release", |record| {
        record.is_kind("release")
    })?;
    let nobody = shell::run(
        "setpriv --reuid 65534 --regid 65534 --clear-groups dbguard release --confirm-host \"$(uname -n)\"",
    )?;
    ensure!(
        nobody.code == Some(77),
        "release by nobody ended with {:?}: {}",
        nobody.code,
        nobody.text
    );
    data_is_refused_in("held")
}

pub fn restart_arms_again() -> Result<()> {
    held()?;
    let rows = "SELECT COUNT(*) FROM guard_test.t";
    armed()?;
    ensure!(db::query(rows)? == "1000", "the rows are gone");
    let output = guard::release()?;
    ensure!(
        output.code == Some(75),
        "release of an armed host ended with {:?}: {}",
        output.code,
        output.text
    );
    ensure!(
        guard::state()? == "armed",
        "the host is {}",
        guard::state()?
    );
    data_is_refused_in("armed")
}

pub fn stop_and_unmount() -> Result<()> {
    held()?;
    shell::must("umount /var/lib/mysql; udevadm settle; sync")?;
    ensure!(!mounted()?, "the data disk is still mounted");
    data_is_refused_in("held")?;
    let disk = Disk::role("data")?;
    let answer = guard::check(&disk.node)?;
    ensure!(
        answer == guard::answer::HELD,
        "check of the whole disk answers {answer}, not 1"
    );
    // What a failover does next: the kernel itself opens it, and no hook of ours is asked.
    shell::must("mount /var/lib/mysql && umount /var/lib/mysql").map(drop)
}

fn at_rest_and_held() -> Result<()> {
    if guard::state()? != "held" {
        held()?;
    }
    if mounted()? {
        shell::must("umount /var/lib/mysql; udevadm settle")?;
    }
    Ok(())
}

pub fn controller_restart() -> Result<()> {
    at_rest_and_held()?;
    shell::must("systemctl restart dbguard.service")?;
    guard::start_controller()?;
    ensure!(guard::state()? == "held", "the host is {}", guard::state()?);
    data_is_refused_in("held")
}

pub fn reboot() -> Result<()> {
    at_rest_and_held()?;
    unload()?;
    let mark = audit::mark();
    guard::start_controller()?;
    ensure!(
        guard::state()? == "held",
        "after the reboot the host is {}",
        guard::state()?
    );
    data_is_refused_in("held")?;
    let start = audit::wait(mark, "the start", |record| record.is_kind("start"))?;
    ensure!(
        start.0.get("adopted") == Some(&serde_json::Value::Bool(false)),
        "the kernel half was not loaded anew: {}",
        start.0
    );
    Ok(())
}

/// Ways to spoil the state file, by script.
/// That each damage is noticed is proved on the host, over every byte (`guard_user::state`); here it
/// is what a controller does that finds it.
const SPOILED: &[(&str, &str)] = &[
    ("emptied", ": >$F"),
    (
        "one byte changed",
        "printf X | dd of=$F bs=1 seek=$(($(stat -c %s $F) / 2)) conv=notrunc 2>/dev/null",
    ),
    ("a directory", "rm $F; mkdir $F"),
];

pub fn corrupt_state() -> Result<()> {
    at_rest_and_held()?;
    unload()?;
    for (how, script) in SPOILED {
        shell::Script::new(script).with("F", STATE).must()?;
        guard::start_controller().with_context(|| format!("state file {how}"))?;
        let state = guard::state()?;
        ensure!(state == "held", "state file {how}: the host is {state}");
        data_is_refused_in("held").with_context(|| format!("state file {how}"))?;
        let status = guard::cli("status")?;
        ensure!(
            !status.succeeded() && status.text.contains("state file"),
            "state file {how}: status does not speak of it ({:?}): {}",
            status.code,
            status.text
        );
        unload_with_state_kept()?;
    }
    guard::start_controller()
}

pub fn release() -> Result<()> {
    at_rest_and_held()?;
    let mark = audit::mark();
    let output = guard::release()?;
    ensure!(
        output.succeeded(),
        "release ended with {:?}: {}",
        output.code,
        output.text
    );
    guard::wait_state("idle")?;
    let record = audit::wait(mark, "the release", |record| record.is_kind("release"))?;
    ensure!(
        !record.text("/by/login").is_empty(),
        "the release does not say whose it was: {}",
        record.0
    );
    // Released means forgotten: the disk of the database that was is a disk like any other.
    let disk = Disk::role("data")?;
    let answer = guard::check(&disk.node)?;
    ensure!(
        answer == guard::answer::ALLOWED,
        "check of the released disk answers {answer}, not 0"
    );
    crate::native::open(&disk.node, false, true, 0)
        .map(drop)
        .context("opening the released disk")?;
    audit::nothing_refused(mark)
}
