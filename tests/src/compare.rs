//! The same acts against disks in use, whatever guards them: how many harm, and how many do not.
//!
//! The disks are in use as a database's are: partitioned, mounted, marked where dbguard is there to
//! be told. An act has harmed when bytes of the disk differ afterwards, or, where its effect is not
//! in the bytes, when it succeeded. What was harmed is put back before the next act.

use anyhow::{Context, Result, ensure};

use crate::acts::{self, Act, Effect, Target, block, container, content, nvme, scsi, stacked};
use crate::harness::disk::Disk;
use crate::harness::image::Image;
use crate::harness::shell::{self, Script};
use crate::harness::{guard, snapshot::Snapshot};
use crate::suites::fixture;

/// A disk that is used, and what is done to it.
struct Victim {
    /// Its role in the guest.
    role: &'static str,
    /// Acts on the whole disk.
    whole: &'static [&'static [Act]],
    /// Acts on its mounted partition.
    partition: &'static [&'static [Act]],
}

const VICTIMS: &[Victim] = &[
    Victim {
        role: "spare1",
        whole: &[
            block::CORE,
            content::TABLES,
            scsi::ACTS,
            stacked::ACTS,
            container::ACTS,
        ],
        partition: &[block::CORE, block::WRITERS, block::RANGES, content::MAKERS],
    },
    Victim {
        role: "spare2",
        whole: &[block::CORE, nvme::ACTS],
        partition: &[],
    },
];

/// One disk in use.
struct Used {
    whole: Disk,
    partition: Disk,
    point: String,
    image: Image,
}

impl Used {
    /// Partitions, fills, mounts.
    fn make(role: &str) -> Result<Self> {
        let whole = Disk::role(role)?;
        let point = format!("/srv/{role}");
        Script::new(
            "set -e; wipefs -qaf $DEV; printf 'label: gpt\\nsize=96MiB\\n' | sfdisk -q --wipe always $DEV; \
             udevadm settle; mkdir -p $DIR/files $AT; head -c 8M /dev/urandom >$DIR/files/rows; \
             mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 -d $DIR/files $PART; sync $DEV",
        )
        .with("DEV", whole.path())
        .with("PART", whole.partition_path(1).display().to_string())
        .with("AT", &point)
        .with("DIR", acts::SCRATCH)
        .limit(90)
        .must()?;
        let used = Self {
            image: Image::take(&whole)?,
            partition: whole.partition(1)?,
            whole,
            point,
        };
        used.mount()?;
        Ok(used)
    }

    fn mount(&self) -> Result<()> {
        Script::new("mount -o ro $PART $AT")
            .with("PART", self.partition.path())
            .with("AT", &self.point)
            .must()
            .map(drop)
    }

    /// Puts everything back that an act may have changed.
    fn mend(&self) -> Result<()> {
        Script::new("udevadm settle; umount -l $AT || true; blockdev --setrw $DEV $PART || true")
            .with("AT", &self.point)
            .with("DEV", self.whole.path())
            .with("PART", self.partition.path())
            .must()?;
        self.image.restore()?;
        shell::must("udevadm settle")?;
        self.mount()
    }
}

/// What became of one act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Blocked,
    Harmed,
}

/// Performs every act; prints `@vector NAME blocked|harmed` for each.
pub fn run() -> Result<()> {
    fixture::load_modules()?;
    acts::prepare_scratch()?;
    shell::must(container::MAKE_ROOT)?;
    for victim in VICTIMS {
        let used = Used::make(victim.role)?;
        if !guard::is_off() {
            shell::must(&format!("dbguard mark --data {}", used.point))?;
            guard::wait_guarded(&used.whole.node)?;
        }
        let whole = Target::disk(used.whole.clone());
        let partition = Target::partition(&used.whole, 1)?;
        for (target, lists, what) in [
            (&whole, victim.whole, "disk"),
            (&partition, victim.partition, "partition"),
        ] {
            for act in lists.iter().copied().flatten() {
                if matches!(act.effect, Effect::None(_)) {
                    continue;
                }
                let outcome = perform(act, target, &used)
                    .with_context(|| format!("{} on {}", act.name, target.disk.path()))?;
                println!(
                    "@vector {}-{what}::{} {}",
                    victim.role,
                    act.name,
                    match outcome {
                        Outcome::Blocked => "blocked",
                        Outcome::Harmed => "harmed",
                    }
                );
            }
        }
    }
    Ok(())
}

fn perform(act: &Act, target: &Target, used: &Used) -> Result<Outcome> {
    let before = used.image.snapshot()?;
    let ends = Snapshot::take(&used.whole)?;
    let result = act.perform(target);
    if let Err(error) = &result {
        ensure!(!format!("{error:#}").contains("MISSING TOOL"), "{error:#}");
    }
    let gone = !used.whole.node.exists() || !used.partition.node.exists();
    let changed = gone || before.changed()?.0 != 0 || ends.changed()?.0 != 0;
    let harmed = changed || (act.effect == Effect::Succeeds && result.is_ok());
    if !harmed {
        return Ok(Outcome::Blocked);
    }
    used.mend().context("putting the disk back")?;
    Ok(Outcome::Harmed)
}
