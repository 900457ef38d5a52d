use super::super::signature::tests::{TEXT, alone, outcome, soft};
use super::super::testing::{Authenticator, Draft, armour, unarmoured};
use super::super::wire::WireError;
use super::*;

#[test]
fn envelopes_that_are_no_signature() {
    let key = Authenticator::ed25519(1);
    let signers = alone("alice", &key);
    let drafts = |change: fn(&mut Draft<'_>)| {
        let mut draft = Draft::of(&key);
        change(&mut draft);
        outcome(&draft.armoured(TEXT), &signers, &soft()).expect_err("a changed envelope")
    };
    assert_eq!(drafts(|d| d.version = 0), SignatureError::Version(0));
    assert_eq!(drafts(|d| d.version = 2), SignatureError::Version(2));
    assert_eq!(drafts(|d| d.reserved = b"x"), SignatureError::Reserved);
    assert_eq!(
        drafts(|d| d.hash = "sha384"),
        SignatureError::Hash("sha384".to_owned())
    );
    assert_eq!(
        drafts(|d| d.trailing = b"x"),
        SignatureError::Damaged(WireError::Trailing {
            left: 1,
            after: "its signature"
        })
    );
    for namespace in ["file", "", "override@dbguard ", "Override@dbguard"] {
        let mut draft = Draft::of(&key);
        draft.namespace = namespace;
        assert_eq!(
            outcome(&draft.armoured(TEXT), &signers, &soft()),
            Err(SignatureError::Namespace(namespace.to_owned()))
        );
    }
}

#[test]
fn armour_that_is_none() {
    let key = Authenticator::ed25519(1);
    let good = key.sign(TEXT);
    let body = unarmoured(&good);
    for (text, why) in [
        (String::new(), SignatureError::NotArmoured),
        (format!(" {good}"), SignatureError::NotArmoured),
        (format!("\n{good}"), SignatureError::NotArmoured),
        (
            good.replace("SSH SIG", "PGP SIG"),
            SignatureError::NotArmoured,
        ),
        (
            good.replacen("-----\n", "-----", 1),
            SignatureError::NotArmoured,
        ),
        (
            good.replacen("-----\n", "-----\r\n", 1),
            SignatureError::NotArmoured,
        ),
        (good.replace("-----END", "----END"), SignatureError::CutOff),
        (
            good.replace("\n-----END", "-----END"),
            SignatureError::CutOff,
        ),
        (format!("{good}{good}"), SignatureError::Follows),
        (format!("{good}x"), SignatureError::Follows),
        (good.replacen("U1NI", "U1N", 1), SignatureError::NotBase64),
        (good.replacen("U1NI", "U1N!", 1), SignatureError::NotBase64),
        (armour(&body[1..]), SignatureError::NotSshSig),
        (
            armour(&body[..4]),
            SignatureError::Damaged(WireError::Ends("its beginning")),
        ),
        ("x".repeat(70_000), SignatureError::Long),
    ] {
        assert_eq!(decode(text.as_bytes()), Err(why), "{text}");
    }
    assert_eq!(decode(b"\xff"), Err(SignatureError::NotArmoured));
    // As terminals and editors leave it.
    let expected = decode(good.as_bytes()).expect("a signature");
    for text in [
        good.replace('\n', "\r\n").replacen("\r\n", "\n", 1),
        format!("{}  \n\n", good.trim_end()),
        good.replacen("AAA", "A A\n A", 1),
    ] {
        assert_eq!(decode(text.as_bytes()), Ok(expected.clone()), "{text}");
    }
}
