//! Why a signature does not count, in words that tell the person what to do next.

use thiserror::Error;

use super::certificate::CertificateError;
use super::key::{KeyError, SignatureFault};
use super::signature::{NAMESPACE, RSA_LONGEST, RSA_SHORTEST};
use super::signers::Origin;
use super::wire::WireError;

/// Why a signature does not count.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// Not an armoured signature.
    #[error(
        "this is no SSH signature; it begins with -----BEGIN SSH SIGNATURE-----, with nothing before it and a plain line feed behind it: copy the whole .sig file"
    )]
    NotArmoured,
    /// The end is missing.
    #[error("the signature has no end; copy it up to and with -----END SSH SIGNATURE-----")]
    CutOff,
    /// Something follows the armour.
    #[error("something follows the signature; give each signature in a file of its own")]
    Follows,
    /// Longer than any signature.
    #[error("this is too long for a signature; give the .sig file")]
    Long,
    /// Not base 64.
    #[error("the signature is damaged: a letter is missing or wrong; copy it again")]
    NotBase64,
    /// Not the structure of a signature.
    #[error("the signature is damaged: {0}; copy it again")]
    Damaged(#[from] WireError),
    /// Other bytes in the armour.
    #[error("what is in the armour is no SSH signature; sign with ssh-keygen -Y sign")]
    NotSshSig,
    /// A version that is not 1.
    #[error("the signature is of version {0}, and 1 is known; sign with ssh-keygen -Y sign")]
    Version(u32),
    /// Made for something else.
    #[error("the signature was made for {0:?}; sign again with: ssh-keygen -Y sign -n {NAMESPACE}")]
    Namespace(String),
    /// Reserved bytes that are not covered by the signature.
    #[error("the signature has bytes in its reserved field; sign with ssh-keygen -Y sign")]
    Reserved,
    /// A hash that is not known.
    #[error("the signature uses the hash {0:?}; sign with -O hashalg=sha512, or sha256")]
    Hash(String),
    /// The key in it.
    #[error("in the signature: {0}")]
    Key(#[from] KeyError),
    /// The certificate in it.
    #[error("in the signature: {0}")]
    Certificate(#[from] CertificateError),
    /// Nobody's key.
    #[error(
        "nobody on this host's list signs with the key {fingerprint}; sign with another one, or have it added to allowed_signers.d by configuration management"
    )]
    UnknownKey {
        /// The key.
        fingerprint: String,
    },
    /// A certificate of an authority that is not known.
    #[error(
        "the certificate of the key {fingerprint} is by {authority}, which is no authority for this host; sign with a key on its list"
    )]
    UnknownAuthority {
        /// The key.
        fingerprint: String,
        /// The authority's.
        authority: String,
    },
    /// The signature is over another text.
    #[error(
        "the signature by {fingerprint} is not over this text: {fault}; sign exactly the text that this host wrote, unchanged"
    )]
    Wrong {
        /// The key.
        fingerprint: String,
        /// What is wrong.
        fault: SignatureFault,
    },
    /// The line excludes this use.
    #[error(
        "{at} allows {person} other namespaces alone; sign with another key, or have {NAMESPACE} added there"
    )]
    NotForThis {
        /// The line.
        at: Origin,
        /// The person.
        person: String,
    },
    /// The line is not valid yet.
    #[error("{at} is valid from {from}, and it is {now}; sign with another key, or set the clock")]
    NotYet {
        /// The line.
        at: Origin,
        /// When it begins.
        from: String,
        /// The host's wall clock.
        now: String,
    },
    /// The line is no longer valid.
    #[error(
        "{at} was valid until {until}, and it is {now}; sign with another key, or set the clock"
    )]
    Expired {
        /// The line.
        at: Origin,
        /// When it ended.
        until: String,
        /// The host's wall clock.
        now: String,
    },
    /// The key is revoked.
    #[error("the key {fingerprint} ({person}) is revoked; sign with another one")]
    Revoked {
        /// The key.
        fingerprint: String,
        /// Whose it was.
        person: String,
    },
    /// The authority's key is revoked.
    #[error(
        "the authority {authority} is revoked, with all its certificates; sign with another key"
    )]
    AuthorityRevoked {
        /// The authority's key.
        authority: String,
    },
    /// The certificate is revoked.
    #[error(
        "the certificate {id:?} (serial number {serial}) is revoked; have another one issued, or sign with another key"
    )]
    CertificateRevoked {
        /// Its key id.
        id: String,
        /// Its serial number.
        serial: u64,
    },
    /// The certificate is not valid yet.
    #[error(
        "the certificate {id:?} is valid from {from}, and it is {now}; have another one issued, or set the clock"
    )]
    CertificateNotYet {
        /// Its key id.
        id: String,
        /// When it begins.
        from: String,
        /// The host's wall clock.
        now: String,
    },
    /// The certificate is no longer valid.
    #[error(
        "the certificate {id:?} was valid until {until}, and it is {now}; have another one issued, or set the clock"
    )]
    CertificateExpired {
        /// Its key id.
        id: String,
        /// When it ended.
        until: String,
        /// The host's wall clock.
        now: String,
    },
    /// The certificate names nobody.
    #[error("the certificate {id:?} names no principal; have one issued with -n PERSON")]
    NoPrincipal {
        /// Its key id.
        id: String,
    },
    /// The authority may not vouch for those it names.
    #[error(
        "the certificate {id:?} names {principals:?}, for none of which {at} accepts its authority; have one issued for a name that matches"
    )]
    Principal {
        /// Its key id.
        id: String,
        /// Whom it names.
        principals: Vec<String>,
        /// The line of the authority.
        at: Origin,
    },
    /// The certificate is for one person, and its key is another's.
    #[error(
        "the certificate is for {person}, and the key {fingerprint} in it is {owner}'s; one key must not count as two persons: make a key for each"
    )]
    SharedKey {
        /// The key.
        fingerprint: String,
        /// Whom the certificate names.
        person: String,
        /// Whose key it is.
        owner: String,
    },
    /// A key that is not in hardware.
    #[error(
        "signed with a software key ({fingerprint}, {person}); this host accepts hardware keys alone: sign with one, or have {person} or the fingerprint added to override.software_keys"
    )]
    Software {
        /// The key.
        fingerprint: String,
        /// The person.
        person: String,
    },
    /// An RSA key.
    #[error(
        "{fingerprint} is an RSA key, and this host accepts none; sign with another one, or have override.rsa set"
    )]
    Rsa {
        /// The signer's key, or the authority's.
        fingerprint: String,
    },
    /// An RSA key of the wrong length.
    #[error(
        "{fingerprint} is an RSA key of {bits} bits; accepted are {RSA_SHORTEST} to {RSA_LONGEST}: sign with another one"
    )]
    RsaLength {
        /// The signer's key, or the authority's.
        fingerprint: String,
        /// Its length.
        bits: usize,
    },
    /// Nobody touched the hardware key.
    #[error(
        "nobody touched the hardware key {fingerprint} ({person}) for this signature; use a key that was made without no-touch-required"
    )]
    NotTouched {
        /// The key.
        fingerprint: String,
        /// The person.
        person: String,
    },
    /// The hardware key did not ask for a PIN.
    #[error(
        "the hardware key {fingerprint} ({person}) did not ask for its PIN; use one that was made with ssh-keygen -O verify-required"
    )]
    NoPin {
        /// The key.
        fingerprint: String,
        /// The person.
        person: String,
    },
    /// The certificate asks for a PIN, which a software key has not.
    #[error(
        "the certificate {id:?} demands a key that asks for a PIN, and {fingerprint} is a software key; sign with the key that it was meant for"
    )]
    PinNeedsHardware {
        /// Its key id.
        id: String,
        /// The key.
        fingerprint: String,
    },
    /// A hardware key made for something else.
    #[error(
        "the hardware key {fingerprint} belongs to the application {application:?}; sign with one for ssh, or have it added to override.applications"
    )]
    Application {
        /// The key.
        fingerprint: String,
        /// What it was made for.
        application: String,
    },
}

impl SignatureError {
    /// A word for the log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotArmoured => "not-armoured",
            Self::CutOff => "cut-off",
            Self::Follows => "trailing",
            Self::Long => "too-long",
            Self::NotBase64 => "not-base64",
            Self::Damaged(_) => "damaged",
            Self::NotSshSig => "not-sshsig",
            Self::Version(_) => "other-version",
            Self::Namespace(_) => "other-namespace",
            Self::Reserved => "reserved-field",
            Self::Hash(_) => "other-hash",
            Self::Key(_) => "bad-key",
            Self::Certificate(_) => "bad-certificate",
            Self::UnknownKey { .. } => "unknown-key",
            Self::UnknownAuthority { .. } => "unknown-authority",
            Self::Wrong { .. } => "wrong-signature",
            Self::NotForThis { .. } => "not-for-this",
            Self::NotYet { .. } => "not-yet-valid",
            Self::Expired { .. } => "signer-expired",
            Self::Revoked { .. } => "revoked",
            Self::AuthorityRevoked { .. } => "authority-revoked",
            Self::CertificateRevoked { .. } => "certificate-revoked",
            Self::CertificateNotYet { .. } => "certificate-not-yet",
            Self::CertificateExpired { .. } => "certificate-expired",
            Self::NoPrincipal { .. } => "no-principal",
            Self::Principal { .. } => "other-principal",
            Self::SharedKey { .. } => "shared-key",
            Self::Software { .. } => "software-key",
            Self::Rsa { .. } => "rsa-key",
            Self::RsaLength { .. } => "rsa-length",
            Self::NotTouched { .. } => "not-touched",
            Self::NoPin { .. } => "no-pin",
            Self::PinNeedsHardware { .. } => "pin-needs-hardware",
            Self::Application { .. } => "other-application",
        }
    }
}
