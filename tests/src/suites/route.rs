//! How the guard is attached, on whichever route this kernel gives: what it says of that is so, each
//! hook that can be exercised was, and runs that the kernel skips open no door.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use guard_user::kernel::{HOOKS, HookSpec};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::Value;

use crate::harness::case::Case;
use crate::harness::disk::Disk;
use crate::harness::guard;
use crate::harness::snapshot::Sums;
use crate::native::write;
use crate::suites::fixture;

/// How long tasks get in each other's way.
const CROWD: Duration = Duration::from_secs(10);
/// Tasks that are always about to open something, on one processor.
const CROWD_TASKS: usize = 8;
/// Tasks that preempt them to try a write.
const INTRUDERS: usize = 4;

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case::prepare("prepare", || {
            guard::must_be_armed()?;
            fixture::load_modules()?;
            guard::mark_device(&disk()?.node)
        }),
        Case::test("status-names-the-route", status_names_the_route),
        Case::test("hooks-are-proved", hooks_are_proved),
        Case::test("missing-hooks-are-told", missing_hooks_are_told),
        Case::test("preempted", preempted).limit(180),
    ]
}

fn disk() -> Result<Disk> {
    fixture::memory_disk("route", 64)
}

/// The route that the list of active security modules calls for.
fn expected_route() -> Result<&'static str> {
    let list = fs::read_to_string("/sys/kernel/security/lsm")
        .context("reading the active security modules")?;
    let active = list.trim().split(',').any(|name| name == "bpf");
    Ok(if active { "lsm" } else { "fmod_ret" })
}

fn status_names_the_route() -> Result<()> {
    let status = guard::status()?;
    let expected = expected_route()?;
    let route = status["route"].as_str().unwrap_or_default();
    ensure!(route == expected, "the route is {route}, not {expected}");
    let why = status["route_why"].as_str().unwrap_or_default();
    ensure!(why.contains("`bpf` is"), "no reason: {why:?}");
    let shown = guard::cli("status")?.text;
    ensure!(
        shown.contains(&format!("route {expected}")) && shown.contains(why),
        "`status` does not say so: {shown}"
    );
    Ok(())
}

fn hooks(status: &Value) -> Result<&Vec<Value>> {
    status["hooks"]
        .as_array()
        .with_context(|| format!("status has no hooks: {status}"))
}

/// Whatever is attached and can be attacked was attacked, and refused.
fn hooks_are_proved() -> Result<()> {
    let status = guard::status()?;
    let tests = status["self_test"].as_array().context("no self-test")?;
    for hook in hooks(&status)? {
        let name = hook["name"].as_str().unwrap_or_default();
        let test = tests.iter().find(|test| test["hook"] == hook["name"]);
        let outcome = &test.with_context(|| format!("{name} was forgotten"))?["outcome"];
        let refused = outcome == "refused";
        let excused = outcome.get("not-tried").is_some();
        ensure!(refused || excused, "{name}: {outcome}");
        let attached = hook["attached"] == true;
        // Not file_ioctl_compat: the unit allows no 32-bit system call, so there it is not tried.
        let has_canary = matches!(name, "file_open" | "file_ioctl" | "uring_cmd");
        ensure!(
            refused || !(attached && has_canary),
            "{name} is attached and was not proved: {outcome}"
        );
    }
    Ok(())
}

fn missing_hooks_are_told() -> Result<()> {
    let status = guard::status()?;
    let shown = guard::cli("status")?.text;
    for hook in hooks(&status)? {
        if hook["attached"] == true {
            continue;
        }
        let text = |key: &str| hook[key].as_str().unwrap_or_default().to_owned();
        ensure!(hook["required"] == false, "a hole: {hook}");
        for key in ["why_missing", "opens", "covered_by"] {
            ensure!(!text(key).is_empty(), "{key} is not told: {hook}");
        }
        ensure!(
            shown.contains(&format!("no {}", text("name"))) && shown.contains(&text("opens")),
            "`status` does not tell of {}: {shown}",
            text("name")
        );
    }
    Ok(())
}

/// Runs of the deciding hooks that were skipped; `None` where the kernel does not count them. The others
/// are tracing programs on both routes, which may be skipped.
fn misses() -> Result<Option<u64>> {
    let status = guard::status()?;
    let decides = |hook: &&Value| {
        let spec = HOOKS.iter().find(|spec| hook["name"] == spec.program);
        spec.is_some_and(HookSpec::decides)
    };
    let counts = hooks(&status)?
        .iter()
        .filter(decides)
        .map(|hook| hook["misses"].as_u64());
    Ok(counts.fold(None, |sum, count| match (sum, count) {
        (None, count) => count,
        (sum, None) => sum,
        (Some(sum), Some(count)) => Some(sum + count),
    }))
}

/// A program that may answer for a function is skipped while another task is preempted inside it on
/// the same processor. Tasks that always are in it, and others that preempt them in order to write,
/// must not get a byte onto a protected disk.
fn preempted() -> Result<()> {
    let disk = disk()?;
    let sums = Sums::take(&disk)?;
    let before = misses()?;
    let over = AtomicBool::new(false);
    let (opened, tried, succeeded) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..CROWD_TASKS {
            scope.spawn(|| {
                crowd(&disk, &over, &opened);
            });
        }
        for _ in 0..INTRUDERS {
            scope.spawn(|| {
                on_one_processor();
                real_time();
                while !over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_micros(70));
                    if write::pwrite(&disk.node).is_ok() {
                        succeeded.fetch_add(1, Ordering::Relaxed);
                    }
                    tried.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(CROWD);
        over.store(true, Ordering::Relaxed);
    });
    let after = misses()?;
    let (opened, tried) = (opened.into_inner(), tried.into_inner());
    println!(
        "route: {opened} opens in the crowd, {tried} writes tried, runs skipped: {before:?} before, {after:?} after"
    );
    ensure!(
        opened > 1_000 && tried > 100,
        "no crowd: {opened} opens, {tried} writes"
    );
    let succeeded = succeeded.into_inner();
    ensure!(
        sums.differing(&Sums::take(&disk)?).is_empty(),
        "THE ACT SUCCEEDED: {succeeded} of {tried} writes, runs skipped {before:?}, then {after:?}"
    );
    ensure!(succeeded == 0, "{succeeded} of {tried} writes SUCCEEDED");
    if expected_route()? == "lsm" {
        ensure!(
            after.is_none_or(|after| after == 0),
            "LSM programs were skipped: {after:?}"
        );
    }
    Ok(())
}

/// Opens the disk for reading again and again: that is inside the program that judges opens.
fn crowd(disk: &Disk, over: &AtomicBool, opened: &AtomicU64) {
    on_one_processor();
    while !over.load(Ordering::Relaxed) {
        if fs::File::open(&disk.node).is_ok() {
            opened.fetch_add(1, Ordering::Relaxed);
        }
        let _ = fs::OpenOptions::new().write(true).open("/dev/null");
    }
}

fn on_one_processor() {
    let mut one = CpuSet::new();
    one.set(0);
    let _ = sched_setaffinity(None::<Pid>, &one);
}

/// Preempts ordinary tasks as soon as it wakes up.
fn real_time() {
    let priority = libc::sched_param { sched_priority: 10 };
    // SAFETY: a pointer to a parameter that lives longer than the call; 0 is this thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) };
}
