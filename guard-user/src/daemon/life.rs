//! Critical processes, and the state of the host that follows from them.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use guard_abi::{
    ArmWord, Engine, LifecycleEvent, LifecycleKind, Policy, RELEASED_NEVER, TaskEntry,
};

use super::{Daemon, NOTICE, WARNING, log};
use crate::audit::enrich;
use crate::audit::record::{Body, Change, Database};
use crate::host::{self, CriticalProcess};
use crate::kernel;
use crate::state::{self, HostState};

/// A server opens its files some time after its start; it is looked at again after these times.
const LOOK_AGAIN: [Duration; 5] = [
    Duration::from_millis(300),
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(5),
];
/// After something was made where servers name their data: it has been written by then.
const DATA_WAIT: Duration = Duration::from_secs(2);
/// Once more: a directory that is made anew is watched a moment after it is there. And how often, where
/// nothing can be watched.
const NEW_DATA: Duration = Duration::from_secs(30);
/// Where packages keep data: a server that has ended before it could be looked at may have used it.
const USUAL_DATA: [&str; 4] = [
    "/var/lib/mysql",
    "/var/lib/postgresql",
    "/var/lib/pgsql",
    "/var/lib/mysql-files",
];

/// A server that lived no longer than this has not served.
const A_MOMENT_NS: u64 = 1_000_000_000;

/// The data directories and raw devices of a process, as text.
pub fn data_of(process: &CriticalProcess) -> Vec<String> {
    let directories = process
        .data_dirs
        .iter()
        .map(|dir| dir.path.display().to_string());
    let raw = process
        .raw_devices
        .iter()
        .map(|dev| format!("block device {}", enrich::dev_text(*dev)));
    directories.chain(raw).collect()
}

/// True where a process has data, or nobody can tell that it has none: where the data of a server
/// lies that an operator has named is not known.
pub fn may_have_data(process: &CriticalProcess) -> bool {
    process.engine == Engine::Custom || !data_of(process).is_empty()
}

/// Where servers name directories that their data lies in beside the data directory.
#[derive(Debug, Default)]
pub(super) struct DataWatch {
    /// To be watched from now on.
    pub(super) directories: Vec<PathBuf>,
    /// One of them cannot be: they are looked through from time to time.
    fails: bool,
    /// They will be looked through because of what was made there, and once more after that.
    again: bool,
}

impl Daemon {
    /// After starts and ends: who lives, what it uses, what state that makes.
    pub(super) fn follow_lifecycle(&mut self, events: &[LifecycleEvent]) {
        let started = |event: &&LifecycleEvent| event.kind == LifecycleKind::Started as u8;
        let now = Instant::now();
        if events.iter().any(|event| started(&event)) {
            self.due.inspect = LOOK_AGAIN.iter().map(|after| now + *after).collect();
        }
        let known: HashSet<u32> = self.processes.iter().map(|process| process.pid).collect();
        self.refresh_processes("a critical process was started or ended");
        let seen =
            |pid| known.contains(&pid) || self.processes.iter().any(|process| process.pid == pid);
        let unseen: Vec<&LifecycleEvent> = events.iter().filter(|event| !seen(event.pid)).collect();
        if !self.state.data_seen && may_have_had_data(&unseen, Path::new("/")) {
            self.state.data_seen = true;
            self.save_state();
            self.settle("a database server ran before it could be looked at");
        }
    }

    /// Looks at all critical processes again.
    pub(super) fn refresh_processes(&mut self, why: &str) {
        match self.living() {
            Ok(processes) => {
                self.processes = processes;
                self.set_health("processes", None);
            }
            Err(error) => self.set_health("processes", Some(error.to_string())),
        }
        self.watch_for_new_data();
        self.state.data_seen |= self.processes.iter().any(may_have_data);
        // The state file first: whatever dies now, the host comes up held.
        self.settle(why);
        self.survey(why);
        // Whoever marks something or starts a server does not wait for what it depends on.
        if self.due.places.take().is_some() {
            self.set_places();
        }
    }

    /// Servers that use other directories than before: a tablespace made while they run.
    pub(super) fn look_for_new_data(&mut self) {
        let Ok(living) = self.living() else {
            // It is said in the health record at the next start or end of a server.
            self.watch_for_new_data();
            return;
        };
        let is_same = living.len() == self.processes.len()
            && std::iter::zip(&living, &self.processes).all(|(now, then)| now.has_same_data(then));
        if !is_same {
            self.refresh_processes("a server's data is elsewhere than before");
            return;
        }
        // What is merely open counts when something else has changed; a new database's directory is
        // watched from now on.
        for (known, now) in std::iter::zip(&mut self.processes, living) {
            known.names_data_in = now.names_data_in;
        }
        self.watch_for_new_data();
    }

    /// Servers tell where else their data is by what they put into directories that are watched.
    fn watch_for_new_data(&mut self) {
        let servers = self.processes.iter();
        self.data_watch.directories = servers
            .flat_map(|process| process.names_data_in.iter().cloned())
            .collect();
        let once_more = std::mem::take(&mut self.data_watch.again);
        let is_due = once_more || (self.data_watch.fails && !self.processes.is_empty());
        self.due.data = is_due.then(|| Instant::now() + NEW_DATA);
    }

    /// Mounts changed. Of a server that is not known to name its data anywhere, its open files are
    /// looked at then, and whenever the canary is attacked.
    pub(super) fn silent_servers_may_have_moved(&mut self) {
        let is_silent = |process: &CriticalProcess| process.names_data_in.is_empty();
        if self.processes.iter().any(is_silent) {
            self.data_may_have_grown();
        }
    }

    /// Nothing will be heard of one of the directories.
    pub(super) fn data_cannot_be_watched(&mut self) {
        self.data_watch.fails = true;
        self.due.data.get_or_insert(Instant::now() + NEW_DATA);
    }

    /// Something was made where servers name their data.
    pub(super) fn data_may_have_grown(&mut self) {
        self.data_watch.again = true;
        let soon = Instant::now() + DATA_WAIT;
        let due = self.due.data.map_or(soon, |due| due.min(soon));
        self.due.data = Some(due);
    }

    /// Critical processes that live, workers left out. Entries of dead ones are thrown away.
    fn living(&self) -> kernel::Result<Vec<CriticalProcess>> {
        let mut processes = Vec::new();
        for (pid, entry) in self.guard.tasks()? {
            if entry.engine == 0 {
                continue;
            }
            if !self.is_alive(pid, &entry) {
                self.guard.forget_task(pid)?;
                continue;
            }
            let engine = u8::try_from(entry.engine).ok().and_then(Engine::from_u8);
            processes.extend(host::inspect(
                &self.roots,
                pid,
                engine.unwrap_or(Engine::Custom),
            ));
        }
        let pids: HashSet<u32> = processes.iter().map(|process| process.pid).collect();
        processes.retain(|process| {
            process
                .worker_of
                .is_none_or(|parent| !pids.contains(&parent))
        });
        processes.sort_by_key(|process| process.pid);
        Ok(processes)
    }

    /// True where the process of an entry is still there, and still the same.
    pub(super) fn is_alive(&self, pid: u32, entry: &TaskEntry) -> bool {
        const TICK: u64 = 10_000_000;
        let directory = self.roots.proc.join(pid.to_string());
        match enrich::start_ns(&directory) {
            Some(start) => {
                entry.start_boot_ns == 0 || start.abs_diff(entry.start_boot_ns) <= 2 * TICK
            }
            None => false,
        }
    }

    /// Any critical process, workers included.
    fn any_living(&self) -> kernel::Result<bool> {
        let tasks = self.guard.tasks()?;
        Ok(tasks
            .iter()
            .any(|(pid, entry)| entry.engine != 0 && self.is_alive(*pid, entry)))
    }

    /// Derives the host's state, and makes the kernel half and the state file agree with it.
    pub(super) fn settle(&mut self, why: &str) {
        match self.derive() {
            Ok(state) => {
                self.set_health("state", None);
                self.change_state(state, why);
            }
            Err(error) => self.set_health("state", Some(error.to_string())),
        }
    }

    fn derive(&mut self) -> kernel::Result<HostState> {
        // Read first: a server that is started after this raises it again.
        let generation = self.guard.arm_word(ArmWord::ArmGen)?;
        let living = self.any_living()?;
        if living {
            if !self.guard.is_enforcing()? {
                log(
                    WARNING,
                    "a critical process lives on a released host; holding it",
                );
                self.hold()?;
            }
            return Ok(HostState::Armed);
        }
        if !self.guard.is_enforcing()? {
            return Ok(HostState::Idle);
        }
        let nothing_to_hold = !self.state.data_seen
            && !self.state.memory_lost
            && self.state.memory.remembered.is_empty()
            && self.state.marks.hold_nothing();
        if nothing_to_hold && self.state.host != HostState::Held {
            let policy = Policy {
                released_gen: generation,
                ..self.guard.policy()?
            };
            self.guard.set_policy(&policy)?;
            if !self.guard.is_enforcing()? {
                return Ok(HostState::Idle);
            }
        }
        Ok(HostState::Held)
    }

    /// Makes the kernel half refuse until a release says otherwise.
    pub(super) fn hold(&self) -> kernel::Result<()> {
        let policy = Policy {
            released_gen: RELEASED_NEVER,
            ..self.guard.policy()?
        };
        self.guard.set_policy(&policy)
    }

    /// Takes note of a state, if it is another one.
    pub(super) fn change_state(&mut self, to: HostState, why: &str) {
        let from = self.state.host;
        if from == to {
            return;
        }
        self.state.host = to;
        self.save_state();
        // Those that were harmless are not any more, or the other way round.
        self.look_for_descriptors_in(Duration::ZERO);
        let why = match to {
            HostState::Idle if from == HostState::Armed => {
                format!("{why}; it never had data, so there is nothing to hold")
            }
            _ => why.to_owned(),
        };
        log(
            NOTICE,
            &format!("{} -> {}: {why}", from.as_str(), to.as_str()),
        );
        self.note(Body::State(Change {
            from: from.as_str().to_owned(),
            to: to.as_str().to_owned(),
            why,
        }));
    }

    /// Writes the state file.
    pub(super) fn save_state(&mut self) {
        let problem = state::save(&self.state_path, &self.state).err().map(|error| {
            format!(
                "{}: {error}; the host might not come up held after a reboot: make room or mend the file system",
                self.state_path.display()
            )
        });
        self.set_health("state-file", problem);
    }

    /// The critical processes as records and status tell them.
    pub(super) fn databases(&self) -> Vec<Database> {
        self.processes
            .iter()
            .map(|process| Database {
                engine: process.engine.as_str().to_owned(),
                pid: process.pid,
                name: process.name.clone(),
                data: data_of(process),
                role: "unknown".to_owned(),
            })
            .collect()
    }
}

/// Servers that were gone before anybody looked: whether to assume that they used data. One that
/// lived for a moment only (asked for its help, or wrongly configured) did so if there is data
/// where packages keep it; one that lived longer, or whose start nobody saw, is assumed to.
fn may_have_had_data(unseen: &[&LifecycleEvent], root: &Path) -> bool {
    let is = |event: &LifecycleEvent, kind: LifecycleKind| event.kind == kind as u8;
    let lived_long = |end: &LifecycleEvent| {
        let start = unseen
            .iter()
            .rev()
            .find(|event| is(event, LifecycleKind::Started) && event.pid == end.pid);
        start.is_none_or(|start| end.boot_ns.saturating_sub(start.boot_ns) > A_MOMENT_NS)
    };
    let ended = |event: &&&LifecycleEvent| is(event, LifecycleKind::Ended);
    !unseen.is_empty()
        && (usual_data_exists(root) || unseen.iter().filter(ended).any(|end| lived_long(end)))
}

fn usual_data_exists(root: &Path) -> bool {
    USUAL_DATA.iter().any(|directory| {
        let directory = root.join(directory.trim_start_matches('/'));
        fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: LifecycleKind, pid: u32, boot_ns: u64) -> LifecycleEvent {
        LifecycleEvent {
            boot_ns,
            arm_gen: 1,
            pid,
            kind: kind as u8,
            engine: 1,
            reserved: 0,
            comm: [0; 16],
        }
    }

    #[test]
    fn servers_nobody_saw() {
        let root = tempfile::tempdir().expect("a directory");
        let start = event(LifecycleKind::Started, 7, 1_000);
        let soon = event(LifecycleKind::Ended, 7, 1_000 + A_MOMENT_NS);
        let late = event(LifecycleKind::Ended, 7, 1_001 + A_MOMENT_NS);
        assert!(!may_have_had_data(&[], root.path()));
        assert!(!may_have_had_data(&[&start, &soon], root.path()));
        assert!(may_have_had_data(&[&start, &late], root.path()));
        assert!(
            may_have_had_data(&[&soon], root.path()),
            "its start was not seen"
        );
        fs::create_dir_all(root.path().join("var/lib/pgsql/data")).expect("made");
        assert!(may_have_had_data(&[&start, &soon], root.path()));
    }

    #[test]
    fn data_that_is_there_counts() {
        let root = tempfile::tempdir().expect("a directory");
        assert!(!usual_data_exists(root.path()));
        fs::create_dir_all(root.path().join("var/lib/mysql")).expect("made");
        assert!(!usual_data_exists(root.path()));
        fs::write(root.path().join("var/lib/mysql/ibdata1"), b"").expect("written");
        assert!(usual_data_exists(root.path()));
    }
}
