//! Runs real tools, each in a process group of its own with a time limit.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::harness::case::skip;

/// How long a command may take unless told otherwise.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(40);

/// Exit status of a script that finds the guest's kernel without what it is about, as the tests of
/// automake have it.
pub const NOT_HERE: i32 = 77;

/// What a command did.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit status; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output and standard error, as they came.
    pub text: String,
}

impl Output {
    /// True for exit status 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// The first and the last lines, for messages: usage texts follow what they are about.
    pub fn tail(&self) -> String {
        let lines: Vec<_> = self
            .text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        if lines.len() <= 7 {
            return lines.join(" | ");
        }
        format!(
            "{} | … | {}",
            lines[..2].join(" | "),
            lines[lines.len() - 4..].join(" | ")
        )
    }
}

/// A shell script with variables, run as root in the guest.
pub struct Script<'a> {
    text: &'a str,
    variables: Vec<(String, String)>,
    limit: Duration,
}

impl<'a> Script<'a> {
    /// A script that has not run yet.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            variables: Vec::new(),
            limit: COMMAND_LIMIT,
        }
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Sets its time limit in seconds.
    #[must_use]
    pub fn limit(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// Runs it to its end.
    pub fn run(&self) -> Result<Output> {
        // dash: starting bash, and forking it for each command, was a fifth of an emulated guest's time.
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(self.text)
            .envs(self.variables.iter().map(|(n, v)| (n, v)));
        finish(command, self.limit).with_context(|| format!("running `{}`", brief(self.text)))
    }

    /// Runs it and demands exit status 0; gives what it printed. With exit status [`NOT_HERE`] the
    /// case is skipped, for the reason that the script prints.
    pub fn must(&self) -> Result<String> {
        let output = self.run()?;
        if output.code == Some(NOT_HERE) {
            return Err(skip(output.tail()));
        }
        if !output.succeeded() {
            bail!(
                "`{}` ended with {:?}: {}",
                brief(self.text),
                output.code,
                output.tail()
            );
        }
        Ok(output.text)
    }
}

/// Runs a script and demands success.
pub fn must(text: &str) -> Result<String> {
    Script::new(text).must()
}

/// Runs a script, whatever its exit status.
pub fn run(text: &str) -> Result<Output> {
    Script::new(text).run()
}

/// Runs a prepared command with a time limit, in its own process group, without a terminal.
pub fn finish(mut command: Command, limit: Duration) -> Result<Output> {
    let mut log = temporary_file()?;
    command
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("duplicating the output file")?)
        .stderr(log.try_clone().context("duplicating the output file")?)
        .process_group(0);
    let mut child = command.spawn().context("starting it")?;
    let status = wait(&mut child, limit)?;
    let mut bytes = Vec::new();
    log.rewind().context("rewinding its output")?;
    log.read_to_end(&mut bytes).context("reading its output")?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let Some(status) = status else {
        bail!(
            "not finished within {} s: {}",
            limit.as_secs(),
            text.trim_end()
        );
    };
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| -signal));
    Ok(Output { code, text })
}

/// A file without a name, for output.
fn temporary_file() -> Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    let fd = memfd_create("output", MemfdFlags::CLOEXEC).context("making a file for output")?;
    Ok(File::from(fd))
}

/// Waits at most `limit`; kills the group and gives `None` where that was not enough.
pub fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let pid = Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("watching a process")?;
    let timeout = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let ready = loop {
        match poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other.context("waiting for a process")?,
        }
    };
    if ready == 0 {
        let _ = kill_process_group(pid, Signal::KILL);
        // A process stuck in the kernel cannot be reaped; it is left behind.
        return Ok(None);
    }
    Ok(Some(child.wait().context("reaping a process")?))
}

/// Keeps descriptors that this program was started with from its children: LVM complains about
/// each.
pub fn keep_descriptors_to_ourselves() {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: integers; only a flag of descriptors changes. Failure leaves things as they were.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            CLOSE_RANGE_CLOEXEC,
        )
    };
}

fn brief(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_output_come_back() {
        let output = Script::new("echo $A; echo b >&2; exit 3")
            .with("A", "a")
            .run()
            .unwrap();
        assert_eq!((output.code, output.text.as_str()), (Some(3), "a\nb\n"));
        assert!(Script::new("kill -9 $$").run().unwrap().code == Some(-9));
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let error = Script::new("echo begun; sleep 30")
            .limit(1)
            .run()
            .unwrap_err();
        assert!(
            format!("{error:#}").contains("not finished within 1 s: begun"),
            "{error:#}"
        );
    }
}
