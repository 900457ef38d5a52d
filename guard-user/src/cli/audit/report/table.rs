//! A review for a terminal.

use std::fmt::Write as _;

use super::super::super::text;
use super::super::words::seconds;
use super::page::{Count, Glass, Page, Row, Section, Table, Told};
use crate::audit::event_id;
use crate::audit::names::printable;

/// Rows of a table; more are in `--format html` and `--format json`.
const SHOWN: usize = 20;

/// The review as text.
pub fn show(page: &Page) -> String {
    // Writing to a string does not fail, here and below.
    let mut text = head(page);
    text.push_str(&glasses("Overrides", &page.overrides));
    if page.more_steps > 0 {
        let more = page.more_steps;
        let _ = writeln!(
            text,
            "  and {more} older steps: dbguard audit search --kind override"
        );
    }
    for table in &page.tables {
        text.push_str(&refusals(table));
    }
    text.push_str(&glasses("Drills", &page.drills));
    for one in &page.sections {
        text.push_str(&section(one));
    }
    text
}

fn head(page: &Page) -> String {
    let mut text = format!("dbguard audit report on {}\n", printable(&hosts(page)));
    let mut rows = vec![row("period", &period(page))];
    rows.push(row("records", &records(page)));
    for (at, doubt) in page.doubts.iter().enumerate() {
        rows.push(row(if at == 0 { "NOT WHOLE" } else { "" }, doubt));
    }
    if page.doubts.is_empty() {
        rows.push(row(
            "whole",
            "no record of the period is missing from the files",
        ));
    }
    for (at, one) in page.decisions.iter().enumerate() {
        let label = if at == 0 { "operations" } else { "" };
        rows.push(row(
            label,
            &format!(
                "{} {} ({})",
                one.count.operations,
                one.words,
                from(&one.count)
            ),
        ));
    }
    text.push_str(&text::columns(&rows, "  "));
    text
}

/// The hosts that a log is of.
pub fn hosts(page: &Page) -> String {
    if page.hosts.is_empty() {
        "no host: the period has no record".to_owned()
    } else {
        page.hosts.join(", ")
    }
}

/// The period in words.
pub fn period(page: &Page) -> String {
    let since = page
        .since
        .as_deref()
        .map_or_else(|| "where the log begins".to_owned(), seconds);
    let until = page
        .until
        .as_deref()
        .map_or_else(|| "where it ends".to_owned(), seconds);
    format!("from {since} to {until} (UTC)")
}

/// The records of the period in words.
pub fn records(page: &Page) -> String {
    match (&page.first, &page.last) {
        (Some(first), Some(last)) => format!(
            "{}, number {} ({}) to {} ({})",
            page.records,
            first.seq,
            seconds(&first.time),
            last.seq,
            seconds(&last.time)
        ),
        _ => "none".to_owned(),
    }
}

/// The records that a count is from: `E-7K2Q, E-9ABC and 12 more up to record 912`.
pub fn from(count: &Count) -> String {
    const NAMED: usize = 3;
    let named: Vec<String> = count
        .seqs
        .iter()
        .take(NAMED)
        .map(|seq| event_id::encode(*seq))
        .collect();
    let more = count.records - named.len() as u64;
    let named = named.join(", ");
    if more == 0 {
        named
    } else {
        format!(
            "{named} and {more} more up to {}",
            event_id::encode(count.last_seq)
        )
    }
}

fn glasses(title: &str, glasses: &[Glass]) -> String {
    let mut text = format!("\n{title}: {}\n", glasses.len());
    for one in glasses.iter().take(SHOWN) {
        text.push_str(&glass(one));
    }
    text + &left(glasses.len(), SHOWN)
}

fn left(all: usize, shown: usize) -> String {
    if all > shown {
        format!("  and {} more: --format html, --format json\n", all - shown)
    } else {
        String::new()
    }
}

/// What an override is called.
pub fn title(glass: &Glass) -> String {
    let name = match (&glass.grant, glass.outcome) {
        (Some(grant), _) => grant.clone(),
        (None, "drill") => "A drill".to_owned(),
        (None, "asked") => "A request".to_owned(),
        (None, "refused") => "A refused request".to_owned(),
        (None, _) => "An act".to_owned(),
    };
    let opens = glass.opens.join(", ");
    match (&glass.object, opens.is_empty()) {
        (Some(object), false) => format!("{name}: {opens} on {object}"),
        (Some(object), true) => format!("{name}: {object}"),
        (None, _) => format!("{name}: what it opens is in no record of this period"),
    }
}

/// Facts of an override: label and text.
pub fn facts(glass: &Glass) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut fact = |label, text: &Option<String>| {
        if let Some(text) = text {
            facts.push((label, printable(text)));
        }
    };
    fact("requester", &glass.requester);
    fact("incident", &glass.incident);
    fact("reason", &glass.reason);
    fact("refusal", &glass.event);
    fact("carries", &glass.carries);
    let limits = [
        glass.minutes.map(|minutes| format!("{minutes} minutes")),
        glass.uses.map(|uses| format!("{uses} commands")),
        glass
            .signers_needed
            .map(|people| format!("{people} signatures")),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if !limits.is_empty() {
        facts.push(("limits", limits.join(", ")));
    }
    facts
}

/// Who signed, in words.
pub fn signed(glass: &Glass) -> Vec<String> {
    let one = |one: &super::page::Signed| {
        let kind = match (one.emergency, one.hardware) {
            (true, _) => ", SEALED EMERGENCY KEY",
            (false, true) => ", key in hardware",
            (false, false) => ", key in a file",
        };
        let authority = one
            .authority
            .as_ref()
            .map(|key| format!(", vouched for by {key}"));
        printable(&format!(
            "{} ({}{kind}{})",
            one.person,
            one.key,
            authority.unwrap_or_default()
        ))
    };
    glass.signed.iter().map(one).collect()
}

fn glass(glass: &Glass) -> String {
    let mut text = format!("\n  {}\n", printable(&title(glass)));
    let mut rows: Vec<Vec<String>> = facts(glass)
        .iter()
        .map(|(label, text)| row(label, text))
        .collect();
    let mut list = |label: &str, lines: Vec<String>| {
        for (at, line) in lines.iter().enumerate() {
            rows.push(row(if at == 0 { label } else { "" }, line));
        }
    };
    let told = |lines: &[Told]| lines.iter().map(line).collect::<Vec<_>>();
    list("asked", told(&glass.asked));
    list("signed", signed(glass));
    list("opened", told(&glass.opened));
    list("ran", told(&glass.ran));
    let through = glass.through.iter().map(|one| {
        let (op, object) = (&one.op, printable(&one.object));
        format!(
            "{} x {op} to {object} ({})",
            one.count.operations,
            from(&one.count)
        )
    });
    list("let through", through.collect());
    list("refused", told(&glass.refused));
    list("besides", told(&glass.other));
    list("closed", told(&glass.closed));
    if glass.closed.is_empty() {
        list("end", vec![glass.end.clone()]);
    }
    text.push_str(&text::columns(&rows, "    "));
    text
}

fn line(told: &Told) -> String {
    let event = told
        .event
        .as_ref()
        .map(|event| format!(" {event}"))
        .unwrap_or_default();
    format!(
        "{}  {} (record {}{event})",
        seconds(&told.time),
        told.text,
        told.seq
    )
}

fn refusals(table: &Table) -> String {
    let mut text = format!("\n{}\n", table.title);
    if table.rows.is_empty() {
        text.push_str("  none\n");
        return text;
    }
    let mut rows = vec![
        ["refused", "observed", table.head, "", "last", "records"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for one in table.rows.iter().take(SHOWN) {
        let Row {
            name,
            detail,
            refused,
            observed,
        } = one;
        let both = [refused, observed]
            .into_iter()
            .filter(|count| count.records > 0);
        let records: Vec<String> = both.map(from).collect();
        rows.push(vec![
            refused.operations.to_string(),
            observed.operations.to_string(),
            printable(name),
            printable(detail.as_deref().unwrap_or_default()),
            seconds((&refused.last).max(&observed.last)),
            records.join("; "),
        ]);
    }
    text.push_str(&text::columns(&rows, "  "));
    text.push_str(&left(table.rows.len(), SHOWN));
    if table.rest.refused + table.rest.observed > 0 {
        let _ = writeln!(
            text,
            "  and {} refused, {} observed, of further kinds that are not told apart",
            table.rest.refused, table.rest.observed
        );
    }
    text
}

fn section(section: &Section) -> String {
    let mut text = format!("\n{}: {}\n", section.title, section.count);
    let from = section.rows.len().saturating_sub(SHOWN);
    let older = section.more + from as u64;
    if older > 0 {
        let _ = writeln!(text, "  {older} older ones: {}", section.search);
    }
    for one in &section.rows[from..] {
        let _ = writeln!(text, "  {}", line(one));
    }
    text
}

fn row(label: &str, value: &str) -> Vec<String> {
    vec![label.to_owned(), value.to_owned()]
}
