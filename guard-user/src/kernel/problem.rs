//! What can be wrong between the guard and the kernel, told so that a person can act on it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of trouble it is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The caller lacks a privilege.
    NotPermitted,
    /// This kernel, or this build of dbguard, cannot do it.
    Unavailable,
    /// It may work later or after something else is started.
    TryAgain,
    /// The host must be configured differently.
    Configuration,
    /// Something that should have worked did not.
    Internal,
}

impl ProblemKind {
    /// The exit code, after `sysexits.h`.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::NotPermitted => 77,
            Self::Unavailable => 69,
            Self::TryAgain => 75,
            Self::Configuration => 78,
            Self::Internal => 70,
        }
    }
}

/// One problem: what failed, why, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Decides the exit code.
    pub kind: ProblemKind,
    /// What failed, on what.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do next.
    pub next: String,
    /// True where the guard cannot start because of it; false for a warning.
    pub fatal: bool,
}

/// Why the guard did not start.
pub type StartError = Problem;

impl Problem {
    /// A problem that stops the guard.
    pub fn fatal(
        kind: ProblemKind,
        what: impl Into<String>,
        why: impl fmt::Display,
        next: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            what: what.into(),
            why: why.to_string(),
            next: next.into(),
            fatal: true,
        }
    }

    /// A problem that the guard can live with.
    pub fn warning(
        kind: ProblemKind,
        what: impl Into<String>,
        why: impl fmt::Display,
        next: impl Into<String>,
    ) -> Self {
        Self {
            fatal: false,
            ..Self::fatal(kind, what, why, next)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.what, self.why, self.next)
    }
}

impl std::error::Error for Problem {}

/// An operation on a running guard that failed.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// A map could not be opened, or is not the map that was expected.
    #[error("the guard's map {name} at {path}: {source}; is the guard loaded (`dbguard status`)?")]
    Open {
        /// Map name.
        name: &'static str,
        /// Where it should be pinned.
        path: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A pinned map has another shape than this program expects.
    #[error(
        "the guard's map {name} has {found}, expected {expected}; it was loaded by another version: restart dbguard.service"
    )]
    Shape {
        /// Map name.
        name: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// Reading or writing a map failed.
    #[error("{act} in the guard's map {name}: {source}")]
    Access {
        /// Map name.
        name: &'static str,
        /// What was being done.
        act: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A map has no room for what the host has.
    #[error("the guard's map {name} is full: {missing} of {wanted} entries do not fit")]
    Full {
        /// Map name.
        name: &'static str,
        /// Entries that did not fit.
        missing: usize,
        /// Entries that were to be there.
        wanted: usize,
    },
    /// Anything else from the operating system.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, to what.
        what: String,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// Result of an operation on a running guard.
pub type Result<T> = std::result::Result<T, GuardError>;
