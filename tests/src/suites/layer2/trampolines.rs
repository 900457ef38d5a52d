//! With `kernel.ftrace_enabled=0` no trampoline runs on 6.1 and 6.12, so no security hook of BPF:
//! the second layer refuses all the same.

use anyhow::{Context, Result, ensure};

use crate::acts;
use crate::harness::case::skip;
use crate::harness::disk::Disk;
use crate::harness::shell::{self, Script};
use crate::harness::snapshot::Snapshot;
use crate::harness::{audit, db, guard};

const KNOB: &str = "/proc/sys/kernel/ftrace_enabled";

/// The knob is turned while the host is idle; then the database arms it.
pub fn off() -> Result<()> {
    idle()?;
    let result = shell::run(&format!("echo 0 >{KNOB} && [ $(cat {KNOB}) = 0 ]"))?;
    let tested = if result.succeeded() {
        db::start()
            .and_then(|()| guard::wait_state("armed"))
            .and_then(|()| refused())
            .and_then(|()| idle())
    } else {
        Err(skip("this kernel does not turn trampolines off"))
    };
    shell::run(&format!("echo 1 >{KNOB}"))?;
    db::start()?;
    guard::wait_state("armed")?;
    tested
}

fn idle() -> Result<()> {
    db::stop()?;
    guard::release()?;
    guard::wait_state("idle")
}

fn refused() -> Result<()> {
    let disk = Disk::role("data")?;
    let before = Snapshot::of(&disk.node, &[(0, 1 << 20)])?;
    let mark = audit::mark();
    let done = Script::new("dd if=$DIR/junk64k of=$DEV bs=64k conv=fsync,notrunc")
        .with("DIR", acts::SCRATCH)
        .with("DEV", disk.path())
        .run()?;
    before.unchanged().context("THE ACT SUCCEEDED")?;
    ensure!(
        !done.succeeded(),
        "it says that it succeeded: {}",
        done.tail()
    );
    let record = audit::wait_refusal(mark, &[disk.numbers()?], &["raw-write"])?;
    ensure!(
        record.text("/hook") == "cgroup_device",
        "refused by {}",
        record.text("/hook")
    );
    let status = guard::status()?;
    let layer = status.pointer("/second_layer/works");
    ensure!(
        layer == Some(&serde_json::Value::Bool(true)),
        "status says of the second layer: {layer:?}"
    );
    // What is mounted at the time is read and written as ever.
    ensure!(db::answers(), "the database does not answer");
    Ok(())
}
