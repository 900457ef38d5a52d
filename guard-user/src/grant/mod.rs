//! Authority to do for once what the guard refuses.
//!
//! A *request* is text that this host makes ([`request`]) and people sign. The host recognises what it
//! has made, and counts who signed ([`approve`]); what it has issued, and what became of that, stands
//! in the [`ledger`]; what a site may want otherwise, in the [`settings`].
//!
//! A signature counts if a person whom this host allows has made it, with a key that this host
//! accepts, over exactly the text that was asked about. [`Signers`] knows the persons, [`verify`]
//! asks about a signature; neither asks anything of the host, and both read what anybody may have
//! written.

pub mod approve;
mod certificate;
mod envelope;
mod id;
mod key;
mod krl;
pub mod ledger;
mod line;
mod pattern;
mod person;
pub mod request;
mod revoked;
pub mod settings;
pub mod signature;
mod signature_error;
pub mod signers;
mod wire;

#[cfg(test)]
mod certificate_tests;
#[cfg(test)]
mod differential;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use certificate::CertificateError;
pub use id::{grant_id, grant_number};
pub use key::{Key, KeyError, KeyKind, SignatureFault};
pub use krl::{Krl, KrlError};
pub use line::LineError;
pub use revoked::{Revoked, RevokedError, RevokedLine};
pub use signature::{Envelope, KeyRules, NAMESPACE, Signed, decode, verify};
pub use signature_error::SignatureError;
pub use signers::{ALLOWED_SIGNERS, Between, Origin, Signers, SignersError};
pub use wire::WireError;
