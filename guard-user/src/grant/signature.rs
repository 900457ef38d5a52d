//! Verifying one signature: who has signed a text, with what key, and whether that counts here.

use crate::audit::time::{NANOS, rfc3339};

use super::certificate::Certificate;
use super::envelope::SigningKey;
pub use super::envelope::{Envelope, decode};
use super::key::{Key, KeyKind, Told};
use super::line::is_plain;
use super::pattern::{list_matches, matches};
use super::person;
use super::revoked::By;
pub use super::signature_error::SignatureError;
use super::signers::{Signer, Signers};

/// What a signature must be made for: `ssh-keygen -Y sign -n override@dbguard`.
pub const NAMESPACE: &str = "override@dbguard";

/// Shortest RSA modulus that is accepted, in bits.
pub(super) const RSA_SHORTEST: usize = 3072;
/// Longest that can be verified.
pub(super) const RSA_LONGEST: usize = 4096;

/// Which keys a host accepts, beside those that it always does: hardware keys that were touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRules {
    /// Persons, and fingerprints of keys, who may sign with a key that is not in hardware.
    pub software: Vec<String>,
    /// Whether RSA keys are accepted, as signers' and as authorities'.
    pub rsa: bool,
    /// Whether a hardware key must have asked for its PIN.
    pub require_pin: bool,
    /// Applications of hardware keys that are accepted, as patterns: `ssh:`, `ssh:*`.
    pub applications: Vec<String>,
}

impl Default for KeyRules {
    fn default() -> Self {
        Self {
            software: Vec::new(),
            rsa: false,
            require_pin: true,
            applications: vec!["ssh:".to_owned()],
        }
    }
}

/// Who has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The person, by the first name that `allowed_signers` has for them; by a certificate, the
    /// first of its principals that its authority may vouch for.
    pub person: String,
    /// The key that made the signature, `SHA256:…`. Never a certificate's: the key in it.
    pub fingerprint: String,
    /// The authority that vouches for the key, if there is one.
    pub authority: Option<String>,
    /// The kind of the key, for people.
    pub key_kind: &'static str,
    /// Whether the key is in hardware, and was touched.
    pub hardware: bool,
    /// How often the hardware key says it has signed. It is 0 with keys that do not count.
    pub counter: Option<u32>,
}

/// Verifies one armoured signature over a text, at a wall time in seconds since 1970.
///
/// # Errors
/// The first reason for which it does not count. That the key is on the list is asked first, that
/// the signature is over this text second, everything else after that.
pub fn verify(
    text: &[u8],
    armoured: &[u8],
    signers: &Signers,
    rules: &KeyRules,
    now: u64,
) -> Result<Signed, SignatureError> {
    let envelope = decode(armoured)?;
    let judge = Judge {
        signers,
        rules,
        now,
    };
    judge.known(&envelope.signer)?;
    let key = envelope.signer.key();
    let told = key
        .verify(&envelope.signed(text), &envelope.signature)
        .map_err(|fault| SignatureError::Wrong {
            fingerprint: key.fingerprint(),
            fault,
        })?;
    let whose = match &envelope.signer {
        SigningKey::Plain(key) => judge.plain(key)?,
        SigningKey::Certified(certificate) => judge.certified(certificate)?,
    };
    match told {
        Some(told) => judge.hardware(key, &whose, told)?,
        None => judge.software(key, &whose)?,
    }
    Ok(Signed {
        person: whose.person,
        fingerprint: key.fingerprint(),
        authority: whose.certificate.map(|one| one.authority.fingerprint()),
        key_kind: key.kind().words(),
        hardware: told.is_some(),
        counter: told.map(|told| told.counter),
    })
}

/// Whose key it is, and by what.
struct Whose<'c> {
    person: String,
    certificate: Option<&'c Certificate>,
}

/// What a signature is measured by.
struct Judge<'s> {
    signers: &'s Signers,
    rules: &'s KeyRules,
    now: u64,
}

impl Judge<'_> {
    /// Whether the files have the key, or the authority. Asked first: nothing of a stranger's is
    /// worth verifying, and no other answer helps whoever signed with the wrong key.
    fn known(&self, signer: &SigningKey) -> Result<(), SignatureError> {
        let fingerprint = signer.key().fingerprint();
        match signer {
            SigningKey::Plain(key) if self.signers.of_key(key).next().is_none() => {
                return Err(SignatureError::UnknownKey { fingerprint });
            }
            SigningKey::Certified(certificate)
                if self
                    .signers
                    .of_authority(&certificate.authority)
                    .next()
                    .is_none() =>
            {
                return Err(SignatureError::UnknownAuthority {
                    fingerprint,
                    authority: certificate.authority.fingerprint(),
                });
            }
            SigningKey::Certified(certificate) => self.rsa(&certificate.authority)?,
            SigningKey::Plain(_) => {}
        }
        self.rsa(signer.key())
    }

    fn rsa(&self, key: &Key) -> Result<(), SignatureError> {
        let KeyKind::Rsa { bits } = key.kind() else {
            return Ok(());
        };
        let fingerprint = key.fingerprint();
        if !self.rules.rsa {
            return Err(SignatureError::Rsa { fingerprint });
        }
        if !(RSA_SHORTEST..=RSA_LONGEST).contains(&bits) {
            return Err(SignatureError::RsaLength { fingerprint, bits });
        }
        Ok(())
    }

    /// The person with this key, by the first line that holds.
    fn plain(&self, key: &Key) -> Result<Whose<'static>, SignatureError> {
        let mut first = None;
        for (signer, person) in self.signers.of_key(key) {
            if self.signers.revoked().has_key(key) {
                return Err(SignatureError::Revoked {
                    fingerprint: key.fingerprint(),
                    person: person.to_owned(),
                });
            }
            match self.holds(signer, person) {
                Ok(()) => {
                    return Ok(Whose {
                        person: person.to_owned(),
                        certificate: None,
                    });
                }
                Err(why) => first = first.or(Some(why)),
            }
        }
        Err(first.unwrap_or_else(|| SignatureError::UnknownKey {
            fingerprint: key.fingerprint(),
        }))
    }

    /// The person whom a certificate names, by the first line of its authority that holds.
    fn certified<'c>(&self, certificate: &'c Certificate) -> Result<Whose<'c>, SignatureError> {
        self.certificate_counts(certificate)?;
        let mut first = None;
        for (signer, principals) in self.signers.of_authority(&certificate.authority) {
            let whom = self
                .vouched(certificate, signer, principals)
                .and_then(|person| self.holds(signer, person).map(|()| person));
            match whom {
                Ok(person) => {
                    self.own_key(&certificate.key, person)?;
                    return Ok(Whose {
                        person: person.to_owned(),
                        certificate: Some(certificate),
                    });
                }
                Err(why) => first = first.or(Some(why)),
            }
        }
        Err(first.unwrap_or_else(|| SignatureError::UnknownAuthority {
            fingerprint: certificate.key.fingerprint(),
            authority: certificate.authority.fingerprint(),
        }))
    }

    /// Whether a certificate is valid now, and not revoked.
    fn certificate_counts(&self, certificate: &Certificate) -> Result<(), SignatureError> {
        let id = certificate.id.clone();
        if self.now < certificate.valid_after {
            return Err(SignatureError::CertificateNotYet {
                id,
                from: moment(certificate.valid_after),
                now: moment(self.now),
            });
        }
        if self.now >= certificate.valid_before {
            return Err(SignatureError::CertificateExpired {
                id,
                until: moment(certificate.valid_before),
                now: moment(self.now),
            });
        }
        let Some(by) = self.signers.revoked().has_certificate(certificate) else {
            return Ok(());
        };
        Err(match by {
            By::Key => SignatureError::Revoked {
                fingerprint: certificate.key.fingerprint(),
                // Whatever an authority put there: not to be written to a terminal as it is.
                person: certificate.principals.join(",").escape_debug().to_string(),
            },
            By::Authority => SignatureError::AuthorityRevoked {
                authority: certificate.authority.fingerprint(),
            },
            By::Serial | By::Id => SignatureError::CertificateRevoked {
                id,
                serial: certificate.serial,
            },
        })
    }

    /// The first name in a certificate that its authority may vouch for by this line.
    fn vouched<'p>(
        &'p self,
        certificate: &'p Certificate,
        signer: &Signer,
        accepted: &str,
    ) -> Result<&'p str, SignatureError> {
        let id = certificate.id.clone();
        if certificate.principals.is_empty() {
            return Err(SignatureError::NoPrincipal { id });
        }
        certificate
            .principals
            .iter()
            .find(|principal| is_name(principal) && list_matches(principal, accepted))
            .map(|principal| self.signers.person(principal))
            .ok_or_else(|| SignatureError::Principal {
                id,
                principals: certificate.principals.clone(),
                at: signer.at.clone(),
            })
    }

    /// Refuses a certificate for the key that the files give to another person.
    fn own_key(&self, key: &Key, person: &str) -> Result<(), SignatureError> {
        match self.signers.of_key(key).find(|&(_, owner)| owner != person) {
            Some((_, owner)) => Err(SignatureError::SharedKey {
                fingerprint: key.fingerprint(),
                person: person.to_owned(),
                owner: owner.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Whether a line allows this use now.
    fn holds(&self, signer: &Signer, person: &str) -> Result<(), SignatureError> {
        let Signer { at, line } = signer;
        let namespaces = line.namespaces.as_deref();
        if namespaces.is_some_and(|list| !list_matches(NAMESPACE, list)) {
            return Err(SignatureError::NotForThis {
                at: at.clone(),
                person: person.to_owned(),
            });
        }
        if let Some(from) = line.valid_after.filter(|&from| self.now < from) {
            return Err(SignatureError::NotYet {
                at: at.clone(),
                from: moment(from),
                now: moment(self.now),
            });
        }
        if let Some(until) = line.valid_before.filter(|&until| self.now > until) {
            return Err(SignatureError::Expired {
                at: at.clone(),
                until: moment(until),
                now: moment(self.now),
            });
        }
        Ok(())
    }

    /// ssh-keygen -Y verify asks for nothing of this: a key left in its socket, or reached through a
    /// forwarded agent, would sign for whoever asks.
    fn hardware(&self, key: &Key, whose: &Whose<'_>, told: Told) -> Result<(), SignatureError> {
        let fingerprint = key.fingerprint();
        let application = key.application().unwrap_or_default();
        let accepted = &self.rules.applications;
        if !accepted.iter().any(|pattern| matches(application, pattern)) {
            return Err(SignatureError::Application {
                fingerprint,
                application: application.to_owned(),
            });
        }
        let person = whose.person.clone();
        if !told.touched() {
            return Err(SignatureError::NotTouched {
                fingerprint,
                person,
            });
        }
        let demanded = whose.certificate.is_some_and(|one| one.verify_required);
        if (self.rules.require_pin || demanded) && !told.verified() {
            return Err(SignatureError::NoPin {
                fingerprint,
                person,
            });
        }
        Ok(())
    }

    fn software(&self, key: &Key, whose: &Whose<'_>) -> Result<(), SignatureError> {
        let fingerprint = key.fingerprint();
        let person = &whose.person;
        let accepted = &self.rules.software;
        if !accepted
            .iter()
            .any(|one| person::is_same(one, &whose.person) || *one == fingerprint)
        {
            return Err(SignatureError::Software {
                fingerprint,
                person: person.clone(),
            });
        }
        match whose.certificate {
            Some(certificate) if certificate.verify_required => {
                Err(SignatureError::PinNeedsHardware {
                    id: certificate.id.clone(),
                    fingerprint,
                })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a principal of a certificate is one person's name, and no list or pattern.
fn is_name(principal: &str) -> bool {
    is_plain(principal) && !principal.contains([',', '*', '?', '!'])
}

/// RFC 3339, in UTC and whole seconds.
fn moment(seconds: u64) -> String {
    let Some(nanos) = seconds.checked_mul(NANOS) else {
        return "a time out of reach".to_owned(); // after the year 2554
    };
    let text = rfc3339(nanos);
    text.split_once('.')
        .map_or(text.clone(), |(whole, _)| format!("{whole}Z"))
}

#[cfg(test)]
#[path = "signature_tests.rs"]
pub(super) mod tests;
