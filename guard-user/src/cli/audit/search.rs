use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::super::exit::{Exit, Failure};
use super::super::{Output, tell};
use super::words::render;
use super::{moment, open, unreadable};
use crate::audit::filter::{Filter, Matcher};
use crate::audit::light::Light;
use crate::audit::scan::{Block, Scan};
use crate::audit::{event_id, time};

/// Find records
///
/// Every option narrows what is found; without one, all records are. Reads the log and its rotated
/// files, so it works without the controller, also on a copy. TIME is a date (2026-11-21), a moment
/// (2026-11-21T22:00, in UTC, or with an offset), yesterday, today, or how long ago (-7d, -2h, -30m).
/// "-" stands for "has none" with --unit, --container and --wwid.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// Only the newest N
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only tell how many records and operations
    #[arg(long, conflicts_with_all = ["json", "limit"])]
    count: bool,
    /// As JSON, one record a line, as they stand in the log
    #[arg(long)]
    json: bool,
    /// Read the log in this directory instead, such as a copy
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Wanted {
    /// Not before this time
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    since: Option<u64>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    until: Option<u64>,
    /// What happened: denial, override, mode, state, gap, …
    #[arg(long)]
    kind: Option<String>,
    /// The event with this id, such as E-7K2Q, and overrides about it
    #[arg(long)]
    event: Option<String>,
    /// deny, would-deny, granted, allowed or record
    #[arg(long)]
    decision: Option<String>,
    /// Operation class: refused, or opened by an override
    #[arg(long)]
    op: Option<String>,
    /// Device: name, path, number, WWID or serial
    #[arg(long)]
    device: Option<String>,
    /// Object by its name alone: a device's kernel name, or a file
    #[arg(long)]
    object: Option<String>,
    /// Object with this WWID
    #[arg(long, allow_hyphen_values = true)]
    wwid: Option<String>,
    /// Person: login user, user (name or number), requester or signer
    #[arg(long)]
    user: Option<String>,
    /// Login user ("no login session" where there is none)
    #[arg(long)]
    login: Option<String>,
    /// User that the process ran as
    #[arg(long, value_name = "USER")]
    run_as: Option<String>,
    /// systemd unit
    #[arg(long, allow_hyphen_values = true)]
    unit: Option<String>,
    /// Container
    #[arg(long, allow_hyphen_values = true)]
    container: Option<String>,
    /// Executable
    #[arg(long)]
    exe: Option<String>,
    /// Grant, such as G-19
    #[arg(long)]
    grant: Option<String>,
    /// Ticket of an incident
    #[arg(long)]
    incident: Option<String>,
    /// idle, armed or held
    #[arg(long, value_name = "STATE")]
    host_state: Option<String>,
    /// observe or enforce
    #[arg(long)]
    mode: Option<String>,
    /// Text in any value
    #[arg(long)]
    text: Option<String>,
}

impl Wanted {
    fn filter(&self) -> Result<Filter, Failure> {
        let Self {
            since,
            until,
            kind,
            event,
            decision,
            op,
            device,
            object,
            wwid,
            user,
            login,
            run_as,
            unit,
            container,
            exe,
            grant,
            incident,
            host_state,
            mode,
            text,
        } = self;
        let event = event.as_deref().map(event_id::decode).transpose();
        let event = event.map_err(|error| Failure::new(Exit::USAGE, error.to_string()))?;
        Ok(Filter {
            since: since.map(time::rfc3339),
            until: until.map(time::rfc3339),
            kind: kind.clone(),
            event: event.map(event_id::encode),
            decision: decision.clone(),
            op: op.clone(),
            device: device.clone(),
            object: object.clone(),
            wwid: wwid.clone(),
            user: user.clone(),
            login: login.clone(),
            run_as: run_as.clone(),
            unit: unit.clone(),
            container: container.clone(),
            exe: exe.clone(),
            grant: grant.clone(),
            incident: incident.clone(),
            state: host_state.clone(),
            mode: mode.clone(),
            text: text.clone(),
        })
    }
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    let filter = args.wanted.filter()?;
    let log = super::log_in(args.dir.as_deref());
    let scan = open(&log)?;
    let blocks = scan.blocks_since(super::some_way_before(args.wanted.since).as_deref());
    let search = Search {
        scan: &scan,
        matcher: filter.matcher(),
        json: args.json,
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let found = if args.count {
        search.count(&blocks, &mut out)
    } else if let Some(limit) = args.limit {
        search.newest(blocks, limit, &mut out)
    } else {
        search.all(&blocks, &mut out)
    };
    let found = match found.and_then(|found| out.flush().map(|()| found)) {
        // A reader that has gone away is no error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(Output::ok(String::new()));
        }
        Err(error) => return Err(unreadable(&log, &error)),
        Ok(found) => found,
    };
    if found == 0 && !args.count {
        tell("dbguard: no record is like that\n");
    }
    super::tell_unread(&scan);
    Ok(Output::ok(String::new()))
}

struct Search<'a> {
    scan: &'a Scan,
    matcher: Matcher<'a>,
    json: bool,
}

impl Search<'_> {
    fn show(&self, line: &[u8], into: &mut Vec<u8>) {
        if self.json {
            into.extend_from_slice(line);
            into.push(b'\n');
        } else {
            into.extend(render(&String::from_utf8_lossy(line), false).bytes());
        }
    }

    /// Everything, oldest first. Returns how many.
    fn all(&self, blocks: &[Block], out: &mut impl Write) -> io::Result<u64> {
        let mut count = 0;
        let mut failed = Ok(());
        self.scan.in_order(
            blocks,
            |_, bytes| {
                let (mut text, mut count) = (Vec::new(), 0);
                self.matcher.lines(bytes, |line| {
                    self.show(line, &mut text);
                    count += 1_u64;
                });
                (text, count)
            },
            |_, (text, found)| {
                count += found;
                failed = out.write_all(&text);
                if failed.is_err() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        )?;
        failed.map(|()| count)
    }

    /// The newest `limit`, oldest first: the log is read from its end, no further than is needed.
    fn newest(
        &self,
        mut blocks: Vec<Block>,
        limit: usize,
        out: &mut impl Write,
    ) -> io::Result<u64> {
        blocks.reverse();
        let mut kept: VecDeque<Vec<u8>> = VecDeque::new();
        self.scan.in_order(
            &blocks,
            |_, bytes| {
                let mut last: VecDeque<&[u8]> = VecDeque::new();
                self.matcher.lines(bytes, |line| {
                    last.push_back(line);
                    if last.len() > limit {
                        last.pop_front();
                    }
                });
                last.into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>()
            },
            |_, older| {
                for line in older.into_iter().rev() {
                    if kept.len() < limit {
                        kept.push_front(line);
                    }
                }
                if kept.len() < limit {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            },
        )?;
        for line in &kept {
            let mut text = Vec::new();
            self.show(line, &mut text);
            out.write_all(&text)?;
        }
        Ok(kept.len() as u64)
    }

    /// How many records, and how many operations they stand for.
    fn count(&self, blocks: &[Block], out: &mut impl Write) -> io::Result<u64> {
        let (mut records, mut operations) = (0_u64, 0_u64);
        self.scan.in_order(
            blocks,
            |_, bytes| {
                let (mut records, mut operations) = (0, 0);
                self.matcher.lines(bytes, |line| {
                    records += 1;
                    operations += Light::read(line).map_or(0, |light| light.count);
                });
                (records, operations)
            },
            |_, (more, done)| {
                records += more;
                operations += done;
                ControlFlow::Continue(())
            },
        )?;
        writeln!(out, "{records} records, {operations} operations")?;
        Ok(records)
    }
}

/// What the options of a command line ask for.
#[cfg(test)]
pub fn filter_of(words: &[String]) -> Filter {
    use clap::{Args as _, FromArgMatches as _};
    let command = Args::augment_args(clap::Command::new("search").no_binary_name(true));
    let matches = command.get_matches_from(words);
    let args = Args::from_arg_matches(&matches).expect("options of this verb");
    args.wanted.filter().expect("a filter")
}
