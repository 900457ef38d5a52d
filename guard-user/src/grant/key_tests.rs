use super::super::testing::{Authenticator, plain_blob};
use super::*;

#[test]
fn one_encoding_for_each_key() {
    let good = Authenticator::ed25519(1).public();
    assert_eq!(Key::from_blob(&good).expect("a key").blob(), good);
    let mut longer = good.clone();
    longer.push(0);
    assert!(matches!(
        Key::from_blob(&longer),
        Err(KeyError::Damaged(WireError::Trailing { .. }))
    ));
    assert!(matches!(
        Key::from_blob(&good[..good.len() - 1]),
        Err(KeyError::Damaged(WireError::Ends(_)))
    ));
    // y = 2^255-18, the same as 1.
    let mut beyond = [0xff; 32];
    (beyond[0], beyond[31]) = (0xee, 0x7f);
    assert_eq!(
        Key::from_blob(&plain_blob("ssh-ed25519", &[&beyond])),
        Err(KeyError::Numbers("Ed25519 key"))
    );
}

#[test]
fn keys_that_everybody_can_sign_for() {
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [[0; 32], one] {
        assert_eq!(
            Key::from_blob(&plain_blob("ssh-ed25519", &[&weak])),
            Err(KeyError::Weak)
        );
        assert_eq!(
            Key::from_blob(&plain_blob("sk-ssh-ed25519@openssh.com", &[&weak, b"ssh:"])),
            Err(KeyError::Weak)
        );
    }
}

#[test]
fn points_that_openssh_takes_for_none() {
    let whole = Authenticator::sk_ecdsa(7).public();
    let mut wire = Wire::new(&whole);
    let name = wire.text("type").expect("its type");
    let curve = wire.string("curve").expect("its curve");
    let point = wire.string("point").expect("its point");
    let mut compressed = vec![2 | (point[64] & 1)];
    compressed.extend_from_slice(&point[1..33]);
    let mut beside = point.to_vec();
    beside[64] ^= 1;
    for point in [compressed, beside] {
        let blob = plain_blob(name, &[curve, &point, b"ssh:"]);
        assert_eq!(
            Key::from_blob(&blob),
            Err(KeyError::Numbers("hardware ECDSA key (P-256)"))
        );
    }
}

#[test]
fn other_types() {
    for name in ["ssh-dss", "ssh-xmss@openssh.com", "x@y", ""] {
        assert_eq!(
            Key::from_blob(&plain_blob(name, &[b"1", b"2"])),
            Err(KeyError::Type(name.to_owned()))
        );
    }
    assert_eq!(
        Key::from_blob(&plain_blob("ssh-ed25519-cert-v01@openssh.com", &[b"1"])),
        Err(KeyError::Certificate)
    );
}

#[test]
fn lengths_of_moduli() {
    for (modulus, bits) in [(vec![0x40; 3], 23), (vec![0, 0x80, 1], 16)] {
        let key = Key::from_blob(&plain_blob("ssh-rsa", &[&[1, 0, 1], &modulus]));
        assert_eq!(key.expect("a key").kind(), KeyKind::Rsa { bits });
    }
    for modulus in [vec![0x80, 1], vec![0, 1], vec![]] {
        let key = Key::from_blob(&plain_blob("ssh-rsa", &[&[1, 0, 1], &modulus]));
        assert_eq!(key, Err(KeyError::Numbers("RSA key")), "{modulus:?}");
    }
}

/// Found by fuzzing a list of revocations.
#[test]
fn an_application_is_a_c_string() {
    let blob = |application: &[u8]| {
        let key = Authenticator::sk_ed25519(1).public();
        let point = &key[key.len() - 8 - 32..key.len() - 8];
        plain_blob("sk-ssh-ed25519@openssh.com", &[point, application])
    };
    assert!(Key::from_blob(&blob(b"ssh:")).is_ok());
    assert!(Key::from_blob(&blob(b"ssh:\0x")).is_err());
    assert!(Key::from_blob(&blob(b"\0")).is_err());
}
