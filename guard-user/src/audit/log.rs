//! The one writer of the log.
//!
//! A batch of records is one write at the end of what is known to be good, then one `fdatasync`.
//! Whatever stands behind the good end (a line torn by power loss or `kill -9`, half a batch from a
//! full disk) is written over and cut off by the next batch, which begins with a record that says
//! so. Nothing is reported as written before it is on disk.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::account::Account;
use super::record::{Body, EventKey, Gap, Record, Recovered, SCHEMA};
use super::reverse::ReverseLines;
use super::{chain, event_id, time};

/// Keys of so many events at the end of the log are remembered at start: more than one batch, which
/// is all that can be written and not yet consumed.
const REMEMBERED_KEYS: usize = 4_096;
/// Bytes of a torn line that are kept for a person to look at.
const TORN_KEPT: usize = 1_024;

/// The log cannot be read or written. The guard goes on enforcing.
#[derive(Debug, Error)]
#[error("audit log {path}: {doing} failed: {source}; {next}", path = .path.display())]
pub struct LogError {
    path: PathBuf,
    doing: &'static str,
    next: &'static str,
    source: io::Error,
}

/// What every record says about the host.
#[derive(Clone, Debug)]
pub struct Context {
    /// Boot id.
    pub boot_id: String,
    /// Machine id.
    pub machine_id: String,
    /// Node name.
    pub host: String,
}

/// Mode and state at the time of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stance {
    /// `observe` or `enforce`.
    pub mode: &'static str,
    /// `idle`, `armed` or `held`.
    pub state: &'static str,
}

/// A record that is still to be numbered and written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// When, ns of CLOCK_BOOTTIME.
    pub boot_ns: u64,
    /// Mode and state.
    pub stance: Stance,
    /// What happened.
    pub body: Body,
}

impl Draft {
    /// A draft of something that happens now.
    pub fn now(stance: Stance, body: Body) -> Self {
        Self {
            boot_ns: time::boot_ns(),
            stance,
            body,
        }
    }
}

/// The log, opened for writing.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// End of the last record that is known to be on disk.
    good: u64,
    /// Something stands behind `good` that is to be written over.
    torn: bool,
    next_seq: u64,
    /// Hash of the last record.
    head: String,
    context: Context,
    account: Account,
}

/// What opening has found.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub log: Log,
    /// The last record in it.
    pub last: Option<Record>,
    /// What is to be recorded about the log itself, before anything else.
    pub notes: Vec<Body>,
    /// Events of this boot that are in the log already.
    pub known: HashSet<EventKey>,
    /// Lifecycle events of this boot that are in the log already: stamp and process id.
    pub known_lifecycle: HashSet<(u64, u32)>,
}

impl Log {
    /// Opens or makes the log. `epoch` names the kernel half's maps: an account of another epoch
    /// begins at zero.
    pub fn open(path: &Path, context: Context, epoch: &str) -> Result<Opened, LogError> {
        let fail = |doing, source| LogError {
            path: path.to_owned(),
            doing,
            next: "mend the directory or the file system; the kernel half goes on enforcing",
            source,
        };
        if let Some(directory) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o750)
                .create(directory)
                .map_err(|error| fail("making its directory", error))?;
        }
        let file = open_file(path).map_err(|error| fail("opening", error))?;
        let mut log = Self {
            path: path.to_owned(),
            file,
            good: 0,
            torn: false,
            next_seq: 1,
            head: chain::NO_RECORD.to_owned(),
            context,
            account: Account::new(epoch),
        };
        let found = log
            .read_end()
            .map_err(|error| fail("reading its end", error))?;
        Ok(Opened {
            log,
            last: found.last,
            notes: found.notes,
            known: found.known,
            known_lifecycle: found.known_lifecycle,
        })
    }

    /// The balance of what has been written.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Writes a batch. Either all of it is on disk when this returns, or the log is as before.
    pub fn append(&mut self, drafts: Vec<Draft>) -> Result<Vec<Record>, LogError> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        self.write_batch(drafts).map_err(|(doing, source)| {
            // Readers should not meet half a batch; if even this fails the next batch does it.
            if self.file.set_len(self.good).is_err() {
                self.torn = true;
            }
            LogError {
                path: self.path.clone(),
                doing,
                next: "make room or mend the file system; the kernel half goes on enforcing and \
                       its events wait to be written",
                source,
            }
        })
    }

    fn write_batch(
        &mut self,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Record>, (&'static str, io::Error)> {
        let note = self
            .check_file()
            .map_err(|error| ("looking at it", error))?;
        let stance = drafts[0].stance;
        let drafts = note
            .map(|body| Draft::now(stance, body))
            .into_iter()
            .chain(drafts);
        let mut account = self.account.clone();
        let mut bytes = Vec::new();
        let mut records = Vec::new();
        let mut head = self.head.clone();
        for (seq, draft) in (self.next_seq..).zip(drafts) {
            let mut record = self.number(seq, draft, &mut account);
            record.prev_hash = Some(head);
            head = write_line(&mut bytes, &record)
                .map_err(|error| ("putting a record in words", error))?;
            record.hash = Some(head.clone());
            records.push(record);
        }
        self.file
            .write_all_at(&bytes, self.good)
            .map_err(|error| ("writing", error))?;
        let end = self.good + bytes.len() as u64;
        if self.torn {
            self.file
                .set_len(end)
                .map_err(|error| ("cutting off a torn line", error))?;
        }
        self.file.sync_data().map_err(|error| ("syncing", error))?;
        self.good = end;
        self.torn = false;
        self.next_seq += records.len() as u64;
        self.head = head;
        self.account = account;
        Ok(records)
    }

    fn number(&self, seq: u64, draft: Draft, account: &mut Account) -> Record {
        draft.body.book(account);
        Record {
            v: SCHEMA,
            seq,
            event: matches!(draft.body, Body::Denial(_) | Body::Descriptor(_))
                .then(|| event_id::encode(seq)),
            time: time::rfc3339(time::wall_of_boot(draft.boot_ns)),
            boot_ns: draft.boot_ns,
            boot_id: self.context.boot_id.clone(),
            machine_id: self.context.machine_id.clone(),
            host: self.context.host.clone(),
            mode: draft.stance.mode.to_owned(),
            state: draft.stance.state.to_owned(),
            account: account.clone(),
            body: draft.body,
            prev_hash: None,
            hash: None,
        }
    }

    /// Notices that the file was moved away (rotation), removed, or cut by someone else.
    fn check_file(&mut self) -> io::Result<Option<Body>> {
        let ours = self.file.metadata()?;
        let moved = match std::fs::metadata(&self.path) {
            Ok(there) => there.ino() != ours.ino() || there.dev() != ours.dev(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        if moved {
            self.file = open_file(&self.path)?;
            self.good = self.file.metadata()?.len();
            self.torn = false;
            return Ok(Some(log_gap(
                0,
                format!(
                    "the log file was moved or removed; this one goes on at record {}",
                    self.next_seq
                ),
            )));
        }
        if ours.len() < self.good {
            let lost = self.good - ours.len();
            self.good = ours.len();
            return Ok(Some(log_gap(
                0,
                format!("someone else cut {lost} bytes off the log"),
            )));
        }
        if ours.len() > self.good && !self.torn {
            self.good = ours.len();
            return Ok(Some(log_gap(0, "someone else wrote to the log".to_owned())));
        }
        Ok(None)
    }

    fn read_end(&mut self) -> io::Result<Found> {
        let end = self.file.metadata()?.len();
        let mut found = Found::in_file(&self.file, end, &self.context, &self.account.epoch)?;
        self.good = found.complete;
        if found.complete < end {
            found.notes.push(self.torn_line(found.complete, end)?);
            self.torn = true;
        }
        if found.last.is_none() {
            // Rotated away while no controller ran: numbers and balance go on from there.
            if let Some(before) = self.rotated() {
                found.take_over(before);
            }
        }
        if let Some(last) = &found.last {
            self.next_seq = last.seq + found.not_records + 1;
            if let Some(hash) = &last.hash {
                self.head.clone_from(hash);
            }
        }
        if let Some(account) = found.account.take() {
            self.account = account;
        }
        if found.not_records > 0 {
            found.notes.push(log_gap(
                found.not_records,
                "lines at the end of the log are not records".into(),
            ));
        }
        Ok(found)
    }

    /// The end of the file that was the log before this one: the one with the highest number among
    /// those whose names begin like the log's. Compressed ones tell nothing.
    fn rotated(&self) -> Option<Found> {
        let own = self.path.file_name()?.to_str()?;
        let entries = std::fs::read_dir(self.path.parent()?).ok()?;
        let older = entries.flatten().filter(|entry| {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(own));
            rest.is_some_and(|rest| rest.starts_with(['.', '-']))
        });
        older
            .filter_map(|entry| {
                let file = File::open(entry.path()).ok()?;
                let end = file
                    .metadata()
                    .ok()
                    .filter(std::fs::Metadata::is_file)?
                    .len();
                Found::in_file(&file, end, &self.context, &self.account.epoch).ok()
            })
            .filter(|found| found.last.is_some())
            .max_by_key(|found| found.last.as_ref().map_or(0, |record| record.seq))
    }

    fn torn_line(&self, start: u64, end: u64) -> io::Result<Body> {
        let torn_bytes = end - start;
        let mut kept = vec![0; TORN_KEPT.min(torn_bytes as usize)];
        self.file.read_exact_at(&mut kept, start)?;
        Ok(Body::Recovered(Recovered {
            torn_bytes,
            torn: String::from_utf8_lossy(&kept).into_owned(),
        }))
    }
}

/// What the end of a file tells.
#[derive(Default)]
struct Found {
    last: Option<Record>,
    /// End of the last whole line.
    complete: u64,
    /// Lines after the last record that are none.
    not_records: u64,
    account: Option<Account>,
    notes: Vec<Body>,
    known: HashSet<EventKey>,
    known_lifecycle: HashSet<(u64, u32)>,
}

impl Found {
    fn in_file(file: &File, end: u64, context: &Context, epoch: &str) -> io::Result<Self> {
        let (mut lines, complete) = ReverseLines::new(file, end)?;
        let mut found = Self {
            complete,
            ..Self::default()
        };
        let mut not_records = 0;
        while let Some(line) = lines.next_line()? {
            let Ok(record) = serde_json::from_slice::<Record>(&line.bytes) else {
                not_records += 1;
                continue;
            };
            let same_maps = record.boot_id == context.boot_id && record.account.epoch == epoch;
            if found.last.is_none() {
                found.not_records = not_records;
            }
            if same_maps && found.account.is_none() {
                found.account = Some(record.account.clone());
            }
            found.remember(&record, &context.boot_id);
            found.last.get_or_insert(record);
            if found.known.len() + found.known_lifecycle.len() >= REMEMBERED_KEYS || !same_maps {
                break;
            }
        }
        if found.last.is_none() {
            found.not_records = not_records;
        }
        Ok(found)
    }

    /// What an older file tells that this one, without a record, does not.
    fn take_over(&mut self, before: Self) {
        self.notes.push(log_gap(
            0,
            "the log file was moved away; this one goes on where it ended".to_owned(),
        ));
        self.last = before.last;
        self.account = before.account;
        self.known = before.known;
        self.known_lifecycle = before.known_lifecycle;
        self.not_records += before.not_records;
    }

    fn remember(&mut self, record: &Record, boot_id: &str) {
        if record.boot_id != boot_id {
            return;
        }
        match &record.body {
            Body::Denial(denial) => self.known.extend(denial.keys()),
            Body::Process(process) if process.event_boot_ns != 0 => {
                self.known_lifecycle
                    .insert((process.event_boot_ns, process.pid));
            }
            _ => {}
        }
    }
}

fn log_gap(lost: u64, detail: String) -> Body {
    Body::Gap(Gap {
        what: "log".to_owned(),
        lost,
        detail,
    })
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(path)
}

/// The one place that turns a record into bytes. Returns its hash.
fn write_line(bytes: &mut Vec<u8>, record: &Record) -> io::Result<String> {
    let start = bytes.len();
    serde_json::to_writer(&mut *bytes, record)?;
    Ok(chain::seal(bytes, start))
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
