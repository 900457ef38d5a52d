//! The review of a period, in one of three formats, all from the same [`page::Page`].

mod breaking;
mod compose;
mod doubts;
mod html;
mod page;
mod picture;
mod table;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::super::Output;
use super::super::exit::{Exit, Failure};
use super::{moment, open, unreadable};
use crate::audit::review::{Part, Period};
use crate::audit::scan::{Block, Scan};
use crate::audit::time;
use page::Page;

/// Put a period together for a reviewer: overrides first, then refusals
///
/// Who broke the glass, who signed, what ran under it; what was refused, by person, by job and by
/// object; changes of mode and state, gaps, health, drills, releases; and whether the period is
/// whole. Every count names the records that it is from. Reads the log and its rotated files, so it
/// works without the controller, also on a copy. TIME is a date (2026-11-21), a moment
/// (2026-11-21T22:00, in UTC, or with an offset), yesterday, today, or how long ago (-7d, -2h).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Not before this time [default: where the log begins]
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    since: Option<u64>,
    /// Before this time [default: where the log ends]
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    until: Option<u64>,
    /// For whom
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write to this file, which appears whole or not at all
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Read the log in this directory instead, such as a copy
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// Text for a terminal
    Table,
    /// One page for a browser, with everything in it
    Html,
    /// For programs
    Json,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    let Args {
        since,
        until,
        format,
        output,
        dir,
    } = args;
    let log = super::log_in(dir.as_deref());
    let scan = open(&log)?;
    let period = Period {
        since: since.map(time::rfc3339),
        until: until.map(time::rfc3339),
    };
    let blocks = scan.blocks_since(super::some_way_before(*since).as_deref());
    let part = review(&scan, &blocks, &period).map_err(|error| unreadable(&log, &error))?;
    let page = Page::put_together(&part, &scan, &period, &log, time::wall_ns());
    let text = match format {
        Format::Table => table::show(&page),
        Format::Html => html::show(&page),
        Format::Json => {
            serde_json::to_string_pretty(&page)
                .map_err(|error| Failure::new(Exit::INTERNAL, error.to_string()))?
                + "\n"
        }
    };
    let Some(output) = output else {
        return Ok(Output::ok(text));
    };
    write_whole(output, text.as_bytes()).map_err(|error| {
        Failure::new(
            Exit::CANNOT_CREATE,
            format!(
                "writing {}: {error}; the report was not written",
                output.display()
            ),
        )
    })?;
    Ok(Output::ok(format!(
        "{}: {} records, {}\n",
        output.display(),
        page.records,
        if page.doubts.is_empty() {
            "the period is whole"
        } else {
            "the period is NOT whole, see the report"
        }
    )))
}

/// Reads the blocks in several threads and puts together what they tell.
fn review(scan: &Scan, blocks: &[Block], period: &Period) -> io::Result<Part> {
    let mut whole = Part::default();
    let mut run = None;
    scan.in_order(
        blocks,
        |_, bytes| Part::of(bytes, period),
        |block, part| {
            whole.append(part, run.is_none_or(|run| run == block.run));
            run = Some(block.run);
            ControlFlow::Continue(())
        },
    )?;
    Ok(whole)
}

/// A reader of `path` finds what was there before, or all of this; nobody but its owner does, since
/// command lines may hold secrets.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests;
