//! When operations were refused, in steps of ten minutes.

use std::collections::BTreeMap;

use crate::audit::time::{NANOS, parse_moment};

/// Seconds of a step.
pub const STEP: u64 = 600;
/// More steps than this with something in them are not told apart: two years, each of them busy.
const STEPS_MAX: usize = 105_000;

/// Operations of a step, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Refused.
    pub refused: u64,
    /// Would have been.
    pub observed: u64,
    /// Let through under a grant.
    pub granted: u64,
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.refused += more.refused;
        self.observed += more.observed;
        self.granted += more.granted;
    }
}

/// Operations over time.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    steps: BTreeMap<u64, Counts>,
    /// What is in no step.
    pub rest: Counts,
    /// The day that was met last, and its first step.
    day: (String, u64),
}

/// A stretch of time and what happened in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bin {
    /// Its beginning, seconds since 1970.
    pub from: u64,
    /// What happened.
    pub counts: Counts,
}

impl Timeline {
    /// Counts operations with a decision at a time.
    pub fn add(&mut self, time: &str, decision: &str, count: u64) {
        let mut counts = Counts::default();
        match decision {
            "deny" => counts.refused = count,
            "would-deny" => counts.observed = count,
            "granted" => counts.granted = count,
            _ => return,
        }
        match self.step(time) {
            Some(step) => self.put(step, counts),
            None => self.rest.add(counts),
        }
    }

    fn put(&mut self, step: u64, counts: Counts) {
        let room = self.steps.len() < STEPS_MAX;
        if let Some(known) = self.steps.get_mut(&step) {
            known.add(counts);
        } else if room {
            self.steps.insert(step, counts);
        } else {
            self.rest.add(counts);
        }
    }

    /// The step of a time; days are parsed once.
    fn step(&mut self, time: &str) -> Option<u64> {
        let (day, clock) = (time.get(..10)?, time.as_bytes().get(11..16)?);
        if self.day.0 != day {
            let start = parse_moment(day, 0)? / NANOS / STEP;
            self.day = (day.to_owned(), start);
        }
        let digit = |at: usize| {
            clock[at]
                .is_ascii_digit()
                .then(|| u64::from(clock[at] - b'0'))
        };
        let minutes = (digit(0)? * 10 + digit(1)?) * 60 + digit(3)? * 10 + digit(4)?;
        Some(self.day.1 + minutes * 60 / STEP)
    }

    /// Adds another.
    pub fn append(&mut self, later: Self) {
        self.rest.add(later.rest);
        for (step, counts) in later.steps {
            self.put(step, counts);
        }
    }

    /// At most `most` bins of equal length from `from` to `to` (seconds since 1970); and the length
    /// in seconds, a whole number of steps.
    pub fn bins(&self, from: u64, to: u64, most: u64) -> (Vec<Bin>, u64) {
        let (first, last) = (from / STEP, to.max(from) / STEP);
        let steps = (last - first + 1).div_ceil(most.max(1));
        let length = steps * STEP;
        let count = (last - first + 1).div_ceil(steps);
        let mut bins: Vec<Bin> = (0..count)
            .map(|at| Bin {
                from: first * STEP + at * length,
                counts: Counts::default(),
            })
            .collect();
        for (step, counts) in &self.steps {
            let at = step.checked_sub(first).map(|behind| behind / steps);
            if let Some(bin) = at.and_then(|at| bins.get_mut(usize::try_from(at).ok()?)) {
                bin.counts.add(*counts);
            }
        }
        (bins, length)
    }

    /// All of it.
    pub fn total(&self) -> Counts {
        let mut total = self.rest;
        for counts in self.steps.values() {
            total.add(*counts);
        }
        total
    }

    /// Beginning of the first step and of the last, seconds since 1970.
    pub fn span(&self) -> Option<(u64, u64)> {
        let first = self.steps.first_key_value()?.0;
        let last = self.steps.last_key_value()?.0;
        Some((first * STEP, last * STEP))
    }
}
