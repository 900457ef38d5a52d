//! Processes as the kernel half knows them.
//!
//! Two kinds of process matter. *Critical* ones (database servers) arm the host. *Tools* are
//! maintenance programs that a live database host needs and that must open a protected device for
//! writing to do their work (`lvextend`, online `resize2fs`, `mdmon`, `smartctl`). A tool is known
//! by the identity of its executable file, not by its name, and its grants hold only for devices
//! that carry the matching [`crate::device_flag`].

use crate::words::words;

words! {
    /// Which database a critical process is.
    Engine {
        /// Not a database.
        None = 0 => "none",
        /// MariaDB or MySQL.
        Mysql = 1 => "mysql",
        /// PostgreSQL.
        Postgres = 2 => "postgres",
        /// Named or marked by the operator.
        Custom = 3 => "custom",
    }
}

/// Bits of [`TaskEntry::grants`], [`ToolRule::grants`] and [`VerbRule::grants`].
pub mod tool_grant {
    /// May write physical volumes (`device_flag::LVM_PV`).
    pub const LVM: u32 = 1 << 0;
    /// May write a mounted ext file system's device (`device_flag::EXT_MOUNTED`): growing online.
    pub const EXT_ONLINE: u32 = 1 << 1;
    /// May write members of MD arrays (`device_flag::MD_MEMBER`): external metadata.
    pub const MD_MEMBER: u32 = 1 << 2;
    /// May open a drive for writing in order to send it read-only commands. The commands are
    /// still judged one by one; `write(2)` on the descriptor is what the tool is trusted with.
    pub const DRIVE_QUERY: u32 = 1 << 3;
    /// May write device-mapper nodes that are not classified yet (it has just made them).
    pub const NEW_DM: u32 = 1 << 4;
    /// May open a LUKS device (`device_flag::LUKS`) for writing in order to unlock it:
    /// `cryptsetup open` does so with `O_RDWR` (lib/utils_device.c `device_info`).
    pub const UNLOCK: u32 = 1 << 5;
    /// May repair a file system that is not mounted (`device_flag::PREEN`) as far as the
    /// boot-time check does: `e2fsck -p`, `fsck.fat -a`.
    pub const PREEN: u32 = 1 << 6;
    /// May turn on a swap area (`device_flag::SWAP`): swapon(2) opens it for writing.
    pub const SWAP_ON: u32 = 1 << 7;
    /// May open MD arrays that are not classified yet: the open makes the array.
    pub const NEW_MD: u32 = 1 << 8;
    /// The machine goes down, in order: may stop MD arrays, and reboot. Given to process 1 alone,
    /// when it executes `systemd-shutdown`; kept, because that goes on as a script of the
    /// initramfs where there is one (src/shutdown/shutdown.c `switch_root_initramfs`).
    pub const SHUTDOWN: u32 = 1 << 9;
    /// May write the files of a protected array in sysfs (`/sys/block/mdN/md`): puts it together and
    /// keeps it.
    pub const MD_KEEP: u32 = 1 << 13;
    /// May grow a protected array: more members, more of each, a bitmap.
    pub const MD_GROW: u32 = 1 << 14;
    /// May change what the machine boots from: package managers and what they run.
    pub const BOOT_FILES: u32 = 1 << 10;
    /// May change what the machine boots into next (`grubenv`).
    pub const BOOT_STATE: u32 = 1 << 11;
    /// May suspend, reload and remove device-mapper devices that are there already: it keeps them.
    pub const KEEP_DM: u32 = 1 << 16;
    /// Is the guard itself, or what installs and removes it in order.
    pub const GUARD: u32 = 1 << 12;
    /// Is a package manager, or run by one.
    pub const PACKAGES: u32 = 1 << 24;
    /// May write boot sectors (`device_flag::BOOT_DISK`): `grub-install`, where it is run by a
    /// package manager.
    pub const BOOT_SECTOR: u32 = 1 << 25;
    /// Of a rule alone: the program loses what it would keep. What a package manager runs may
    /// change what is installed, not choose what is booted next.
    pub const REVOKED: u32 = 1 << 26;
    /// Is the controller: signals that would end or stop it are process 1's alone.
    pub const CONTROLLER: u32 = 1 << 20;
    /// May rotate the audit log.
    pub const ROTATE: u32 = 1 << 22;
    /// Is process 1. Never stored: the kernel half knows it by its number.
    pub const INIT: u32 = 1 << 21;
    /// Grants that a process hands on to whatever it executes, because it works through scripts.
    /// All others end at the next exec.
    pub const KEPT_AT_EXEC: u32 = BOOT_FILES | BOOT_STATE | PACKAGES | SHUTDOWN;
    /// May have the kernel open any device for what it puts together: a device-mapper table, an
    /// array, a pool. Opening a device itself is another matter, and needs one of the others.
    pub const STACK: u32 = 1 << 27;
    /// May have the kernel open any device for a file system. Asked for only where the system call
    /// cannot be told: mount(2) is enough where it can.
    pub const MOUNT: u32 = 1 << 28;
}

/// Values of [`ToolRule::verb_source`].
pub mod verb_source {
    /// The tool has its grants whatever its arguments.
    pub const NONE: u32 = 0;
    /// The verb is the base name of `argv[0]`, or `argv[1]` where that is the tool's own name
    /// (`lvm lvextend …`). Grants come from `VERBS`.
    pub const MULTICALL: u32 = 1;
    /// The verb is the first argument after `argv[0]` that is not an option
    /// (`cryptsetup open …`). Grants come from `VERBS`.
    pub const FIRST_WORD: u32 = 2;
    /// The verb is any argument after `argv[0]` that is listed in `VERBS` (`e2fsck -p …`).
    pub const ANY_ARGUMENT: u32 = 3;
    /// The tool is a script: the kernel executes its interpreter, and the script itself is seen
    /// only where it is asked about (`security_bprm_check`). Its grants hold whatever its
    /// arguments.
    pub const SCRIPT: u32 = 4;
}

/// Value of the `TASKS` map; the key is the process id (tgid) in the initial pid namespace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskEntry {
    /// An [`Engine`]; 0 where the process is not critical.
    pub engine: u32,
    /// Bits of [`tool_grant`]; 0 where the process is not a tool.
    pub grants: u32,
    /// When the process (its group leader) was started, ns of CLOCK_BOOTTIME; tells a reused pid.
    /// 0 where not known.
    pub start_boot_ns: u64,
    /// Number of the grant that the process runs under, 0 where there is none; with
    /// [`crate::glass::GLASS_PENDING`] before it has executed anything.
    pub glass: u32,
    /// Zero.
    pub reserved: u32,
}

/// Key of the `ENGINE_NAMES` map: base name of an executable file, zero-padded.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EngineName {
    /// At most 15 bytes; longer names are compared by their first 15.
    pub name: [u8; 16],
}

/// Identity of an executable file. Key of the `TOOLS` and `ENGINE_EXES` maps.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExeId {
    /// Inode number.
    pub ino: u64,
    /// `inode->i_sb->s_dev`, kernel form. (btrfs reports another number to `stat(2)`.)
    pub dev: u32,
    /// Zero.
    pub reserved: u32,
}

/// Value of the `TOOLS` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolRule {
    /// Number of the tool, part of [`VerbKey`].
    pub tool: u32,
    /// Bits of [`tool_grant`] that hold without a verb.
    pub grants: u32,
    /// One of [`verb_source`].
    pub verb_source: u32,
}

/// Key of the `VERBS` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerbKey {
    /// [`ToolRule::tool`].
    pub tool: u32,
    /// The verb, zero-padded.
    pub verb: [u8; 28],
}

words! {
    /// How the arguments after the verb are judged; the value of [`VerbRule::arguments`].
    ArgumentRole {
        /// Arguments do not matter.
        Any = 0 => "any",
        /// Every argument must be in `ARGUMENTS`: a harmless option, or the name of something
        /// that is free. Used for verbs that destroy what they name, such as `lvremove`.
        AllListed = 1 => "all-listed",
        /// Every argument that begins with a dash must be in `ARGUMENTS`; the others do not
        /// matter. Used for verbs of which some options destroy, such as `lvconvert`.
        OptionsListed = 2 => "options-listed",
    }
}

/// Value of the `VERBS` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerbRule {
    /// Bits of [`tool_grant`].
    pub grants: u32,
    /// An [`ArgumentRole`].
    pub arguments: u32,
    /// The set that listed arguments belong to, [`ArgumentName::set`].
    pub set: u32,
}

/// Key of the `ARGUMENTS` map: one whole argument, zero-padded. Longer ones are never listed.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArgumentName {
    /// [`VerbRule::set`] that the argument belongs to.
    pub set: u32,
    /// At most 123 bytes.
    pub text: [u8; 124],
}

#[cfg(feature = "user")]
mod pod {
    // SAFETY: for all of these: `repr(C)`, integers alone, no padding (layout.rs asserts it).
    unsafe impl aya::Pod for super::TaskEntry {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::EngineName {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::ExeId {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::ToolRule {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::VerbKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::VerbRule {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::ArgumentName {}
}
