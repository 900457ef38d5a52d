//! Plain public keys, and a signature by one over bytes.
//!
//! The arithmetic is ssh-key's and ed25519-dalek's. What they leave to their caller is here: one
//! encoding for each key, so that a key has one fingerprint; no keys that everybody can sign for;
//! and the flags of a hardware key handed on, because a signature verifies whatever they say.

use std::fmt;

use ed25519_dalek::{Signature as DalekSignature, Verifier, VerifyingKey};
use ssh_key::public::{EcdsaPublicKey, KeyData};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, PublicKey, Signature};
use thiserror::Error;

use super::wire::{Wire, WireError, fingerprint_of, put_string, sha256};

/// What a certificate's type ends in.
pub(super) const CERTIFICATE_SUFFIX: &str = "-cert-v01@openssh.com";

/// The key types that can sign: name on the wire, how many strings the key has, kind.
const TYPES: [(&str, usize, KeyKind); 7] = [
    ("ssh-ed25519", 1, KeyKind::Ed25519),
    ("ecdsa-sha2-nistp256", 2, KeyKind::EcdsaP256),
    ("ecdsa-sha2-nistp384", 2, KeyKind::EcdsaP384),
    ("ecdsa-sha2-nistp521", 2, KeyKind::EcdsaP521),
    ("ssh-rsa", 2, KeyKind::Rsa { bits: 0 }),
    ("sk-ssh-ed25519@openssh.com", 2, KeyKind::SkEd25519),
    (
        "sk-ecdsa-sha2-nistp256@openssh.com",
        3,
        KeyKind::SkEcdsaP256,
    ),
];

/// The type of a key that can sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `ssh-ed25519`
    Ed25519,
    /// `ecdsa-sha2-nistp256`
    EcdsaP256,
    /// `ecdsa-sha2-nistp384`
    EcdsaP384,
    /// `ecdsa-sha2-nistp521`
    EcdsaP521,
    /// `ssh-rsa`
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
    /// `sk-ssh-ed25519@openssh.com`
    SkEd25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`
    SkEcdsaP256,
}

impl KeyKind {
    /// Whether the private key lives in a FIDO authenticator.
    pub const fn is_hardware(self) -> bool {
        matches!(self, Self::SkEd25519 | Self::SkEcdsaP256)
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519 key",
            Self::EcdsaP256 => "ECDSA key (P-256)",
            Self::EcdsaP384 => "ECDSA key (P-384)",
            Self::EcdsaP521 => "ECDSA key (P-521)",
            Self::Rsa { .. } => "RSA key",
            Self::SkEd25519 => "hardware Ed25519 key",
            Self::SkEcdsaP256 => "hardware ECDSA key (P-256)",
        }
    }
}

/// Why bytes are not a key that can sign.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// A type that is not supported.
    #[error(
        "keys of type {0:?} are not supported; use an Ed25519 or ECDSA key, best one in hardware (ssh-keygen -t ed25519-sk -O verify-required)"
    )]
    Type(String),
    /// A certificate where a plain key belongs.
    #[error(
        "it is a certificate; put the certificate authority's own key there, with the option cert-authority"
    )]
    Certificate,
    /// Not the structure that the type has.
    #[error("the key is damaged: {0}; copy it again from the .pub file")]
    Damaged(#[from] WireError),
    /// A number or point that is none, or not written as OpenSSH writes it.
    #[error("the key is damaged: its numbers are no {0}; copy it again from the .pub file")]
    Numbers(&'static str),
    /// A key of low order: everybody can sign for it.
    #[error("everybody can sign with this key: it is of low order; make another one")]
    Weak,
}

/// A public key that can sign.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    kind: KeyKind,
    data: KeyData,
    /// As OpenSSH writes it, which is the only way that is accepted.
    blob: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.words(), self.fingerprint())
    }
}

impl Key {
    /// Reads a key from its SSH encoding.
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        let mut wire = Wire::new(blob);
        let name = wire.text("the key type")?;
        let key = Self::of_type(name, &mut wire)?;
        wire.end("the key")?;
        Ok(key)
    }

    /// Reads what follows the type of a key, as it stands in certificates too.
    pub(super) fn of_type(name: &str, wire: &mut Wire<'_>) -> Result<Self, KeyError> {
        if name.ends_with(CERTIFICATE_SUFFIX) {
            return Err(KeyError::Certificate);
        }
        let (_, strings, kind) = TYPES
            .into_iter()
            .find(|&(known, ..)| known == name)
            .ok_or_else(|| KeyError::Type(name.to_owned()))?;
        let mut blob = Vec::new();
        put_string(&mut blob, name.as_bytes());
        for _ in 0..strings {
            put_string(&mut blob, wire.string("the key")?);
        }
        let key = PublicKey::from_bytes(&blob).map_err(|_| KeyError::Numbers(kind.words()))?;
        // Another encoding of the same key would have another fingerprint: it would escape its
        // revocation, and count as another key.
        if key.to_bytes().ok().as_ref() != Some(&blob) {
            return Err(KeyError::Numbers(kind.words()));
        }
        let data = key.key_data().clone();
        let kind = examined(kind, &data)?;
        let key = Self { kind, data, blob };
        // OpenSSH reads an application as a C string (sshbuf_get_cstring).
        if key.application().is_some_and(|name| name.contains('\0')) {
            return Err(WireError::NotText("the application").into());
        }
        Ok(key)
    }

    /// Its type.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Its SSH encoding.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// SHA-256 of its encoding.
    pub(super) fn digest(&self) -> [u8; 32] {
        sha256(&self.blob)
    }

    /// `SHA256:…`, as `ssh-keygen -l` writes it.
    pub fn fingerprint(&self) -> String {
        fingerprint_of(&self.digest())
    }

    /// The application that a hardware key is bound to, `ssh:` if nobody has chosen another.
    pub fn application(&self) -> Option<&str> {
        match &self.data {
            KeyData::SkEd25519(key) => Some(key.application()),
            KeyData::SkEcdsaSha2NistP256(key) => Some(key.application()),
            _ => None,
        }
    }

    /// Verifies a signature in its SSH encoding over these bytes. What a hardware key tells beside
    /// it is returned, and **not judged**: a signature that nobody touched the key for verifies.
    pub(super) fn verify(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> Result<Option<Told>, SignatureFault> {
        let mut wire = Wire::new(signature);
        let name = wire.text("the signature's type")?;
        let algorithm = self.algorithm(name).ok_or_else(|| SignatureFault::Type {
            found: name.to_owned(),
            key: self.kind.words(),
        })?;
        let value = wire.string("the signature")?;
        let told = if self.kind.is_hardware() {
            Some(Told {
                flags: wire.byte("the flags of the hardware key")?,
                counter: wire.u32("the counter of the hardware key")?,
            })
        } else {
            None
        };
        wire.end("the signature")?;
        if let KeyKind::Rsa { bits } = self.kind
            && !(2048..=4096).contains(&bits)
        {
            return Err(SignatureFault::RsaLength(bits));
        }
        self.verified(algorithm, message, value, told)
            .ok_or(SignatureFault::Wrong)?;
        Ok(told)
    }

    fn verified(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        value: &[u8],
        told: Option<Told>,
    ) -> Option<()> {
        match (&self.data, told) {
            (KeyData::Ed25519(key), _) => strictly(&key.0, message, value),
            (KeyData::SkEd25519(key), Some(told)) => {
                let message = told.signed(key.application(), message);
                strictly(&key.public_key().0, &message, value)
            }
            (data, told) => {
                let mut value = value.to_vec();
                if let Some(told) = told {
                    // ssh-key keeps flags and counter behind the signature's own bytes.
                    value.push(told.flags);
                    value.extend_from_slice(&told.counter.to_be_bytes());
                }
                let signature = Signature::new(algorithm, value).ok()?;
                data.verify(message, &signature).ok()
            }
        }
    }

    /// The algorithm of this name if it is one for this key. SHA-1 is none.
    fn algorithm(&self, name: &str) -> Option<Algorithm> {
        let ecdsa = |curve| Algorithm::Ecdsa { curve };
        let rsa = |hash| Algorithm::Rsa { hash: Some(hash) };
        let algorithm = match (self.kind, name) {
            (KeyKind::Ed25519, "ssh-ed25519") => Algorithm::Ed25519,
            (KeyKind::EcdsaP256, "ecdsa-sha2-nistp256") => ecdsa(EcdsaCurve::NistP256),
            (KeyKind::EcdsaP384, "ecdsa-sha2-nistp384") => ecdsa(EcdsaCurve::NistP384),
            (KeyKind::EcdsaP521, "ecdsa-sha2-nistp521") => ecdsa(EcdsaCurve::NistP521),
            (KeyKind::Rsa { .. }, "rsa-sha2-256") => rsa(HashAlg::Sha256),
            (KeyKind::Rsa { .. }, "rsa-sha2-512") => rsa(HashAlg::Sha512),
            (KeyKind::SkEd25519, "sk-ssh-ed25519@openssh.com") => Algorithm::SkEd25519,
            (KeyKind::SkEcdsaP256, "sk-ecdsa-sha2-nistp256@openssh.com") => {
                Algorithm::SkEcdsaSha2NistP256
            }
            _ => return None,
        };
        Some(algorithm)
    }
}

/// Checks what decoding leaves open, and measures.
fn examined(kind: KeyKind, data: &KeyData) -> Result<KeyKind, KeyError> {
    let numbers = KeyError::Numbers(kind.words());
    match data {
        KeyData::Ed25519(key) => not_weak(&key.0, numbers)?,
        KeyData::SkEd25519(key) => not_weak(&key.public_key().0, numbers)?,
        KeyData::Ecdsa(key) if on_curve(key) => {}
        KeyData::SkEcdsaSha2NistP256(key)
            if on_curve(&EcdsaPublicKey::NistP256(*key.ec_point())) => {}
        KeyData::Rsa(key) => {
            let modulus = key.n.as_positive_bytes().ok_or(numbers.clone())?;
            key.e.as_positive_bytes().ok_or(numbers)?;
            let unused = modulus
                .first()
                .map_or(0, |first| first.leading_zeros() as usize);
            return Ok(KeyKind::Rsa {
                bits: modulus.len() * 8 - unused,
            });
        }
        _ => return Err(numbers),
    }
    Ok(kind)
}

/// Whether the point is one of its curve, and written without compression: OpenSSH takes no other
/// (sshbuf-getput-crypto.c `get_ec`).
fn on_curve(key: &EcdsaPublicKey) -> bool {
    let point = key.as_sec1_bytes();
    let on_it = match key {
        EcdsaPublicKey::NistP256(_) => p256::PublicKey::from_sec1_bytes(point).is_ok(),
        EcdsaPublicKey::NistP384(_) => p384::PublicKey::from_sec1_bytes(point).is_ok(),
        EcdsaPublicKey::NistP521(_) => p521::PublicKey::from_sec1_bytes(point).is_ok(),
    };
    on_it && point.first() == Some(&4)
}

fn not_weak(bytes: &[u8; 32], numbers: KeyError) -> Result<(), KeyError> {
    // A coordinate of 2^255-19 or more is a second encoding of another one.
    let beyond = bytes[31] & 0x7f == 0x7f
        && bytes[1..31].iter().all(|&byte| byte == 0xff)
        && bytes[0] >= 0xed;
    if beyond {
        return Err(numbers);
    }
    match VerifyingKey::from_bytes(bytes) {
        Ok(key) if key.is_weak() => Err(KeyError::Weak),
        Ok(_) => Ok(()),
        Err(_) => Err(numbers),
    }
}

fn strictly(key: &[u8; 32], message: &[u8], value: &[u8]) -> Option<()> {
    let key = VerifyingKey::from_bytes(key).ok()?;
    let signature = DalekSignature::from_slice(value).ok()?;
    key.verify_strict(message, &signature).ok()
}

/// What a hardware key tells with a signature (PROTOCOL.u2f), and signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Bits of authenticator data.
    pub(super) flags: u8,
    /// How often it has signed; 0 if it does not count.
    pub(super) counter: u32,
}

impl Told {
    /// Somebody touched it.
    pub(super) const fn touched(self) -> bool {
        self.flags & 0x01 != 0
    }

    /// It asked for a PIN or a finger print, and got the right one.
    pub(super) const fn verified(self) -> bool {
        self.flags & 0x04 != 0
    }

    /// What it puts its signature under.
    pub(super) fn signed(self, application: &str, message: &[u8]) -> Vec<u8> {
        let mut signed = sha256(application.as_bytes()).to_vec();
        signed.push(self.flags);
        signed.extend_from_slice(&self.counter.to_be_bytes());
        signed.extend_from_slice(&sha256(message));
        signed
    }
}

/// Why a signature is none by a key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignatureFault {
    /// Not the structure of a signature.
    #[error("the signature is damaged: {0}")]
    Damaged(#[from] WireError),
    /// Made with an algorithm that is not this key's, or that is not accepted.
    #[error("{found:?} is no signature of this {key}")]
    Type {
        /// The algorithm's name.
        found: String,
        /// The key's kind.
        key: &'static str,
    },
    /// An RSA key of a length that is not supported.
    #[error("RSA keys of {0} bits cannot be verified here, those of 2048 to 4096 can")]
    RsaLength(usize),
    /// It does not verify.
    #[error("it is not this key's signature over these bytes")]
    Wrong,
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
