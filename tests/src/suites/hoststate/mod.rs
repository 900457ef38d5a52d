//! The host's state through its whole life: idle, armed, held and back, each only by what may cause
//! it. Every case brings the host into the state that it starts from.

mod commands;
mod held;
mod idle;

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::acts::{self, Act, Target, block};
use crate::harness::case::{Breadth, Case};
use crate::harness::disk::{self, Disk};
use crate::harness::{audit, db, guard, shell};
use crate::native::write;
use crate::suites::{destruction, fixture};

/// Where the controller keeps its state.
const STATE: &str = "/var/lib/dbguard/state";
/// Where the suite keeps a copy.
const KEPT: &str = "/root/state.kept";

/// The cases.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::prepare("prepare", || {
            guard::must_be_on()?;
            fixture::load_modules()?;
            acts::prepare_scratch()?;
            shell::must(
                "mkdir -p /etc/systemd/system/mariadb.service.d
                 printf '[Service]\\nRestart=no\\n' >/etc/systemd/system/mariadb.service.d/99-no-restart.conf
                 systemctl daemon-reload",
            )?;
            armed()
        }),
        Case::test("crash-leaves-held", held::crash_leaves_held).limit(120),
        Case::test("release-needs-the-name", held::release_needs_the_name)
            .limit(120)
            .once(),
        Case::test("restart-arms-again", held::restart_arms_again)
            .limit(150)
            .once(),
        // Those that follow need what it leaves behind.
        Case::test("stop-and-unmount-stays-held", held::stop_and_unmount).limit(120),
    ];
    for (at, act) in block::CORE.iter().enumerate() {
        let breadth = Breadth::of_sample(at);
        let target = || Ok(Target::disk(Disk::role("data")?));
        cases.push(held_case("disk", act, target).breadth(breadth));
        let target = || Target::partition(&Disk::role("data")?, 1);
        cases.push(held_case("partition", act, target).breadth(breadth));
    }
    cases.extend([
        Case::test("controller-restart-stays-held", held::controller_restart).limit(120).once(),
        Case::test("reboot-comes-back-held", held::reboot).limit(360).once(),
        Case::test("corrupt-state-is-not-idle", held::corrupt_state).limit(900).once(),
        Case::test("release", held::release).limit(120),
        Case::test("idle-refuses-nothing", idle::refuses_nothing).limit(120),
        Case::test("probes-do-not-arm", idle::probes_do_not_arm).limit(120).once(),
        Case::test("first-instruction", idle::first_instruction).limit(240),
        Case::test("new-mount-is-protected", idle::new_mount).limit(180).once(),
        Case::test("database-on-a-new-disk", idle::database_on_a_new_disk).limit(180).once(),
        Case::test("observe", commands::observe).limit(180).once(),
        Case::test("raw-engine", commands::raw_engine).limit(180).once(),
        Case::test("bad-command-lines", commands::bad_command_lines).limit(180).once(),
        Case::test("bad-configuration", commands::bad_configuration).limit(240).once(),
        Case::clean_up("armed-again", || {
            shell::must(
                "rm -f /etc/systemd/system/mariadb.service.d/99-no-restart.conf /etc/dbguard/conf.d/9*.toml
                 systemctl daemon-reload; systemctl restart dbguard; dbguard config apply --confirm-host $(uname -n)",
            )?;
            armed()
        }),
    ]);
    cases.into_iter().map(Case::on_each_kernel).collect()
}

fn held_case(prefix: &str, act: &'static Act, target: fn() -> Result<Target>) -> Case {
    Case::test(format!("held-{prefix}-{}", act.name), move || {
        ensure!(
            guard::state()? == "held",
            "the host is {}, not held",
            guard::state()?
        );
        ensure!(
            !mounted()?,
            "the data disk is mounted: its bytes are not at rest"
        );
        destruction::guarded(act, &target()?)
    })
    .limit(act.limit * 2 + 40)
}

fn mounted() -> Result<bool> {
    Ok(shell::run("findmnt -n /var/lib/mysql")?.succeeded())
}

pub(super) use idle::mounted_disk;

/// The database runs on its disk.
pub(super) fn armed() -> Result<()> {
    guard::start_controller()?;
    if !mounted()? {
        shell::must("mount /var/lib/mysql")?;
    }
    db::start()?;
    db::prepare()?;
    guard::wait_state("armed")
}

/// The database was stopped; its disk is mounted.
fn held() -> Result<()> {
    armed()?;
    db::stop()?;
    guard::wait_state("held")
}

/// The database was stopped and the host released.
pub(super) fn idle() -> Result<()> {
    guard::start_controller()?;
    if guard::state()? == "idle" {
        return Ok(());
    }
    db::stop()?;
    let output = guard::release()?;
    ensure!(
        output.succeeded(),
        "release ended with {:?}: {}",
        output.code,
        output.text
    );
    guard::wait_state("idle")
}

/// A write to the database's partition is refused, and the record tells this state.
fn data_is_refused_in(state: &str) -> Result<()> {
    let partition = Disk::role("data")?.partition(1)?;
    let mark = audit::mark();
    ensure!(
        write::pwrite(&partition.node).is_err(),
        "a write to the data partition SUCCEEDED"
    );
    let record = audit::wait_refusal(mark, &[partition.numbers()?], &["raw-write"])?;
    ensure!(
        record.text("/state") == state,
        "recorded in state {}",
        record.text("/state")
    );
    Ok(())
}

/// The kernel half is gone and the state file is the host's, as after a reboot. The way there is the
/// orderly one, the only one there is: the host is released, and what it had remembered put back.
fn unload() -> Result<()> {
    shell::must(&format!("cp -a {STATE} {KEPT}"))?;
    unload_with_state_kept()
}

/// The same, with the state that was kept before.
fn unload_with_state_kept() -> Result<()> {
    guard::start_controller()?;
    shell::must(&format!(
        "dbguard release --confirm-host $(uname -n) && systemctl stop dbguard.service && \
         dbguard unload --confirm-host $(uname -n) && rm -rf {STATE} && cp -a {KEPT} {STATE}"
    ))?;
    // The kernel lets go of programs in a work item of its own, after the last reference
    // (kernel/bpf/syscall.c `bpf_link_put`); an emulated guest that is busy takes its time.
    let partition = Disk::role("data")?.partition(1)?;
    disk::until(Duration::from_secs(20), || {
        Ok(crate::native::open(&partition.node, false, true, 0).is_ok())
    })
    .context("the kernel half still refuses without its pins: the case proves nothing")
}
