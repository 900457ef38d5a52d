//! Counts, with the records they are from.

use std::collections::HashMap;

use super::One;

/// More groups than this are counted together.
pub const GROUPS_MAX: usize = 5_000;
/// Records that a count names; all of them are found by the search that stands beside it.
pub const NAMED: usize = 8;

/// Operations and the records that tell of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Operations.
    pub operations: u64,
    /// Records that stand for them.
    pub records: u64,
    /// Time of the earliest.
    pub first: String,
    /// Time of the latest.
    pub last: String,
    /// Numbers of the first [`NAMED`] in the log.
    pub seqs: Vec<u64>,
    /// Number of the last in the log.
    pub last_seq: u64,
}

impl Tally {
    /// Counts a record.
    pub fn add(&mut self, one: &One<'_>) {
        self.operations += one.count;
        self.records += 1;
        if self.first.is_empty() || one.time < self.first.as_str() {
            self.first.clear();
            self.first.push_str(one.time);
        }
        if one.time > self.last.as_str() {
            self.last.clear();
            self.last.push_str(one.time);
        }
        if self.seqs.len() < NAMED {
            self.seqs.push(one.seq);
        }
        self.last_seq = one.seq;
    }

    /// Adds what stands behind it in the log.
    pub fn append(&mut self, later: Self) {
        if later.records == 0 {
            return;
        }
        self.operations += later.operations;
        self.records += later.records;
        if self.first.is_empty() || later.first < self.first {
            self.first = later.first;
        }
        if later.last > self.last {
            self.last = later.last;
        }
        let room = NAMED - self.seqs.len();
        self.seqs.extend(later.seqs.into_iter().take(room));
        self.last_seq = later.last_seq;
    }
}

/// What was refused, and what would have been. Of what a grant let through, the second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// Refused.
    pub refused: Tally,
    /// Observed, not refused.
    pub observed: Tally,
}

impl Pair {
    fn of(&mut self, is_refused: bool) -> &mut Tally {
        if is_refused {
            &mut self.refused
        } else {
            &mut self.observed
        }
    }

    fn append(&mut self, later: Self) {
        self.refused.append(later.refused);
        self.observed.append(later.observed);
    }
}

/// Counts by something.
#[derive(Clone, Debug)]
pub struct Groups<K> {
    groups: HashMap<String, (K, Pair)>,
    /// Of groups beyond [`GROUPS_MAX`].
    pub rest: Pair,
}

impl<K> Default for Groups<K> {
    fn default() -> Self {
        Self {
            groups: HashMap::new(),
            rest: Pair::default(),
        }
    }
}

impl<K> Groups<K> {
    /// Counts a record of the group with this key, which is `make` where it is new.
    pub fn add(&mut self, key: &str, make: impl FnOnce() -> K, is_refused: bool, one: &One<'_>) {
        if let Some((_, pair)) = self.groups.get_mut(key) {
            pair.of(is_refused).add(one);
        } else if self.groups.len() < GROUPS_MAX {
            let mut pair = Pair::default();
            pair.of(is_refused).add(one);
            self.groups.insert(key.to_owned(), (make(), pair));
        } else {
            self.rest.of(is_refused).add(one);
        }
    }

    /// Adds what stands behind it in the log. A group that found no room never finds any.
    pub fn append(&mut self, later: Self) {
        self.rest.append(later.rest);
        for (key, (name, pair)) in later.groups {
            let room = self.groups.len() < GROUPS_MAX;
            if let Some((_, known)) = self.groups.get_mut(&key) {
                known.append(pair);
            } else if room {
                self.groups.insert(key, (name, pair));
            } else {
                self.rest.append(pair);
            }
        }
    }

    /// The groups, those with most refusals first.
    pub fn sorted(&self) -> Vec<(&K, &Pair)> {
        let mut groups: Vec<(&String, &(K, Pair))> = self.groups.iter().collect();
        groups.sort_by(|(one_key, (_, one)), (other_key, (_, other))| {
            let size = |pair: &Pair| (pair.refused.operations, pair.observed.operations);
            size(other)
                .cmp(&size(one))
                .then_with(|| one_key.cmp(other_key))
        });
        groups
            .into_iter()
            .map(|(_, (name, pair))| (name, pair))
            .collect()
    }

    /// Every group, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Pair)> {
        self.groups.values().map(|(name, pair)| (name, pair))
    }
}
