//! Rows about the machine: what it boots, what is taken from it, its kernel, and the guard itself.

use super::Usual::{Allowed, RecordedByRule, Refused, RefusedByRule};
use super::{Row, row};

const ALL: &str = "all kernels";
const EFI: &str = "all kernels, on EFI machines";

/// F: another system at the next boot, or now.
#[rustfmt::skip]
pub const BOOT: &[Row] = &[
    row("F1", "Another kernel staged", "kexec -l: kexec_load", ALL,
        RefusedByRule("kexec", "nobody replaces the kernel of a live database host so; kdump's crash kernel is let through"))
        .not_covered("no hook yet"),
    row("F2", "The same by file", "kexec -s -l: kexec_file_load", ALL, RefusedByRule("kexec", "as F1"))
        .not_covered("no hook yet"),
    row("F3", "Started, restarted or switched off", "kexec -e, reboot -f, poweroff", ALL,
        RefusedByRule("reset", "orderly shutdown stops the database first and goes on; anything else pulls it down"))
        .not_covered("no hook yet"),
    row("F4", "Firmware boot entries changed", "efibootmgr, bootctl set-oneshot, systemctl reboot --firmware-setup", EFI,
        RefusedByRule("firmware", "a package upgrade keeps its grant; BootNext and BootOrder decide what the machine becomes"))
        .not_covered("no guest with firmware variables yet"),
    row("F5", "The same through the old interface", "/sys/firmware/efi/vars", "RHEL 8", Refused)
        .not_covered("no kernel of the guests has it"),
    row("F6", "Boot files changed", "grub-reboot, grubby, debi.sh, a kernel copied to /boot", ALL,
        RefusedByRule("boot-file", "package managers keep their grant: a kernel upgrade is routine, an installer beside it is not"))
        .not_covered("the hooks are there, their places and tests are not"),
    row("F7", "A boot loader installed", "grub-install, bootctl install", ALL, RefusedByRule("boot-file", "as F6"))
        .not_covered("the hooks are there, their places and tests are not; boot sectors are A12"),
    row("F8", "The BMC told to boot an installer, or to cut the power", "ipmitool chassis bootdev, chassis power", ALL,
        RefusedByRule("bmc", "sensors, logs and settings stay allowed by command"))
        .not_covered("the IPMI nodes are not judged yet"),
    row("F9", "The same over the network, or by a cloud's interface", "ipmitool -H, Redfish, a rebuild by API", ALL,
        Allowed("nothing of it passes this kernel"))
        .not_covered("cannot be: see X3"),
    row("F10", "Magic SysRq", "echo b >/proc/sysrq-trigger", ALL, RefusedByRule("reset", "a hung host is reset by its BMC; a live one is not reset so"))
        .not_covered("the hook is there, its test is not"),
    row("F11", "Watchdogs", "/dev/watchdog", ALL, Allowed("Patroni, sbd and systemd need them"))
        .not_covered("the guests have no watchdog"),
    row("F12", "The running system exchanged", "pivot_root, systemctl soft-reboot, switch-root", ALL, Refused)
        .not_covered("no hook yet"),
    row("F13", "Factory reset", "systemd-repart --factory-reset", EFI, Refused)
        .not_covered("made of F4 and A4"),
    row("F14", "Settings of the board", "/dev/nvram, firmware-attributes", ALL, RefusedByRule("firmware", "boot order lives there on some boards"))
        .not_covered("no hook yet"),
    row("F15", "The TPM cleared", "tpm2_clear", ALL, RecordedByRule("firmware", "keys that unlock the disks may be sealed in it; attestation uses the same node"))
        .not_covered("the guests have no TPM"),
    row("F16", "Firmware written", "fwupd, nvme fw-commit", ALL, RefusedByRule("firmware", "an update that stops half-way bricks; it belongs into a maintenance window"))
        .hooks(&["file_ioctl", "file_ioctl_compat", "uring_cmd"])
        .tests(&["nvme-fw-*", "sg_write_buffer"])
        .but("capsules and vendors' own interfaces"),
];

/// G: a device that disappears under the database.
#[rustfmt::skip]
pub const DETACH: &[Row] = &[
    row("G1", "A disk deleted", "echo 1 >/sys/block/sdX/device/delete, rescan-scsi-bus.sh -r", ALL, RefusedByRule("detach", "re-zoning a SAN does it to disks that are not in use"))
        .not_covered("the hook is there, its places and tests are not"),
    row("G2", "A driver taken away", "unbind, remove, reset, driver_override in sysfs", ALL, RefusedByRule("detach", "as G1"))
        .not_covered("the hook is there, its places and tests are not"),
    row("G3", "A controller reset or deleted through sysfs", "/sys/class/nvme/nvmeX/reset_controller", ALL, RefusedByRule("detach", "as G1"))
        .not_covered("the hook is there, its places and tests are not"),
    row("G4", "Network storage disconnected", "rbd unmap, iscsiadm -u, nbd-client -d, nvme disconnect", ALL,
        RecordedByRule("detach", "each has its own interface, and storage maintenance uses them"))
        .not_covered("no hook yet; the guests have none of them in use"),
    row("G5", "A device set offline", "echo offline >device/state, zram reset", ALL, RefusedByRule("detach", "as G1"))
        .not_covered("the hook is there, its places and tests are not"),
    row("G6", "A device reset", "sg_reset", ALL, RefusedByRule("detach", "a reset of a live disk stalls it, and drops commands on the way"))
        .hooks(&["file_open", "file_ioctl", "file_ioctl_compat"])
        .tests(&["sg_reset-*"]),
];

/// H: ways around every hook.
#[rustfmt::skip]
pub const KERNEL: &[Row] = &[
    row("H1", "Memory and ports", "/dev/mem, /dev/port, iopl, MSRs", ALL, RefusedByRule("guard", "nothing on a database host needs to write them"))
        .not_covered("no hook yet"),
    row("H2", "Modules", "insmod, rmmod", ALL, RecordedByRule("guard", "drivers load by themselves all the time; a module can do anything"))
        .not_covered("no hook yet"),
    row("H3", "Trampolines switched off", "sysctl kernel.ftrace_enabled=0", "6.1 and 6.12; others refuse it themselves", Refused)
        .not_covered("the hook is there, its test is not"),
    row("H4", "bpf(2) against the guard", "bpftool", ALL, Refused)
        .not_covered("see S1 to S5"),
];

/// I: what can be said before any harm is tried.
#[rustfmt::skip]
pub const PROGRAMS: &[Row] = &[
    row("I1", "Programs that destroy, by their names", "mkfs, wipefs, kexec, debootstrap", ALL,
        Allowed("a name proves nothing: what the program does is judged, and its exec is not held up"))
        .hooks(&["exec"])
        .tests(&["renamed-tool", "renamed-database"]),
];

/// S: the guard taken away.
#[rustfmt::skip]
pub const GUARD: &[Row] = &[
    row("S1", "Links detached by id", "BPF_LINK_DETACH, BPF_PROG_DETACH", ALL, RefusedByRule("guard", "LSM and modify-return links cannot be detached at all; those of the cgroup layer could"))
        .not_covered("no hook yet"),
    row("S2", "Pins unlinked, renamed or covered", "rm /sys/fs/bpf/dbguard/*, umount /sys/fs/bpf", ALL, RefusedByRule("guard", "the last reference takes the program with it"))
        .not_covered("the hooks are there, their places and tests are not; `status` tells of missing links today"),
    row("S3", "Maps changed", "bpftool map update, by pin or by id", ALL, RefusedByRule("guard", "one word releases the host"))
        .not_covered("no hook yet"),
    row("S4", "Maps frozen", "bpftool map freeze", ALL, RefusedByRule("guard", "the controller could tell the kernel half nothing more"))
        .not_covered("no hook yet"),
    row("S5", "Descriptors of the guard's objects taken", "BPF_*_GET_FD_BY_ID, pidfd_getfd", ALL, RefusedByRule("guard", "as S3"))
        .not_covered("no hook yet"),
    row("S6", "The controller killed or frozen", "kill -9, cgroup.kill, cgroup.freeze, the OOM killer", ALL,
        Allowed("nothing depends on it: the kernel half goes on, and what happens meanwhile is recorded later"))
        .hooks(&["file_open", "file_ioctl"])
        .tests(&["controller::killed-200-times", "controller::stopped", "controller::frozen-*", "controller::restarts"])
        .but("signals are not refused"),
    row("S7", "The controller steered", "ptrace, process_vm_writev, /proc/PID/mem", ALL, RefusedByRule("guard", "it writes the policy"))
        .not_covered("no hook yet"),
    row("S8", "Trampolines switched off", "see H3", "6.1 and 6.12", Refused)
        .not_covered("see H3"),
    row("S9", "Its files changed", "/etc/dbguard, /var/lib/dbguard, the log, the binary, the unit", ALL, RefusedByRule("guard", "an upgrade of the package has an orderly way"))
        .hooks(&["file_open"])
        .tests(&["hoststate::bad-configuration", "hoststate::corrupt-state-is-not-idle"])
        .but("writing them is not refused yet; what cannot be trusted is not obeyed"),
    row("S10", "A boot without it", "lsm= without bpf, another kernel, another medium", ALL, Allowed("a machine that boots something else is not guarded by what it has not booted"))
        .tests(&["hoststate::reboot-comes-back-held"])
        .but("a kernel that never loads the guard; see X4"),
    row("S11", "The guard told to stand aside", "dbguard release, the configuration", ALL, Allowed("by name of the host, by root, with a record; see `release`"))
        .tests(&["hoststate::release-needs-the-name", "hoststate::release", "observe::class-*", "observe::mode-*"]),
];
