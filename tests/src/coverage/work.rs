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
        &["legitimate::mariadb-*", "legitimate::postgres-*", "legitimate::database-probes", "hoststate::raw-engine", "hoststate::restart-arms-again"],
        "an engine that writes through io_uring: none is packaged for the guests"),
    work("L2", "backups: dumps, mariabackup, pg_basebackup, reading the disk, snapshots made, mounted, copied and removed, freeze and thaw",
        &["legitimate::mariadb-dump", "legitimate::mariabackup", "legitimate::postgres-on-its-own-disk", "legitimate::dd-reads-the-disk", "legitimate::fsfreeze", "storage::snapshot-*", "storage::xfs-snapshot-nouuid", "storage::thin*"],
        ""),
    work("L3", "growth: lvextend -r, xfs_growfs, resize2fs on a mounted volume, vgextend, thin pools, a grown cloud disk",
        &["storage::lvextend-*", "storage::xfs-growfs", "storage::vgextend", "storage::thin", "storage::live-file-system"],
        "growpart of a mounted disk, and dmeventd: neither is in the guests"),
    work("L4", "free disks: partition, mkfs, mkswap, LUKS, a new volume in the same group, images, zram, nbd, encrypted swap",
        &["legitimate::partition-*", "legitimate::parted", "legitimate::sfdisk", "legitimate::swap", "legitimate::luks", "legitimate::nvme-format-free", "legitimate::wipe-free",
          "legitimate::loop*", "legitimate::zram", "legitimate::nbd", "legitimate::ram-disk", "storage::new-volume-and-mkfs-at-once", "storage::md-create-on-free-disks", "storage::free-group-from-nothing"],
        ""),
    work("L5", "replacement: a redundant member failed, removed, another added; LVM's mirrors mended; checks",
        &["storage::md-fail-remove-add", "storage::md-check", "storage::raid-volume-repaired"],
        "mdmon with external metadata: needs a controller of Intel's"),
    work("L6", "health and inventory: SMART, NVMe and SCSI queries, lsblk, blkid, udev, multipath, hdparm, DMI, IPMI sensors",
        &["legitimate::smartctl", "legitimate::nvme-*", "legitimate::sg-queries", "legitimate::inventory", "legitimate::tables-*", "legitimate::udev", "legitimate::blockdev", "legitimate::hdparm",
          "legitimate::multipath", "storage::md-queries", "storage::scan"],
        "the board (DMI) and a BMC's sensors: no case yet"),
    work("L7", "upkeep: trimming, defragmenting, checking without writing, quotas",
        &["legitimate::fstrim", "legitimate::e4defrag", "legitimate::fsck-read-only", "storage::xfs-fsr-and-repair-n"],
        "quotas: no case yet"),
    work("L8", "upgrades of packages, kernels and boot loaders; kdump",
        &["legitimate::update-grub"],
        "package upgrades and kdump: they come with the rules for boot files and kexec"),
    work("L9", "orderly reboot and failover: stop, unmount, mount elsewhere, start",
        &["legitimate::postgres-disk-unmounted", "hoststate::stop-and-unmount-stays-held", "hoststate::controller-restart-stays-held", "hoststate::database-on-a-new-disk", "hoststate::new-mount-is-protected"],
        "mounting the data elsewhere and starting there; a reboot by systemd in the middle of a suite"),
    work("L10", "scans and activation: LVM, multipath, arrays, Btrfs scrubs and snapshots, swap off and on",
        &["storage::scan", "legitimate::multipath", "legitimate::swap", "hoststate::idle-refuses-nothing"],
        "Btrfs scrubs, balances and snapshots: no case yet"),
    work("L11", "containers with bind mounts and overlays",
        &["legitimate::container", "legitimate::overlay"],
        "podman: the guests have crun and nspawn"),
    work("L12", "tracing and monitoring: bpftool, block traces, ftrace, strace, process lists",
        &["legitimate::bpftool", "legitimate::block-trace", "legitimate::processes"],
        "ftrace: no case yet; perf: not in the guests"),
    work("L13", "configuration management: facts, packages, services, mounts",
        &["legitimate::inventory", "legitimate::processes"],
        "Ansible itself: not in the guests, nor what it reads and does in one case"),
];
