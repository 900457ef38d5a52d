//! Who may sign: `allowed_signers` files and revocations, put together.
//!
//! A file that cannot be understood authorises nobody; the others go on. Where revocations cannot be
//! understood, or two files contradict each other about who a person is, nobody is authorised: what
//! is missing could be the line that takes an authority away.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::key::Key;
use super::line::{self, Line, LineError, Who};
use super::person;
use super::revoked::{Revoked, RevokedError};
use super::wire::{put_string, sha256};

/// Where the files are.
pub const ALLOWED_SIGNERS: &str = "/etc/dbguard/allowed_signers.d";

/// Largest file that is read.
const LARGEST: u64 = 4 << 20;

/// Endings of what editors and package managers leave behind: an old copy would give back what was
/// taken away.
const LEFTOVERS: [&str; 9] = [
    "~", ".bak", ".old", ".orig", ".rej", ".save", ".swp", ".rpmnew", ".rpmsave",
];

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Why a file, or a directory of them, authorises nobody.
#[derive(Debug, Error)]
pub enum SignersError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}; mend its permissions, or make it", .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is too long to be meant.
    #[error("{}: it is larger than {LARGEST} bytes; split it", .0.display())]
    Large(PathBuf),
    /// A copy that an editor or package manager left.
    #[error("{}: looks like a copy that was left behind, and is not read; remove or rename it", .0.display())]
    Leftover(PathBuf),
    /// A line cannot be understood: its whole file authorises nobody.
    #[error("{at}: {why}. Nobody is authorised by this file until then")]
    Line {
        /// Which.
        at: Origin,
        /// What is wrong.
        why: LineError,
    },
    /// A list of revocations cannot be understood: nobody is authorised.
    #[error("{}: {why}. Nobody is authorised until then", .file.display())]
    Revoked {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: RevokedError,
    },
    /// One key under two persons.
    #[error(
        "{between}: one key, {fingerprint}, must not count as two persons; remove one of the lines. Nobody is authorised until then"
    )]
    SharedKey {
        /// The key.
        fingerprint: String,
        /// Whose it is said to be.
        between: Box<Between>,
    },
    /// One name, or two that differ in case alone, for two persons.
    #[error(
        "{between}: the name {name} must not stand for two persons; begin all lines of a person with the same name. Nobody is authorised until then"
    )]
    SharedName {
        /// The name.
        name: String,
        /// Whose it is said to be.
        between: Box<Between>,
    },
}

/// Two lines that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Between {
    /// The line that was read first.
    pub first: Origin,
    /// Its person.
    pub person: String,
    /// The other line.
    pub second: Origin,
    /// Its person.
    pub other: String,
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is about {}, {} about {}",
            self.first, self.person, self.second, self.other
        )
    }
}

/// A line and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) at: Origin,
    pub(super) line: Line,
}

/// Everybody who may sign, and what is revoked.
#[derive(Debug, Default)]
pub struct Signers {
    lines: Vec<Signer>,
    revoked: Revoked,
    problems: Vec<SignersError>,
}

impl Signers {
    /// Reads one `allowed_signers` file. A line that cannot be understood is an error of the whole
    /// file; the path is for messages.
    pub fn parse(bytes: &[u8], file: &Path) -> Result<Self, SignersError> {
        let mut lines = Vec::new();
        for (line, bytes) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            let at = Origin {
                file: file.to_owned(),
                line,
            };
            match line::parse(bytes) {
                Ok(Some(line)) => lines.push(Signer { at, line }),
                Ok(None) => {}
                Err(why) => return Err(SignersError::Line { at, why }),
            }
        }
        let signers = Self {
            lines,
            ..Self::default()
        };
        signers.told_apart()?;
        Ok(signers)
    }

    /// Reads a directory: regular files in the order of their names, those named `revoked…` as
    /// revocations, those beginning with a dot not at all. Links are followed. Files that authorise
    /// nobody because something is wrong with them are [`Self::problems`].
    ///
    /// # Errors
    /// What takes everybody's authority away: the directory or a revocation that cannot be read, or
    /// a contradiction between files.
    pub fn read(directory: &Path) -> Result<Self, SignersError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            |source| SignersError::Read { path, source }
        };
        let mut paths = fs::read_dir(directory)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(unreadable(directory))
            .map(|mut paths: Vec<PathBuf>| {
                paths.sort();
                paths
            })?;
        paths.retain(|path| !named(path, |name| name.starts_with('.')));
        let mut all = Self::default();
        for path in paths {
            let revokes = named(&path, |name| name.starts_with("revoked"));
            let read = contents(&path);
            if revokes {
                let bytes = read?.ok_or_else(|| {
                    unreadable(&path)(io::Error::other("it is not a regular file"))
                })?;
                let why = |why| SignersError::Revoked { file: path, why };
                all.revoked.add(Revoked::parse(&bytes).map_err(why)?);
                continue;
            }
            match read.and_then(|bytes| signers_in(bytes, &path)) {
                Ok(more) => all.lines.extend(more.lines),
                Err(problem) => all.problems.push(problem),
            }
        }
        all.told_apart()?;
        Ok(all)
    }

    /// The same, with more revoked.
    #[must_use]
    pub fn without(mut self, revoked: Revoked) -> Self {
        self.revoked.add(revoked);
        self
    }

    /// Files that authorise nobody, and why.
    pub fn problems(&self) -> &[SignersError] {
        &self.problems
    }

    /// Whether nobody may sign.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What is revoked.
    pub const fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// The lines that give this key to a person, and that person.
    pub(super) fn of_key(&self, key: &Key) -> impl Iterator<Item = (&Signer, &str)> {
        self.lines
            .iter()
            .filter_map(move |signer| match &signer.line.who {
                Who::Person { name, .. } if signer.line.key == *key => {
                    Some((signer, name.as_str()))
                }
                _ => None,
            })
    }

    /// The lines that make this key an authority, and the pattern list of each.
    pub(super) fn of_authority(&self, key: &Key) -> impl Iterator<Item = (&Signer, &str)> {
        self.lines
            .iter()
            .filter_map(move |signer| match &signer.line.who {
                Who::Authority { principals } if signer.line.key == *key => {
                    Some((signer, principals.as_str()))
                }
                _ => None,
            })
    }

    /// The person whom a name stands for: their first name if the files have it, else the name.
    pub(super) fn person<'n>(&'n self, name: &'n str) -> &'n str {
        self.lines
            .iter()
            .find_map(|signer| match &signer.line.who {
                Who::Person {
                    name: first,
                    others,
                } if person::is_same(first, name)
                    || others.iter().any(|other| person::is_same(other, name)) =>
                {
                    Some(first.as_str())
                }
                _ => None,
            })
            .unwrap_or(name)
    }

    /// SHA-256 over what the set means. Comments, the order and names of files and lines, and the
    /// form in which something is revoked do not matter; whatever changes who may sign does.
    pub fn digest(&self) -> [u8; 32] {
        let mut lines: Vec<Vec<u8>> = self.lines.iter().map(|one| meaning(&one.line)).collect();
        lines.sort_unstable();
        lines.dedup();
        let mut out = b"dbguard signers 1\n".to_vec();
        out.extend_from_slice(&(lines.len() as u64).to_be_bytes());
        for line in lines {
            put_string(&mut out, &line);
        }
        self.revoked.put(&mut out);
        sha256(&out)
    }

    /// Checks that no key and no name belongs to two persons.
    fn told_apart(&self) -> Result<(), SignersError> {
        let mut keys: BTreeMap<&[u8], (&str, &Origin)> = BTreeMap::new();
        let mut names: BTreeMap<String, (&str, &Origin)> = BTreeMap::new();
        for Signer { at, line } in &self.lines {
            let Who::Person {
                name: other,
                others,
            } = &line.who
            else {
                continue;
            };
            let between = |(person, first): (&str, &Origin)| {
                Box::new(Between {
                    first: first.clone(),
                    person: person.to_owned(),
                    second: at.clone(),
                    other: other.clone(),
                })
            };
            let known = *keys.entry(line.key.blob()).or_insert((other, at));
            if known.0 != other {
                return Err(SignersError::SharedKey {
                    fingerprint: line.key.fingerprint(),
                    between: between(known),
                });
            }
            for name in std::iter::once(other).chain(others) {
                let lower = name.to_ascii_lowercase();
                let known = *names.entry(lower).or_insert((other, at));
                if known.0 != other {
                    return Err(SignersError::SharedName {
                        name: name.clone(),
                        between: between(known),
                    });
                }
            }
        }
        Ok(())
    }
}

fn named(path: &Path, is: impl Fn(&str) -> bool) -> bool {
    path.file_name()
        .is_some_and(|name| is(&name.to_string_lossy()))
}

/// The contents of a regular file; `None` if it is something else.
fn contents(path: &Path) -> Result<Option<Vec<u8>>, SignersError> {
    let unreadable = |source| SignersError::Read {
        path: path.to_owned(),
        source,
    };
    // Asked before it is opened: opening a FIFO waits for a writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Ok(None);
    }
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(SignersError::Large(path.to_owned()));
    }
    Ok(Some(bytes))
}

fn signers_in(bytes: Option<Vec<u8>>, path: &Path) -> Result<Signers, SignersError> {
    let left = |name: &str| {
        name.contains(".dpkg-") || LEFTOVERS.iter().any(|ending| name.ends_with(ending))
    };
    match bytes {
        None => Ok(Signers::default()),
        Some(_) if named(path, left) => Err(SignersError::Leftover(path.to_owned())),
        Some(bytes) => Signers::parse(&bytes, path),
    }
}

/// A line in one form.
fn meaning(line: &Line) -> Vec<u8> {
    let Line {
        who,
        key,
        namespaces,
        valid_after,
        valid_before,
    } = line;
    let mut out = Vec::new();
    match who {
        Who::Person { name, others } => {
            out.push(b'P');
            put_string(&mut out, name.as_bytes());
            let mut others = others.clone();
            others.sort_unstable();
            others.dedup();
            put_string(&mut out, others.join(",").as_bytes());
        }
        Who::Authority { principals } => {
            out.push(b'A');
            put_string(&mut out, principals.as_bytes());
        }
    }
    put_string(&mut out, key.blob());
    // An empty list allows nothing; no list allows everything.
    out.push(u8::from(namespaces.is_some()));
    put_string(&mut out, namespaces.as_deref().unwrap_or("").as_bytes());
    for time in [valid_after, valid_before] {
        out.extend_from_slice(&time.unwrap_or(0).to_be_bytes());
    }
    out
}

#[cfg(test)]
#[path = "signers_tests.rs"]
mod tests;
