//! Exit codes. Scripts of others depend on them.

use std::process::ExitCode;

use crate::control::ControlError;
use crate::kernel::Problem;
use crate::sysexits;

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Done; for `check`: would be allowed; for `status`: guarding.
    pub const OK: Self = Self(0);
    /// `check`: the host is held.
    pub const CHECK_HELD: Self = Self(1);
    /// `check`: it would be refused.
    pub const CHECK_REFUSED: Self = Self(2);
    /// `check`: not known, asked wrongly, or nobody to ask.
    pub const CHECK_UNKNOWN: Self = Self(3);
    /// `status`: the kernel half guards, something beside it does not work.
    pub const STATUS_DEGRADED: Self = Self(1);
    /// `status`: not guarded.
    pub const STATUS_UNPROTECTED: Self = Self(2);
    /// `status`: cannot be told.
    pub const STATUS_UNKNOWN: Self = Self(3);
    /// Wrong command line (sysexits.h `EX_USAGE`).
    pub const USAGE: Self = Self(sysexits::USAGE);
    /// What was asked for is not there (`EX_NOINPUT`).
    pub const NO_INPUT: Self = Self(sysexits::NO_INPUT);
    /// An error of dbguard's own (`EX_SOFTWARE`).
    pub const INTERNAL: Self = Self(sysexits::INTERNAL);
    /// A file that was to be written cannot be (`EX_CANTCREAT`).
    pub const CANNOT_CREATE: Self = Self(sysexits::CANNOT_CREATE);
    /// Try again later, or after something was changed (`EX_TEMPFAIL`).
    pub const TRY_AGAIN: Self = Self(sysexits::TRY_AGAIN);
    /// Not permitted (`EX_NOPERM`).
    pub const NOT_PERMITTED: Self = Self(sysexits::NOT_PERMITTED);
    /// Configuration (`EX_CONFIG`).
    pub const CONFIG: Self = Self(sysexits::CONFIG);
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// Why a verb did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What failed, on what, what to do next. One line.
    pub message: String,
}

impl Failure {
    /// A failure with this code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::new(Exit(problem.kind.exit_code()), problem.to_string())
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::NotRunning(_) => Self::new(
                Exit::TRY_AGAIN,
                format!(
                    "{error}; what is loaded in the kernel goes on refusing; start it with: systemctl start dbguard"
                ),
            ),
            ControlError::NotPermitted => {
                Self::new(Exit::NOT_PERMITTED, format!("{error}; run this as root"))
            }
            ControlError::NoAnswer(_) => Self::new(
                Exit::TRY_AGAIN,
                format!("{error}; look at: journalctl -u dbguard"),
            ),
        }
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::new(Exit::CONFIG, error.to_string())
    }
}

/// Turns a refusal of the controller into a failure.
pub fn unexpected(answer: crate::control::Answer) -> Failure {
    match answer {
        crate::control::Answer::Refused { exit, message } => Failure::new(Exit(exit), message),
        _ => Failure::new(
            Exit::INTERNAL,
            "the controller answered something else than was asked; is it of another version? restart it with: systemctl restart dbguard",
        ),
    }
}
