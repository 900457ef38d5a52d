//! `mark` and `release`: the two verbs that change what is guarded. Both are root's, and nothing is
//! done that could not be recorded first.

use std::path::Path;

use guard_abi::{ArmWord, Engine, Policy, TaskEntry};

use super::start::{confirm_host, node_name};
use super::survey::block_device;
use super::{Daemon, NOTICE, log};
use crate::audit::log::Draft;
use crate::audit::record::{Actor, Body, Mark, Release};
use crate::control::{Answer, MarkTarget};
use crate::host;
use crate::kernel;
use crate::state::{HostState, Marks};
use crate::sysexits::{CONFIG, INTERNAL, NO_INPUT, TRY_AGAIN, USAGE};
use crate::topology::{DeviceIdentity, Memory, Scope, Why};

fn refused(exit: u8, message: impl Into<String>) -> Answer {
    Answer::Refused {
        exit,
        message: message.into(),
    }
}

fn failed(error: &kernel::GuardError) -> Answer {
    refused(INTERNAL, error.to_string())
}

impl Daemon {
    /// Records before acting; why nothing may be done where that is not possible.
    pub(super) fn record_first(&mut self, body: Body) -> Result<(), String> {
        let stance = self.stance();
        let written = self.recorder.write_first(Draft::now(stance, body), stance);
        self.mind_the_log();
        written
    }

    pub(super) fn release(&mut self, device: Option<&str>, confirmed: &str, by: Actor) -> Answer {
        let refusal = self.why_not_release(device, confirmed);
        let forgotten = match device {
            _ if refusal.is_some() => Vec::new(),
            Some(device) => self.remembered_as(device),
            None => self.state.memory.remembered.clone(),
        };
        let record = Body::Release(Release {
            by,
            device: device.map(str::to_owned),
            forgotten: forgotten.iter().map(describe).collect(),
            refused: refusal.as_ref().map(|(_, why)| why.clone()),
        });
        if let Err(why) = self.record_first(record) {
            return refused(TRY_AGAIN, why);
        }
        if let Some((exit, why)) = refusal {
            log(NOTICE, &format!("release refused: {why}"));
            return refused(exit, why);
        }
        match device {
            Some(device) => self.forget(device, &forgotten),
            None => self.release_host(),
        }
    }

    pub(super) fn apply_config(&mut self, confirmed: &str, by: Actor) -> Answer {
        if let Err(why) = confirm_host(confirmed, "the configuration was not applied") {
            return refused(USAGE, why);
        }
        match self.reload(Some(by)) {
            Ok(()) => Answer::Done(format!(
                "the configuration is in force: mode {}",
                self.config.mode.as_str()
            )),
            Err(why) => refused(CONFIG, why),
        }
    }

    fn why_not_release(&mut self, device: Option<&str>, confirmed: &str) -> Option<(u8, String)> {
        if let Err(why) = confirm_host(confirmed, "nothing was released") {
            return Some((USAGE, why));
        }
        // Who lives is looked up, not remembered.
        self.refresh_processes("a release was asked for");
        match device {
            Some(device) => self.why_not_forget(device),
            None => self.why_not_idle(),
        }
    }

    fn why_not_idle(&self) -> Option<(u8, String)> {
        if self.state.host != HostState::Armed {
            return None;
        }
        let living: Vec<String> = self
            .databases()
            .iter()
            .map(|database| format!("{} {}", database.name, database.pid))
            .collect();
        let who = if living.is_empty() {
            "a database".to_owned()
        } else {
            living.join(", ")
        };
        Some((
            TRY_AGAIN,
            format!("{who} lives on this host; stop it first, then release"),
        ))
    }

    fn why_not_forget(&self, device: &str) -> Option<(u8, String)> {
        let forgotten = self.remembered_as(device);
        if forgotten.is_empty() && !self.is_marked(device) {
            return Some((
                NO_INPUT,
                format!("{device} is not a remembered device; `dbguard devices` shows which are"),
            ));
        }
        let live = self.surveyed.devices.iter().find_map(|known| {
            let identity = known.identity.as_deref()?;
            let remembered = forgotten.iter().any(|old| old.same_device(identity));
            let reason = known.why.iter().find(|why| is_live(why))?;
            remembered.then(|| reason.to_string())
        });
        live.map(|reason| {
            (
                TRY_AGAIN,
                format!("{device} {reason}; stop the database first"),
            )
        })
    }

    fn is_marked(&self, device: &str) -> bool {
        let marks = &self.state.marks;
        marks
            .devices
            .iter()
            .chain(&marks.data)
            .any(|marked| means(device, marked))
    }

    /// What a person means by a path, a name, a WWID or a serial number.
    fn remembered_as(&self, device: &str) -> Vec<DeviceIdentity> {
        let identity = |dev| self.current_inventory().ok()?.identity(dev, Scope::Content);
        let present = block_device(Path::new(device)).and_then(identity);
        self.state.memory.meant_by(device, present.as_ref())
    }

    fn forget(&mut self, device: &str, forgotten: &[DeviceIdentity]) -> Answer {
        self.state
            .memory
            .remembered
            .retain(|identity| !forgotten.contains(identity));
        self.state
            .marks
            .devices
            .retain(|marked| !means(device, marked));
        self.state
            .marks
            .data
            .retain(|marked| !means(device, marked));
        self.save_state();
        self.survey("a device was released");
        self.settle("a device was released");
        log(NOTICE, &format!("{device} was released"));
        Answer::Done(format!("{device} is no longer remembered"))
    }

    fn release_host(&mut self) -> Answer {
        match self.try_release_host() {
            Ok(HostState::Idle) => Answer::Done(format!("{} is released: idle", node_name())),
            Ok(_) => refused(
                TRY_AGAIN,
                "a database was started meanwhile; the host stays armed",
            ),
            Err(error) => failed(&error),
        }
    }

    fn try_release_host(&mut self) -> kernel::Result<HostState> {
        // Read before the last look at who lives: a server that starts after this raises it, and
        // the kernel half goes on refusing whatever is written here.
        let released_gen = self.guard.arm_word(ArmWord::ArmGen)?;
        let tasks = self.guard.tasks()?;
        if tasks
            .iter()
            .any(|(pid, entry)| entry.engine != 0 && self.is_alive(*pid, entry))
        {
            return Ok(HostState::Armed);
        }
        self.state.memory = Memory::default();
        self.state.data_seen = false;
        self.state.memory_lost = false;
        let executables = std::mem::take(&mut self.state.marks.executables);
        self.state.marks = Marks {
            executables,
            ..Marks::default()
        };
        let policy = Policy {
            released_gen,
            ..self.guard.policy()?
        };
        self.guard.set_policy(&policy)?;
        self.set_health("state-lost", None);
        if self.guard.is_enforcing()? {
            self.refresh_processes("a database was started during a release");
            return Ok(self.state.host);
        }
        self.change_state(HostState::Idle, "released");
        self.save_state();
        self.survey("released");
        Ok(self.state.host)
    }

    pub(super) fn mark(&mut self, target: &MarkTarget, by: Actor) -> Answer {
        let (what, object) = match target {
            MarkTarget::Pid(pid) => ("pid", pid.to_string()),
            MarkTarget::Data(path) => ("data", path.display().to_string()),
            MarkTarget::Device(path) => ("device", path.display().to_string()),
            MarkTarget::Exe(path) => ("exe", path.display().to_string()),
        };
        if let Some(why) = self.why_not_mark(target) {
            return refused(NO_INPUT, why);
        }
        let record = Mark {
            by,
            what: what.to_owned(),
            object: object.clone(),
        };
        if let Err(why) = self.record_first(Body::Mark(record)) {
            return refused(TRY_AGAIN, why);
        }
        match self.try_mark(target) {
            Ok(()) => {
                log(NOTICE, &format!("marked {what} {object}"));
                let state = self.state.host.as_str();
                Answer::Done(format!(
                    "{what} {object} is marked as critical; the host is {state}"
                ))
            }
            Err(error) => failed(&error),
        }
    }

    fn why_not_mark(&self, target: &MarkTarget) -> Option<String> {
        match target {
            MarkTarget::Pid(pid) if !self.roots.proc.join(pid.to_string()).is_dir() => {
                Some(format!("there is no process {pid}"))
            }
            MarkTarget::Pid(pid) if *pid <= 2 => Some(format!("process {pid} is no database")),
            MarkTarget::Data(path) if !path.is_dir() => {
                Some(format!("{} is not a directory", path.display()))
            }
            MarkTarget::Device(path) if block_device(path).is_none() => {
                Some(format!("{} is not a block device", path.display()))
            }
            MarkTarget::Exe(path) if !path.is_file() => {
                Some(format!("{} is not a file", path.display()))
            }
            _ => None,
        }
    }

    fn try_mark(&mut self, target: &MarkTarget) -> kernel::Result<()> {
        match target {
            MarkTarget::Pid(pid) => {
                let name = std::fs::read_to_string(self.roots.proc.join(format!("{pid}/comm")))
                    .unwrap_or_default();
                let engine = self.engines.by_name(name.trim()).unwrap_or(Engine::Custom);
                let tracked = self.guard.tasks()?;
                let known = tracked.iter().find(|(tracked, _)| tracked == pid);
                let entry = known.map(|(_, entry)| *entry).unwrap_or_default();
                // Held before tracked: there is no moment at which it counts and is not guarded.
                self.hold()?;
                self.guard.track_task(
                    *pid,
                    TaskEntry {
                        engine: engine as u32,
                        ..entry
                    },
                )?;
                if let Some(process) = host::inspect(&self.roots, *pid, engine) {
                    self.state.data_seen |= super::life::may_have_data(&process);
                }
            }
            MarkTarget::Data(path) => self.mark_data(|marks| &mut marks.data, path)?,
            MarkTarget::Device(path) => self.mark_data(|marks| &mut marks.devices, path)?,
            MarkTarget::Exe(path) => {
                add(&mut self.state.marks.executables, path);
                self.save_state();
                self.build_tables();
                self.set_executables();
                if self.track_running()? > 0 {
                    self.hold()?;
                }
            }
        }
        self.refresh_processes("marked by hand");
        Ok(())
    }

    fn mark_data(
        &mut self,
        list: fn(&mut Marks) -> &mut Vec<std::path::PathBuf>,
        path: &Path,
    ) -> kernel::Result<()> {
        add(list(&mut self.state.marks), path);
        self.state.data_seen = true;
        self.save_state();
        self.hold()
    }
}

/// A database that runs now.
fn is_live(why: &Why) -> bool {
    matches!(
        why,
        Why::Data { pid: Some(_), .. } | Why::RawData { pid: Some(_), .. }
    )
}

/// True where a person who says `typed` means what was marked: the same path, or another path to
/// the same device.
fn means(typed: &str, marked: &Path) -> bool {
    let typed = Path::new(typed);
    typed == marked
        || block_device(typed).is_some_and(|device| block_device(marked) == Some(device))
}

fn add(list: &mut Vec<std::path::PathBuf>, path: &Path) {
    if !list.iter().any(|known| known == path) {
        list.push(path.to_owned());
    }
}

fn describe(identity: &DeviceIdentity) -> String {
    let id = [
        &identity.wwid,
        &identity.serial,
        &identity.stack_uuid,
        &identity.partuuid,
    ]
    .into_iter()
    .find_map(Option::as_deref)
    .unwrap_or("no identifier");
    format!("{} ({id}): {}", identity.name, identity.why)
}
