//! What the running kernel and this process can do.

use std::fs;
use std::path::Path;

use rustix::mount::{MountFlags, mount};
use serde::{Deserialize, Serialize};

use super::btf::{Btf, BtfError, VMLINUX};
use super::hooks::{HOOKS, HookSpec, Presence};
use super::on_demand::ON_DEMAND;
use super::problem::{Problem, ProblemKind};
use super::route::{self, Choice, Route};
use super::{object, pin};

const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
/// `CAP_SYS_ADMIN` (include/uapi/linux/capability.h): bpffs, tracing programs, LSM programs.
const CAP_SYS_ADMIN: u32 = 21;
/// `BPF_FS_MAGIC` (include/uapi/linux/magic.h).
const BPF_FS_MAGIC: u64 = 0xCAFE_4A11;

/// Facts and problems. Made by [`probe`], which never fails.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// Kernel release and machine, as `uname -rm` says.
    pub kernel: String,
    /// Active security modules in their order; empty where the list could not be read.
    pub lsm: Vec<String>,
    /// How the programs will be attached; `None` where only trying can tell.
    pub route: Option<Route>,
    /// Why in this way.
    pub route_why: String,
    /// Hooks that the kernel's BTF has, by program name.
    pub hooks: Vec<String>,
    /// Lockdown mode (`none`, `integrity`, `confidentiality`), where the kernel has it.
    pub lockdown: Option<String>,
    /// The BPF file system is mounted where the pins go.
    pub bpffs: bool,
    /// What is wrong, the worst first.
    pub problems: Vec<Problem>,
}

impl Probe {
    /// The first problem that stops the guard.
    pub fn fatal(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.fatal)
    }
}

/// Looks at the kernel and at this process; changes nothing.
pub fn probe() -> Probe {
    let uname = rustix::system::uname();
    let mut problems = Vec::new();
    problems.extend(no_object());
    problems.extend(no_privilege());
    let choice = route::choose();
    let hooks = read_hooks(&choice, &mut problems);
    let lockdown = fs::read_to_string(LOCKDOWN)
        .ok()
        .and_then(|text| selected(&text));
    if lockdown.as_deref() == Some("confidentiality") {
        problems.push(Problem::fatal(
            ProblemKind::Configuration,
            "reading kernel memory from BPF",
            "the kernel is locked down in confidentiality mode",
            "boot with lockdown=integrity or without lockdown=",
        ));
    }
    problems.sort_by_key(|problem| !problem.fatal);
    Probe {
        kernel: format!(
            "{} {}",
            uname.release().to_string_lossy(),
            uname.machine().to_string_lossy()
        ),
        lsm: choice.modules,
        route: choice.route,
        route_why: choice.why,
        hooks,
        lockdown,
        bpffs: is_bpffs(Path::new(pin::BPFFS)),
        problems,
    }
}

fn no_object() -> Option<Problem> {
    (!object::is_built_in()).then(|| {
        Problem::fatal(
            ProblemKind::Unavailable,
            "loading the kernel half",
            "this dbguard was built without it",
            "build it with `cargo xtask build`, or install the package",
        )
    })
}

fn no_privilege() -> Option<Problem> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    (effective & (1 << CAP_SYS_ADMIN) == 0).then(|| {
        Problem::fatal(
            ProblemKind::NotPermitted,
            "loading BPF programs",
            "this process lacks CAP_SYS_ADMIN",
            "run it as root on the host itself, not in a container or user namespace",
        )
    })
}

fn read_hooks(choice: &Choice, problems: &mut Vec<Problem>) -> Vec<String> {
    let btf = match Btf::running_kernel() {
        Ok(Ok(btf)) => btf,
        Ok(Err(error)) => {
            problems.push(unusable_btf(&error));
            return Vec::new();
        }
        Err(error) => {
            problems.push(Problem::fatal(
                ProblemKind::Unavailable,
                format!("reading the kernel's type information from {VMLINUX}"),
                error,
                "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (every current distribution's is)",
            ));
            return Vec::new();
        }
    };
    let missing = |route: Route| missing(&btf, route);
    // The first route on which nothing is missing; where there is none, what the last one lacks.
    let routes = choice.candidates();
    let usable = routes.iter().find(|route| missing(**route).is_empty());
    if usable.is_none()
        && let Some(route) = routes.last()
    {
        problems.extend(missing(*route));
    }
    let there = |hook: &&HookSpec| usable.is_some_and(|route| hook.is_in(&btf, *route));
    HOOKS
        .iter()
        .filter(there)
        .map(|hook| hook.program.to_owned())
        .collect()
}

/// A problem for each required hook that the kernel does not have.
pub(super) fn missing(btf: &Btf, route: Route) -> Vec<Problem> {
    let required = |hook: &&HookSpec| hook.presence == Presence::Required;
    HOOKS
        .iter()
        .chain(ON_DEMAND)
        .filter(required)
        .filter(|hook| !hook.is_in(btf, route))
        .map(|hook| {
            Problem::fatal(
                ProblemKind::Unavailable,
                format!("attaching to {} (route {route})", hook.target),
                format!("the kernel's BTF has no `{}`", hook.btf_type(route).1),
                "use a kernel of 5.10 or later, built with CONFIG_DEBUG_INFO_BTF=y and CONFIG_SECURITY=y",
            )
        })
        .collect()
}

/// The problem of BTF that cannot be read.
pub(super) fn unusable_btf(error: &BtfError) -> Problem {
    Problem::fatal(
        ProblemKind::Unavailable,
        format!("reading the kernel's type information from {VMLINUX}"),
        error,
        "report this kernel to the maintainers of dbguard with the output of `uname -a`",
    )
}

/// The bracketed word of `none [integrity] confidentiality`.
fn selected(text: &str) -> Option<String> {
    let start = text.find('[')? + 1;
    let length = text[start..].find(']')?;
    Some(text[start..start + length].to_owned())
}

fn is_bpffs(path: &Path) -> bool {
    rustix::fs::statfs(path)
        .is_ok_and(|stat| u64::try_from(stat.f_type).is_ok_and(|magic| magic == BPF_FS_MAGIC))
}

/// Mounts the BPF file system where it is not mounted yet.
pub(super) fn ensure_bpffs() -> Result<(), Problem> {
    let path = Path::new(pin::BPFFS);
    if is_bpffs(path) {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", path, "bpf", flags, Some(c"mode=700")).map_err(|error| {
        Problem::fatal(
            ProblemKind::Unavailable,
            format!("mounting the BPF file system on {}", pin::BPFFS),
            error,
            "mount it by hand: mount -t bpf bpf /sys/fs/bpf",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockdown_mode_is_the_bracketed_word() {
        assert_eq!(
            selected("none [integrity] confidentiality\n").as_deref(),
            Some("integrity")
        );
        assert_eq!(selected("none integrity"), None);
        assert_eq!(selected("[none"), None);
    }
}
