//! Each act on a free device, where it must be effective, and on a protected one, where it must
//! change nothing and leave a record.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use super::fixture::{self, Shared};
use crate::acts::{
    self, Act, Effect, Refusal, Target, block, container, content, nvme, scsi, stacked,
};
use crate::harness::audit;
use crate::harness::case::{Breadth, Case, unless_skipped};
use crate::harness::disk::Disk;
use crate::harness::image::{self, Image};
use crate::harness::snapshot::{Snapshot, Sums};
use crate::harness::{guard, shell};

/// What a group of acts is done to.
struct Group {
    /// Prepares the device, free, and gives it.
    make: fn() -> Result<Target>,
    /// Puts the device's content back between control runs.
    reset: Reset,
    /// Makes the device protected.
    protect: fn(&Target) -> Result<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reset {
    /// Bytes that no tool knows.
    Fill,
    /// The content that `make` put there.
    Image,
}

#[derive(Clone)]
struct State {
    target: Target,
    image: Option<Arc<Image>>,
    sums: Option<Arc<Sums>>,
}

/// The virtio-scsi disk: every writer, discard, maker, namespace and stack, and SCSI passthrough.
pub fn scsi_disk() -> Vec<Case> {
    let group = Group {
        make: || blank("spare1"),
        reset: Reset::Fill,
        protect: |target| guard::mark_device(&target.disk.node),
    };
    let every = [
        block::CORE,
        block::RANGES,
        scsi::ACTS,
        stacked::ACTS,
        container::ACTS,
    ];
    build(&group, &every, &[block::WRITERS, content::MAKERS])
}

/// A disk with a partition table and seven kinds of content.
pub fn table() -> Vec<Case> {
    let group = Group {
        make: || {
            let disk = Disk::role("spare4")?;
            fixture::make_table(&disk, "vghold")?;
            Ok(Target::disk(disk))
        },
        reset: Reset::Image,
        protect: |target| {
            for number in 1..=7 {
                guard::mark_device(&target.whole.partition_path(number))?;
            }
            guard::wait_guarded(&target.whole.node)
        },
    };
    build(
        &group,
        &[],
        &[content::TABLES, content::HOLDINGS, scsi::PARTITION],
    )
}

/// The NVMe disk: the core acts and NVMe passthrough.
pub fn nvme_disk() -> Vec<Case> {
    let group = Group {
        make: || blank("spare2"),
        reset: Reset::Fill,
        protect: |target| guard::mark_device(&target.disk.node),
    };
    build(&group, &[block::CORE, nvme::ACTS], &[])
}

/// The virtio-blk disk: the core acts.
pub fn virtio_disk() -> Vec<Case> {
    let group = Group {
        make: || blank("spare3"),
        reset: Reset::Fill,
        protect: |target| guard::mark_device(&target.disk.node),
    };
    build(&group, &[], &[block::CORE])
}

/// A physical volume below a mounted logical volume: the core acts, LVM's own verbs.
pub fn volume() -> Vec<Case> {
    let group = Group {
        make: || memory("crit-pv"),
        reset: Reset::Fill,
        protect: |target| {
            let script = "set -e; \
                 pvcreate -q -ff -y $DEV; vgcreate -q vgcrit $DEV; \
                 lvcreate -q -y -Zn -Wn -L 32M -n lvcrit vgcrit; mkfs.ext4 -q -F /dev/vgcrit/lvcrit; \
                 mkdir -p /mnt/lvcrit; mount -o ro /dev/vgcrit/lvcrit /mnt/lvcrit; \
                 udevadm settle; sync $DEV; dbguard mark --data /mnt/lvcrit";
            shell::Script::new(script)
                .with("DEV", target.disk.path())
                .limit(90)
                .must()?;
            guard::wait_guarded(&target.disk.node)
        },
    };
    let mut cases = build(&group, &[block::CORE, stacked::LVM], &[]);
    let upper = || Ok(Target::plain(Disk::at("/dev/vgcrit/lvcrit")?));
    cases.extend(upper_device("lv", upper, &[block::CORE]));
    cases.push(Case::clean_up("remove", || {
        shell::must("umount /mnt/lvcrit; vgchange -q -an vgcrit").map(drop)
    }));
    cases
}

/// A member of an array: the core acts on the member and on the array.
pub fn array() -> Vec<Case> {
    let group = Group {
        make: || memory("crit-md-a"),
        reset: Reset::Fill,
        protect: |target| {
            let other = fixture::memory_disk("crit-md-b", 96)?;
            let script = "set -e; udevadm settle; dbguard settle $DEV $OTHER; \
                 mdadm -q --create /dev/md/crit --run --assume-clean --metadata=1.2 --level=1 \
                 --raid-devices=2 --homehost=any $DEV $OTHER </dev/null; udevadm settle; \
                 mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 /dev/md/crit; \
                 mkdir -p /mnt/mdcrit; mount -o ro /dev/md/crit /mnt/mdcrit; udevadm settle; \
                 sleep 2; mdadm --readonly /dev/md/crit || true; sync $DEV";
            shell::Script::new(script)
                .with("DEV", target.disk.path())
                .with("OTHER", other.path())
                .limit(90)
                .must()?;
            guard::wait_guarded(&target.disk.node)
        },
    };
    let mut cases = build(&group, &[block::CORE, MEMBER], &[]);
    let upper = || Ok(Target::plain(Disk::at("/dev/md/crit")?));
    cases.extend(upper_device("md", upper, &[block::CORE]));
    cases.push(Case::test("two-failed-at-once", two_members_at_once).limit(180));
    cases.push(Case::clean_up("remove", || {
        shell::must(LOSS_ENDS)?;
        shell::must("umount /mnt/mdcrit && udevadm settle && mdadm --stop /dev/md/crit").map(drop)
    }));
    cases
}

/// What MD's own tool does to a member and to the array.
const MEMBER: &[Act] = &[
    Act::shell(
        "mdadm-zero-superblock",
        "mdadm --zero-superblock --force $DEV",
    )
    .effect(Effect::None("belongs to the fixture"))
    .refusal(Refusal::Harmless),
    Act::shell("mdadm-stop", "mdadm --stop /dev/md/crit")
        .effect(Effect::None("belongs to the fixture"))
        .ops(&["detach"])
        .refusal(Refusal::Harmless),
    // MD's own files do the rest of what `--grow` can: cut it, and take away its redundancy.
    Act::shell(
        "mdadm-array-size",
        "before=$(blockdev --getsize64 /dev/md/crit); mdadm --grow /dev/md/crit --array-size=4M; \
         [ $(blockdev --getsize64 /dev/md/crit) != $before ]",
    )
    .effect(Effect::None("belongs to the fixture"))
    .ops(&["detach"])
    .elsewhere(),
    Act::shell(
        "mdadm-level-0",
        "mdadm --grow /dev/md/crit --level=0; mdadm --detail /dev/md/crit | grep -q raid0",
    )
    .effect(Effect::None("belongs to the fixture"))
    .ops(&["detach", "remap"])
    .elsewhere(),
];

const SPARE_MEMBER: &str = "set -eu
    modprobe raid456
    mdadm -q --create /dev/md/five --run --assume-clean --metadata=1.2 --level=5 --raid-devices=3 \
        --homehost=any $A $B $C </dev/null; udevadm settle
    mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 /dev/md/five
    mkdir -p /mnt/mdfive; mount /dev/md/five /mnt/mdfive; seq 20000 >/mnt/mdfive/rows; sync -f /mnt/mdfive";
/// What is left of it serves.
const LOSS: &str = "set -eu
    mdadm /dev/md/five --fail $A --fail $B 2>&1 && echo both || true
    [ $(cat /sys/class/block/$(basename $(readlink -f /dev/md/five))/md/degraded) = 1 ]
    echo 3 >/proc/sys/vm/drop_caches; seq 20000 | cmp - /mnt/mdfive/rows
    echo more >/mnt/mdfive/more; sync -f /mnt/mdfive";
const LOSS_ENDS: &str = "umount /mnt/mdfive; udevadm settle
    for i in $(seq 50); do [ -e /dev/md/five ] || break; mdadm --stop /dev/md/five 2>&1 || sleep 0.2; done
    [ ! -e /dev/md/five ]";

/// Two members of an array that can spare one, failed by one command.
fn two_members_at_once() -> Result<()> {
    let disks = [("A", "crit-md-c"), ("B", "crit-md-d"), ("C", "crit-md-e")];
    let script = |text| -> Result<shell::Script<'_>> {
        let mut script = shell::Script::new(text).limit(120);
        for (variable, name) in disks {
            script = script.with(variable, fixture::memory_disk(name, 48)?.path());
        }
        Ok(script)
    };
    script(SPARE_MEMBER)?.must()?;
    guard::wait_guarded(&Disk::at("/dev/md/five")?.node)?;
    let mark = audit::mark();
    let said = script(LOSS)?.must()?;
    ensure!(!said.contains("both"), "both were failed: {said}");
    audit::wait_refusal(mark, &[], &["detach"]).map(drop)
}

/// What a file system keeps beside: an ext4's journal and an XFS's log and realtime volume, each on a
/// disk of its own.
pub fn beside() -> Vec<Case> {
    let group = Group {
        make: || memory("crit-journal"),
        reset: Reset::Fill,
        protect: |target| {
            let disk = |name| fixture::memory_disk(name, 96).map(|disk| disk.path());
            let script = "set -e; wipefs -qa $DEV; sync $DEV
                 mke2fs -q -F -b 4096 -O journal_dev $DEV; mkfs.ext4 -q -F -b 4096 -J device=$DEV $EXT
                 mkdir -p /mnt/besideext /mnt/besidexfs; mount -o ro $EXT /mnt/besideext
                 QA_CHECK_FS=1 TEST_DIR=/x TEST_DEV=/y mkfs.xfs -q -f -s size=4096 \
                     -l logdev=$LOG,size=16m,sectsize=4096 -r rtdev=$RT $XFS
                 mount -o ro,logdev=$LOG,rtdev=$RT $XFS /mnt/besidexfs
                 udevadm settle; sync $DEV";
            shell::Script::new(script)
                .with("DEV", target.disk.path())
                .with("EXT", disk("crit-ext")?)
                .with("XFS", disk("crit-xfs")?)
                .with("LOG", disk("crit-log")?)
                .with("RT", disk("crit-rt")?)
                .limit(90)
                .must()?;
            for name in ["crit-log", "crit-rt"] {
                guard::wait_guarded(&fixture::memory_disk(name, 96)?.node)?;
            }
            guard::wait_guarded(&target.disk.node)
        },
    };
    let mut cases = build(&group, &[block::CORE], &[]);
    for (prefix, name) in [("log", "crit-log"), ("rt", "crit-rt")] {
        let disk = move || Ok(Target::plain(fixture::memory_disk(name, 96)?));
        cases.extend(upper_device(prefix, disk, &[block::CORE]));
    }
    cases.push(Case::clean_up("remove", || {
        shell::must("umount /mnt/besideext /mnt/besidexfs").map(drop)
    }));
    cases
}

/// A whole spare disk, blank and free.
fn blank(role: &str) -> Result<Target> {
    let target = Target::disk(Disk::role(role)?);
    guard::wait_free(&target.disk.node)?;
    Ok(target)
}

fn memory(name: &str) -> Result<Target> {
    let disk = fixture::memory_disk(name, 96)?;
    guard::wait_free(&disk.node)?;
    Ok(Target::plain(disk))
}

/// The cases of a group: the acts of `every` are tried on each configuration, those of `once` on
/// one. That an act is one, on a free device, is shown once.
fn build(group: &Group, every: &[&'static [Act]], once: &[&'static [Act]]) -> Vec<Case> {
    let shared: Shared<State> = Shared::default();
    let of = |lists: &[&'static [Act]], breadth| -> Vec<(&'static Act, Breadth)> {
        let acts = lists.iter().copied().flatten();
        acts.map(|act| (act, breadth)).collect()
    };
    let mut acts = of(every, Breadth::Every);
    acts.extend(of(once, Breadth::Once));
    let mut cases = vec![prepare(group.make, group.reset, shared.clone())];
    for (act, _) in &acts {
        if !matches!(act.effect, Effect::None(_)) {
            cases.push(control(act, group.reset, shared.clone()).once());
        }
    }
    cases.push(protect(group.protect, group.reset, shared.clone()));
    for (act, breadth) in acts {
        let shared = shared.clone();
        cases.push(
            Case::test(act.name, move || guarded(act, &shared.get()?.target))
                .limit(act.limit * 2 + 40)
                .breadth(breadth),
        );
    }
    let end = Case::test("every-byte", move || every_byte(&shared.get()?));
    cases.push(if every.is_empty() { end.once() } else { end });
    cases
}

/// The same acts on a device above the prepared one.
fn upper_device(
    prefix: &'static str,
    find: impl Fn() -> Result<Target> + Clone + Send + 'static,
    lists: &[&'static [Act]],
) -> Vec<Case> {
    lists
        .iter()
        .copied()
        .flatten()
        .enumerate()
        .map(|(at, act)| {
            let find = find.clone();
            Case::test(format!("{prefix}-{}", act.name), move || {
                guarded(act, &find()?)
            })
            .limit(act.limit * 2 + 40)
            .breadth(Breadth::of_sample(at))
        })
        .collect()
}

fn prepare(make: fn() -> Result<Target>, reset: Reset, shared: Shared<State>) -> Case {
    Case::prepare("prepare", move || {
        guard::must_be_armed_or_off()?;
        fixture::load_modules()?;
        acts::prepare_scratch()?;
        shell::must(container::MAKE_ROOT)?;
        let target = make()?;
        watched(&target, false)?;
        let image = match reset {
            Reset::Fill => None,
            Reset::Image => Some(Arc::new(Image::take(&target.whole)?)),
        };
        shared.set(State {
            target,
            image,
            sums: None,
        });
        Ok(())
    })
}

/// Whether `udev` looks at a device again whenever somebody who could write to it has closed it
/// (udev(7), `OPTIONS`, `watch`). While acts are tried on a free device that is what most of the
/// time goes into; before the device is protected all is as on any host.
fn watched(target: &Target, watched: bool) -> Result<()> {
    const RULES: &str = "/run/udev/rules.d/99-guest-suite.rules";
    let script = if watched {
        "rm -f $RULES; udevadm control --reload; udevadm settle"
    } else {
        "mkdir -p ${RULES%/*}
         echo \"SUBSYSTEM==\\\"block\\\", KERNEL==\\\"$NAME*\\\", OPTIONS+=\\\"nowatch\\\"\" >$RULES
         udevadm control --reload"
    };
    let again = "; udevadm trigger --settle --action=change /dev/$NAME";
    shell::Script::new(&format!("{script}{again}"))
        .with("RULES", RULES)
        .with("NAME", &target.whole.name)
        .limit(60)
        .must()
        .map(drop)
}

/// On the free device: the act succeeds and does what it is feared for.
fn control(act: &'static Act, reset: Reset, shared: Shared<State>) -> Case {
    Case::test(format!("free-{}", act.name), move || {
        let state = shared.get()?;
        match (&state.image, reset) {
            (Some(image), Reset::Image) => image.restore()?,
            _ => image::fill(&state.target.disk)?,
        }
        let before = snapshot(&state)?;
        let mark = audit::mark();
        act.perform(&state.target).context("on a free device")?;
        shell::must("udevadm settle")?;
        let (changed, _) = before.changed()?;
        ensure!(
            changed != 0 || act.effect != Effect::Bytes,
            "the act is none: it changed no byte of a free device"
        );
        audit::nothing_refused(mark)
    })
    .limit(act.limit * 2 + 40)
}

fn protect(make: fn(&Target) -> Result<()>, reset: Reset, shared: Shared<State>) -> Case {
    Case::prepare("protect", move || {
        guard::must_be_on()?;
        let mut state = shared.get()?;
        match (&state.image, reset) {
            (Some(image), Reset::Image) => image.restore()?,
            _ => image::fill(&state.target.disk)?,
        }
        watched(&state.target, true)?;
        make(&state.target)?;
        state.sums = Some(Arc::new(Sums::take(&state.target.whole)?));
        shared.set(state);
        Ok(())
    })
}

/// Both ends and places in between; with a partition table also the beginning of each partition.
fn snapshot(state: &State) -> Result<Snapshot> {
    match &state.image {
        Some(image) => image.snapshot(),
        None => Snapshot::take(&state.target.disk),
    }
}

/// On the protected device: nothing changes, and the record says so.
pub fn guarded(act: &Act, target: &Target) -> Result<()> {
    let devices = if act.elsewhere {
        Vec::new()
    } else {
        target.devices()?
    };
    let before = Snapshot::take(&target.whole)?;
    let is_whole = target.disk.name == target.whole.name;
    let on_node = if is_whole {
        None
    } else {
        Some(Snapshot::take(&target.disk)?)
    };
    let mark = audit::mark();
    let outcome = unless_skipped(act.perform(target))?;
    if let Err(error) = &outcome
        && format!("{error:#}").contains("MISSING TOOL")
    {
        bail!("{error:#}");
    }
    before.unchanged().context("THE ACT SUCCEEDED")?;
    on_node
        .map_or(Ok(()), |node| node.unchanged())
        .context("THE ACT SUCCEEDED")?;
    match act.refusal {
        Refusal::Denied => {
            ensure!(
                outcome.is_err(),
                "no byte changed, yet the act says that it succeeded"
            );
            audit::wait_refusal(mark, &devices, act.ops).with_context(|| error_text(&outcome))?;
        }
        Refusal::DeniedQuietly => {
            audit::wait_refusal(mark, &devices, act.ops).with_context(|| error_text(&outcome))?;
        }
        Refusal::Harmless => {}
    }
    Ok(())
}

/// How the act itself ended, for the message about a missing record.
fn error_text(outcome: &Result<()>) -> String {
    match outcome {
        Ok(()) => "the act itself succeeded".to_owned(),
        Err(error) => format!("the act itself ended so: {error:#}"),
    }
}

fn every_byte(state: &State) -> Result<()> {
    let before = state.sums.as_ref().context("not protected yet")?;
    let now = Sums::take(&state.target.whole)?;
    let differing = before.differing(&now);
    ensure!(
        differing.is_empty(),
        "{}: CHANGED in MiB {:?} of {}",
        state.target.whole.path(),
        &differing[..differing.len().min(10)],
        state.target.whole.size()? >> 20
    );
    Ok(())
}
