//! From the kernel's rings to the log. A ring moves on only when its records are on disk.

use std::time::{Duration, Instant};

use guard_abi::{DenialEvent, Engine, LifecycleEvent, LifecycleKind};

use super::{Daemon, WARNING, log};
use crate::audit::account::KernelCount;
use crate::audit::enrich;
use crate::audit::log::Draft;
use crate::audit::record::{Body, CriticalProcess, Database, Denial, Gap, Record};

/// Events of one batch: what a record of coalesced events lists stays readable.
const BATCH: usize = 256;
/// A log that cannot be written is tried again after this long.
pub const RETRY: Duration = Duration::from_secs(5);
/// An event that is counted and not in the ring after this long is missing.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// What is left in the ring of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// More events.
    Events,
    /// Events that could not be written; they are tried again later.
    Unwritten,
}

impl Daemon {
    /// Writes every event that waits. True where the ring is empty now.
    pub(super) fn drain_denials(&mut self) -> bool {
        loop {
            match self.record_denials() {
                Left::Nothing => return true,
                Left::Events => {}
                Left::Unwritten => return false,
            }
        }
    }

    /// Writes one batch. In a storm of refusals the ring never gets empty, and following the
    /// devices must not wait for that.
    pub(super) fn record_denials(&mut self) -> Left {
        let mut events = Vec::new();
        if self.denials.peek(BATCH, &mut events) == 0 {
            // Discarded records are passed over too.
            self.denials.advance();
            return Left::Nothing;
        }
        let fresh: Vec<DenialEvent> = events
            .drain(..)
            .filter(|event| !self.recorder.has_recorded(enrich::key(event)))
            .collect();
        let groups = coalesce(&fresh);
        let databases = self.databases();
        let drafts = groups
            .iter()
            .map(|group| self.denial_draft(group, &databases))
            .collect();
        let stance = self.stance();
        let written = self.recorder.write(drafts, stance);
        self.mind_the_log();
        let Some(records) = written else {
            self.denials.rewind();
            return Left::Unwritten;
        };
        self.denials.advance();
        for (record, group) in records.iter().zip(&groups) {
            self.tell(record, group[0].tty);
        }
        Left::Events
    }

    fn tell(&mut self, record: &Record, tty: u32) {
        if let Body::Denial(denial) = &record.body {
            self.notifier.tell(record, denial, tty);
            if denial.decision != "record" {
                log(WARNING, &journal_line(record, denial));
            }
        }
    }

    fn denial_draft(&self, group: &[&DenialEvent], databases: &[Database]) -> Draft {
        let event = group[0];
        let object = self.object_of(event);
        let mut denial = enrich::denial(&self.sources, event, object, databases.to_vec());
        self.add_grant(&mut denial);
        denial.count = group.len() as u64;
        denial.repeats = group[1..].iter().map(|event| enrich::key(event)).collect();
        Draft {
            boot_ns: event.boot_ns,
            stance: self.stance(),
            body: Body::Denial(Box::new(denial)),
        }
    }

    /// Follows every start and end of a critical process that waits.
    pub(super) fn drain_lifecycle(&mut self) {
        let mut events = Vec::new();
        loop {
            events.clear();
            if self.lifecycle.peek(BATCH, &mut events) == 0 {
                self.lifecycle.advance();
                return;
            }
            // First what protects: remember, classify. Doing it twice does no harm.
            let before = events.len();
            events.retain(|event| event.kind != LifecycleKind::Opened as u8);
            if events.len() < before {
                self.descriptor_was_opened();
            }
            if !events.is_empty() {
                self.follow_lifecycle(&events);
            }
            events.retain(|event| {
                !self
                    .recorder
                    .has_recorded_lifecycle((event.boot_ns, event.pid))
            });
            let drafts = events
                .iter()
                .map(|event| self.lifecycle_draft(event))
                .collect();
            let stance = self.stance();
            let written = self.recorder.write(drafts, stance);
            self.mind_the_log();
            if written.is_none() {
                self.lifecycle.rewind();
                return;
            }
            self.lifecycle.advance();
        }
    }

    fn lifecycle_draft(&self, event: &LifecycleEvent) -> Draft {
        let kind = LifecycleKind::from_u8(event.kind);
        let process = self
            .processes
            .iter()
            .find(|process| process.pid == event.pid);
        let body = Body::Process(CriticalProcess {
            change: kind.map_or("unknown", LifecycleKind::as_str).to_owned(),
            pid: event.pid,
            engine: Engine::from_u8(event.engine)
                .map_or("unknown", Engine::as_str)
                .to_owned(),
            comm: comm(&event.comm),
            data: process.map(super::life::data_of).unwrap_or_default(),
            event_boot_ns: event.boot_ns,
        });
        Draft {
            boot_ns: event.boot_ns,
            stance: self.stance(),
            body,
        }
    }

    /// Compares the kernel's counters with the log and tells what is in neither.
    pub(super) fn reconcile(&mut self, ring_is_empty: bool) {
        let counters = match self.guard.counters() {
            Ok(counters) => counters,
            Err(error) => {
                self.set_health("counters", Some(error.to_string()));
                return;
            }
        };
        self.set_health("counters", None);
        if counters.tasks_full > 0 {
            let text = format!(
                "{} critical processes did not fit into the kernel's table; they are guarded, but may be missing in status",
                counters.tasks_full
            );
            self.set_health("tasks", Some(text));
        }
        let kernel = KernelCount {
            made: counters.events(),
            dropped: counters.dropped,
            lifecycle_dropped: counters.lifecycle_dropped,
        };
        let account = self.recorder.account();
        let dropped = account.newly_dropped(kernel);
        if dropped > 0 {
            self.gap(
                "dropped",
                dropped,
                "events that found the kernel's ring full",
            );
        }
        let lifecycle = account.newly_dropped_lifecycle(kernel);
        if lifecycle > 0 {
            self.gap(
                "lifecycle",
                lifecycle,
                "starts or ends of critical processes that found the kernel's ring full",
            );
            self.refresh_processes("events were lost");
        }
        let missing = if ring_is_empty {
            account.newly_missing(kernel)
        } else {
            0
        };
        if missing == 0 {
            self.due.reconcile = None;
        } else if super::passed(&mut self.due.reconcile, Instant::now()) {
            self.gap(
                "missing",
                missing,
                "events that the kernel half has counted and nobody has found",
            );
        } else if self.due.reconcile.is_none() {
            self.due.reconcile = Some(Instant::now() + ON_ITS_WAY);
        }
    }

    fn gap(&mut self, what: &str, lost: u64, detail: &str) {
        log(WARNING, &format!("gap in the audit log: {lost} {detail}"));
        self.note(Body::Gap(Gap {
            what: what.to_owned(),
            lost,
            detail: detail.to_owned(),
        }));
    }
}

/// Groups events of the same act, in the order of each group's first event.
fn coalesce(events: &[DenialEvent]) -> Vec<Vec<&DenialEvent>> {
    let mut groups: Vec<Vec<&DenialEvent>> = Vec::new();
    for event in events {
        match groups
            .iter_mut()
            .find(|group| enrich::same_act(group[0], event))
        {
            Some(group) => group.push(event),
            None => groups.push(vec![event]),
        }
    }
    groups
}

fn journal_line(record: &Record, denial: &Denial) -> String {
    let word = if denial.decision == "deny" {
        "refused"
    } else {
        "would refuse"
    };
    let times = if denial.count > 1 {
        format!(" ({} times)", denial.count)
    } else {
        String::new()
    };
    crate::audit::names::printable(&format!(
        "{word} {}: {} to {}, {}{times}; pid {} ({}), {}",
        record.event.as_deref().unwrap_or("-"),
        denial.op,
        denial.object.name,
        crate::notify::short_reason(denial),
        denial.process.pid,
        denial.process.comm,
        denial.process.login,
    ))
}

fn comm(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::enrich::tests::event;
    use proptest::prelude::*;

    proptest! {
        /// Whatever repeats and however it is mixed, every event is in exactly one group, and
        /// only the same act is in a group with it.
        #[test]
        fn nothing_is_lost_in_groups(devices in prop::collection::vec(0u32..4, 0..60)) {
            let one = event();
            let events: Vec<DenialEvent> = (1u64..)
                .zip(&devices)
                .map(|(boot_ns, dev)| {
                    let mut event = one;
                    (event.boot_ns, event.dev) = (boot_ns, *dev);
                    event
                })
                .collect();
            let groups = coalesce(&events);
            let mut seen: Vec<u64> = groups.iter().flatten().map(|event| event.boot_ns).collect();
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(1..=devices.len() as u64));
            prop_assert!(groups.len() <= 4);
            for group in &groups {
                prop_assert!(group.iter().all(|event| event.dev == group[0].dev));
                prop_assert!(group.is_sorted_by_key(|event| event.boot_ns));
            }
        }
    }
}
