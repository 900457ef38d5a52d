//! Exit codes of sysexits.h, as far as dbguard uses them: of the programs, and beside each refusal that
//! the controller sends to one.

/// Wrong command line (`EX_USAGE`).
pub const USAGE: u8 = 64;
/// What was asked for is not there (`EX_NOINPUT`).
pub const NO_INPUT: u8 = 66;
/// An error of dbguard's own (`EX_SOFTWARE`).
pub const INTERNAL: u8 = 70;
/// A file cannot be written (`EX_CANTCREAT`).
pub const CANNOT_CREATE: u8 = 73;
/// Try again later, or after something was changed (`EX_TEMPFAIL`).
pub const TRY_AGAIN: u8 = 75;
/// Not permitted (`EX_NOPERM`).
pub const NOT_PERMITTED: u8 = 77;
/// Configuration (`EX_CONFIG`).
pub const CONFIG: u8 = 78;
