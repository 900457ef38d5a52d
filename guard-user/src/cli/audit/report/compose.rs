//! From the facts of a period to its page.

use std::path::Path;

use super::super::super::text::command_line;
use super::super::words::said;
use super::breaking::glass;
use super::doubts::doubts;
use super::page::{
    At, BinTold, Count, Decision, Glass, Page, Row, Section, Summary, Sums, Table, Timeline, Told,
};
use crate::audit::filter::{Filter, NONE};
use crate::audit::names::printable;
use crate::audit::record::{Body, Record};
use crate::audit::review::tally::{Groups, Pair, Tally};
use crate::audit::review::timeline::{Bin, Counts};
use crate::audit::review::{Part, Period};
use crate::audit::scan::Scan;
use crate::audit::time::{NANOS, parse_moment, rfc3339};

/// Version of what `--format json` prints.
const SCHEMA: u32 = 1;
/// Bins of the timeline.
const BINS: u64 = 96;

/// Sections: id, title, the kinds in them.
const SECTIONS: &[(&str, &str, &[&str])] = &[
    ("modes", "Changes of mode", &["mode"]),
    ("gaps", "Gaps and torn lines", &["gap", "recovered"]),
    ("health", "Health", &["health"]),
    ("releases", "Releases and marks", &["release", "mark"]),
    ("unloads", "Guard taken out", &["unload"]),
    (
        "descriptors",
        "Devices held open from before",
        &["descriptor"],
    ),
    ("states", "Changes of state", &["state"]),
    (
        "controller",
        "Controller and configuration",
        &["start", "stop", "config"],
    ),
];

impl Page {
    /// Puts the facts of a period together. `made` is now, ns since 1970.
    pub fn put_together(part: &Part, scan: &Scan, period: &Period, log: &Path, made: u64) -> Self {
        let mut doubts = doubts(part, scan, period);
        let (chains, more_steps, unread_steps) = part.chains();
        if unread_steps > 0 {
            doubts.push(format!(
                "{unread_steps} steps of overrides could not be read."
            ));
        }
        let search = Searches(period);
        let (from, to) = ends(part, period, made);
        let glasses: Vec<Glass> = chains
            .iter()
            .rev()
            .map(|one| glass(one, from, to, &search))
            .collect();
        let (drills, overrides): (Vec<_>, Vec<_>) =
            glasses.into_iter().partition(|one| one.outcome == "drill");
        let sections: Vec<Section> = SECTIONS
            .iter()
            .map(|one| section(one, part, &search))
            .collect();
        let mark = |one: &Option<(u64, String)>| {
            one.as_ref().map(|(seq, time)| At {
                seq: *seq,
                time: time.clone(),
            })
        };
        Self {
            v: SCHEMA,
            made: rfc3339(made),
            version: env!("CARGO_PKG_VERSION"),
            hosts: part.hosts.keys().cloned().collect(),
            log: log.to_string_lossy().into_owned(),
            records: part.records,
            first: mark(&part.first),
            last: mark(&part.last),
            kinds: part.kinds.clone(),
            summary: summary(part, &overrides),
            decisions: decisions(part, &search),
            tables: tables(part, &search),
            timeline: timeline(part, from, to),
            since: period.since.clone(),
            until: period.until.clone(),
            doubts,
            overrides,
            drills,
            more_steps,
            sections,
        }
    }
}

/// Commands that find what a count is from.
pub struct Searches<'a>(&'a Period);

impl Searches<'_> {
    /// The command that finds what this asks for, in the period.
    pub fn of(&self, filter: Filter) -> String {
        let filter = Filter {
            since: self.0.since.clone(),
            until: self.0.until.clone(),
            ..filter
        };
        let words = ["dbguard", "audit", "search"].map(str::to_owned);
        command_line(&[&words[..], &filter.options()].concat())
    }

    /// A count with the command that finds its records.
    pub fn count(&self, tally: &Tally, filter: Filter) -> Count {
        let Tally {
            operations,
            records,
            first,
            last,
            seqs,
            last_seq,
        } = tally;
        Count {
            operations: *operations,
            records: *records,
            first: first.clone(),
            last: last.clone(),
            seqs: seqs.clone(),
            more: records - seqs.len() as u64,
            last_seq: *last_seq,
            search: if *records == 0 {
                String::new()
            } else {
                self.of(filter)
            },
        }
    }
}

fn summary(part: &Part, overrides: &[Glass]) -> Summary {
    let count = |kind: &str| part.kinds.get(kind).copied().unwrap_or(0);
    let is = |outcome: &str| {
        overrides
            .iter()
            .filter(|one| one.outcome == outcome)
            .count() as u64
    };
    let sealed =
        |one: &&Glass| one.outcome == "opened" && one.signed.iter().any(|one| one.emergency);
    let (health, _) = part.list("health").records();
    let broken = health
        .iter()
        .filter(|one| matches!(&one.body, Body::Health(health) if !health.healthy));
    Summary {
        overrides_opened: is("opened"),
        overrides_refused: is("refused"),
        emergency_keys: overrides.iter().filter(sealed).count() as u64,
        refused: part.operations("deny"),
        observed: part.operations("would-deny"),
        granted: part.operations("granted"),
        mode_changes: count("mode"),
        broken: broken.count() as u64,
        gaps: count("gap"),
        lost: part.lost,
    }
}

fn decisions(part: &Part, search: &Searches<'_>) -> Vec<Decision> {
    let mut told: Vec<Decision> = Vec::new();
    for (decision, words) in [
        ("deny", "refused"),
        ("would-deny", "would have been refused, only observed"),
        ("granted", "let through under an override"),
        (
            "allowed",
            "let through, because the configuration allows the class",
        ),
        ("record", "let through and noted"),
        ("other", "something else"),
    ] {
        let unknown = |word: &&String| {
            !["deny", "would-deny", "granted", "allowed", "record"].contains(&word.as_str())
        };
        let words_of: Vec<&String> = part
            .decisions
            .keys()
            .filter(|word| word.as_str() == decision || decision == "other" && unknown(word))
            .collect();
        for word in words_of {
            let filter = Filter {
                decision: Some(word.clone()),
                ..Filter::default()
            };
            told.push(Decision {
                word: word.clone(),
                words,
                count: search.count(&part.decisions[word], filter),
            });
        }
    }
    told
}

fn tables(part: &Part, search: &Searches<'_>) -> Vec<Table> {
    let none = |text: &Option<String>| Some(text.clone().unwrap_or_else(|| NONE.to_owned()));
    let people = table(&part.people, search, |one| {
        let filter = Filter {
            login: Some(one.login.clone()),
            run_as: one.run_as.clone(),
            ..Filter::default()
        };
        let detail = one.run_as.as_ref().map(|user| format!("ran as {user}"));
        (one.login.clone(), detail, filter)
    });
    let jobs = table(&part.jobs, search, |one| {
        let filter = Filter {
            exe: Some(one.exe.clone()),
            unit: none(&one.unit),
            container: none(&one.container),
            ..Filter::default()
        };
        let place = match (&one.unit, &one.container) {
            (Some(unit), Some(container)) => format!("{unit}, container {}", short(container)),
            (Some(unit), None) => unit.clone(),
            (None, Some(container)) => format!("container {}", short(container)),
            (None, None) => "in no unit".to_owned(),
        };
        (one.exe.clone(), Some(place), filter)
    });
    let things = table(&part.things, search, |one| {
        let filter = Filter {
            object: Some(one.name.clone()),
            wwid: none(&one.wwid),
            ..Filter::default()
        };
        (one.name.clone(), one.wwid.clone(), filter)
    });
    let rest = |pair: &Pair| Sums {
        refused: pair.refused.operations,
        observed: pair.observed.operations,
    };
    vec![
        Table {
            id: "people",
            title: "Refusals by person",
            head: "Person",
            rows: people,
            rest: rest(&part.people.rest),
        },
        Table {
            id: "jobs",
            title: "Refusals by job",
            head: "Program",
            rows: jobs,
            rest: rest(&part.jobs.rest),
        },
        Table {
            id: "objects",
            title: "Refusals by device",
            head: "Device or file",
            rows: things,
            rest: rest(&part.things.rest),
        },
    ]
}

fn table<K>(
    groups: &Groups<K>,
    search: &Searches<'_>,
    name: impl Fn(&K) -> (String, Option<String>, Filter),
) -> Vec<Row> {
    let row = |(key, pair): (&K, &Pair)| {
        let (name, detail, filter) = name(key);
        let count = |tally: &Tally, decision: &str| {
            let decision = Some(decision.to_owned());
            search.count(
                tally,
                Filter {
                    decision,
                    ..filter.clone()
                },
            )
        };
        Row {
            name,
            detail,
            refused: count(&pair.refused, "deny"),
            observed: count(&pair.observed, "would-deny"),
        }
    };
    groups.sorted().into_iter().map(row).collect()
}

fn short(container: &str) -> &str {
    container.get(..12).unwrap_or(container)
}

fn section(
    (id, title, kinds): &(&'static str, &'static str, &[&str]),
    part: &Part,
    search: &Searches<'_>,
) -> Section {
    let (mut count, mut more) = (0, 0);
    let mut records: Vec<Record> = Vec::new();
    for kind in *kinds {
        let list = part.list(kind);
        let (read, unread) = list.records();
        count += list.count;
        more += list.more() + unread;
        records.extend(read);
    }
    records.sort_by(|one, other| (&one.time, one.seq).cmp(&(&other.time, other.seq)));
    let with_kind = |record: &Record| {
        let (label, text) = said(record);
        let text = if kinds.len() > 1 {
            format!("{label}: {text}")
        } else {
            text
        };
        told(record.seq, record.event.clone(), &record.time, &text)
    };
    let searches = kinds.iter().map(|kind| {
        let kind = Some((*kind).to_owned());
        search.of(Filter {
            kind,
            ..Filter::default()
        })
    });
    Section {
        id,
        title,
        count,
        more,
        rows: records.iter().map(with_kind).collect(),
        search: searches.collect::<Vec<_>>().join("; "),
    }
}

/// A record in words, made safe for any reader.
pub fn told(seq: u64, event: Option<String>, time: &str, text: &str) -> Told {
    Told {
        seq,
        event,
        time: time.to_owned(),
        text: printable(text),
    }
}

/// Seconds since 1970 of a record's time.
pub fn unix(time: &str) -> Option<u64> {
    Some(parse_moment(time, 0)? / NANOS)
}

/// Where the picture begins and ends: the period that was asked for, as far as there are records.
fn ends(part: &Part, period: &Period, made: u64) -> (u64, u64) {
    let of = |time: Option<&String>| time.and_then(|time| unix(time));
    let first = of(part.first.as_ref().map(|one| &one.1));
    let last = of(part.last.as_ref().map(|one| &one.1));
    let span = part.timeline.span();
    let earliest = [first, last, span.map(|span| span.0)]
        .into_iter()
        .flatten()
        .min();
    let latest = [first, last, span.map(|span| span.1)]
        .into_iter()
        .flatten()
        .max();
    let from = of(period.since.as_ref())
        .or(earliest)
        .unwrap_or(made / NANOS);
    let until = of(period.until.as_ref()).map(|until| until.saturating_sub(1).min(made / NANOS));
    let to = until.max(latest).unwrap_or(from);
    (from, to.max(from))
}

fn timeline(part: &Part, from: u64, to: u64) -> Timeline {
    let (bins, length) = part.timeline.bins(from, to, BINS);
    let told: Vec<BinTold> = bins
        .iter()
        .map(|Bin { from, counts }| BinTold {
            from: *from,
            refused: counts.refused,
            observed: counts.observed,
            granted: counts.granted,
        })
        .collect();
    let Counts {
        refused, observed, ..
    } = part.timeline.total();
    let inside = |of: fn(&BinTold) -> u64| told.iter().map(of).sum::<u64>();
    Timeline {
        from: bins.first().map_or(from, |bin| bin.from),
        to: bins.last().map_or(to, |bin| bin.from + length),
        bin: length,
        rest: Sums {
            refused: refused - inside(|bin| bin.refused),
            observed: observed - inside(|bin| bin.observed),
        },
        bins: told,
    }
}
