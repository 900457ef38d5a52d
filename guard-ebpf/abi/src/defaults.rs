//! What happens by default where a site may want something else: one row for each choice.

use crate::{Decision, Op};

/// One choice.
#[derive(Clone, Copy, Debug)]
pub struct RowDefault {
    /// Row of the catalogue of vectors (docs/coverage.md).
    pub row: &'static str,
    /// Name of the choice.
    pub name: &'static str,
    /// Operation class that its records name.
    pub op: Op,
    /// What is done: [`Decision::Deny`], [`Decision::Record`] or [`Decision::Allow`].
    pub decision: Decision,
    /// Why.
    pub reason: &'static str,
}

const fn row(
    row: &'static str,
    name: &'static str,
    op: Op,
    decision: Decision,
    reason: &'static str,
) -> RowDefault {
    RowDefault {
        row,
        name,
        op,
        decision,
        reason,
    }
}

/// About the machine itself: reboots, kernels, firmware, the BMC, knobs and mappings.
pub const MACHINE_DEFAULTS: &[RowDefault] = &[
    row(
        "F3",
        "forced-reboot",
        Op::Reset,
        Decision::Deny,
        "reboot(2) from anything but process 1 skips every stop job; `systemctl reboot` goes on",
    ),
    row(
        "F3",
        "suspend",
        Op::Reset,
        Decision::Deny,
        "nobody suspends a server; /sys/power/state and the reboot(2) command write to swap or stop everything",
    ),
    row(
        "D11",
        "resume-device",
        Op::Reset,
        Decision::Deny,
        "writing /sys/power/resume reads and marks a swap device; done by the initramfs alone",
    ),
    row(
        "F10",
        "sysrq-trigger",
        Op::Reset,
        Decision::Deny,
        "`b`, `c`, `o`, `e`, `i`, `u` end the database; which letter is written is not seen at the open",
    ),
    row(
        "F11",
        "watchdog",
        Op::Reset,
        Decision::Allow,
        "Patroni, sbd and systemd feed it; kernel.panic* are part of their set-up",
    ),
    row(
        "F1",
        "kexec",
        Op::Kexec,
        Decision::Deny,
        "another kernel staged on a live host is a reinstallation or a mistake",
    ),
    row(
        "F1",
        "kdump",
        Op::Kexec,
        Decision::Record,
        "the crash kernel is loaded by the distribution at each boot",
    ),
    row(
        "F4",
        "boot-next",
        Op::Firmware,
        Decision::Deny,
        "BootNext, LoaderEntryOneShot, LoaderEntryDefault, OsIndications, FactoryResetRequest: no package upgrade sets them; fwupd's capsules wait for maintenance. Taking one away is allowed",
    ),
    row(
        "F4",
        "efi-variables",
        Op::Firmware,
        Decision::Deny,
        "all others, except from package managers (BootOrder, Boot####); `LoaderSystemToken` is free",
    ),
    row(
        "F5",
        "efi-vars-legacy",
        Op::Firmware,
        Decision::Deny,
        "/sys/firmware/efi/vars is the same store",
    ),
    row(
        "F14",
        "firmware-settings",
        Op::Firmware,
        Decision::Deny,
        "/dev/nvram and firmware-attributes change the boot order at the next start",
    ),
    row(
        "A20",
        "flash",
        Op::Firmware,
        Decision::Deny,
        "writing /dev/mtdN overwrites firmware; reading goes on",
    ),
    row(
        "F15",
        "tpm",
        Op::Firmware,
        Decision::Record,
        "clearing cannot be told from attestation at the open; clevis and systemd need it",
    ),
    row(
        "F8",
        "bmc-power",
        Op::Bmc,
        Decision::Deny,
        "chassis control, boot options, PICMG activation: in-band power cycles and netboots",
    ),
    row(
        "F8",
        "bmc-reset",
        Op::Bmc,
        Decision::Record,
        "a cold or warm reset of the BMC leaves the host running, and is how hung ones are mended",
    ),
    row(
        "F8",
        "bmc-oem",
        Op::Bmc,
        Decision::Allow,
        "vendors' network functions carry monitoring; what they do is not public",
    ),
    row(
        "F16",
        "bmc-firmware",
        Op::Firmware,
        Decision::Deny,
        "firmware of the BMC is upgraded in maintenance",
    ),
    row(
        "H1",
        "memory",
        Op::Reset,
        Decision::Deny,
        "writing /dev/mem or /dev/port reaches anything; inventory reads",
    ),
    row(
        "H1",
        "io-ports",
        Op::Reset,
        Decision::Deny,
        "ioperm(2) and iopl(2) allow what /dev/port does",
    ),
    row(
        "H1",
        "msr",
        Op::Reset,
        Decision::Allow,
        "tuned sets the energy bias through it",
    ),
    row(
        "H1",
        "pci-registers",
        Op::Passthrough,
        Decision::Deny,
        "`config` and `resourceN` of a protected controller and the bridges above it; of others allowed",
    ),
    row(
        "H2",
        "modules",
        Op::Guard,
        Decision::Allow,
        "autoloading, DKMS and monitoring load modules all the time; what a module opens is judged by itself",
    ),
    row(
        "G1",
        "sysfs-detach",
        Op::Detach,
        Decision::Deny,
        "delete, state, remove, reset, unbind, … of a protected device, what it hangs on, and its drivers",
    ),
    row(
        "G4",
        "storage-logout",
        Op::Detach,
        Decision::Deny,
        "/sys/bus/rbd/remove while an rbd device is protected; NBD ioctls on a protected device",
    ),
    row(
        "D3",
        "md-sysfs",
        Op::Detach,
        Decision::Deny,
        "array_state, level, member state, … of a protected array, except by mdmon and mdadm; `sync_action` is free",
    ),
    row(
        "D2",
        "dm-control",
        Op::Detach,
        Decision::Deny,
        "suspend, remove, rename, reload, message on critical devices and the root's, except by LVM, cryptsetup, multipath",
    ),
    row(
        "D2",
        "dm-remove-all",
        Op::Detach,
        Decision::Deny,
        "no program that keeps devices sends it",
    ),
    row(
        "E1",
        "file-system-shutdown",
        Op::Detach,
        Decision::Deny,
        "made for tests of file systems",
    ),
    row(
        "E2",
        "freeze",
        Op::Detach,
        Decision::Record,
        "backup agents freeze and thaw",
    ),
    row(
        "D9",
        "subvolume-delete",
        Op::Detach,
        Decision::Allow,
        "snapper and btrbk delete snapshots; which subvolume is meant is a name in the argument",
    ),
    row(
        "D13",
        "zfs",
        Op::Detach,
        Decision::Allow,
        "/dev/zfs carries snapshots and scrubs too; vdevs are judged as devices",
    ),
];
