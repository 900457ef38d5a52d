//! Data by another name, and what only looks like it: a second path to a disk, a LUKS header on a
//! device of its own, a spare that was given a copy of a partition table.

use anyhow::{Context, Result, ensure};

use super::fixture;
use crate::acts;
use crate::harness::case::{Case, skip};
use crate::harness::disk::Disk;
use crate::harness::shell::{self, Script};
use crate::harness::snapshot::Snapshot;
use crate::harness::{audit, guard};

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case::prepare("prepare", || {
            guard::must_be_armed()?;
            fixture::load_modules()?;
            acts::prepare_scratch()
        }),
        Case::test("second-path", second_path).limit(150),
        Case::test("header-apart", header_apart).limit(150),
        // An allowance of the controller's, which no route carries.
        Case::test("spare-with-a-copied-table", copied_table)
            .limit(150)
            .on_each_kernel(),
        Case::clean_up("remove", || {
            shell::must("rmmod scsi_debug 2>/dev/null || true").map(drop)
        }),
    ]
}

/// Two SCSI disks in memory (drivers/scsi/scsi_debug.c), each on a host of its own.
fn scsi_disks(options: &str) -> Result<(Disk, Disk)> {
    let text = Script::new(
        "modprobe scsi_debug dev_size_mb=48 add_host=2 num_tgts=1 max_luns=1 delay=0 $O || { echo no scsi_debug; exit 77; }
         udevadm settle; ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*",
    )
    .with("O", options)
    .must()?;
    let mut disks = text
        .lines()
        .filter_map(|path| path.rsplit_once("/block/"))
        .map(|(_, name)| Disk::at(format!("/dev/{name}")));
    let (Some(first), Some(second)) = (disks.next(), disks.next()) else {
        return Err(skip(format!("not two disks: {text}")));
    };
    let (first, second) = (first?, second?);
    guard::wait_free(&first.node)?;
    guard::wait_free(&second.node)?;
    Ok((first, second))
}

/// Once udev has looked at what was written last.
fn take_away() -> Result<()> {
    shell::must("for i in $(seq 50); do rmmod scsi_debug && exit; sleep 0.2; done 2>&1; exit 1")
        .map(drop)
}

fn script<'a>(text: &'a str, one: &Disk, other: &Disk) -> Script<'a> {
    Script::new(text)
        .with("ONE", one.path())
        .with("OTHER", other.path())
        .with("DIR", acts::SCRATCH)
        .limit(60)
}

/// Performs an act on the free pair, where it must do something to `victim`.
fn proves(text: &str, one: &Disk, other: &Disk, victim: &Disk) -> Result<()> {
    let before = Snapshot::take(victim)?;
    let output = script(text, one, other).run()?;
    ensure!(
        output.succeeded() && before.unchanged().is_err(),
        "while free it changes nothing, so it proves nothing: {}",
        output.tail()
    );
    Ok(())
}

fn refused(text: &str, one: &Disk, other: &Disk, victim: &Disk) -> Result<()> {
    let before = Snapshot::take(victim)?;
    let mark = audit::mark();
    let output = script(text, one, other).run()?;
    before.unchanged().with_context(|| text.to_owned())?;
    ensure!(!output.succeeded(), "{text} claims to have succeeded");
    // By whichever node it was sent.
    audit::wait_refusal(mark, &[], &["raw-write", "passthrough"]).map(drop)
}

fn release(disks: &[&Disk]) -> Result<()> {
    for disk in disks {
        shell::must(&format!(
            "dbguard release --confirm-host \"$(uname -n)\" {}",
            disk.path()
        ))?;
    }
    Ok(())
}

/// Without multipath nothing joins the two paths but what the disk says of itself.
fn second_path() -> Result<()> {
    let (one, other) = scsi_disks("vpd_use_hostno=0")?;
    let acts = [
        "dd if=$DIR/junk64k of=$OTHER bs=64k count=4 oflag=direct conv=notrunc",
        "sg_dd if=$DIR/junk64k of=/dev/$(ls /sys/block/$(basename $OTHER)/device/scsi_generic) bs=512 count=8",
    ];
    for text in acts {
        proves(text, &one, &other, &one)?;
        script("wipefs -qaf $ONE; blkdiscard -fz $ONE", &one, &other).must()?;
    }
    script(
        "set -e; mkfs.ext4 -q -F $ONE; mkdir -p /mnt/path; mount $ONE /mnt/path; cp $DIR/junk64k /mnt/path/; sync -f /mnt/path
         dbguard mark --data /mnt/path",
        &one,
        &other,
    )
    .must()?;
    guard::wait_guarded(&other.node)?;
    for text in acts {
        refused(text, &one, &other, &one)?;
    }
    let why = guard::cli(&format!("check {}", other.path()))?.text;
    ensure!(
        // As it is, or as it is remembered: one drive, whichever was surveyed first.
        why.contains("another path to") || why.contains("carries /mnt/path"),
        "it does not say why: {why}"
    );
    script("umount /mnt/path", &one, &other).must()?;
    // Held, and by either name.
    refused("mkfs.ext4 -q -F $OTHER", &one, &other, &one)?;
    release(&[&one])?;
    guard::wait_free(&other.node)?;
    take_away()
}

/// Without its header an encrypted disk is noise.
fn header_apart() -> Result<()> {
    // Not memory disks: those udev does not look at again once they were written.
    let (header, data) = scsi_disks("per_host_store=1")?;
    let act = "dd if=$DIR/junk64k of=$OTHER bs=64k count=4 oflag=direct conv=notrunc";
    proves(act, &data, &header, &header)?;
    script(
        "set -e; wipefs -qaf $OTHER
         echo -n secret | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --header $OTHER $ONE -
         echo -n secret | cryptsetup -q open --header $OTHER --key-file - $ONE headless; udevadm settle
         mkfs.ext4 -q -F /dev/mapper/headless; mkdir -p /mnt/headless; mount /dev/mapper/headless /mnt/headless
         dbguard mark --data /mnt/headless",
        &data,
        &header,
    )
    .must()?;
    guard::wait_guarded(&header.node)?;
    refused(act, &data, &header, &header)?;
    refused("wipefs -qaf $OTHER", &data, &header, &header)?;
    script(
        "set -e; umount /mnt/headless; cryptsetup close headless; udevadm settle",
        &data,
        &header,
    )
    .must()?;
    refused(act, &data, &header, &header)?;
    release(&[&data, &header])?;
    guard::wait_free(&header.node)?;
    take_away()
}

/// A mirror's spare is given the table of the disk that it is to replace, identifiers and all.
fn copied_table() -> Result<()> {
    let (one, other) = scsi_disks("per_host_store=1")?;
    script(
        "set -e; printf 'label: gpt\\nsize=16MiB\\nsize=16MiB\\n' | sfdisk -q $ONE; udevadm settle
         mkfs.ext4 -q -F ${ONE}1; mkdir -p /mnt/copied; mount ${ONE}1 /mnt/copied; dbguard mark --data /mnt/copied",
        &one,
        &other,
    )
    .must()?;
    guard::wait_guarded(&one.node)?;
    let mark = audit::mark();
    let outcome = script(
        "set -e; sfdisk -d $ONE >$DIR/table; sfdisk -q $OTHER <$DIR/table; udevadm settle
         [ $(blkid -p -s PTUUID -o value $ONE) = $(blkid -p -s PTUUID -o value $OTHER) ]
         for i in $(seq 50); do dbguard check --for raw-write --quiet ${OTHER}1 && break; sleep 0.2; done
         mkfs.ext4 -q -F ${OTHER}1; mkdir -p /mnt/spare; mount ${OTHER}1 /mnt/spare; umount /mnt/spare
         wipefs -qaf ${OTHER}1; wipefs -qaf $OTHER",
        &one,
        &other,
    )
    .must();
    audit::allowed(mark, outcome)?;
    refused("wipefs -qaf $OTHER", &other, &one, &one)?;
    script("umount /mnt/copied", &one, &other).must()?;
    release(&[&one])?;
    guard::wait_free(&one.node)?;
    take_away()
}
