//! The guard's audit log, read as anybody would read it: JSON lines.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::case::Skip;

/// Where the guard keeps its records.
pub const LOG: &str = "/var/log/dbguard/audit.jsonl";

/// How long a record may take to appear, under emulation and with the controller being restarted.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The moment from which a case counts: a place in the log, and the boot time, since what was
/// refused before may be written after.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: u64,
    boot_ns: u64,
}

/// One record.
#[derive(Clone, Debug)]
pub struct Record(pub Value);

impl Record {
    /// The value at a path such as `/object/dev`, as text; empty where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.0
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The number at a path; 0 where there is none.
    pub fn number(&self, pointer: &str) -> u64 {
        self.0
            .pointer(pointer)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    }

    /// True for refused operations, also those that observe mode let pass.
    ///
    /// `since` is compared with the kernel's own stamp.
    pub fn is_refusal_since(&self, since: Mark) -> bool {
        self.is_refusal() && self.number("/key/0") >= since.boot_ns
    }

    /// True for refused operations, whenever they happened.
    pub fn is_refusal(&self) -> bool {
        self.is_kind("denial") && matches!(self.text("/decision"), "deny" | "would-deny")
    }

    /// True for records of this kind.
    pub fn is_kind(&self, kind: &str) -> bool {
        self.text("/kind") == kind
    }

    /// A short line about a refusal, for messages.
    pub fn brief(&self) -> String {
        format!(
            "{} {} {} on {} ({}) by {} [{}]",
            self.text("/event"),
            self.text("/decision"),
            self.text("/op"),
            self.text("/object/name"),
            self.text("/reason"),
            self.text("/process/comm"),
            self.0
                .pointer("/process/argv")
                .map(ToString::to_string)
                .unwrap_or_default(),
        )
    }
}

/// The end of the log now.
pub fn mark() -> Mark {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let nanoseconds = now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned();
    Mark {
        bytes: whole_lines().unwrap_or(0),
        boot_ns: nanoseconds,
    }
}

/// Bytes of the log up to the end of its last whole line: another may be in the middle of being written.
fn whole_lines() -> std::io::Result<u64> {
    const PIECE: u64 = 64 * 1024;
    let mut log = fs::File::open(LOG)?;
    let length = log.metadata()?.len();
    let from = length.saturating_sub(PIECE);
    let mut text = Vec::new();
    log.seek(SeekFrom::Start(from))?;
    log.take(PIECE).read_to_end(&mut text)?;
    let end = text.iter().rposition(|byte| *byte == b'\n');
    Ok(end.map_or(from, |at| from + at as u64 + 1))
}

/// The whole records after `mark`.
pub fn since(mark: Mark) -> Result<Vec<Record>> {
    let mut text = Vec::new();
    match fs::File::open(LOG) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot open {LOG}")),
        Ok(mut log) => {
            log.seek(SeekFrom::Start(mark.bytes))
                .and_then(|_| log.read_to_end(&mut text))
                .with_context(|| format!("cannot read {LOG}"))?;
        }
    }
    // A line without its end is still being written.
    let whole = text
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    text[..whole]
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice(line)
                .map(Record)
                .with_context(|| format!("not JSON: {}", String::from_utf8_lossy(line)))
        })
        .collect()
}

/// Every record there is.
pub fn all() -> Result<Vec<Record>> {
    since(Mark {
        bytes: 0,
        boot_ns: 0,
    })
}

/// Waits until a record after `mark` is wanted, and gives it.
pub fn wait(mark: Mark, what: &str, wanted: impl Fn(&Record) -> bool) -> Result<Record> {
    let start = Instant::now();
    loop {
        let records = since(mark)?;
        if let Some(record) = records.iter().find(|record| wanted(record)) {
            return Ok(record.clone());
        }
        if start.elapsed() > PATIENCE {
            let there: Vec<_> = records.iter().rev().take(3).map(Record::brief).collect();
            bail!(
                "no record of {what} within {} s; last of {} records: {}",
                PATIENCE.as_secs(),
                records.len(),
                there.join("; ")
            );
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Waits for a refusal on one of `devices` (`major:minor`; none: any) and checks that its record says what a
/// person needs: an event id, one of `ops`, who did it.
pub fn wait_refusal(mark: Mark, devices: &[String], ops: &[&str]) -> Result<Record> {
    let ops_text = ops.join("/");
    let record = wait(
        mark,
        &format!("a refused {ops_text} on {}", devices.join(" ")),
        |record| {
            record.is_refusal_since(mark)
                && (devices.is_empty()
                    || devices.iter().any(|dev| dev == record.text("/object/dev")))
                && (ops.is_empty() || ops.contains(&record.text("/op")))
        },
    )?;
    let event = record.text("/event");
    if !event.starts_with("E-") || event.len() < 6 {
        bail!(
            "the event id `{event}` is not one that a person can type: {}",
            record.brief()
        );
    }
    if record.text("/process/comm").is_empty() || record.number("/process/pid") == 0 {
        bail!("the record does not say who did it: {}", record.0);
    }
    if record.number("/count") == 0 || record.text("/reason").is_empty() {
        bail!("the record has no count or no reason: {}", record.0);
    }
    Ok(record)
}

/// Refusals after `mark`, once the log has been quiet for `quiet`.
pub fn refusals_after_quiet(mark: Mark, quiet: Duration) -> Result<Vec<Record>> {
    let mut before = u64::MAX;
    let start = Instant::now();
    loop {
        let now = fs::metadata(LOG).map_or(0, |meta| meta.len());
        if now == before || start.elapsed() > Duration::from_mins(1) {
            break;
        }
        before = now;
        std::thread::sleep(quiet);
    }
    Ok(since(mark)?
        .into_iter()
        .filter(|record| record.is_refusal_since(mark))
        .collect())
}

/// Legitimate work: must have succeeded, and nothing may have been refused since `mark`. Where it
/// failed, the message says what was refused meanwhile: tools are often silent about why.
pub fn allowed<T>(mark: Mark, outcome: Result<T>) -> Result<T> {
    let refused = nothing_refused(mark);
    match (outcome, refused) {
        (Err(failed), Err(refused)) if !failed.is::<Skip>() => Err(failed.context(refused)),
        (outcome, Ok(())) | (outcome @ Err(_), _) => outcome,
        (Ok(_), Err(refused)) => Err(refused),
    }
}

/// Fails when anything was refused since `mark`.
pub fn nothing_refused(mark: Mark) -> Result<()> {
    let refused = refusals_after_quiet(mark, Duration::from_millis(250))?;
    if let Some(first) = refused.first() {
        let all: Vec<_> = refused.iter().take(4).map(Record::brief).collect();
        bail!(
            "{} refusals, first {}: {}",
            refused.len(),
            first.text("/event"),
            all.join("; ")
        );
    }
    Ok(())
}
