//! The ledger: which requests this host has issued, what became of them, which grants live.
//!
//! One line an entry, appended and synced before anything relies on it: a nonce is spent on disk before
//! its grant is in the kernel, a use is counted before its command runs. So a crash can lose an
//! opening, never give one twice. A line that was being written when the machine died is taken back;
//! any other damage makes the ledger useless, and then nothing is opened until a person has looked.
//! Nothing in it outlives its boot but the number of the last grant.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::approve::Issued;
use super::id::grant_id;
use super::request::{NONCE_BYTES, hex};
use super::wire::sha256;

/// Where it is kept.
pub const LEDGER_PATH: &str = "/var/lib/dbguard/ledger";
const HEADER: &str = "dbguard-ledger 1";
/// Letters of a line's checksum.
const SUM: usize = 16;
/// How often, and after how long, the lock is tried again.
const LOCK_TRIES: u32 = 20;
const LOCK_WAIT: Duration = Duration::from_millis(50);
/// More than any boot has entries for.
const MAX_BYTES: u64 = 16 << 20;

/// Why the ledger cannot be used.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// It is damaged.
    #[error(
        "{path} is damaged ({what}): no override is opened until a person has it set aside: dbguard override reset --confirm-host NAME"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another controller has it.
    #[error("{0} is in use by another process")]
    Locked(PathBuf),
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A grant that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Its number: `G-19`.
    pub grant: u32,
    /// Nonce of the request, in hexadecimal.
    pub nonce: String,
    /// The text that was signed.
    pub request: String,
    /// Who signed: principal and fingerprint of the key.
    pub signers: Vec<(String, String)>,
    /// When, ns of CLOCK_BOOTTIME.
    pub at_boot_ns: u64,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Entry {
    /// The boot that all further entries are of, and the number of the last grant before it.
    Boot {
        /// `/proc/sys/kernel/random/boot_id`.
        boot_id: String,
        /// Number of the last grant.
        last_grant: u32,
    },
    /// A request was made.
    Issued {
        /// Its nonce, in hexadecimal.
        nonce: String,
        /// [`super::request::digest`] of its text.
        digest: String,
    },
    /// It was signed and applied.
    Given(Given),
    /// A command was started under a grant.
    Used {
        /// The grant.
        grant: u32,
        /// The process.
        pid: u32,
    },
    /// Nothing is opened by it any more.
    Closed {
        /// The grant.
        grant: u32,
        /// Why.
        why: String,
    },
}

/// A grant with what has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The grant.
    pub given: Given,
    /// Commands that were started under it.
    pub used: u32,
    /// Why it opens nothing any more.
    pub closed: Option<String>,
}

/// What the entries come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    boot_id: String,
    last_grant: u32,
    issued: Vec<(String, String)>,
    grants: Vec<Standing>,
}

impl Book {
    fn enter(&mut self, entry: Entry) -> Result<(), String> {
        match entry {
            Entry::Boot {
                boot_id,
                last_grant,
            } => {
                *self = Self {
                    boot_id,
                    last_grant,
                    ..Self::default()
                };
            }
            Entry::Issued { nonce, digest } => {
                if self.issued.iter().any(|(other, _)| *other == nonce) {
                    return Err("a nonce was issued twice".to_owned());
                }
                self.issued.push((nonce, digest));
            }
            Entry::Given(given) => {
                if given.grant <= self.last_grant {
                    return Err(format!("grant {} was given twice", given.grant));
                }
                self.last_grant = given.grant;
                self.grants.push(Standing {
                    given,
                    used: 0,
                    closed: None,
                });
            }
            Entry::Used { grant, .. } => self.of(grant)?.used += 1,
            Entry::Closed { grant, why } => self.of(grant)?.closed = Some(why),
        }
        Ok(())
    }

    fn of(&mut self, grant: u32) -> Result<&mut Standing, String> {
        let found = self.grants.iter_mut().find(|one| one.given.grant == grant);
        found.ok_or_else(|| format!("grant {grant} was never given"))
    }

    /// What is known of a nonce.
    pub fn issued(&self, nonce: &[u8; NONCE_BYTES]) -> Issued {
        let nonce = hex(nonce);
        let Some((_, digest)) = self.issued.iter().find(|(other, _)| *other == nonce) else {
            return Issued::Never;
        };
        match self.grants.iter().find(|one| one.given.nonce == nonce) {
            Some(standing) => Issued::Spent(grant_id(standing.given.grant)),
            None => Issued::Open(digest.clone()),
        }
    }

    /// Every grant of this boot.
    pub fn grants(&self) -> &[Standing] {
        &self.grants
    }

    /// The grant with this number.
    pub fn grant(&self, number: u32) -> Option<&Standing> {
        self.grants.iter().find(|one| one.given.grant == number)
    }

    /// Requests that were issued and not used.
    pub fn waiting(&self) -> usize {
        self.issued.len() - self.grants.len()
    }

    /// Number of the next grant.
    pub const fn next_grant(&self) -> u32 {
        self.last_grant.saturating_add(1)
    }
}

/// The file, locked for as long as this lives.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    book: Book,
    /// Bytes of a torn line that were taken back at opening.
    pub recovered: usize,
}

impl Ledger {
    /// Opens or makes it. What is of another boot is dropped.
    pub fn open(path: &Path, boot_id: &str) -> Result<Self, LedgerError> {
        let io = |source| LedgerError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(directory) = path.parent() {
            let mut builder = DirBuilder::new();
            builder
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(io)?;
        }
        let file = open(path).map_err(io)?;
        lock(&file, path)?;
        let mut bytes = Vec::new();
        (&file)
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        let corrupt = |what: String| LedgerError::Corrupt {
            path: path.to_owned(),
            what,
        };
        if bytes.len() as u64 > MAX_BYTES {
            return Err(corrupt("far too long".to_owned()));
        }
        let (book, whole) = read(&bytes).map_err(corrupt)?;
        let recovered = bytes.len() - whole;
        file.set_len(whole as u64).map_err(io)?;
        let mut ledger = Self {
            path: path.to_owned(),
            file,
            book,
            recovered,
        };
        if ledger.book.boot_id != boot_id {
            ledger.begin(boot_id).map_err(io)?;
        }
        Ok(ledger)
    }

    /// A new ledger in the place of one that is damaged, which is kept under another name. Nothing of it
    /// counts any more but the numbers of its grants, as far as they can be made out: none is given
    /// twice.
    pub fn begin_anew(path: &Path, boot_id: &str) -> Result<Self, LedgerError> {
        let io = |source| LedgerError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = match fs::read(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            read => read.unwrap_or_default(),
        };
        if !bytes.is_empty() {
            fs::rename(path, path.with_extension("damaged")).map_err(io)?;
        }
        let mut ledger = Self::open(path, boot_id)?;
        ledger.book.last_grant = highest_number(&String::from_utf8_lossy(&bytes));
        ledger.begin(boot_id).map_err(io)?;
        Ok(ledger)
    }

    /// A new file with this boot alone, in the place of the old one: a crash leaves one of the two.
    fn begin(&mut self, boot_id: &str) -> io::Result<()> {
        let entry = Entry::Boot {
            boot_id: boot_id.to_owned(),
            last_grant: self.book.last_grant,
        };
        let new = self.path.with_extension("new");
        fs::remove_file(&new).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let mut file = open(&new)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        file.write_all(format!("{HEADER}\n{}", line(&entry)?).as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        self.file = file;
        // A boot is always entered.
        self.book.enter(entry).map_err(io::Error::other)
    }

    /// What it says.
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// Adds an entry. When this returns it is on disk, or was not added.
    pub fn add(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        let io = |source| LedgerError::Io {
            path: self.path.clone(),
            source,
        };
        let mut book = self.book.clone();
        book.enter(entry.clone())
            .map_err(|what| io(io::Error::other(what)))?;
        let before = self.file.metadata().map_err(io)?.len();
        let written = line(entry)
            .and_then(|line| self.file.write_all(line.as_bytes()))
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // Half a line would be taken back at the next start; nothing may follow it until then.
            let _ = self.file.set_len(before);
            return Err(io(source));
        }
        self.book = book;
        Ok(())
    }
}

/// A child of a controller that has just ended may hold the lock until it executes its own program.
fn lock(file: &File, path: &Path) -> Result<(), LedgerError> {
    for _ in 0..LOCK_TRIES {
        if flock(file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(());
        }
        std::thread::sleep(LOCK_WAIT);
    }
    Err(LedgerError::Locked(path.to_owned()))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// The highest number of a grant that stands anywhere in a text.
fn highest_number(text: &str) -> u32 {
    let numbers = text.match_indices("grant\":").filter_map(|(at, found)| {
        let rest = &text[at + found.len()..];
        let digits = rest
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..digits].parse().ok()
    });
    numbers.max().unwrap_or(0)
}

fn line(entry: &Entry) -> io::Result<String> {
    let text = serde_json::to_string(entry)?;
    Ok(format!("{} {text}\n", sum(&text)))
}

fn sum(text: &str) -> String {
    let mut sum = hex(&sha256(text.as_bytes()));
    sum.truncate(SUM);
    sum
}

/// What whole lines say, and how many bytes they are. Only the last line may be torn.
fn read(bytes: &[u8]) -> Result<(Book, usize), String> {
    let mut book = Book::default();
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let text = str::from_utf8(&bytes[..whole]).map_err(|error| error.to_string())?;
    let mut lines = text.split_terminator('\n');
    match lines.next() {
        // Made, and nothing written yet.
        None if HEADER.as_bytes().starts_with(bytes) => return Ok((book, 0)),
        Some(HEADER) => {}
        _ => return Err(format!("it does not begin with '{HEADER}'")),
    }
    for (at, line) in lines.enumerate() {
        let wrong = |what: &str| format!("line {}: {what}", at + 2);
        let (own, entry) = line.split_once(' ').ok_or_else(|| wrong("no checksum"))?;
        if own != sum(entry) {
            return Err(wrong("its checksum is wrong"));
        }
        let entry: Entry =
            serde_json::from_str(entry).map_err(|error| wrong(&error.to_string()))?;
        if book.boot_id.is_empty() && !matches!(entry, Entry::Boot { .. }) {
            return Err(wrong("no boot before it"));
        }
        book.enter(entry).map_err(|what| wrong(&what))?;
    }
    Ok((book, whole))
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
