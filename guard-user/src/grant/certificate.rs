//! OpenSSH user certificates (PROTOCOL.certkeys).
//!
//! Read here rather than by ssh-key, whose release 0.6.7 refuses certificates without an end
//! (`ssh-keygen -s` without `-V`) and verifies over its own encoding instead of the signed bytes.

use thiserror::Error;

use super::key::{CERTIFICATE_SUFFIX, Key, KeyError, SignatureFault};
use super::wire::{Wire, WireError};

/// OpenSSH reads no certificate with more (sshkey.c `SSHKEY_CERT_MAX_PRINCIPALS`).
const MOST_PRINCIPALS: usize = 256;

/// Why bytes are not a certificate that counts.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CertificateError {
    /// Not the structure of a certificate.
    #[error("the certificate is damaged: {0}; have it issued again")]
    Damaged(#[from] WireError),
    /// The key in it.
    #[error("in the certificate: {0}")]
    Key(#[source] KeyError),
    /// The key of the authority in it.
    #[error("in the certificate, the authority: {0}")]
    Authority(#[source] KeyError),
    /// The authority did not sign it.
    #[error(
        "the certificate's own signature does not hold: {0}; have it issued again with ssh-keygen -s (for an RSA authority -t rsa-sha2-512)"
    )]
    Signature(#[source] SignatureFault),
    /// A host's certificate, or of no known type.
    #[error(
        "the certificate is no user's (type {0}); have one issued without the -h of ssh-keygen -s"
    )]
    NotForUsers(u32),
    /// An option that restricts what the certificate is good for.
    #[error(
        "the certificate has the critical option {0:?}, which restricts it to something else than signing; have one issued without it"
    )]
    CriticalOption(String),
    /// More principals than OpenSSH reads.
    #[error(
        "the certificate names more than {MOST_PRINCIPALS} principals; have one issued for one person"
    )]
    Principals,
}

/// A user certificate, with its authority's signature verified. Whether that authority counts, and
/// whether the certificate is valid now, is for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) key: Key,
    pub(super) serial: u64,
    pub(super) id: String,
    pub(super) principals: Vec<String>,
    /// Seconds since 1970, the first at which it is valid.
    pub(super) valid_after: u64,
    /// The first at which it is not.
    pub(super) valid_before: u64,
    /// The authority asks for signatures that were made with a PIN.
    pub(super) verify_required: bool,
    pub(super) authority: Key,
}

impl Certificate {
    /// Whether the encoded key of this type is a certificate.
    pub(super) fn is_one(blob: &[u8]) -> bool {
        Wire::new(blob)
            .text("the key type")
            .is_ok_and(|name| name.ends_with(CERTIFICATE_SUFFIX))
    }

    /// The key in a certificate, whatever else the certificate says.
    pub(super) fn key_in(blob: &[u8]) -> Result<Key, KeyError> {
        let mut wire = Wire::new(blob);
        let name = wire.text("its type")?;
        let plain = plain_type(name).ok_or_else(|| KeyError::Type(name.to_owned()))?;
        wire.string("its nonce")?;
        Key::of_type(&plain, &mut wire)
    }

    /// Reads a certificate from its SSH encoding and verifies its signature.
    pub(super) fn from_blob(blob: &[u8]) -> Result<Self, CertificateError> {
        let mut wire = Wire::new(blob);
        let name = wire.text("its type")?;
        let plain = plain_type(name)
            .ok_or_else(|| CertificateError::Key(KeyError::Type(name.to_owned())))?;
        wire.string("its nonce")?;
        let key = Key::of_type(&plain, &mut wire).map_err(CertificateError::Key)?;
        let serial = wire.u64("its serial number")?;
        let kind = wire.u32("its kind")?;
        let id = wire.text("its key id")?.to_owned();
        let principals = principals(wire.string("its principals")?)?;
        let valid_after = wire.u64("its validity")?;
        let valid_before = wire.u64("its validity")?;
        let critical = wire.string("its critical options")?;
        options(wire.string("its extensions")?)?;
        wire.string("its reserved field")?;
        let authority = wire.string("its authority's key")?;
        let signed = blob.len() - wire.rest().len();
        let signature = wire.string("its signature")?;
        wire.end("its signature")?;

        let authority = Key::from_blob(authority).map_err(CertificateError::Authority)?;
        authority
            .verify(&blob[..signed], signature)
            .map_err(CertificateError::Signature)?;
        if kind != 1 {
            return Err(CertificateError::NotForUsers(kind));
        }
        Ok(Self {
            key,
            serial,
            id,
            principals,
            valid_after,
            valid_before,
            verify_required: verify_required(critical)?,
            authority,
        })
    }
}

/// The type of the key in a certificate of this type. A hardware key's bears its suffix twice over.
fn plain_type(name: &str) -> Option<String> {
    let plain = name.strip_suffix(CERTIFICATE_SUFFIX)?;
    if plain.starts_with("sk-") {
        return Some(format!("{plain}@openssh.com"));
    }
    Some(plain.to_owned())
}

fn principals(bytes: &[u8]) -> Result<Vec<String>, CertificateError> {
    let mut wire = Wire::new(bytes);
    let mut principals = Vec::new();
    while !wire.is_empty() {
        if principals.len() == MOST_PRINCIPALS {
            return Err(CertificateError::Principals);
        }
        principals.push(wire.text("its principals")?.to_owned());
    }
    Ok(principals)
}

/// Names and contents of options.
fn options(bytes: &[u8]) -> Result<Vec<(&str, &[u8])>, WireError> {
    let mut wire = Wire::new(bytes);
    let mut options = Vec::new();
    while !wire.is_empty() {
        options.push((wire.text("an option")?, wire.string("an option")?));
    }
    Ok(options)
}

/// What critical options ask for. `force-command` and `source-address` say what a login may do, and
/// from where: whoever issued such a certificate did not mean this.
fn verify_required(bytes: &[u8]) -> Result<bool, CertificateError> {
    let mut required = false;
    for (name, contents) in options(bytes)? {
        if name != "verify-required" || !contents.is_empty() {
            return Err(CertificateError::CriticalOption(name.to_owned()));
        }
        required = true;
    }
    Ok(required)
}
