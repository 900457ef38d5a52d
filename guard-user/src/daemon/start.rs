//! From nothing to guarding, in the order that leaves no moment unguarded.

use std::path::{Path, PathBuf};

use guard_abi::{Policy, RELEASED_NEVER, maps};

use super::pace::Pace;
use super::recorder::Recorder;
use super::settings::why_weaker;
use super::{Daemon, Due, End, INFO, NOTICE, WARNING, health::Health, log};
use crate::audit::enrich::Sources;
use crate::audit::log::{Context, Stance};
use crate::audit::record::{Body, ModeChange, Start};
use crate::audit::{log_path, tail};
use crate::config::{Config, Modes};
use crate::host::{EngineTable, ToolTable};
use crate::kernel::{self, Guard, GuardError, LoadReport, pin};
use crate::notify::Notifier;
use crate::session;
use crate::state::{self, HostState, Loaded, State};
use crate::topology::{Changes, Classification, Roots};

/// Reads the configuration, or says why not.
pub fn read_config() -> Result<Config, End> {
    Config::read(Path::new("/")).map_err(|error| End {
        exit: 78,
        message: format!("{error}{}", still_guarding()),
    })
}

/// What to add to an error that keeps the controller from starting.
fn still_guarding() -> &'static str {
    if is_loaded() {
        " (the kernel half that is loaded goes on as before)"
    } else {
        " (nothing is loaded: this host is UNPROTECTED)"
    }
}

fn internal(error: GuardError) -> kernel::Problem {
    let next = "look at the journal of dbguard.service";
    kernel::Problem::fatal(
        kernel::ProblemKind::Internal,
        "reading the loaded guard",
        error,
        next,
    )
}

fn end_of(problem: &kernel::Problem) -> End {
    End {
        exit: problem.kind.exit_code(),
        message: format!("{problem}{}", still_guarding()),
    }
}

/// Names the maps that count: this boot, and the pin of the counters, which new maps have anew.
pub fn epoch(boot_id: &str) -> String {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(pin::map(maps::COUNTERS)) {
        Ok(metadata) => {
            format!(
                "{boot_id}/{}/{}.{:09}",
                metadata.ino(),
                metadata.ctime(),
                metadata.ctime_nsec()
            )
        }
        Err(_) => format!("{boot_id}/none"),
    }
}

/// What every record of this boot says, and which maps it counts for.
pub fn log_context() -> (Context, String) {
    let boot_id = session::boot_id();
    let epoch = epoch(&boot_id);
    let machine_id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let context = Context {
        boot_id,
        machine_id: machine_id.trim().to_owned(),
        host: node_name(),
    };
    (context, epoch)
}

/// Node name of this host.
pub fn node_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Whether a person means this host; else what to tell them, with what was `undone` for it.
pub fn confirm_host(confirmed: &str, undone: &str) -> Result<(), String> {
    let host = node_name();
    if confirmed == host {
        return Ok(());
    }
    Err(format!(
        "this host is named '{host}', not '{confirmed}'; {undone} (--confirm-host takes the whole name, as `uname -n` prints it)"
    ))
}

/// Everything up to READY.
pub fn bring_up(config: Config) -> Result<Daemon, End> {
    look_at_kernel()?;
    load_device_mapper();
    let state_path = PathBuf::from(state::STATE_PATH);
    let remembered = recall(&state_path);
    let (config, held_back) = accepted(config, &remembered);
    let (guard, report) = Guard::start().map_err(|problem| end_of(&problem))?;
    let modes_before =
        set_policy(&guard, &config, &remembered).map_err(|error| end_of(&internal(error)))?;
    let state_lost = remembered.problem.clone();
    let mut daemon = build(config, state_path, guard, report, remembered)?;
    daemon.record_start(&modes_before);
    if held_back.is_some() {
        daemon.set_health("config", held_back);
    } else {
        daemon.keep_accepted();
    }
    if state_lost.is_some() {
        daemon.set_health("state-lost", state_lost);
        daemon.save_state();
    }
    daemon.accept_first_signers();
    daemon.take_over_grants();
    daemon.set_executables();
    match daemon.track_running() {
        Ok(found) if found > 0 => log(INFO, &format!("{found} database processes ran already")),
        Ok(_) => {}
        Err(error) => daemon.set_health("processes", Some(error.to_string())),
    }
    if let Err(error) = daemon.track_tools() {
        daemon.set_health("processes", Some(error.to_string()));
    }
    daemon.drain_lifecycle();
    daemon.refresh_processes("the controller started");
    daemon.look_for_descriptors();
    let empty = daemon.drain_denials();
    daemon.reconcile(empty);
    if empty && daemon.recorder.failure().is_none() {
        daemon.recorder.caught_up();
    }
    daemon.prove();
    Ok(daemon)
}

/// Says what this kernel lacks. Where the kernel half is loaded and whole, it was answered then.
fn look_at_kernel() -> Result<(), End> {
    if is_loaded() {
        return Ok(());
    }
    let probe = kernel::probe();
    for problem in probe.problems.iter().filter(|problem| !problem.fatal) {
        log(WARNING, &problem.to_string());
    }
    probe.fatal().map_or(Ok(()), |problem| Err(end_of(problem)))
}

fn is_loaded() -> bool {
    Guard::open()
        .and_then(|guard| guard.links_intact().map_err(internal))
        .is_ok_and(|links| links.holes().is_empty())
}

/// Opening the control node loads the module. Its major number must be known before the first
/// volume of this boot is made, or `lvcreate` would be refused on the node that it has just made.
fn load_device_mapper() {
    // A kernel without device-mapper has no such volumes.
    let _ = std::fs::File::open("/dev/mapper/control");
}

/// What the state file and the log say about the time before.
struct Remembered {
    state: State,
    hold: bool,
    problem: Option<String>,
}

fn recall(path: &Path) -> Remembered {
    let lost = |what: String| Remembered {
        state: State {
            host: HostState::Held,
            data_seen: true,
            memory_lost: true,
            ..State::default()
        },
        hold: true,
        problem: Some(format!(
            "{}: {what}; the host is held, and every device that is there now counts as one that carried data, until: dbguard release --confirm-host {}",
            path.display(),
            node_name()
        )),
    };
    match state::load(path) {
        Loaded::Valid(state) => {
            let hold = state.host != HostState::Idle;
            Remembered {
                state: *state,
                hold,
                problem: None,
            }
        }
        Loaded::Absent if was_in_use_before() => {
            lost("missing, although the audit log says that this host was armed or held".to_owned())
        }
        Loaded::Absent => Remembered {
            state: State::default(),
            hold: false,
            problem: None,
        },
        Loaded::Corrupt(why) => {
            let aside = state::set_aside(path)
                .map(|aside| format!(" (kept as {})", aside.display()))
                .unwrap_or_default();
            lost(format!("cannot be trusted: {why}{aside}"))
        }
        Loaded::Unreadable(why) => lost(format!("cannot be read: {why}")),
    }
}

/// The last record of the log says armed or held.
fn was_in_use_before() -> bool {
    tail::find_last(log_path(), |_| true)
        .ok()
        .flatten()
        .is_some_and(|record| record.state != HostState::Idle.as_str())
}

/// The configuration to start with. On a host that was armed or held, one that guards less than the
/// one accepted last waits until a person has confirmed it; why, in words.
fn accepted(config: Config, remembered: &Remembered) -> (Config, Option<String>) {
    let state = remembered.state.host;
    if state == HostState::Idle {
        return (config, None);
    }
    // The first start, or one after the state was lost: there is nothing to compare with.
    let Ok(before) = Config::read_whole(Path::new(state::ACCEPTED_PATH)) else {
        return (config, None);
    };
    match why_weaker(&config, &before, state) {
        None => (config, None),
        Some(why) => (
            before,
            Some(format!("{why}; the one before stays in force")),
        ),
    }
}

/// Holds, and sets the modes, before anything else is done. Returns the modes that were in force in
/// a kernel half that was taken over.
fn set_policy(guard: &Guard, config: &Config, remembered: &Remembered) -> kernel::Result<Modes> {
    let before = guard.policy()?;
    let released_gen = if remembered.hold && !guard.is_enforcing()? {
        RELEASED_NEVER
    } else {
        before.released_gen
    };
    guard.set_policy(&config.modes().in_policy(Policy {
        released_gen,
        ..before
    }))?;
    Ok(Modes::of_policy(&before))
}

fn build(
    config: Config,
    state_path: PathBuf,
    guard: Guard,
    report: LoadReport,
    remembered: Remembered,
) -> Result<Daemon, End> {
    let (context, epoch) = log_context();
    let stance = Stance {
        mode: config.mode.as_str(),
        state: remembered.state.host.as_str(),
    };
    let recorder = Recorder::new(log_path().to_owned(), context, epoch, stance);
    let ring = |error: GuardError| end_of(&internal(error));
    let (denials, lifecycle) = (
        guard.denials().map_err(ring)?,
        guard.lifecycle().map_err(ring)?,
    );
    let roots = Roots::host();
    let mut daemon = Daemon {
        notifier: Notifier::new(&roots.proc),
        roots,
        sources: Sources::host(),
        guard,
        report,
        engines: EngineTable::built_in(),
        tools: ToolTable::built_in(),
        config,
        memory_rebuilt: false,
        state: remembered.state,
        state_path,
        recorder,
        health: Health::default(),
        denials,
        lifecycle,
        more_denials: false,
        processes: Vec::new(),
        surveyed: Classification::default(),
        places: None,
        additions: None,
        places_on_disk: None,
        places_digest: None,
        inventory: None,
        news: Changes::all(),
        partial_since: None,
        pace: Pace::new(std::time::Instant::now()),
        watch_directories: Vec::new(),
        data_watch: super::life::DataWatch::default(),
        watch_paths: Vec::new(),
        descriptors: super::descriptors::Descriptors::default(),
        overrides: super::overrides::Overrides::new(&session::boot_id()),
        self_test: None,
        due: Due::default(),
    };
    daemon.build_tables();
    Ok(daemon)
}

impl Daemon {
    fn record_start(&mut self, modes_before: &Modes) {
        let report = &self.report;
        let hooks = report
            .hooks
            .iter()
            .filter(|hook| hook.attached)
            .map(|hook| hook.name.clone());
        let missing = report
            .hooks
            .iter()
            .filter(|hook| !hook.attached)
            .map(|hook| {
                format!(
                    "{}: {}",
                    hook.name,
                    hook.why_missing.as_deref().unwrap_or("not attached")
                )
            });
        let start = Start {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            adopted: report.adopted,
            route: report.route.to_string(),
            kernel: report.kernel.clone(),
            hooks: hooks.collect(),
            missing: missing.collect(),
            ops: self.config.modes().exceptions(),
        };
        let how = if start.adopted {
            "took over the loaded kernel half"
        } else {
            "loaded the kernel half"
        };
        log(
            NOTICE,
            &format!(
                "dbguard {} on {}: {how}, mode {}",
                start.version,
                start.kernel,
                self.config.modes()
            ),
        );
        let maps_kept = report.maps_kept;
        self.note(Body::Start(start));
        if maps_kept && *modes_before != self.config.modes() {
            self.record_modes(
                modes_before,
                "the configuration was changed while the controller was down",
            );
        }
    }

    pub(super) fn record_modes(&mut self, before: &Modes, why: &str) {
        let now = self.config.modes();
        let change = ModeChange {
            from: before.mode().as_str().to_owned(),
            to: now.mode().as_str().to_owned(),
            from_ops: before.exceptions(),
            to_ops: now.exceptions(),
            why: why.to_owned(),
        };
        log(NOTICE, &format!("mode {before} -> {now}: {why}"));
        self.note(Body::Mode(change));
    }
}
