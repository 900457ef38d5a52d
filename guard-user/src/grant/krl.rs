//! OpenSSH's binary key revocation lists (PROTOCOL.krl, format version 1).

use thiserror::Error;

use super::key::{Key, KeyError};
use super::revoked::{Revoked, never_counts};
use super::wire::{Wire, WireError, sha256};

/// What a list begins with.
const MAGIC: &[u8] = b"SSHKRL\n\0";
const FORMAT_VERSION: u32 = 1;

/// Types of sections.
mod section {
    pub(super) const CERTIFICATES: u8 = 1;
    pub(super) const EXPLICIT_KEY: u8 = 2;
    pub(super) const FINGERPRINT_SHA1: u8 = 3;
    pub(super) const SIGNATURE: u8 = 4;
    pub(super) const FINGERPRINT_SHA256: u8 = 5;
    pub(super) const EXTENSION: u8 = 255;
    /// Inside the one of certificates.
    pub(super) const SERIAL_LIST: u8 = 0x20;
    pub(super) const SERIAL_RANGE: u8 = 0x21;
    pub(super) const SERIAL_BITMAP: u8 = 0x22;
    pub(super) const KEY_ID: u8 = 0x23;
    pub(super) const CERTIFICATE_EXTENSION: u8 = 0x39;
}

/// Why bytes are not a revocation list that can be relied on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KrlError {
    /// Something else.
    #[error("it does not begin as a key revocation list does")]
    Magic,
    /// A later format.
    #[error("it is of format {0}, and 1 is known")]
    Format(u32),
    /// Cut off, or damaged.
    #[error("{0}")]
    Damaged(#[from] WireError),
    /// A section that is not known: it may revoke something.
    #[error("it has a section of type {0}, which is not known")]
    Section(u8),
    /// It carries a signature of its own.
    #[error(
        "it carries a signature, which OpenSSH has refused since 9.4; sign the file with ssh-keygen -Y sign instead"
    )]
    Signed,
    /// An extension that must be understood, and is not.
    #[error("it has the critical extension {0:?}, which is not known")]
    Extension(String),
    /// A serial number of 0, which certificates without one have.
    #[error("it revokes the serial number 0, which means none")]
    SerialZero,
    /// A range that ends before it begins, or numbers beyond 64 bits.
    #[error("it has a range of serial numbers that is none")]
    Range,
    /// A fingerprint of another length.
    #[error("it has a fingerprint of {0} bytes")]
    Fingerprint(usize),
    /// The authority whose certificates it revokes.
    #[error("the authority that it names: {0}")]
    Authority(#[source] KeyError),
}

/// A revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Krl {
    /// Its number, as `ssh-keygen -k -z` sets it.
    pub version: u64,
    /// What it says about itself.
    pub comment: String,
    /// What it revokes.
    pub revoked: Revoked,
}

impl Krl {
    /// Whether a file is meant to be one.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Reads a list. Whatever is not understood may be a revocation, so it is an error, except for
    /// extensions that say that they may be ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, KrlError> {
        let mut wire = Wire::new(bytes);
        if !Self::is_one(bytes) {
            return Err(KrlError::Magic);
        }
        wire.bytes(MAGIC.len(), "its header")?;
        let format = wire.u32("its header")?;
        if format != FORMAT_VERSION {
            return Err(KrlError::Format(format));
        }
        let version = wire.u64("its header")?;
        // When it was made, and flags of which none is defined.
        wire.u64("its header")?;
        wire.u64("its header")?;
        wire.string("its header")?;
        let comment = String::from_utf8_lossy(wire.string("its comment")?).into_owned();
        let mut revoked = Revoked::default();
        while !wire.is_empty() {
            let kind = wire.byte("a section")?;
            let contents = wire.string("a section")?;
            section_into(&mut revoked, kind, contents)?;
        }
        Ok(Self {
            version,
            comment,
            revoked,
        })
    }
}

fn section_into(revoked: &mut Revoked, kind: u8, contents: &[u8]) -> Result<(), KrlError> {
    let mut wire = Wire::new(contents);
    match kind {
        section::CERTIFICATES => certificates(revoked, wire)?,
        section::EXPLICIT_KEY => {
            while !wire.is_empty() {
                revoked.digest(sha256(wire.string("a key")?));
            }
        }
        section::FINGERPRINT_SHA256 => {
            while !wire.is_empty() {
                revoked.digest(fingerprint(wire.string("a fingerprint")?)?);
            }
        }
        section::FINGERPRINT_SHA1 => {
            while !wire.is_empty() {
                revoked.sha1(fingerprint(wire.string("a fingerprint")?)?);
            }
        }
        section::EXTENSION => extension(wire)?,
        section::SIGNATURE => return Err(KrlError::Signed),
        other => return Err(KrlError::Section(other)),
    }
    Ok(())
}

fn fingerprint<const N: usize>(bytes: &[u8]) -> Result<[u8; N], KrlError> {
    bytes
        .try_into()
        .map_err(|_| KrlError::Fingerprint(bytes.len()))
}

fn extension(mut wire: Wire<'_>) -> Result<(), KrlError> {
    let name = wire.text("an extension")?;
    let critical = wire.byte("an extension")? != 0;
    wire.string("an extension")?;
    wire.end("an extension")?;
    if critical {
        return Err(KrlError::Extension(name.to_owned()));
    }
    Ok(())
}

fn certificates(revoked: &mut Revoked, mut wire: Wire<'_>) -> Result<(), KrlError> {
    let authority = wire.string("a section of certificates")?;
    wire.string("a section of certificates")?;
    // An empty key stands for all authorities.
    let authority = match authority {
        [] => None,
        blob => Some(match Key::from_blob(blob) {
            Ok(key) => key.digest(),
            Err(why) if never_counts(&why) => sha256(blob),
            Err(why) => return Err(KrlError::Authority(why)),
        }),
    };
    let certificates = revoked.certificates_of(authority);
    while !wire.is_empty() {
        let kind = wire.byte("a section of certificates")?;
        let mut part = Wire::new(wire.string("a section of certificates")?);
        match kind {
            section::SERIAL_LIST => {
                while !part.is_empty() {
                    let serial = part.u64("a serial number")?;
                    certificates.serials(range(serial, serial)?);
                }
            }
            section::SERIAL_RANGE => {
                let first = part.u64("a range of serial numbers")?;
                let last = part.u64("a range of serial numbers")?;
                part.end("a range of serial numbers")?;
                certificates.serials(range(first, last)?);
            }
            section::SERIAL_BITMAP => {
                let first = part.u64("a bitmap of serial numbers")?;
                let bits = part.string("a bitmap of serial numbers")?;
                part.end("a bitmap of serial numbers")?;
                for serials in bitmap(first, bits)? {
                    certificates.serials(serials);
                }
            }
            section::KEY_ID => {
                while !part.is_empty() {
                    certificates.id(part.text("a key id")?);
                }
            }
            section::CERTIFICATE_EXTENSION => extension(part)?,
            other => return Err(KrlError::Section(other)),
        }
    }
    Ok(())
}

fn range(first: u64, last: u64) -> Result<(u64, u64), KrlError> {
    match (first, last) {
        (0, _) => Err(KrlError::SerialZero),
        _ if first > last => Err(KrlError::Range),
        _ => Ok((first, last)),
    }
}

/// The runs of set bits, counted from the end of a big-endian number.
fn bitmap(first: u64, bits: &[u8]) -> Result<Vec<(u64, u64)>, KrlError> {
    if bits.first().is_some_and(|&byte| byte & 0x80 != 0) {
        return Err(KrlError::Range); // a negative number
    }
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let set = bits
        .iter()
        .rev()
        .flat_map(|&byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
    for (at, _) in (0_u64..).zip(set).filter(|&(_, set)| set) {
        let serial = first.checked_add(at).ok_or(KrlError::Range)?;
        match runs.last_mut() {
            Some((_, last)) if serial.checked_sub(1) == Some(*last) => *last = serial,
            _ => runs.push(range(serial, serial)?),
        }
    }
    Ok(runs)
}

#[cfg(test)]
#[path = "krl_tests.rs"]
mod tests;
