//! The machine itself: what would stop it, boot it into something else, or take its disks away is
//! refused, and what an operator does to a running machine is done.
//!
//! In a guest without the guard each act is performed where it leaves the guest alive, and must be
//! effective: that proves that it is one.

mod boot;
mod control;
mod detach;

use anyhow::{Context, Result, ensure};

use super::fixture;
use crate::harness::case::{Case, Skip, skip};
use crate::harness::disk::Disk;
use crate::harness::shell::Script;
use crate::harness::{audit, db, guard};

/// An act, and how to see that it was effective.
struct Act {
    name: &'static str,
    /// Operation classes, one of which the record names.
    ops: &'static [&'static str],
    how: How,
    /// Looked at after the act, and undone.
    effective: Seen,
}

/// A way to perform an act.
#[derive(Clone, Copy)]
enum How {
    /// A shell script, with [`VARIABLES`].
    Shell(&'static str),
    /// A function.
    Native(fn() -> Result<()>),
}

impl How {
    fn perform(self) -> Result<()> {
        match self {
            Self::Shell(script) => run(script),
            Self::Native(call) => call(),
        }
    }
}

/// How an act without the guard shows.
enum Seen {
    /// The first script succeeds then, and only then; the second undoes it.
    Script(&'static str, How),
    /// It is enough that the act succeeds.
    Success,
    /// It would end the guest, or take a disk away that other cases need.
    Fatal,
}

const fn act(name: &'static str, ops: &'static [&'static str], how: How, effective: Seen) -> Act {
    Act {
        name,
        ops,
        how,
        effective,
    }
}

/// What scripts begin with: the disks by role, and where they hang in sysfs. An NVMe disk that several
/// controllers may share hangs below its subsystem, which has links to them. `SCSI` is marked as
/// critical, `FREE` is a free disk, `DATA` is the database's.
const VARIABLES: &str = "set -eu
    by() { basename $(readlink -f /dev/disk/by-role/$1); }
    bus() { d=$(readlink -f $1); while [ ! -e $d/class ] || [ ! -e $d/config ]; do [ $d != / ] || return 1; d=$(dirname $d); done; echo $d; }
    ctrl() { c=$(readlink -f $1/device); for l in $c/nvme*; do [ ! -L $l ] || { readlink -f $l; return; }; done; echo $c; }
    SCSI=/sys/block/$(by spare1); DATA=/sys/block/$(by data)
    need() { [ -e $1 ] || { echo this kernel has no $1; exit 77; }; }
    NBD=/dev/nbd3; LUN=$SCSI/device; CTRL=$(ctrl $DATA); PCI=$(bus $CTRL)
    ";

/// `NBD` of [`VARIABLES`].
const NETWORK_DISK: &str = "/dev/nbd3";

/// The cases.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::prepare("prepare", prepare)];
    for list in [boot::ACTS, detach::ACTS, control::ACTS] {
        cases.extend(
            list.iter()
                .map(|act| Case::test(act.name, move || perform(act))),
        );
    }
    cases.extend(boot::work());
    for list in [boot::WORK, detach::WORK, control::WORK] {
        cases.extend(list.iter().map(|(name, script)| {
            Case::test(*name, move || quiet(|| run(script)))
                .limit(120)
                .once()
        }));
    }
    cases.push(Case::test("the-database-answers", || {
        ensure!(db::answers(), "it does NOT");
        Ok(())
    }));
    cases.push(Case::clean_up("remove", || {
        detach::drop_network_disk()?;
        control::clean_up()
    }));
    cases
}

fn prepare() -> Result<()> {
    guard::must_be_armed_or_off()?;
    fixture::load_modules()?;
    control::make_mapping()?;
    detach::make_network_disk()?;
    if !guard::is_off() {
        guard::mark_device(&Disk::role("spare1")?.node)?;
    }
    Ok(())
}

fn run(script: &str) -> Result<()> {
    Script::new(&format!("{VARIABLES}{script}"))
        .limit(100)
        .must()
        .map(drop)
}

/// Refused, told, and without effect; without the guard, effective.
fn perform(act: &Act) -> Result<()> {
    let perform = || act.how.perform();
    let seen = || match act.effective {
        Seen::Script(look, _) => run(look).is_ok(),
        Seen::Success | Seen::Fatal => false,
    };
    if guard::is_off() {
        if matches!(act.effective, Seen::Fatal) {
            return Err(skip("would end the guest, or take a disk away"));
        }
        perform().context("without the guard")?;
        if let Seen::Script(_, undo) = act.effective {
            ensure!(seen(), "it does not show");
            undo.perform()?;
        }
        return Ok(());
    }
    let mark = audit::mark();
    let outcome = perform();
    ensure!(!seen(), "it was EFFECTIVE");
    let Err(error) = outcome else {
        anyhow::bail!("it was not refused")
    };
    if error.is::<Skip>() {
        return Err(error);
    }
    audit::wait_refusal(mark, &[], act.ops)
        .map(drop)
        .with_context(|| format!("{error:#}"))
}

/// Done, and nothing refused.
fn quiet(work: impl FnOnce() -> Result<()>) -> Result<()> {
    let mark = audit::mark();
    let outcome = work();
    audit::allowed(mark, outcome)
}
