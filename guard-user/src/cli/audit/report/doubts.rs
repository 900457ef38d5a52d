//! What keeps a reviewer from taking a period for whole.

use crate::audit::names::printable;
use crate::audit::review::{Part, Period};
use crate::audit::scan::Scan;
use crate::audit::segments::Hole;

use super::super::words::seconds;

/// More holes than this are counted and not listed.
const HOLES: usize = 50;

/// Why the period may not be whole, in sentences; none where it is.
pub fn doubts(part: &Part, scan: &Scan, period: &Period) -> Vec<String> {
    let mut doubts = Vec::new();
    let extent = &part.extent;
    if let Some(first) = &extent.first
        && first.seq > 1
        && period
            .since
            .as_deref()
            .is_none_or(|since| since < first.time.as_str())
    {
        doubts.push(format!(
            "The files that were read begin with record {} ({}); records 1 to {} are in none of them.",
            first.seq,
            seconds(&first.time),
            first.seq - 1
        ));
    }
    let holes: Vec<&Hole> = extent
        .holes
        .iter()
        .filter(|hole| touches(hole, period))
        .collect();
    for hole in holes.iter().take(HOLES) {
        let from = hole.from.as_deref().map_or_else(String::new, seconds);
        doubts.push(format!(
            "{} in no file that can be read; they are from between {from} and {}.",
            numbers(hole),
            seconds(&hole.to)
        ));
    }
    let more = holes.len().saturating_sub(HOLES) as u64 + extent.more_holes;
    if more > 0 {
        doubts.push(format!("{more} further ranges of records are in no file."));
    }
    for unread in &scan.unread {
        doubts.push(format!(
            "{} was not read: {}.",
            printable(&unread.path.to_string_lossy()),
            unread.why
        ));
    }
    for (count, what) in [
        (
            extent.not_records,
            "lines are no records of this version of dbguard.",
        ),
        (
            extent.out_of_order,
            "records stand out of order: the log was changed by somebody else. dbguard audit verify says where.",
        ),
        (
            extent.anew,
            "times the numbering began anew: the log was removed or replaced.",
        ),
        (
            part.unreadable,
            "records have not what their kind has, and are counted by their kind alone.",
        ),
        (
            part.lost,
            "events are not in the log, as its own gap records say.",
        ),
    ] {
        if count > 0 {
            doubts.push(format!("{count} {what}"));
        }
    }
    for (kind, count) in part.unknown_kinds() {
        doubts.push(format!(
            "{count} records of kind {} are not known to this version of dbguard.",
            printable(kind)
        ));
    }
    doubts
}

fn numbers(hole: &Hole) -> String {
    if hole.first == hole.last {
        format!("Record {} is", hole.first)
    } else {
        let count = hole.last - hole.first + 1;
        format!("Records {} to {} ({count}) are", hole.first, hole.last)
    }
}

/// Whether what is missing may be of the period.
fn touches(hole: &Hole, period: &Period) -> bool {
    let after = period
        .since
        .as_deref()
        .is_none_or(|since| hole.to.as_str() >= since);
    let before = match (&hole.from, &period.until) {
        (Some(from), Some(until)) => from < until,
        _ => true,
    };
    after && before
}
