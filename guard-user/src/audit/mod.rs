//! The record of what was refused and of every change of state.
//!
//! One JSON record a line in one file, one writer ([`log::Log`]), one place that turns a record
//! into bytes. Events come from the kernel's ring; the ring is advanced only after the record is
//! on disk, so an event is written at least once, and its key makes that once.

pub mod account;
pub mod advice;
pub mod chain;
pub mod denial;
pub mod enrich;
pub mod event_id;
pub mod filter;
pub mod light;
pub mod log;
pub mod names;
pub mod record;
pub mod reverse;
pub mod review;
#[cfg(any(test, feature = "testing"))]
pub mod sample;
pub mod scan;
pub mod segments;
pub mod tail;
pub mod time;
pub mod when;
pub mod wouldblock;

use std::path::Path;

/// Where records are kept.
pub const LOG_PATH: &str = "/var/log/dbguard/audit.jsonl";

/// [`LOG_PATH`] as a path.
pub fn log_path() -> &'static Path {
    Path::new(LOG_PATH)
}
