use super::*;
use crate::audit::record::{Body, Gap};
use crate::audit::segments::Hole;
use crate::audit::wouldblock::tests::{at, denial, read, record};

fn denied(second: u64, mode: &str, decision: &str) -> crate::audit::record::Record {
    let denial = denial(decision, "/sbin/wipefs", "sda");
    record(second, mode, Body::Denial(Box::new(denial)))
}

fn report(found: WouldBlock, extent: Extent, since: Option<String>) -> Report {
    Report {
        host: "db7".into(),
        ..put_together(found, extent, Vec::new(), since)
    }
}

#[test]
fn a_person_can_read_it() {
    let gap = Body::Gap(Gap {
        what: "dropped".into(),
        lost: 412,
        detail: "the ring was full".into(),
    });
    let found = read(&[
        denied(60, "observe", "would-deny"),
        record(120, "observe", gap),
        denied(180, "observe", "would-deny"),
    ]);
    let extent = Extent {
        records: 3,
        files: 2,
        holes: vec![Hole {
            first: 1,
            last: 40,
            from: None,
            to: at(60),
        }],
        ..Extent::default()
    };
    assert_eq!(
        show(&report(found, extent, None)),
        "dbguard report on db7: what enforcing would have blocked\n\
         \x20 period  from 1970-01-01 00:01:00, where the log begins, to 1970-01-01 00:03:00 (3 records, 2 files)\n\
         \x20 mode    observe, 1970-01-01 00:01:00 to 1970-01-01 00:03:00\n\
         \x20 result  2 operations would have been blocked, of 1 kind\n\
         \x20 gaps    412 events were lost: the ring was full, between 1970-01-01 00:01:00 and 1970-01-01 00:02:00\n\
         \x20         before 1970-01-01 00:01:00: records 1 to 40: in no file that can be read\n\
         \n\
         1. raw-write to sda by /sbin/wipefs in wipe.service, 2 times\n\
         \x20  when     first 1970-01-01 00:01:00, last 1970-01-01 00:03:00\n\
         \x20  object   it carries /var/lib/mysql (mariadbd 812, running)\n\
         \x20  example  /sbin/wipefs -a /dev/sda (root, ann); dbguard why E-180\n\
         \x20  do       A mistake? Nothing is to be done: once it is enforced, it is refused.\n\
         \x20           Made again and again? wipe.service starts it.\n\
         \x20           Is /sbin/wipefs a database server that writes the device without a file system? [engines] executables = [\"/sbin/wipefs\"], raw_devices = [\"/dev/sda\"]\n"
    );
}

/// "Nothing" must not be taken for more than it is.
#[test]
fn nothing_says_why_there_is_nothing() {
    let text = show(&report(
        read(&[denied(60, "enforce", "deny")]),
        Extent {
            records: 1,
            files: 1,
            ..Extent::default()
        },
        Some(at(30)),
    ));
    for words in [
        "nothing would have been blocked",
        "since 1970-01-01 00:00:30, first record 1970-01-01 00:01:00",
        "1 operation was refused, because the class was enforced",
        "every class was enforced all the time",
    ] {
        assert!(text.contains(words), "expected {words:?} in {text}");
    }
    let empty = show(&report(
        WouldBlock::default(),
        Extent::default(),
        Some(at(30)),
    ));
    assert!(
        empty.contains("since 1970-01-01 00:00:30: the log has no record of this time"),
        "{empty}"
    );
}

#[test]
fn programs_get_the_same() {
    let found = read(&[denied(60, "observe", "would-deny")]);
    let report = report(found, Extent::default(), None);
    let json: serde_json::Value =
        serde_json::from_str(&serde_json::to_string(&report).expect("JSON")).expect("JSON");
    assert_eq!(json["would_block"], 1);
    assert_eq!(json["groups"][0]["op"], "raw-write");
    assert_eq!(json["groups"][0]["program"]["exe"], "/sbin/wipefs");
    assert_eq!(json["groups"][0]["example"]["argv"][2], "/dev/sda");
    assert_eq!(json["modes"][0]["mode"], "observe");
}

#[test]
fn nothing_escapes_to_a_terminal() {
    let mut denial = denial("would-deny", "/bin/\u{1b}[2Jx", "sda");
    denial.object.name = "x\u{1b}[2J".into();
    denial.object.why = vec!["\u{1b}".into()];
    denial.process.unit = Some("\u{1b}.service".into());
    let found = read(&[record(1, "observe", Body::Denial(Box::new(denial)))]);
    let text = show(&report(found, Extent::default(), None));
    assert!(
        text.chars()
            .all(|letter| letter == '\n' || !letter.is_control()),
        "{text:?}"
    );
}
