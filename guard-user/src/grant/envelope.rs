//! What `ssh-keygen -Y sign` writes (PROTOCOL.sshsig): the armour and the fields inside it.
//!
//! OpenSSH overlooks what follows the armour, reserved bytes and version 0. Here there is one way to
//! write a signature down, so that what a person pasted is what was verified.

use super::certificate::Certificate;
use super::key::Key;
use super::signature::{NAMESPACE, SignatureError};
use super::wire::{Wire, base64, put_string};
use sha2::{Digest, Sha512};

/// OpenSSH takes no carriage return here, and any further down.
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
/// More than a certificate with 256 principals and the largest RSA keys takes.
const LONGEST: usize = 64 * 1024;

/// The key that a signature names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SigningKey {
    Plain(Key),
    /// Its authority's signature holds; whether the authority counts is not known yet.
    Certified(Box<Certificate>),
}

impl SigningKey {
    /// The key that made the signature.
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::Plain(key) => key,
            Self::Certified(certificate) => &certificate.key,
        }
    }
}

/// The hash that a text goes into a signature as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn of(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => super::wire::sha256(text).to_vec(),
            Self::Sha512 => Sha512::digest(text).to_vec(),
        }
    }
}

/// A signature that has been read, and not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub(super) signer: SigningKey,
    pub(super) hash: Hash,
    pub(super) signature: Vec<u8>,
}

impl Envelope {
    /// The bytes that the signature is over, for this text.
    pub(super) fn signed(&self, text: &[u8]) -> Vec<u8> {
        signed(NAMESPACE, self.hash.name(), &self.hash.of(text))
    }
}

/// The bytes under a signature (PROTOCOL.sshsig, "Signed Data").
pub(super) fn signed(namespace: &str, hash: &str, digest: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put_string(&mut out, namespace.as_bytes());
    put_string(&mut out, b"");
    put_string(&mut out, hash.as_bytes());
    put_string(&mut out, digest);
    out
}

/// Reads an armoured signature, which nothing but white space may follow.
pub fn decode(armoured: &[u8]) -> Result<Envelope, SignatureError> {
    let blob = unarmoured(armoured)?;
    let mut wire = Wire::new(&blob);
    if wire.bytes(MAGIC.len(), "its beginning")? != MAGIC {
        return Err(SignatureError::NotSshSig);
    }
    let version = wire.u32("its version")?;
    if version != VERSION {
        return Err(SignatureError::Version(version));
    }
    let key = wire.string("its key")?;
    let namespace = wire.text("its namespace")?;
    if namespace != NAMESPACE {
        return Err(SignatureError::Namespace(namespace.to_owned()));
    }
    if !wire.string("its reserved field")?.is_empty() {
        return Err(SignatureError::Reserved);
    }
    let hash = match wire.text("its hash")? {
        "sha256" => Hash::Sha256,
        "sha512" => Hash::Sha512,
        other => return Err(SignatureError::Hash(other.to_owned())),
    };
    let signature = wire.string("its signature")?.to_vec();
    wire.end("its signature")?;
    let signer = if Certificate::is_one(key) {
        SigningKey::Certified(Box::new(Certificate::from_blob(key)?))
    } else {
        SigningKey::Plain(Key::from_blob(key)?)
    };
    Ok(Envelope {
        signer,
        hash,
        signature,
    })
}

fn unarmoured(armoured: &[u8]) -> Result<Vec<u8>, SignatureError> {
    if armoured.len() > LONGEST {
        return Err(SignatureError::Long);
    }
    let text = str::from_utf8(armoured).map_err(|_| SignatureError::NotArmoured)?;
    let body = text
        .strip_prefix(BEGIN)
        .ok_or(SignatureError::NotArmoured)?;
    let (body, after) = body.split_once(END).ok_or(SignatureError::CutOff)?;
    if !body.ends_with('\n') {
        return Err(SignatureError::CutOff);
    }
    if !after.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return Err(SignatureError::Follows);
    }
    // Terminals and mail break lines where they like.
    let letters: String = body
        .chars()
        .filter(|letter| !matches!(letter, '\n' | '\r' | ' ' | '\t'))
        .collect();
    base64(&letters).ok_or(SignatureError::NotBase64)
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
