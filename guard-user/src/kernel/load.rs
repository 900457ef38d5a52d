//! Loading the kernel half. Runs in a process of its own, see [`super::start`].
//!
//! All or nothing: every program passes the verifier before the first is attached, every link is
//! pinned before the set gets its name, and only then are older sets let go.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use guard_abi::{ABI_VERSION, maps as names, members};
use rustix::fs::{FlockOperation, flock};

use super::btf::Btf;
use super::guard::Guard;
use super::hooks::{HOOKS, HookSpec};
use super::on_demand::{self, ON_DEMAND};
use super::probe::{self, probe};
use super::problem::{Problem, ProblemKind};
use super::route::{self, Choice, Route};
use super::selftest::TestOutcome;
use super::start::{ChildAnswer, LoadReport, remove_other_sets, report};
use super::{by_aya, by_libbpf, guard, marks, object, own, pin};

/// Programs that have passed the verifier.
pub(super) trait Loaded {
    /// Attaches the program of a hook, and pins its link.
    fn attach(&mut self, hook: &HookSpec, pin: &Path) -> Result<(), String>;
    /// The program of a hook.
    fn program_fd(&self, hook: &HookSpec) -> Result<OwnedFd, String>;
}

/// What a loader is given.
pub(super) struct Plan<'a> {
    /// Values for the object's read-only data.
    pub constants: &'a [(&'static str, u32)],
    /// The kernel's types.
    pub btf: &'a Btf,
    /// Hooks that the kernel does not have are left out on this route.
    pub route: Route,
}

impl Plan<'_> {
    /// Whether the kernel has a hook.
    pub(super) fn has(&self, hook: &HookSpec) -> bool {
        hook.is_in(self.btf, self.route)
    }
}

/// Body of the hidden verb: loads, and says on standard output how it went.
pub fn load_child() -> ExitCode {
    let answer = match load() {
        Ok(report) => ChildAnswer::Loaded(report),
        Err(problem) => ChildAnswer::Failed(problem),
    };
    let code = match &answer {
        ChildAnswer::Loaded(_) => ExitCode::SUCCESS,
        ChildAnswer::Failed(problem) => ExitCode::from(problem.kind.exit_code()),
    };
    let told = serde_json::to_vec(&answer)
        .map_err(io::Error::from)
        .and_then(|bytes| io::stdout().write_all(&bytes));
    // Nobody reads: the parent is gone. The pins stand either way.
    if told.is_ok() {
        code
    } else {
        ExitCode::FAILURE
    }
}

fn load() -> Result<LoadReport, Problem> {
    let facts = probe();
    if let Some(problem) = facts.fatal() {
        return Err(problem.clone());
    }
    probe::ensure_bpffs()?;
    let _lock = lock()?;
    let btf = match Btf::running_kernel() {
        Ok(Ok(btf)) => btf,
        Ok(Err(error)) => return Err(probe::unusable_btf(&error)),
        Err(error) => return Err(internal("reading the kernel's type information", error)),
    };
    check_abi()?;
    let offsets = offsets(&btf)?;
    let maps_kept = pin::map(names::POLICY).exists();
    fs::create_dir_all(pin::maps())
        .map_err(|error| internal(&format!("creating {}", pin::maps().display()), error))?;
    marks::forget().map_err(|error| internal("having every file looked up meanwhile", error))?;
    let choice = route::choose();
    let loaded = on_some_route(&choice, &offsets, &btf);
    if loaded.is_err() && !maps_kept {
        // Nothing was attached, so nothing may look as if it were.
        let _ = fs::remove_dir_all(pin::maps());
    }
    let (set, route) = loaded?;
    remove_other_sets(&set)?;
    let hooks = guard::set_status(&set);
    Ok(report(false, maps_kept, route, choice.why, hooks))
}

/// Loads, attaches and names a set on the first route that works. Where the route is not known,
/// attaching proves nothing: the set must refuse an attack.
fn on_some_route(
    choice: &Choice,
    offsets: &[(&'static str, u32)],
    btf: &Btf,
) -> Result<(PathBuf, Route), Problem> {
    let mut failed = None;
    for route in choice.candidates() {
        let done = on_route(*route, offsets, btf, choice.route.is_none());
        match done {
            Ok(set) => return Ok((set, *route)),
            Err(problem) => failed = Some(problem),
        }
    }
    Err(failed.unwrap_or_else(|| internal("loading the kernel half", "there is no route to try")))
}

fn on_route(
    route: Route,
    offsets: &[(&'static str, u32)],
    btf: &Btf,
    prove: bool,
) -> Result<PathBuf, Problem> {
    if let Some(problem) = probe::missing(btf, route).into_iter().next() {
        return Err(problem);
    }
    let mut constants = offsets.to_vec();
    constants.push((members::ON_FMOD_RET, u32::from(route == Route::FmodRet)));
    let plan = Plan {
        constants: &constants,
        btf,
        route,
    };
    let mut programs: Box<dyn Loaded> = match route {
        Route::Lsm => Box::new(by_aya::load(&plan)?),
        Route::FmodRet => Box::new(by_libbpf::load(&plan)?),
    };
    own::introduce().map_err(|error| internal("telling whose the maps are", error))?;
    let unfinished = pin::unfinished_set();
    let done = fill_set(programs.as_mut(), &plan, &unfinished)
        .and_then(|()| {
            own::introduce_links(&unfinished)
                .map_err(|error| internal("telling whose the links are", error))
        })
        .and_then(|()| if prove { proved(route) } else { Ok(()) })
        .and_then(|()| publish(&unfinished, route));
    if done.is_err() && unfinished.is_dir() {
        // The links go with their pins and with this process.
        let _ = pin::remove_set(&unfinished);
    }
    done
}

/// The programs that were just attached refuse the canary.
fn proved(route: Route) -> Result<(), Problem> {
    let outcome = Guard::from_pins().and_then(|guard| guard.attack_open());
    match outcome {
        Ok(TestOutcome::Refused) => Ok(()),
        Ok(other) => Err(internal(
            &format!("attacking the canary on route {route}"),
            format!("{other:?}"),
        )),
        Err(error) => Err(internal("opening the maps that were just made", error)),
    }
}

/// One loader at a time.
fn lock() -> Result<File, Problem> {
    let path = Path::new("/run/dbguard");
    let opened = fs::create_dir_all(path)
        .and_then(|()| File::create(path.join("load.lock")))
        .and_then(|file| {
            flock(&file, FlockOperation::LockExclusive)
                .map(|()| file)
                .map_err(Into::into)
        });
    opened.map_err(|error| internal("taking the lock /run/dbguard/load.lock", error))
}

/// The object was built from the same contract as this program.
fn check_abi() -> Result<(), Problem> {
    match object::constant(object::OBJECT, "ABI_VERSION") {
        Some(ABI_VERSION) => Ok(()),
        other => Err(Problem::fatal(
            ProblemKind::Unavailable,
            "loading the kernel half",
            format!("it speaks version {other:?} of the contract, this program {ABI_VERSION}"),
            "build both together with `cargo xtask build`",
        )),
    }
}

/// Offset of every member in the table. A missing required one is an error that names it.
fn offsets(btf: &Btf) -> Result<Vec<(&'static str, u32)>, Problem> {
    let mut found = Vec::with_capacity(members::MEMBERS.len());
    for member in members::MEMBERS {
        let offset = match (btf.offset(member.of, member.path), member.need) {
            (Ok(offset), _) => offset,
            (Err(_), members::Need::Optional) => members::ABSENT,
            (Err(error), members::Need::Required) => {
                return Err(Problem::fatal(
                    ProblemKind::Unavailable,
                    "finding the kernel's data structures",
                    error,
                    "this kernel is not supported; report it with the output of `uname -a`",
                ));
            }
        };
        found.push((member.symbol, offset));
    }
    found.push((members::HOST_MOUNT_NAMESPACE, host_mount_namespace()?));
    Ok(found)
}

/// Number of the mount namespace of process 1 (namespaces(7)): the host's own.
fn host_mount_namespace() -> Result<u32, Problem> {
    let path = "/proc/1/ns/mnt";
    let number = fs::metadata(path)
        .map_err(|error| internal(&format!("reading {path}"), error))?
        .ino();
    u32::try_from(number).map_err(|error| internal(&format!("reading {path}"), error))
}

fn fill_set(programs: &mut dyn Loaded, plan: &Plan<'_>, set: &Path) -> Result<(), Problem> {
    let absent = pin::absent(set);
    fs::create_dir_all(&absent)
        .map_err(|error| internal(&format!("creating {}", absent.display()), error))?;
    for hook in HOOKS {
        if !plan.has(hook) {
            let mark = absent.join(hook.program);
            fs::create_dir(&mark)
                .map_err(|error| internal(&format!("creating {}", mark.display()), error))?;
            continue;
        }
        match programs.attach(hook, &set.join(hook.program)) {
            Ok(()) => {}
            Err(why) if hook.presence.can_be_left_out() => go_without(hook, &why),
            Err(why) => return Err(refused(hook, "attaching", &why)),
        }
    }
    for hook in ON_DEMAND {
        let program = programs
            .program_fd(hook)
            .map_err(|why| refused(hook, "attaching", &why))?;
        on_demand::add_to_set(set, hook.program, program.as_fd())
            .map_err(|error| internal(&format!("attaching to {}", hook.target), error))?;
    }
    Ok(())
}

/// Says in the journal why a hook is done without; `status` says that it is not there.
fn go_without(hook: &HookSpec, why: &str) {
    eprintln!(
        "dbguard: going on without the hook {} (covered by {}): {}",
        hook.target,
        hook.covered_by,
        shortened(why)
    );
}

/// Gives the finished set its name. A damaged set of the same object makes way first: it stays
/// attached until the new one bears the name.
fn publish(unfinished: &Path, route: Route) -> Result<PathBuf, Problem> {
    let set = pin::link_set(&object::digest(), route);
    let renamed = if set.is_dir() {
        fs::rename(&set, pin::retired_set(0)).and_then(|()| fs::rename(unfinished, &set))
    } else {
        fs::rename(unfinished, &set)
    };
    renamed
        .map(|()| set.clone())
        .map_err(|error| internal(&format!("naming the link set {}", set.display()), error))
}

pub(super) fn internal(what: &str, error: impl std::fmt::Display) -> Problem {
    Problem::fatal(
        ProblemKind::Internal,
        what,
        error,
        "look at `dmesg` and report it with the output of `uname -a`",
    )
}

pub(super) fn refused(hook: &HookSpec, act: &str, why: &str) -> Problem {
    Problem::fatal(
        ProblemKind::Unavailable,
        format!("{act} the program of {}", hook.target),
        shortened(why),
        "nothing was changed; report this kernel with the output of `uname -a`",
    )
}

/// Lines kept of the verifier's log: the last ones say why.
const LOG_LINES: usize = 40;

/// An error's text without the greater part of the verifier's log, which can be very long.
pub(super) fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    match lines.len().checked_sub(LOG_LINES) {
        None | Some(0) => text.to_owned(),
        Some(cut) => format!("{} [{cut} lines]\n{}", lines[0], lines[cut..].join("\n")),
    }
}
