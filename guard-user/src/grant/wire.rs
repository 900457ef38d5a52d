//! The SSH wire encoding (RFC 4251, section 5), read strictly and without copies.
//!
//! What is signed has to be found again byte for byte, so everything is a slice of what was given;
//! a length that leads past its end, and bytes left over, are errors.

use base64ct::{Base64, Base64Unpadded, Encoding};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Why bytes are not the structure that was expected.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// They end too early.
    #[error("it ends in the middle of {0}")]
    Ends(&'static str),
    /// They go on.
    #[error("{left} bytes too many follow {after}")]
    Trailing {
        /// How many.
        left: usize,
        /// What was read last.
        after: &'static str,
    },
    /// A text is not UTF-8, or has a NUL in it.
    #[error("{0} is not text")]
    NotText(&'static str),
}

/// A reader of SSH wire data.
#[derive(Clone, Debug)]
pub struct Wire<'a> {
    rest: &'a [u8],
}

impl<'a> Wire<'a> {
    /// Reads these bytes from their beginning.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// `byte[n]`.
    pub fn bytes(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or(WireError::Ends(what))?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(WireError::Ends(what))?;
        self.rest = tail;
        Ok(*head)
    }

    /// `byte`.
    pub fn byte(&mut self, what: &'static str) -> Result<u8, WireError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// `uint32`.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, WireError> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// `uint64`.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, WireError> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// `string` of any bytes.
    pub fn string(&mut self, what: &'static str) -> Result<&'a [u8], WireError> {
        let length = self.u32(what)?;
        let length = usize::try_from(length).map_err(|_| WireError::Ends(what))?;
        self.bytes(length, what)
    }

    /// `string` that is UTF-8 without NUL.
    pub fn text(&mut self, what: &'static str) -> Result<&'a str, WireError> {
        str::from_utf8(self.string(what)?)
            .ok()
            .filter(|text| !text.contains('\0'))
            .ok_or(WireError::NotText(what))
    }

    /// Checks that nothing follows.
    pub const fn end(&self, after: &'static str) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(WireError::Trailing { left, after }),
        }
    }
}

/// Appends a `string`. What this program writes is never near 4 GiB, which is what a length holds.
pub(super) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Padded base 64 without anything else in it, and with no bits set beyond its end: one text for
/// each value, as OpenSSH's `b64_pton` has it.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok()
}

/// `SHA256:…` as ssh-keygen(1) writes it, of a digest.
pub(super) fn fingerprint_of(digest: &[u8]) -> String {
    format!("SHA256:{}", Base64Unpadded::encode_string(digest))
}

/// The digest in `SHA256:…`; `None` if it is none. Padding is not part of it.
pub(super) fn digest_of(fingerprint: &str) -> Option<[u8; 32]> {
    let text = fingerprint.strip_prefix("SHA256:")?;
    Base64Unpadded::decode_vec(text).ok()?.try_into().ok()
}

/// SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_held_to() {
        let mut wire = Wire::new(b"\0\0\0\x02ab\0\0\0\x03ab");
        assert_eq!(wire.string("a name"), Ok(b"ab".as_slice()));
        assert_eq!(wire.string("a key"), Err(WireError::Ends("a key")));
        assert_eq!(
            Wire::new(b"ab").end("the key"),
            Err(WireError::Trailing {
                left: 2,
                after: "the key"
            })
        );
        assert_eq!(
            Wire::new(b"\0\0\0\x01\0").text("a name"),
            Err(WireError::NotText("a name"))
        );
        assert_eq!(
            Wire::new(b"\xff\xff\xff\xff").string("a name"),
            Err(WireError::Ends("a name"))
        );
    }

    #[test]
    fn one_text_for_each_value() {
        assert_eq!(base64("AAE="), Some(vec![0, 1]));
        for text in ["AAF=", "AAE", "AA E=", "AAE=\n", "AAE=AAE=", "AA-_", "A==="] {
            assert_eq!(base64(text), None, "{text}");
        }
        let fingerprint = fingerprint_of(&sha256(b"x"));
        assert_eq!(digest_of(&fingerprint), Some(sha256(b"x")));
        assert_eq!(digest_of(&format!("{fingerprint}=")), None);
        assert_eq!(digest_of("SHA256:AAAA"), None);
    }
}
