//! Disks taken away through sysfs and proc.

use std::path::Path;

use anyhow::Result;

use super::{Act, How, NETWORK_DISK, Seen, act, run};
use crate::harness::guard;

const DETACH: &[&str] = &["detach"];
const PASS: &[&str] = &["passthrough"];
/// The driver's commands are on no list.
const DETACH_OR_PASS: &[&str] = &["detach", "passthrough"];

const fn knob(name: &'static str, script: &'static str) -> Act {
    act(name, DETACH, How::Shell(script), Seen::Fatal)
}

pub(super) const ACTS: &[Act] = &[
    act(
        "scsi-offline",
        DETACH,
        How::Shell("echo offline >$LUN/state"),
        Seen::Script(
            "grep -q offline $LUN/state",
            How::Shell("echo running >$LUN/state"),
        ),
    ),
    // Until somebody writes `running` all I/O of all its disks waits.
    knob(
        "scsi-host-state",
        "l=$(basename $(readlink -f $LUN)); echo recovery >/sys/class/scsi_host/host${l%%:*}/state",
    ),
    knob("scsi-delete", "echo 1 >$LUN/delete"),
    knob(
        "scsi-remove-single-device",
        "need /proc/scsi/scsi; l=$(basename $(readlink -f $LUN)); echo scsi remove-single-device ${l//:/ } >/proc/scsi/scsi",
    ),
    knob(
        "scsi-unbind",
        "basename $(readlink -f $LUN) >/sys/bus/scsi/drivers/sd/unbind",
    ),
    knob("pci-remove", "echo 1 >$PCI/remove"),
    knob("pci-remove-of-the-scsi-host", "echo 1 >$(bus $SCSI)/remove"),
    knob("pci-reset", "echo 1 >$PCI/reset"),
    knob("pci-disable", "echo 0 >$PCI/enable"),
    knob("pci-unbind", "basename $PCI >$PCI/driver/unbind"),
    knob("pci-driver-override", "echo vfio-pci >$PCI/driver_override"),
    act(
        "pci-registers",
        PASS,
        How::Shell("printf '\\0\\0' | dd of=$PCI/config bs=1 seek=4 conv=notrunc"),
        Seen::Fatal,
    ),
    knob("nvme-reset", "echo 1 >$CTRL/reset_controller"),
    knob(
        "nvme-delete",
        "[ -e $CTRL/delete_controller ] && echo 1 >$CTRL/delete_controller || echo 1 >$CTRL/reset_controller",
    ),
    act(
        "pci-registers-by-proc",
        PASS,
        How::Shell(
            "p=$(basename $(readlink -f $PCI)); p=${p#*:}; f=/proc/bus/pci/${p%%:*}/${p#*:}
             [ -e $f ]; printf '\\0\\0' | dd of=$f bs=1 seek=4 conv=notrunc",
        ),
        Seen::Fatal,
    ),
    // Its server is asked to go, as by nbd-client(8) -d.
    act(
        "nbd-disconnect",
        DETACH_OR_PASS,
        // NBD_DISCONNECT (include/uapi/linux/nbd.h).
        How::Shell(
            "python3 -c 'import fcntl, os, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0xab08)' $NBD",
        ),
        Seen::Fatal,
    ),
    act(
        "bind-mount-of-sysfs",
        DETACH,
        How::Shell(
            "mkdir -p /tmp/sys2; mount -t sysfs sysfs /tmp/sys2; r=0; echo 1 >/tmp$(readlink -f $LUN | sed 's,^/sys,/sys2,')/delete || r=$?; umount /tmp/sys2; exit $r",
        ),
        Seen::Fatal,
    ),
];

/// A disk that a program serves.
pub(super) fn make_network_disk() -> Result<()> {
    run("mkdir -p /root/guest-suite; truncate -s 16M /root/guest-suite/nbd.img
         qemu-nbd --fork -f raw -c $NBD /root/guest-suite/nbd.img
         for i in $(seq 50); do [ $(blockdev --getsize64 $NBD) = 0 ] || break; sleep 0.1; done; udevadm settle")?;
    if guard::is_off() {
        return Ok(());
    }
    guard::mark_device(Path::new(NETWORK_DISK))
}

pub(super) fn drop_network_disk() -> Result<()> {
    if !guard::is_off() {
        run("dbguard release --confirm-host $(uname -n) $NBD")?;
    }
    run("qemu-nbd -d $NBD; rm -f /root/guest-suite/nbd.img")
}

pub(super) const WORK: &[(&str, &str)] = &[
    ("uevents", "echo change >$SCSI/uevent; echo change >$PCI/uevent; udevadm trigger; udevadm settle"),
    ("rescans", "echo 1 >$LUN/rescan; echo 1 >/sys/bus/pci/rescan; for h in /sys/class/scsi_host/*; do echo '- - -' >$h/scan; done; udevadm settle"),
    ("tuning", "same() { v=$(sed 's/.*\\[\\(.*\\)\\].*/\\1/' $1); echo $v >$1; }
             same $DATA/queue/read_ahead_kb; [ ! -e $DATA/queue/scheduler ] || same $DATA/queue/scheduler; same $SCSI/queue/scheduler; same $LUN/timeout; same $LUN/queue_depth"),
    (
        "other-pci-device",
        "for d in /sys/bus/pci/devices/*; do [ $(cat $d/vendor) = 0x1af4 ] && [ -n \"$(find $d/ -name hw_random -o -name 'hwrng*' 2>/dev/null)\" -o \"$(cat $d/device)\" = 0x1005 -o \"$(cat $d/device)\" = 0x1044 ] || continue
             echo 1 >$d/remove; [ ! -e $d ]; echo 1 >/sys/bus/pci/rescan; udevadm settle; [ -e $d ]; exit 0; done; echo no such device; exit 1",
    ),
    (
        "free-scsi-disk",
        "dbguard check --for detach --quiet /dev/$(by spare4) || { echo the disk has carried data since; exit 77; }
         F=/sys/block/$(by spare4); L=$(readlink -f $F/device); case $L in */host*) ;; *) exit 0;; esac
         H=$(echo $L | grep -o 'host[0-9]*' | head -1)
         echo offline >$L/state; echo running >$L/state; echo 1 >$L/delete; udevadm settle; [ ! -e $L ]
         echo '- - -' >/sys/class/scsi_host/$H/scan; udevadm settle; [ -e /dev/disk/by-role/spare4 ]",
    ),
];
