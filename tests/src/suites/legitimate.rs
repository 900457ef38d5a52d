//! x
use crate::harness::case::Case;
/// x
pub fn cases() -> Vec<Case> { Vec::new() }
