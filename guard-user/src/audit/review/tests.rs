use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tally::Pair;
use super::*;
use crate::audit::filter::{Filter, NONE};
use crate::audit::record::{Body, Denial};
use crate::audit::sample::{self, Sample};
use crate::audit::time::NANOS;

const START: u64 = 1_795_000_000 * NANOS;

fn bytes_of(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    sample::write(&mut bytes, records.iter().cloned()).expect("written");
    bytes
}

/// The report of a log that is read in pieces of so many lines.
fn review(records: &[Record], piece: usize, period: &Period) -> Part {
    let mut whole = Part::default();
    for records in records.chunks(piece) {
        whole.append(Part::of(&bytes_of(records), period), true);
    }
    whole
}

/// What a group's counts are, from whole records and in the plainest way.
fn naive<K: Ord>(
    records: &[&Record],
    decision: &str,
    key: impl Fn(&Denial) -> K,
) -> BTreeMap<K, (u64, u64)> {
    let mut counts: BTreeMap<K, (u64, u64)> = BTreeMap::new();
    for record in records {
        if let Body::Denial(denial) = &record.body
            && denial.decision == decision
        {
            let count = counts.entry(key(denial)).or_default();
            count.0 += denial.count;
            count.1 += 1;
        }
    }
    counts
}

fn told<K, N: Ord>(
    groups: &Groups<K>,
    of: fn(&Pair) -> &Tally,
    name: impl Fn(&K) -> N,
) -> BTreeMap<N, (u64, u64)> {
    groups
        .iter()
        .filter(|(_, pair)| of(pair).records > 0)
        .map(|(key, pair)| (name(key), (of(pair).operations, of(pair).records)))
        .collect()
}

fn run_as(denial: &Denial) -> String {
    let process = &denial.process;
    process
        .user
        .clone()
        .unwrap_or_else(|| process.uid.to_string())
}

fn program(denial: &Denial) -> String {
    let process = &denial.process;
    if process.exe.is_empty() {
        &process.comm
    } else {
        &process.exe
    }
    .clone()
}

/// Every count of a report, counted again.
fn check(part: &Part, records: &[Record], period: &Period) {
    let within: Vec<&Record> = records
        .iter()
        .filter(|record| period.has(&record.time))
        .collect();
    assert_eq!(part.records, within.len() as u64);
    assert_eq!(part.extent.records, records.len() as u64);
    assert_eq!(
        part.first.as_ref().map(|one| one.0),
        within.first().map(|one| one.seq)
    );
    assert_eq!(
        part.last.as_ref().map(|one| one.0),
        within.last().map(|one| one.seq)
    );
    assert_eq!(part.unreadable, 0);
    for (decision, of) in [
        ("deny", (|pair: &Pair| &pair.refused) as fn(&Pair) -> &Tally),
        ("would-deny", |pair: &Pair| &pair.observed),
    ] {
        assert_eq!(
            told(&part.people, of, |one| (
                one.login.clone(),
                one.run_as.clone()
            )),
            naive(&within, decision, |denial| {
                let session = denial.process.auid.is_some();
                (
                    denial.process.login.clone(),
                    (!session).then(|| run_as(denial)),
                )
            })
        );
        assert_eq!(
            told(&part.jobs, of, |one| (
                one.exe.clone(),
                one.unit.clone(),
                one.container.clone()
            )),
            naive(&within, decision, |denial| {
                (
                    program(denial),
                    denial.process.unit.clone(),
                    denial.process.container.clone(),
                )
            })
        );
        assert_eq!(
            told(&part.things, of, |one| (one.name.clone(), one.wwid.clone())),
            naive(&within, decision, |denial| {
                (denial.object.name.clone(), denial.object.wwid.clone())
            })
        );
    }
    let through = told(
        &part.through,
        |pair| &pair.observed,
        |one| (one.grant.clone(), one.op.clone(), one.object.clone()),
    );
    let wanted = naive(&within, "granted", |denial| {
        let grant = denial
            .grant
            .as_ref()
            .map_or_else(String::new, |one| one.id.clone());
        (grant, denial.op.clone(), denial.object.name.clone())
    });
    assert_eq!(through, wanted);
    for decision in ["deny", "would-deny", "granted", "allowed", "record"] {
        let wanted: u64 = naive(&within, decision, |_| ())
            .values()
            .map(|one| one.0)
            .sum();
        assert_eq!(part.operations(decision), wanted, "{decision}");
    }
    let all = part.timeline.total();
    assert_eq!(all.refused, part.operations("deny"));
    assert_eq!(all.observed, part.operations("would-deny"));
    assert_eq!(all.granted, part.operations("granted"));
    check_kinds(part, &within);
    check_chains(part, &within);
}

fn check_kinds(part: &Part, within: &[&Record]) {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    let mut lost = 0;
    for record in within {
        let value = serde_json::to_value(record).expect("JSON");
        *kinds
            .entry(value["kind"].as_str().expect("a kind").to_owned())
            .or_default() += 1;
        if let Body::Gap(gap) = &record.body {
            lost += gap.lost;
        }
    }
    assert_eq!((&part.kinds, part.lost), (&kinds, lost));
    for (kind, _) in LISTS {
        let listed = part.list(kind);
        assert_eq!(
            listed.count,
            kinds.get(*kind).copied().unwrap_or(0),
            "{kind}"
        );
        assert_eq!(
            listed.more() + listed.records().0.len() as u64,
            listed.count,
            "{kind}"
        );
    }
}

fn check_chains(part: &Part, within: &[&Record]) {
    let (chains, more, unread) = part.chains();
    assert_eq!((more, unread), (0, 0));
    let steps: Vec<(u64, &crate::audit::record::Override)> = within
        .iter()
        .filter_map(|record| match &record.body {
            Body::Override(step) => Some((record.seq, &**step)),
            _ => None,
        })
        .collect();
    let mut seqs: Vec<u64> = chains
        .iter()
        .flat_map(|chain| chain.steps.iter().map(|step| step.seq))
        .collect();
    seqs.sort_unstable();
    let wanted: Vec<u64> = steps.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(seqs, wanted, "every step stands in one override");
    for word in ["requested", "opened", "used", "closed", "drilled"] {
        let taken: usize = chains.iter().map(|chain| chain.all(word).count()).sum();
        let wanted = steps
            .iter()
            .filter(|(_, one)| one.step == word && one.refused.is_none())
            .count();
        assert_eq!(taken, wanted, "{word}");
    }
    let opened = chains
        .iter()
        .filter(|chain| chain.outcome() == glass::Outcome::Opened);
    for chain in opened {
        assert_eq!(chain.signers.len(), 2);
        assert!(chain.steps.iter().all(|step| step.refused.is_none()));
        // A step that names no request belongs to the grant's.
        let own = steps
            .iter()
            .filter(|(_, one)| one.grant.is_some() && one.grant == chain.grant)
            .count();
        let requested = chain.all("requested").count();
        assert_eq!(chain.steps.len(), own + requested);
    }
    let through: u64 = chains
        .iter()
        .flat_map(|chain| &chain.through)
        .map(|(_, tally)| tally.operations)
        .sum();
    assert_eq!(through, part.operations("granted"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However the log is cut, and whatever period is asked for, every count is that of a plain
    /// count over the same records.
    #[test]
    fn counts_are_those_of_a_plain_count(seed: u64, piece in 1_usize..90, denials in 0_u64..1_000, since in prop::option::of(0_usize..160), until in prop::option::of(0_usize..160)) {
        let records: Vec<Record> = Sample::new(seed, START).denials(denials).take(160).collect();
        let time = |at: Option<usize>| at.map(|at| records[at].time.clone());
        let period = Period { since: time(since), until: time(until) };
        check(&review(&records, piece, &period), &records, &period);
    }
}

/// The records that a row names are found again by the search that stands beside it.
#[test]
fn rows_lead_to_their_records() {
    let records: Vec<Record> = Sample::new(9, START).take(400).collect();
    let part = review(&records, 37, &Period::default());
    let bytes = bytes_of(&records);
    let none = |text: &Option<String>| Some(text.clone().unwrap_or_else(|| NONE.to_owned()));
    let mut filters: Vec<(Filter, &Pair)> = Vec::new();
    for (one, pair) in part.people.sorted() {
        let filter = Filter {
            login: Some(one.login.clone()),
            run_as: one.run_as.clone(),
            ..Filter::default()
        };
        filters.push((filter, pair));
    }
    for (one, pair) in part.jobs.sorted() {
        let filter = Filter {
            exe: Some(one.exe.clone()),
            unit: none(&one.unit),
            container: none(&one.container),
            ..Filter::default()
        };
        filters.push((filter, pair));
    }
    for (one, pair) in part.things.sorted() {
        let filter = Filter {
            object: Some(one.name.clone()),
            wwid: none(&one.wwid),
            ..Filter::default()
        };
        filters.push((filter, pair));
    }
    assert!(filters.len() > 40);
    for (filter, pair) in filters {
        for (decision, tally) in [("deny", &pair.refused), ("would-deny", &pair.observed)] {
            let filter = Filter {
                decision: Some(decision.into()),
                ..filter.clone()
            };
            let mut seqs = Vec::new();
            filter
                .matcher()
                .lines(&bytes, |line| seqs.extend(peek(line).map(|seen| seen.seq)));
            assert_eq!(seqs.len() as u64, tally.records, "{filter:?}");
            assert_eq!(seqs[..seqs.len().min(tally::NAMED)], tally.seqs[..]);
            if let Some(last) = seqs.last() {
                assert_eq!(*last, tally.last_seq);
            }
        }
    }
}

#[test]
fn a_step_without_its_request_belongs_to_the_grant() {
    let mut records: Vec<Record> = Sample::new(4, START).denials(0).take(600).collect();
    records.retain(|record| matches!(record.body, Body::Override(_)));
    let part = review(&records, 11, &Period::default());
    let (chains, ..) = part.chains();
    let nameless = records.iter().filter(|record| matches!(&record.body, Body::Override(step) if step.nonce.is_none() && step.grant.is_some())).count();
    assert!(nameless > 0, "the sample has no such step");
    for chain in chains.iter().filter(|chain| chain.grant.is_some()) {
        assert_eq!(chain.outcome(), glass::Outcome::Opened);
        assert!(chain.event.is_some() && chain.incident.is_some());
    }
    // Without the step that opened it, it was opened before.
    let later: Vec<Record> = records
        .iter()
        .filter(|record| matches!(&record.body, Body::Override(step) if step.step == "closed"))
        .cloned()
        .collect();
    let (chains, ..) = review(&later, 5, &Period::default()).chains();
    assert!(
        chains
            .iter()
            .all(|chain| chain.outcome() == glass::Outcome::Earlier)
    );
}

/// More groups than are kept are counted all the same, and a group is whole or not there.
#[test]
fn too_many_groups() {
    const HALF: u64 = tally::GROUPS_MAX as u64 / 2 + 3;
    let mut groups: Groups<u64> = Groups::default();
    let record = |seq: u64| One {
        seq,
        time: "2026-11-21T00:00:00.000000Z",
        count: 2,
    };
    for round in 1..4 {
        let mut part: Groups<u64> = Groups::default();
        for number in 0..HALF * round {
            part.add(&number.to_string(), || number, true, &record(number));
        }
        groups.append(part);
    }
    let kept: u64 = groups.iter().map(|(_, pair)| pair.refused.records).sum();
    let made = HALF * (1 + 2 + 3);
    assert_eq!(groups.iter().count(), tally::GROUPS_MAX);
    assert_eq!(kept + groups.rest.refused.records, made);
    assert_eq!(
        groups.rest.refused.operations,
        groups.rest.refused.records * 2
    );
}

#[test]
fn bins_hold_everything_between_their_ends() {
    let records: Vec<Record> = Sample::new(2, START).take(500).collect();
    let part = review(&records, 100, &Period::default());
    let (first, last) = part.timeline.span().expect("some");
    for most in [1, 7, 96, 1_000] {
        let (bins, length) = part.timeline.bins(first, last, most);
        assert!(bins.len() as u64 <= most && length % timeline::STEP == 0);
        let refused: u64 = bins.iter().map(|bin| bin.counts.refused).sum();
        assert_eq!(refused, part.operations("deny"));
        assert!(
            bins.windows(2)
                .all(|pair| pair[1].from - pair[0].from == length)
        );
    }
    let mut odd = Timeline::default();
    for time in [
        "",
        "2026-13-01T00:00:00Z",
        "not a time at all",
        "2026-11-21Tab:cd",
    ] {
        odd.add(time, "deny", 1);
    }
    assert_eq!((odd.rest.refused, odd.span()), (4, None));
}
