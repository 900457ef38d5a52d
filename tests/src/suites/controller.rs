//! The controller is killed, stopped and frozen: the kernel half goes on refusing, and the log
//! accounts for every refusal in the end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::storm::reconcile;
use crate::harness::case::Case;
use crate::harness::disk::{Disk, until};
use crate::harness::snapshot::Sums;
use crate::harness::{audit, guard, shell};
use crate::native::write;
use crate::suites::fixture;

/// How often the controller is killed, on every configuration and on one.
const KILLS: (u32, u32) = (5, 200);

/// The cases.
pub fn cases() -> Vec<Case> {
    let cases = vec![
        Case::prepare("prepare", || {
            guard::must_be_armed()?;
            fixture::load_modules()?;
            let disk = fixture::memory_disk("killed", 64)?;
            guard::mark_device(&disk.node)?;
            // As shipped, systemd waits a second before it starts the controller again: without
            // the wait, more kills meet a controller that is just starting.
            shell::must(
                "mkdir -p /run/systemd/system/dbguard.service.d
                 printf '[Service]\\nRestartSec=20ms\\n' >/run/systemd/system/dbguard.service.d/kill.conf
                 systemctl daemon-reload",
            )
            .map(drop)
        }),
        Case::test("killed-5-times", || killed(KILLS.0)).limit(300),
        Case::test("killed-200-times", || killed(KILLS.1))
            .limit(1_800)
            .once(),
        Case::test("healthy-afterwards", || {
            guard::must_be_armed()?;
            guard::wait_guarded(&disk()?.node)
        }),
        Case::test("stopped", stopped).limit(120).once(),
        Case::test("frozen-controller-and-a-new-disk", frozen).limit(120),
        Case::test("frozen-controller-and-devices-that-leave-use", leaving).limit(240),
        Case::test("restarts", restarts).limit(180).once(),
        Case::clean_up("controller-runs", || {
            shell::must(
                "rm -f /run/systemd/system/dbguard.service.d/kill.conf; systemctl daemon-reload",
            )?;
            guard::start_controller()
        }),
    ];
    cases.into_iter().map(Case::on_each_kernel).collect()
}

fn disk() -> Result<Disk> {
    fixture::memory_disk("killed", 64)
}

/// Attempts made and attempts that succeeded, by one thread that never stops.
#[derive(Default)]
struct Wiper {
    stop: AtomicBool,
    tried: AtomicU64,
    succeeded: AtomicU64,
}

impl Wiper {
    fn run(&self, disk: &Disk) {
        while !self.stop.load(Ordering::Relaxed) {
            if write::pwrite(&disk.node).is_ok() {
                self.succeeded.fetch_add(1, Ordering::Relaxed);
            }
            self.tried.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Wipes while `work` is done; gives the number of attempts. An attempt that succeeds is an
    /// error.
    fn during(disk: &Disk, work: impl FnOnce() -> Result<()>) -> Result<u64> {
        let wiper = Self::default();
        let done = thread::scope(|scope| {
            scope.spawn(|| wiper.run(disk));
            let done = work();
            wiper.stop.store(true, Ordering::Relaxed);
            done
        });
        let (tried, succeeded) = (wiper.tried.into_inner(), wiper.succeeded.into_inner());
        ensure!(succeeded == 0, "{succeeded} of {tried} wipes SUCCEEDED");
        done.map(|()| tried)
    }
}

fn killed(kills: u32) -> Result<()> {
    let disk = disk()?;
    let sums = Sums::take(&disk)?;
    thread::sleep(Duration::from_secs(1));
    let (mark, before) = (audit::mark(), guard::counters()?);
    let tried = Wiper::during(&disk, || {
        for kill in 0..kills {
            kill_once(kill).with_context(|| format!("kill {kill}"))?;
        }
        Ok(())
    })?;
    guard::start_controller()?;
    ensure!(tried >= u64::from(kills), "only {tried} wipes were tried");
    ensure!(
        sums.differing(&Sums::take(&disk)?).is_empty(),
        "bytes CHANGED"
    );
    let counted = guard::counters()?.denied - before.denied;
    ensure!(
        counted == tried,
        "the kernel half counted {counted} refusals of {tried} attempts"
    );
    let sum = reconcile(mark, before)?;
    ensure!(
        sum.recorded + sum.lost == tried,
        "{sum:?} of {tried} attempts"
    );
    twice_recorded(mark)
}

/// Kills the controller as soon as there is one, at a moment that differs from kill to kill: while
/// it loads, while it writes, while it waits.
fn kill_once(kill: u32) -> Result<()> {
    let mut pid = 0;
    until(Duration::from_secs(20), || {
        pid = main_pid();
        if pid == 0 {
            // systemd gives up on a unit that dies too often; an operator starts it again.
            let _ = shell::run(
                "systemctl is-failed -q dbguard && systemctl reset-failed dbguard && \
                                systemctl start --no-block dbguard",
            );
        }
        Ok(pid != 0)
    })
    .context("the controller was not started again")?;
    thread::sleep(Duration::from_millis(u64::from(kill * 37 % 600)));
    // From anybody but process 1 the signal is refused, see the suite `guard-itself`.
    let _ = shell::run("systemctl kill --kill-whom=main -s KILL dbguard.service");
    until(Duration::from_secs(10), || Ok(main_pid() != pid)).context("the controller did not die")
}

/// The controller's process id by its cgroup: cheaper than asking systemd.
fn main_pid() -> u32 {
    let file = "/sys/fs/cgroup/system.slice/dbguard.service/cgroup.procs";
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .next()
        .and_then(|line| line.trim().parse().ok())
        .unwrap_or(0)
}

/// No event of the kernel may stand in two records.
fn twice_recorded(mark: audit::Mark) -> Result<()> {
    let mut keys = Vec::new();
    for record in audit::since(mark)? {
        if record.is_kind("denial") {
            keys.extend(record.0.pointer("/key").map(ToString::to_string));
            if let Some(more) = record
                .0
                .pointer("/repeats")
                .and_then(|value| value.as_array())
            {
                keys.extend(more.iter().map(ToString::to_string));
            }
        }
    }
    let all = keys.len();
    keys.sort();
    keys.dedup();
    ensure!(
        keys.len() == all,
        "{} events are in the log twice",
        all - keys.len()
    );
    Ok(())
}

fn stopped() -> Result<()> {
    let disk = disk()?;
    thread::sleep(Duration::from_secs(1));
    let (mark, before) = (audit::mark(), guard::counters()?);
    let tried = Wiper::during(&disk, || {
        shell::must("systemctl stop dbguard.service")?;
        let output = guard::cli("status")?;
        ensure!(
            !output.succeeded(),
            "status ended with 0 although the controller is stopped"
        );
        ensure!(
            output.text.contains("not running"),
            "status does not say that the controller is not running: {}",
            output.text
        );
        let check = guard::check(&disk.node)?;
        ensure!(
            check != guard::answer::ALLOWED,
            "check says that a wipe would be allowed"
        );
        thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;
    guard::start_controller()?;
    let sum = reconcile(mark, before)?;
    ensure!(
        sum.recorded + sum.lost >= tried,
        "{sum:?} of {tried} attempts"
    );
    Ok(())
}

/// A disk that appears while nobody can classify it is unknown, and unknown is refused.
fn frozen() -> Result<()> {
    let pid = guard::controller_pid()?;
    ensure!(pid != 0, "the controller does not run");
    shell::must("systemctl kill --kill-whom=main -s STOP dbguard.service")?;
    let mark = audit::mark();
    let result = (|| {
        let disk = fixture::memory_disk("newcomer", 32)?;
        ensure!(
            write::pwrite(&disk.node).is_err(),
            "a write to an unknown disk SUCCEEDED"
        );
        Ok(disk)
    })();
    shell::must(&format!("kill -CONT {pid}"))?;
    let disk = result?;
    let record = audit::wait_refusal(mark, &[disk.numbers()?], &["raw-write"])?;
    ensure!(
        record.text("/reason") == "unknown-device",
        "the reason is {}, not unknown-device",
        record.text("/reason")
    );
    guard::wait_free(&disk.node).context("once the controller looks again")?;
    write::pwrite(&disk.node).context("writing to the disk once it is known to be free")?;
    fixture::drop_memory_disk("newcomer")
}

/// Disks of [`leaving`]: variable, name, MiB.
const LEAVING: [(&str, &str, u32); 6] = [
    ("A", "leave-a", 48),
    ("B", "leave-b", 48),
    ("C", "leave-c", 48),
    ("D", "leave-d", 48),
    ("E", "leave-e", 48),
    ("F", "leave-f", 48),
];

/// Takes them into use: mounted itself and by a partition, in an array, swapped to, below a mapping.
const INTO_USE: &str = "set -eu
    modprobe raid1
    printf 'label: gpt\nsize=32MiB\n' | sfdisk -q $B; udevadm settle; B1=$(lsblk -nrpo NAME $B | tail -1)
    mkdir -p /mnt/leave-a /mnt/leave-b /mnt/leave-m /mnt/leave-f
    mkfs.ext4 -q -F $A; mount $A /mnt/leave-a
    mkfs.ext4 -q -F $B1; mount $B1 /mnt/leave-b
    mdadm -q --create /dev/md/leave --run --metadata=1.2 --level=1 --raid-devices=2 --homehost=any --assume-clean $C $D </dev/null
    udevadm settle; mkfs.ext4 -q -F /dev/md/leave; mount /dev/md/leave /mnt/leave-m
    mkswap -q -f $E; swapon $E
    dmsetup create leave --table \"0 $(blockdev --getsz $F) linear $F 0\"; udevadm settle
    mkfs.ext4 -q -F /dev/mapper/leave; mount /dev/mapper/leave /mnt/leave-f";

/// What people do next, each command straight after the other, while nobody classifies anything.
const OUT_OF_USE: &str = "set -eu
    wipes() { dd if=/dev/zero of=$1 bs=4096 count=1 conv=notrunc status=none 2>/dev/null; }
    for d in $A $B $C $D $E $F; do ! wipes $d || { echo \"$d was written to in use\"; exit 1; }; done
    umount /mnt/leave-a; mount $A /mnt/leave-a
    ! wipes $A || { echo 'written to after it was mounted again'; exit 1; }
    umount /mnt/leave-a; wipefs -qa $A; mkfs.ext4 -q -F $A
    umount /mnt/leave-b; wipefs -qa $(lsblk -nrpo NAME $B | tail -1); sfdisk -q --delete $B; wipefs -qa $B
    umount /mnt/leave-m; mdadm -q --stop /dev/md/leave; mdadm --zero-superblock $C $D
    swapoff $E; mkfs.ext4 -q -F $E
    umount /mnt/leave-f; dmsetup remove leave; wipes $F
    mkswap -q -f $A; swapon $A
    ! wipes $A || { echo 'written to after it was swapped to'; exit 1; }";

/// `swapoff` opens what it is given for writing, and may do so where the controller has seen swap.
const IN_THE_END: &str =
    "for i in $(seq 50); do swapoff $A 2>/dev/null && exit; sleep 0.2; done; swapoff $A";

/// A device that was merely in use is free with its last claim, and protected again with the next:
/// the kernel half knows, whatever the controller does. Scripts do not wait between two commands.
fn leaving() -> Result<()> {
    let disks = LEAVING
        .iter()
        .map(|(variable, name, mib)| Ok((*variable, fixture::memory_disk(name, *mib)?)))
        .collect::<Result<Vec<_>>>()?;
    let script = |text: &'static str| {
        disks.iter().fold(
            shell::Script::new(text).limit(90),
            |script, (variable, disk)| script.with(variable, disk.path()),
        )
    };
    for (_, disk) in &disks {
        guard::wait_free(&disk.node)?;
    }
    script(INTO_USE).must()?;
    for (_, disk) in &disks {
        guard::wait_guarded(&disk.node)?;
    }
    let pid = guard::controller_pid()?;
    ensure!(pid != 0, "the controller does not run");
    shell::must("systemctl kill --kill-whom=main -s STOP dbguard.service")?;
    let result = script(OUT_OF_USE).must();
    let still = guard::controller_pid();
    shell::must(&format!("kill -CONT {pid}"))?;
    result?;
    ensure!(
        still? == pid,
        "the frozen controller was replaced meanwhile"
    );
    script(IN_THE_END).must()?;
    for (_, disk) in &disks {
        guard::wait_free(&disk.node)?;
    }
    for (_, name, _) in LEAVING {
        fixture::drop_memory_disk(name)?;
    }
    Ok(())
}

fn restarts() -> Result<()> {
    let disk = disk()?;
    thread::sleep(Duration::from_secs(1));
    let (mark, before) = (audit::mark(), guard::counters()?);
    Wiper::during(&disk, || {
        for _ in 0..5 {
            shell::must("systemctl restart dbguard.service")?;
        }
        Ok(())
    })?;
    guard::start_controller()?;
    reconcile(mark, before)?;
    let report = audit::since(mark)?;
    let starts: Vec<_> = report
        .iter()
        .filter(|record| record.is_kind("start"))
        .collect();
    ensure!(
        starts.len() >= 5,
        "{} start records for 5 restarts",
        starts.len()
    );
    ensure!(
        starts
            .iter()
            .all(|record| record.0.get("adopted") == Some(&serde_json::Value::Bool(true))),
        "a restart did not take over the running kernel half"
    );
    Ok(())
}
