//! Names and sizes of the maps: who writes them, and what happens when they are full.

/// `DEVICES`: hash, [`crate::DeviceKey`] → [`crate::DeviceEntry`]. Written by the controller; the
/// kernel half deletes entries of devices that appear anew and adds partitions of free disks.
/// Full: a device without an entry is unknown, so refused while armed or held; the controller
/// says so in `status`.
pub const DEVICES: &str = "DEVICES";
/// Entries of `DEVICES`: 10,000 disks with partitions and passthrough nodes fit.
pub const DEVICES_MAX: u32 = 65_536;

/// `UNCLAIMED`: hash, dev_t of a block device whose last claim was given up → [`crate::Unclaimed`].
/// Kernel half; gone with the next claim that is not a program's own open. The controller takes out
/// what is older than what it has just read of the host. The entry of dev_t 0 says that claims are
/// seen at all. Full: the controller has to see that the device is free.
pub const UNCLAIMED: &str = "UNCLAIMED";
/// Entries of `UNCLAIMED`: devices that leave use within one survey.
pub const UNCLAIMED_MAX: u32 = 4_096;

/// `CHAR_MAJORS`: array indexed by major number → [`crate::PassthroughKind`] or
/// [`crate::ControlKind`]. Controller.
pub const CHAR_MAJORS: &str = "CHAR_MAJORS";
/// Major numbers have 12 bits.
pub const CHAR_MAJORS_MAX: u32 = 4_096;

/// `TASKS`: hash, tgid → [`crate::TaskEntry`]. Kernel half; the controller adds the processes that
/// were there before it. Full: the host stays armed, `Counter::TasksFull` tells.
pub const TASKS: &str = "TASKS";
/// Entries of `TASKS`: PostgreSQL has one process a connection.
pub const TASKS_MAX: u32 = 32_768;

/// `ENGINE_NAMES`: hash, [`crate::EngineName`] → engine number. Controller.
pub const ENGINE_NAMES: &str = "ENGINE_NAMES";
/// `ENGINE_EXES`: hash, [`crate::ExeId`] → engine number. Controller.
pub const ENGINE_EXES: &str = "ENGINE_EXES";
/// Entries of each of the two.
pub const ENGINES_MAX: u32 = 1_024;

/// `TOOLS`: hash, [`crate::ExeId`] → [`crate::ToolRule`]. Controller.
pub const TOOLS: &str = "TOOLS";
/// `VERBS`: hash, [`crate::VerbKey`] → [`crate::VerbRule`]. Controller.
pub const VERBS: &str = "VERBS";
/// Entries of each of the two.
pub const TOOLS_MAX: u32 = 1_024;
/// `ARGUMENTS`: hash, [`crate::ArgumentName`] → 1. Controller. Full: the verb has no grant.
pub const ARGUMENTS: &str = "ARGUMENTS";
/// Entries of `ARGUMENTS`: three spellings for each free logical volume.
pub const ARGUMENTS_MAX: u32 = 16_384;

/// `GLASS`: array of [`crate::glass::GlassEntry`], indexed by [`crate::glass::slot`]: the grants that are
/// open. Controller. Full: no further grant is opened.
pub const GLASS: &str = "GLASS";
/// `GLASS_USES`: hash, [`crate::glass::GlassUse`] → 1. The controller puts in what a grant has, the kernel
/// half takes out what is used. Full: the grant has fewer uses.
pub const GLASS_USES: &str = "GLASS_USES";
/// Entries of `GLASS_USES`.
pub const GLASS_USES_MAX: u32 = crate::glass::GLASS_SLOTS * crate::glass::GLASS_USES;

/// `ARM`: array of `u64`, see [`crate::ArmWord`]. Kernel half alone.
pub const ARM: &str = "ARM";
/// `POLICY`: array of one [`crate::Policy`]. Controller alone.
pub const POLICY: &str = "POLICY";
/// `COUNTERS`: per-CPU array of `u64`, see [`crate::Counter`]. Kernel half alone.
pub const COUNTERS: &str = "COUNTERS";
/// `SCRATCH`: per-CPU room for what does not fit on the BPF stack. Kernel half alone, not pinned.
pub const SCRATCH: &str = "SCRATCH";

/// `ACTS`: LRU hash, [`crate::ActKey`] → [`crate::ToldAct`]. Kernel half alone, not pinned. Full:
/// the oldest goes, and an act that is only observed may be told twice.
pub const ACTS: &str = "ACTS";
/// Entries of `ACTS`: threads that open devices at one time.
pub const ACTS_MAX: u32 = 4_096;

/// `DENIALS`: ring of [`crate::DenialEvent`]. Full: the event is counted in `Counter::Dropped`.
pub const DENIALS: &str = "DENIALS";
/// Bytes of `DENIALS`, a power of two: about 2,000 events while no controller lives.
pub const DENIALS_BYTES: usize = 1 << 20;
/// `LIFECYCLE`: ring of [`crate::LifecycleEvent`].
pub const LIFECYCLE: &str = "LIFECYCLE";
/// Bytes of `LIFECYCLE`, a power of two.
pub const LIFECYCLE_BYTES: usize = 1 << 17;

/// `PLACES`: hash, [`crate::FileId`] (made by [`crate::place_id`]) → [`crate::PlaceEntry`].
/// Controller. Full: what did not fit is not guarded, and the controller says so.
pub const PLACES: &str = "PLACES";
/// Entries of `PLACES`: the sysfs directories of 10,000 disks and what they hang on fit.
pub const PLACES_MAX: u32 = 65_536;
/// `FILE_NAMES`: hash, [`crate::FileName`] → [`crate::FileRule`]. Controller.
pub const FILE_NAMES: &str = "FILE_NAMES";
/// Entries of `FILE_NAMES`.
pub const FILE_NAMES_MAX: u32 = 512;
/// `SUPERBLOCKS`: array of `u32` indexed by [`superblock_slot`]; 1 where a file system of such a
/// number holds places. Controller. Spares opens of ordinary files the look into `PLACES`.
pub const SUPERBLOCKS: &str = "SUPERBLOCKS";
/// Entries of `SUPERBLOCKS`, a power of two.
pub const SUPERBLOCKS_MAX: u32 = 1_024;

/// `SCRIPTS`: hash, thread id → bits of [`crate::tool_grant`] of a script that the thread is about
/// to execute. Kernel half alone, not pinned. Full: the script has no grant.
pub const SCRIPTS: &str = "SCRIPTS";
/// Entries of `SCRIPTS`: threads that are in the middle of execve(2).
pub const SCRIPTS_MAX: u32 = 4_096;

/// Where `SUPERBLOCKS` tells of the file system with this `s_dev`.
pub const fn superblock_slot(dev: u32) -> u32 {
    (dev ^ (dev >> 16)) & (SUPERBLOCKS_MAX - 1)
}

/// `DM_NAMES`: hash, [`crate::dm_key`] of a name or UUID → 1: device-mapper devices that carry
/// critical data, or the root file system. Controller. Full: what did not fit can be suspended or
/// removed by its name, and the controller says so.
pub const DM_NAMES: &str = "DM_NAMES";
/// Entries of `DM_NAMES`: name and UUID of 8,000 devices.
pub const DM_NAMES_MAX: u32 = 16_384;
/// `OWN_OBJECTS`: hash, [`crate::BpfObject`] → a value of [`crate::own`]. Controller and loader. Full: what
/// did not fit can be changed by others, and the controller says so.
pub const OWN_OBJECTS: &str = "OWN_OBJECTS";
/// Entries of `OWN_OBJECTS`: all maps, and the links of two sets.
pub const OWN_OBJECTS_MAX: u32 = 512;
/// `CANARY`: array of one `u32` that nobody may change, see [`crate::canary`].
pub const CANARY: &str = "CANARY";

/// `MARKS`: array of one [`crate::marks::Marks`]. Controller alone. All zeros until it has been
/// written: every file is looked up in `PLACES`.
pub const MARKS: &str = "MARKS";
/// `HANDED_OVER`: array of one `u64`, how often the kernel half has added to `PLACES`, or let
/// something be put into a directory that is a place, times [`crate::marks::ADDITION`]. Kernel half
/// alone.
pub const HANDED_OVER: &str = "HANDED_OVER";

/// Those of the maps that are sections of the object, so that programs read them without a look-up:
/// the section, and the name of the pin (bpffs takes no dot).
pub const SECTIONS: &[(&str, &str)] = &[(".bss", MARKS), (".bss.handed", HANDED_OVER)];

/// Maps that outlive the controller, pinned by these names. [`SECTIONS`] are pinned beside them.
pub const PINNED: &[&str] = &[
    DEVICES,
    UNCLAIMED,
    CHAR_MAJORS,
    TASKS,
    ENGINE_NAMES,
    ENGINE_EXES,
    TOOLS,
    VERBS,
    ARGUMENTS,
    GLASS,
    GLASS_USES,
    ARM,
    POLICY,
    COUNTERS,
    DENIALS,
    LIFECYCLE,
    PLACES,
    FILE_NAMES,
    SUPERBLOCKS,
    DM_NAMES,
    OWN_OBJECTS,
    CANARY,
];
