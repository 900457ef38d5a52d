//! What a live host has the kernel open: its file systems, by whichever program mounts them, and
//! the volumes, keys, arrays and swap areas that it is put together from.

use anyhow::{Context, Result, ensure};
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
};

use crate::acts;
use crate::harness::case::Case;
use crate::harness::disk::Disk;
use crate::harness::shell::Script;
use crate::harness::{audit, guard};
use crate::suites::fixture;
use crate::suites::legitimate::{Work, work};

/// `$P` and a number is a partition of the protected disk `$DISK`: ext4, LUKS, XFS, btrfs, an array's
/// member, a volume group's, swap.
const WORK: &[Work] = &[
    work(
        "mount",
        60,
        "mount ${P}1 /mnt/l2; echo x >/mnt/l2/x; sync -f /mnt/l2; umount /mnt/l2",
    ),
    work(
        "mount-read-only-then-writable",
        60,
        "mount -o ro ${P}1 /mnt/l2; mount -o remount,rw /mnt/l2; echo y >/mnt/l2/y; umount /mnt/l2",
    ),
    work(
        "mount-xfs",
        60,
        "mount ${P}3 /mnt/l2; echo x >/mnt/l2/x; umount /mnt/l2",
    ),
    work(
        "mount-btrfs",
        60,
        "mount ${P}4 /mnt/l2; echo x >/mnt/l2/x; btrfs -q scrub start -B /mnt/l2
         btrfs -q subvolume snapshot -r /mnt/l2 /mnt/l2/before; btrfs -q balance start --full-balance /mnt/l2
         btrfs -q subvolume delete -c /mnt/l2/before; umount /mnt/l2",
    ),
    // Any program that calls mount(2), known to nobody.
    work(
        "mount-by-another-program",
        60,
        "cp /bin/busybox $DIR/busybox-l2; $DIR/busybox-l2 mount -t ext4 ${P}1 /mnt/l2; echo z >/mnt/l2/z; umount /mnt/l2
         python3 -c \"
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mount(b'${P}1', b'/mnt/l2', b'ext4', 0, None) == 0, ctypes.get_errno()\"
         echo z >/mnt/l2/z; umount /mnt/l2",
    ),
    work(
        "mount-in-a-container",
        60,
        "R=$DIR/container; rm -f $R/dev/target; mknod $R/dev/target b $(stat -c '0x%t 0x%T' ${P}1)
         unshare --mount --pid --fork chroot $R /bin/busybox mount -t ext4 /dev/target /tmp
         unshare --mount --pid --fork chroot $R /bin/busybox sh -c '/bin/busybox mount -t ext4 /dev/target /tmp && echo c >/tmp/c'
         mount ${P}1 /mnt/l2; [ $(cat /mnt/l2/c) = c ]; umount /mnt/l2",
    ),
    work(
        "mount-by-systemd",
        60,
        "systemd-mount -q ${P}1 /mnt/l2; echo s >/mnt/l2/s; systemd-umount -q /mnt/l2",
    ),
    work(
        "activate-volumes",
        60,
        "vgchange -q -ay vgl2; udevadm settle; [ -e /dev/vgl2/lvhold ]; vgchange -q -an vgl2; udevadm settle
         pvscan --cache -aay ${P}6 >/dev/null; udevadm settle; [ -e /dev/vgl2/lvhold ]; vgchange -q -an vgl2",
    ),
    work(
        "unlock",
        90,
        "echo -n secret | cryptsetup open --key-file - ${P}2 l2-open; [ -e /dev/mapper/l2-open ]
         cryptsetup resize l2-open; cryptsetup close l2-open",
    ),
    work("swap", 60, "swapon ${P}7; swapoff ${P}7"),
    work(
        "partitions-of-a-path",
        60,
        "kpartx -a -s $DISK; kpartx -d -s $DISK",
    ),
    // As udev does it. Last of these: nobody may stop it again before it is released.
    work(
        "assemble",
        90,
        "mdadm -q --incremental --run ${P}5; grep -q $(basename $(readlink -f ${P}5)) /proc/mdstat",
    ),
];

pub fn prepare() -> Result<()> {
    let disk = table()?;
    fixture::make_table(&disk, "vgl2")?;
    // udev looks for signatures on the kinds of disks that it knows by name
    // (60-persistent-storage.rules).
    script(
        "echo \"KERNEL==\\\"${DISK#/dev/}*\\\", IMPORT{builtin}=\\\"blkid\\\"\" >/run/udev/rules.d/61-layer2.rules
         udevadm control --reload; udevadm trigger --action=change ${P}[1-7]; udevadm settle
         [ $(udevadm info -q property --property ID_FS_TYPE --value ${P}7) = swap ]",
    )?
    .must()?;
    for number in 1..=7 {
        guard::mark_device(&disk.partition_path(number))?;
    }
    guard::wait_guarded(&disk.node)
}

fn table() -> Result<Disk> {
    fixture::memory_disk("l2-table", 320)
}

fn script(text: &str) -> Result<Script<'_>> {
    let disk = table()?;
    let prefix = disk.partition_path(0).display().to_string();
    Ok(Script::new(text)
        .with("DIR", acts::SCRATCH)
        .with("DISK", disk.path())
        .with("P", prefix.trim_end_matches('0')))
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::test("work-mount-by-the-new-interface", new_interface)];
    for work in WORK {
        let name = format!("work-{}", work.name);
        // Which program it is makes a difference once; that mounts go on is seen on every kernel.
        let case = Case::test(name, move || perform(work)).limit(work.limit + 40);
        cases.push(if work.name.starts_with("mount") {
            case
        } else {
            case.once()
        });
    }
    cases
}

fn perform(work: &Work) -> Result<()> {
    let mark = audit::mark();
    let text = format!("set -eu; mkdir -p /mnt/l2\n{}", work.script);
    script(&text)?.limit(work.limit).must()?;
    audit::nothing_refused(mark)
}

/// fsopen(2), fsconfig(2), fsmount(2), by this very program.
fn new_interface() -> Result<()> {
    let mark = audit::mark();
    std::fs::create_dir_all("/mnt/l2")?;
    let source = table()?.partition_path(1).display().to_string();
    let context = fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", source)?;
    fsconfig_create(&context).context("the kernel could not open the device")?;
    let none = MountAttrFlags::empty();
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, none)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&mount, "", CWD, "/mnt/l2", flags)?;
    std::fs::write("/mnt/l2/new", "x")?;
    drop((mount, context));
    unmount("/mnt/l2", UnmountFlags::empty())?;
    ensure!(
        !std::path::Path::new("/mnt/l2/new").exists(),
        "still mounted"
    );
    audit::nothing_refused(mark)
}

pub fn remove() -> Result<()> {
    script(
        "for n in 1 2 3 4 5 6 7; do dbguard release --confirm-host \"$(uname -n)\" ${P}$n; done
         dbguard release --confirm-host \"$(uname -n)\" $DISK
         umount /mnt/l2; cryptsetup close l2-open; vgchange -q -an vgl2; mdadm -q --stop /dev/md/l2
         udevadm settle; true",
    )?
    .must()?;
    fixture::drop_memory_disk("l2-table")
}
