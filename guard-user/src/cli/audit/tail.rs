use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;

use super::super::Output;
use super::super::exit::Failure;
use super::unreadable;
use super::words::render;
use crate::audit::log_path;
use crate::audit::tail::{Follower, last_lines};

/// Show the last records
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    lines: usize,
    /// Go on showing records as they are written
    #[arg(short, long)]
    follow: bool,
    /// As JSON, one record a line
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    let Args {
        lines,
        follow,
        json,
    } = *args;
    let path = log_path();
    tail(path, lines, follow, json).map_err(|error| unreadable(path, &error))
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
