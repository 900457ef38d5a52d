//! Character devices that steer the machine, and file systems shut down.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{Act, How, Seen, act};
use crate::harness::case::skip;
use crate::harness::shell;
use crate::harness::{disk::Disk, guard};
use crate::native::{compat, control};

use crate::suites::fixture;

const DETACH: &[&str] = &["detach"];
const FIRMWARE: &[&str] = &["firmware"];
const RESET: &[&str] = &["reset"];

/// Where the fixture's mapping is suspended.
const SUSPENDED: Seen = Seen::Script(
    "[ \"$(dmsetup info -c --noheadings -o suspended critdm)\" = Suspended ]",
    How::Shell("dmsetup resume critdm"),
);
const GONE: Seen = Seen::Fatal;

pub(super) const ACTS: &[Act] = &[
    act(
        "dm-suspend",
        DETACH,
        How::Shell("dmsetup suspend critdm"),
        SUSPENDED,
    ),
    act(
        "dm-suspend-by-uuid",
        DETACH,
        How::Shell("dmsetup suspend -u GUEST-critdm"),
        SUSPENDED,
    ),
    act(
        "dm-suspend-by-number",
        DETACH,
        How::Shell(
            "n=$(dmsetup info -c --noheadings -o minor critdm); dmsetup suspend -j $(dmsetup info -c --noheadings -o major critdm) -m $n",
        ),
        SUSPENDED,
    ),
    act(
        "dm-suspend-ioctl",
        DETACH,
        How::Native(|| control::suspend("critdm")),
        SUSPENDED,
    ),
    act(
        "compat-dm-suspend",
        DETACH,
        How::Native(|| compat::mapper_suspend("critdm")),
        SUSPENDED,
    ),
    act(
        "dm-remove",
        DETACH,
        How::Shell("dmsetup remove critdm"),
        GONE,
    ),
    act(
        "dm-remove-force",
        DETACH,
        How::Shell("dmsetup remove --force critdm"),
        GONE,
    ),
    act(
        "dm-remove-all",
        DETACH,
        // It ends with success whatever became of it.
        How::Shell(
            "o=$(dmsetup remove_all --force 2>&1) || true
             ! dmsetup table critdm | grep -q linear || ! echo \"$o\" | grep 'not permitted'",
        ),
        GONE,
    ),
    act(
        "dm-wipe-table",
        DETACH,
        How::Shell("dmsetup wipe_table critdm"),
        GONE,
    ),
    act(
        "dm-reload",
        DETACH,
        How::Shell("dmsetup reload critdm --table '0 8 error'"),
        Seen::Success,
    ),
    act(
        "dm-rename",
        DETACH,
        How::Shell("dmsetup rename critdm critdm2"),
        GONE,
    ),
    act(
        "dm-message",
        DETACH,
        How::Shell("dmsetup message critdm 0 delete 1"),
        GONE,
    ),
    act(
        "luks-suspend",
        DETACH,
        How::Shell("cryptsetup luksSuspend critluks"),
        GONE,
    ),
    act(
        "luks-close-deferred",
        DETACH,
        How::Shell("cryptsetup close --deferred critluks"),
        GONE,
    ),
    act(
        "luks-shrunk",
        &["detach", "raw-write", "remap"],
        How::Shell("echo -n secret | cryptsetup -q resize critluks --size 8 --key-file -"),
        Seen::Script(
            "[ $(blockdev --getsz /dev/mapper/critluks) = 8 ]",
            How::Shell("echo -n secret | cryptsetup resize critluks --key-file -"),
        ),
    ),
    act(
        "hibernation-by-a-program",
        RESET,
        // SNAPSHOT_AVAIL_SWAP_SIZE, which alone of its commands does no harm.
        How::Shell(
            "need /dev/snapshot
             python3 -c 'import fcntl, os; fcntl.ioctl(os.open(\"/dev/snapshot\", os.O_RDONLY), 0x80083313, bytes(8))'",
        ),
        Seen::Success,
    ),
    act(
        "ext4-error",
        DETACH,
        How::Shell("echo boom >/sys/fs/ext4/$(basename $(findmnt -no SOURCE /var/lib/mysql))/trigger_fs_error"),
        GONE,
    ),
    act(
        "file-system-shutdown",
        DETACH,
        How::Native(|| control::shut_down(Path::new("/var/lib/mysql"))),
        Seen::Fatal,
    ),
    act(
        "memory-write",
        RESET,
        How::Shell("exec 3<>/dev/mem"),
        Seen::Success,
    ),
    act(
        "port-write",
        RESET,
        How::Shell("need /dev/port; exec 3<>/dev/port"),
        Seen::Success,
    ),
    act(
        "memory-write-by-another-node",
        RESET,
        How::Shell(
            "rm -f /root/mem; mknod /root/mem c 1 1; r=0; (exec 3>/root/mem) || r=$?; rm -f /root/mem; exit $r",
        ),
        Seen::Success,
    ),
    act("nvram-write", FIRMWARE, How::Native(nvram), Seen::Success),
];

pub(super) const WORK: &[(&str, &str)] = &[
    (
        "dm-of-a-free-disk",
        "mkdir -p /root/guest-suite; truncate -s 16M /root/guest-suite/dm.img; D=$(losetup -f --show /root/guest-suite/dm.img)
         udevadm settle; wipefs -qaf $D; echo \"0 2048 linear $D 0\" | dmsetup create freedm; udevadm settle
         dmsetup suspend freedm; echo \"0 4096 linear $D 0\" | dmsetup reload freedm; dmsetup resume freedm
         dmsetup rename freedm freedm2; dmsetup wipe_table freedm2; udevadm settle; dmsetup remove --retry freedm2
         losetup -d $D",
    ),
    (
        "luks-resized",
        "before=$(blockdev --getsz /dev/mapper/critluks); echo -n secret | cryptsetup -q --key-file - resize critluks
         [ $(blockdev --getsz /dev/mapper/critluks) = $before ]; cryptsetup status critluks >/dev/null",
    ),
    (
        "luks-key-added",
        "D=/dev/$(ls /sys/block/$(basename $(readlink -f /dev/mapper/critluks))/slaves); echo -n secret >/root/key; echo -n another >/root/key2
         cryptsetup -q luksAddKey --pbkdf-force-iterations 1000 --key-file /root/key $D /root/key2
         cryptsetup open --test-passphrase --key-file /root/key2 $D; rm /root/key /root/key2",
    ),
    ("dm-queries", "dmsetup ls >/dev/null; dmsetup info critdm >/dev/null; dmsetup table >/dev/null; dmsetup status >/dev/null; dmsetup deps >/dev/null; dmsetup targets >/dev/null; dmsetup resume critdm"),
    ("memory-read", "exec 3</dev/mem; exec 3<&-; [ ! -e /dev/port ] || head -c 1 /dev/port >/dev/null; echo x >/dev/null; head -c 8 /dev/urandom >/dev/null; echo x >/dev/kmsg"),
];

/// Opens the firmware's settings for writing.
fn nvram() -> Result<()> {
    let node = Path::new("/dev/nvram");
    if !node.exists() {
        // The driver is built into few kernels; the refusal comes before the driver is asked.
        shell::must("mknod /root/nvram c 10 144")?;
        let opened = crate::native::open(Path::new("/root/nvram"), true, true, 0);
        shell::must("rm -f /root/nvram")?;
        if guard::is_off() {
            return Err(skip("this kernel has no /dev/nvram"));
        }
        return opened.map(drop);
    }
    crate::native::open(node, true, true, 0).map(drop)
}

/// Mappings over disks in memory, marked as critical: a plain one, and an encrypted one.
pub(super) fn make_mapping() -> Result<()> {
    let below = fixture::memory_disk("below-critdm", 64)?;
    guard::wait_free(&below.node)?;
    shell::must(&format!(
        "echo '0 65536 linear {} 0' | dmsetup create critdm -u GUEST-critdm && udevadm settle",
        below.path()
    ))?;
    if !guard::is_off() {
        guard::mark_device(&Disk::at("/dev/mapper/critdm")?.node)?;
    }
    ensure!(Path::new("/dev/mapper/critdm").exists(), "no mapping");
    // Of a kind that udev looks into.
    shell::must(
        "set -e; mkdir -p /root/guest-suite; truncate -s 32M /root/guest-suite/luks.img
         D=$(losetup -f --show /root/guest-suite/luks.img)
         echo -n secret | cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 $D -
         echo -n secret | cryptsetup -q open --key-file - $D critluks; udevadm settle",
    )?;
    if !guard::is_off() {
        guard::mark_device(&Disk::at("/dev/mapper/critluks")?.node)?;
        let below = shell::must(
            "echo /dev/$(ls /sys/block/$(basename $(readlink -f /dev/mapper/critluks))/slaves)",
        )?;
        guard::wait_guarded(Path::new(below.trim()))?;
    }
    Ok(())
}

/// Leaves the mappings: they are marked, and so nobody's to remove.
pub(super) fn clean_up() -> Result<()> {
    shell::must("dmsetup info critdm critluks >/dev/null").map(drop)
}
