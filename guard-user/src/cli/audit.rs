use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;

use super::exit::{Exit, Failure};
use super::{Output, text};
use crate::audit::log_path;
use crate::audit::names::printable;
use crate::audit::record::{
    Body, Change, CriticalProcess, Denial, Descriptor, Mark, ModeChange, Override, Record, Release,
    Start,
};
use crate::audit::tail::{Follower, last_lines};
use crate::config::describe;

/// Read the audit log
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Show the last records
    Tail {
        /// How many
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        lines: usize,
        /// Go on showing records as they are written
        #[arg(short, long)]
        follow: bool,
        /// As JSON, one record a line
        #[arg(long)]
        json: bool,
    },
}

pub fn run(verb: &Verb) -> Result<Output, Failure> {
    let Verb::Tail {
        lines,
        follow,
        json,
    } = verb;
    let path = log_path();
    tail(path, *lines, *follow, *json).map_err(|error| {
        let (exit, next) = match error.kind() {
            ErrorKind::NotFound => (Exit::NO_INPUT, "nothing was recorded yet; has dbguard run?"),
            ErrorKind::PermissionDenied => (Exit::NOT_PERMITTED, "run this as root"),
            _ => (Exit::INTERNAL, "look at the file system"),
        };
        Failure::new(exit, format!("reading {}: {error}; {next}", path.display()))
    })
}

fn tail(path: &Path, count: usize, follow: bool, json: bool) -> io::Result<Output> {
    let file = File::open(path)?;
    let (lines, end) = last_lines(&file, count)?;
    if !follow {
        return Ok(Output::ok(
            lines.iter().map(|line| render(line, json)).collect(),
        ));
    }
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let events =
        inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    // The directory too: rotation moves the file away and makes another.
    inotify::add_watch(&watch, path.parent().unwrap_or(path), events)?;
    let mut follower = Follower::new(path, file, end);
    let mut out = io::stdout().lock();
    let mut lines = lines;
    loop {
        for line in &lines {
            match out
                .write_all(render(line, json).as_bytes())
                .and_then(|()| out.flush())
            {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    return Ok(Output::ok(String::new()));
                }
                other => other?,
            }
        }
        wait(&watch)?;
        lines = follower.more()?;
    }
}

/// Waits for a change; a reader that has gone away is noticed at the next line.
fn wait(watch: &impl AsFd) -> io::Result<()> {
    loop {
        let mut fds = [PollFd::new(watch, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => break,
        }
    }
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(watch, &mut buffer) {
            Ok(0) | Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn render(line: &str, json: bool) -> String {
    if json {
        return format!("{line}\n");
    }
    match serde_json::from_str::<Record>(line) {
        Ok(record) => format!("{}\n", sentence(&record)),
        Err(_) => format!("(not a record this version knows) {}\n", printable(line)),
    }
}

/// One record on one line.
fn sentence(record: &Record) -> String {
    // To the second: the rest is in the JSON.
    let when = record
        .time
        .get(..19)
        .unwrap_or(&record.time)
        .replace('T', " ");
    let (label, text) = match &record.body {
        Body::Denial(denial) => ("denial", refusal(record, denial)),
        Body::State(change) => ("state", changed(change)),
        Body::Mode(change) => ("mode", mode_changed(change)),
        Body::Start(start) => ("start", started(start)),
        Body::Stop(stop) => ("stop", stop.why.clone()),
        Body::Process(process) => ("process", server(process)),
        Body::Release(release) => ("release", released(release)),
        Body::Mark(mark) => {
            let Mark { by, what, object } = mark;
            ("mark", format!("{what} {object}, by {}", by.login))
        }
        Body::Health(health) => {
            let word = if health.healthy { "mended" } else { "broken" };
            (
                "health",
                format!("{} {word}: {}", health.part, health.detail),
            )
        }
        Body::Gap(gap) => ("gap", format!("{} {}: {}", gap.lost, gap.what, gap.detail)),
        Body::Recovered(torn) => (
            "recovered",
            format!("a torn line of {} bytes was taken back", torn.torn_bytes),
        ),
        Body::Descriptor(descriptor) => {
            let Descriptor { change, held } = descriptor;
            ("open", format!("{change}: {held}"))
        }
        Body::Config(config) => {
            let word = if config.accepted {
                "read again"
            } else {
                "not accepted"
            };
            ("config", format!("{word}: {}", config.detail))
        }
        Body::Unload(unload) => {
            let text = match &unload.refused {
                None => "the kernel half was taken out: this host is not guarded".to_owned(),
                Some(why) => format!("refused: {why}"),
            };
            ("unload", format!("{text}, by {}", unload.by.login))
        }
        Body::Override(step) => ("override", overridden(step)),
    };
    format!("{when}  {label:<9}  {}", printable(&text))
}

fn changed(change: &Change) -> String {
    format!("{} -> {}: {}", change.from, change.to, change.why)
}

fn mode_changed(change: &ModeChange) -> String {
    let from = describe(&change.from, &change.from_ops);
    let to = describe(&change.to, &change.to_ops);
    format!("{from} -> {to}: {}", change.why)
}

fn started(start: &Start) -> String {
    let how = if start.adopted {
        "took over what was loaded"
    } else {
        "loaded the kernel half"
    };
    format!("dbguard {} on {}, {how}", start.version, start.kernel)
}

fn server(process: &CriticalProcess) -> String {
    let CriticalProcess {
        change,
        pid,
        engine,
        comm,
        data,
        ..
    } = process;
    let mut text = format!("{comm} {pid} {change} ({engine})");
    if !data.is_empty() {
        text.push_str(", ");
        text.push_str(&data.join(", "));
    }
    text
}

fn released(release: &Release) -> String {
    let Release {
        by,
        device,
        refused,
        ..
    } = release;
    let what = device.as_deref().unwrap_or("the host");
    let user = by.user.as_deref().unwrap_or("?");
    let mut text = format!("{what}, by {user} ({})", by.login);
    if let Some(why) = refused {
        text.push_str(", refused: ");
        text.push_str(why);
    }
    text
}

fn overridden(step: &Override) -> String {
    let none = || "-".to_owned();
    let mut text = step.step.clone();
    if let Some(grant) = &step.grant {
        text = format!("{grant} {text}");
    }
    if !step.argv.is_empty() {
        text = format!("{text}: {}", text::command_line(&step.argv));
    }
    if let Some(object) = &step.object {
        let opens = if step.opens.is_empty() {
            "nothing".to_owned()
        } else {
            step.opens.join(" ")
        };
        text = format!("{text} ({opens} on {object})");
    }
    if let Some(why) = &step.why {
        text = format!("{text}: {why}");
    }
    let people: Vec<&str> = step.signers.iter().map(|one| one.person.as_str()).collect();
    if !people.is_empty() {
        text = format!("{text}, signed by {}", people.join(", "));
    }
    if step.signers.iter().any(|one| one.emergency) {
        text = format!("{text} (EMERGENCY KEY)");
    }
    let incident = step.incident.clone().unwrap_or_else(none);
    let by = step.by.as_ref().map_or_else(none, |by| by.login.clone());
    text = format!("{text}, {incident}, by {by}");
    match &step.refused {
        Some(refused) => format!("{text}, REFUSED ({}): {}", refused.code, refused.why),
        None => text,
    }
}

fn refusal(record: &Record, denial: &Denial) -> String {
    let word = match denial.decision.as_str() {
        "deny" => "refused",
        "would-deny" => "observed",
        "allowed" => "allowed",
        "granted" => "granted",
        _ => "noted",
    };
    let times = if denial.count > 1 {
        format!(" x{}", denial.count)
    } else {
        String::new()
    };
    let process = &denial.process;
    let command = if process.argv.is_empty() {
        process.comm.clone()
    } else {
        text::command_line(&process.argv)
    };
    format!(
        "{} {word} {} to {}{times}: {command} (pid {}, {})",
        record.event.as_deref().unwrap_or("-"),
        denial.op,
        denial.object.name,
        process.pid,
        process.login,
    )
}
