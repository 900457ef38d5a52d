//! The contract between dbguard's BPF programs and its controller.
//!
//! Everything that crosses the border between kernel and user space is defined here, once: map
//! keys and values, events, the words for operations and reasons, and the table of kernel members
//! whose offsets the loader injects. No implicit padding, no `bool`, and every layout is asserted,
//! so that a change on one side alone does not compile.
#![no_std]

pub mod canary;
mod device;
mod event;
mod file;
mod layout;
pub mod maps;
pub mod members;
mod state;
mod task;
mod words;

pub use device::{
    DeviceClass, DeviceEntry, DeviceKey, DeviceKind, PassthroughKind, dev, device_flag,
};
pub use event::{
    ANCESTORS, ARGV_BYTES, Ancestor, CMDLINE_PARTIAL, Counter, DenialEvent, EXE_NAME_BYTES,
    LifecycleEvent, LifecycleKind, OBJECT_NAMES, TASK_COMM_BYTES,
};
pub use file::{
    FILE_NAME_BYTES, FileAct, FileId, FileName, FileRule, FileSystem, NAMED_FILES, NameScope,
    NamedFile, PlaceEntry, PlaceKind, place_id,
};
pub use state::{ArmWord, Handling, Mode, Policy, RELEASED_NEVER};
pub use task::{
    ArgumentName, ArgumentRole, Engine, EngineName, ExeId, TaskEntry, ToolRule, VerbKey, VerbRule,
    tool_grant, verb_source,
};
pub use words::{Decision, Hook, ObjectKind, Op, Reason};

/// Version of everything in this crate. The loader writes it into the programs and compares it
/// with the pinned maps of a running guard; a difference means "replace", never "share".
pub const ABI_VERSION: u32 = 3;
