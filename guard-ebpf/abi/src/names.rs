//! The files of the kernel's own file systems by which a machine is steered.

use crate::file::named;
use crate::{FileSystem, NameScope, NamedFile, Op};

/// A file in the directory of a protected device, of what it hangs on, or of what is laid over it, by
/// which the device is taken away.
const fn knob(name: &'static str) -> NamedFile {
    named(FileSystem::Sysfs, name, Op::Detach, NameScope::InPlace)
}

/// The same of one that reaches the device past its driver.
const fn registers(name: &'static str) -> NamedFile {
    named(FileSystem::Sysfs, name, Op::Passthrough, NameScope::InPlace)
}

/// The content of `FILE_NAMES`. Names are compared by their first 27 bytes.
pub const NAMED_FILES: &[NamedFile] = &[
    // drivers/tty/sysrq.c: the handler asks for no capability.
    named(
        FileSystem::Proc,
        "sysrq-trigger",
        Op::Reset,
        NameScope::Everywhere,
    ),
    // kernel/trace/ftrace.c `ftrace_enable_sysctl`: 0 turns every trampoline off, the guard's too.
    named(
        FileSystem::Proc,
        "ftrace_enabled",
        Op::Guard,
        NameScope::Everywhere,
    ),
    // kernel/cgroup/cgroup.c `cgroup_kill_write`, `cgroup_freeze_write`: signals of the kernel's own,
    // which no `task_kill` is asked about.
    named(
        FileSystem::Cgroup,
        "cgroup.kill",
        Op::Guard,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Cgroup,
        "cgroup.freeze",
        Op::Guard,
        NameScope::InPlace,
    ),
    // kernel/cgroup/legacy_freezer.c.
    named(
        FileSystem::Cgroup,
        "freezer.state",
        Op::Guard,
        NameScope::InPlace,
    ),
    // mm/memcontrol.c `memory_max_write`: kills what does not fit.
    named(
        FileSystem::Cgroup,
        "memory.max",
        Op::Guard,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Cgroup,
        "memory.high",
        Op::Guard,
        NameScope::InPlace,
    ),
    // GRUB's environment block: `next_entry`, `saved_entry`.
    named(
        FileSystem::Other,
        "grubenv",
        Op::BootFile,
        NameScope::BootState,
    ),
    // systemd-boot, loader.conf(5): `default`.
    named(
        FileSystem::Other,
        "loader.conf",
        Op::BootFile,
        NameScope::BootState,
    ),
    // drivers/scsi/scsi_proc.c `proc_scsi_write`: `scsi remove-single-device`.
    named(FileSystem::Proc, "scsi", Op::Detach, NameScope::Everywhere),
    // drivers/misc/lkdtm/core.c: each file of `provoke-crash` crashes the kernel in its own way.
    named(
        FileSystem::Debugfs,
        "DIRECT",
        Op::Reset,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Debugfs,
        "INT_HARDWARE_ENTRY",
        Op::Reset,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Debugfs,
        "INT_HW_IRQ_EN",
        Op::Reset,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Debugfs,
        "INT_TASKLET_ENTRY",
        Op::Reset,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Debugfs,
        "FS_DEVRW",
        Op::Reset,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Debugfs,
        "FS_SUBMIT_BH",
        Op::Reset,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Debugfs,
        "MEM_SWAPOUT",
        Op::Reset,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Debugfs,
        "TIMERADD",
        Op::Reset,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Debugfs,
        "SCSI_QUEUE_RQ",
        Op::Reset,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Debugfs,
        "SCSI_DISPATCH_CMD",
        Op::Reset,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Debugfs,
        "IDE_CORE_CP",
        Op::Reset,
        NameScope::Everywhere,
    ),
    // drivers/scsi/scsi_sysfs.c: `delete`, and `state`, which takes `offline`.
    // drivers/base/bus.c: `unbind`.
    // drivers/pci/pci-sysfs.c: `remove`, `reset`, `enable`, `driver_override`.
    // drivers/nvme/host/sysfs.c: `reset_controller`, `delete_controller`.
    // drivers/block/zram/zram_drv.c: `reset`, `disksize`.
    // drivers/md/bcache/sysfs.c: `stop`, `detach`, `unregister`.
    // drivers/mmc/core/block.c: `force_ro`. drivers/block/rbd.c: `remove`, `remove_single_major`.
    // drivers/usb/core/sysfs.c: `authorized`, `bConfigurationValue`.
    knob("delete"),
    knob("state"),
    knob("unbind"),
    knob("remove"),
    knob("reset"),
    knob("enable"),
    knob("driver_override"),
    knob("reset_controller"),
    knob("delete_controller"),
    knob("disksize"),
    knob("stop"),
    knob("detach"),
    knob("unregister"),
    knob("force_ro"),
    knob("remove_single_major"),
    knob("authorized"),
    knob("bConfigurationValue"),
    // drivers/scsi/scsi_sysfs.c, scsi_transport_fc.c, scsi_transport_sas.c: what a host and its links
    // have beside `state` and `enable`.
    knob("host_reset"),
    knob("issue_lip"),
    knob("link_reset"),
    knob("hard_reset"),
    // drivers/pci/slot.c, hotplug/pci_hotplug_core.c: the power of a slot. drivers/pci/pci-sysfs.c:
    // what is below a bridge, and functions that a disk may be. drivers/acpi/device_sysfs.c.
    knob("power"),
    knob("reset_subordinate"),
    knob("sriov_numvfs"),
    knob("eject"),
    // drivers/pci/pci-sysfs.c: registers of a device, past its driver.
    registers("config"),
    registers("resource0"),
    registers("resource1"),
    registers("resource2"),
    registers("resource3"),
    registers("resource4"),
    registers("resource5"),
    registers("resource0_wc"),
    registers("resource1_wc"),
    registers("resource2_wc"),
    registers("resource3_wc"),
    registers("resource4_wc"),
    registers("resource5_wc"),
    // drivers/md/md.c `md_attrs`, `rdev_attrs`. Not `sync_action`: scrubs are wanted.
    knob("array_state"),
    knob("level"),
    knob("layout"),
    knob("raid_disks"),
    knob("chunk_size"),
    knob("component_size"),
    knob("array_size"),
    knob("reshape_position"),
    knob("metadata_version"),
    knob("new_dev"),
    knob("slot"),
    knob("offset"),
    knob("new_offset"),
    knob("size"),
    // Sectors that count as lost, ranges whose writes wait, and whether the last member may go.
    knob("bad_blocks"),
    knob("unacknowledged_bad_blocks"),
    knob("suspend_lo"),
    knob("suspend_hi"),
    knob("fail_last_dev"),
    // fs/ext4/sysfs.c: does what an error does, on a live file system.
    named(
        FileSystem::Sysfs,
        "trigger_fs_error",
        Op::Detach,
        NameScope::Everywhere,
    ),
    // drivers/pci/proc.c: a directory. What lies in those below it are the registers of every device,
    // past its driver; of sysfs only those of protected ones count.
    named(
        FileSystem::Proc,
        "pci",
        Op::Passthrough,
        NameScope::Everywhere,
    ),
    // kernel/power/hibernate.c `resume_store`: writes a signature to the swap device. `state` in
    // the same directory suspends.
    named(FileSystem::Sysfs, "resume", Op::Reset, NameScope::InPlace),
    // drivers/firmware/efi/efivars.c, up to Linux 5.19.
    named(
        FileSystem::Sysfs,
        "new_var",
        Op::Firmware,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Sysfs,
        "del_var",
        Op::Firmware,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Sysfs,
        "raw_var",
        Op::Firmware,
        NameScope::Everywhere,
    ),
    // Documentation/ABI/testing/sysfs-class-firmware-attributes: settings of the firmware setup.
    named(
        FileSystem::Sysfs,
        "current_value",
        Op::Firmware,
        NameScope::Everywhere,
    ),
    // What the firmware does at the next boot: UEFI 2.10, 3.3 and 8.5.4;
    // https://systemd.io/BOOT_LOADER_INTERFACE, systemd-factory-reset(8). Taking one away undoes it.
    named(
        FileSystem::Efivars,
        "BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        Op::Firmware,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Efivars,
        "OsIndications-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        Op::Firmware,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Efivars,
        "OsRecoveryOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        Op::Firmware,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Efivars,
        "LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
        Op::Firmware,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Efivars,
        "LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
        Op::Firmware,
        NameScope::Everywhere,
    ),
    named(
        FileSystem::Efivars,
        "FactoryResetRequest-8cf2644b-4b0b-428f-9387-6d876050dc67",
        Op::Firmware,
        NameScope::Everywhere,
    ),
    // Written by systemd-boot-random-seed.service at each boot; whether the menu is shown.
    named(
        FileSystem::Efivars,
        "LoaderSystemToken-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
        Op::Firmware,
        NameScope::Harmless,
    ),
    named(
        FileSystem::Efivars,
        "LoaderConfigTimeoutOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
        Op::Firmware,
        NameScope::Harmless,
    ),
];
