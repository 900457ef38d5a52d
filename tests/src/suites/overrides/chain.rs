//! From a refusal to the act, and what is not opened by it.

use anyhow::{Context, Result, ensure};

use super::{all_closed, beside, granted, must, refused};
use crate::harness::audit;
use crate::harness::snapshot::Snapshot;

/// The transcript: refused, asked, signed on another machine with ssh-keygen alone, applied, done once.
pub fn wipe_once() -> Result<()> {
    let disk = granted()?;
    must("dd if=$DIR/junk64k of=$DEV bs=64k count=1 2>/dev/null && exit 1; exit 0")?;
    let before = Snapshot::take(&disk)?;
    let mark = audit::mark();
    let event = must("wipefs -a $DEV 2>/dev/null && exit 1; dd if=/dev/zero of=$DEV bs=1M count=1 2>/dev/null && exit 1; exit 0")
        .and_then(|_| audit::wait_refusal(mark, &[], &["raw-write"]))?;
    before.unchanged()?;
    let event = event.text("/event").to_owned();
    let mark = audit::mark();
    let text = must(&format!(
        "ask {event} || {{ cat told; exit 1; }}
         grep -q 'dbguard override apply r.txt r.txt.sig' told || exit 2
         grep -q '^event: {event}$' r.txt || exit 3
         sign alice; G=$(apply alice.sig) || exit 4; echo \"G=$G\"
         dbguard exec --grant $G -- dd if=$DIR/junk64k of=$DEV bs=64k count=1 conv=fsync 2>/dev/null || exit 5
         dbguard exec --grant $G -- dd if=/dev/zero of=$DEV bs=64k count=1 conv=fsync; echo again=$?"
    ))?;
    ensure!(text.contains("again=77"), "a second use: {text}");
    ensure!(before.unchanged().is_err(), "nothing was written: {text}");
    let grant = text
        .lines()
        .find_map(|line| line.strip_prefix("G="))
        .context("no grant")?
        .to_owned();
    let step = |step: &'static str| {
        audit::wait(mark, step, |record| {
            record.is_kind("override") && record.text("/step") == step
        })
    };
    step("requested")?;
    let opened = step("opened")?;
    ensure!(opened.text("/signers/0/person") == "alice@example.com");
    ensure!(opened.text("/incident") == "INC-1" && opened.text("/event") == event);
    step("used")?;
    step("closed")?;
    let told = audit::wait(mark, "the act itself", |record| {
        record.text("/decision") == "granted"
    })?;
    ensure!(told.text("/grant/id") == grant && told.text("/grant/incident") == "INC-1");
    // Each open once, whatever sees it.
    let acts = audit::since(mark)?;
    let acts = acts
        .iter()
        .filter(|record| record.text("/decision") == "granted");
    ensure!(acts.count() == 1, "more than the one open was told");
    let after = Snapshot::take(&disk)?;
    must("dd if=/dev/zero of=$DEV bs=64k count=1 conv=fsync 2>/dev/null && exit 1; exit 0")?;
    after.unchanged()?;
    all_closed()
}

/// While a command runs under a grant: another disk, the same disk for others, other operations.
pub fn nothing_beside_it() -> Result<()> {
    let (disk, other) = (granted()?, beside()?);
    let (before, others) = (Snapshot::take(&disk)?, Snapshot::take(&other)?);
    let text = must(
        "G=$(open --device $DEV --op raw-write --uses 2) || exit 1
         W='bs=64k count=1 conv=fsync,notrunc'
         dbguard exec --grant $G -- sh -c \"dd if=$DIR/junk64k of=$OTHER $W; echo other=\\$?; dd if=$DIR/junk64k of=/dev/by-role/none $W 2>/dev/null; sg_raw -r 0 /dev/null 00 2>/dev/null; echo b >/proc/sysrq-trigger; echo reset=\\$?; blockdev --setro $DEV; echo ro=\\$?; dmsetup create over --table \\\"0 8 linear $DEV 0\\\"; echo remap=\\$?; exec sleep 1000\" >inside 2>&1 &
         for i in $(seq 100); do grep -q remap= inside && break; sleep 0.1; done; cat inside
         dd if=$DIR/junk64k of=$DEV $W 2>/dev/null; echo outside=$?
         su -s /bin/sh root -c \"dd if=$DIR/junk64k of=$DEV $W\" 2>/dev/null; echo shell=$?
         systemd-run -q --wait --pipe dd if=$DIR/junk64k of=$DEV $W 2>/dev/null; echo unit=$?
         dbguard override revoke $G; pkill -x sleep; wait; exit 0",
    )?;
    for act in ["other", "reset", "ro", "remap", "outside", "shell", "unit"] {
        let ended = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{act}=")));
        ensure!(
            ended.is_some_and(|status| status != "0"),
            "{act} was let through: {text}"
        );
    }
    others.unchanged()?;
    before.unchanged()?;
    all_closed()
}

/// A replaced disk is put to use: a new table, and file systems on partitions that were not there.
pub fn partition_and_mkfs() -> Result<()> {
    let disk = granted()?;
    must(
        "G=$(open --device $DEV --op raw-write) || exit 1
         dbguard exec --grant $G -- sh -ec 'wipefs -qaf $DEV; printf \"label: gpt\\nsize=20MiB\\nsize=20MiB\\n\" | sfdisk -q --wipe always $DEV; udevadm settle
            P=$(ls $DEV?* | head -1); mkfs.ext4 -q -F $P; mkfs.xfs -q -f $(ls $DEV?* | tail -1) 2>/dev/null || mkfs.ext4 -q -F $(ls $DEV?* | tail -1); blkid $P' || exit 2",
    )?;
    all_closed()?;
    let before = Snapshot::take(&disk)?;
    must(
        "for p in $DEV?*; do mkfs.ext4 -q -F $p 2>/dev/null && exit 1; done; sfdisk -q --delete $DEV 2>/dev/null && exit 2; exit 0",
    )?;
    before.unchanged()?;
    must("G=$(open --device $DEV --op discard) && dbguard exec --grant $G -- sh -ec 'wipefs -qaf $DEV; blkdiscard -f $DEV 2>/dev/null || true; blockdev --rereadpt $DEV; udevadm settle'")
        .map(drop)
}

/// What a grant for content does not open, and one for commands to the drive does.
pub fn passthrough() -> Result<()> {
    let text = must(
        "modprobe scsi_debug dev_size_mb=16 delay=0 || { echo no scsi_debug; exit 77; }
         udevadm settle; D=/dev/$(ls /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block | tail -1)
         for i in $(seq 50); do dbguard check $D >/dev/null && break; sleep 0.1; done
         dbguard mark --device $D || exit 1
         unmap='sg_unmap --lba=0 --num=8 --force'
         $unmap $D 2>/dev/null; echo closed=$?
         G=$(open --device $D --op raw-write) || exit 2
         dbguard exec --grant $G -- $unmap $D 2>/dev/null; echo content=$?
         dbguard override revoke $G >/dev/null 2>&1
         G=$(open --device /dev/$(ls /sys/block/$(basename $D)/device/scsi_generic) --op passthrough --op raw-write) || exit 3
         dbguard exec --grant $G -- $unmap $D; echo drive=$?
         dbguard release --confirm-host $(uname -n) $D
         for i in $(seq 50); do rmmod scsi_debug 2>/dev/null && break; sleep 0.2; done; exit 0",
    )?;
    let of = |act: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(&format!("{act}=")).map(str::to_owned))
    };
    ensure!(of("closed").is_some_and(|status| status != "0"), "{text}");
    ensure!(of("content").is_some_and(|status| status != "0"), "{text}");
    ensure!(of("drive").as_deref() == Some("0"), "{text}");
    all_closed()
}

/// What is done to the host, on which a database runs: a boot file.
pub fn of_the_host() -> Result<()> {
    let text = must(
        "F=/boot/vmlinuz-$(uname -r); [ -e $F ] || F=$(ls /boot/vmlinuz* | head -1); S=$(sha256sum <$F)
         printf x >>$F && exit 1
         both --host --op boot-file || exit 2
         dbguard exec --grant $G -- sh -ec \"cp $F /run/laptop/kernel; printf x >>$F; cat /run/laptop/kernel >$F\" || exit 3
         [ \"$S\" = \"$(sha256sum <$F)\" ] || exit 4
         printf x >>$F && exit 5
         both --host --op boot-file || exit 6
         dbguard exec --grant $G -- dd if=$DIR/junk64k of=$DEV bs=64k count=1 2>/dev/null; echo disk=$?",
    )?;
    ensure!(
        text.contains("disk=1"),
        "a boot-file grant opened a disk: {text}"
    );
    all_closed()
}

/// The chain is exercised and recorded, and opens nothing.
pub fn drill() -> Result<()> {
    let mark = audit::mark();
    must(
        "rm -f r.txt; dbguard override drill --incident DRILL-1 --reason quarterly >r.txt 2>/dev/null || exit 1
         grep -q '^opens: nothing$' r.txt || exit 2
         sign alice; dbguard override apply r.txt alice.sig | tee applied; grep -q 'nothing was opened' applied || exit 3",
    )?;
    audit::wait(mark, "a drill", |record| {
        record.is_kind("override") && record.text("/step") == "drilled"
    })?;
    refused("dbguard override apply r.txt alice.sig 2>&1", 77, "already")?;
    all_closed()
}
