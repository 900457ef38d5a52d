//! The controller: knows the host, tells the kernel half, writes the log.
//!
//! ```text
//! start    probe → load or take over → hold if held → processes → devices → READY
//! events   one loop; nothing wakes it but the kernel, a client, a signal
//! ring     kernel events → records → terminals
//! settings configuration → tables of servers and tools, mode
//! proof    attacks on the canary, links
//! life     critical processes → idle, armed, held
//! survey   devices and their uses → the kernel half's maps
//! serve    the control socket
//! orders   mark and release
//! descriptors  what was opened for writing before that would have been refused
//! ```
//! Ending the controller changes nothing about what is refused.

mod actor;
mod announce;
mod descriptors;
mod events;
mod health;
mod life;
mod lock;
mod object;
mod orders;
mod overrides;
mod pace;
mod proof;
mod recorder;
mod ring;
mod sd;
mod serve;
mod settings;
mod socket;
mod start;
mod survey;
mod uevent;
pub mod unload;
mod watch;

use std::path::PathBuf;
use std::time::Instant;

use guard_abi::{DenialEvent, LifecycleEvent};

use crate::audit::enrich::Sources;
use crate::audit::log::Stance;
use crate::config::Config;
use crate::host::{CriticalProcess, EngineTable, ToolTable};
use crate::kernel::{EventRing, Guard, LoadReport, SelfTest};
use crate::notify::Notifier;
use crate::state::State;
use crate::topology::{Changes, Classification, Inventory, Roots};

use health::Health;
use pace::Pace;
use recorder::Recorder;

/// Why the controller ended, for the command line.
#[derive(Debug)]
pub struct End {
    /// Exit code.
    pub exit: u8,
    /// What failed, on what, what to do next.
    pub message: String,
}

/// Runs until told to end.
pub fn run() -> Result<(), End> {
    let _lock = lock::take()?;
    map_large_memory();
    let config = start::read_config()?;
    let notify = sd::Notify::from_environment().map_err(|error| End {
        exit: 70,
        message: format!("NOTIFY_SOCKET: {error}"),
    })?;
    let mut daemon = start::bring_up(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| End {
            exit: 70,
            message: format!("starting the event loop: {error}"),
        })?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, events::run(&mut daemon, &notify))
}

/// A line for the journal; systemd reads the priority from `<N>` (sd-daemon(3)).
fn log(priority: u8, message: &str) {
    use std::io::Write;
    // Nobody to tell where standard error is closed.
    let _ = writeln!(std::io::stderr(), "<{priority}>{message}");
}

/// Gives memory back that a large piece of work has used: the allocator keeps it for the next one,
/// which may be days away.
fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) touches only memory that the allocator knows to be free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has each large piece of memory mapped by itself, so that it goes back when it is freed. By itself the
/// allocator maps fewer and fewer of them, the larger those are that were freed (mallopt(3), "dynamic
/// mmap threshold"), and a survey of thousands of devices would leave holes behind it for good.
fn map_large_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) sets a number of the allocator's; no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
    }
}

const WARNING: u8 = 4;
const NOTICE: u8 = 5;
const INFO: u8 = 6;

/// Everything the controller knows.
struct Daemon {
    roots: Roots,
    sources: Sources,
    guard: Guard,
    report: LoadReport,
    config: Config,
    engines: EngineTable,
    tools: ToolTable,
    state: State,
    state_path: PathBuf,
    recorder: Recorder,
    health: Health,
    denials: EventRing<DenialEvent>,
    lifecycle: EventRing<LifecycleEvent>,
    /// The ring of refusals was not empty when it was looked at last.
    more_denials: bool,
    processes: Vec<CriticalProcess>,
    surveyed: Classification,
    /// The places as they were told to the kernel half last.
    places: Option<crate::places::Places>,
    /// What the kernel half had added by then, see [`kernel::Guard::set_places`].
    additions: Option<u64>,
    /// Those of them that are files on disk, as they were found last.
    places_on_disk: Option<crate::places::Places>,
    /// What they depended on then, see [`crate::places::Facts::digest`].
    places_digest: Option<crate::places::FactsDigest>,
    /// The devices as they were read last; `None` where there are too many to keep.
    inventory: Option<Inventory>,
    /// What has changed since.
    news: Changes,
    pace: Pace,
    /// The first change after all devices were read.
    partial_since: Option<Instant>,
    /// Devices were remembered anew after the state file was lost.
    memory_rebuilt: bool,
    /// Executables whose replacement matters.
    watch_paths: Vec<PathBuf>,
    /// Directories in which anything new matters.
    watch_directories: Vec<PathBuf>,
    data_watch: life::DataWatch,
    notifier: Notifier,
    descriptors: descriptors::Descriptors,
    overrides: overrides::Overrides,
    self_test: Option<(Instant, SelfTest)>,
    /// What is to be done later without anything happening; `None` in a quiet time.
    due: Due,
}

/// One-shot deadlines.
#[derive(Debug, Default)]
struct Due {
    /// The log could not be written: try again.
    retry: Option<Instant>,
    /// Events are missing that may still be on their way.
    reconcile: Option<Instant>,
    /// Events may have been dropped in a storm that goes on.
    losses: Option<Instant>,
    /// Devices changed right after a survey.
    survey: Option<Instant>,
    /// Devices changed and were not all read again.
    scan: Option<Instant>,
    /// Descriptors from before, looked for again.
    descriptors: Option<Instant>,
    /// The canary is attacked although nothing happens.
    prove: Option<Instant>,
    /// Something was made in a directory that is a place.
    places: Option<Instant>,
    /// Critical processes that have only just started, looked at again.
    inspect: Vec<Instant>,
    /// What running servers use is looked at again.
    data: Option<Instant>,
    /// The next grant comes to its end.
    overrides: Option<Instant>,
}

impl Due {
    fn next(&self) -> Option<Instant> {
        [
            self.retry,
            self.reconcile,
            self.losses,
            self.survey,
            self.scan,
            self.descriptors,
            self.prove,
            self.places,
            self.data,
            self.overrides,
        ]
        .into_iter()
        .flatten()
        .chain(self.inspect.iter().copied())
        .min()
    }
}

/// True, and taken away, where a deadline has passed.
fn passed(deadline: &mut Option<Instant>, now: Instant) -> bool {
    deadline.take_if(|then| *then <= now).is_some()
}

impl Daemon {
    fn stance(&self) -> Stance {
        Stance {
            mode: self.config.mode.as_str(),
            state: self.state.host.as_str(),
        }
    }

    fn note(&mut self, body: crate::audit::record::Body) {
        let stance = self.stance();
        self.recorder.note(stance, body);
        self.mind_the_log();
    }

    /// Sets or clears the problem of a part, with a record and a line in the journal.
    fn set_health(&mut self, part: &'static str, problem: Option<String>) {
        if let Some(body) = self.health.set(part, problem) {
            let priority = if body.healthy { NOTICE } else { WARNING };
            log(priority, &format!("{}: {}", body.part, body.detail));
            self.note(crate::audit::record::Body::Health(body));
        }
    }

    /// Keeps the health of the log itself, which cannot be recorded while it fails.
    fn mind_the_log(&mut self) {
        let failure = self.recorder.failure().map(str::to_owned);
        self.due.retry = failure.as_ref().map(|_| Instant::now() + ring::RETRY);
        let was_failing = self.health.is_bad("audit");
        if failure.is_some() || was_failing {
            let recovered = failure.is_none();
            if let Some(body) = self.health.set("audit", failure) {
                log(if recovered { NOTICE } else { WARNING }, &body.detail);
                let stance = self.stance();
                self.recorder
                    .note(stance, crate::audit::record::Body::Health(body));
            }
        }
    }
}
