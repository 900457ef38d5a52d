//! Certificates, as [`super::verify`] judges them.

use proptest::prelude::*;

use super::certificate::Certificate;
use super::key::Key;
use super::revoked::Revoked;
use super::signature::tests::{NOW, TEXT, alone, outcome, set, soft};
use super::testing::{Authenticator, CertificateDraft, TOUCHED, certify};
use super::{CertificateError, KeyRules, SignatureError, Signed};

/// With a certificate for a hardware key of alice's, changed as wanted.
fn certified(
    change: impl FnOnce(&mut CertificateDraft<'_>),
    line: &str,
    revoked: Option<&Authenticator>,
) -> Result<Signed, SignatureError> {
    let (key, authority) = (Authenticator::sk_ed25519(1), Authenticator::ed25519(9));
    let mut draft = certify(&key, &authority);
    change(&mut draft);
    let certified = key.clone().certified(&draft);
    let mut signers = set(&line.replace("CA", &authority.line()));
    if let Some(revoked) = revoked {
        let revoked = Revoked::parse(revoked.line().as_bytes()).expect("a list");
        signers = signers.without(revoked);
    }
    outcome(&certified.sign(TEXT), &signers, &KeyRules::default())
}

#[test]
fn certificates() {
    let signed = certified(|_| (), "* cert-authority CA", None).expect("a signature");
    let authority = Key::from_blob(&Authenticator::ed25519(9).public()).expect("a key");
    assert_eq!(signed.authority, Some(authority.fingerprint()));
    let key = Key::from_blob(&Authenticator::sk_ed25519(1).public()).expect("a key");
    assert_eq!(signed.fingerprint, key.fingerprint());
    assert_eq!(signed.person, "alice");
}

#[test]
fn principals_of_certificates() {
    let principal = |principals: &'static [&'static str], accepted: &str| {
        let line = format!("{accepted} cert-authority CA");
        certified(|c| c.principals = principals, &line, None).map(|signed| signed.person)
    };
    assert_eq!(
        principal(&["root", "al@x", "bo@x"], "*@x"),
        Ok("al@x".to_owned())
    );
    assert!(matches!(
        principal(&["alice"], "*,!alice"),
        Err(SignatureError::Principal { .. })
    ));
    assert!(matches!(
        principal(&[], "*"),
        Err(SignatureError::NoPrincipal { .. })
    ));
    assert!(matches!(
        principal(&["al ice", "\u{1b}[2J", "аlice", ""], "*"),
        Err(SignatureError::Principal { .. })
    ));
    assert_eq!(
        principal(&["*", "a?", "al,bo", "!al", "al"], "*"),
        Ok("al".to_owned())
    );
    // A name that stands for a person leads to that person.
    let other = Authenticator::ed25519(3).line();
    let line = format!("alice,al {other}\n* cert-authority CA");
    let signed = certified(|c| c.principals = &["al"], &line, None).expect("a signature");
    assert_eq!(signed.person, "alice");
    // The second line of the same authority holds.
    let lines = "bob cert-authority CA\nalice cert-authority CA";
    assert!(certified(|_| (), lines, None).is_ok());
}

#[test]
fn the_key_of_another() {
    let key = Authenticator::sk_ed25519(1).line();
    let line = format!("bob {key}\n* cert-authority CA");
    assert!(matches!(
        certified(|_| (), &line, None),
        Err(SignatureError::SharedKey { owner, .. }) if owner == "bob"
    ));
}

#[test]
fn certificates_that_do_not_hold() {
    const ANY: &str = "* cert-authority CA";
    assert!(matches!(
        certified(|c| c.valid.0 = NOW + 1, ANY, None),
        Err(SignatureError::CertificateNotYet { .. })
    ));
    assert!(matches!(
        certified(|c| c.valid.1 = NOW, ANY, None),
        Err(SignatureError::CertificateExpired { .. })
    ));
    assert!(certified(|c| c.valid = (NOW, NOW + 1), ANY, None).is_ok());
    assert_eq!(
        certified(|c| c.kind = 2, ANY, None),
        Err(SignatureError::Certificate(CertificateError::NotForUsers(
            2
        )))
    );
    for name in ["force-command", "source-address", "x@y"] {
        assert_eq!(
            certified(|c| c.demand(name, b"\0\0\0\x01x"), ANY, None),
            Err(SignatureError::Certificate(
                CertificateError::CriticalOption(name.to_owned())
            ))
        );
    }
    assert!(matches!(
        certified(|c| c.demand("verify-required", b"x"), ANY, None),
        Err(SignatureError::Certificate(_))
    ));
    assert!(matches!(
        certified(|_| (), "* cert-authority,namespaces=\"git\" CA", None),
        Err(SignatureError::NotForThis { .. })
    ));
    for (revoked, authority) in [
        (Authenticator::sk_ed25519(1), false),
        (Authenticator::ed25519(9), true),
    ] {
        let outcome = certified(|_| (), ANY, Some(&revoked)).expect_err("revoked");
        let by_authority = matches!(outcome, SignatureError::AuthorityRevoked { .. });
        assert_eq!(by_authority, authority, "{outcome}");
    }
}

#[test]
fn revoked_certificates() {
    let authority = Key::from_blob(&Authenticator::ed25519(9).public()).expect("a key");
    let (key, by) = (Authenticator::sk_ed25519(1), Authenticator::ed25519(9));
    let armoured = key.clone().certified(&certify(&key, &by)).sign(TEXT);
    let with = |of: Option<[u8; 32]>, serials: Option<(u64, u64)>, id: Option<&str>| {
        let mut revoked = Revoked::default();
        let certificates = revoked.certificates_of(of);
        if let Some(serials) = serials {
            certificates.serials(serials);
        }
        if let Some(id) = id {
            certificates.id(id);
        }
        let signers = alone("* cert-authority", &by).without(revoked);
        matches!(
            outcome(&armoured, &signers, &KeyRules::default()),
            Err(SignatureError::CertificateRevoked { serial: 5, .. })
        )
    };
    for of in [None, Some(authority.digest())] {
        assert!(with(of, Some((5, 5)), None));
        assert!(with(of, Some((1, 9)), None));
        assert!(!with(of, Some((6, 9)), None));
        assert!(!with(of, Some((1, 4)), None));
        assert!(with(of, None, Some("alice's laptop")));
        assert!(!with(of, None, Some("alice")));
    }
    assert!(!with(Some([0; 32]), Some((1, 9)), Some("alice's laptop")));
}

#[test]
fn a_certificate_may_demand_the_pin() {
    let authority = Authenticator::ed25519(9);
    let rules = KeyRules {
        require_pin: false,
        ..soft()
    };
    let signers = alone("* cert-authority", &authority);
    let demanding = |key: &Authenticator| {
        let mut draft = certify(key, &authority);
        draft.demand("verify-required", b"");
        outcome(&key.clone().certified(&draft).sign(TEXT), &signers, &rules)
    };
    assert!(demanding(&Authenticator::sk_ecdsa(1)).is_ok());
    assert!(matches!(
        demanding(&Authenticator::sk_ecdsa(1).flags(TOUCHED)),
        Err(SignatureError::NoPin { .. })
    ));
    assert!(matches!(
        demanding(&Authenticator::ed25519(1)),
        Err(SignatureError::PinNeedsHardware { .. })
    ));
}

#[test]
fn certificates_changed_afterwards() {
    let (key, authority) = (Authenticator::sk_ed25519(1), Authenticator::ed25519(9));
    let signers = alone("* cert-authority", &authority);
    let blob = certify(&key, &authority).blob();
    for at in (0..blob.len()).step_by(3) {
        let mut changed = blob.clone();
        changed[at] ^= 0x10;
        let mut by = key.clone();
        by.certificate = Some(changed);
        assert!(
            outcome(&by.sign(TEXT), &signers, &KeyRules::default()).is_err(),
            "byte {at}"
        );
    }
}

proptest! {
    #[test]
    fn never_panics(changes in prop::collection::vec((0_usize..1_000, any::<u8>()), 1..6), cut in 0_usize..1_000) {
        let mut blob = certify(&Authenticator::sk_ecdsa(1), &Authenticator::ed25519(9)).blob();
        for (at, byte) in changes {
            let at = at % blob.len();
            blob[at] = byte;
        }
        let _ = Certificate::from_blob(&blob);
        let _ = Certificate::from_blob(&blob[..cut.min(blob.len())]);
        let _ = Certificate::key_in(&blob);
    }
}
