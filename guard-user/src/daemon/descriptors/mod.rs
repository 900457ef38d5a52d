//! Descriptors that were opened for writing before that would have been refused: when the host was
//! idle, or the device was still free. The hooks see only opens, so these are looked for, told, and
//! closed off: while one lives, the kernel half judges each write by its file, whatever holds it
//! ([`crate::kernel::ON_DEMAND`]).
//!
//! A store to a shared mapping has no hook. A process that has one of a protected device is stopped.

mod rights;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use guard_abi::{Mode, TaskEntry};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Daemon, NOTICE, WARNING, log};
use crate::audit::log::Draft;
use crate::audit::names::printable;
use crate::audit::record::{Body, Descriptor};
use crate::audit::{enrich, time};
use crate::config::Mappings;
use crate::control::HeldOpen;
use crate::host::descriptors::{self, Found, Holder, Way};
use crate::kernel;
use crate::notify::Notifier;
use crate::state::HostState;
use rights::Rights;

/// An open is told before its descriptor is in the table.
const OPENED: Duration = Duration::from_millis(20);
/// What is gone after so long was passing by: `mount` holds the loop device that it sets up.
const PASSING: Duration = Duration::from_millis(400);
/// While something is found, it is looked for again at these intervals, and then at the last.
const AGAIN: [Duration; 5] = [
    PASSING,
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_mins(1),
];

/// After so many looks that found nothing there is nothing.
const CLEAN: u8 = 2;

/// What is known about such descriptors.
#[derive(Debug, Default)]
pub struct Descriptors {
    known: HashMap<Id, Known>,
    /// Looks since something was found or was gone last.
    quiet: usize,
    /// Looks in a row that found nothing, since there was a reason to look.
    clean: u8,
    /// The kernel half judges writes; `None` where that is not known.
    attached: Option<bool>,
}

/// A holder, and the start of its process: process ids are used again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Id {
    holder: Holder,
    start_ns: u64,
}

#[derive(Clone, Debug)]
struct Known {
    since: Instant,
    since_text: String,
    recorded: bool,
    stopped: bool,
}

impl Daemon {
    /// A device was opened while the host is idle: looked at in a moment.
    pub(super) fn descriptor_was_opened(&mut self) {
        self.look_for_descriptors_in(OPENED);
    }

    /// Looks once this piece of work is done.
    pub(super) fn look_for_descriptors_in(&mut self, wait: Duration) {
        self.descriptors.clean = 0;
        let then = Instant::now() + wait;
        let due = self.due.descriptors.get_or_insert(then);
        *due = (*due).min(then);
    }

    /// There is a reason to look, and to look once more a moment later: a descriptor may be handed
    /// on while it is looked for.
    pub(super) fn look_for_descriptors(&mut self) {
        self.descriptors.clean = 0;
        self.look_again_for_descriptors();
    }

    /// Looks for them, has the kernel half judge writes for as long as there are any, and tells
    /// what is new and what is gone.
    pub(super) fn look_again_for_descriptors(&mut self) {
        let (holders, doubt) = match self.find_descriptors() {
            Ok(Found {
                holders,
                unreadable: None,
            }) => (holders, None),
            Ok(Found {
                holders,
                unreadable: Some((pid, error)),
            }) => (
                holders,
                Some(format!(
                    "the descriptors of process {pid} cannot be read: {error}"
                )),
            ),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let now = Instant::now();
        let changed = self.note_descriptors(holders, doubt.is_some(), now);
        // What is opened under a grant is judged at each write as well: the grant's end is the end.
        let any =
            !self.descriptors.known.is_empty() || doubt.is_some() || self.overrides.any_runs();
        let seen = &mut self.descriptors;
        seen.quiet = if changed { 0 } else { seen.quiet + 1 }.min(AGAIN.len() - 1);
        seen.clean = if any { 0 } else { (seen.clean + 1).min(CLEAN) };
        let (quiet, clean) = (seen.quiet, seen.clean == CLEAN);
        let judged = match (any, clean) {
            (true, _) => self.judge_writes(true),
            (false, true) => self.judge_writes(false),
            (false, false) => Ok(()),
        };
        let problem = judged
            .err()
            .map(|error| format!("{error}; run: systemctl restart dbguard"));
        let failed = problem.is_some();
        self.set_health("descriptors", problem.or(doubt));
        self.stop_mappings();
        self.tell_descriptors(now);
        let next = if any || failed {
            Some(AGAIN[quiet])
        } else {
            (!clean).then_some(PASSING)
        };
        self.due.descriptors = next.map(|wait| now + wait);
    }

    fn find_descriptors(&self) -> kernel::Result<Found> {
        let tasks: HashMap<u32, TaskEntry> = self.guard.tasks()?.into_iter().collect();
        let rights = Rights {
            guard: &self.guard,
            majors: &self.surveyed.char_majors,
            dm_major: self.guard.policy()?.dm_major,
            names: self
                .surveyed
                .devices
                .iter()
                .map(|device| (&*device.name, device.key))
                .collect(),
            tasks,
        };
        Ok(descriptors::find(&self.roots, &rights))
    }

    /// Takes note of what was found. True where something is new or gone.
    fn note_descriptors(&mut self, holders: Vec<Holder>, in_doubt: bool, now: Instant) -> bool {
        let proc = &self.roots.proc;
        let found: HashSet<Id> = holders
            .into_iter()
            .filter_map(|holder| {
                let start_ns = enrich::start_ns(&proc.join(holder.pid.to_string()))?;
                Some(Id { holder, start_ns })
            })
            .collect();
        let mut changed = false;
        // A process that cannot be looked at holds what it held.
        let gone: Vec<Id> = self
            .descriptors
            .known
            .keys()
            .filter(|id| !in_doubt && !found.contains(*id))
            .cloned()
            .collect();
        for id in gone {
            changed = true;
            if let Some(known) = self.descriptors.known.remove(&id)
                && known.recorded
            {
                self.record_descriptor("gone", &id, &known);
            }
        }
        for id in found {
            self.descriptors.known.entry(id).or_insert_with(|| {
                changed = true;
                Known {
                    since: now,
                    since_text: time::rfc3339(time::wall_ns()),
                    recorded: false,
                    stopped: false,
                }
            });
        }
        changed
    }

    fn judge_writes(&mut self, wanted: bool) -> kernel::Result<()> {
        let attached = match self.descriptors.attached {
            Some(attached) => attached,
            None => self.guard.on_demand_is_attached()?,
        };
        self.descriptors.attached = None;
        match (attached, wanted) {
            (false, true) => self.guard.attach_on_demand()?,
            (true, false) => self.guard.detach_on_demand()?,
            _ => {}
        }
        self.descriptors.attached = Some(wanted);
        Ok(())
    }

    fn descriptors_matter(&self) -> bool {
        self.state.host != HostState::Idle
    }

    /// Stops processes with a mapping, where the configuration does not say otherwise.
    fn stop_mappings(&mut self) {
        if !self.descriptors_matter() {
            self.set_health("mappings", None);
            return;
        }
        let mapped: Vec<Id> = self
            .descriptors
            .known
            .keys()
            .filter(|id| matches!(id.holder.way, Way::Mapping(_)))
            .cloned()
            .collect();
        let may_stop = self.config.mode == Mode::Enforce && self.config.mappings == Mappings::Stop;
        let mut open = Vec::new();
        for id in mapped {
            let stopped = may_stop && stop(&id);
            if let Some(known) = self.descriptors.known.get_mut(&id) {
                let before = std::mem::replace(&mut known.stopped, stopped);
                if stopped && !before {
                    known.recorded = true;
                    let known = known.clone();
                    self.record_descriptor("stopped", &id, &known);
                }
            }
            let word = if stopped { "stopped" } else { "NOT stopped" };
            open.push(format!(
                "process {} has {} mapped for writing and was {word}",
                id.holder.pid,
                self.device_name(&id)
            ));
        }
        open.sort();
        let next =
            "stores to a mapping cannot be refused one by one; end the process: kill -KILL PID";
        self.set_health(
            "mappings",
            (!open.is_empty()).then(|| format!("{}; {next}", open.join(", "))),
        );
    }

    /// Records what has stayed.
    fn tell_descriptors(&mut self, now: Instant) {
        if !self.descriptors_matter() {
            return;
        }
        let fresh = |known: &Known| !known.recorded && now.duration_since(known.since) >= PASSING;
        let mut told: Vec<(Id, Known)> = Vec::new();
        for (id, known) in &mut self.descriptors.known {
            if fresh(known) {
                known.recorded = true;
                told.push((id.clone(), known.clone()));
            }
        }
        for (id, known) in told {
            self.record_descriptor("found", &id, &known);
        }
    }

    fn record_descriptor(&mut self, change: &str, id: &Id, known: &Known) {
        let held = self.held_open(id, known);
        let priority = if change == "gone" { NOTICE } else { WARNING };
        log(
            priority,
            &format!("{change}: {}", printable(&held.to_string())),
        );
        let body = Descriptor {
            change: change.to_owned(),
            held,
        };
        let stance = self.stance();
        let draft = Draft::now(stance, Body::Descriptor(body.clone()));
        match self.recorder.write(vec![draft], stance) {
            Some(records) if change == "stopped" => {
                let event = records.first().and_then(|record| record.event.as_deref());
                Notifier::tell_stopped(event.unwrap_or("-"), &body.held);
            }
            Some(_) => {}
            // It waits with the others until the log can be written.
            None => self.recorder.note(stance, Body::Descriptor(body)),
        }
        self.mind_the_log();
    }

    /// All of them, for a status: those that are not passing by.
    pub(super) fn descriptors_held(&self) -> Vec<HeldOpen> {
        if !self.descriptors_matter() {
            return Vec::new();
        }
        let shown = self
            .descriptors
            .known
            .iter()
            .filter(|(_, known)| known.recorded);
        let mut held: Vec<HeldOpen> = shown.map(|(id, known)| self.held_open(id, known)).collect();
        held.sort_by(|one, other| (one.pid, &one.how).cmp(&(other.pid, &other.how)));
        held
    }

    fn device_name(&self, id: &Id) -> String {
        match id.holder.device {
            None => "a device".to_owned(),
            Some(key) => self
                .surveyed
                .get(key)
                .map_or_else(|| enrich::dev_text(key.dev), |known| known.name.to_string()),
        }
    }

    fn held_open(&self, id: &Id, known: &Known) -> HeldOpen {
        let process = enrich::process_of(&self.sources, id.holder.pid, id.start_ns);
        HeldOpen {
            pid: id.holder.pid,
            comm: process.comm,
            exe: process.exe,
            argv: process.argv,
            user: process.user,
            login: process.login,
            tty: process.tty,
            unit: process.unit,
            container: process.container,
            how: how(&id.holder),
            device: id.holder.device.map(|_| self.device_name(id)),
            dev: id.holder.device.map(|key| enrich::dev_text(key.dev)),
            since: known.since_text.clone(),
            closed: !matches!(id.holder.way, Way::Mapping(_))
                && self.descriptors.attached == Some(true),
            stopped: known.stopped,
        }
    }
}

/// Stops a process. False where it is process 1, has ended, or cannot be stopped.
fn stop(id: &Id) -> bool {
    if id.holder.pid <= 1 {
        return false;
    }
    let Some(pid) = id.holder.pid.try_into().ok().and_then(Pid::from_raw) else {
        return false;
    };
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return false;
    };
    // The descriptor is of a process that lives now; the start tells whether it is the one.
    let same = enrich::start_ns(std::path::Path::new(&format!("/proc/{}", id.holder.pid)))
        == Some(id.start_ns);
    same && pidfd_send_signal(process, Signal::STOP).is_ok()
}

/// How it is held, in words.
fn how(holder: &Holder) -> String {
    let thread = if holder.tid == holder.pid {
        String::new()
    } else {
        format!(" of thread {}", holder.tid)
    };
    match holder.way {
        Way::Descriptor(fd) => format!("descriptor {fd}{thread}"),
        Way::Mapping(start) => format!("shared mapping at {start:#x}"),
        Way::ReadMapping(start) => format!("shared mapping at {start:#x}, for reading so far"),
        Way::InFlight(fd) => format!("descriptors that wait in socket {fd}{thread}"),
        Way::Registered(Some(fd), Some(slot)) => format!("file {slot} of io_uring {fd}{thread}"),
        Way::Registered(Some(fd), None) => format!("files of io_uring {fd}{thread}"),
        Way::Registered(None, _) => "files of an io_uring whose descriptor is closed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_has_its_words() {
        let holder = |tid, way| Holder {
            pid: 7,
            tid,
            way,
            device: None,
        };
        assert_eq!(how(&holder(7, Way::Descriptor(3))), "descriptor 3");
        assert_eq!(
            how(&holder(9, Way::Descriptor(3))),
            "descriptor 3 of thread 9"
        );
        assert_eq!(
            how(&holder(7, Way::Mapping(0x7f00))),
            "shared mapping at 0x7f00"
        );
        assert_eq!(
            how(&holder(7, Way::Registered(Some(4), Some(0)))),
            "file 0 of io_uring 4"
        );
    }
}
