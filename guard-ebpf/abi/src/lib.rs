//! The contract between dbguard's BPF programs and its controller.
//!
//! Everything that crosses the border between kernel and user space is defined here, once: map
//! keys and values, events, the words for operations and reasons, and the table of kernel members
//! whose offsets the loader injects. No implicit padding, no `bool`, and every layout is asserted,
//! so that a change on one side alone does not compile.
#![no_std]

mod bpf;
pub mod canary;
mod defaults;
mod device;
mod event;
mod file;
pub mod glass;
mod layout;
mod machine;
mod mapper;
pub mod maps;
pub mod marks;
pub mod members;
mod names;
mod state;
mod task;
mod words;

pub use bpf::{BpfObject, BpfObjectKind, own};
pub use defaults::{MACHINE_DEFAULTS, RowDefault};
pub use device::{
    ControlKind, DeviceClass, DeviceEntry, DeviceKey, DeviceKind, PassthroughKind, Unclaimed, dev,
    device_flag,
};
pub use event::{
    ANCESTORS, ARGV_BYTES, ActKey, Ancestor, CMDLINE_PARTIAL, Counter, DenialEvent, EXE_NAME_BYTES,
    LifecycleEvent, LifecycleKind, OBJECT_NAMES, OPEN_FLAGS_UNKNOWN, TASK_COMM_BYTES, Told,
    ToldAct,
};
pub use file::{
    FILE_NAME_BYTES, FileAct, FileId, FileName, FileRule, FileSystem, NameScope, NamedFile,
    PATH_ID_BYTES, PlaceEntry, PlaceKind, path_id, place_id, whole_id,
};
pub use machine::{SystemCall, kexec, reboot};
pub use mapper::{DM_TEXT_BYTES, dm_key};
pub use names::NAMED_FILES;
pub use state::{ArmWord, Handling, Mode, Policy, RELEASED_NEVER};
pub use task::{
    ArgumentName, ArgumentRole, Engine, EngineName, ExeId, TaskEntry, ToolRule, VerbKey, VerbRule,
    tool_grant, verb_source,
};
pub use words::{Decision, Hook, ObjectKind, Op, Reason};

/// Version of everything in this crate. The loader writes it into the programs and compares it
/// with the pinned maps of a running guard; a difference means "replace", never "share".
pub const ABI_VERSION: u32 = 5;
