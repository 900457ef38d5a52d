use super::super::testing::{Authenticator, certify, public_line};
use super::*;
use proptest::prelude::*;

fn key() -> String {
    Authenticator::ed25519(1).line()
}

fn read(text: &str) -> Line {
    parse(text.as_bytes()).expect(text).expect("a line")
}

fn refused(text: &str) -> LineError {
    parse(text.as_bytes()).expect_err(text)
}

#[test]
fn persons_and_authorities() {
    let line = read(&format!(" alice,alice@x.org\t{} her laptop\r", key()));
    assert_eq!(
        line.who,
        Who::Person {
            name: "alice".to_owned(),
            others: vec!["alice@x.org".to_owned()]
        }
    );
    let line = read(&format!("*@x.org,!eve@x.org cert-authority {}", key()));
    assert_eq!(
        line.who,
        Who::Authority {
            principals: "*@x.org,!eve@x.org".to_owned()
        }
    );
    for nothing in ["", " \t", "# alice ssh-ed25519 AAAA", " #", "\r"] {
        assert_eq!(parse(nothing.as_bytes()), Ok(None), "{nothing:?}");
    }
}

#[test]
fn options_of_any_case_and_order() {
    let line = read(&format!(
        r#"a VALID-before="20270102Z",Cert-Authority,namespaces="x\"y,\z *",valid-after="202701011200z" {}"#,
        key()
    ));
    assert!(matches!(line.who, Who::Authority { .. }));
    assert_eq!(line.namespaces.as_deref(), Some(r#"x"y,\z *"#));
    assert_eq!(line.valid_after, Some(1_798_804_800));
    assert_eq!(line.valid_before, Some(1_798_848_000));
}

#[test]
fn names_that_are_not_one_persons() {
    for pattern in ["*", "a?", "!alice", "alice,*@x.org"] {
        let text = format!("{pattern} {}", key());
        assert!(matches!(refused(&text), LineError::Pattern(_)), "{pattern}");
    }
    for (names, why) in [
        ("a,,b", LineError::NoPrincipal),
        (",a", LineError::NoPrincipal),
        ("а", LineError::NotPlain("а".to_owned())),
        ("\"alice\"", LineError::NotPlain("\"alice\"".to_owned())),
        ("\u{feff}a", LineError::NotPlain("\u{feff}a".to_owned())),
    ] {
        assert_eq!(refused(&format!("{names} {}", key())), why, "{names}");
        let authority = format!("{names} cert-authority {}", key());
        assert_eq!(refused(&authority), why, "{names}");
    }
    let alone = format!("! cert-authority {}", key());
    assert_eq!(refused(&alone), LineError::NoPrincipal);
}

#[test]
fn options_that_are_none() {
    let unknown = |word: &str| LineError::Option(word.to_owned());
    let time = |text: &str| LineError::Time {
        option: "valid-before",
        text: text.to_owned(),
    };
    for (options, why) in [
        ("touch", unknown("touch")),
        ("cert-authority2", unknown("cert-authority2")),
        ("cert-authority=\"x\"", unknown("=\"x\"")),
        ("cert-authority,", LineError::Comma),
        (",cert-authority", unknown("")),
        (
            "cert-authority,CERT-authority",
            LineError::Repeated("cert-authority"),
        ),
        (
            "namespaces=\"a\",namespaces=\"b\"",
            LineError::Repeated("namespaces"),
        ),
        ("namespaces", LineError::Quotes("namespaces")),
        ("namespaces=", LineError::Quotes("namespaces")),
        ("namespaces=a", LineError::Quotes("namespaces")),
        ("namespaces=\"a", LineError::Quotes("namespaces")),
        ("namespaces=\"a\\\"", LineError::Quotes("namespaces")),
        ("namespaces=\"a\"b", unknown("b")),
        ("valid-before=\"\"", time("")),
        ("valid-before=\"Z\"", time("Z")),
        ("valid-before=\"2027010Z\"", time("2027010Z")),
        ("valid-before=\"2027010112Z\"", time("2027010112Z")),
        ("valid-before=\"2027-01-01Z\"", time("2027-01-01Z")),
        ("valid-before=\"20270229Z\"", time("20270229Z")),
        ("valid-before=\"20271301Z\"", time("20271301Z")),
        ("valid-before=\"20270100Z\"", time("20270100Z")),
        ("valid-before=\"202701012400Z\"", time("202701012400Z")),
        ("valid-before=\"20270101235960Z\"", time("20270101235960Z")),
        ("valid-before=\"19700101Z\"", time("19700101Z")),
        ("valid-before=\"+1d\"", time("+1d")),
        (
            "valid-before=\"20270101\"",
            LineError::Zone {
                option: "valid-before",
                text: "20270101".to_owned(),
            },
        ),
        (
            "valid-after=\"20270101Z\",valid-before=\"20270101Z\"",
            LineError::Backwards,
        ),
    ] {
        assert_eq!(
            refused(&format!("alice {options} {}", key())),
            why,
            "{options}"
        );
    }
}

#[test]
fn keys_that_are_none() {
    let certificate = certify(&Authenticator::ed25519(1), &Authenticator::ed25519(2)).blob();
    let certificate = public_line(&certificate);
    assert_eq!(refused("alice"), LineError::NoKey);
    assert_eq!(refused("alice cert-authority"), LineError::NoKey);
    assert_eq!(refused("alice ssh-ed25519"), LineError::NoKey);
    assert_eq!(refused("alice ssh-ed25519 A"), LineError::NotBase64);
    assert!(matches!(refused("alice ssh-dss AAAA"), LineError::Key(_)));
    assert_eq!(
        refused(&format!("alice {certificate}")),
        LineError::Key(KeyError::Certificate)
    );
    let other = key().replace("ssh-ed25519 ", "ssh-rsa ");
    assert!(matches!(
        refused(&format!("alice {other}")),
        LineError::OtherType { .. }
    ));
    assert_eq!(refused(&format!("alice {}=", key())), LineError::NotBase64);
}

#[test]
fn bytes_that_are_no_text() {
    for text in ["alice\0", "a\u{b}b", "a\rb", "a\u{7f}", "# \u{1b}[2J"] {
        assert_eq!(refused(text), LineError::Control, "{text:?}");
    }
    assert_eq!(parse(b"# caf\xe9"), Err(LineError::NotUtf8));
    assert_eq!(refused(&"a".repeat(LONGEST + 1)), LineError::Long);
    assert_eq!(refused(&"a".repeat(LONGEST)), LineError::NoKey);
}

#[test]
fn days_follow_each_other() {
    let mut expected = 0;
    for year in 1970..2200 {
        for month in 1..=12 {
            for day in 1..=31 {
                if let Some(found) = days(year, month, day) {
                    assert_eq!(found, expected, "{year}-{month}-{day}");
                    expected += 1;
                }
            }
        }
    }
    assert_eq!(expected, 84_006);
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let _ = parse(&bytes);
    }

    #[test]
    fn never_panics_on_what_is_near(
        text in r#"(alice|\*|,|!| |\t|cert-authority|namespaces="|valid-(after|before)="2027|0101|Z|"|\\|é|ssh-ed25519 |AAAA|=){0,14}"#
    ) {
        let _ = parse(text.as_bytes());
    }

    #[test]
    fn moments_as_elsewhere(year in 1971_u64..2400, month in 1_u64..13, day in 1_u64..29, of_day in 0_u64..86_400) {
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        let text = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}");
        let wall = crate::audit::time::rfc3339(seconds(&text).expect("a moment") * crate::audit::time::NANOS);
        prop_assert_eq!(wall, format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000000Z"));
    }
}
