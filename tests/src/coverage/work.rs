//! Legitimate work, and the cases that do it.

/// A kind of work on a live database host.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Its name.
    pub id: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Cases that do it.
    pub tests: &'static [&'static str],
    /// What no case does, and why; empty where all of it is done.
    pub left: &'static str,
}

const fn work(
    id: &'static str,
    what: &'static str,
    tests: &'static [&'static str],
    left: &'static str,
) -> Work {
    Work {
        id,
        what,
        tests,
        left,
    }
}

/// All of it.
#[rustfmt::skip]
pub const WORK: &[Work] = &[
    work("L1", "servers under load: start, stop, restart, crash recovery, O_DIRECT and asynchronous engines, a server on a raw device",
        &["legitimate::mariadb-*", "legitimate::postgres-*", "legitimate::database-probes", "hoststate::raw-engine", "hoststate::restart-arms-again",
          "descriptors::servers-own-device", "descriptors::database-goes-on"],
        "an engine that writes through io_uring: none is packaged for the guests"),
    work("L2", "backups: dumps, mariabackup, pg_basebackup, reading the disk, snapshots made, mounted, copied and removed, freeze and thaw",
        &["legitimate::mariadb-dump", "legitimate::mariabackup", "legitimate::postgres-on-its-own-disk", "legitimate::dd-reads-the-disk", "legitimate::fsfreeze", "storage::snapshot-*", "storage::xfs-snapshot-nouuid", "storage::thin*"],
        ""),
    work("L3", "growth: lvextend -r, xfs_growfs, resize2fs on a mounted volume, vgextend, thin pools, a grown cloud disk",
        &["storage::lvextend-*", "storage::xfs-growfs", "storage::md-grown", "storage::vgextend", "storage::thin", "storage::metadata-changed", "storage::live-file-system"],
        "growpart of a mounted disk, and dmeventd: neither is in the guests"),
    work("L4", "free disks: partition, mkfs, mkswap, LUKS, a new volume in the same group, images, zram, nbd, encrypted swap",
        &["legitimate::partition-*", "legitimate::parted", "legitimate::sfdisk", "legitimate::swap", "legitimate::luks", "legitimate::nvme-format-free", "legitimate::wipe-free",
          "legitimate::loop*", "legitimate::zram", "legitimate::nbd", "legitimate::ram-disk", "legitimate::scsi-disk-taken-out", "storage::new-volume-and-mkfs-at-once", "storage::made-while-the-controller-is-slow", "storage::md-create-on-free-disks", "storage::free-group-from-nothing",
          "machine::dm-of-a-free-disk", "machine::free-scsi-disk"],
        ""),
    work("L5", "replacement: a redundant member failed, removed, another added; LVM's mirrors mended; checks",
        &["storage::md-fail-remove-add", "storage::md-member-put-back", "storage::md-check", "storage::raid-volume-repaired",
          "identity::spare-with-a-copied-table"],
        "mdmon with external metadata: needs a controller of Intel's"),
    work("L6", "health and inventory: SMART, NVMe and SCSI queries, lsblk, blkid, udev, multipath, hdparm, DMI, IPMI sensors",
        &["legitimate::smartctl", "legitimate::nvme-*", "legitimate::sg-queries", "legitimate::inventory", "legitimate::tables-*", "legitimate::udev", "legitimate::blockdev", "legitimate::hdparm",
          "legitimate::multipath", "storage::md-queries", "storage::scan", "machine::dm-queries", "machine::memory-read", "machine::uevents", "machine::rescans", "machine::tuning",
          "layer2::question"],
        "a BMC's sensors: the suite's guests have no BMC, and `machine::bmc-queries` does nothing there"),
    work("L7", "upkeep: trimming, defragmenting, checking without writing, quotas",
        &["legitimate::fstrim", "legitimate::e4defrag", "legitimate::fsck-read-only", "storage::xfs-fsr-and-repair-n"],
        "quotas: no case"),
    work("L8", "upgrades of packages, kernels and boot loaders; kdump",
        &["boot::package-upgraded", "boot::boot-sector-by-a-package", "boot::inode-of-a-removed-file", "boot::update-grub", "boot::grub-mkconfig", "boot::initramfs", "boot::boot-was-good", "boot::files-beside", "boot::read",
          "guard-itself::allowed-upgrade*", "machine::kdump-load", "machine::kexec-unload", "legitimate::grub-probe"],
        "a distribution's own kernel package, `kdump-config` and `fwupdmgr refresh`: no case"),
    work("L9", "orderly reboot and failover: stop, unmount, mount elsewhere, start",
        &["legitimate::postgres-disk-unmounted", "hoststate::stop-and-unmount-stays-held", "hoststate::controller-restart-stays-held", "hoststate::database-on-a-new-disk", "hoststate::new-mount-is-protected",
          "mounts::failover", "mounts::remounted", "mounts::other-mounts", "mounts::private-mount-moved", "mounts::data-bound-elsewhere", "mounts::plain-umount-says-busy", "mounts::propagation",
          "layer2::work-mount*", "machine::ctrl-alt-del"],
        "starting the server where its data is mounted elsewhere; a reboot by systemd in the middle of a suite; watchdogs"),
    work("L10", "scans and activation: LVM, multipath, arrays, Btrfs scrubs and snapshots, swap off and on",
        &["storage::scan", "legitimate::multipath", "legitimate::swap", "hoststate::idle-refuses-nothing", "layer2::work-activate-volumes", "layer2::work-assemble", "layer2::work-unlock", "machine::luks-resized", "machine::luks-key-added",
          "layer2::work-swap", "layer2::work-partitions-of-a-path", "layer2::work-mount-btrfs"],
        ""),
    work("L11", "containers with bind mounts and overlays",
        &["legitimate::container", "legitimate::overlay", "mounts::own-namespace", "mounts::slave-namespace", "mounts::container-pivots", "mounts::nspawn", "mounts::confined-unit", "layer2::work-mount-in-a-container",
          "machine::container-reboots-itself"],
        "podman: the guests have crun and nspawn"),
    work("L12", "tracing and monitoring: bpftool, block traces, ftrace, strace, process lists",
        &["legitimate::bpftool", "legitimate::block-trace", "legitimate::processes", "guard-itself::allowed-bpftool-looks", "guard-itself::allowed-maps-of-others", "guard-itself::allowed-bpf-of-others",
          "guard-itself::allowed-processes-*"],
        "ftrace: no case; perf: not in the guests"),
    work("L13", "configuration management: facts, packages, services, mounts",
        &["legitimate::inventory", "legitimate::processes", "guard-itself::allowed-configuration-is-written", "guard-itself::allowed-commands", "guard-itself::allowed-a-command-can-be-ended",
          "guard-itself::allowed-reload-stop-start-restart", "guard-itself::allowed-daemon-reexec", "machine::other-pci-device"],
        "Ansible itself: not in the guests, nor what it reads and does in one case"),
];
