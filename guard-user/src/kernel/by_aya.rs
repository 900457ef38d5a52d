//! Loading by aya: the route of BPF LSM.

use std::collections::HashMap;
use std::error::Error;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use aya::programs::links::FdLink;
use aya::programs::{BtfTracePoint, CgroupDevice, FEntry, Lsm, Program, ProgramError};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use guard_abi::maps as names;

use super::hooks::{Attach, HOOKS, HookSpec};
use super::load::{Loaded, Plan, internal, refused};
use super::on_demand::ON_DEMAND;
use super::problem::Problem;
use super::{cgroup, object, pin};

/// Programs in aya's hands.
pub(super) struct Programs {
    ebpf: Ebpf,
    /// Hooks whose programs the kernel did not take, and why.
    left_out: HashMap<&'static str, String>,
}

/// Loads the object: maps (the pinned ones where they are there), then every program that this
/// kernel has a hook for.
pub(super) fn load(plan: &Plan<'_>) -> Result<Programs, Problem> {
    let mut loader = EbpfLoader::new();
    // Asked for by aya when a program is refused, not before.
    loader.verifier_log_level(VerifierLogLevel::DEBUG);
    for name in names::PINNED {
        loader.map_pin_path(name, pin::map(name));
    }
    for (section, name) in names::SECTIONS {
        loader.map_pin_path(section, pin::map(name));
    }
    for (symbol, value) in plan.constants {
        loader.override_global(symbol, value, true);
    }
    // Only an object with the feature `diag` has it.
    let diagnostics = diagnostic_level();
    loader.override_global("AYA_LOG_LEVEL", &diagnostics, false);
    let object = object::with_offsets(object::OBJECT, plan.constants)
        .map_err(|error| internal("writing offsets into the kernel half", error))?;
    let mut ebpf = loader
        .load(&object)
        .map_err(|error| internal("creating the maps of the kernel half", chain(&error)))?;
    let kernel = aya::Btf::from_sys_fs()
        .map_err(|error| internal("reading the kernel's type information", chain(&error)))?;
    let mut left_out = HashMap::new();
    for hook in HOOKS.iter().chain(ON_DEMAND) {
        if !plan.has(hook) {
            continue;
        }
        if let Err(error) = load_program(&mut ebpf, hook, &kernel) {
            let why = chain(&error);
            if !hook.presence.can_be_left_out() {
                return Err(refused(hook, "loading", &why));
            }
            left_out.insert(hook.program, why);
        }
    }
    Ok(Programs { ebpf, left_out })
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
        Attach::Security => <&mut Lsm>::try_from(program)?.load(hook.target, btf),
        Attach::Tracepoint => <&mut BtfTracePoint>::try_from(program)?.load(hook.target, btf),
        Attach::Function => <&mut FEntry>::try_from(program)?.load(hook.target, btf),
        Attach::CgroupDevice => <&mut CgroupDevice>::try_from(program)?.load(),
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, hook: &HookSpec) -> Result<&'a mut Program, ProgramError> {
    ebpf.program_mut(hook.program)
        .ok_or(ProgramError::NotLoaded)
}

impl Loaded for Programs {
    fn program_fd(&self, hook: &HookSpec) -> Result<OwnedFd, String> {
        let program = self.ebpf.program(hook.program);
        let program = program.ok_or(ProgramError::NotLoaded);
        let fd = program
            .and_then(Program::fd)
            .map_err(|error| chain(&error))?;
        fd.as_fd()
            .try_clone_to_owned()
            .map_err(|error| error.to_string())
    }

    fn attach(&mut self, hook: &HookSpec, pin: &Path) -> Result<(), String> {
        if let Some(why) = self.left_out.get(hook.program) {
            return Err(format!("its program does not load: {why}"));
        }
        if hook.attach == Attach::CgroupDevice {
            return attach_to_root(&mut self.ebpf, hook, pin).map_err(|error| chain(&error));
        }
        let link = attach(&mut self.ebpf, hook).map_err(|error| chain(&error))?;
        link.pin(pin)
            .map(drop)
            .map_err(|error| format!("pinning {}: {}", pin.display(), chain(&error)))
    }
}

/// aya's link of such a program cannot be pinned.
fn attach_to_root(ebpf: &mut Ebpf, hook: &HookSpec, pin: &Path) -> Result<(), ProgramError> {
    let program = <&mut CgroupDevice>::try_from(program(ebpf, hook)?)?;
    let program = program.fd()?;
    cgroup::attach(program.as_fd(), pin).map_err(ProgramError::IOError)
}

fn attach(ebpf: &mut Ebpf, hook: &HookSpec) -> Result<FdLink, ProgramError> {
    let program = program(ebpf, hook)?;
    Ok(match hook.attach {
        Attach::Security => {
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
        // See `attach_to_root`.
        Attach::CgroupDevice => return Err(ProgramError::NotAttached),
    })
}

/// An error with its causes; the verifier's log is in one of them.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
