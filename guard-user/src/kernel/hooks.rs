//! The hooks of the kernel half: which program goes where, and what its absence means.

use serde::{Deserialize, Serialize};

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// BPF LSM; the kernel has the hook where its BTF has `bpf_lsm_<name>`.
    Lsm,
    /// A BTF tracepoint; BTF has `btf_trace_<name>`.
    Tracepoint,
    /// Entry of a kernel function; BTF has the function.
    Function,
}

/// What the loader does when the running kernel does not have the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Refuses to start.
    Required,
    /// Goes without: where the hook does not exist, neither does the way past it.
    WherePresent,
    /// Goes without, also where attaching fails: the guard is only slower to learn something.
    Convenience,
}

/// One hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookSpec {
    /// Name of the program in the object, and of its pin.
    pub program: &'static str,
    /// Kernel name of the hook, tracepoint or function.
    pub target: &'static str,
    /// How it is attached.
    pub attach: Attach,
    /// What its absence means.
    pub presence: Presence,
}

impl HookSpec {
    /// Name and kind of the BTF type that says that the kernel has it.
    pub fn btf_name(&self) -> String {
        match self.attach {
            Attach::Lsm => format!("bpf_lsm_{}", self.target),
            Attach::Tracepoint => format!("btf_trace_{}", self.target),
            Attach::Function => self.target.to_owned(),
        }
    }

    /// Whether the guard can start without it on a kernel that has it.
    pub const fn required(&self) -> bool {
        !matches!(self.presence, Presence::Convenience)
    }
}

const fn hook(
    program: &'static str,
    target: &'static str,
    attach: Attach,
    presence: Presence,
) -> HookSpec {
    HookSpec {
        program,
        target,
        attach,
        presence,
    }
}

/// A change of a directory; program and hook have the same name.
const fn file_hook(name: &'static str) -> HookSpec {
    hook(name, name, Attach::Lsm, Presence::Required)
}

/// All of them, in the order in which they are attached: the host is armed by the first three
/// before the others begin to refuse.
pub const HOOKS: &[HookSpec] = &[
    hook(
        "exec",
        "sched_process_exec",
        Attach::Tracepoint,
        Presence::Required,
    ),
    hook(
        "fork",
        "sched_process_fork",
        Attach::Tracepoint,
        Presence::Required,
    ),
    hook(
        "exit",
        "sched_process_exit",
        Attach::Tracepoint,
        Presence::Required,
    ),
    hook(
        "bdev_add",
        "bdev_add",
        Attach::Function,
        Presence::Convenience,
    ),
    hook("file_open", "file_open", Attach::Lsm, Presence::Required),
    hook("file_ioctl", "file_ioctl", Attach::Lsm, Presence::Required),
    hook(
        "file_ioctl_compat",
        "file_ioctl_compat",
        Attach::Lsm,
        Presence::WherePresent,
    ),
    hook(
        "uring_cmd",
        "uring_cmd",
        Attach::Lsm,
        Presence::WherePresent,
    ),
    file_hook("inode_create"),
    file_hook("inode_mkdir"),
    file_hook("inode_mknod"),
    file_hook("inode_symlink"),
    file_hook("inode_link"),
    file_hook("inode_unlink"),
    file_hook("inode_rmdir"),
    file_hook("inode_rename"),
    hook(
        "path_truncate",
        "path_truncate",
        Attach::Lsm,
        Presence::WherePresent,
    ),
];

/// State of one hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookStatus {
    /// Name of the hook.
    pub name: String,
    /// Its program is attached.
    pub attached: bool,
    /// The guard is not whole without it.
    pub required: bool,
    /// Why it is not attached.
    pub why_missing: Option<String>,
}

impl HookStatus {
    /// A required hook is missing: the host is not fully guarded.
    pub const fn is_hole(&self) -> bool {
        self.required && !self.attached
    }
}
