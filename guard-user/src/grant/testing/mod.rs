//! What the tests of this module, the fuzz targets in `tests/fuzz` and the suites in guests ask with:
//! an authenticator in software, questions that can be put to this program and to OpenSSH, and the
//! names of all differences between their answers.
//!
//! Not part of the product: compiled for tests, and with the feature `testing`.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test code: a fault of it ends the test"
)]

mod authenticator;
mod case;
mod differences;
mod example;
mod target;

pub use authenticator::{
    Authenticator, CertificateDraft, Draft, PIN, TOUCHED, armour, certify, plain_blob, public_line,
    unarmoured,
};
pub use case::{Case, NOW, NOW_WORDS, Reference, Refusal, TEXT};
pub use differences::DIFFERENCES;
pub use example::request;
pub use target::Target;
