//! From idle to armed: by a server's exec alone, and before its first instruction.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{armed, idle};
use crate::acts::SCRATCH;
use crate::harness::disk::Disk;
use crate::harness::shell::{self, Script};
use crate::harness::snapshot::Snapshot;
use crate::harness::{audit, guard};
use crate::native::{elf, write};
use crate::suites::fixture;

/// A memory disk with an ext4 file system, mounted read-only at `/mnt/NAME`: in use, and at rest.
pub(in crate::suites) fn mounted_disk(name: &str) -> Result<Disk> {
    let disk = fixture::memory_disk(name, 48)?;
    Script::new(
        "mkdir -p /mnt/$N; umount -q /mnt/$N; set -e; \
         mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 $D; \
         mount -o ro $D /mnt/$N; udevadm settle; sync $D",
    )
    .with("N", name)
    .with("D", disk.path())
    .must()?;
    Ok(disk)
}

pub fn refuses_nothing() -> Result<()> {
    idle()?;
    let mark = audit::mark();
    let disk = mounted_disk("idle-disk")?;
    write::pwrite(&disk.node).context("on an idle host, where nothing is refused")?;
    shell::must("umount /mnt/idle-disk")?;
    audit::nothing_refused(mark)?;
    let answer = guard::check(&disk.node)?;
    ensure!(
        answer == guard::answer::ALLOWED,
        "check on an idle host answers {answer}"
    );
    Ok(())
}

pub fn probes_do_not_arm() -> Result<()> {
    idle()?;
    let mark = audit::mark();
    shell::must(
        "mariadbd --version; mariadbd -V; mariadbd --help >/dev/null; \
         /usr/lib/postgresql/15/bin/postgres --version; /usr/lib/postgresql/15/bin/postgres --help >/dev/null; \
         mariadb --version; psql --version; bash -c 'exec -a mariadbd sleep 0.1'; cp /bin/true /root/guest-suite/mariadbd-tool; \
         /root/guest-suite/mariadbd-tool",
    )?;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(
        guard::state()? == "idle",
        "a probe made the host {}",
        guard::state()?
    );
    let changes = audit::since(mark)?
        .into_iter()
        .filter(|record| record.is_kind("state"))
        .count();
    ensure!(changes == 0, "a probe changed the state {changes} times");
    Ok(())
}

/// The attacker is a server itself: its first instruction writes to a disk in use.
pub fn first_instruction() -> Result<()> {
    let disk = {
        idle()?;
        mounted_disk("first")?
    };
    let dir = PathBuf::from(SCRATCH).join("first");
    fs::create_dir_all(&dir).context("making a directory")?;
    for name in ["anything", "mariadbd", "mysqld", "postgres"] {
        elf::write(&dir.join(name), &disk.node)?;
    }
    let mark = audit::mark();
    for round in 0..3 {
        for name in ["mariadbd", "mysqld", "postgres"] {
            idle()?;
            let before = Snapshot::take(&disk)?;
            let code = status_of(&dir.join(name))?;
            before
                .unchanged()
                .with_context(|| format!("round {round}: THE FIRST ACT OF {name} SUCCEEDED"))?;
            ensure!(
                code == libc::EPERM,
                "round {round}: {name} ended with {code}, not with EPERM (1)"
            );
        }
    }
    audit::wait_refusal(mark, &[disk.numbers()?], &["raw-write"])?;
    // The same instructions under a name that is no server's: they do write, so the above is proof.
    idle()?;
    let before = Snapshot::take(&disk)?;
    let code = status_of(&dir.join("anything"))?;
    ensure!(
        code == 0,
        "the program itself does not work: it ended with {code}"
    );
    ensure!(
        before.changed()?.0 != 0,
        "the program itself does not work: no byte changed"
    );
    shell::must("umount /mnt/first").map(drop)
}

fn status_of(program: &Path) -> Result<i32> {
    let status = std::process::Command::new(program)
        .status()
        .with_context(|| format!("starting {}", program.display()))?;
    status.code().context("it was killed")
}

/// A disk that is mounted is in use, and what is in use on a database host is protected; what is
/// no longer in use is free again.
pub fn new_mount() -> Result<()> {
    armed()?;
    let disk = fixture::memory_disk("new-mount", 48)?;
    guard::wait_free(&disk.node)?;
    Script::new("mkfs.ext4 -q -F $D; mkdir -p /mnt/new; mount $D /mnt/new")
        .with("D", disk.path())
        .must()?;
    let mounted = Instant::now();
    let mut open = 0;
    while crate::native::open(&disk.node, false, true, 0).is_ok() {
        open += 1;
        ensure!(
            mounted.elapsed() < Duration::from_secs(5),
            "a mounted disk is still open to writes"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    crate::harness::run::say(&format!(
        "# a new mount was protected {} ms after mount(8) had ended ({open} looks before)",
        mounted.elapsed().as_millis()
    ));
    shell::must("umount /mnt/new")?;
    guard::wait_free(&disk.node)?;
    write::pwrite(&disk.node).context("writing to the disk once it is unmounted")?;
    fixture::drop_memory_disk("new-mount")
}

/// A server that is started on a new disk makes it critical, and it stays so after the server's
/// end and the disk's unmounting.
pub fn database_on_a_new_disk() -> Result<()> {
    armed()?;
    let disk = mounted_disk("new-data")?;
    let mark = audit::mark();
    Script::new(
        "mount -o remount,rw /mnt/new-data; mkdir -p /mnt/new-data/db; echo x >/mnt/new-data/db/ibdata1
         cp $(command -v tail) $DIR/mysqld; cd /mnt/new-data/db
         setsid $DIR/mysqld -f /mnt/new-data/db/ibdata1 >/dev/null 2>&1 & echo $! >$DIR/mysqld.pid; sleep 3",
    )
    .with("DIR", SCRATCH)
    .must()?;
    audit::wait(mark, "the start of the new server", |record| {
        record.is_kind("process") && record.text("/engine") == "mysql"
    })?;
    guard::wait_guarded(&disk.node)?;
    shell::must(&format!(
        "kill $(cat {SCRATCH}/mysqld.pid); sleep 1; umount /mnt/new-data"
    ))?;
    std::thread::sleep(Duration::from_secs(2));
    let before = Snapshot::take(&disk)?;
    let tried = write::pwrite(&disk.node);
    before
        .unchanged()
        .context("a write to a database's unmounted disk SUCCEEDED")?;
    ensure!(
        tried.is_err(),
        "a write to a database's unmounted disk SUCCEEDED"
    );
    Ok(())
}
