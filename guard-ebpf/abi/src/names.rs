//! The files of the kernel's own file systems by which a machine is steered.

use crate::file::named;
use crate::{FileSystem, NameScope, NamedFile, Op};

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
    named(FileSystem::Sysfs, "delete", Op::Detach, NameScope::InPlace),
    named(FileSystem::Sysfs, "state", Op::Detach, NameScope::InPlace),
    named(FileSystem::Sysfs, "unbind", Op::Detach, NameScope::InPlace),
    named(FileSystem::Sysfs, "remove", Op::Detach, NameScope::InPlace),
    named(FileSystem::Sysfs, "reset", Op::Detach, NameScope::InPlace),
    named(FileSystem::Sysfs, "enable", Op::Detach, NameScope::InPlace),
    named(
        FileSystem::Sysfs,
        "driver_override",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "reset_controller",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "delete_controller",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "disksize",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(FileSystem::Sysfs, "stop", Op::Detach, NameScope::InPlace),
    named(FileSystem::Sysfs, "detach", Op::Detach, NameScope::InPlace),
    named(
        FileSystem::Sysfs,
        "unregister",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "force_ro",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "remove_single_major",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "authorized",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "bConfigurationValue",
        Op::Detach,
        NameScope::InPlace,
    ),
    // drivers/scsi/scsi_sysfs.c, scsi_transport_fc.c, scsi_transport_sas.c: what a host and its links
    // have beside `state` and `enable`.
    named(
        FileSystem::Sysfs,
        "host_reset",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "issue_lip",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "link_reset",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "hard_reset",
        Op::Detach,
        NameScope::InPlace,
    ),
    // drivers/pci/slot.c, hotplug/pci_hotplug_core.c: the power of a slot. drivers/pci/pci-sysfs.c:
    // what is below a bridge, and functions that a disk may be. drivers/acpi/device_sysfs.c.
    named(FileSystem::Sysfs, "power", Op::Detach, NameScope::InPlace),
    named(
        FileSystem::Sysfs,
        "reset_subordinate",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "sriov_numvfs",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(FileSystem::Sysfs, "eject", Op::Detach, NameScope::InPlace),
    // drivers/pci/pci-sysfs.c: registers of a device, past its driver.
    named(
        FileSystem::Sysfs,
        "config",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource0",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource1",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource2",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource3",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource4",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource5",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource0_wc",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource1_wc",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource2_wc",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource3_wc",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource4_wc",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "resource5_wc",
        Op::Passthrough,
        NameScope::InPlace,
    ),
    // drivers/md/md.c `md_attrs`, `rdev_attrs`. Not `sync_action`: scrubs are wanted.
    named(
        FileSystem::Sysfs,
        "array_state",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(FileSystem::Sysfs, "level", Op::Detach, NameScope::InPlace),
    named(FileSystem::Sysfs, "layout", Op::Detach, NameScope::InPlace),
    named(
        FileSystem::Sysfs,
        "raid_disks",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "chunk_size",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "component_size",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "array_size",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "reshape_position",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "metadata_version",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(FileSystem::Sysfs, "new_dev", Op::Detach, NameScope::InPlace),
    named(FileSystem::Sysfs, "slot", Op::Detach, NameScope::InPlace),
    named(FileSystem::Sysfs, "offset", Op::Detach, NameScope::InPlace),
    named(
        FileSystem::Sysfs,
        "new_offset",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(FileSystem::Sysfs, "size", Op::Detach, NameScope::InPlace),
    // Sectors that count as lost, ranges whose writes wait, and whether the last member may go.
    named(
        FileSystem::Sysfs,
        "bad_blocks",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "unacknowledged_bad_blocks",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "suspend_lo",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "suspend_hi",
        Op::Detach,
        NameScope::InPlace,
    ),
    named(
        FileSystem::Sysfs,
        "fail_last_dev",
        Op::Detach,
        NameScope::InPlace,
    ),
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
