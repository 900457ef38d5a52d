//! Ways to have the kernel open a device for writing. On a free device each of them works, which
//! proves that it is one; on a protected device none does, and no byte changes.

use anyhow::{Context, Result, ensure};

use crate::acts;
use crate::harness::case::{Case, skip};
use crate::harness::disk::Disk;
use crate::harness::shell::{self, Script};
use crate::harness::snapshot::Snapshot;
use crate::harness::{audit, guard};
use crate::suites::fixture;

/// One way. `$DEV` is the device, `$NUM` its number, `$OTHER` another free disk.
struct Reach {
    name: &'static str,
    /// Module without which the kernel does not have this way.
    module: Option<&'static str>,
    /// Ends with 0 where the kernel has opened the device.
    script: &'static str,
    /// What the record calls it.
    op: &'static str,
}

const fn reach(
    name: &'static str,
    module: Option<&'static str>,
    op: &'static str,
    script: &'static str,
) -> Reach {
    Reach {
        name,
        module,
        script,
        op,
    }
}

const WAYS: &[Reach] = &[
    // Not the kernel's own open, but the first that sees it is this layer.
    reach(
        "write",
        None,
        "raw-write",
        "dd if=$DIR/junk64k of=$DEV bs=64k conv=fsync,notrunc",
    ),
    reach(
        "write-by-openat2",
        None,
        "raw-write",
        "python3 -c \"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
how = (ctypes.c_uint64 * 3)(os.O_RDWR, 0, 0)
fd = libc.syscall(437, -100, b'$DEV', how, 24)
sys.exit(fd < 0 or os.write(fd, b'x' * 4096) != 4096 or os.fsync(fd) or 0)\"",
    ),
    reach(
        "dm-table",
        Some("dm-mod"),
        "remap",
        "echo \"0 8192 linear $DEV 0\" | dmsetup create --noudevsync l2-map || exit 1
         udevadm settle; dmsetup remove --retry l2-map",
    ),
    // The node is known and free: nothing else looks at what it becomes.
    reach(
        "dm-table-of-a-free-map",
        Some("dm-mod"),
        "remap",
        "echo \"0 8192 linear $OTHER 0\" | dmsetup create l2-free || exit 2; udevadm settle
         for i in $(seq 50); do dbguard check --for raw-write /dev/mapper/l2-free >/dev/null && break; sleep 0.2; done
         r=1; if echo \"0 8192 linear $DEV 0\" | dmsetup load l2-free; then
            dmsetup resume l2-free; dd if=$DIR/junk64k of=/dev/mapper/l2-free bs=64k conv=fsync,notrunc; r=$?; fi
         udevadm settle; dmsetup remove --retry l2-free; exit $r",
    ),
    reach(
        "md-new-dev",
        Some("md-mod"),
        "remap",
        "[ -d /sys/block/md_l2 ] || echo md_l2 >/sys/module/md_mod/parameters/new_array
         M=/sys/block/md_l2/md; echo $NUM >$M/new_dev && ls $M | grep -q ^dev-; r=$?
         echo clear >$M/array_state; udevadm settle; exit $r",
    ),
    reach(
        "nvme-target",
        Some("nvmet"),
        "remap",
        "N=/sys/kernel/config/nvmet/subsystems/l2; mkdir -p $N/namespaces/1
         echo -n $DEV >$N/namespaces/1/device_path; echo 1 >$N/namespaces/1/enable; r=$?
         echo 0 >$N/namespaces/1/enable; rmdir $N/namespaces/1 $N; exit $r",
    ),
    reach(
        "scsi-target",
        Some("target_core_iblock"),
        "remap",
        "T=/sys/kernel/config/target/core/iblock_7; mkdir -p $T/l2; echo udev_path=$DEV >$T/l2/control
         echo 1 >$T/l2/enable; r=$?; rmdir $T/l2 $T; exit $r",
    ),
    reach(
        "btrfs-add-device",
        Some("btrfs"),
        "remap",
        "mkdir -p /mnt/l2; mkfs.btrfs -q -f --mixed $OTHER && mount $OTHER /mnt/l2 || exit 2
         python3 -c \"
import fcntl, os, struct
fcntl.ioctl(os.open('/mnt/l2', 0), 0x5000940a, bytearray(struct.pack('q4088s', 0, b'$DEV')))\"; r=$?
         umount /mnt/l2
         for i in $(seq 50); do dbguard check --for raw-write $OTHER >/dev/null && break; sleep 0.2; done
         wipefs -qaf $OTHER; exit $r",
    ),
    reach(
        "btrfs-replace-device",
        Some("btrfs"),
        "remap",
        // `struct btrfs_ioctl_dev_replace_args` (include/uapi/linux/btrfs.h): START, from device 1.
        "mkdir -p /mnt/l2; mkfs.btrfs -q -f --mixed $OTHER && mount $OTHER /mnt/l2 || exit 2
         python3 -c \"
import fcntl, os, struct
start = struct.pack('QQQQ1025s1025s6x512x', 0, 0, 1, 0, b'', b'$DEV')
fcntl.ioctl(os.open('/mnt/l2', 0), 0xca289435, bytearray(start))\"; r=$?
         umount /mnt/l2
         for i in $(seq 50); do dbguard check --for raw-write $OTHER >/dev/null && break; sleep 0.2; done
         wipefs -qaf $OTHER; exit $r",
    ),
    reach(
        "bcache-register",
        Some("bcache"),
        "remap",
        // The protected disk has bcache's superblock already.
        "N=$(basename $DEV); ! dbguard check --for raw-write --quiet $DEV || make-bcache -B $DEV || exit 2; udevadm settle
         [ -d /sys/block/$N/bcache ] || echo $DEV >/sys/fs/bcache/register; r=$?
         [ $r != 0 ] || { [ -d /sys/block/$N/bcache ]; r=$?; }
         for i in $(seq 50); do [ -d /sys/block/$N/bcache ] || break; echo 1 >/sys/block/$N/bcache/stop; sleep 0.2; done
         udevadm settle; exit $r",
    ),
    // A file's back end is given the device as a file.
    reach(
        "file-target",
        Some("target_core_file"),
        "remap",
        "T=/sys/kernel/config/target/core/fileio_7; mkdir -p $T/l2
         echo fd_dev_name=$DEV,fd_dev_size=67108864 >$T/l2/control
         echo 1 >$T/l2/enable; r=$?; rmdir $T/l2 $T; exit $r",
    ),
    reach(
        "block2mtd",
        Some("block2mtd"),
        "remap",
        "echo $DEV,4096 >/sys/module/block2mtd/parameters/block2mtd; grep -q block2mtd /proc/mtd; r=$?
         modprobe -r block2mtd; exit $r",
    ),
];

/// A free disk, the protected one, and one more free.
const DISKS: [(&str, u32); 3] = [("l2-free", 128), ("l2-held", 128), ("l2-other", 128)];

pub fn prepare() -> Result<()> {
    guard::must_be_armed()?;
    fixture::load_modules()?;
    acts::prepare_scratch()?;
    shell::must(acts::container::MAKE_ROOT)?;
    for (name, mib) in DISKS {
        fixture::memory_disk(name, mib)?;
    }
    let held = disk("l2-held")?;
    // Beside it a superblock, without which bcache does not come to the open that matters.
    Script::new("dd if=/dev/urandom of=$DEV bs=1M count=8 conv=fsync 2>/dev/null && wipefs -qaf $DEV && make-bcache -B $DEV")
        .with("DEV", held.path())
        .must()?;
    guard::mark_device(&held.node)?;
    super::work::prepare()
}

fn disk(name: &str) -> Result<Disk> {
    let mib = DISKS.iter().find(|(known, _)| *known == name);
    fixture::memory_disk(name, mib.context("no such disk")?.1)
}

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = WAYS
        .iter()
        .flat_map(|way| {
            [
                Case::test(format!("free-{}", way.name), move || works(way))
                    .limit(120)
                    .once(),
                Case::test(way.name, move || refused(way)).limit(120),
            ]
        })
        .collect();
    cases.push(Case::test("question", question));
    cases
}

fn perform(way: &Reach, target: &Disk) -> Result<shell::Output> {
    Script::new(way.script)
        .with("DEV", target.path())
        .with("NUM", target.numbers()?)
        .with("OTHER", disk("l2-other")?.path())
        .with("DIR", acts::SCRATCH)
        .limit(80)
        .run()
}

fn has_module(way: &Reach) -> Result<()> {
    if let Some(module) = way.module {
        let loaded = shell::run(&format!("modprobe {module}"))?;
        if !loaded.succeeded() {
            return Err(skip(format!("this kernel has no module {module}")));
        }
    }
    Ok(())
}

/// On a free disk it is a way.
fn works(way: &Reach) -> Result<()> {
    has_module(way)?;
    let free = disk("l2-free")?;
    guard::wait_free(&free.node)?;
    let mark = audit::mark();
    let done = perform(way, &free)?;
    ensure!(
        done.succeeded(),
        "it does not even work on a free device: {}",
        done.tail()
    );
    audit::nothing_refused(mark).context("on a free device")?;
    Script::new("wipefs -qaf $DEV; udevadm settle")
        .with("DEV", free.path())
        .run()
        .map(drop)
}

fn refused(way: &Reach) -> Result<()> {
    has_module(way)?;
    let held = disk("l2-held")?;
    let before = Snapshot::take(&held)?;
    let mark = audit::mark();
    let done = perform(way, &held)?;
    before.unchanged().context("THE ACT SUCCEEDED")?;
    ensure!(
        !done.succeeded(),
        "the act says that it succeeded: {}",
        done.tail()
    );
    let record = audit::wait_refusal(mark, &[held.numbers()?], &[way.op])
        .with_context(|| format!("the act itself: {}", done.tail()))?;
    ensure!(
        record.text("/hook") == "cgroup_device",
        "{} refused it, not the second layer: {}",
        record.text("/hook"),
        record.0
    );
    if way.name.starts_with("write") {
        ensure!(
            record.text("/open").starts_with("O_"),
            "the record does not say how it was opened: {}",
            record.0
        );
    }
    Ok(())
}

/// access(2) opens nothing: it is answered, and nothing is recorded.
fn question() -> Result<()> {
    let mark = audit::mark();
    let held = disk("l2-held")?;
    let script = "for i in $(seq 200); do test -w $HELD || exit 1; done; test -w $FREE";
    Script::new(script)
        .with("HELD", held.path())
        .with("FREE", disk("l2-free")?.path())
        .must()?;
    audit::nothing_refused(mark)
}

/// `status` says that it works, from having tried.
pub fn self_test() -> Result<()> {
    let status = guard::status()?;
    let layer = status.get("second_layer").context("no second layer")?;
    ensure!(
        layer.get("works") == Some(&serde_json::Value::Bool(true))
            && layer.get("detail").and_then(serde_json::Value::as_str)
                == Some("attached, and seen to refuse"),
        "status says of the second layer: {layer}"
    );
    Ok(())
}

pub fn remove() -> Result<()> {
    super::work::remove()?;
    let held = disk("l2-held")?;
    Script::new(
        "dbguard release --confirm-host \"$(uname -n)\" $DEV; modprobe -r block2mtd bcache; true",
    )
    .with("DEV", held.path())
    .must()?;
    for (name, _) in DISKS {
        fixture::drop_memory_disk(name)?;
    }
    Ok(())
}
