//! The hooks of the kernel half: which program goes where, what its absence means, and how the
//! self-test exercises it. A new hook is one entry of [`HOOKS`].

use serde::{Deserialize, Serialize};

use super::btf::{Btf, Kind};
use super::canary;
use super::route::Route;

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A hook of the security modules, by its name in include/linux/lsm_hook_defs.h. Attached as
    /// the [`Route`] says.
    Security,
    /// A BTF tracepoint; BTF has `btf_trace_<name>`.
    Tracepoint,
    /// Entry of a kernel function; BTF has the function.
    Function,
    /// A device program at the root of the cgroup hierarchy; BTF has the function that asks it.
    CgroupDevice,
}

/// What the loader does when the running kernel does not have the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Refuses to start.
    Required,
    /// Goes without: what the absence opens is told, and how else it is covered.
    WherePresent,
    /// Goes without, also where attaching fails: the guard is only slower to learn something.
    Convenience,
    /// Goes without where the host has no hierarchy to attach to, and says so in `status`: the
    /// other hooks refuse what programs do themselves.
    SecondLayer,
}

impl Presence {
    /// Whether the guard goes on where the kernel has the hook and does not take the program.
    pub const fn can_be_left_out(self) -> bool {
        matches!(self, Self::Convenience | Self::SecondLayer)
    }
}

/// How the self-test finds out whether the hook refuses.
#[derive(Clone, Copy, Debug)]
pub enum Exercise {
    /// By a harmless attack that the kernel half refuses in every state and mode, see
    /// [`guard_abi::canary`].
    Attack(canary::Attack),
    /// Not at all, for this reason.
    NotTried(&'static str),
}

/// One hook.
#[derive(Clone, Copy, Debug)]
pub struct HookSpec {
    /// Name of the program in the object, and of its pin.
    pub program: &'static str,
    /// Kernel name of the hook, tracepoint or function.
    pub target: &'static str,
    /// How it is attached.
    pub attach: Attach,
    /// What its absence means.
    pub presence: Presence,
    /// What its absence leaves open.
    pub opens: &'static str,
    /// What else covers that.
    pub covered_by: &'static str,
    /// How the self-test exercises it.
    pub exercise: Exercise,
}

impl HookSpec {
    /// Kind and name of the BTF type that says that the kernel has it.
    pub fn btf_type(&self, route: Route) -> (Kind, String) {
        match (self.attach, route) {
            (Attach::Security, Route::Lsm) => (Kind::Function, format!("bpf_lsm_{}", self.target)),
            (Attach::Security, Route::FmodRet) => (Kind::Function, self.function()),
            (Attach::Tracepoint, _) => (Kind::Typedef, format!("btf_trace_{}", self.target)),
            (Attach::Function | Attach::CgroupDevice, _) => {
                (Kind::Function, self.target.to_owned())
            }
        }
    }

    /// Whether a kernel with these types has it.
    pub fn is_in(&self, btf: &Btf, route: Route) -> bool {
        let (kind, name) = self.btf_type(route);
        btf.has(kind, &name)
    }

    /// The function of security/security.c that asks the modules.
    pub fn function(&self) -> String {
        match self.target {
            // The one hook that bears another name than its function.
            "bprm_check_security" => "security_bprm_check".to_owned(),
            target => format!("security_{target}"),
        }
    }

    /// Whether it refuses operations, rather than learning of them.
    pub const fn decides(&self) -> bool {
        matches!(self.attach, Attach::Security | Attach::CgroupDevice)
    }
}

/// The reason why a tracepoint or a function's entry is not attacked.
const LEARNS: Exercise =
    Exercise::NotTried("it decides nothing; that it works is seen in what it tells");

/// A hook that every kernel has and that nothing attacks, such as a change of a directory's entries.
const fn entry_hook(name: &'static str, opens: &'static str) -> HookSpec {
    HookSpec {
        program: name,
        target: name,
        attach: Attach::Security,
        presence: Presence::Required,
        opens,
        covered_by: "nothing",
        exercise: Exercise::NotTried("it has no canary"),
    }
}

/// A function that is called when a block device is claimed, or a claim given up. Which ones there
/// are depends on the kernel.
const fn claim_hook(function: &'static str) -> HookSpec {
    HookSpec {
        program: function,
        target: function,
        attach: Attach::Function,
        presence: Presence::Convenience,
        opens: "nothing; a device that has left use is refused until the controller has seen it",
        covered_by: "the controller, which follows mounts, swap areas, arrays and mappings",
        exercise: LEARNS,
    }
}

/// Where a claim is given up: each kernel has the one function or the other.
pub(super) const EITHER: (&str, &str) = ("bd_end_claim", "blkdev_put");

/// The program of the second layer.
pub const SECOND_LAYER: &str = "device";

/// All of them, in the order in which they are attached: the host is armed by the first three
/// before the others begin to refuse.
pub const HOOKS: &[HookSpec] = &[
    HookSpec {
        program: "exec",
        target: "sched_process_exec",
        attach: Attach::Tracepoint,
        presence: Presence::Required,
        opens: "databases are not seen to start",
        covered_by: "nothing",
        exercise: LEARNS,
    },
    HookSpec {
        program: "fork",
        target: "sched_process_fork",
        attach: Attach::Tracepoint,
        presence: Presence::Required,
        opens: "workers of databases and tools are not known",
        covered_by: "nothing",
        exercise: LEARNS,
    },
    HookSpec {
        program: "exit",
        target: "sched_process_exit",
        attach: Attach::Tracepoint,
        presence: Presence::Required,
        opens: "databases are not seen to end",
        covered_by: "nothing",
        exercise: LEARNS,
    },
    HookSpec {
        program: "bprm_check",
        target: "security_bprm_check",
        attach: Attach::Function,
        presence: Presence::Convenience,
        opens: "nothing; scripts such as update-grub and dnf are refused what they may do",
        covered_by: "package managers and tools that are no scripts",
        exercise: LEARNS,
    },
    HookSpec {
        program: "bdev_add",
        target: "bdev_add",
        attach: Attach::Function,
        presence: Presence::Convenience,
        opens: "nothing; a new partition of a free disk is refused until its uevent was heard",
        covered_by: "the controller, which hears of devices by uevents",
        exercise: LEARNS,
    },
    claim_hook("bd_prepare_to_claim"),
    claim_hook("bd_abort_claiming"),
    claim_hook("bd_end_claim"),
    claim_hook("blkdev_put"),
    HookSpec {
        program: SECOND_LAYER,
        target: "__cgroup_bpf_check_dev_permission",
        attach: Attach::CgroupDevice,
        presence: Presence::SecondLayer,
        opens: "devices that the kernel opens on a program's behalf",
        covered_by: "file_open, for what programs open themselves",
        exercise: Exercise::Attack(canary::open_below),
    },
    HookSpec {
        program: "file_open",
        target: "file_open",
        attach: Attach::Security,
        presence: Presence::Required,
        opens: "opening protected devices for writing",
        covered_by: "nothing",
        exercise: Exercise::Attack(canary::open),
    },
    HookSpec {
        program: "file_ioctl",
        target: "file_ioctl",
        attach: Attach::Security,
        presence: Presence::Required,
        opens: "commands to protected devices",
        covered_by: "nothing",
        exercise: Exercise::Attack(canary::ioctl),
    },
    HookSpec {
        program: "file_ioctl_compat",
        target: "file_ioctl_compat",
        attach: Attach::Security,
        presence: Presence::WherePresent,
        opens: "nothing: kernels without it ask file_ioctl about 32-bit callers too",
        covered_by: "file_ioctl",
        exercise: Exercise::Attack(canary::ioctl_compat),
    },
    HookSpec {
        program: "uring_cmd",
        target: "uring_cmd",
        attach: Attach::Security,
        presence: Presence::WherePresent,
        opens: "nothing where io_uring has no commands (before Linux 5.19); on 5.19, commands to NVMe nodes",
        covered_by: "nothing",
        exercise: Exercise::Attack(canary::uring_cmd),
    },
    entry_hook(
        "inode_create",
        "making files among those that boot or guard",
    ),
    entry_hook(
        "inode_mkdir",
        "making directories among files that boot or guard",
    ),
    entry_hook("inode_mknod", "making nodes among files that boot or guard"),
    entry_hook(
        "inode_symlink",
        "making symbolic links among files that boot or guard",
    ),
    entry_hook("inode_link", "giving files that boot or guard another name"),
    entry_hook("inode_unlink", "removing files that boot or guard"),
    entry_hook(
        "inode_rmdir",
        "removing directories of files that boot or guard",
    ),
    entry_hook(
        "inode_rename",
        "moving and replacing files that boot or guard",
    ),
    HookSpec {
        program: "bpf",
        target: "bpf",
        attach: Attach::Security,
        presence: Presence::Required,
        opens: "changing the guard's maps and links",
        covered_by: "nothing",
        exercise: Exercise::Attack(canary::bpf),
    },
    entry_hook(
        "ptrace_access_check",
        "changing the memory of the guard's processes",
    ),
    entry_hook("task_kill", "ending and stopping the controller"),
    HookSpec {
        program: "path_truncate",
        target: "path_truncate",
        attach: Attach::Security,
        presence: Presence::WherePresent,
        opens: "cutting files that boot or guard by truncate(2)",
        covered_by: "nothing",
        exercise: Exercise::NotTried("it has no canary"),
    },
    entry_hook("sb_mount", "covering the data of a running database"),
    entry_hook(
        "move_mount",
        "covering and moving the data of a running database by the newer calls",
    ),
    entry_hook(
        "sb_umount",
        "lazily unmounting the data of a running database",
    ),
    entry_hook("sb_pivotroot", "replacing the root directory"),
    entry_hook("capable", "forced reboots, and staging another kernel"),
    entry_hook("locked_down", "the right to use I/O ports"),
];

/// The entry of a program.
pub fn spec(program: &str) -> Option<&'static HookSpec> {
    HOOKS.iter().find(|hook| hook.program == program)
}

/// State of one hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookStatus {
    /// Name of the hook.
    pub name: String,
    /// Its program is attached.
    pub attached: bool,
    /// The guard is not whole without it.
    pub required: bool,
    /// The running kernel has no such hook.
    #[serde(default)]
    pub absent: bool,
    /// Why it is not attached.
    pub why_missing: Option<String>,
    /// What its absence leaves open.
    pub opens: String,
    /// What else covers that.
    pub covered_by: String,
    /// Runs that the kernel skipped because another task was preempted inside the same program on
    /// the same CPU; `None` where the kernel does not count them.
    pub misses: Option<u64>,
}

impl HookStatus {
    /// A required hook is missing: the host is not fully guarded.
    pub const fn is_hole(&self) -> bool {
        self.required && !self.attached
    }

    /// The kernel has the hook and the guard goes without it, so that it refuses more than it should.
    /// The second layer has a health of its own.
    pub fn is_lost(&self) -> bool {
        !self.attached && !self.required && !self.absent && self.name != SECOND_LAYER
    }

    /// Whether it refuses operations, rather than learning of them.
    pub fn decides(&self) -> bool {
        spec(&self.name).is_some_and(HookSpec::decides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_its_sign_in_btf() {
        let open = spec("file_open").expect("there");
        assert_eq!(open.btf_type(Route::Lsm).1, "bpf_lsm_file_open");
        assert_eq!(open.btf_type(Route::FmodRet).1, "security_file_open");
        let exec = spec("exec").expect("there");
        assert_eq!(
            exec.btf_type(Route::Lsm),
            (Kind::Typedef, "btf_trace_sched_process_exec".to_owned())
        );
        assert_eq!(exec.btf_type(Route::Lsm), exec.btf_type(Route::FmodRet));
    }

    #[test]
    fn programs_are_pin_names_and_told_apart() {
        for (at, hook) in HOOKS.iter().enumerate() {
            assert!(!hook.program.contains(['.', '/', '-']), "{}", hook.program);
            assert!(
                HOOKS[..at]
                    .iter()
                    .all(|other| other.program != hook.program),
                "{} twice",
                hook.program
            );
            assert!(!hook.opens.is_empty() && !hook.covered_by.is_empty());
        }
    }
}
