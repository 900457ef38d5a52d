//! The event loop. Without an event there is no wake-up: no timer runs in a quiet time.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::announce::Announcements;
use super::ring::Left;
use super::socket::{self, Asked};
use super::uevent::Uevents;
use super::watch::{Directory, Executables, Growth};
use super::{Daemon, End, INFO, NOTICE, WARNING, log, passed, sd};
use crate::audit::record::{Body, Stop};
use crate::topology::{Changes, lvm_backups};

/// Losses are told this often while refusals keep coming.
const STORM: Duration = Duration::from_secs(1);
/// What an upgrade puts into boot directories comes in bursts; the directories themselves are
/// guarded meanwhile.
const GATHER: Duration = Duration::from_millis(300);

/// Everything that can wake the controller.
struct Sources {
    denials: AsyncFd<OwnedFd>,
    lifecycle: AsyncFd<OwnedFd>,
    uevents: (AsyncFd<OwnedFd>, Uevents),
    announced: Announcements,
    executables: (AsyncFd<OwnedFd>, Executables),
    groups: (AsyncFd<OwnedFd>, Directory),
    growth: (AsyncFd<OwnedFd>, Growth),
    data: (AsyncFd<OwnedFd>, Growth),
    asked: mpsc::Receiver<Asked>,
    ended: mpsc::Receiver<u32>,
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

enum Wake {
    Denials,
    Lifecycle,
    Uevents,
    Announced,
    Executables,
    Groups,
    Growth,
    Data,
    Asked(Box<Asked>),
    CommandEnded(u32),
    Terminate(&'static str),
    Reload,
    Due,
    Watchdog,
}

/// Serves until a signal says otherwise.
pub async fn run(daemon: &mut Daemon, notify: &sd::Notify) -> Result<(), End> {
    let failed = |error: io::Error| End {
        exit: 71,
        message: format!("setting up the event loop: {error}; the kernel half goes on refusing"),
    };
    let mut sources = open(daemon).map_err(failed)?;
    // What happened between the first survey and the subscription above.
    daemon.survey("the controller started");
    daemon.refresh_watches(&mut sources);
    daemon.mind_additions();
    notify.send("READY=1\nSTATUS=guarding");
    log(
        INFO,
        &format!(
            "ready: {}, mode {}",
            daemon.state.host.as_str(),
            daemon.config.modes()
        ),
    );
    let mut watchdog = notify
        .watchdog()
        .map(|every| (every, Instant::now() + every));
    loop {
        let wake = sources
            .next(
                daemon.due.next(),
                watchdog.map(|(_, at)| at),
                daemon.more_denials,
            )
            .await;
        match wake.map_err(failed)? {
            Wake::Terminate(why) => {
                notify.send("STOPPING=1");
                daemon.stop(why);
                return Ok(());
            }
            Wake::Reload => {
                notify.send(&reloading());
                // Said in the log, in the journal and in the status.
                let _ = daemon.reload(None);
                notify.send("READY=1");
            }
            Wake::Watchdog => {
                notify.send("WATCHDOG=1");
                watchdog = watchdog.map(|(every, _)| (every, Instant::now() + every));
            }
            other => daemon.handle(other, &mut sources).map_err(failed)?,
        }
        daemon.refresh_watches(&mut sources);
        daemon.mind_additions();
    }
}

/// sd_notify(3): RELOADING=1 comes with the monotonic time.
fn reloading() -> String {
    format!(
        "RELOADING=1\nMONOTONIC_USEC={}",
        crate::audit::time::monotonic_ns() / 1_000
    )
}

fn open(daemon: &mut Daemon) -> io::Result<Sources> {
    let mut announced = Announcements::new(&daemon.roots);
    announced.listen()?;
    let uevents = Uevents::open()?;
    let executables = Executables::new()?;
    let groups = Directory::new(lvm_backups(&daemon.roots))?;
    let (growth, data) = (Growth::new()?, Growth::new()?);
    Ok(Sources {
        denials: wait_for(&daemon.denials, Interest::READABLE)?,
        lifecycle: wait_for(&daemon.lifecycle, Interest::READABLE)?,
        uevents: (wait_for(&uevents, Interest::READABLE)?, uevents),
        announced,
        executables: (wait_for(&executables, Interest::READABLE)?, executables),
        groups: (wait_for(&groups, Interest::READABLE)?, groups),
        growth: (wait_for(&growth, Interest::READABLE)?, growth),
        data: (wait_for(&data, Interest::READABLE)?, data),
        asked: socket::listen()?,
        ended: daemon.hear_of_ends(),
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        reload: signal(SignalKind::hangup())?,
    })
}

/// Registers a descriptor with the loop; what is read from it stays with its owner.
pub(super) fn wait_for(what: &impl AsFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    let descriptor = what.as_fd().try_clone_to_owned()?;
    // SAFETY: an `OwnedFd` gives the same open descriptor until it is dropped, and `AsyncFd` owns
    // it until then.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest)? })
}

impl Sources {
    /// What comes first is more urgent: what protects before what tells, and a storm of refusals
    /// last.
    async fn next(
        &mut self,
        due: Option<Instant>,
        watchdog: Option<Instant>,
        more_denials: bool,
    ) -> io::Result<Wake> {
        Ok(tokio::select! {
            biased;
            ready = readable(&self.lifecycle) => ready.map(|()| Wake::Lifecycle)?,
            ready = readable(&self.uevents.0) => ready.map(|()| Wake::Uevents)?,
            Some(()) = self.announced.receiver.recv() => Wake::Announced,
            ready = readable(&self.executables.0) => ready.map(|()| Wake::Executables)?,
            ready = readable(&self.groups.0) => ready.map(|()| Wake::Groups)?,
            ready = readable(&self.growth.0) => ready.map(|()| Wake::Growth)?,
            ready = readable(&self.data.0) => ready.map(|()| Wake::Data)?,
            Some(()) = self.terminate.recv() => Wake::Terminate("SIGTERM"),
            Some(()) = self.interrupt.recv() => Wake::Terminate("SIGINT"),
            Some(()) = self.reload.recv() => Wake::Reload,
            () = until(watchdog) => Wake::Watchdog,
            () = until(due) => Wake::Due,
            Some(asked) = self.asked.recv() => Wake::Asked(Box::new(asked)),
            Some(number) = self.ended.recv() => Wake::CommandEnded(number),
            // Not at once: the tasks that hear of mounts and clients must have their turn.
            () = tokio::task::yield_now(), if more_denials => Wake::Denials,
            ready = readable(&self.denials) => ready.map(|()| Wake::Denials)?,
        })
    }
}

/// Waits for an edge, and takes it: what comes after is another one.
async fn readable(fd: &AsyncFd<OwnedFd>) -> io::Result<()> {
    fd.readable().await?.clear_ready();
    Ok(())
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

impl Daemon {
    fn handle(&mut self, wake: Wake, sources: &mut Sources) -> io::Result<()> {
        match wake {
            Wake::Lifecycle => self.drain_lifecycle(),
            Wake::Denials => {
                let left = self.record_some();
                if left == Left::Events {
                    self.due.losses.get_or_insert(Instant::now() + STORM);
                } else {
                    self.reconcile(left == Left::Nothing);
                }
            }
            Wake::Uevents => {
                if let Some(changes) = sources.uevents.1.drain()? {
                    sources.announced.listen()?;
                    sources.groups.1.listen()?;
                    self.something_changed(changes, "a device changed");
                }
            }
            Wake::Announced => {
                self.silent_servers_may_have_moved();
                self.something_changed(Changes::default(), "mounts, swaps or arrays changed");
            }
            Wake::Executables => {
                if sources.executables.1.drain()? {
                    self.set_executables();
                }
            }
            Wake::Groups => {
                if sources.groups.1.drain()? {
                    self.something_changed(Changes::default(), "a volume group changed");
                }
            }
            Wake::Growth => {
                if sources.growth.1.drain()? {
                    self.due.places.get_or_insert(Instant::now() + GATHER);
                }
            }
            Wake::Data => {
                if sources.data.1.drain()? {
                    self.data_may_have_grown();
                }
            }
            Wake::Asked(asked) => {
                let Asked {
                    request,
                    client,
                    answer,
                } = *asked;
                // The client may have gone; what it asked for is done.
                let _ = answer.send(self.answer(&request, client));
            }
            Wake::CommandEnded(number) => self.command_ended(number),
            Wake::Due => self.do_what_is_due(),
            Wake::Terminate(_) | Wake::Reload | Wake::Watchdog => {}
        }
        self.prove_sometimes();
        Ok(())
    }

    fn do_what_is_due(&mut self) {
        let now = Instant::now();
        if passed(&mut self.due.survey, now) {
            self.survey("devices changed in a burst");
        }
        if passed(&mut self.due.scan, now) {
            self.news.extend(Changes::all());
            self.survey("devices changed a moment ago");
        }
        if passed(&mut self.due.descriptors, now) {
            self.look_again_for_descriptors();
        }
        if passed(&mut self.due.prove, now) {
            self.prove();
            self.look_for_new_data();
        }
        if passed(&mut self.due.places, now) {
            self.set_places();
        }
        let before = self.due.inspect.len();
        self.due.inspect.retain(|then| *then > now);
        if self.due.inspect.len() < before {
            self.refresh_processes("a server has had time to open its files");
            if self.processes.iter().all(|process| process.settled) {
                self.due.inspect.clear();
            }
        }
        if passed(&mut self.due.data, now) {
            self.look_for_new_data();
        }
        if passed(&mut self.due.overrides, now) {
            self.close_expired();
        }
        let retry = passed(&mut self.due.retry, now);
        if retry {
            let stance = self.stance();
            self.recorder.write(Vec::new(), stance);
            self.mind_the_log();
            self.drain_lifecycle();
        }
        if passed(&mut self.due.losses, now) {
            self.reconcile(false);
        }
        if retry || self.due.reconcile.is_some_and(|then| then <= now) {
            let left = self.record_some();
            self.reconcile(left == Left::Nothing);
        }
    }

    /// Writes one batch of refusals; whether there are more is asked when all else is done.
    fn record_some(&mut self) -> Left {
        let left = self.record_denials();
        self.more_denials = left == Left::Events;
        left
    }

    fn refresh_watches(&mut self, sources: &mut Sources) {
        let directories = std::mem::take(&mut self.watch_directories);
        if let Some((path, error)) = sources.growth.1.watch(&directories) {
            let path = path.display();
            log(
                WARNING,
                &format!("watching {path}: {error}; new boot files will be noticed late"),
            );
        }
        let directories = std::mem::take(&mut self.data_watch.directories);
        if let Some((path, error)) = sources.data.1.watch(&directories) {
            self.data_cannot_be_watched();
            let path = path.display();
            log(
                WARNING,
                &format!("watching {path}: {error}; new tablespaces will be noticed late"),
            );
        }
        let executables = &mut sources.executables.1;
        if self.watch_paths.is_empty() {
            return;
        }
        for (path, error) in executables.watch(&std::mem::take(&mut self.watch_paths)) {
            log(
                WARNING,
                &format!(
                    "watching {}: {error}; its replacement will not be noticed",
                    path.display()
                ),
            );
        }
    }

    fn stop(&mut self, why: &str) {
        let empty = self.drain_denials();
        self.reconcile(empty);
        let why = format!(
            "{why}; the kernel half goes on as it is: {}, mode {}",
            self.state.host.as_str(),
            self.config.modes()
        );
        log(NOTICE, &format!("stopped by {why}"));
        self.note(Body::Stop(Stop { why }));
    }
}
