//! Getting to a running guard: take over the one that is there, or have one loaded.

use std::io;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::guard::{self, Guard};
use super::hooks::{HookStatus, SECOND_LAYER};
use super::problem::{Problem, ProblemKind, StartError};
use super::route::{self, Route};
use super::{cgroup, object, pin, probe};

/// Hidden verb by which this binary loads the kernel half in a process of its own.
pub const LOAD_VERB: &str = "__load";

/// What [`Guard::start`] found or did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadReport {
    /// A guard of the same object was there and was taken over; nothing was loaded.
    pub adopted: bool,
    /// The maps were there before: host state, devices and events of an earlier controller.
    pub maps_kept: bool,
    /// How the programs of the security hooks are attached.
    pub route: Route,
    /// Why in this way.
    pub route_why: String,
    /// Each hook.
    pub hooks: Vec<HookStatus>,
    /// Kernel release and machine.
    pub kernel: String,
}

impl Guard {
    /// Takes over the guard that is pinned, where it is whole and of this very object; otherwise
    /// loads one beside it, and only then lets the old one go.
    ///
    /// Loading happens in a child process (`<this binary> __load`), so that what it needs in
    /// memory goes away with it.
    ///
    /// This process is the controller from now on: signals that would end it are process 1's.
    pub fn start() -> Result<(Self, LoadReport), StartError> {
        let report = match adoptable()? {
            Some(report) => report,
            None => load_in_child()?,
        };
        let mut guard = Self::open()?;
        guard.claim()?;
        Ok((guard, report))
    }
}

/// The report of a pinned guard that can be taken over.
fn adoptable() -> Result<Option<LoadReport>, StartError> {
    if !object::is_built_in() {
        return Ok(None);
    }
    let choice = route::choose();
    for route in choice.candidates() {
        let set = pin::link_set(&object::digest(), *route);
        if !set.is_dir() {
            continue;
        }
        let hooks = guard::set_status(&set);
        if hooks.iter().any(HookStatus::is_hole) || second_layer_is_lost(&hooks) {
            continue;
        }
        remove_other_sets(&set)?;
        return Ok(Some(report(true, true, *route, choice.why, hooks)));
    }
    Ok(None)
}

/// The second layer is not attached, although this host has what it is attached to.
fn second_layer_is_lost(hooks: &[HookStatus]) -> bool {
    hooks
        .iter()
        .any(|hook| hook.name == SECOND_LAYER && !hook.attached)
        && cgroup::is_there()
}

pub(super) fn report(
    adopted: bool,
    maps_kept: bool,
    route: Route,
    route_why: String,
    hooks: Vec<HookStatus>,
) -> LoadReport {
    let uname = rustix::system::uname();
    let kernel = format!(
        "{} {}",
        uname.release().to_string_lossy(),
        uname.machine().to_string_lossy()
    );
    LoadReport {
        adopted,
        maps_kept,
        route,
        route_why,
        hooks,
        kernel,
    }
}

/// Unpins every set but `keep`: older ones, and what loaders left that died on their way.
pub(super) fn remove_other_sets(keep: &std::path::Path) -> Result<(), Problem> {
    let removed = pin::sets().and_then(|sets| {
        sets.iter()
            .filter(|set| set.as_path() != keep)
            .try_for_each(|set| pin::remove_set(set))
    });
    removed.map_err(|error| {
        Problem::fatal(
            ProblemKind::Internal,
            format!(
                "removing older programs from {}",
                pin::link_sets().display()
            ),
            error,
            "look at that directory; the host is guarded, by two sets of programs",
        )
    })
}

/// What the child says on its standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ChildAnswer {
    Loaded(LoadReport),
    Failed(Problem),
}

fn load_in_child() -> Result<LoadReport, StartError> {
    probe::ensure_bpffs()?;
    let output = Command::new("/proc/self/exe")
        .arg(LOAD_VERB)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| child_failed(&error))?;
    match serde_json::from_slice(&output.stdout) {
        Ok(ChildAnswer::Loaded(report)) => Ok(report),
        Ok(ChildAnswer::Failed(problem)) => Err(problem),
        Err(_) => Err(child_failed(&io::Error::other(format!(
            "it ended with {} and said {:?}",
            output.status,
            String::from_utf8_lossy(&output.stdout)
        )))),
    }
}

fn child_failed(error: &io::Error) -> Problem {
    Problem::fatal(
        ProblemKind::Internal,
        "loading the kernel half in a child process",
        error,
        "look at the journal of dbguard.service and at `dmesg`",
    )
}
