use super::super::key::KeyError;
use super::super::testing::Authenticator;
use super::super::wire::{WireError, put_string};
use super::*;
use proptest::prelude::*;

fn header() -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&1_u32.to_be_bytes());
    out.extend_from_slice(&9_u64.to_be_bytes());
    out.extend_from_slice(&[0; 16]);
    put_string(&mut out, b"");
    put_string(&mut out, b"May");
    out
}

fn with(kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = header();
    out.push(kind);
    put_string(&mut out, contents);
    out
}

fn of_certificates(authority: &[u8], kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut section = Vec::new();
    put_string(&mut section, authority);
    put_string(&mut section, b"");
    section.push(kind);
    put_string(&mut section, contents);
    with(section::CERTIFICATES, &section)
}

fn strings(list: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for one in list {
        put_string(&mut out, one);
    }
    out
}

fn extension_of(name: &str, critical: u8) -> Vec<u8> {
    let mut out = strings(&[name.as_bytes()]);
    out.push(critical);
    put_string(&mut out, b"anything");
    out
}

#[test]
fn an_empty_list_revokes_nothing() {
    let krl = Krl::parse(&header()).expect("a list");
    assert_eq!((krl.version, krl.comment.as_str()), (9, "May"));
    assert_eq!(krl.revoked, Revoked::default());
}

#[test]
fn keys_in_every_form() {
    use sha1::{Digest, Sha1};
    let blob = Authenticator::ed25519(1).public();
    let key = Key::from_blob(&blob).expect("a key");
    for (kind, contents) in [
        (section::EXPLICIT_KEY, blob.clone()),
        (section::FINGERPRINT_SHA256, sha256(&blob).to_vec()),
        (section::FINGERPRINT_SHA1, Sha1::digest(&blob).to_vec()),
    ] {
        let krl = Krl::parse(&with(kind, &strings(&[&contents]))).expect("a list");
        assert!(krl.revoked.has_key(&key), "{kind}");
    }
}

#[test]
fn serial_numbers_in_every_form() {
    let numbers = |list: &[u64]| -> Vec<u8> { list.iter().flat_map(|n| n.to_be_bytes()).collect() };
    let mut bits = numbers(&[3]);
    put_string(&mut bits, &[0b0000_0111]);
    for (kind, contents) in [
        (section::SERIAL_LIST, numbers(&[5, 3, 4])),
        (section::SERIAL_RANGE, numbers(&[3, 5])),
        (section::SERIAL_BITMAP, bits),
    ] {
        let krl = Krl::parse(&of_certificates(b"", kind, &contents)).expect("a list");
        let mut expected = Revoked::default();
        expected.certificates_of(None).serials((3, 5));
        assert_eq!(krl.revoked, expected, "{kind}");
    }
}

#[test]
fn authorities_of_which_none_counts() {
    let old = of_certificates(&strings(&[b"ssh-dss"]), section::SERIAL_LIST, &[1; 8]);
    assert!(Krl::parse(&old).is_ok());
}

#[test]
fn extensions() {
    assert!(Krl::parse(&with(section::EXTENSION, &extension_of("x@y", 0))).is_ok());
    assert_eq!(
        Krl::parse(&with(section::EXTENSION, &extension_of("x@y", 1))),
        Err(KrlError::Extension("x@y".to_owned()))
    );
    let kind = section::CERTIFICATE_EXTENSION;
    assert!(Krl::parse(&of_certificates(b"", kind, &extension_of("x@y", 0))).is_ok());
    assert_eq!(
        Krl::parse(&of_certificates(b"", kind, &extension_of("x@y", 2))),
        Err(KrlError::Extension("x@y".to_owned()))
    );
}

#[test]
fn lists_that_cannot_be_relied_on() {
    let mut format = header();
    format[MAGIC.len() + 3] = 2;
    let max = u64::MAX.to_be_bytes();
    let mut wrapping = max.to_vec();
    put_string(&mut wrapping, &[2]);
    let mut negative = 1_u64.to_be_bytes().to_vec();
    put_string(&mut negative, &[0x80]);
    let serials = |kind, contents: &[u8]| of_certificates(b"", kind, contents);
    for (bytes, why) in [
        (b"SSHKRL\n".to_vec(), KrlError::Magic),
        (format, KrlError::Format(2)),
        (with(6, b""), KrlError::Section(6)),
        (with(section::SIGNATURE, b"key"), KrlError::Signed),
        (
            with(section::FINGERPRINT_SHA1, &strings(&[&[0; 19]])),
            KrlError::Fingerprint(19),
        ),
        (
            with(section::FINGERPRINT_SHA256, &strings(&[&[0; 20]])),
            KrlError::Fingerprint(20),
        ),
        (serials(0x24, b""), KrlError::Section(0x24)),
        (serials(section::SERIAL_LIST, &[0; 8]), KrlError::SerialZero),
        (
            serials(section::SERIAL_RANGE, &[0; 16]),
            KrlError::SerialZero,
        ),
        (
            serials(section::SERIAL_RANGE, &[max, 1_u64.to_be_bytes()].concat()),
            KrlError::Range,
        ),
        (serials(section::SERIAL_BITMAP, &wrapping), KrlError::Range),
        (serials(section::SERIAL_BITMAP, &negative), KrlError::Range),
        (
            of_certificates(&strings(&[b"ssh-dsb"]), section::SERIAL_LIST, b""),
            KrlError::Authority(KeyError::Type("ssh-dsb".to_owned())),
        ),
        (
            of_certificates(&strings(&[b"ssh-rsa"]), section::SERIAL_LIST, b""),
            KrlError::Authority(KeyError::Damaged(WireError::Ends("the key"))),
        ),
    ] {
        assert_eq!(Krl::parse(&bytes), Err(why));
    }
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let _ = Krl::parse(&bytes);
        let _ = Krl::parse(&[header(), bytes].concat());
    }

    #[test]
    fn never_panics_on_what_is_near(changes in prop::collection::vec((0_usize..400, any::<u8>()), 1..6)) {
        let range = [3_u64.to_be_bytes(), 9_u64.to_be_bytes()].concat();
        let mut bytes = with(section::EXPLICIT_KEY, &strings(&[&[1; 32]]));
        let authority = Authenticator::ed25519(1).public();
        bytes.extend(&of_certificates(&authority, section::SERIAL_RANGE, &range)[header().len()..]);
        prop_assert!(Krl::parse(&bytes).is_ok());
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let _ = Krl::parse(&bytes);
    }

    #[test]
    fn never_panics_in_certificates(kind in 0x20_u8..0x24, bytes: Vec<u8>) {
        let _ = Krl::parse(&of_certificates(b"", kind, &bytes));
    }

    #[test]
    fn cut_off_is_never_a_list(at in 0_usize..200) {
        let whole = with(section::EXPLICIT_KEY, &strings(&[&[1; 32], &[2; 32]]));
        // The header alone is a list, too.
        prop_assume!(at < whole.len() && at != header().len());
        prop_assert!(Krl::parse(&whole[..at]).is_err());
    }
}
