//! What enforcing would have blocked, from the log: pure, one record after the other, the newest
//! first.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::advice;
use super::record::{Body, Denial, Gap, Record};
use crate::config::describe;

/// More groups than this are counted and not told apart.
pub const GROUPS_MAX: usize = 5_000;
/// More gaps, or changes of the mode, than this are counted and not listed.
pub const LISTED_MAX: usize = 500;

/// One kind of operation by one program on one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Operation class.
    pub op: String,
    /// What it was done to.
    pub object: GroupObject,
    /// What did it.
    pub program: Program,
    /// Reason codes that were met.
    pub reasons: BTreeSet<String>,
    /// Operations.
    pub count: u64,
    /// Time of the first.
    pub first: String,
    /// Time of the last.
    pub last: String,
    /// The newest of them.
    pub example: Example,
    /// What can be done about it.
    pub advice: Vec<String>,
}

/// The object of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct GroupObject {
    /// `block`, `char`, `file` or `system`.
    pub kind: String,
    /// Kernel name, or path.
    pub name: String,
    /// World-wide id, where it has one: kernel names change from boot to boot.
    pub wwid: Option<String>,
    /// Why it is protected, as of the newest operation.
    pub why: Vec<String>,
    /// What else the kernel half knew about it.
    pub flags: Vec<String>,
}

/// The program of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Program {
    /// Executable.
    pub exe: String,
    /// systemd unit, where known.
    pub unit: Option<String>,
    /// Container, where known.
    pub container: Option<String>,
}

/// One operation of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Its event id.
    pub event: Option<String>,
    /// Its time.
    pub time: String,
    /// Its command line.
    pub argv: Vec<String>,
    /// The command line was longer.
    pub argv_truncated: bool,
    /// The user.
    pub user: String,
    /// The login user, or that there is none.
    pub login: String,
    /// The state of the host.
    pub state: String,
}

/// A time during which the same modes were in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The mode, and the classes that differ from it, in words.
    pub mode: String,
    /// When it began, or the oldest record that was read.
    pub from: String,
    /// When it ended, or the newest record.
    pub to: String,
}

/// Something that may have happened and cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// After this time, where that is known.
    pub from: Option<String>,
    /// Before this time.
    pub to: String,
    /// How many events or records; 0 where it cannot be told.
    pub lost: u64,
    /// What, in words.
    pub what: String,
}

/// What the records tell.
#[derive(Debug, Default)]
pub struct WouldBlock {
    groups: HashMap<Key, Group>,
    /// Operations in groups beyond [`GROUPS_MAX`].
    pub ungrouped: u64,
    /// Operations that enforcing would have blocked.
    pub would_block: u64,
    /// Operations that were refused.
    pub refused: u64,
    /// Operations that the configuration allows.
    pub allowed: u64,
    /// Gaps, newest first.
    pub gaps: Vec<Missing>,
    /// Gaps beyond [`LISTED_MAX`], and what was lost in them.
    pub unlisted_gaps: (u64, u64),
    /// Modes, newest first.
    pub spans: Vec<Span>,
    /// States that records were made in.
    pub states: BTreeSet<String>,
    /// Time of the oldest record read.
    pub oldest: Option<String>,
    /// Time of the newest.
    pub newest: Option<String>,
    /// A gap whose beginning is the record before it.
    open_gap: Option<Missing>,
    /// The span that the record read last belongs to.
    open_span: Option<OpenSpan>,
}

/// A span whose beginning has not been read yet.
#[derive(Debug)]
struct OpenSpan {
    /// What was in force, from a record that tells all of it.
    known: Option<String>,
    /// The mode alone, as every record tells it.
    told: Option<String>,
    from: String,
    to: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    op: String,
    kind: String,
    object: String,
    program: Program,
}

impl WouldBlock {
    /// Takes the next older record.
    pub fn take(&mut self, record: &Record) {
        let time = &record.time;
        if let Some(mut gap) = self.open_gap.take() {
            gap.from = Some(time.clone());
            self.list_gap(gap);
        }
        // A denial that was written late is older than its neighbours.
        self.newest = self.newest.take().max(Some(time.clone()));
        self.oldest = Some(match self.oldest.take() {
            Some(oldest) => oldest.min(time.clone()),
            None => time.clone(),
        });
        self.states.insert(record.state.clone());
        self.follow_modes(record);
        match &record.body {
            Body::Denial(denial) => self.denial(record, denial),
            Body::Gap(gap) => self.gap(record, gap),
            _ => {}
        }
    }

    fn denial(&mut self, record: &Record, denial: &Denial) {
        match denial.decision.as_str() {
            "would-deny" => self.would_block += denial.count,
            "deny" => {
                self.refused += denial.count;
                return;
            }
            "allowed" => {
                self.allowed += denial.count;
                return;
            }
            _ => return,
        }
        let key = key(denial);
        if let Some(group) = self.groups.get_mut(&key) {
            group.count += denial.count;
            group.reasons.insert(denial.reason.clone());
            group.first = std::mem::take(&mut group.first).min(record.time.clone());
            group.last = std::mem::take(&mut group.last).max(record.time.clone());
        } else if self.groups.len() < GROUPS_MAX {
            let group = new_group(record, denial, key.program.clone());
            self.groups.insert(key, group);
        } else {
            self.ungrouped += denial.count;
        }
    }

    fn gap(&mut self, record: &Record, gap: &Gap) {
        let what = match gap.what.as_str() {
            "dropped" => format!("events were lost: {}", gap.detail),
            "missing" => format!("events are missing: {}", gap.detail),
            "lifecycle" => format!("starts or ends of databases were lost: {}", gap.detail),
            _ => gap.detail.clone(),
        };
        self.open_gap = Some(Missing {
            from: None,
            to: record.time.clone(),
            lost: gap.lost,
            what,
        });
    }

    /// Adds a gap to the list.
    pub fn list_gap(&mut self, gap: Missing) {
        if self.gaps.len() < LISTED_MAX {
            self.gaps.push(gap);
        } else {
            self.unlisted_gaps.0 += 1;
            self.unlisted_gaps.1 += gap.lost;
        }
    }

    /// Follows the modes. A record that tells of them closes the span after it and opens the one
    /// before it.
    fn follow_modes(&mut self, record: &Record) {
        let boundary = match &record.body {
            Body::Mode(change) => Some((
                describe(&change.to, &change.to_ops),
                Some(describe(&change.from, &change.from_ops)),
            )),
            Body::Start(start) => Some((describe(&record.mode, &start.ops), None)),
            _ => None,
        };
        let mut span = self.open_span.take().unwrap_or_else(|| OpenSpan {
            known: None,
            told: None,
            from: record.time.clone(),
            to: record.time.clone(),
        });
        span.from.clone_from(&record.time);
        let Some((after, before)) = boundary else {
            span.told = Some(record.mode.clone());
            self.open_span = Some(span);
            return;
        };
        span.known = Some(after);
        self.close(span);
        self.open_span = Some(OpenSpan {
            known: before,
            told: None,
            from: record.time.clone(),
            to: record.time.clone(),
        });
    }

    fn close(&mut self, span: OpenSpan) {
        let OpenSpan {
            known,
            told,
            from,
            to,
        } = span;
        // Without a record that tells of the classes, the mode alone is known.
        let Some(mode) = known.or(told) else { return };
        let room = self.spans.len() < LISTED_MAX;
        match self.spans.last_mut() {
            Some(newer) if newer.mode == mode => newer.from = from,
            _ if room => self.spans.push(Span { mode, from, to }),
            _ => {}
        }
    }

    /// The groups, those with most operations first.
    pub fn groups(&mut self) -> Vec<Group> {
        let mut groups: Vec<Group> = std::mem::take(&mut self.groups).into_values().collect();
        groups.sort_by(|one, other| {
            let names = |group: &Group| {
                let Group {
                    op,
                    object,
                    program,
                    ..
                } = group;
                (op.clone(), object.name.clone(), program.exe.clone())
            };
            (other.count, &other.last)
                .cmp(&(one.count, &one.last))
                .then_with(|| names(one).cmp(&names(other)))
        });
        for group in &mut groups {
            group.advice = advice::advice(group);
        }
        groups
    }

    /// Ends reading.
    pub fn finish(&mut self) {
        if let Some(span) = self.open_span.take() {
            self.close(span);
        }
        if let Some(gap) = self.open_gap.take() {
            self.list_gap(gap);
        }
    }
}

/// The object by what stays the same over a boot, where it has such a thing.
fn key(denial: &Denial) -> Key {
    let object = &denial.object;
    // A partition has the WWID of its disk.
    let name = match &object.wwid {
        Some(wwid) => format!("{wwid} {}", object.name),
        None => object.name.clone(),
    };
    let process = &denial.process;
    let exe = if process.exe.is_empty() {
        process.comm.clone()
    } else {
        process.exe.clone()
    };
    Key {
        op: denial.op.clone(),
        kind: object.kind.clone(),
        object: name,
        program: Program {
            exe,
            unit: process.unit.clone(),
            container: process.container.clone(),
        },
    }
}

fn new_group(record: &Record, denial: &Denial, program: Program) -> Group {
    let (object, process) = (&denial.object, &denial.process);
    Group {
        op: denial.op.clone(),
        object: GroupObject {
            kind: object.kind.clone(),
            name: object.name.clone(),
            wwid: object.wwid.clone(),
            why: object.why.clone(),
            flags: object.flags.clone(),
        },
        program,
        reasons: [denial.reason.clone()].into(),
        count: denial.count,
        first: record.time.clone(),
        last: record.time.clone(),
        example: Example {
            event: record.event.clone(),
            time: record.time.clone(),
            argv: process.argv.clone(),
            argv_truncated: process.argv_truncated,
            user: process
                .user
                .clone()
                .unwrap_or_else(|| process.uid.to_string()),
            login: process.login.clone(),
            state: record.state.clone(),
        },
        advice: Vec::new(),
    }
}

#[cfg(test)]
#[path = "wouldblock_tests.rs"]
pub(crate) mod tests;
