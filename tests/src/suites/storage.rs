//! Volumes and arrays under a live database's data: grown, copied, mended while armed.

use super::fixture;
use super::legitimate::{Work, work};
use crate::acts;
use crate::harness::case::Case;
use crate::harness::shell::{self, Script};
use crate::harness::{audit, guard};

const VOLUMES: &[Work] = &[
    work(
        "snapshot-backup",
        90,
        "lvcreate -q -y -s -L 16M -n snap vglive/data; mkdir -p /mnt/snap; mount -o ro /dev/vglive/snap /mnt/snap; cmp /mnt/snap/rows /mnt/live/rows; cp /mnt/snap/rows $DIR/rows; umount /mnt/snap; lvremove -q -f vglive/snap; ! [ -e /dev/vglive/snap ]",
    ),
    work(
        "snapshot-removed-by-path",
        90,
        "lvcreate -q -y -s -L 16M -n snap2 vglive/data; lvremove -q -f -y /dev/vglive/snap2",
    ).once(),
    work(
        "lvextend-resize",
        90,
        "before=$(blockdev --getsize64 /dev/vglive/data); lvextend -q -r -L +16M vglive/data; [ $(blockdev --getsize64 /dev/vglive/data) -gt $before ]; [ $(df --output=size -B1M /mnt/live | tail -1) -gt 50 ]",
    ),
    work(
        "lvextend-then-resize2fs",
        90,
        "lvextend -q -L +8M vglive/data; resize2fs /dev/vglive/data",
    ).once(),
    work(
        "vgextend",
        90,
        "pvcreate -q -ff -y $THIRD; vgextend -q vglive $THIRD; lvextend -q -L +8M vglive/data $THIRD; pvs --noheadings -o vg_name $THIRD | grep -q vglive",
    ).once(),
    work(
        "new-volume-and-mkfs-at-once",
        90,
        "lvcreate -q -y -L 16M -n fresh vglive && mkfs.ext4 -q -F /dev/vglive/fresh; mount /dev/vglive/fresh /mnt/snap; umount /mnt/snap; lvremove -q -f vglive/fresh",
    ).once(),
    work(
        "thin",
        120,
        "lvcreate -q -y -L 32M --thinpool pool vglive; lvcreate -q -y -V 64M --thin -n thin vglive/pool; mkfs.ext4 -q -F /dev/vglive/thin; mount /dev/vglive/thin /mnt/snap; echo x >/mnt/snap/x; lvcreate -q -y -s -kn -n thinsnap vglive/thin; umount /mnt/snap; lvremove -q -f -y vglive/thinsnap; lvremove -q -f -y vglive/thin",
    ).once(),
    // udev's rule keeps lvcreate waiting until the controller has looked, however long that takes.
    work(
        "made-while-the-controller-is-slow",
        120,
        "lvs vglive/pool >/dev/null 2>&1 || lvcreate -q -y -L 32M --thinpool pool vglive
         [ $DBGUARD_MODE = off ] || { systemctl kill --kill-whom=main -s STOP dbguard.service; (sleep 2; systemctl kill --kill-whom=main -s CONT dbguard.service) & }
         lvcreate -q -y -V 64M --thin -n slow vglive/pool; mkfs.ext4 -q -F /dev/vglive/slow; wait
         lvremove -q -f -y vglive/slow",
    ).once(),
    // LVM does not activate a thin snapshot by itself; the controller reads of it in LVM's copy of
    // the group's metadata, which has no event of its own. A pool that is active has no name that
    // could be listed.
    work(
        "thin-snapshot-never-activated",
        150,
        "lvs vglive/pool >/dev/null 2>&1 || lvcreate -q -y -L 32M --thinpool pool vglive
         lvcreate -q -y -V 64M --thin -n thin vglive/pool; lvcreate -q -y -s -n thinold vglive/thin
         [ ! -e /dev/mapper/vglive-thinold ]; grep -q 'thinold {' /etc/lvm/backup/vglive; sleep 3
         lvremove -q -f -y vglive/thinold; lvremove -q -f -y vglive/thin
         lvchange -q -an vglive/pool; udevadm settle; sleep 3; lvremove -q -f -y vglive/pool",
    ).once(),
    work(
        "raid-volume-repaired",
        180,
        "modprobe dm-raid; vgextend -q vglive $FB
         lvcreate -q -y --type raid1 -m 1 -L 8M -n mirror vglive $FIRST $SECOND; mkfs.ext4 -q -F /dev/vglive/mirror
         mount /dev/vglive/mirror /mnt/snap; cp $DIR/rows /mnt/snap/rows
         synced() { for i in $(seq 120); do case $(lvs --noheadings -o copy_percent vglive/mirror) in *100.00*) return;; esac; sleep 0.5; done; return 1; }
         synced; lvconvert -q -y --replace $SECOND vglive/mirror $FB; synced
         lvs -a --noheadings -o devices vglive | grep -q $(basename $FB); cmp /mnt/snap/rows $DIR/rows
         lvconvert -q -y --repair vglive/mirror || true
         umount /mnt/snap; lvremove -q -f vglive/mirror; vgreduce -q vglive $FB
         [ $DBGUARD_MODE = off ] || for i in $(seq 50); do dbguard check --for raw-write --quiet $FB && break; sleep 0.2; done; wipefs -qa $FB",
    ).once(),
    work(
        "metadata-changed",
        90,
        "lvchange -q --addtag=kept vglive/data; lvs --noheadings -o lv_tags vglive/data | grep -q kept
         lvchange -q --deltag kept vglive/data; lvchange -q --refresh vglive/data; vgchange -q --addtag one vglive; vgchange -q --deltag=one vglive; vgchange -q --monitor=y vglive",
    ).once(),
    work(
        "scan",
        90,
        "pvscan --cache >/dev/null; pvscan >/dev/null; vgscan >/dev/null; lvscan >/dev/null; vgs >/dev/null; pvs -a >/dev/null; lvs -a -o+devices >/dev/null; vgdisplay >/dev/null; vgchange -q -ay vglive; vgck vglive; vgcfgbackup -q -f $DIR/vg.cfg vglive; dmsetup ls --tree >/dev/null; dmsetup table >/dev/null; lvmdevices >/dev/null 2>&1 || true",
    ).once(),
    work(
        "live-file-system",
        60,
        "cmp /mnt/live/rows $DIR/rows; echo more >>/mnt/live/log; sync -f /mnt/live",
    ),
];

const XFS: &[Work] = &[
    work(
        "xfs-snapshot-nouuid",
        120,
        "lvcreate -q -y -s -L 16M -n xsnap vglive/xdata; mount -o ro,nouuid,norecovery /dev/vglive/xsnap /mnt/snap; ls /mnt/snap >/dev/null; umount /mnt/snap; lvremove -q -f vglive/xsnap",
    ).once(),
    work(
        "xfs-growfs",
        120,
        "lvextend -q -L +16M vglive/xdata; xfs_growfs /mnt/xlive >/dev/null; [ $(df --output=size -B1M /mnt/xlive | tail -1) -gt 40 ]",
    ).once(),
    work(
        "xfs-fsr-and-repair-n",
        120,
        "xfs_fsr /mnt/xlive >/dev/null 2>&1 || true; xfs_info /mnt/xlive >/dev/null; xfs_spaceman -c 'freesp' /mnt/xlive >/dev/null 2>&1 || true; xfs_db -r -c 'sb 0' /dev/vglive/xdata >/dev/null; xfs_repair -n /dev/vglive/xdata >/dev/null 2>&1 || true",
    ).once(),
];

const ARRAY: &[Work] = &[
    work(
        "md-fail-remove-add",
        180,
        "mdadm -q /dev/md/live --fail $MB; mdadm -q /dev/md/live --remove $MB; mdadm -q /dev/md/live --add $MC; for i in $(seq 120); do grep -qE 'recovery|resync' /proc/mdstat || break; sleep 0.5; done; mdadm --detail /dev/md/live | grep -q 'State : \\(clean\\|active\\)'; cmp /mnt/mdlive/rows $DIR/rows; [ $DBGUARD_MODE = off ] || dbguard release --confirm-host $(uname -n) $MB; mdadm -q --zero-superblock $MB",
    ),
    work(
        "md-check",
        120,
        "M=$(basename $(readlink -f /dev/md/live)); echo check >/sys/block/$M/md/sync_action; for i in $(seq 120); do [ $(cat /sys/block/$M/md/sync_action) = idle ] && break; sleep 0.5; done; [ $(cat /sys/block/$M/md/mismatch_cnt) = 0 ]",
    ).once(),
    work(
        "md-grown",
        180,
        "synced() { for i in $(seq 240); do grep -qE 'recovery|resync' /proc/mdstat || return 0; sleep 0.5; done; return 1; }
         M=/sys/block/$(basename $(readlink -f /dev/md/live))/md
         mdadm --grow /dev/md/live --bitmap=internal 2>&1; [ $(cat $M/bitmap/location) != none ]
         mdadm -q --grow /dev/md/live --bitmap=none 2>&1; [ $(cat $M/bitmap/location) = none ]
         mdadm --grow /dev/md/live --add $MD --raid-devices=3 2>&1
         [ $(cat $M/raid_disks) = 3 ]; synced; mdadm --grow /dev/md/live --size=max 2>&1; cmp /mnt/mdlive/rows $DIR/rows",
    ).once(),
    // A cable that was loose. Over files, because udev looks into loop devices and not into disks in
    // memory.
    work(
        "md-member-put-back",
        180,
        "synced() { for i in $(seq 240); do grep -qE 'recovery|resync' /proc/mdstat || return 0; sleep 0.5; done; return 1; }
         truncate -s 48M $DIR/back1 $DIR/back2; A=$(losetup -f --show $DIR/back1); B=$(losetup -f --show $DIR/back2); udevadm settle
         mdadm -q --create /dev/md/back --run --metadata=1.2 --level=1 --raid-devices=2 --homehost=any --bitmap=none $A $B </dev/null; synced; udevadm settle
         mkfs.ext4 -q -F /dev/md/back; mkdir -p /mnt/back; mount /dev/md/back /mnt/back; cp $DIR/rows /mnt/back/
         [ $DBGUARD_MODE = off ] || { dbguard mark --data /mnt/back; for i in $(seq 50); do dbguard check $B | grep -q carries && break; sleep 0.2; done; }
         mdadm -q /dev/md/back --fail $B; mdadm -q /dev/md/back --remove $B; udevadm settle
         [ $DBGUARD_MODE = off ] || for i in $(seq 50); do dbguard check --for raw-write --quiet $B && break; sleep 0.2; done
         mdadm -q /dev/md/back --add $B; synced; mdadm --detail /dev/md/back | grep -q 'State : \\(clean\\|active\\) $'
         cmp /mnt/back/rows $DIR/rows; umount /mnt/back; [ $DBGUARD_MODE = off ] || for d in /dev/md/back $A $B; do dbguard release --confirm-host $(uname -n) $d; done
         for i in $(seq 20); do mdadm -q --stop /dev/md/back && break; sleep 0.5; done; losetup -d $A $B; rm -f $DIR/back1 $DIR/back2",
    ).once(),
    work(
        "md-queries",
        60,
        "mdadm --detail /dev/md/live >/dev/null; mdadm --examine $MA >/dev/null; mdadm --detail --scan >/dev/null; cat /proc/mdstat >/dev/null; mdadm --monitor --scan --oneshot >/dev/null 2>&1 || true",
    ).once(),
    work(
        "md-create-on-free-disks",
        90,
        "mdadm -q --create /dev/md/free --run --metadata=1.2 --level=1 --raid-devices=2 --homehost=any $FA $FB </dev/null; udevadm settle; mkfs.ext4 -q -F /dev/md/free; mount /dev/md/free /mnt/snap; umount /mnt/snap; mdadm -q --stop /dev/md/free; mdadm -q --zero-superblock $FA $FB",
    ).once(),
    work(
        "free-group-from-nothing",
        90,
        "pvcreate -q -ff -y $FA; vgcreate -q vgfree $FA; lvcreate -q -y -L 16M -n lv vgfree; mkfs.ext4 -q -F /dev/vgfree/lv; lvremove -q -f vgfree/lv; vgremove -q vgfree; pvremove -q $FA",
    ).once(),
];

/// The cases.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::prepare("prepare", prepare).limit(240)];
    for work in [VOLUMES, XFS, ARRAY].into_iter().flatten() {
        cases.push(
            Case::test(work.name, move || perform(work))
                .limit(work.limit + 40)
                .breadth(work.breadth),
        );
    }
    cases.push(Case::clean_up("remove", || {
        shell::must("umount /mnt/live /mnt/xlive /mnt/mdlive; vgchange -q -an vglive").map(drop)
    }));
    cases.into_iter().map(Case::on_each_kernel).collect()
}

/// Memory disks and the variables that name them.
const DISKS: &[(&str, &str, u32)] = &[
    ("FIRST", "vg-a", 160),
    ("SECOND", "vg-b", 64),
    ("THIRD", "vg-c", 64),
    ("MA", "md-a", 48),
    ("MB", "md-b", 48),
    ("MC", "md-c", 48),
    ("MD", "md-d", 48),
    ("FA", "free-a", 48),
    ("FB", "free-b", 48),
];

fn script(text: &str) -> anyhow::Result<Script<'_>> {
    let mut script = Script::new(text).with("DIR", acts::SCRATCH);
    for (variable, name, mib) in DISKS {
        script = script.with(variable, fixture::memory_disk(name, *mib)?.path());
    }
    Ok(script)
}

fn prepare() -> anyhow::Result<()> {
    guard::must_be_armed_or_off()?;
    fixture::load_modules()?;
    acts::prepare_scratch()?;
    script(
        "set -e; udevadm settle; mkdir -p /mnt/live /mnt/xlive /mnt/mdlive /mnt/snap; seq 20000 >$DIR/rows
         pvcreate -q -ff -y $FIRST $SECOND; vgcreate -q vglive $FIRST $SECOND
         lvcreate -q -y -Zn -Wn -L 48M -n data vglive; mkfs.ext4 -q -F /dev/vglive/data; mount /dev/vglive/data /mnt/live
         cp $DIR/rows /mnt/live/rows
         lvcreate -q -y -Zn -Wn -L 32M -n xdata vglive
         QA_CHECK_FS=1 TEST_DIR=/x TEST_DEV=/y mkfs.xfs -q -f /dev/vglive/xdata; mount /dev/vglive/xdata /mnt/xlive
         mdadm -q --create /dev/md/live --run --metadata=1.2 --level=1 --raid-devices=2 --homehost=any $MA $MB </dev/null
         udevadm settle; mkfs.ext4 -q -F /dev/md/live; mount /dev/md/live /mnt/mdlive; cp $DIR/rows /mnt/mdlive/rows
         for i in $(seq 120); do grep -qE 'recovery|resync' /proc/mdstat || break; sleep 0.5; done
         udevadm settle; [ \"$DBGUARD_MODE\" != off ] || exit 0
         for d in live xlive mdlive; do dbguard mark --data /mnt/$d; done",
    )?
    .limit(200)
    .must()?;
    guard::wait_guarded(std::path::Path::new("/dev/vglive/data"))
}

fn perform(work: &Work) -> anyhow::Result<()> {
    let mark = audit::mark();
    let text = format!("set -eu\n{}", work.script);
    let outcome = script(&text)?.limit(work.limit).must();
    audit::allowed(mark, outcome).map(drop)
}
