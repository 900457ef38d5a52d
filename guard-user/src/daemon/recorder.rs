//! The controller's pen: writes records, and keeps those that could not be written until they can.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;

use crate::audit::account::Account;
use crate::audit::log::{Context, Draft, Log, LogError, Stance};
use crate::audit::record::{Body, EventKey, Gap, Record};

/// Records that wait for a log that cannot be written. Ring events wait in their ring instead.
const WAITING: usize = 1_024;

/// The log, opened or not.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    context: Context,
    epoch: String,
    log: Option<Log>,
    waiting: VecDeque<Draft>,
    /// Records that found no room among the waiting ones.
    forgotten: u64,
    failure: Option<String>,
    /// A batch did not fit. Small records may fit all the same; that does not mend anything.
    batch_failed: bool,
    known: HashSet<EventKey>,
    known_lifecycle: HashSet<(u64, u32)>,
}

impl Recorder {
    /// Opens the log. Where that fails, the recorder keeps what it is given and tries again with
    /// every record.
    pub fn new(path: PathBuf, context: Context, epoch: String, stance: Stance) -> Self {
        let mut recorder = Self {
            path,
            context,
            epoch,
            log: None,
            waiting: VecDeque::new(),
            forgotten: 0,
            failure: None,
            batch_failed: false,
            known: HashSet::new(),
            known_lifecycle: HashSet::new(),
        };
        if let Err(error) = recorder.open(stance) {
            recorder.failure = Some(error.to_string());
        }
        recorder
    }

    fn open(&mut self, stance: Stance) -> Result<(), LogError> {
        let opened = Log::open(&self.path, self.context.clone(), &self.epoch)?;
        for note in opened.notes.into_iter().rev() {
            self.waiting.push_front(Draft::now(stance, note));
        }
        self.known = opened.known;
        self.known_lifecycle = opened.known_lifecycle;
        self.log = Some(opened.log);
        Ok(())
    }

    /// Why the last write failed; `None` where it did not.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The balance of what is written.
    pub fn account(&self) -> Account {
        self.log
            .as_ref()
            .map_or_else(|| Account::new(&*self.epoch), |log| log.account().clone())
    }

    /// True, once, for an event that an earlier controller has written and not consumed.
    pub fn has_recorded(&mut self, key: EventKey) -> bool {
        self.known.remove(&key)
    }

    /// The same for lifecycle events: stamp and process id.
    pub fn has_recorded_lifecycle(&mut self, key: (u64, u32)) -> bool {
        self.known_lifecycle.remove(&key)
    }

    /// The rings were empty: nothing older can come any more.
    pub fn caught_up(&mut self) {
        self.known = HashSet::new();
        self.known_lifecycle = HashSet::new();
    }

    /// Writes now if possible, otherwise as soon as it is.
    pub fn note(&mut self, stance: Stance, body: Body) {
        if self.waiting.len() < WAITING {
            self.waiting.push_back(Draft::now(stance, body));
        } else {
            self.forgotten += 1;
        }
        let _ = self.write(Vec::new(), stance);
    }

    /// Writes what waits and this batch. Where it fails, what waited goes on waiting, and the
    /// batch is the caller's to bring again: returns `None`.
    pub fn write(&mut self, batch: Vec<Draft>, stance: Stance) -> Option<Vec<Record>> {
        let has_batch = !batch.is_empty();
        match self.try_write(batch, stance) {
            Ok(records) => {
                self.batch_failed &= !has_batch;
                if !self.batch_failed {
                    self.failure = None;
                }
                Some(records)
            }
            Err(error) => {
                self.failure = Some(error.to_string());
                self.batch_failed |= has_batch;
                None
            }
        }
    }

    /// Writes what must stand in the log before it is done.
    ///
    /// # Errors
    /// Why it may not be done, in words for whoever asked for it.
    pub fn write_first(&mut self, draft: Draft, stance: Stance) -> Result<(), String> {
        if self.write(vec![draft], stance).is_some() {
            return Ok(());
        }
        let why = self.failure().unwrap_or("unknown reason");
        Err(format!(
            "this must be recorded first, and the audit log cannot be written: {why}"
        ))
    }

    fn try_write(&mut self, batch: Vec<Draft>, stance: Stance) -> Result<Vec<Record>, LogError> {
        if self.log.is_none() {
            self.open(stance)?;
        }
        let Some(log) = self.log.as_mut() else {
            return Ok(Vec::new());
        };
        let mut drafts: Vec<Draft> = self.waiting.iter().cloned().collect();
        if self.forgotten > 0 {
            let gap = Gap {
                what: "log".to_owned(),
                lost: self.forgotten,
                detail: "records of the controller's own that were lost while the log could not be written".to_owned(),
            };
            drafts.push(Draft::now(stance, Body::Gap(gap)));
        }
        let before = drafts.len();
        drafts.extend(batch);
        let batch_len = drafts.len() - before;
        let mut records = log.append(drafts)?;
        self.waiting.clear();
        self.forgotten = 0;
        // The log may have put a note of its own in front.
        Ok(records.split_off(records.len() - batch_len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::Stop;
    use std::fs;

    const STANCE: Stance = Stance {
        mode: "enforce",
        state: "idle",
    };

    fn body(why: &str) -> Body {
        Body::Stop(Stop { why: why.into() })
    }

    fn lines(path: &std::path::Path) -> Vec<Record> {
        let text = fs::read_to_string(path).expect("a log");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a record"))
            .collect()
    }

    #[test]
    fn what_could_not_be_written_is_written_later_and_in_order() {
        let dir = tempfile::tempdir().expect("a directory");
        let blocked = dir.path().join("log");
        fs::write(&blocked, b"a file where the directory should be").expect("written");
        let context = Context {
            boot_id: "b".into(),
            machine_id: "m".into(),
            host: "db7".into(),
        };
        let path = blocked.join("audit.jsonl");
        let mut recorder = Recorder::new(path.clone(), context, "e".into(), STANCE);
        assert!(recorder.failure().is_some());
        recorder.note(STANCE, body("one"));
        assert!(
            recorder
                .write(vec![Draft::now(STANCE, body("ring"))], STANCE)
                .is_none()
        );
        for _ in 0..WAITING {
            recorder.note(STANCE, body("more"));
        }
        fs::remove_file(&blocked).expect("removed");
        let written = recorder
            .write(vec![Draft::now(STANCE, body("ring"))], STANCE)
            .expect("works");
        assert_eq!(recorder.failure(), None);
        assert_eq!(written.len(), 1);
        assert_eq!(written[0].body, body("ring"));
        let all = lines(&path);
        assert_eq!(all.len(), WAITING + 2);
        assert_eq!(all[0].body, body("one"));
        assert!(matches!(&all[WAITING].body, Body::Gap(gap) if gap.lost == 1));
        recorder.note(STANCE, body("last"));
        assert_eq!(
            lines(&path).len(),
            all.len() + 1,
            "nothing is written twice"
        );
    }

    /// A full disk takes a small record and refuses a batch: that is still a log that fails.
    #[test]
    fn a_small_record_does_not_mend_a_failing_log() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("audit.jsonl");
        let context = Context {
            boot_id: "b".into(),
            machine_id: "m".into(),
            host: "db7".into(),
        };
        let mut recorder = Recorder::new(path, context, "e".into(), STANCE);
        recorder.failure = Some("full".into());
        recorder.batch_failed = true;
        recorder.note(STANCE, body("small"));
        assert!(recorder.failure().is_some());
        let batch = vec![Draft::now(STANCE, body("ring"))];
        assert!(recorder.write(batch, STANCE).is_some());
        assert_eq!(recorder.failure(), None);
    }
}
