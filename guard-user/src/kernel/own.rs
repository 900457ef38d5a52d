//! What of the kernel half is the guard's own, told to the kernel half itself: its maps and links
//! by their numbers, its program by the identity of the file, its processes by theirs.
//!
//! A process has the grant `GUARD` because the file that it executes has it (`TOOLS`), so that the
//! controller of an armed host can end and start again. The first of all controllers is there
//! before anything is loaded: the loader speaks for it, before the first program is attached.

use std::os::fd::AsFd;
use std::path::Path;

use guard_abi::{BpfObject, BpfObjectKind, TaskEntry, ToolRule, maps as names, own, tool_grant};
use rustix::mount::{OpenTreeFlags, open_tree};

use super::guard::Guard;
use super::maps::Maps;
use super::problem::{GuardError, Problem, ProblemKind, Result, StartError};
use super::sync::{Order, replace};
use super::{bpf, pin};
use crate::host::{exe_id, own_program};
use crate::topology::{MountTable, Roots};

/// Before the first program is attached: whoever loads, and on whose behalf, may go on afterwards.
pub(super) fn introduce() -> Result<()> {
    let maps = Maps::open()?;
    tell_objects(&maps, &[])?;
    let mounts = MountTable::read(&Roots::host(), "self").unwrap_or_default();
    let program =
        exe_id(&mounts, Path::new("/proc/self/exe")).map_err(|source| GuardError::Io {
            what: "looking at the program itself".to_owned(),
            source,
        })?;
    let rule = ToolRule {
        tool: 0,
        grants: tool_grant::GUARD,
        verb_source: guard_abi::verb_source::NONE,
    };
    maps.tools.set(&program, &rule)?;
    let task = TaskEntry {
        grants: tool_grant::GUARD,
        ..TaskEntry::default()
    };
    for pid in [Some(std::process::id()), parent()].into_iter().flatten() {
        maps.tasks.set(&pid, &task)?;
    }
    Ok(())
}

/// The process that has the loader do its work. A loader that was started from a shell speaks for
/// itself alone.
fn parent() -> Option<u32> {
    let pid = std::os::unix::process::parent_id();
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    (program == std::fs::read_link("/proc/self/exe").ok()?).then_some(pid)
}

/// A set of links that is about to bear its name.
pub(super) fn introduce_links(set: &Path) -> Result<()> {
    let maps = Maps::open()?;
    for (object, whose) in links_of(set)? {
        maps.own_objects.set(&object, &whose)?;
    }
    Ok(())
}

impl Guard {
    /// Makes this process the controller, and what is pinned the guard's own.
    pub(super) fn claim(&mut self) -> std::result::Result<(), StartError> {
        self.try_claim().map_err(|error| match &error {
            GuardError::Access { source, .. }
                if source.raw_os_error() == Some(libc::EPERM) =>
            {
                Problem::fatal(
                    ProblemKind::NotPermitted,
                    "taking over the loaded guard",
                    format!(
                        "{} is not the program that guards this host, and the host is armed or held",
                        own_program().display()
                    ),
                    "start the installed one with `systemctl start dbguard`; replace that one with the package manager",
                )
            }
            _ => Problem::fatal(
                ProblemKind::Internal,
                "taking over the loaded guard",
                error,
                "look at `dmesg`",
            ),
        })
    }

    fn try_claim(&mut self) -> Result<()> {
        let task = TaskEntry {
            grants: tool_grant::GUARD | tool_grant::CONTROLLER,
            ..TaskEntry::default()
        };
        self.maps.tasks.set(&std::process::id(), &task)?;
        self.set_file_names()?;
        let mut links = Vec::new();
        let io = |source| GuardError::Io {
            what: format!("looking at {}", pin::link_sets().display()),
            source,
        };
        for set in pin::complete_sets().map_err(io)? {
            links.extend(links_of(&set)?);
        }
        tell_objects(&self.maps, &links)?;
        // A copy of the mount that no path leads to: as long as it is there, pins outlive an
        // unmount of the other. Older kernels and containers may refuse; the pins are then as safe
        // as `sb_umount` makes them.
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        self.second_mount = open_tree(rustix::fs::CWD, pin::BPFFS, flags).ok();
        Ok(())
    }
}

/// Every map, and these links; what is there no longer is forgotten.
fn tell_objects(maps: &Maps, links: &[(BpfObject, u32)]) -> Result<()> {
    let mut wanted = Vec::new();
    let sections = names::SECTIONS.iter().map(|(_, name)| name);
    for name in names::PINNED.iter().chain(sections) {
        let path = pin::map(name);
        let info = bpf::open_pinned(&path).and_then(|fd| bpf::map_info(fd.as_fd()));
        let info = info.map_err(|source| GuardError::Open {
            name,
            path: path.display().to_string(),
            source,
        })?;
        let whose = if *name == names::CANARY {
            own::CANARY
        } else {
            own::GUARD
        };
        wanted.push((BpfObject::new(BpfObjectKind::Map, info.id), whose));
    }
    wanted.extend_from_slice(links);
    replace(&maps.own_objects, &wanted, Order::AddFirst)
}

fn links_of(set: &Path) -> Result<Vec<(BpfObject, u32)>> {
    let ids = || -> std::io::Result<Vec<u32>> {
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(set)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                let link = bpf::open_pinned(&entry.path())?;
                ids.push(bpf::link_id(link.as_fd())?);
            }
        }
        Ok(ids)
    };
    let ids = ids().map_err(|source| GuardError::Io {
        what: format!("looking at the links in {}", set.display()),
        source,
    })?;
    let link = |id| (BpfObject::new(BpfObjectKind::Link, id), own::GUARD);
    Ok(ids.into_iter().map(link).collect())
}
