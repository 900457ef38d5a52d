use std::io::ErrorKind;
use std::path::PathBuf;

use serde::Serialize;

use super::exit::{Exit, Failure};
use super::{Output, text};
use crate::audit::names::{printable, sentence};
use crate::audit::segments::{Extent, Segments};
use crate::audit::wouldblock::{Group, Missing, Span, WouldBlock};
use crate::audit::{log_path, time};

/// Tell what enforcing would have blocked
///
/// Reads the audit log and its rotated files, so it works without the controller. Operations that
/// were refused because their class is enforced are counted, not listed: dbguard audit tail has
/// them. TIME is a date (2026-11-21), a moment (2026-11-21T22:00, in UTC), or how long ago (90m,
/// 24h, 7d).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What was observed and not refused, by operation class, object and program
    #[arg(long, required = true)]
    would_block: bool,
    /// Begin here instead of where the log begins
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<u64>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn moment(text: &str) -> Result<u64, String> {
    time::parse_moment(text, time::wall_ns()).ok_or_else(|| {
        "not a time; write 2026-11-21, 2026-11-21T22:00, or 24h for a day ago".into()
    })
}

/// Version of what `--json` prints.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize)]
struct Report {
    v: u32,
    host: String,
    /// The moment that was asked for.
    since: Option<String>,
    /// Time of the oldest record looked at, and of the newest.
    from: Option<String>,
    to: Option<String>,
    records: u64,
    files: usize,
    /// Operations.
    would_block: u64,
    refused: u64,
    allowed: u64,
    groups: Vec<Group>,
    /// Operations in further groups.
    ungrouped: u64,
    /// Modes that were in force, newest first.
    modes: Vec<Span>,
    /// Host states that were met.
    states: Vec<String>,
    /// What may have happened and cannot be told, newest first.
    gaps: Vec<Missing>,
    /// Further gaps, and what was lost in them.
    more_gaps: u64,
    more_lost: u64,
    /// Files of the log that were not read.
    unread: Vec<PathBuf>,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    let Args {
        would_block: _,
        since,
        json,
    } = args;
    let since = since.map(time::rfc3339);
    let path = log_path();
    let failed = |error: std::io::Error| {
        let (exit, next) = match error.kind() {
            ErrorKind::PermissionDenied => (Exit::NOT_PERMITTED, "run this as root"),
            _ => (Exit::INTERNAL, "look at the file system"),
        };
        Failure::new(exit, format!("reading {}: {error}; {next}", path.display()))
    };
    let segments = Segments::find(path).map_err(failed)?;
    if segments.is_empty() && segments.unread.is_empty() {
        return Err(Failure::new(
            Exit::NO_INPUT,
            format!(
                "{}: nothing was recorded yet; has dbguard run?",
                path.display()
            ),
        ));
    }
    let mut found = WouldBlock::default();
    let extent = segments
        .walk(since.as_deref(), |record| found.take(record))
        .map_err(failed)?;
    found.finish();
    let report = put_together(found, extent, segments.unread, since);
    Ok(Output::ok(if *json {
        serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::new(Exit::INTERNAL, error.to_string()))?
            + "\n"
    } else {
        show(&report)
    }))
}

fn put_together(
    mut found: WouldBlock,
    extent: Extent,
    unread: Vec<PathBuf>,
    since: Option<String>,
) -> Report {
    for hole in extent.holes {
        let count = hole.last - hole.first + 1;
        let which = if count == 1 {
            format!("record {}", hole.first)
        } else {
            format!("records {} to {}", hole.first, hole.last)
        };
        found.list_gap(Missing {
            from: hole.from,
            to: hole.to,
            lost: count,
            what: format!("{which}: in no file that can be read"),
        });
    }
    if extent.not_records > 0 {
        found.list_gap(Missing {
            from: found.oldest.clone(),
            to: found.newest.clone().unwrap_or_default(),
            lost: extent.not_records,
            what: "lines that are no records".to_owned(),
        });
    }
    found.gaps.sort_by(|one, other| other.to.cmp(&one.to));
    Report {
        v: SCHEMA,
        host: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        since,
        from: found.oldest.clone(),
        to: found.newest.clone(),
        records: extent.records,
        files: extent.files,
        would_block: found.would_block,
        refused: found.refused,
        allowed: found.allowed,
        groups: found.groups(),
        ungrouped: found.ungrouped,
        modes: found.spans,
        states: found.states.into_iter().collect(),
        gaps: found.gaps,
        more_gaps: found.unlisted_gaps.0,
        more_lost: found.unlisted_gaps.1,
        unread,
    }
}

/// More of a list is in `--json`.
const SHOWN: usize = 20;

fn show(report: &Report) -> String {
    let mut text = format!(
        "dbguard report on {}: what enforcing would have blocked\n",
        printable(&report.host)
    );
    let mut rows = vec![row("period", &period(report))];
    labelled(
        &mut rows,
        "mode",
        report.modes.iter().map(|span| {
            format!(
                "{}, {} to {}",
                span.mode,
                seconds(&span.from),
                seconds(&span.to)
            )
        }),
    );
    rows.push(row("result", &result(report)));
    rows.extend(notes(report).iter().map(|note| row("", note)));
    let gaps = report.gaps.iter().map(gap);
    labelled(&mut rows, "gaps", gaps);
    if report.more_gaps > 0 {
        let (gaps, lost) = (report.more_gaps, report.more_lost);
        rows.push(row(
            "",
            &format!("{gaps} further gaps, {lost} lost in them"),
        ));
    }
    labelled(
        &mut rows,
        "not read",
        report
            .unread
            .iter()
            .map(|path| format!("{} (compressed, or no log of dbguard)", path.display())),
    );
    text.push_str(&text::columns(&rows, "  "));
    for (at, group) in report.groups.iter().enumerate() {
        text.push_str(&show_group(at + 1, group));
    }
    if report.ungrouped > 0 {
        let more = number(report.ungrouped, "operation");
        text.push_str("\nand ");
        text.push_str(&more);
        text.push_str(" of further kinds that are not told apart\n");
    }
    text
}

fn period(report: &Report) -> String {
    let (Some(from), Some(to)) = (&report.from, &report.to) else {
        let since = report.since.as_deref().unwrap_or("-");
        return format!(
            "since {}: the log has no record of this time",
            seconds(since)
        );
    };
    let beginning = match &report.since {
        Some(since) => format!("since {}, first record {}", seconds(since), seconds(from)),
        None => format!("from {}, where the log begins,", seconds(from)),
    };
    let (records, files) = (report.records, report.files);
    format!(
        "{beginning} to {} ({}, {})",
        seconds(to),
        number(records, "record"),
        number(files as u64, "file"),
    )
}

fn result(report: &Report) -> String {
    if report.would_block == 0 {
        return "nothing would have been blocked".to_owned();
    }
    format!(
        "{} would have been blocked, of {}",
        number(report.would_block, "operation"),
        number(report.groups.len() as u64, "kind"),
    )
}

/// What keeps a reader from taking the result for more than it is.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if report.refused > 0 {
        notes.push(format!(
            "{} refused, because the class was enforced: dbguard audit tail",
            was(report.refused)
        ));
    }
    if report.allowed > 0 {
        notes.push(format!(
            "{} let through, because the configuration allows the class",
            was(report.allowed)
        ));
    }
    if report.would_block > 0 || report.records == 0 {
        return notes;
    }
    if report.modes.iter().all(|span| span.mode == "enforce") {
        notes.push("every class was enforced all the time: nothing was only observed".to_owned());
    }
    if report.states.iter().all(|state| state == "idle") {
        notes.push(
            "the host was idle all the time: without a database nothing is judged".to_owned(),
        );
    }
    notes
}

fn was(count: u64) -> String {
    format!(
        "{} {}",
        number(count, "operation"),
        if count == 1 { "was" } else { "were" }
    )
}

fn gap(gap: &Missing) -> String {
    let when = match &gap.from {
        Some(from) => format!("between {} and {}", seconds(from), seconds(&gap.to)),
        None => format!("before {}", seconds(&gap.to)),
    };
    let what = printable(&gap.what);
    if gap.lost == 0 || what.starts_with("record") {
        format!("{when}: {what}")
    } else {
        format!("{} {what}, {when}", gap.lost)
    }
}

fn show_group(number: usize, group: &Group) -> String {
    let program = &group.program;
    let unit = program
        .unit
        .as_ref()
        .map(|unit| format!(" in {}", printable(unit)));
    let container = program
        .container
        .as_ref()
        .map(|container| format!(", container {}", printable(container)));
    let by = format!(
        "{}{}{}",
        printable(&program.exe),
        unit.unwrap_or_default(),
        container.unwrap_or_default()
    );
    let times = if group.count == 1 {
        "once".to_owned()
    } else {
        format!("{} times", group.count)
    };
    let mut text = format!(
        "\n{number}. {} to {} by {by}, {times}\n",
        group.op,
        printable(&group.object.name)
    );
    let when = if group.count == 1 {
        seconds(&group.last)
    } else {
        format!(
            "first {}, last {}",
            seconds(&group.first),
            seconds(&group.last)
        )
    };
    let mut rows = vec![row("when", &when)];
    if let Some(why) = group.object.why.first() {
        rows.push(row("object", &printable(&sentence(why))));
    }
    rows.push(row("example", &example(group)));
    labelled(
        &mut rows,
        "do",
        group.advice.iter().map(|line| printable(line)),
    );
    text.push_str(&text::columns(&rows, "   "));
    text
}

fn example(group: &Group) -> String {
    let example = &group.example;
    let command = if example.argv.is_empty() {
        printable(&group.program.exe)
    } else {
        text::command_line(&example.argv)
    };
    let cut = if example.argv_truncated { " …" } else { "" };
    let event = match &example.event {
        Some(event) => format!("; dbguard why {event}"),
        None => String::new(),
    };
    format!(
        "{command}{cut} ({}, {}){event}",
        printable(&example.user),
        printable(&example.login)
    )
}

/// A time to the second: the rest is in the JSON.
fn seconds(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}

fn number(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn row(label: &str, value: &str) -> Vec<String> {
    vec![label.to_owned(), value.to_owned()]
}

/// Rows of which only the first has the label, no more than a person reads.
fn labelled(rows: &mut Vec<Vec<String>>, label: &str, values: impl Iterator<Item = String>) {
    let mut left = 0;
    for (at, value) in values.enumerate() {
        if at < SHOWN {
            rows.push(row(if at == 0 { label } else { "" }, &value));
        } else {
            left += 1;
        }
    }
    if left > 0 {
        rows.push(row("", &format!("and {left} more: --json")));
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
