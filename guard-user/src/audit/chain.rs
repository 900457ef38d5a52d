//! The hash chain: what ties each record to the one before.
//!
//! The last two members of a line are `prev_hash`, the hash of the record before, and `hash`,
//! SHA-256 of the line's bytes from its first up to, not including, `,"hash":"`. Quotation marks
//! inside a JSON string are escaped, so no value can hold that text.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// `prev_hash` of the first record of a chain.
pub const NO_RECORD: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Ends the line that begins at `start` of `bytes`, a JSON object whose last member is `prev_hash`,
/// with its hash and a newline. Returns the hash, 64 lower-case hexadecimal digits.
pub fn seal(bytes: &mut Vec<u8>, start: usize) -> String {
    // The brace that closed the object stands behind the hash again.
    bytes.pop();
    let hash = hex(&Sha256::digest(&bytes[start..]));
    bytes.extend_from_slice(b",\"hash\":\"");
    bytes.extend_from_slice(hash.as_bytes());
    bytes.extend_from_slice(b"\"}\n");
    hash
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
