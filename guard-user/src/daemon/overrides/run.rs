//! Commands that run under a grant, and their end.

use std::os::fd::OwnedFd;

use guard_abi::glass::GLASS_PENDING;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;

use super::{Daemon, NO_INPUT, Refusal, TRY_AGAIN, grant_id, record_of};
use crate::audit::names::printable;
use crate::audit::record::{Actor, Override};
use crate::control::Answer;
use crate::daemon::events::wait_for;
use crate::daemon::{NOTICE, log};
use crate::grant::ledger::Entry;
use crate::host;

impl Daemon {
    pub(in crate::daemon) fn override_use(
        &mut self,
        number: u32,
        command: &[String],
        by: Actor,
    ) -> Answer {
        let open = self.overrides.of(number);
        let pid = by.pid;
        let mut record = record_of("used", open.map(|open| &open.request), Some(by));
        record.grant = Some(grant_id(number));
        record.pid = Some(pid);
        record.argv = command.to_vec();
        match self.try_use(number, pid, &record) {
            Ok(()) => Answer::Done(format!("{} is yours for one command", grant_id(number))),
            Err(refusal) => self.refuse_step(record, refusal),
        }
    }

    fn try_use(&mut self, number: u32, pid: u32, record: &Override) -> Result<(), Refusal> {
        self.close_expired();
        self.why_not_use(number)?;
        let gone = || Refusal::new(TRY_AGAIN, "gone", format!("process {pid} has ended"));
        let start = host::start_boot_ns(&self.roots, pid).ok_or_else(gone)?;
        let process = pidfd(pid).ok_or_else(gone)?;
        self.record_step(record.clone())?;
        self.overrides
            .ledger()?
            .add(&Entry::Used { grant: number, pid })?;
        // From here on what it opens is judged at each write too, so that the grant's end is the end.
        if let Some(open) = self.overrides.of_mut(number) {
            open.is_running = true;
        }
        self.look_for_descriptors();
        if !self.guard.run_under(pid, start, number)? {
            return Err(Refusal::new(
                TRY_AGAIN,
                "no-room",
                "the kernel's table of processes is full",
            ));
        }
        // One that has ended meanwhile must not leave the grant to the next of its number.
        if host::start_boot_ns(&self.roots, pid) != Some(start) {
            self.guard.forget_task(pid)?;
            return Err(gone());
        }
        log(
            NOTICE,
            &format!(
                "under {}: {}",
                grant_id(number),
                printable(&record.argv.join(" "))
            ),
        );
        self.tell_when_ended(process, number);
        Ok(())
    }

    fn why_not_use(&mut self, number: u32) -> Result<(), Refusal> {
        let Some(standing) = self.overrides.ledger()?.book().grant(number).cloned() else {
            let what = format!(
                "{} was never given on this host in this boot; `dbguard override list` shows what was",
                grant_id(number)
            );
            return Err(Refusal::new(NO_INPUT, "no-grant", what));
        };
        if let Some(why) = &standing.closed {
            let what = format!("{} is closed: {why}; make a new request", grant_id(number));
            return Err(Refusal::new(super::NOT_PERMITTED, "closed", what));
        }
        let open = self.overrides.of(number);
        let uses = open.map_or(0, |open| open.request.uses);
        if self.uses_left(number)? == 0 {
            let what = format!(
                "{} was good for {uses} command{}, and was used; make a new request",
                grant_id(number),
                if uses == 1 { "" } else { "s" }
            );
            return Err(Refusal::new(super::NOT_PERMITTED, "used-up", what));
        }
        Ok(())
    }

    /// Uses that neither the kernel half nor the ledger has counted: a command that could not be executed
    /// counts in the ledger alone.
    fn uses_left(&mut self, number: u32) -> Result<u32, Refusal> {
        let in_kernel = self.guard.uses_left(number)?;
        let open = self.overrides.of(number);
        let uses = open.map_or(0, |open| open.request.uses);
        let known = self.overrides.ledger()?.book().grant(number);
        let spent = known.map_or(0, |one| one.used);
        Ok(in_kernel.min(uses.saturating_sub(spent)))
    }

    /// Hears of the end of what ran already when this controller started.
    pub(super) fn watch_running(&mut self, number: u32) {
        let tasks = self.guard.tasks().unwrap_or_default();
        let under = tasks
            .iter()
            .filter(|(_, task)| task.glass & !GLASS_PENDING == number);
        let mut any = false;
        for process in under.filter_map(|(pid, _)| pidfd(*pid)) {
            any = true;
            self.tell_when_ended(process, number);
        }
        if let Some(open) = self.overrides.of_mut(number) {
            open.is_running = any;
        }
    }

    /// The end of a process is readable at its descriptor (pidfd_open(2)).
    fn tell_when_ended(&self, process: OwnedFd, number: u32) {
        let Some(ended) = self.overrides.ended.clone() else {
            return;
        };
        tokio::task::spawn_local(async move {
            // Where the end cannot be heard of, the grant ends with its time.
            if let Ok(process) = wait_for(&process, Interest::READABLE)
                && process.readable().await.is_ok()
            {
                let _ = ended.send(number).await;
            }
        });
    }

    /// A command that was started under a grant has ended; what it has left behind may go on.
    pub(in crate::daemon) fn command_ended(&mut self, number: u32) {
        let tasks = self.guard.tasks().unwrap_or_default();
        let lives = |(pid, task): &(u32, guard_abi::TaskEntry)| {
            task.glass & !GLASS_PENDING == number && self.is_alive(*pid, task)
        };
        let runs = tasks.iter().any(lives);
        let Some(open) = self.overrides.of_mut(number) else {
            return;
        };
        open.is_running = runs;
        if runs {
            return;
        }
        match self.uses_left(number) {
            Ok(0) => self.end_grant(number, "its last command has ended", None),
            _ => self.look_for_descriptors(),
        }
    }
}

fn pidfd(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(pid.try_into().ok()?)?;
    pidfd_open(pid, PidfdFlags::NONBLOCK)
        .or_else(|_| pidfd_open(pid, PidfdFlags::empty()))
        .ok()
}
