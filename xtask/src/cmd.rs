//! Running other programs, with errors that say what was being done.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How many lines of a log are repeated in an error.
const TAIL_LINES: usize = 20;

/// Runs `command` with its output on ours. `doing` completes the sentence "failed: ...".
pub fn run(command: &mut Command, doing: &str) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{doing}: cannot start {}", show(command)))?;
    if !status.success() {
        bail!("{doing}: {} ended with {status}", show(command));
    }
    Ok(())
}

/// Runs `command` with its output in the file `log`; an error repeats the end of that file.
pub fn logged(command: &mut Command, doing: &str, log: &Path) -> Result<()> {
    let out = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("{doing}: cannot write {}", log.display()))?;
    let err = out
        .try_clone()
        .with_context(|| format!("{doing}: cannot share the log file"))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .status()
        .with_context(|| format!("{doing}: cannot start {}", show(command)))?;
    if !status.success() {
        bail!(
            "{doing}: {} ended with {status}; the end of {}:\n{}",
            show(command),
            log.display(),
            tail(log)
        );
    }
    Ok(())
}

/// Runs `command` and gives its standard output; its standard error stays on ours.
pub fn capture(command: &mut Command, doing: &str) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{doing}: cannot start {}", show(command)))?;
    if !output.status.success() {
        bail!("{doing}: {} ended with {}", show(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| {
        format!(
            "{doing}: {} printed bytes that are not UTF-8",
            show(command)
        )
    })
}

/// Finds a program on `PATH` or in the system directories that an ordinary user's `PATH` omits.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// The command as a person would type it.
fn show(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

/// The last lines of a log file, lossily decoded.
pub fn tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
