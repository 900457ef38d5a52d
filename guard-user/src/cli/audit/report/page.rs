//! A review in words and numbers, each with the records that it is from. What `--format json`
//! prints; its names are an interface.

use std::collections::BTreeMap;

use serde::Serialize;

/// A review.
#[derive(Debug, Serialize)]
pub struct Page {
    pub v: u32,
    /// When it was made, and by which version.
    pub made: String,
    pub version: &'static str,
    pub hosts: Vec<String>,
    pub log: String,
    /// What was asked for.
    pub since: Option<String>,
    pub until: Option<String>,
    /// Records of the period, the first and the last of them.
    pub records: u64,
    pub first: Option<At>,
    pub last: Option<At>,
    pub kinds: BTreeMap<String, u64>,
    /// Why the period may not be whole; nothing where it is.
    pub doubts: Vec<String>,
    pub summary: Summary,
    /// Overrides of the period that are no drills, the newest first.
    pub overrides: Vec<Glass>,
    pub drills: Vec<Glass>,
    /// Steps of overrides that are too many to be shown.
    pub more_steps: u64,
    /// Operations by decision.
    pub decisions: Vec<Decision>,
    /// Refusals.
    pub tables: Vec<Table>,
    /// Everything else that a reviewer reads line by line.
    pub sections: Vec<Section>,
    pub timeline: Timeline,
}

/// Where something stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct At {
    pub seq: u64,
    pub time: String,
}

/// The figures at the top.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    pub overrides_opened: u64,
    pub overrides_refused: u64,
    pub emergency_keys: u64,
    pub refused: u64,
    pub observed: u64,
    pub granted: u64,
    pub mode_changes: u64,
    pub broken: u64,
    pub gaps: u64,
    pub lost: u64,
}

/// An override.
#[derive(Debug, Default, Serialize)]
pub struct Glass {
    /// What became of it: `opened`, `drill`, `refused`, `asked`, `earlier`, `other`.
    pub outcome: &'static str,
    pub grant: Option<String>,
    pub event: Option<String>,
    pub requester: Option<String>,
    pub incident: Option<String>,
    pub reason: Option<String>,
    pub opens: Vec<String>,
    pub object: Option<String>,
    pub carries: Option<String>,
    pub minutes: Option<u32>,
    pub uses: Option<u32>,
    pub signers_needed: Option<u32>,
    pub signed: Vec<Signed>,
    pub asked: Vec<Told>,
    pub opened: Vec<Told>,
    pub ran: Vec<Told>,
    pub refused: Vec<Told>,
    pub closed: Vec<Told>,
    pub other: Vec<Told>,
    pub through: Vec<Through>,
    /// How it ended, in words.
    pub end: String,
    /// When it was open; absent where it was not.
    pub open: Option<Open>,
}

#[derive(Debug, Serialize)]
pub struct Signed {
    pub person: String,
    pub key: String,
    pub authority: Option<String>,
    pub hardware: bool,
    pub emergency: bool,
}

/// From when to when, seconds since 1970.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Open {
    pub from: u64,
    pub to: u64,
}

/// A record in words.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    pub seq: u64,
    pub event: Option<String>,
    pub time: String,
    pub text: String,
}

/// Operations that went through under a grant.
#[derive(Debug, Serialize)]
pub struct Through {
    pub op: String,
    pub object: String,
    #[serde(flatten)]
    pub count: Count,
}

/// How many, and the records that say so.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Count {
    pub operations: u64,
    pub records: u64,
    pub first: String,
    pub last: String,
    /// Numbers of the first records; further ones up to `last_seq`.
    pub seqs: Vec<u64>,
    pub more: u64,
    pub last_seq: u64,
    /// The command that finds all of them.
    pub search: String,
}

#[derive(Debug, Serialize)]
pub struct Decision {
    #[serde(rename = "decision")]
    pub word: String,
    pub words: &'static str,
    #[serde(flatten)]
    pub count: Count,
}

/// Refusals by something.
#[derive(Debug, Serialize)]
pub struct Table {
    pub id: &'static str,
    pub title: &'static str,
    /// What a row is.
    pub head: &'static str,
    pub rows: Vec<Row>,
    /// Operations of groups that are not told apart.
    pub rest: Sums,
}

/// Refused and observed.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Sums {
    pub refused: u64,
    pub observed: u64,
}

#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub detail: Option<String>,
    pub refused: Count,
    pub observed: Count,
}

/// Records of some kinds.
#[derive(Debug, Serialize)]
pub struct Section {
    pub id: &'static str,
    pub title: &'static str,
    pub count: u64,
    /// Of them not listed: older ones.
    pub more: u64,
    pub rows: Vec<Told>,
    pub search: String,
}

#[derive(Debug, Serialize)]
pub struct Timeline {
    /// Seconds since 1970.
    pub from: u64,
    pub to: u64,
    /// Seconds of a bin.
    pub bin: u64,
    pub bins: Vec<BinTold>,
    /// Operations whose time lies in no bin.
    pub rest: Sums,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct BinTold {
    pub from: u64,
    pub refused: u64,
    pub observed: u64,
    pub granted: u64,
}
