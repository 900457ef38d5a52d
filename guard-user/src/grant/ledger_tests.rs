use std::path::PathBuf;

use super::*;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("state/ledger")
    }

    fn open(&self, boot: &str) -> Result<Ledger, LedgerError> {
        Ledger::open(&self.path(), boot)
    }
}

const NONCE: [u8; NONCE_BYTES] = [7; NONCE_BYTES];

fn issued() -> Entry {
    Entry::Issued {
        nonce: hex(&NONCE),
        digest: "d".into(),
    }
}

fn given(grant: u32) -> Entry {
    Entry::Given(Given {
        grant,
        nonce: hex(&NONCE),
        request: "text".into(),
        signers: vec![("ann".into(), "SHA256:a".into())],
        at_boot_ns: 5,
    })
}

fn filled(place: &Place) -> Ledger {
    let mut ledger = place.open("one").unwrap();
    for entry in [issued(), given(1), Entry::Used { grant: 1, pid: 9 }] {
        ledger.add(&entry).unwrap();
    }
    ledger
}

#[test]
fn a_nonce_is_open_once() {
    let place = Place::new();
    let mut ledger = place.open("one").unwrap();
    assert_eq!(ledger.book().issued(&NONCE), Issued::Never);
    ledger.add(&issued()).unwrap();
    assert_eq!(ledger.book().issued(&NONCE), Issued::Open("d".into()));
    assert_eq!(ledger.book().next_grant(), 1);
    ledger.add(&given(1)).unwrap();
    assert_eq!(ledger.book().issued(&NONCE), Issued::Spent("G-1".into()));
    drop(ledger);
    let ledger = place.open("one").unwrap();
    assert_eq!(ledger.book().issued(&NONCE), Issued::Spent("G-1".into()));
    assert_eq!(ledger.book().next_grant(), 2);
}

#[test]
fn what_makes_no_sense_is_not_entered() {
    let place = Place::new();
    let mut ledger = filled(&place);
    let before = fs::read(place.path()).unwrap();
    for entry in [
        issued(),
        given(1),
        Entry::Used { grant: 2, pid: 9 },
        Entry::Closed {
            grant: 0,
            why: String::new(),
        },
    ] {
        assert!(ledger.add(&entry).is_err());
    }
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[test]
fn one_at_a_time() {
    let place = Place::new();
    let ledger = place.open("one").unwrap();
    assert!(matches!(place.open("one"), Err(LedgerError::Locked(_))));
    drop(ledger);
    assert!(place.open("one").is_ok());
}

#[test]
fn a_boot_closes_everything_and_numbers_go_on() {
    let place = Place::new();
    drop(filled(&place));
    let ledger = place.open("two").unwrap();
    assert_eq!(ledger.book().issued(&NONCE), Issued::Never);
    assert_eq!(ledger.book().grants(), []);
    assert_eq!(ledger.book().next_grant(), 2);
    assert!(matches!(place.open("two"), Err(LedgerError::Locked(_))));
    drop(ledger);
    assert_eq!(place.open("two").unwrap().book().next_grant(), 2);
}

#[test]
fn a_torn_line_is_taken_back_at_every_length() {
    let place = Place::new();
    drop(filled(&place));
    let whole = fs::read(place.path()).unwrap();
    for length in 0..whole.len() {
        fs::write(place.path(), &whole[..length]).unwrap();
        let ledger = place.open("one").unwrap();
        let kept = ledger.book().clone();
        assert!(kept.grants().len() <= 1);
        drop(ledger);
        // And nothing more is lost by what follows.
        assert_eq!(*place.open("one").unwrap().book(), kept, "{length}");
    }
}

#[test]
fn damage_anywhere_else_opens_nothing() {
    let place = Place::new();
    drop(filled(&place));
    let whole = fs::read(place.path()).unwrap();
    let last_line = whole.len() - 1;
    for at in 0..last_line {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x04;
        fs::write(place.path(), &damaged).unwrap();
        assert!(
            matches!(place.open("one"), Err(LedgerError::Corrupt { .. })),
            "byte {at}"
        );
        // It is left for a person to look at.
        assert_eq!(fs::read(place.path()).unwrap(), damaged);
    }
    // A line that is missing in the middle: a use without its grant.
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let without: Vec<u8> = [&lines[..3], &lines[4..]].concat().concat();
    fs::write(place.path(), without).unwrap();
    assert!(matches!(
        place.open("one"),
        Err(LedgerError::Corrupt { .. })
    ));
}

#[test]
fn after_damage_no_number_is_given_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    assert_eq!(
        highest_number("{\"last_grant\":7,\"grant\":12}\nxx\"grant\":3"),
        12
    );
    assert_eq!(highest_number("\"grant\":99999999999 \"grant\":"), 0);
    fs::write(
        &path,
        "dbguard-ledger 1\nnonsense {\"kind\":\"used\",\"grant\":41}\n",
    )
    .unwrap();
    assert!(matches!(
        Ledger::open(&path, "b"),
        Err(LedgerError::Corrupt { .. })
    ));
    let anew = Ledger::begin_anew(&path, "b").unwrap();
    assert_eq!(anew.book().next_grant(), 42);
    drop(anew);
    assert_eq!(Ledger::open(&path, "b").unwrap().book().next_grant(), 42);
    assert!(path.with_extension("damaged").exists());
}
