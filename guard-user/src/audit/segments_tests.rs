use super::*;
use crate::audit::account::Account;
use crate::audit::record::{Change, Denial, EventKey};
use crate::audit::time::{NANOS, rfc3339};

/// A record written at second `at`; a denial happened at that second.
fn line(seq: u64, at: u64, denial: bool) -> String {
    let body = if denial {
        Body::Denial(Box::new(Denial {
            decision: "would-deny".into(),
            reason: "protected-device".into(),
            hook: "file_open".into(),
            op: "raw-write".into(),
            object: crate::audit::record::Object::default(),
            process: crate::audit::record::Process::default(),
            database: Vec::new(),
            command: None,
            act: None,
            open: None,
            grant: None,
            count: 1,
            key: EventKey(seq, 0, 0),
            repeats: Vec::new(),
        }))
    } else {
        Body::State(Change {
            from: "idle".into(),
            to: "armed".into(),
            why: "x".into(),
        })
    };
    let record = Record {
        v: 1,
        seq,
        event: None,
        time: rfc3339(at * NANOS),
        boot_ns: at,
        boot_id: "b".into(),
        machine_id: "m".into(),
        host: "h".into(),
        mode: "observe".into(),
        state: "armed".into(),
        account: Account::default(),
        body,
        prev_hash: None,
        hash: None,
    };
    serde_json::to_string(&record).expect("JSON") + "\n"
}

fn lines(records: impl IntoIterator<Item = u64>) -> String {
    records
        .into_iter()
        .map(|seq| line(seq, 1_000 + seq, false))
        .collect()
}

fn log(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).expect("written");
    }
    dir
}

fn read(dir: &tempfile::TempDir, since: Option<u64>) -> (Vec<u64>, Extent, Vec<PathBuf>) {
    let segments = Segments::find(&dir.path().join("audit.jsonl")).expect("found");
    let since = since.map(|at| rfc3339(at * NANOS));
    let mut seen = Vec::new();
    let extent = segments
        .walk(since.as_deref(), |record| seen.push(record.seq))
        .expect("read");
    (seen, extent, segments.unread)
}

#[test]
fn files_follow_each_other_whatever_they_are_called() {
    let dir = log(&[
        ("audit.jsonl", lines(7..10).as_bytes()),
        ("audit.jsonl-20261101", lines(1..4).as_bytes()),
        ("audit.jsonl.1", lines(4..7).as_bytes()),
        ("audit.jsonlx", lines(100..103).as_bytes()),
        ("audit.jsonl.empty", b""),
    ]);
    let (seen, extent, unread) = read(&dir, None);
    assert_eq!(seen, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!((extent.records, extent.files), (9, 3));
    assert!(extent.holes.is_empty() && unread.is_empty() && !extent.reached);
}

#[test]
fn what_is_not_there_is_told() {
    let dir = log(&[
        ("audit.jsonl", (lines(8..10) + "torn").as_bytes()),
        (
            "audit.jsonl.1",
            ("no record\n".to_owned() + &lines(3..6)).as_bytes(),
        ),
        ("audit.jsonl.2.gz", &[0x1F, 0x8B, 8, b'\n', b'\n']),
        ("audit.jsonl.3", b"nothing of ours\n"),
    ]);
    let (seen, extent, unread) = read(&dir, None);
    assert_eq!(seen, [9, 8, 5, 4, 3]);
    assert_eq!(extent.not_records, 1);
    let ranges: Vec<_> = extent
        .holes
        .iter()
        .map(|hole| (hole.first, hole.last))
        .collect();
    assert_eq!(ranges, [(6, 7), (1, 2)]);
    assert_eq!(extent.holes[0].from, Some(rfc3339(1_005 * NANOS)));
    assert_eq!(extent.holes[1].from, None);
    assert_eq!(unread.len(), 2);
}

#[test]
fn a_copy_is_not_read_twice() {
    let dir = log(&[
        ("audit.jsonl", lines(4..8).as_bytes()),
        ("audit.jsonl.1", lines(1..6).as_bytes()),
        ("audit.jsonl.bak", lines(1..8).as_bytes()),
    ]);
    let (mut seen, extent, _) = read(&dir, None);
    seen.sort_unstable();
    assert_eq!(seen, (1..8).collect::<Vec<_>>());
    assert!(extent.holes.is_empty());
}

#[test]
fn numbers_that_begin_anew_are_no_copy() {
    let new: String = (1..4).map(|seq| line(seq, 9_000 + seq, false)).collect();
    let dir = log(&[
        ("audit.jsonl", new.as_bytes()),
        ("audit.jsonl.1", lines(1..6).as_bytes()),
    ]);
    let (seen, extent, _) = read(&dir, None);
    assert_eq!(seen, [3, 2, 1, 5, 4, 3, 2, 1]);
    assert!(extent.holes.is_empty());
}

/// A denial that was written late stands among records that are newer than it.
#[test]
fn reading_ends_where_everything_is_older() {
    let text = [
        line(1, 100, false),
        line(2, 140, true),
        line(3, 200, false),
        line(4, 90, true),
        line(5, 210, true),
        line(6, 300, false),
    ]
    .concat();
    let dir = log(&[("audit.jsonl", text.as_bytes())]);
    for (since, wanted, reached) in [
        (250, &[6][..], true),
        (205, &[6, 5], true),
        (150, &[6, 5, 3], true),
        (120, &[6, 5, 3, 2], true),
        (80, &[6, 5, 4, 3, 2, 1], false),
    ] {
        let (seen, extent, _) = read(&dir, Some(since));
        assert_eq!(seen, wanted, "since {since}");
        assert_eq!(extent.reached, reached, "since {since}");
        assert!(extent.holes.is_empty());
    }
}

#[test]
fn nothing_at_all() {
    let dir = log(&[]);
    assert!(
        Segments::find(&dir.path().join("audit.jsonl"))
            .expect("found")
            .is_empty()
    );
    let nowhere = Segments::find(Path::new("/nonexistent/audit.jsonl")).expect("found");
    assert!(nowhere.is_empty());
}
