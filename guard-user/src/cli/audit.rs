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
use crate::audit::record::{Body, Record};
use crate::audit::tail::{Follower, last_lines};

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
    let Verb::Tail { lines, follow, json } = verb;
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
        return Ok(Output::ok(lines.iter().map(|line| render(line, json)).collect()));
    }
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let events = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    // The directory too: rotation moves the file away and makes another.
    inotify::add_watch(&watch, path.parent().unwrap_or(path), events)?;
    let mut follower = Follower::new(path, file, end);
    let mut out = io::stdout().lock();
    let mut lines = lines;
    loop {
        for line in &lines {
            match out.write_all(render(line, json).as_bytes()).and_then(|()| out.flush()) {
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
    let when = record.time.get(..19).unwrap_or(&record.time).replace('T', " ");
    let (label, body) = match &record.body {
        Body::Denial(denial) => {
            let word = match denial.decision.as_str() {
                "deny" => "refused",
                "would-deny" => "observed",
                _ => "noted",
            };
            let times = if denial.count > 1 { format!(" x{}", denial.count) } else { String::new() };
            let process = &denial.process;
            let command = if process.argv.is_empty() {
                process.comm.clone()
            } else {
                text::command_line(&process.argv)
            };
            let text = format!(
                "{} {word} {} to {}{times}: {command} (pid {}, {})",
                record.event.as_deref().unwrap_or("-"),
                denial.op,
                denial.object.name,
                process.pid,
                process.login,
            );
            ("denial", text)
        }
        Body::State(change) => ("state", format!("{} -> {}: {}", change.from, change.to, change.why)),
        Body::Mode(change) => ("mode", format!("{} -> {}: {}", change.from, change.to, change.why)),
        Body::Start(start) => (
            "start",
            format!(
                "dbguard {} on {}, {}",
                start.version,
                start.kernel,
                if start.adopted { "took over what was loaded" } else { "loaded the kernel half" }
            ),
        ),
        Body::Stop(stop) => ("stop", stop.why.clone()),
        Body::Process(process) => {
            let data = if process.data.is_empty() { String::new() } else { format!(", {}", process.data.join(", ")) };
            ("process", format!("{} {} {} ({}){data}", process.comm, process.pid, process.change, process.engine))
        }
        Body::Release(release) => {
            let what = release.device.as_deref().unwrap_or("the host");
            let by = release.by.user.as_deref().unwrap_or("?");
            let refused = release.refused.as_ref().map(|why| format!(", refused: {why}"));
            let refused = refused.unwrap_or_default();
            ("release", format!("{what}, by {by} ({}){refused}", release.by.login))
        }
        Body::Mark(mark) => ("mark", format!("{} {}, by {}", mark.what, mark.object, mark.by.login)),
        Body::Health(health) => {
            let word = if health.healthy { "works again" } else { "does not work" };
            ("health", format!("{} {word}: {}", health.part, health.detail))
        }
        Body::Gap(gap) => ("gap", format!("{} {}: {}", gap.lost, gap.what, gap.detail)),
        Body::Recovered(recovered) => {
            ("recovered", format!("a torn line of {} bytes was taken back", recovered.torn_bytes))
        }
        Body::Config(config) => {
            let word = if config.accepted { "read again" } else { "not accepted" };
            ("config", format!("{word}: {}", config.detail))
        }
    };
    format!("{when}  {label:<9}  {}", printable(&body))
}
