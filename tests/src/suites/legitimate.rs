//! Work that a live database host needs (servers, backups, health, free disks), each piece done
//! while armed: it succeeds, its result is checked by its script, and nothing is refused.

use anyhow::{Context, Result, ensure};

use super::fixture::{self, Shared};
use crate::acts;
use crate::harness::case::{Breadth, Case};
use crate::harness::disk::Disk;
use crate::harness::shell::Script;
use crate::harness::{audit, db, guard};

/// A piece of work: a script that fails unless its own result is right. It runs with `set -eu`.
/// `$SCSI`, `$NVME`, `$VIRTIO` are free disks, `$DATA` is the database's.
pub struct Work {
    /// Its name.
    pub name: &'static str,
    /// The script.
    pub script: &'static str,
    /// Time limit in seconds.
    pub limit: u64,
    /// Where it is done.
    pub breadth: Breadth,
}

/// A piece of work.
pub const fn work(name: &'static str, limit: u64, script: &'static str) -> Work {
    Work {
        name,
        script,
        limit,
        breadth: Breadth::Every,
    }
}

impl Work {
    /// The same, done on one configuration.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.breadth = Breadth::Once;
        self
    }
}

const SERVERS: &[Work] = &[
    work("mariadb-restart", 150, "systemctl restart mariadb"),
    work(
        "mariadb-crash-recovery",
        200,
        "mariadb -e 'INSERT INTO guard_test.t SELECT seq, MD5(seq) FROM guard_test.seq_100001_to_101000'
         pid=$(systemctl show -P MainPID mariadb); kill -9 $pid
         for i in $(seq 120); do
             [ \"$(systemctl show -P MainPID mariadb)\" = $pid ] || ! systemctl -q is-active mariadb || break; sleep 0.25
         done
         sleep 1; systemctl -q is-active mariadb || systemctl start mariadb
         for i in $(seq 240); do mariadb -e 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.25; done
         [ $(mariadb -NBe 'SELECT COUNT(*) FROM guard_test.t WHERE id > 100000') = 1000 ]
         mariadb -e 'DELETE FROM guard_test.t WHERE id > 100000'",
    ).once(),
    work(
        "mariadb-direct-and-asynchronous",
        60,
        "[ \"$(mariadb -NBe 'SELECT @@innodb_flush_method')\" = O_DIRECT ]
         [ \"$(mariadb -NBe 'SELECT @@innodb_use_native_aio')\" = 1 ]
         mariadb -e 'CREATE TABLE guard_test.load_t (id INT PRIMARY KEY, v CHAR(200)) ENGINE=InnoDB;
             INSERT INTO guard_test.load_t SELECT seq, MD5(seq) FROM guard_test.seq_1_to_5000;
             UPDATE guard_test.load_t SET v = MD5(v); ALTER TABLE guard_test.load_t ADD INDEX (v);
             OPTIMIZE TABLE guard_test.load_t; DROP TABLE guard_test.load_t' >/dev/null",
    ).once(),
    work(
        "postgres-on-its-own-disk",
        300,
        "mkfs.ext4 -q -F $PGDISK; mkdir -p /mnt/pg; mount $PGDISK /mnt/pg
         install -d -m 700 -o postgres -g postgres /mnt/pg/main /mnt/pg/backup /run/postgresql
         B=/usr/lib/postgresql/15/bin; as() { setpriv --reuid postgres --regid postgres --clear-groups \"$@\"; }
         cd /mnt/pg
         as $B/initdb -D /mnt/pg/main --no-sync --wal-segsize=1 >/dev/null
         ctl() { as $B/pg_ctl -D /mnt/pg/main -o '-p 5999 -c wal_level=replica' -l /mnt/pg/main/log -w -t 90 \"$@\" >/dev/null; }
         sql() { as psql -h /var/run/postgresql -p 5999 -qAtc \"$1\" postgres; }
         trap 'ctl stop -m immediate || true' EXIT
         ctl start
         sql 'CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1,2000) g; CHECKPOINT'
         ctl restart
         [ $(sql 'SELECT count(*) FROM t') = 2000 ]
         kill -9 $(head -1 /mnt/pg/main/postmaster.pid); sleep 2; rm -f /mnt/pg/main/postmaster.pid
         ctl start
         [ $(sql 'SELECT count(*) FROM t') = 2000 ]
         mkfs.ext4 -q -F $PGSPACE; mkdir -p /mnt/pgspace; mount $PGSPACE /mnt/pgspace; install -d -o postgres -g postgres /mnt/pgspace/t
         sql \"CREATE TABLESPACE space LOCATION '/mnt/pgspace/t'\"; sql 'CREATE TABLE s TABLESPACE space AS SELECT 1'
         for i in $(seq 120); do [ \"$DBGUARD_MODE\" = off ] || dbguard check $PGSPACE | grep -q 'carries /mnt/pgspace' && break; sleep 0.5; done
         [ $i -lt 120 ]; sql 'DROP TABLE s'; sql 'DROP TABLESPACE space'
         as pg_dump -p 5999 postgres >/root/guest-suite/pg.sql; grep -q 'COPY public.t' /root/guest-suite/pg.sql
         as $B/pg_basebackup -p 5999 -c fast -X none -D /mnt/pg/backup; [ -f /mnt/pg/backup/PG_VERSION ]
         ctl stop; trap - EXIT",
    ).once(),
    work("postgres-disk-unmounted", 60, "umount /mnt/pg /mnt/pgspace").once(),
];

const BACKUPS: &[Work] = &[
    work("mariadb-dump", 60, "mariadb-dump guard_test >/root/guest-suite/dump.sql; grep -q 'INSERT INTO' /root/guest-suite/dump.sql"),
    work(
        "mariabackup",
        200,
        "rm -rf /root/guest-suite/mb
         mariabackup --backup --target-dir=/root/guest-suite/mb >/root/guest-suite/mb.log 2>&1 || { tail -3 /root/guest-suite/mb.log; exit 1; }
         grep -q 'completed OK' /root/guest-suite/mb.log; rm -rf /root/guest-suite/mb",
    ).once(),
    work("dd-reads-the-disk", 60, "dd if=$DATA of=/dev/null bs=1M count=32; dd if=$DATA of=/dev/null bs=1M count=8 iflag=direct"),
    work("fsfreeze", 60, "cd /; fsfreeze -f /var/lib/mysql; r=0; sleep 0.2; fsfreeze -u /var/lib/mysql || r=1; [ $r = 0 ]"),
];

const HEALTH: &[Work] = &[
    work("smartctl", 60, "for d in $DATA $SCSI; do smartctl -a $d >/dev/null || [ $(($? & 3)) = 0 ]; done; smartctl -x $DATA >/dev/null || [ $(($? & 3)) = 0 ]; smartctl -t short $DATA || true; smartctl -H $SCSI || true"),
    work("nvme-list", 60, "nvme list | grep -q data; nvme list-subsys >/dev/null"),
    work(
        "nvme-queries",
        60,
        "C=${DATA%n1}; nvme smart-log $DATA >/dev/null; nvme smart-log $C >/dev/null; nvme id-ctrl $C >/dev/null
         nvme id-ns $DATA -n 1 >/dev/null; nvme get-log $C -i 2 -l 512 >/dev/null; nvme get-feature $C -f 6 >/dev/null
         nvme error-log $C >/dev/null; nvme fw-log $C >/dev/null; nvme list-ns $C >/dev/null
         [ ! -d /sys/class/nvme-generic ] || nvme id-ns /dev/ng${DATA#/dev/nvme} -n 1 >/dev/null",
    ),
    work("nvme-read-flush", 60, "nvme read $DATA -s 0 -c 0 -z 512 -d /root/guest-suite/lba0; nvme flush $DATA -n 1; nvme io-passthru $DATA -o 2 -n 1 -r -l 512 --cdw12=0 >/dev/null"),
    work(
        "sg-queries",
        60,
        "for d in $SCSI $SG; do sg_inq $d >/dev/null; sg_vpd -p bdc $d >/dev/null || true; sg_vpd $d >/dev/null; sg_readcap $d >/dev/null
         sg_turs $d; sg_requests $d >/dev/null; sg_modes $d >/dev/null || true; sg_logs $d >/dev/null 2>&1 || true; sg_luns $d >/dev/null; sg_ses $d >/dev/null 2>&1 || true; done
         sg_map >/dev/null; sg_scan -i >/dev/null 2>&1 || true; lsscsi -g >/dev/null; sg_dd if=$SG of=/dev/null bs=512 count=8",
    ),
    work("inventory", 60, "lsblk -O >/dev/null; lsblk -f >/dev/null; blkid >/dev/null; blkid -p $DATA; wipefs $DATA >/dev/null; findmnt >/dev/null; lsof $DATA >/dev/null || true; cat /sys/class/dmi/id/* >/dev/null 2>&1 || true; [ ! -e /sys/firmware/dmi/tables/DMI ] || cat /sys/firmware/dmi/tables/DMI >/dev/null").once(),
    work("tables-read", 60, "sfdisk -l $DATA >/dev/null; sfdisk -d $DATA >/dev/null; fdisk -l $DATA >/dev/null; partx -s $DATA >/dev/null"),
    work("udev", 90, "udevadm trigger --subsystem-match=block; udevadm settle; udevadm trigger --action=add --subsystem-match=block; udevadm settle; udevadm test /sys/block/$(basename $DATA) >/dev/null 2>&1 || true").once(),
    work("blockdev", 60, "blockdev --report >/dev/null; blockdev --getsize64 --getro --getss --getpbsz --getra $DATA; blockdev --setra 256 $DATA; blockdev --flushbufs $DATA"),
    work("hdparm", 60, "hdparm -I $SCSI >/dev/null 2>&1 || true; hdparm -t --direct $DATA >/dev/null; hdparm -g $SCSI >/dev/null; hdparm -C $SCSI >/dev/null 2>&1 || true").once(),
    work("multipath", 60, "modprobe dm-multipath || true; multipath -ll >/dev/null 2>&1 || true; multipath -v0 -t >/dev/null 2>&1 || true"),
    work("fstrim", 60, "fstrim -v /var/lib/mysql; fstrim -v /"),
    work("e4defrag", 60, "e4defrag -c /var/lib/mysql >/dev/null; e4defrag /var/lib/mysql/ib_buffer_pool >/dev/null 2>&1 || true; filefrag /var/lib/mysql/ibdata1").once(),
    work("fsck-read-only", 120, "P=${DATA}p1; e2fsck -n $P >/dev/null 2>&1 || [ $? -le 4 ]; tune2fs -l $P >/dev/null; dumpe2fs -h $P >/dev/null; debugfs -R stats $P >/dev/null; fsck -N $P >/dev/null; e2image -r $P - 2>/dev/null | head -c 4096 >/dev/null || true"),
    work(
        "block-trace",
        60,
        "mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
         python3 - $DATA <<'PY'\n\
import fcntl, os, struct, sys\n\
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)\n\
setup = bytearray(struct.pack('32sH2xII4xQQI4x', b'', 0xffff, 65536, 4, 0, 0, 0))\n\
fcntl.ioctl(fd, 0xC0481273, setup)\n\
for number in (0x1274, 0x1275, 0x1276): fcntl.ioctl(fd, number)\n\
PY",
    ),
    work("bpftool", 60, "bpftool prog list >/dev/null; bpftool map list >/dev/null; bpftool link list >/dev/null; [ \"$DBGUARD_MODE\" = off ] || bpftool prog list | grep -qE ' (lsm|tracing) '"),
    work("processes", 60, "ps aux >/dev/null; ls -l /proc/[0-9]*/fd >/dev/null 2>&1 || true; strace -f -o /root/guest-suite/strace ls / >/dev/null; tar cf /root/guest-suite/etc.tar /etc; journalctl -b -n 5 >/dev/null"),
    work("grub-probe", 60, "grub-probe -t fs / >/dev/null; grub-probe -t device /boot >/dev/null").once(),
];

const FREE: &[Work] = &[
    work("partition-and-mkfs-at-once", 90, "sgdisk -Z $SCSI; sgdisk -n 1:0:+64M -n 2:0:+64M $SCSI; udevadm settle; mkfs.ext4 -q -F ${SCSI}1; mkfs.vfat ${SCSI}2; mount ${SCSI}1 /mnt; echo x >/mnt/x; umount /mnt; e2fsck -fy ${SCSI}1; resize2fs ${SCSI}1 48M; tune2fs -L free ${SCSI}1"),
    work("partition-of-mounted-disk", 90, "mount ${SCSI}1 /mnt; mkfs.ext4 -q -F ${SCSI}2; umount /mnt"),
    work("parted", 60, "parted -s $NVME mklabel gpt mkpart a 1MiB 65MiB mkpart b 65MiB 129MiB; udevadm settle; mkfs.ext4 -q -F ${NVME}p1; partprobe $NVME; udevadm settle; mkfs.btrfs -q -f --mixed ${NVME}p2").once(),
    work("sfdisk", 60, "printf 'label: gpt\\nsize=64MiB\\n' | sfdisk -q $VIRTIO; udevadm settle; mkfs.ext4 -q -F ${VIRTIO}1; growpart --help >/dev/null 2>&1 || true; echo ',+' | sfdisk -q -N 1 --force $VIRTIO; udevadm settle; e2fsck -fp ${VIRTIO}1; resize2fs ${VIRTIO}1").once(),
    work("swap", 60, "wipefs -qaf $VIRTIO; mkswap -q -f $VIRTIO; swapon $VIRTIO; grep -q ${VIRTIO#/dev/} /proc/swaps; swapoff $VIRTIO; wipefs -qaf $VIRTIO"),
    work(
        "luks",
        120,
        "echo -n secret | cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 $VIRTIO -
         echo -n secret | cryptsetup open --key-file - $VIRTIO vault; mkfs.ext4 -q -F /dev/mapper/vault; mount /dev/mapper/vault /mnt
         echo x >/mnt/x; umount /mnt; cryptsetup close vault; wipefs -qaf $VIRTIO",
    ).once(),
    work("nvme-format-free", 60, "wipefs -qaf $NVME; nvme format $NVME -n 1 -s 0 -f; udevadm settle; mkfs.ext4 -q -F $NVME; blkdiscard -f $NVME").once(),
    work("wipe-free", 60, "dd if=/dev/zero of=$SCSI bs=1M count=4 conv=fsync; blkdiscard -f $SCSI; shred -n1 -s 1M $SCSI; sg_unmap --lba=0 --num=8 --force $SCSI"),
    work("loop", 90, "rm -f /root/guest-suite/l.img; truncate -s 32M /root/guest-suite/l.img; L=$(losetup -f --show /root/guest-suite/l.img); mkfs.ext4 -q -F $L; mount $L /mnt; echo x >/mnt/x; umount /mnt; losetup -d $L; mount -o loop /root/guest-suite/l.img /mnt; [ -f /mnt/x ]; umount /mnt"),
    work("loop-partitions", 90, "truncate -s 32M /root/guest-suite/p.img; printf 'label: gpt\\nsize=16MiB\\n' | sfdisk -q /root/guest-suite/p.img; L=$(losetup -P -f --show /root/guest-suite/p.img); udevadm settle; mkfs.ext4 -q -F ${L}p1; mount ${L}p1 /mnt; umount /mnt; losetup -d $L").once(),
    work("zram", 60, "modprobe zram num_devices=1; udevadm settle; Z=/sys/block/zram0; echo 32M >$Z/disksize; mkswap -q /dev/zram0; swapon /dev/zram0; sleep 1; swapoff /dev/zram0; again reset $Z; echo 32M >$Z/disksize; mkfs.ext4 -q -F /dev/zram0; udevadm settle; again reset $Z").once(),
    work("nbd", 90, "modprobe nbd; truncate -s 32M /root/guest-suite/n.img; qemu-nbd --fork --pid-file=/root/guest-suite/nbd.pid -f raw -c /dev/nbd1 /root/guest-suite/n.img; udevadm settle; mkfs.ext4 -q -F /dev/nbd1; qemu-nbd -d /dev/nbd1").once(),
    work(
        "scsi-disk-taken-out",
        60,
        "modprobe scsi_debug dev_size_mb=16 delay=0 || exit 77; udevadm settle
         B=$(basename $(ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*)); [ $DBGUARD_MODE = off ] || dbguard settle /dev/$B
         mkfs.ext4 -q -F /dev/$B; mount /dev/$B /mnt; udevadm settle; [ $DBGUARD_MODE = off ] || dbguard settle /dev/$B
         umount /mnt; echo 1 >/sys/block/$B/device/delete; [ ! -e /sys/block/$B ]
         for i in $(seq 50); do rmmod scsi_debug 2>/dev/null && exit 0; sleep 0.2; done; exit 1",
    ).once(),
    work("ram-disk", 60, "modprobe brd rd_nr=1 rd_size=16384; udevadm settle; mkfs.ext4 -q -F /dev/ram0; mount /dev/ram0 /mnt; umount /mnt; rmmod brd"),
    work(
        "container",
        120,
        "R=/root/guest-suite/container; truncate -s 16M /root/guest-suite/c.img; L=$(losetup -f --show /root/guest-suite/c.img); mkfs.ext4 -q -F $L; mkdir -p /mnt/c; mount $L /mnt/c
         systemd-nspawn -q --register=no --keep-unit -D $R --bind=/mnt/c:/data /bin/busybox sh -c 'echo x >/data/x'
         [ -f /mnt/c/x ]; umount /mnt/c; losetup -d $L",
    ).once(),
    work("overlay", 60, "cd /root/guest-suite; mkdir -p o/l o/u o/w o/m; mount -t overlay overlay -o lowerdir=/root/guest-suite/o/l,upperdir=/root/guest-suite/o/u,workdir=/root/guest-suite/o/w /root/guest-suite/o/m; echo x >/root/guest-suite/o/m/x; umount /root/guest-suite/o/m").once(),
    work("database-probes", 60, "mariadbd --version >/dev/null; /usr/lib/postgresql/15/bin/postgres --version >/dev/null; mariadbd --help >/dev/null"),
];

/// A zram device is reset once nobody, such as a prober, has it open.
const AGAIN: &str = "reset() { echo 1 >$1/reset; }
    again() { for i in $(seq 30); do \"$@\" 2>/dev/null && return; sleep 0.1; done; \"$@\"; }";

/// Tools that open a disk for writing even to print its table, and go on without: refused, and
/// their answer is right all the same.
fn print_tables() -> Result<()> {
    Script::new(
        "set -e; sgdisk -p $DATA | grep -q '^ *1 '; parted -s $DATA print | grep -q '^ *1 '",
    )
    .with("DATA", Disk::role("data")?.path())
    .must()
    .map(drop)
}

/// What a row of the table says is let through: the hook is another program on the other route.
const BY_EACH_ROUTE: &[&str] = &["fsfreeze", "fstrim", "ram-disk", "smartctl"];

/// The cases.
pub fn cases() -> Vec<Case> {
    let rows: Shared<String> = Shared::default();
    let filled = rows.clone();
    let mut cases = vec![Case::prepare("prepare", move || {
        guard::must_be_armed_or_off()?;
        fixture::load_modules()?;
        acts::prepare_scratch()?;
        crate::harness::shell::must(acts::container::MAKE_ROOT)?;
        db::prepare()?;
        filled.set(db::checksum()?);
        fixture::memory_disk("pgdisk", 192)?;
        fixture::memory_disk("pgspace", 32).map(drop)
    })];
    for work in [SERVERS, BACKUPS, HEALTH, FREE].into_iter().flatten() {
        let rows = rows.clone();
        let case = Case::test(work.name, move || perform(work, &rows))
            .limit(work.limit + 40)
            .breadth(work.breadth);
        cases.push(if BY_EACH_ROUTE.contains(&work.name) {
            case
        } else {
            case.on_each_kernel()
        });
    }
    cases.push(Case::test("tables-printed-by-writers", print_tables).on_each_kernel());
    cases.push(Case::test("spares-are-free", || {
        for role in ["spare1", "spare2", "spare3"] {
            let disk = Disk::role(role)?;
            crate::harness::shell::must(&format!("wipefs -qaf {}", disk.path()))?;
            guard::wait_free(&disk.node)?;
        }
        Ok(())
    }));
    cases
}

fn perform(work: &Work, rows: &Shared<String>) -> Result<()> {
    let mark = audit::mark();
    let sg = Disk::role("spare1")?
        .passthrough()
        .sg
        .context("the SCSI disk has no sg node")?;
    let script = format!("set -eu\n{AGAIN}\n{}", work.script);
    let outcome = Script::new(&script)
        .with("DATA", Disk::role("data")?.path())
        .with("SCSI", Disk::role("spare1")?.path())
        .with("SG", sg.display().to_string())
        .with("NVME", Disk::role("spare2")?.path())
        .with("VIRTIO", Disk::role("spare3")?.path())
        .with("PGDISK", fixture::memory_disk("pgdisk", 192)?.path())
        .with("PGSPACE", fixture::memory_disk("pgspace", 32)?.path())
        .limit(work.limit)
        .must();
    audit::allowed(mark, outcome)?;
    ensure!(
        db::checksum().context("after the work")? == rows.get()?,
        "the rows have CHANGED"
    );
    Ok(())
}
