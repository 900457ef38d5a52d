//! A question that can be put to this program and to a reference.

use std::fmt;
use std::path::Path;

use super::super::certificate::CertificateError;
use super::super::envelope::{SigningKey, decode};
use super::super::key::{KeyError, SignatureFault};
use super::super::wire::WireError;
use super::super::{
    KeyRules, Revoked, RevokedError, RevokedLine, SignatureError, Signed, Signers, SignersError,
    verify,
};
use super::DIFFERENCES;

/// What is signed.
pub const TEXT: &[u8] = b"dbguard override request 1\nhost: db7\nop: raw-write\n";
/// When it is asked: 2027-01-15T08:00:00Z.
pub const NOW: u64 = 1_800_000_000;
/// The same as `ssh-keygen -Overify-time` has it.
pub const NOW_WORDS: &str = "20270115080000Z";

/// Why a case is refused here.
#[derive(Debug)]
pub enum Refusal {
    /// The list of signers.
    Signers(SignersError),
    /// The list of revocations.
    Revoked(RevokedError),
    /// The signature.
    Signature(SignatureError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signers(why) => why.fmt(f),
            Self::Revoked(why) => why.fmt(f),
            Self::Signature(why) => why.fmt(f),
        }
    }
}

impl Refusal {
    /// The name in [`DIFFERENCES`] for a reason that OpenSSH does not have.
    pub fn difference(&self) -> Option<&'static str> {
        use CertificateError as C;
        use SignatureError as E;
        let name = match self {
            Self::Signers(SignersError::Line { .. }) => "bad-line",
            Self::Signers(SignersError::SharedKey { .. }) => "shared-key",
            Self::Signers(SignersError::SharedName { .. }) => "shared-name",
            Self::Revoked(RevokedError::Line {
                why: RevokedLine::Key(KeyError::Numbers(_) | KeyError::Weak),
                ..
            }) => "bad-revocation",
            Self::Signature(E::NotArmoured | E::Follows | E::NotBase64) => "armour",
            Self::Signature(E::Long) => "long",
            Self::Signature(E::Version(0)) => "version",
            Self::Signature(E::Reserved) => "reserved",
            Self::Signature(E::NotTouched { .. }) => "touch",
            Self::Signature(E::SharedKey { .. }) => "certificate-key",
            Self::Signature(
                E::PinNeedsHardware { .. } | E::NoPin { .. } | E::Certificate(C::CriticalOption(_)),
            ) => "critical-option",
            Self::Revoked(RevokedError::Line {
                why: RevokedLine::NotText,
                ..
            })
            | Self::Signature(E::Certificate(C::Damaged(WireError::NotText(_)))) => "control",
            Self::Signature(
                E::Key(KeyError::Weak)
                | E::Certificate(C::Key(KeyError::Weak) | C::Authority(KeyError::Weak)),
            ) => "weak-key",
            Self::Signature(
                E::Wrong {
                    fault: SignatureFault::RsaLength(_),
                    ..
                }
                | E::RsaLength { .. },
            ) => "rsa-length",
            _ => return None,
        };
        Some(name)
    }
}

/// What else can be asked.
pub trait Reference {
    /// Whether it accepts the case, for its principal.
    fn accepts(&self, case: &Case) -> bool;
}

/// One question.
#[derive(Clone, Debug)]
pub struct Case {
    /// Who is said to have signed.
    pub principal: String,
    /// `allowed_signers`.
    pub signers: Vec<u8>,
    /// A list of revocations.
    pub revoked: Option<Vec<u8>>,
    /// What was signed.
    pub text: Vec<u8>,
    /// The signature.
    pub armoured: Vec<u8>,
    /// What this program accepts beside.
    pub rules: KeyRules,
}

impl Case {
    /// A signature over [`TEXT`], by rules that allow as much as can be, so that the rest is
    /// compared.
    pub fn of(principal: &str, signers: &str, armoured: &str) -> Self {
        Self {
            principal: principal.to_owned(),
            signers: signers.as_bytes().to_vec(),
            revoked: None,
            text: TEXT.to_vec(),
            armoured: armoured.as_bytes().to_vec(),
            rules: KeyRules {
                software: vec![principal.to_owned()],
                rsa: true,
                require_pin: false,
                applications: vec!["*".to_owned()],
            },
        }
    }

    /// With a list of revocations.
    #[must_use]
    pub fn revoked(&self, revoked: &[u8]) -> Self {
        Self {
            revoked: Some(revoked.to_vec()),
            ..self.clone()
        }
    }

    /// With other rules.
    #[must_use]
    pub fn rules(&self, change: impl FnOnce(&mut KeyRules)) -> Self {
        let mut case = self.clone();
        change(&mut case.rules);
        case
    }

    /// What this program says.
    pub fn here(&self) -> Result<Signed, Refusal> {
        let mut signers =
            Signers::parse(&self.signers, Path::new("list")).map_err(Refusal::Signers)?;
        if let Some(revoked) = &self.revoked {
            signers = signers.without(Revoked::parse(revoked).map_err(Refusal::Revoked)?);
        }
        verify(&self.text, &self.armoured, &signers, &self.rules, NOW).map_err(Refusal::Signature)
    }

    /// Whether the two agree: accepted here only if there, for the same person; refused here alone
    /// only for a reason that has a name.
    ///
    /// # Errors
    /// How they differ.
    pub fn agreed(&self, reference: &impl Reference) -> Result<(), String> {
        match self.here() {
            Ok(signed) => {
                // A certificate's principal stands for a person whatever its case, and by other names.
                let mut names = vec![signed.person.clone()];
                if let Ok(SigningKey::Certified(certificate)) =
                    decode(&self.armoured).map(|envelope| envelope.signer)
                {
                    names.extend(certificate.principals);
                }
                let asked = |principal| Self {
                    principal,
                    ..self.clone()
                };
                if names
                    .into_iter()
                    .any(|name| reference.accepts(&asked(name)))
                {
                    Ok(())
                } else {
                    Err(format!("accepted here alone: {signed:?}"))
                }
            }
            Err(why) if reference.accepts(self) => {
                let name = why.difference();
                let known = |name| DIFFERENCES.iter().any(|&(known, ..)| known == name);
                if name.is_some_and(known) {
                    Ok(())
                } else {
                    Err(format!("refused here alone: {why}"))
                }
            }
            Err(_) => Ok(()),
        }
    }
}
