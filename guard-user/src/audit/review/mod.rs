//! What a reviewer asks of a period: who broke the glass, what was refused to whom, and what may be
//! missing. Pure: lines of the log in, facts out, each with the numbers of the records it is from.
//!
//! A part of the log makes a [`Part`]; parts are put together in the log's order. What is kept is
//! groups and a bounded number of lines, however long the log is; what is not kept is counted.

pub mod glass;
pub mod tally;
pub mod timeline;

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;

use super::light::{Either, Light, Process};
use super::record::Record;
use super::scan::{Extent, Text, lines, peek};
use glass::Chain;
use tally::{Groups, Tally};
use timeline::Timeline;

/// Records of one kind that are kept to be listed, the newest of them.
pub const LISTED_MAX: usize = 500;
/// Steps of overrides that are kept, the newest of them.
pub const STEPS_MAX: usize = 20_000;
/// Words for what is counted by a word of its own (decisions, unknown kinds).
const WORDS_MAX: usize = 32;

/// What is asked for: from `since` to before `until`, RFC 3339 in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Not before this.
    pub since: Option<String>,
    /// Before this.
    pub until: Option<String>,
}

impl Period {
    /// Whether a time lies in it.
    pub fn has(&self, time: &str) -> bool {
        self.since.as_deref().is_none_or(|since| time >= since)
            && self.until.as_deref().is_none_or(|until| time < until)
    }
}

/// Who was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// Login user, or that there is no login session.
    pub login: String,
    /// User that the process ran as, where there is no login session.
    pub run_as: Option<String>,
}

/// What was refused: a program in its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// Executable.
    pub exe: String,
    /// systemd unit.
    pub unit: Option<String>,
    /// Container.
    pub container: Option<String>,
}

/// What the refused operation was done to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thing {
    /// Kernel name, or path.
    pub name: String,
    /// World-wide id.
    pub wwid: Option<String>,
}

/// What went through under a grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Through {
    /// `G-19`.
    pub grant: String,
    /// Operation class.
    pub op: String,
    /// What it was done to.
    pub object: String,
}

/// Lines of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Records of this kind.
    pub count: u64,
    /// The newest of them.
    lines: VecDeque<Vec<u8>>,
}

impl List {
    fn push(&mut self, line: &[u8], most: usize) {
        self.count += 1;
        self.keep(line.to_vec(), most);
    }

    fn keep(&mut self, line: Vec<u8>, most: usize) {
        self.lines.push_back(line);
        if self.lines.len() > most {
            self.lines.pop_front();
        }
    }

    fn append(&mut self, later: Self, most: usize) {
        self.count += later.count;
        for line in later.lines {
            self.keep(line, most);
        }
    }

    /// The records that were kept, oldest first. Those that this version cannot read are counted.
    pub fn records(&self) -> (Vec<Record>, u64) {
        let read: Vec<Record> = self
            .lines
            .iter()
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let unread = self.lines.len() - read.len();
        (read, unread as u64)
    }

    /// Records that are not among those that were kept.
    pub fn more(&self) -> u64 {
        self.count - self.lines.len() as u64
    }
}

/// What a stretch of the log tells of the period.
#[derive(Debug, Default)]
pub struct Part {
    /// What was read, also outside the period.
    pub extent: Extent,
    /// Records of the period.
    pub records: u64,
    /// Number and time of the first record of the period, as they stand in the log.
    pub first: Option<(u64, String)>,
    /// Of the last.
    pub last: Option<(u64, String)>,
    /// Records of the period by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Node names that denials give, and some of the other records.
    pub hosts: BTreeMap<String, u64>,
    /// Denials by decision.
    pub decisions: BTreeMap<String, Tally>,
    /// Refusals, and what would have been, by person.
    pub people: Groups<Person>,
    /// By job.
    pub jobs: Groups<Job>,
    /// By object.
    pub things: Groups<Thing>,
    /// What went through under grants.
    pub through: Groups<Through>,
    /// When.
    pub timeline: Timeline,
    /// Lines by kind; not of every kind.
    pub lists: BTreeMap<&'static str, List>,
    /// Events lost, as gap records say.
    pub lost: u64,
    /// Records that say they are of a kind, and have not what it has.
    pub unreadable: u64,
    key: String,
}

/// Kinds that are only counted, or counted by more than a list.
const COUNTED: [&str; 2] = ["denial", "process"];

/// Kinds whose records are listed, with how many.
const LISTS: &[(&str, usize)] = &[
    ("override", STEPS_MAX),
    ("mode", LISTED_MAX),
    ("state", LISTED_MAX),
    ("health", LISTED_MAX),
    ("gap", LISTED_MAX),
    ("recovered", LISTED_MAX),
    ("release", LISTED_MAX),
    ("mark", LISTED_MAX),
    ("unload", LISTED_MAX),
    ("config", LISTED_MAX),
    ("start", LISTED_MAX),
    ("stop", LISTED_MAX),
    ("descriptor", LISTED_MAX),
];

impl Part {
    /// What the lines of a block tell.
    pub fn of(bytes: &[u8], period: &Period) -> Self {
        let mut part = Self::default();
        for line in lines(bytes) {
            part.take(line, period);
        }
        part
    }

    fn take(&mut self, line: &[u8], period: &Period) {
        let Some(seen) = peek(line) else {
            self.extent.not_records += 1;
            return;
        };
        self.extent.take(&seen);
        if !period.has(&seen.time) {
            return;
        }
        if self.records == 0
            && let Some(light) = Light::read(line)
        {
            count(&mut self.hosts, light.host.as_str(), 1);
        }
        self.records += 1;
        let at = || (seen.seq, seen.time.clone().into_owned());
        self.first.get_or_insert_with(at);
        match &mut self.last {
            Some((seq, time)) => {
                *seq = seen.seq;
                time.clear();
                time.push_str(&seen.time);
            }
            None => self.last = Some(at()),
        }
        count(&mut self.kinds, &seen.kind, 1);
        if seen.kind == "denial" {
            match Light::read(line) {
                Some(light) => self.denial(&light),
                None => self.unreadable += 1,
            }
            return;
        }
        if seen.kind == "gap" {
            match serde_json::from_slice::<Lost>(line) {
                Ok(gap) => self.lost += gap.lost,
                Err(_) => self.unreadable += 1,
            }
        }
        if let Some((kind, most)) = LISTS.iter().find(|(kind, _)| *kind == seen.kind) {
            self.lists.entry(kind).or_default().push(line, *most);
        }
    }

    fn denial(&mut self, light: &Light<'_>) {
        let (Some(decision), Some(process), Some(Either::Map(object))) =
            (&light.decision, &light.process, &light.object)
        else {
            self.unreadable += 1;
            return;
        };
        count(&mut self.hosts, light.host.as_str(), 1);
        let one = One {
            seq: light.seq,
            time: light.time.as_str(),
            count: light.count,
        };
        let decision = decision.as_str();
        let known = self.decisions.len() < WORDS_MAX;
        if let Some(tally) = self.decisions.get_mut(decision) {
            tally.add(&one);
        } else {
            let word = if known { decision } else { "other" };
            self.decisions.entry(word.to_owned()).or_default().add(&one);
        }
        self.timeline
            .add(light.time.as_str(), decision, light.count);
        if decision == "granted" {
            self.granted(light, object.name.as_str(), &one);
        }
        let is_refused = decision == "deny";
        if !is_refused && decision != "would-deny" {
            return;
        }
        let Self {
            people,
            jobs,
            things,
            key,
            ..
        } = self;
        let run_as = process.auid.is_none().then(|| process.run_as());
        spell(key, [Some(process.login.as_str()), run_as.as_deref(), None]);
        let person = || Person {
            login: process.login.as_str().to_owned(),
            run_as: run_as.clone(),
        };
        people.add(key, person, is_refused, &one);
        let Process {
            unit, container, ..
        } = &**process;
        let (unit, container) = (unit.as_ref(), container.as_ref());
        let exe = process.program();
        spell(
            key,
            [
                Some(exe),
                unit.map(Text::as_str),
                container.map(Text::as_str),
            ],
        );
        let job = || Job {
            exe: exe.to_owned(),
            unit: unit.map(|unit| unit.as_str().to_owned()),
            container: container.map(|id| id.as_str().to_owned()),
        };
        jobs.add(key, job, is_refused, &one);
        let wwid = object.wwid.as_ref().map(Text::as_str);
        spell(key, [Some(object.name.as_str()), wwid, None]);
        let thing = || Thing {
            name: object.name.as_str().to_owned(),
            wwid: wwid.map(str::to_owned),
        };
        things.add(key, thing, is_refused, &one);
    }

    fn granted(&mut self, light: &Light<'_>, object: &str, one: &One<'_>) {
        let grant = match &light.grant {
            Some(Either::Map(used)) => used.id.as_str(),
            _ => "-",
        };
        let op = light.op.as_ref().map_or("-", |op| op.as_str());
        spell(&mut self.key, [Some(grant), Some(op), Some(object)]);
        let through = || Through {
            grant: grant.to_owned(),
            op: op.to_owned(),
            object: object.to_owned(),
        };
        self.through.add(&self.key, through, false, one);
    }

    /// Puts what stands behind this in the log to it. `same_run` is false where the numbering began
    /// anew in between.
    pub fn append(&mut self, later: Self, same_run: bool) {
        let Self {
            extent,
            records,
            first,
            last,
            kinds,
            hosts,
            decisions,
            people,
            jobs,
            things,
            through,
            timeline,
            lists,
            lost,
            unreadable,
            key: _,
        } = later;
        self.extent.append(extent, same_run);
        self.records += records;
        if self.first.is_none() {
            self.first = first;
        }
        if last.is_some() {
            self.last = last;
        }
        for (word, more) in kinds {
            count(&mut self.kinds, &word, more);
        }
        for (word, more) in hosts {
            count(&mut self.hosts, &word, more);
        }
        for (word, tally) in decisions {
            let room = self.decisions.len() < WORDS_MAX || self.decisions.contains_key(&word);
            let word = if room { word } else { "other".to_owned() };
            self.decisions.entry(word).or_default().append(tally);
        }
        self.people.append(people);
        self.jobs.append(jobs);
        self.things.append(things);
        self.through.append(through);
        self.timeline.append(timeline);
        for (kind, list) in lists {
            let most = LISTS.iter().find(|(known, _)| *known == kind);
            let most = most.map_or(LISTED_MAX, |(_, most)| *most);
            self.lists.entry(kind).or_default().append(list, most);
        }
        self.lost += lost;
        self.unreadable += unreadable;
    }

    /// The records of a kind.
    pub fn list(&self, kind: &str) -> List {
        self.lists.get(kind).cloned().unwrap_or_default()
    }

    /// The overrides, each with its steps and what went through under it; how many steps are not
    /// among them, and how many could not be read.
    pub fn chains(&self) -> (Vec<Chain>, u64, u64) {
        let steps = self.list("override");
        let (records, unread) = steps.records();
        (glass::chains(&records, &self.through), steps.more(), unread)
    }

    /// Records of kinds that this version does not know, by kind.
    pub fn unknown_kinds(&self) -> impl Iterator<Item = (&str, u64)> {
        let is_known =
            |kind: &str| COUNTED.contains(&kind) || LISTS.iter().any(|(listed, _)| *listed == kind);
        self.kinds
            .iter()
            .filter(move |(kind, _)| !is_known(kind))
            .map(|(kind, count)| (kind.as_str(), *count))
    }

    /// Operations with a decision.
    pub fn operations(&self, decision: &str) -> u64 {
        self.decisions
            .get(decision)
            .map_or(0, |tally| tally.operations)
    }
}

/// One record, as far as it is counted.
#[derive(Debug)]
pub struct One<'a> {
    /// Its number.
    pub seq: u64,
    /// Its time.
    pub time: &'a str,
    /// Operations that it stands for.
    pub count: u64,
}

/// A gap record.
#[derive(Deserialize)]
struct Lost {
    lost: u64,
}

/// Counts by words, no more of them than a reader can use.
fn count(words: &mut BTreeMap<String, u64>, word: &str, more: u64) {
    if let Some(count) = words.get_mut(word) {
        *count += more;
    } else {
        let word = if words.len() < WORDS_MAX {
            word
        } else {
            "other"
        };
        *words.entry(word.to_owned()).or_default() += more;
    }
}

/// Spells parts so that no two lists of parts are spelled alike.
fn spell(key: &mut String, parts: [Option<&str>; 3]) {
    key.clear();
    for part in parts {
        match part {
            None => key.push('-'),
            Some(part) => {
                // The length in front of a part says where the next begins.
                key.push_str(itoa(part.len(), &mut [0; 20]));
                key.push(':');
                key.push_str(part);
            }
        }
    }
}

/// A number in decimal, without an allocation.
fn itoa(mut number: usize, digits: &mut [u8; 20]) -> &str {
    let mut at = digits.len();
    loop {
        at -= 1;
        // A digit.
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    std::str::from_utf8(&digits[at..]).unwrap_or_default()
}

#[cfg(test)]
mod tests;
