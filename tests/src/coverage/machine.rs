//! Rows about the machine: what it boots, what is taken from it, its kernel, and the guard itself.

use super::Usual::{Allowed, RecordedByRule, RefusedByRule};
use super::{Row, row};

const ALL: &str = "all kernels";
const EFI: &str = "all kernels, on EFI machines";

/// What is done to files and directories.
const FILES: &[&str] = &[
    "file_open",
    "inode_create",
    "inode_mkdir",
    "inode_mknod",
    "inode_symlink",
    "inode_link",
    "inode_unlink",
    "inode_rmdir",
    "inode_rename",
    "path_truncate",
];
const OPEN: &[&str] = &["file_open"];
const IOCTL: &[&str] = &["file_ioctl", "file_ioctl_compat"];

/// F: another system at the next boot, or now.
#[rustfmt::skip]
pub const BOOT: &[Row] = &[
    row("F1", "Another kernel staged", "kexec -l: kexec_load", ALL,
        RefusedByRule("kexec", "nobody replaces the kernel of a live database host so; kdump's crash kernel is let through and recorded"))
        .hooks(&["capable"])
        .tests(&["machine::kexec_load*", "machine::compat-kexec_load"]),
    row("F2", "The same by file", "kexec -s -l: kexec_file_load", ALL, RefusedByRule("kexec", "as F1"))
        .hooks(&["capable"])
        .tests(&["machine::kexec_file_load"]),
    row("F3", "Started, restarted or switched off", "kexec -e, reboot -f, poweroff -f", ALL,
        RefusedByRule("reset", "orderly shutdown stops the database first and goes on; anything else pulls it down; starting a staged kernel is of the class `kexec`"))
        .hooks(&["capable"])
        .tests(&[
            "machine::reboot-kexec", "machine::reboot-restart*", "machine::reboot-halt", "machine::reboot-power-off", "machine::compat-reboot",
            "machine::systemctl-reboot-force-force", "machine::busybox-reboot",
        ]),
    row("F4", "Firmware boot entries changed", "efibootmgr, bootctl set-oneshot, systemctl reboot --firmware-setup", EFI,
        RefusedByRule("firmware", "a package may make entries and order them; what is done once, at the next boot, is nobody's to set"))
        .hooks(&["file_open", "inode_create", "inode_unlink"])
        .tests(&[
            "firmware::next-boot*", "firmware::boot-order*", "firmware::order-removed-by-hand", "firmware::boot-entry-made", "firmware::boot-entry-switched-off",
            "firmware::boot-entry-deleted", "firmware::timeout", "firmware::one-shot-entry", "firmware::default-entry", "firmware::firmware-setup",
            "firmware::through-another-mount",
        ]),
    row("F5", "The same through the old interface", "/sys/firmware/efi/vars", "RHEL 8", RefusedByRule("firmware", "as F4"))
        .hooks(OPEN)
        .not_covered("no kernel of the guests has it; a host test has the decision"),
    row("F6", "Boot files changed", "grub-reboot, grubby, debi.sh, a kernel copied to /boot", ALL,
        RefusedByRule("boot-file", "package managers and generators keep their grant, and are recorded: a kernel upgrade is routine, an installer beside it is not"))
        .hooks(FILES)
        .tests(&[
            "boot::append", "boot::overwrite", "boot::truncate-*", "boot::sed-in-place", "boot::new-kernel", "boot::kernel-over", "boot::moved-away",
            "boot::directory*", "boot::exchanged", "boot::removed", "boot::all-removed", "boot::fifo", "boot::symbolic-link", "boot::hard-link-*",
            "boot::old-hard-link", "boot::bind-mount", "boot::mount-namespace", "boot::container", "boot::by-handle", "boot::grubenv-*",
            "boot::grub-reboot", "boot::grub-set-default", "boot::script-*", "boot::koan", "boot::esp-*", "boot::new-directory-guarded-at-once", "boot::new-files-while-the-controller-is-frozen",
            "boot::chosen-inside-a-package",
        ]),
    row("F7", "A boot loader installed", "grub-install, bootctl install", ALL, RefusedByRule("boot-file", "as F6"))
        .hooks(FILES)
        .tests(&["boot::grub-install", "boot::boot-sector-by-a-package", "boot::esp-new-file", "boot::esp-loader*"])
        .but("bootctl install itself: no case; the files that it writes are as those of `esp-new-file`, its variables are F4"),
    row("F8", "The BMC told to boot an installer, or to cut the power", "ipmitool chassis bootdev, chassis power", ALL,
        RefusedByRule("bmc", "sensors, logs and settings stay allowed by command; a reset of the BMC itself is recorded"))
        .hooks(IOCTL)
        .tests(&["firmware::boot-device", "firmware::boot-parameters", "firmware::power-*", "firmware::raw-power-off", "firmware::bridged-power-cycle"]),
    row("F9", "The same over the network, or by a cloud's interface", "ipmitool -H, Redfish, a rebuild by API", ALL,
        Allowed("nothing of it passes this kernel"))
        .not_covered("cannot be: see X3"),
    row("F10", "Magic SysRq", "echo b >/proc/sysrq-trigger", ALL, RefusedByRule("reset", "a hung host is reset by its BMC; a live one is not reset so"))
        .hooks(OPEN)
        .tests(&["machine::sysrq-boot"]),
    row("F11", "Watchdogs", "/dev/watchdog", ALL, Allowed("Patroni, sbd and systemd need them"))
        .not_covered("no case: the guests load no watchdog"),
    row("F12", "The running system exchanged", "pivot_root, systemctl soft-reboot, switch-root", ALL,
        RefusedByRule("detach", "containers pivot in mount namespaces of their own, which concerns nobody else"))
        .hooks(&["sb_pivotroot"])
        .tests(&["mounts::root-pivoted"])
        .but("what process 1 does, which is let through and recorded: no case"),
    row("F13", "Factory reset", "systemd-repart --factory-reset", EFI, RefusedByRule("firmware", "its request is a variable; the writing is A4's"))
        .hooks(&["file_open", "inode_create"])
        .tests(&["firmware::factory-reset"]),
    row("F14", "Settings of the board", "/dev/nvram, firmware-attributes", ALL, RefusedByRule("firmware", "boot order lives there on some boards"))
        .hooks(&["file_open", "file_ioctl", "file_ioctl_compat"])
        .tests(&["machine::nvram-write"])
        .but("the attributes in sysfs: refused by their name, and no guest has them"),
    row("F15", "The TPM cleared", "tpm2_clear", ALL, RecordedByRule("firmware", "keys that unlock the disks may be sealed in it; attestation uses the same node"))
        .hooks(OPEN)
        .not_covered("the guests have no TPM; a host test has the decision"),
    row("F16", "Firmware written", "fwupd, nvme fw-commit", ALL, RefusedByRule("firmware", "an update that stops half-way bricks; it belongs into a maintenance window"))
        .hooks(&["file_ioctl", "file_ioctl_compat", "uring_cmd"])
        .tests(&["nvme-fw-*", "sg_write_buffer"])
        .but("firmware of the BMC, which a host test alone has; capsules and vendors' own interfaces"),
];

/// G: a device that disappears under the database.
#[rustfmt::skip]
pub const DETACH: &[Row] = &[
    row("G1", "A disk deleted", "echo 1 >/sys/block/sdX/device/delete, rescan-scsi-bus.sh -r", ALL, RefusedByRule("detach", "re-zoning a SAN does it to disks that are not in use"))
        .hooks(OPEN)
        .tests(&["machine::scsi-delete", "machine::bind-mount-of-sysfs"])
        .but("/proc/scsi/scsi: refused by its name, and no kernel of the guests has it"),
    row("G2", "A driver taken away", "unbind, remove, reset, driver_override in sysfs", ALL, RefusedByRule("detach", "as G1"))
        .hooks(OPEN)
        .tests(&["machine::scsi-unbind", "machine::pci-remove*", "machine::pci-reset", "machine::pci-disable", "machine::pci-unbind", "machine::pci-driver-override"]),
    row("G3", "A controller reset or deleted through sysfs", "/sys/class/nvme/nvmeX/reset_controller, delete_controller", ALL, RefusedByRule("detach", "as G1"))
        .hooks(OPEN)
        .tests(&["machine::nvme-reset"])
        .but("delete_controller: refused by its name; the controllers of the guests have no such file, and `machine::nvme-delete` resets again"),
    row("G4", "Network storage disconnected", "rbd unmap, iscsiadm -u, nbd-client -d, nvme disconnect", ALL,
        RefusedByRule("detach", "where it passes sysfs or an ioctl on a protected device; log-outs by netlink ask no hook"))
        .hooks(&["file_open", "file_ioctl", "file_ioctl_compat"])
        .tests(&["machine::nbd-disconnect"])
        .but("what goes by netlink; rbd, iSCSI and NVMe over fabrics: the guests have none in use"),
    row("G5", "A device set offline", "echo offline >device/state, zram reset", ALL, RefusedByRule("detach", "as G1"))
        .hooks(OPEN)
        .tests(&["machine::scsi-offline", "machine::scsi-host-state"])
        .but("zram that is in use: no case"),
    row("G6", "A device reset", "sg_reset", ALL, RefusedByRule("detach", "a reset of a live disk stalls it, and drops commands on the way"))
        .hooks(&["file_open", "file_ioctl", "file_ioctl_compat"])
        .tests(&["sg_reset-*"]),
];

/// H: ways around every hook.
#[rustfmt::skip]
pub const KERNEL: &[Row] = &[
    row("H1", "Memory, ports and registers", "/dev/mem, /dev/port, ioperm, iopl, a PCI device's config in sysfs and procfs, MSRs", ALL,
        RefusedByRule("reset", "nothing on a database host needs to write them; registers of a protected controller are of the class `passthrough`"))
        .hooks(&["file_open", "locked_down"])
        .tests(&["machine::memory-write*", "machine::ioperm", "machine::iopl", "machine::pci-registers*"])
        .but("/dev/port, which the kernel flavour of the suite's guests lacks; MSRs, which tuned writes and which are let through"),
    row("H2", "Modules", "insmod, rmmod", ALL,
        Allowed("drivers load by themselves all the time; what a module has the kernel open is judged, see D5 to D15"))
        .tests(&["legitimate::ram-disk", "legitimate::zram"]),
    row("H3", "Trampolines switched off", "sysctl kernel.ftrace_enabled=0", "6.1 and 6.12; others refuse it themselves",
        RefusedByRule("guard", "without them no security hook refuses anything; the second layer does"))
        .hooks(&["file_open", "cgroup_device"])
        .tests(&["guard-itself::trampolines-off", "layer2::without-trampolines"]),
    row("H4", "bpf(2) against the guard", "bpftool", ALL, RefusedByRule("guard", "looking stays everybody's; see S1 to S5"))
        .hooks(&["bpf"])
        .tests(&["guard-itself::map-*", "guard-itself::link-detach"]),
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
    row("S1", "Links detached by id", "BPF_LINK_DETACH, BPF_PROG_DETACH", ALL,
        RefusedByRule("guard", "LSM and modify-return links cannot be detached at all; that of the second layer could"))
        .hooks(&["bpf"])
        .tests(&["guard-itself::link-detach"])
        .but("BPF_PROG_DETACH: no case; it does not reach what a link has attached"),
    row("S2", "Pins unlinked, renamed or covered", "rm /sys/fs/bpf/dbguard/*, umount /sys/fs/bpf", ALL, RefusedByRule("guard", "the last reference takes the program with it"))
        .hooks(&["inode_unlink", "inode_rename", "sb_mount", "move_mount", "sb_umount"])
        .tests(&["guard-itself::pins-*", "guard-itself::mounts-of-the-host-taken"]),
    row("S3", "Maps changed", "bpftool map update, by pin, by id or by name", ALL, RefusedByRule("guard", "one word releases the host"))
        .hooks(&["bpf"])
        .tests(&["guard-itself::map-update-*", "guard-itself::map-delete"]),
    row("S4", "Maps frozen", "bpftool map freeze", ALL, RefusedByRule("guard", "the controller could tell the kernel half nothing more"))
        .hooks(&["bpf"])
        .tests(&["guard-itself::map-freeze"]),
    row("S5", "Descriptors of the guard's objects taken", "BPF_*_GET_FD_BY_ID, pidfd_getfd", ALL,
        RefusedByRule("guard", "from the controller's own table; by id everybody may, since bpftool asks so for what it lists, and what is refused is the change, see S3"))
        .hooks(&["ptrace_access_check", "bpf"])
        .tests(&["guard-itself::descriptors", "guard-itself::map-update-id"]),
    row("S6", "The controller killed or frozen", "kill -9, kill -STOP, cgroup.kill, cgroup.freeze, memory.max, the OOM killer", ALL,
        RefusedByRule("guard", "process 1 stops and restarts it in order. Nothing depends on it: the kernel half goes on, and what happens meanwhile is recorded later"))
        .hooks(&["task_kill", "file_open"])
        .tests(&[
            "guard-itself::kill", "guard-itself::pkill", "guard-itself::control-group", "controller::killed-*", "controller::stopped",
            "controller::frozen-*", "controller::restarts",
        ])
        .but("the OOM killer and other signals of the kernel's own ask no hook, see X18"),
    row("S7", "The controller steered", "ptrace, process_vm_writev, /proc/PID/mem", ALL, RefusedByRule("guard", "it writes the policy"))
        .hooks(&["ptrace_access_check"])
        .tests(&["guard-itself::strace", "guard-itself::memory"]),
    row("S8", "Trampolines switched off", "see H3", "6.1 and 6.12", RefusedByRule("guard", "as H3"))
        .hooks(&["file_open", "cgroup_device"])
        .tests(&["guard-itself::trampolines-off", "layer2::without-trampolines"]),
    row("S9", "Its files changed", "/etc/dbguard, /var/lib/dbguard, the log, the socket, the binary, the unit", ALL,
        RefusedByRule("guard", "package managers replace the program, logrotate rotates the log, and everybody may write the configuration, all of it recorded; what guards less is not accepted, see S11"))
        .hooks(FILES)
        .tests(&["guard-itself::files-covered", 
            "guard-itself::program", "guard-itself::unit", "guard-itself::state", "guard-itself::log", "guard-itself::socket",
            "hoststate::bad-configuration", "hoststate::corrupt-state-is-not-idle",
        ])
        .but("drop-ins of the unit, and `systemctl mask`: they count at the next start"),
    row("S10", "A boot without it", "lsm= without bpf, another kernel, another medium", ALL, Allowed("a machine that boots something else is not guarded by what it has not booted"))
        .tests(&["route::status-names-the-route", "hoststate::reboot-comes-back-held"])
        .but("a kernel that never loads the guard; see X4"),
    row("S11", "The guard told to stand aside", "dbguard release, the configuration, dbguard unload", ALL, Allowed("by name of the host, by root, with a record; see `release`"))
        .tests(&["hoststate::release-needs-the-name", "hoststate::release", "hoststate::observe", "observe::class-*", "observe::mode-*", "guard-itself::allowed-unload-waits-for-release"]),
];
