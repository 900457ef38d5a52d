//! One boot of a guest: output passed on, the verdict awaited, trouble and time watched.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::Spec;
use super::frame::{Frames, Word};
use super::serial::Watch;

/// How often the console log is looked at.
const GLANCE: Duration = Duration::from_millis(300);
/// After the verdict: time for a second verdict, or for a kernel in trouble to say so.
const AFTERMATH: Duration = Duration::from_millis(700);
/// Time for QEMU to end when asked to.
const ENDING: Duration = Duration::from_secs(10);

/// What a boot ended with.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The script's exit status.
    pub status: u8,
    /// From the start of QEMU to the start of the script.
    pub boot: Duration,
    /// From the start of QEMU to the script's end.
    pub total: Duration,
    /// The console log.
    pub serial: PathBuf,
}

/// A guest that gave no valid verdict.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Failure {
    /// The kernel was in trouble.
    #[error("the guest kernel: {0}")]
    Kernel(String),
    /// The guest did not become what was asked.
    #[error("the guest did not get ready: {0}")]
    Broken(String),
    /// The time limit passed.
    #[error("the time limit of {0} s passed, the guest was stopped")]
    Timeout(u64),
    /// QEMU ended without a verdict: the guest rebooted, powered off, or QEMU failed.
    #[error("the guest ended without a verdict (rebooted or powered off?): {0}")]
    NoVerdict(String),
    /// More than one verdict, or one before the script's start.
    #[error("the guest gave verdicts that do not add up: {0}")]
    Muddled(String),
}

/// Boots with `command` and waits for the end.
pub fn run(
    mut command: Command,
    spec: &Spec,
    nonce: &str,
    serial: &Path,
    output: &mut dyn FnMut(&[u8]),
) -> Result<Outcome> {
    let log = serial.with_file_name("qemu.log");
    let errors = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    command.stderr(errors);
    if spec.shell {
        return interactive(command, serial);
    }
    let started = Instant::now();
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start QEMU through setpriv")?;
    let mut guest = Running { child };
    let stream = guest
        .child
        .stdout
        .take()
        .context("QEMU has no output pipe")?;
    let pieces = reader(stream);
    let mut verdict = Verdict::new(nonce, started);
    let result = watch(
        &mut guest,
        &pieces,
        &mut verdict,
        spec.timeout,
        serial,
        output,
    );
    guest.stop();
    let after = drain(&pieces, &mut verdict, output);
    result?;
    after?;
    if let Some(trouble) = Watch::new(serial).last() {
        return Err(Failure::Kernel(trouble).into());
    }
    verdict.outcome(serial, &log).map_err(Into::into)
}

/// Hands the pieces of the guest's output over, one message a read.
fn reader(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0_u8; 64 << 10];
        while let Ok(count) = stream.read(&mut buffer) {
            if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Waits until the guest is done: verdict given and aftermath over, QEMU ended, trouble, or time up.
fn watch(
    guest: &mut Running,
    pieces: &Receiver<Vec<u8>>,
    verdict: &mut Verdict,
    limit: Duration,
    serial: &Path,
    output: &mut dyn FnMut(&[u8]),
) -> Result<(), Failure> {
    let mut console = Watch::new(serial);
    let deadline = verdict.started + limit;
    loop {
        let wait = GLANCE.min(deadline.saturating_duration_since(Instant::now()));
        match pieces.recv_timeout(wait) {
            Ok(piece) => verdict.take(&piece, output)?,
            Err(RecvTimeoutError::Timeout) => {}
            // QEMU has closed its output: it is ending.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if let Some(trouble) = console.poll() {
            return Err(Failure::Kernel(trouble));
        }
        if verdict.done.is_some_and(|done| done.elapsed() >= AFTERMATH) {
            return Ok(());
        }
        if verdict.done.is_none() && Instant::now() >= deadline {
            return Err(Failure::Timeout(limit.as_secs()));
        }
        if guest.ended() {
            return Ok(());
        }
    }
}

fn drain(
    pieces: &Receiver<Vec<u8>>,
    verdict: &mut Verdict,
    output: &mut dyn FnMut(&[u8]),
) -> Result<(), Failure> {
    while let Ok(piece) = pieces.recv_timeout(ENDING) {
        verdict.take(&piece, output)?;
    }
    let rest = verdict.frames.rest();
    if !rest.is_empty() {
        output(&rest);
    }
    Ok(())
}

/// What the guest has said so far.
struct Verdict {
    frames: Frames,
    started: Instant,
    script: Option<Duration>,
    status: Option<u8>,
    done: Option<Instant>,
}

impl Verdict {
    fn new(nonce: &str, started: Instant) -> Self {
        Self {
            frames: Frames::new(nonce),
            started,
            script: None,
            status: None,
            done: None,
        }
    }

    fn take(&mut self, piece: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<(), Failure> {
        for word in self.frames.feed(piece, output) {
            match (word, self.script, self.status) {
                (Word::Broken(why), ..) => return Err(Failure::Broken(why)),
                (Word::Start, None, None) => self.script = Some(self.started.elapsed()),
                (Word::Exit(status), Some(_), None) => {
                    self.status = Some(status);
                    self.done = Some(Instant::now());
                }
                (word, script, status) => {
                    return Err(Failure::Muddled(format!(
                        "{word:?} after start {} and status {status:?}",
                        script.is_some()
                    )));
                }
            }
        }
        Ok(())
    }

    fn outcome(&self, serial: &Path, log: &Path) -> Result<Outcome, Failure> {
        let (Some(status), Some(boot), Some(done)) = (self.status, self.script, self.done) else {
            let mut why = crate::cmd::tail(log);
            if why.is_empty() {
                why = format!("script started: {}", self.script.is_some());
            }
            return Err(Failure::NoVerdict(why));
        };
        Ok(Outcome {
            status,
            boot,
            total: done - self.started,
            serial: serial.to_path_buf(),
        })
    }
}

/// A root shell on this terminal, until it exits.
fn interactive(mut command: Command, serial: &Path) -> Result<Outcome> {
    let terminal = Terminal::raw();
    let started = Instant::now();
    let mut guest = Running {
        child: command
            .spawn()
            .context("cannot start QEMU through setpriv")?,
    };
    let words = serial.with_file_name("words.log");
    while !guest.ended() {
        thread::sleep(GLANCE);
        let said = std::fs::read(&words).unwrap_or_default();
        let text = String::from_utf8_lossy(&said);
        if text.contains(" exit=") || text.contains(" broken=") {
            break;
        }
    }
    guest.stop();
    drop(terminal);
    let said = String::from_utf8_lossy(&std::fs::read(&words).unwrap_or_default()).into_owned();
    if let Some((_, why)) = said.split_once(" broken=") {
        std::io::stderr().write_all(said.as_bytes()).ok();
        return Err(Failure::Broken(why.trim_end_matches(['\u{1e}', '\n']).to_owned()).into());
    }
    let status = said
        .split_once(" exit=")
        .and_then(|(_, rest)| rest.split('\u{1e}').next()?.parse().ok())
        .unwrap_or(0);
    Ok(Outcome {
        status,
        boot: Duration::ZERO,
        total: started.elapsed(),
        serial: serial.to_path_buf(),
    })
}

/// The terminal in raw mode, so that ^C and editing keys reach the guest. Put back when dropped.
struct Terminal {
    before: Option<String>,
}

impl Terminal {
    fn raw() -> Self {
        let before = Command::new("stty")
            .arg("-g")
            .stdin(Stdio::inherit())
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        if before.is_some() {
            Command::new("stty").args(["raw", "-echo"]).status().ok();
        }
        Self { before }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            Command::new("stty").arg(before).status().ok();
        }
    }
}

/// A QEMU process; it does not outlive this value.
struct Running {
    child: Child,
}

impl Running {
    fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks QEMU to end, so that it closes the disk images in order; insists if it does not.
    fn stop(&mut self) {
        if self.ended() {
            return;
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).ok();
        }
        let asked = Instant::now();
        while asked.elapsed() < ENDING {
            if self.ended() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(stream: &[u8]) -> Result<Outcome, Failure> {
        let mut verdict = Verdict::new("n", Instant::now());
        verdict.take(stream, &mut |_| {})?;
        verdict.outcome(Path::new("serial.log"), Path::new("no such log"))
    }

    #[test]
    fn one_verdict_after_the_start_counts() {
        assert_eq!(
            verdict(b"\x1en start\x1e\nx\x1en exit=7\x1e\n")
                .unwrap()
                .status,
            7
        );
    }

    #[test]
    fn everything_else_is_a_failure() {
        assert!(matches!(
            verdict(b"\x1en start\x1e\nx"),
            Err(Failure::NoVerdict(_))
        ));
        assert!(matches!(
            verdict(b"\x1en exit=0\x1e\n"),
            Err(Failure::Muddled(_))
        ));
        assert!(matches!(
            verdict(b"\x1en start\x1e\n\x1en exit=0\x1e\n\x1en exit=0\x1e\n"),
            Err(Failure::Muddled(_))
        ));
        assert_eq!(
            verdict(b"\x1en broken=no database\x1e\n").unwrap_err(),
            Failure::Broken("no database".into())
        );
    }
}
