//! Loading the kernel half. Runs in a process of its own, see [`super::start`].
//!
//! All or nothing: every program passes the verifier before the first is attached, every link is
//! pinned before the set gets its name, and only then are older sets let go.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use aya::programs::links::FdLink;
use aya::programs::{BtfTracePoint, FEntry, Lsm, Program, ProgramError};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use guard_abi::{ABI_VERSION, maps as names, members};
use rustix::fs::{FlockOperation, flock};

use super::btf::Btf;
use super::hooks::{Attach, HOOKS, HookSpec, Presence};
use super::probe::{self, probe};
use super::problem::{Problem, ProblemKind};
use super::start::{ChildAnswer, LoadReport, remove_other_sets, report};
use super::{guard, object, pin};

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
    let loaded = load_programs(&offsets, &btf).and_then(|ebpf| attach_and_pin(ebpf, &btf));
    if loaded.is_err() && !maps_kept {
        // Nothing was attached, so nothing may look as if it were.
        let _ = fs::remove_dir_all(pin::maps());
    }
    let set = loaded?;
    remove_other_sets(&set)?;
    Ok(report(false, maps_kept, guard::set_status(&set)))
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
    Ok(found)
}

/// Loads the object: maps (the pinned ones where they are there), then every program that this
/// kernel has a hook for.
fn load_programs(offsets: &[(&'static str, u32)], btf: &Btf) -> Result<Ebpf, Problem> {
    fs::create_dir_all(pin::maps())
        .map_err(|error| internal(&format!("creating {}", pin::maps().display()), error))?;
    let mut loader = EbpfLoader::new();
    // Asked for by aya when a program is refused, not before.
    loader.verifier_log_level(VerifierLogLevel::DEBUG);
    for name in names::PINNED {
        loader.map_pin_path(name, pin::map(name));
    }
    for (symbol, offset) in offsets {
        loader.override_global(symbol, offset, true);
    }
    // Only an object with the feature `diag` has it.
    let diagnostics = diagnostic_level();
    loader.override_global("AYA_LOG_LEVEL", &diagnostics, false);
    let mut ebpf = loader
        .load(object::OBJECT)
        .map_err(|error| internal("creating the maps of the kernel half", chain(&error)))?;
    let kernel = aya::Btf::from_sys_fs()
        .map_err(|error| internal("reading the kernel's type information", chain(&error)))?;
    for hook in HOOKS {
        if !probe::has_hook(btf, hook) {
            continue;
        }
        match load_program(&mut ebpf, hook, &kernel) {
            Ok(()) => {}
            Err(_) if hook.presence == Presence::Convenience => {}
            Err(error) => return Err(refused(hook, "loading", &error)),
        }
    }
    Ok(ebpf)
}

/// Level of the programs' own diagnostics, for an object that has any: `DBGUARD_DIAG=4` is debug,
/// 0 (nothing) where it is not set. They are read with `examples/guard.rs log`.
fn diagnostic_level() -> u8 {
    std::env::var("DBGUARD_DIAG")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(0)
}

fn load_program(ebpf: &mut Ebpf, hook: &HookSpec, btf: &aya::Btf) -> Result<(), ProgramError> {
    let program = program(ebpf, hook)?;
    match hook.attach {
        Attach::Lsm => <&mut Lsm>::try_from(program)?.load(hook.target, btf),
        Attach::Tracepoint => <&mut BtfTracePoint>::try_from(program)?.load(hook.target, btf),
        Attach::Function => <&mut FEntry>::try_from(program)?.load(hook.target, btf),
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, hook: &HookSpec) -> Result<&'a mut Program, ProgramError> {
    ebpf.program_mut(hook.program)
        .ok_or(ProgramError::NotLoaded)
}

/// Attaches everything, pins it as an unfinished set, and gives the set its name.
fn attach_and_pin(mut ebpf: Ebpf, btf: &Btf) -> Result<std::path::PathBuf, Problem> {
    let unfinished = pin::unfinished_set();
    let done = fill_set(&mut ebpf, btf, &unfinished).and_then(|()| publish(&unfinished));
    if done.is_err() && unfinished.is_dir() {
        // The links go with their pins and with this process.
        let _ = pin::remove_set(&unfinished);
    }
    done
}

fn fill_set(ebpf: &mut Ebpf, btf: &Btf, set: &Path) -> Result<(), Problem> {
    let absent = pin::absent(set);
    fs::create_dir_all(&absent)
        .map_err(|error| internal(&format!("creating {}", absent.display()), error))?;
    for hook in HOOKS {
        if !probe::has_hook(btf, hook) {
            let mark = absent.join(hook.program);
            fs::create_dir(&mark)
                .map_err(|error| internal(&format!("creating {}", mark.display()), error))?;
            continue;
        }
        match attach(ebpf, hook) {
            Ok(link) => {
                let path = set.join(hook.program);
                link.pin(&path).map_err(|error| {
                    internal(&format!("pinning {}", path.display()), chain(&error))
                })?;
            }
            Err(_) if hook.presence == Presence::Convenience => {}
            Err(error) => return Err(refused(hook, "attaching", &error)),
        }
    }
    Ok(())
}

fn attach(ebpf: &mut Ebpf, hook: &HookSpec) -> Result<FdLink, ProgramError> {
    let program = program(ebpf, hook)?;
    Ok(match hook.attach {
        Attach::Lsm => {
            let program = <&mut Lsm>::try_from(program)?;
            let id = program.attach()?;
            program.take_link(id)?.into()
        }
        Attach::Tracepoint => {
            let program = <&mut BtfTracePoint>::try_from(program)?;
            let id = program.attach()?;
            program.take_link(id)?.into()
        }
        Attach::Function => {
            let program = <&mut FEntry>::try_from(program)?;
            let id = program.attach()?;
            program.take_link(id)?.into()
        }
    })
}

/// Renames the finished set to its digest. A damaged set of the same object makes way first: it
/// stays attached until the new one bears the name.
fn publish(unfinished: &Path) -> Result<std::path::PathBuf, Problem> {
    let set = pin::link_set(&object::digest());
    let renamed = if set.is_dir() {
        fs::rename(&set, pin::retired_set(0)).and_then(|()| fs::rename(unfinished, &set))
    } else {
        fs::rename(unfinished, &set)
    };
    renamed
        .map(|()| set.clone())
        .map_err(|error| internal(&format!("naming the link set {}", set.display()), error))
}

fn internal(what: &str, error: impl std::fmt::Display) -> Problem {
    Problem::fatal(
        ProblemKind::Internal,
        what,
        error,
        "look at `dmesg` and report it with the output of `uname -a`",
    )
}

fn refused(hook: &HookSpec, act: &str, error: &ProgramError) -> Problem {
    Problem::fatal(
        ProblemKind::Unavailable,
        format!("{act} the program of {}", hook.target),
        chain(error),
        "nothing was changed; report this kernel with the output of `uname -a`",
    )
}

/// Lines kept of the verifier's log: the last ones say why.
const LOG_LINES: usize = 40;

/// An error with its causes. The verifier's log is in one of them, and can be very long.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    let lines: Vec<&str> = text.lines().collect();
    match lines.len().checked_sub(LOG_LINES) {
        None | Some(0) => text,
        Some(cut) => format!("{} [{cut} lines]\n{}", lines[0], lines[cut..].join("\n")),
    }
}
