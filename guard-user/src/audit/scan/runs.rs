//! Which files follow which.
//!
//! Numbers decide, not names, and not times alone: a clock can be set back. Where the numbering
//! began anew (the log was removed), the files of each numbering are a run of their own.

use std::io;

use super::Segment;

/// Puts the files in the order of their records, leaving out what an older one has already.
pub fn arrange(mut segments: Vec<Segment>) -> io::Result<Vec<Segment>> {
    segments.sort_by(|one, other| {
        let key = |segment: &Segment| (segment.first.seq, segment.last.seq);
        key(one)
            .cmp(&key(other))
            .then_with(|| one.latest.cmp(&other.latest))
            .then_with(|| one.path.cmp(&other.path))
    });
    let mut runs: Vec<Vec<Segment>> = Vec::new();
    for mut segment in segments {
        let mut place = None;
        for (at, run) in runs.iter().enumerate() {
            if goes_on(run, &segment)? {
                place = Some(at);
                break;
            }
        }
        let Some(at) = place else {
            runs.push(vec![segment]);
            continue;
        };
        let highest = highest(&runs[at]);
        if segment.first.seq <= highest {
            segment.begin = segment.offset_of(highest + 1)?;
        }
        runs[at].push(segment);
    }
    runs.sort_by_key(|run| run.iter().map(|one| one.latest.clone()).max());
    let mut arranged = Vec::new();
    for (number, run) in runs.into_iter().enumerate() {
        for mut segment in run {
            segment.run = number;
            // A copy has nothing of its own, but says that these numbers are there.
            if segment.begin < segment.end {
                arranged.push(segment);
            }
        }
    }
    Ok(arranged)
}

fn highest(run: &[Segment]) -> u64 {
    run.iter().map(|one| one.last.seq).max().unwrap_or(0)
}

/// Whether a file belongs to a run: it has some of the same records, or goes on where it ends, or
/// behind that and later. The numbers of `segment` do not begin below those of the run.
fn goes_on(run: &[Segment], segment: &Segment) -> io::Result<bool> {
    let highest = highest(run);
    if segment.first.seq > highest + 1 {
        let latest = run.iter().map(|one| &one.latest).max();
        return Ok(latest.is_none_or(|latest| segment.latest >= *latest));
    }
    if segment.first.seq == highest + 1 {
        return Ok(true);
    }
    let Some(own) = segment.line_of(segment.first.seq)? else {
        return Ok(false);
    };
    for other in run {
        let has = (other.first.seq..=other.last.seq).contains(&segment.first.seq);
        if has && let Some(line) = other.line_of(segment.first.seq)? {
            return Ok(line == own);
        }
    }
    Ok(false)
}
