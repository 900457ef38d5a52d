//! The disk of the running database, whole and partition: acts change nothing that the database
//! does not change itself, and the database answers.

use anyhow::{Context, Result, ensure};

use super::fixture::Shared;
use crate::acts::{self, Act, Refusal, Target, block, content, nvme, stacked};
use crate::harness::case::{Breadth, Case, unless_skipped};
use crate::harness::disk::Disk;
use crate::harness::snapshot::{Snapshot, open_direct};
use crate::harness::{audit, db, guard, shell};
use crate::native::descriptor;

/// What never changes while the database runs.
#[derive(Clone)]
struct Fixed {
    /// Partition table and backup table.
    table: Snapshot,
    /// Boot block, magic number and identity of the file system.
    superblock: Vec<u8>,
    /// The table's checksum.
    rows: String,
}

const FILE_SYSTEM: &[Act] = &[
    Act::shell("e2fsck", "e2fsck -fy $DEV").refusal(Refusal::Harmless),
    Act::shell("tune2fs-journal", "tune2fs -f -O ^has_journal $DEV"),
    // On a mounted file system tune2fs asks the kernel (FS_IOC_SETFSLABEL), not the device.
    Act::shell(
        "tune2fs-label",
        "tune2fs -L hostile $DEV; tune2fs -L data $DEV",
    )
    .refusal(Refusal::Harmless),
    Act::shell(
        "debugfs-write",
        "debugfs -w -R 'rm ibdata1' $DEV 2>&1 | grep -q .",
    )
    .refusal(Refusal::DeniedQuietly),
    Act::shell("resize2fs-shrink", "resize2fs -f $DEV 64M").refusal(Refusal::Harmless),
    Act::node("swapon", descriptor::swap_on),
    Act::shell(
        "mount-elsewhere-and-dd",
        "dd if=$DIR/junk64k of=$DEV bs=64k seek=16 conv=fsync",
    ),
];

/// The cases.
pub fn cases() -> Vec<Case> {
    let shared: Shared<Fixed> = Shared::default();
    let mut cases = vec![{
        let shared = shared.clone();
        Case::prepare("prepare", move || {
            guard::must_be_armed()?;
            super::fixture::load_modules()?;
            acts::prepare_scratch()?;
            db::prepare()?;
            shared.set(fixed()?);
            Ok(())
        })
    }];
    // What runs once here runs everywhere on the disks of the suites `destruction-scsi` and -`nvme`.
    let whole = [
        (block::CORE, Breadth::Every),
        (block::RANGES, Breadth::Once),
        (content::TABLES, Breadth::Every),
        (nvme::ACTS, Breadth::Once),
        (stacked::ACTS, Breadth::Every),
    ];
    for (list, breadth) in whole {
        for act in list {
            let find = || Ok(Target::disk(Disk::role("data")?));
            cases.push(case("disk", act, find, shared.clone()).breadth(act.breadth(breadth)));
        }
    }
    cases.push(answers("disk-database-answers", shared.clone()));
    let part = [
        (block::CORE, Breadth::Every),
        (block::WRITERS, Breadth::Once),
        (content::MAKERS, Breadth::Once),
        (FILE_SYSTEM, Breadth::Every),
    ];
    for (list, breadth) in part {
        for act in list {
            let find = || Target::partition(&Disk::role("data")?, 1);
            cases.push(case("partition", act, find, shared.clone()).breadth(act.breadth(breadth)));
        }
    }
    cases.push(answers("partition-database-answers", shared.clone()));
    cases.push(
        Case::test("rows-on-disk", move || {
            db::query("FLUSH TABLES")?;
            shell::must("systemctl restart mariadb.service")?;
            db::wait()?;
            ensure!(
                db::checksum()? == shared.get()?.rows,
                "the rows have CHANGED"
            );
            Ok(())
        })
        .limit(200),
    );
    cases
}

fn case(
    prefix: &str,
    act: &'static Act,
    find: impl FnOnce() -> Result<Target> + Send + 'static,
    shared: Shared<Fixed>,
) -> Case {
    Case::test(format!("{prefix}-{}", act.name), move || {
        let (target, before) = (find()?, shared.get()?);
        let devices = if act.elsewhere {
            Vec::new()
        } else {
            target.devices()?
        };
        let mark = audit::mark();
        let outcome = unless_skipped(act.perform(&target))?;
        unchanged(&before)?;
        let text = match &outcome {
            Ok(()) => String::from("it succeeded"),
            Err(error) => format!("{error:#}"),
        };
        ensure!(!text.contains("MISSING TOOL"), "{text}");
        if act.refusal == Refusal::Harmless || tool_saw_use(&text) {
            return Ok(());
        }
        ensure!(
            outcome.is_err() || act.refusal == Refusal::DeniedQuietly,
            "nothing that is compared changed, yet the act says that it succeeded"
        );
        audit::wait_refusal(mark, &devices, act.ops)
            .with_context(|| format!("the act itself: {text}"))
            .map(drop)
    })
    .limit(act.limit * 2 + 40)
}

/// Some tools look before they leap: they see the mounted file system and never open the device.
/// Device-mapper and MD find it claimed by the mount.
fn tool_saw_use(text: &str) -> bool {
    [
        "is mounted",
        "contains a mounted",
        "apparently in use",
        "mounted filesystem",
        "in use and",
        "mounted device",
        "resource busy",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

fn answers(name: &str, shared: Shared<Fixed>) -> Case {
    Case::test(name, move || {
        ensure!(db::answers(), "the database does not answer");
        ensure!(
            db::checksum()? == shared.get()?.rows,
            "the rows have CHANGED"
        );
        shell::must("journalctl -k -b --no-pager | grep -E 'EXT4-fs error|I/O error.*nvme0' && exit 1; true")
            .map(drop)
    })
}

fn fixed() -> Result<Fixed> {
    let disk = Disk::role("data")?;
    let size = disk.size()?;
    let table = Snapshot::of(&disk.node, &[(0, 1 << 20), (size - (1 << 20), 1 << 20)])?;
    Ok(Fixed {
        table,
        superblock: superblock()?,
        rows: db::checksum()?,
    })
}

/// ext4: the boot block, `s_magic` and `s_uuid` (fs/ext4/ext4.h `struct ext4_super_block`).
fn superblock() -> Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let partition = Disk::role("data")?.partition(1)?;
    let mut buffer = crate::harness::snapshot::Aligned::new(4096);
    open_direct(&partition.node)?
        .read_exact_at(buffer.bytes_mut(), 0)
        .context("reading the superblock")?;
    let bytes = buffer.bytes();
    ensure!(
        bytes[0x438..0x43A] == [0x53, 0xEF],
        "no ext4 magic number on {}",
        partition.path()
    );
    Ok([&bytes[..1024], &bytes[0x438..0x43A], &bytes[0x468..0x478]].concat())
}

fn unchanged(before: &Fixed) -> Result<()> {
    before.table.unchanged().context("THE ACT SUCCEEDED")?;
    ensure!(
        superblock()? == before.superblock,
        "THE ACT SUCCEEDED: the superblock has CHANGED"
    );
    Ok(())
}
