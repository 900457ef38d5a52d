//! Overrides in words: who broke the glass, and what came of it.

use super::super::super::text::command_line;
use super::super::words::seconds;
use super::compose::{Searches, told, unix};
use super::page::{Glass, Open, Signed, Through, Told};
use crate::audit::event_id;
use crate::audit::filter::Filter;
use crate::audit::names::printable;
use crate::audit::record::OverrideSigner;
use crate::audit::review::glass::{Chain, Outcome, Step};

/// Who, of a step.
fn by(step: &Step) -> String {
    match &step.by {
        Some(by) => {
            let from = by.ssh_peer.as_ref().map(|peer| format!(", from {peer}"));
            let user = by.user.clone().unwrap_or_else(|| by.uid.to_string());
            format!("{} (as {user}{})", by.login, from.unwrap_or_default())
        }
        None => "nobody: the time did it".to_owned(),
    }
}

/// An override in words. The period's picture goes from `from` to `to`, seconds since 1970.
pub fn glass(chain: &Chain, from: u64, to: u64, search: &Searches<'_>) -> Glass {
    let outcome = chain.outcome();
    let steps = |word: &'static str, text: &dyn Fn(&Step) -> String| -> Vec<Told> {
        chain
            .all(word)
            .map(|step| told(step.seq, None, &step.time, &text(step)))
            .collect()
    };
    let known = ["requested", "opened", "drilled", "used", "closed"];
    let others = chain
        .steps
        .iter()
        .filter(|step| !known.contains(&step.step.as_str()) && step.refused.is_none());
    let through = chain.through.iter().map(|(what, tally)| Through {
        op: what.op.clone(),
        object: what.object.clone(),
        count: search.count(
            tally,
            Filter {
                decision: Some("granted".into()),
                grant: Some(what.grant.clone()),
                op: Some(what.op.clone()),
                object: Some(what.object.clone()),
                ..Filter::default()
            },
        ),
    });
    let mut opened = steps("opened", &|step| format!("applied by {}", by(step)));
    opened.extend(steps("drilled", &|step| {
        format!("exercised by {}", by(step))
    }));
    Glass {
        outcome: match outcome {
            Outcome::Opened => "opened",
            Outcome::Drill => "drill",
            Outcome::Refused => "refused",
            Outcome::Asked => "asked",
            Outcome::Earlier => "earlier",
            Outcome::Other => "other",
        },
        grant: chain.grant.clone(),
        event: chain
            .event
            .clone()
            .filter(|event| event_id::decode(event).is_ok()),
        requester: chain.requester.clone(),
        incident: chain.incident.clone(),
        reason: chain.reason.clone(),
        opens: chain.opens.clone(),
        object: chain.object.clone(),
        carries: chain.carries.clone(),
        minutes: chain.minutes,
        uses: chain.uses,
        signers_needed: chain.signers_needed,
        signed: chain.signers.iter().map(signed).collect(),
        asked: steps("requested", &|step| format!("asked by {}", by(step))),
        opened,
        ran: steps("used", &run),
        refused: chain.refused().map(refused).collect(),
        closed: steps("closed", &|step| step.why.clone().unwrap_or_default()),
        other: others
            .map(|step| {
                told(
                    step.seq,
                    None,
                    &step.time,
                    &format!("{}, by {}", step.step, by(step)),
                )
            })
            .collect(),
        through: through.collect(),
        end: end(chain, outcome),
        open: open(chain, outcome, from, to),
    }
}

/// How an override ended.
fn end(chain: &Chain, outcome: Outcome) -> String {
    if let Some(closed) = chain.taken("closed") {
        let why = closed.why.as_deref().unwrap_or("no reason is recorded");
        return printable(&format!("closed at {}: {why}", seconds(&closed.time)));
    }
    match outcome {
        Outcome::Opened | Outcome::Earlier => "no end is recorded in this period".to_owned(),
        Outcome::Drill => "a drill: nothing was opened".to_owned(),
        Outcome::Refused => "refused: nothing was opened".to_owned(),
        Outcome::Asked => "asked for, and not opened in this period".to_owned(),
        Outcome::Other => "an act upon the ledger".to_owned(),
    }
}

fn open(chain: &Chain, outcome: Outcome, from: u64, to: u64) -> Option<Open> {
    let opened = match outcome {
        Outcome::Opened => unix(&chain.taken("opened")?.time)?,
        Outcome::Earlier => from,
        _ => return None,
    };
    let closed = chain.taken("closed").and_then(|step| unix(&step.time));
    // Its time is counted from the request, so it was not open longer than this.
    let longest = chain
        .minutes
        .map_or(to, |minutes| opened + u64::from(minutes) * 60);
    let end = closed.unwrap_or(longest.min(to));
    Some(Open {
        from: opened,
        to: end.max(opened),
    })
}

/// What a step that was refused says.
fn refused(step: &Step) -> Told {
    let (code, why) = match &step.refused {
        Some(refused) => (refused.code.as_str(), refused.why.as_str()),
        None => ("", ""),
    };
    let text = format!("{}, by {}: {why} ({code})", step.step, by(step));
    told(step.seq, None, &step.time, &text)
}

fn run(step: &Step) -> String {
    let pid = step.pid.map(|pid| format!(" (pid {pid})"));
    let pid = pid.unwrap_or_default();
    format!("{}{pid}, by {}", command_line(&step.argv), by(step))
}

fn signed(one: &OverrideSigner) -> Signed {
    Signed {
        person: one.person.clone(),
        key: one.key.clone(),
        authority: one.authority.clone(),
        hardware: one.hardware,
        emergency: one.emergency,
    }
}
