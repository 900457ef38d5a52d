//! What the guest suites share.
//!
//! A suite is a list of cases. A destructive case performs a real act with the real tool on a real
//! device of the guest and then compares bytes; a legitimate case performs an act that a live
//! database host needs and checks its result.

pub mod acts;
pub mod compare;
pub mod coverage;
pub mod harness;
pub mod native;
pub mod suites;
