//! What was read, and what is not there to be read.

use super::peek::Peek;
use crate::audit::segments::Hole;

/// More holes than this are counted and not listed.
pub const HOLES_MAX: usize = 1_000;

/// A record by number and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Number.
    pub seq: u64,
    /// Time, RFC 3339 in UTC.
    pub time: String,
}

/// What was read of a stretch of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Records.
    pub records: u64,
    /// Lines that are no records of this version.
    pub not_records: u64,
    /// The record that stands first.
    pub first: Option<Mark>,
    /// The record that stands last.
    pub last: Option<Mark>,
    /// Ranges of numbers that are in no file that can be read, the first [`HOLES_MAX`].
    pub holes: Vec<Hole>,
    /// Further such ranges.
    pub more_holes: u64,
    /// Records whose number is not above that of the record before: somebody changed the log.
    pub out_of_order: u64,
    /// Times the numbering began anew.
    pub anew: u64,
}

impl Extent {
    /// Takes the next record.
    pub fn take(&mut self, peek: &Peek<'_>) {
        self.records += 1;
        self.follow(peek.seq, &peek.time);
        if let Some(last) = &mut self.last {
            // Most records: no allocation.
            last.seq = peek.seq;
            last.time.clear();
            last.time.push_str(&peek.time);
        } else {
            let mark = Mark {
                seq: peek.seq,
                time: peek.time.clone().into_owned(),
            };
            self.first = Some(mark.clone());
            self.last = Some(mark);
        }
    }

    /// Notes what lies between the last record and one with this number.
    fn follow(&mut self, seq: u64, time: &str) {
        let Some(last) = &self.last else { return };
        if seq <= last.seq {
            self.out_of_order += 1;
        } else if seq > last.seq + 1 {
            let hole = Hole {
                first: last.seq + 1,
                last: seq - 1,
                from: Some(last.time.clone()),
                to: time.to_owned(),
            };
            self.note(hole);
        }
    }

    fn note(&mut self, hole: Hole) {
        if self.holes.len() < HOLES_MAX {
            self.holes.push(hole);
        } else {
            self.more_holes += 1;
        }
    }

    /// Appends what was read behind this. `same_run` is false where the numbering began anew in
    /// between.
    pub fn append(&mut self, later: Self, same_run: bool) {
        let Self {
            records,
            not_records,
            first,
            last,
            holes,
            more_holes,
            out_of_order,
            anew,
        } = later;
        if let Some(first) = &first
            && self.last.is_some()
        {
            if same_run {
                self.follow(first.seq, &first.time);
            } else {
                self.anew += 1;
            }
        }
        self.records += records;
        self.not_records += not_records;
        self.more_holes += more_holes;
        self.out_of_order += out_of_order;
        self.anew += anew;
        for hole in holes {
            self.note(hole);
        }
        if self.first.is_none() {
            self.first = first;
        }
        if last.is_some() {
            self.last = last;
        }
    }
}
