use std::path::Path;

use super::super::key::SignatureFault;
use super::super::revoked::Revoked;
use super::super::testing::{
    Authenticator, PIN, TOUCHED, armour, certify, plain_blob, public_line, unarmoured,
};
use super::super::{KeyError, Origin};
use super::*;
use proptest::prelude::*;

pub(in super::super) const TEXT: &[u8] = b"dbguard override request 1\nhost: db7\n";
/// 2027-01-15T08:00:00Z
pub(in super::super) const NOW: u64 = 1_800_000_000;

pub(in super::super) fn set(text: &str) -> Signers {
    Signers::parse(text.as_bytes(), Path::new("list")).expect(text)
}

pub(in super::super) fn alone(names: &str, key: &Authenticator) -> Signers {
    set(&format!("{names} {}", key.line()))
}

pub(in super::super) fn soft() -> KeyRules {
    KeyRules {
        software: vec!["alice".to_owned()],
        ..KeyRules::default()
    }
}

pub(in super::super) fn outcome(
    armoured: &str,
    signers: &Signers,
    rules: &KeyRules,
) -> Result<Signed, SignatureError> {
    verify(TEXT, armoured.as_bytes(), signers, rules, NOW)
}

/// By alice's hardware key, with the rules as they are by default.
fn by(key: &Authenticator) -> Result<Signed, SignatureError> {
    outcome(&key.sign(TEXT), &alone("alice", key), &KeyRules::default())
}

#[test]
fn hardware_keys() {
    for key in [Authenticator::sk_ed25519(1), Authenticator::sk_ecdsa(1)] {
        let signed = by(&key).expect("a signature");
        assert_eq!(signed.person, "alice");
        assert_eq!(signed.counter, Some(7));
        assert!(signed.hardware);
        assert_eq!(signed.authority, None);
        assert!(
            signed.key_kind.starts_with("hardware E"),
            "{}",
            signed.key_kind
        );
        assert!(signed.fingerprint.starts_with("SHA256:"));
    }
}

#[test]
fn touch_and_pin() {
    for key in [Authenticator::sk_ed25519(1), Authenticator::sk_ecdsa(1)] {
        for flags in [0, PIN, 0xfe] {
            assert!(matches!(
                by(&key.clone().flags(flags)),
                Err(SignatureError::NotTouched { .. })
            ));
        }
        let touched = key.clone().flags(TOUCHED);
        assert!(matches!(by(&touched), Err(SignatureError::NoPin { .. })));
        let rules = KeyRules {
            require_pin: false,
            ..KeyRules::default()
        };
        let signers = alone("alice", &key);
        assert!(outcome(&touched.sign(TEXT), &signers, &rules).is_ok());
    }
}

#[test]
fn flags_and_counter_are_signed() {
    for key in [Authenticator::sk_ed25519(1), Authenticator::sk_ecdsa(1)] {
        let untouched = unarmoured(&key.clone().flags(0).sign(TEXT));
        for back in 1..=5 {
            let mut blob = untouched.clone();
            let at = blob.len() - back;
            blob[at] ^= TOUCHED | PIN;
            let wrong = outcome(&armour(&blob), &alone("alice", &key), &KeyRules::default());
            assert!(matches!(wrong, Err(SignatureError::Wrong { .. })), "{back}");
        }
    }
}

#[test]
fn applications() {
    let key = Authenticator::sk_ed25519(1).application("ssh:oncall");
    let SignatureError::Application { application, .. } = by(&key).expect_err("another") else {
        panic!("another reason");
    };
    assert_eq!(application, "ssh:oncall");
    let with = |patterns: &[&str]| KeyRules {
        applications: patterns.iter().map(|&one| one.to_owned()).collect(),
        ..KeyRules::default()
    };
    let signers = alone("alice", &key);
    for (patterns, accepted) in [
        (["ssh:", "ssh:*"].as_slice(), true),
        (&["ssh:oncall"], true),
        (&["ssh:on"], false),
        (&[], false),
    ] {
        let outcome = outcome(&key.sign(TEXT), &signers, &with(patterns));
        assert_eq!(outcome.is_ok(), accepted, "{patterns:?}");
    }
}

#[test]
fn software_keys_by_configuration_alone() {
    let key = Authenticator::ed25519(1);
    let signers = alone("alice,al", &key);
    let fingerprint = Key::from_blob(&key.public()).expect("a key").fingerprint();
    let with = |one: &str| KeyRules {
        software: vec![one.to_owned()],
        ..KeyRules::default()
    };
    assert_eq!(
        by(&key).expect_err("software").to_string(),
        format!(
            "signed with a software key ({fingerprint}, alice); this host accepts hardware keys \
             alone: sign with one, or have alice or the fingerprint added to override.software_keys"
        )
    );
    for (one, accepted) in [
        ("alice", true),
        ("Alice", true),
        (fingerprint.as_str(), true),
        ("al", false),
        ("*", false),
    ] {
        let outcome = outcome(&key.sign(TEXT), &signers, &with(one));
        assert_eq!(outcome.is_ok(), accepted, "{one}");
    }
}

#[test]
fn another_text() {
    let key = Authenticator::ed25519(1);
    let signers = alone("alice", &key);
    let armoured = key.sign(TEXT);
    for text in [
        b"".as_slice(),
        &TEXT[1..],
        &TEXT[..TEXT.len() - 1],
        &[TEXT, b"\n"].concat(),
    ] {
        assert!(matches!(
            verify(text, armoured.as_bytes(), &signers, &soft(), NOW),
            Err(SignatureError::Wrong {
                fault: SignatureFault::Wrong,
                ..
            })
        ));
    }
}

#[test]
fn strangers() {
    let key = Authenticator::ed25519(1);
    assert!(matches!(
        outcome(
            &key.sign(TEXT),
            &alone("alice", &Authenticator::ed25519(2)),
            &soft()
        ),
        Err(SignatureError::UnknownKey { .. })
    ));
    // An authority's key signs certificates, not requests.
    assert!(matches!(
        outcome(
            &key.sign(TEXT),
            &alone("alice cert-authority", &key),
            &soft()
        ),
        Err(SignatureError::UnknownKey { .. })
    ));
    // A person's key is no authority.
    let authority = Authenticator::ed25519(9);
    let certified = key.clone().certified(&certify(&key, &authority));
    for names in ["alice", "bob cert-authority"] {
        let signers = set(&format!(
            "{}\n{names} {}",
            format_args!("alice {}", key.line()),
            if names == "alice" {
                authority.line()
            } else {
                Authenticator::ed25519(8).line()
            }
        ));
        assert!(matches!(
            outcome(&certified.sign(TEXT), &signers, &soft()),
            Err(SignatureError::UnknownAuthority { .. })
        ));
    }
}

#[test]
fn lines_that_do_not_hold() {
    let key = Authenticator::ed25519(1);
    let with = |options: &str| {
        outcome(
            &key.sign(TEXT),
            &set(&format!("alice {options} {}", key.line())),
            &soft(),
        )
    };
    assert!(matches!(
        with("namespaces=\"file,git\""),
        Err(SignatureError::NotForThis { .. })
    ));
    assert!(matches!(
        with("namespaces=\"*,!override@*\""),
        Err(SignatureError::NotForThis { .. })
    ));
    assert!(with("namespaces=\"file,override@dbguard\"").is_ok());
    assert_eq!(
        with("valid-after=\"20270115080001Z\""),
        Err(SignatureError::NotYet {
            at: Origin {
                file: "list".into(),
                line: 1
            },
            from: "2027-01-15T08:00:01Z".to_owned(),
            now: "2027-01-15T08:00:00Z".to_owned(),
        })
    );
    assert!(matches!(
        with("valid-before=\"20270115075959Z\""),
        Err(SignatureError::Expired { .. })
    ));
    assert!(with("valid-after=\"20270115080000Z\"").is_ok());
    assert!(with("valid-before=\"20270115080000Z\"").is_ok());
    // The second line of the same key holds.
    let signers = set(&format!(
        "alice namespaces=\"git\" {0}\nalice {0}",
        key.line()
    ));
    assert!(outcome(&key.sign(TEXT), &signers, &soft()).is_ok());
}

#[test]
fn revoked_keys() {
    let key = Authenticator::ed25519(1);
    let signers =
        alone("alice", &key).without(Revoked::parse(key.line().as_bytes()).expect("a list"));
    assert!(matches!(
        outcome(&key.sign(TEXT), &signers, &soft()),
        Err(SignatureError::Revoked { person, .. }) if person == "alice"
    ));
}

/// A signature that names another key than the one that made it.
fn naming(public: &[u8], by: &Authenticator) -> String {
    let mut by = by.clone();
    by.certificate = Some(public.to_vec());
    by.sign(TEXT)
}

#[test]
fn rsa_by_configuration_and_length() {
    let key = Authenticator::ed25519(1);
    let with = |bytes: usize, rsa: bool| {
        let mut modulus = vec![0x81; bytes + 1];
        modulus[0] = 0;
        let public = plain_blob("ssh-rsa", &[[1, 0, 1].as_slice(), &modulus]);
        let signers = set(&format!("alice {}", public_line(&public)));
        let rules = KeyRules { rsa, ..soft() };
        outcome(&naming(&public, &key), &signers, &rules).expect_err("an RSA key")
    };
    assert!(matches!(with(384, false), SignatureError::Rsa { .. }));
    for (bytes, bits) in [(256, 2048), (383, 3064), (513, 4104), (1024, 8192)] {
        let SignatureError::RsaLength { bits: found, .. } = with(bytes, true) else {
            panic!("another reason for {bits}");
        };
        assert_eq!(found, bits);
    }
    for bytes in [384, 512] {
        // The signature is of another kind: the length is accepted.
        assert!(matches!(with(bytes, true), SignatureError::Wrong { .. }));
    }
}

#[test]
fn signatures_of_another_kind() {
    for (named, by) in [
        (Authenticator::sk_ed25519(1), Authenticator::ed25519(1)),
        (Authenticator::ed25519(1), Authenticator::sk_ed25519(1)),
        (Authenticator::sk_ecdsa(1), Authenticator::sk_ed25519(1)),
    ] {
        let wrong = outcome(
            &naming(&named.public(), &by),
            &alone("alice", &named),
            &soft(),
        );
        assert!(
            matches!(
                wrong,
                Err(SignatureError::Wrong {
                    fault: SignatureFault::Type { .. },
                    ..
                })
            ),
            "{wrong:?}"
        );
    }
}

#[test]
fn weak_keys() {
    let mut blob = unarmoured(&Authenticator::ed25519(1).sign(TEXT));
    // Behind magic, version, and the lengths of key, type and number.
    let at = 6 + 4 + 4 + 4 + "ssh-ed25519".len() + 4;
    blob[at..at + 32].fill(0);
    assert_eq!(
        decode(armour(&blob).as_bytes()),
        Err(SignatureError::Key(KeyError::Weak))
    );
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let _ = decode(&bytes);
        let _ = decode(armour(&bytes).as_bytes());
        let _ = decode(armour(&[b"SSHSIG\0\0\0\x01".as_slice(), &bytes].concat()).as_bytes());
    }
}

proptest! {
    // Arithmetic is slow without optimisation.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_bit_counts(at in 0_usize..1_000, bit in 0_u8..8, hardware: bool) {
        let key = if hardware { Authenticator::sk_ecdsa(1) } else { Authenticator::ed25519(1) };
        let signers = alone("alice", &key);
        let mut blob = unarmoured(&key.sign(TEXT));
        let at = at % blob.len();
        blob[at] ^= 1 << bit;
        prop_assert!(outcome(&armour(&blob), &signers, &soft()).is_err());
    }
}
