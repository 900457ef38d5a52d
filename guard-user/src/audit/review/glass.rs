//! Overrides from their steps: who asked, who signed, what ran, what went through, how it ended.

use std::collections::HashMap;

use super::Through;
use super::tally::{Groups, Tally};
use crate::audit::record::{Actor, Body, Override, OverrideSigner, Record, RefusedOverride};

/// What a drill is about, as the controller words it.
const DRILL: &str = "nothing (a drill)";

/// One override, from the request to its end, as far as the period has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain {
    /// `G-19`; `None` where nothing was opened in the period.
    pub grant: Option<String>,
    /// Names the request.
    pub nonce: Option<String>,
    /// The refusal that it was about.
    pub event: Option<String>,
    /// Who asked.
    pub requester: Option<String>,
    /// Ticket.
    pub incident: Option<String>,
    /// Why it was asked for.
    pub reason: Option<String>,
    /// Operation classes.
    pub opens: Vec<String>,
    /// What they are opened on.
    pub object: Option<String>,
    /// What lay on it.
    pub carries: Option<String>,
    /// Life, minutes.
    pub minutes: Option<u32>,
    /// Commands that may be run.
    pub uses: Option<u32>,
    /// People who must sign.
    pub signers_needed: Option<u32>,
    /// Who signed.
    pub signers: Vec<OverrideSigner>,
    /// What happened, in the log's order.
    pub steps: Vec<Step>,
    /// What went through under it.
    pub through: Vec<(Through, Tally)>,
}

/// A step of an override.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Number of its record.
    pub seq: u64,
    /// Its time.
    pub time: String,
    /// `requested`, `opened`, `drilled`, `used`, `closed`, `reset`.
    pub step: String,
    /// Who; `None` where the time did it.
    pub by: Option<Actor>,
    /// Why it was refused.
    pub refused: Option<RefusedOverride>,
    /// Process that runs.
    pub pid: Option<u32>,
    /// What it executes.
    pub argv: Vec<String>,
    /// Why it was closed.
    pub why: Option<String>,
}

/// What became of an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The glass was broken.
    Opened,
    /// An exercise.
    Drill,
    /// Something about it was refused, and nothing was opened.
    Refused,
    /// It was asked for.
    Asked,
    /// It was opened before the period.
    Earlier,
    /// An act upon the ledger.
    Other,
}

impl Chain {
    /// The first step of this kind that was taken.
    pub fn taken(&self, step: &str) -> Option<&Step> {
        self.steps
            .iter()
            .find(|one| one.step == step && one.refused.is_none())
    }

    /// Steps of this kind that were taken.
    pub fn all(&self, step: &str) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(move |one| one.step == step && one.refused.is_none())
    }

    /// Steps that were refused.
    pub fn refused(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|one| one.refused.is_some())
    }

    /// What became of it.
    pub fn outcome(&self) -> Outcome {
        let drill = self.object.as_deref() == Some(DRILL);
        if self.taken("opened").is_some() {
            Outcome::Opened
        } else if self.taken("drilled").is_some() || drill {
            Outcome::Drill
        } else if self.grant.is_some() {
            Outcome::Earlier
        } else if self.refused().next().is_some() {
            Outcome::Refused
        } else if self.taken("requested").is_some() {
            Outcome::Asked
        } else {
            Outcome::Other
        }
    }

    fn take(&mut self, record: &Record, step: &Override) {
        let Override {
            step: word,
            by,
            refused,
            grant,
            nonce,
            event: _,
            opens,
            object,
            carries,
            requester,
            incident,
            reason,
            minutes,
            uses,
            signers_needed,
            signers,
            pid,
            argv,
            why,
        } = step;
        let keep = |mine: &mut Option<String>, told: &Option<String>| {
            if mine.is_none() {
                mine.clone_from(told);
            }
        };
        keep(&mut self.grant, grant);
        keep(&mut self.nonce, nonce);
        // Where the record is read, its own member `event` takes the one of the override.
        keep(&mut self.event, &record.event);
        keep(&mut self.requester, requester);
        keep(&mut self.incident, incident);
        keep(&mut self.reason, reason);
        // A drill is told from its request only when it is done.
        if self.object.is_none() || object.as_deref() == Some(DRILL) {
            keep(&mut self.carries, carries);
            self.object.clone_from(object);
            self.opens.clone_from(opens);
        }
        self.minutes = self.minutes.or(*minutes);
        self.uses = self.uses.or(*uses);
        self.signers_needed = self.signers_needed.or(*signers_needed);
        // Those of a step that was refused have opened nothing.
        if refused.is_none() && !signers.is_empty() {
            self.signers.clone_from(signers);
        }
        self.steps.push(Step {
            seq: record.seq,
            time: record.time.clone(),
            step: word.clone(),
            by: by.clone(),
            refused: refused.clone(),
            pid: *pid,
            argv: argv.clone(),
            why: why.clone(),
        });
    }
}

/// Puts steps together by the request that they are about, or by the grant where a step does not
/// say which request; those that say neither stand alone.
pub(super) fn chains(records: &[Record], through: &Groups<Through>) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut by_nonce: HashMap<String, usize> = HashMap::new();
    let mut by_grant: HashMap<String, usize> = HashMap::new();
    for record in records {
        let Body::Override(step) = &record.body else {
            continue;
        };
        let known = match (&step.nonce, &step.grant) {
            (Some(nonce), _) => by_nonce.get(nonce),
            (None, Some(grant)) => by_grant.get(grant),
            (None, None) => None,
        };
        let at = known.copied().unwrap_or_else(|| {
            chains.push(Chain::default());
            chains.len() - 1
        });
        if let Some(nonce) = &step.nonce {
            by_nonce.insert(nonce.clone(), at);
        }
        if let Some(grant) = &step.grant {
            by_grant.insert(grant.clone(), at);
        }
        chains[at].take(record, step);
    }
    for (what, pair) in through.iter() {
        let at = by_grant.get(&what.grant).copied().unwrap_or_else(|| {
            chains.push(Chain {
                grant: Some(what.grant.clone()),
                ..Chain::default()
            });
            by_grant.insert(what.grant.clone(), chains.len() - 1);
            chains.len() - 1
        });
        chains[at]
            .through
            .push((what.clone(), pair.observed.clone()));
    }
    for chain in &mut chains {
        chain
            .through
            .sort_by(|(_, one), (_, other)| one.seqs.cmp(&other.seqs));
    }
    // Those known only by what went through stand in the order of their grants.
    chains.sort_by_key(|chain| {
        let first = chain.steps.first().map(|step| step.seq);
        let through = chain
            .through
            .first()
            .and_then(|(_, tally)| tally.seqs.first().copied());
        first.or(through)
    });
    chains
}
