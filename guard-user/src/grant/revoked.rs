//! What no longer counts: keys, authorities and certificates.
//!
//! A key is revoked as a plain key, by whatever form it is named in; then every certificate of it
//! is, and if it is an authority's, every certificate that it has issued.

use std::collections::{BTreeMap, BTreeSet};

use sha1::{Digest, Sha1};
use thiserror::Error;

use super::certificate::Certificate;
use super::key::{CERTIFICATE_SUFFIX, Key, KeyError};
use super::krl::{Krl, KrlError};
use super::wire::{Wire, base64, digest_of, put_string, sha256};

/// Why a file of revocations cannot be relied on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RevokedError {
    /// A binary list.
    #[error(
        "the revocation list cannot be used: {0}; make it again with ssh-keygen -k (ssh-keygen -Q -l -f shows what it holds)"
    )]
    Krl(#[from] KrlError),
    /// A line of a text list.
    #[error("line {line}: {why}; write one public key or SHA256: fingerprint a line")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        why: RevokedLine,
    },
}

/// Why a line of a text list revokes nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RevokedLine {
    /// Not UTF-8, or with a control character.
    #[error("it is not plain text with line feeds")]
    NotText,
    /// A fingerprint of the wrong kind or length.
    #[error("it is no SHA256: fingerprint as ssh-keygen -l prints it")]
    Fingerprint,
    /// What only a binary list can say.
    #[error(
        "{0:?} needs the authority's key; make a binary list: ssh-keygen -k -s ca.pub -f revoked.krl"
    )]
    NeedsAuthority(&'static str),
    /// A key that cannot be read.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// No key at all.
    #[error("it holds no public key")]
    NoKey,
}

/// Certificates of one authority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RevokedCertificates {
    /// First to last; none begins within another or directly behind it.
    serials: BTreeMap<u64, u64>,
    ids: BTreeSet<String>,
}

impl RevokedCertificates {
    /// Revokes the serial numbers from the first to the last.
    pub(super) fn serials(&mut self, (mut first, mut last): (u64, u64)) {
        // Joined with what it touches, so that the same numbers have one form.
        while let Some((&from, &to)) = self
            .serials
            .range(..=last.saturating_add(1))
            .next_back()
            .filter(|&(_, &to)| to.saturating_add(1) >= first)
        {
            first = first.min(from);
            last = last.max(to);
            self.serials.remove(&from);
        }
        self.serials.insert(first, last);
    }

    pub(super) fn id(&mut self, id: &str) {
        self.ids.insert(id.to_owned());
    }

    /// 0 is the number of certificates that were given none.
    fn has(&self, certificate: &Certificate) -> Option<By> {
        if self.ids.contains(&certificate.id) {
            return Some(By::Id);
        }
        let serial = certificate.serial;
        let (_, last) = self.serials.range(..=serial).next_back()?;
        (serial != 0 && serial <= *last).then_some(By::Serial)
    }
}

/// What stands between words.
const BLANKS: [char; 2] = [' ', '\t'];

/// By what a signature is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Key,
    Authority,
    Serial,
    Id,
}

/// Everything that is revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// SHA-256 of plain keys.
    digests: BTreeSet<[u8; 32]>,
    /// SHA-1 of plain keys.
    sha1s: BTreeSet<[u8; 20]>,
    /// By the SHA-256 of the authority's key; `None` for all.
    certificates: BTreeMap<Option<[u8; 32]>, RevokedCertificates>,
}

impl Revoked {
    /// Reads a file: a binary list, or a text with a public key, certificate or fingerprint a line.
    pub fn parse(bytes: &[u8]) -> Result<Self, RevokedError> {
        if Krl::is_one(bytes) {
            return Ok(Krl::parse(bytes)?.revoked);
        }
        let mut revoked = Self::default();
        for (line, bytes) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            revoked
                .line(bytes)
                .map_err(|why| RevokedError::Line { line, why })?;
        }
        Ok(revoked)
    }

    fn line(&mut self, bytes: &[u8]) -> Result<(), RevokedLine> {
        let text = str::from_utf8(bytes)
            .map_err(|_| RevokedLine::NotText)?
            .trim_matches(BLANKS);
        // A carriage return behind a key is read over; alone on its line OpenSSH takes it for a key.
        let inner = text.strip_suffix('\r').filter(|inner| !inner.is_empty());
        let text = inner.unwrap_or(text).trim_end_matches(BLANKS);
        if text.contains(|letter: char| letter.is_control() && letter != '\t') {
            return Err(RevokedLine::NotText);
        }
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        for needing in ["serial:", "id:"] {
            if text.starts_with(needing) {
                return Err(RevokedLine::NeedsAuthority(needing));
            }
        }
        let hash = text
            .strip_prefix("hash:")
            .map(|rest| rest.trim_start_matches(BLANKS));
        if hash.is_some() || text.starts_with("SHA256:") {
            // A fingerprint may be followed by a comment, as a key may.
            let word = hash.unwrap_or(text).split(BLANKS).next();
            let digest = word.and_then(digest_of).ok_or(RevokedLine::Fingerprint)?;
            self.digest(digest);
            return Ok(());
        }
        let key = ["key:", "sha1:", "sha256:"]
            .into_iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .unwrap_or(text);
        self.digest(line_digest(key)?);
        Ok(())
    }

    /// Revokes the key with this SHA-256.
    pub(super) fn digest(&mut self, digest: [u8; 32]) {
        self.digests.insert(digest);
    }

    /// Revokes the key with this SHA-1.
    pub(super) fn sha1(&mut self, digest: [u8; 20]) {
        self.sha1s.insert(digest);
    }

    pub(super) fn certificates_of(
        &mut self,
        authority: Option<[u8; 32]>,
    ) -> &mut RevokedCertificates {
        self.certificates.entry(authority).or_default()
    }

    /// Adds what another file revokes.
    pub fn add(&mut self, other: Self) {
        self.digests.extend(other.digests);
        self.sha1s.extend(other.sha1s);
        for (authority, revoked) in other.certificates {
            let mine = self.certificates_of(authority);
            mine.ids.extend(revoked.ids);
            for range in revoked.serials {
                mine.serials(range);
            }
        }
    }

    /// Whether a plain key is revoked, as signer or as authority.
    pub fn has_key(&self, key: &Key) -> bool {
        self.digests.contains(&key.digest())
            || self.sha1s.contains(Sha1::digest(key.blob()).as_slice())
    }

    /// Whether a certificate is revoked, and by what.
    pub(super) fn has_certificate(&self, certificate: &Certificate) -> Option<By> {
        if self.has_key(&certificate.key) {
            return Some(By::Key);
        }
        if self.has_key(&certificate.authority) {
            return Some(By::Authority);
        }
        [Some(certificate.authority.digest()), None]
            .iter()
            .filter_map(|authority| self.certificates.get(authority))
            .find_map(|revoked| revoked.has(certificate))
    }

    /// Appends what is revoked in one form, whatever files it came from.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let Self {
            digests,
            sha1s,
            certificates,
        } = self;
        put_string(out, &joined(digests));
        put_string(out, &joined(sha1s));
        for (authority, RevokedCertificates { serials, ids }) in certificates {
            if serials.is_empty() && ids.is_empty() {
                continue;
            }
            put_string(out, authority.as_ref().map_or(&[], <[u8; 32]>::as_slice));
            let ends = serials.iter().flat_map(|(&first, &last)| [first, last]);
            put_string(out, &ends.flat_map(u64::to_be_bytes).collect::<Vec<u8>>());
            let mut list = Vec::new();
            for id in ids {
                put_string(&mut list, id.as_bytes());
            }
            put_string(out, &list);
        }
    }
}

/// The bytes of all digests, one behind the other.
fn joined<const N: usize>(digests: &BTreeSet<[u8; N]>) -> Vec<u8> {
    digests.iter().flatten().copied().collect()
}

/// Whether a key that cannot be read needs no revoking, because none like it counts: keys of low
/// order, and DSA keys, which old lists have. Any other type may be a damaged one.
pub(super) fn never_counts(why: &KeyError) -> bool {
    match why {
        KeyError::Weak => true,
        KeyError::Type(name) => name == "ssh-dss",
        _ => false,
    }
}

/// The SHA-256 of the key of a line `type base64 [comment]`. A certificate counts as the key in it.
fn line_digest(text: &str) -> Result<[u8; 32], RevokedLine> {
    let mut words = text.split(BLANKS).filter(|word| !word.is_empty());
    let (Some(name), Some(encoded)) = (words.next(), words.next()) else {
        return Err(RevokedLine::NoKey);
    };
    let blob = base64(encoded).ok_or(RevokedLine::NoKey)?;
    let named = Wire::new(&blob)
        .text("the key type")
        .map_err(KeyError::from)?;
    if named != name {
        return Err(RevokedLine::NoKey);
    }
    let key = if name.ends_with(CERTIFICATE_SUFFIX) {
        Certificate::key_in(&blob)
    } else {
        Key::from_blob(&blob)
    };
    match key {
        Ok(key) => Ok(key.digest()),
        Err(why) if never_counts(&why) => Ok(sha256(&blob)),
        Err(why) => Err(why.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authenticator, certify, plain_blob, public_line};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_lists() {
        let key = |seed| Key::from_blob(&Authenticator::ed25519(seed).public()).expect("a key");
        let line = |seed| public_line(&Authenticator::ed25519(seed).public());
        let text = format!(
            "# gone\r\n\n{}\n key: {} bob's\nsha1:{}\nhash: {}\n{} left in May\n",
            line(1),
            line(2),
            line(3),
            key(4).fingerprint(),
            key(5).fingerprint()
        );
        let revoked = Revoked::parse(text.as_bytes()).expect("a list");
        for seed in 1..=5 {
            assert!(revoked.has_key(&key(seed)), "{seed}");
        }
        assert!(!revoked.has_key(&key(6)));
    }

    #[test]
    fn certificates_count_as_their_keys() {
        let certificate = certify(&Authenticator::ed25519(1), &Authenticator::ed25519(9)).blob();
        let revoked = Revoked::parse(public_line(&certificate).as_bytes()).expect("a list");
        let key = Key::from_blob(&Authenticator::ed25519(1).public()).expect("a key");
        assert!(revoked.has_key(&key));
    }

    #[test]
    fn keys_of_which_none_counts() {
        let old = public_line(&plain_blob("ssh-dss", &[b"p", b"q"]));
        let weak = public_line(&plain_blob("ssh-ed25519", &[&[0; 32]]));
        assert!(Revoked::parse(format!("{old}\n{weak}\n").as_bytes()).is_ok());
    }

    #[test]
    fn lines_that_revoke_nothing() {
        for (text, why) in [
            ("serial: 1", RevokedLine::NeedsAuthority("serial:")),
            ("id: alice", RevokedLine::NeedsAuthority("id:")),
            ("SHA256:abc", RevokedLine::Fingerprint),
            ("hash:", RevokedLine::Fingerprint),
            (
                "hash: MD5:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff",
                RevokedLine::Fingerprint,
            ),
            ("alice", RevokedLine::NoKey),
            ("ssh-ed25519 AAAA", RevokedLine::NoKey),
            ("ssh-ed25519 !", RevokedLine::NoKey),
            ("a\0b", RevokedLine::NotText),
        ] {
            let why_not = Revoked::parse(format!("# x\n{text}\n").as_bytes()).map(|_| ());
            let expected = match why {
                // AAAA is too short for a type
                RevokedLine::NoKey if text.ends_with("AAAA") => {
                    assert!(matches!(
                        why_not,
                        Err(RevokedError::Line {
                            line: 2,
                            why: RevokedLine::Key(_)
                        })
                    ));
                    continue;
                }
                why => Err(RevokedError::Line { line: 2, why }),
            };
            assert_eq!(why_not, expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn ranges_have_one_form(ranges in prop::collection::vec((1_u64..60, 0_u64..9), 0..12)) {
            let mut revoked = RevokedCertificates::default();
            let mut plain = BTreeSet::new();
            for &(first, more) in &ranges {
                revoked.serials((first, first + more));
                plain.extend(first..=first + more);
            }
            let mut backwards = RevokedCertificates::default();
            for &(first, more) in ranges.iter().rev() {
                backwards.serials((first, first + more));
            }
            prop_assert_eq!(&revoked, &backwards);
            let listed: BTreeSet<u64> =
                revoked.serials.iter().flat_map(|(&a, &b)| a..=b).collect();
            prop_assert_eq!(listed, plain);
            for ((_, last), (next, _)) in revoked.serials.iter().zip(revoked.serials.iter().skip(1)) {
                prop_assert!(last + 1 < *next);
            }
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = Revoked::parse(&bytes);
        }
    }
}
