//! The maps. Their sizes, writers and what happens when they are full: [`guard_abi::maps`].

use aya_ebpf::btf_maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use aya_ebpf::macros::btf_map;
use guard_abi::glass::{GLASS_SLOTS, GlassEntry, GlassUse};
use guard_abi::maps as sizes;
use guard_abi::{
    ActKey, ArgumentName, ArmWord, BpfObject, Counter, DeviceEntry, DeviceKey, EngineName, ExeId,
    FileId, FileName, FileRule, PlaceEntry, Policy, TaskEntry, ToldAct, ToolRule, Unclaimed,
    VerbKey, VerbRule,
};

use crate::argv::{Forgotten, Position};

/// Room for strings that are too long for the BPF stack. Used by the exec tracepoint alone, which
/// runs with preemption disabled, so nothing else on this CPU touches it meanwhile.
#[repr(C)]
pub struct Scratch {
    /// The argument that is being looked at.
    pub argument: ArgumentName,
    /// The verb that is being looked up.
    pub verb: VerbKey,
    /// The executable's base name, zero-padded.
    pub exe_name: VerbKey,
    /// Where in the command line.
    pub position: Position,
    /// What has been learnt from it.
    pub line: Line,
}

/// What has been learnt from a tool's command line.
#[repr(C)]
pub struct Line {
    /// Bits of [`guard_abi::tool_grant`].
    pub grants: Forgotten<u32>,
    /// Bits of [`unlisted`]: what the verb does not put up with.
    pub needs_listed: Forgotten<u32>,
    /// Bits of [`unlisted`]: what has been seen.
    pub unlisted: Forgotten<u32>,
    /// 1: the verb has been found.
    pub verb_seen: Forgotten<u32>,
}

/// Arguments that are not listed.
pub mod unlisted {
    /// Any argument.
    pub const ARGUMENT: u32 = 1 << 0;
    /// One that begins with a dash.
    pub const OPTION: u32 = 1 << 1;
}

#[btf_map]
pub static DEVICES: HashMap<DeviceKey, DeviceEntry, { sizes::DEVICES_MAX as usize }> =
    HashMap::new();
#[btf_map]
pub static UNCLAIMED: HashMap<u32, Unclaimed, { sizes::UNCLAIMED_MAX as usize }> = HashMap::new();
#[btf_map]
pub static CHAR_MAJORS: Array<u32, { sizes::CHAR_MAJORS_MAX as usize }> = Array::new();
#[btf_map]
pub static TASKS: HashMap<u32, TaskEntry, { sizes::TASKS_MAX as usize }> = HashMap::new();
#[btf_map]
pub static ENGINE_NAMES: HashMap<EngineName, u32, { sizes::ENGINES_MAX as usize }> = HashMap::new();
#[btf_map]
pub static ENGINE_EXES: HashMap<ExeId, u32, { sizes::ENGINES_MAX as usize }> = HashMap::new();
#[btf_map]
pub static TOOLS: HashMap<ExeId, ToolRule, { sizes::TOOLS_MAX as usize }> = HashMap::new();
#[btf_map]
pub static VERBS: HashMap<VerbKey, VerbRule, { sizes::TOOLS_MAX as usize }> = HashMap::new();
#[btf_map]
pub static ARGUMENTS: HashMap<ArgumentName, u32, { sizes::ARGUMENTS_MAX as usize }> =
    HashMap::new();
#[btf_map]
pub static PLACES: HashMap<FileId, PlaceEntry, { sizes::PLACES_MAX as usize }> = HashMap::new();
#[btf_map]
pub static FILE_NAMES: HashMap<FileName, FileRule, { sizes::FILE_NAMES_MAX as usize }> =
    HashMap::new();
#[btf_map]
pub static SUPERBLOCKS: Array<u32, { sizes::SUPERBLOCKS_MAX as usize }> = Array::new();
#[btf_map]
pub static SCRIPTS: HashMap<u32, u32, { sizes::SCRIPTS_MAX as usize }> = HashMap::new();
#[btf_map]
pub static DM_NAMES: HashMap<u64, u32, { sizes::DM_NAMES_MAX as usize }> = HashMap::new();
#[btf_map]
pub static OWN_OBJECTS: HashMap<BpfObject, u32, { sizes::OWN_OBJECTS_MAX as usize }> =
    HashMap::new();
/// Attacked by the controller alone; no program reads it.
#[btf_map]
pub static CANARY: Array<u32, 1> = Array::new();
#[btf_map]
pub static GLASS: Array<GlassEntry, { GLASS_SLOTS as usize }> = Array::new();
#[btf_map]
pub static GLASS_USES: HashMap<GlassUse, u32, { sizes::GLASS_USES_MAX as usize }> = HashMap::new();
#[btf_map]
pub static ARM: Array<u64, { ArmWord::COUNT as usize }> = Array::new();
#[btf_map]
pub static POLICY: Array<Policy, 1> = Array::new();
#[btf_map]
pub static COUNTERS: PerCpuArray<u64, { Counter::COUNT as usize }> = PerCpuArray::new();
#[btf_map]
pub static SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();
#[btf_map]
pub static ACTS: LruHashMap<ActKey, ToldAct, { sizes::ACTS_MAX as usize }> = LruHashMap::new();
// `()`: with a value type libbpf says "conflicting value size".
#[btf_map]
pub static DENIALS: RingBuf<(), { sizes::DENIALS_BYTES }> = RingBuf::new();
#[btf_map]
pub static LIFECYCLE: RingBuf<(), { sizes::LIFECYCLE_BYTES }> = RingBuf::new();
