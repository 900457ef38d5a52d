use super::*;
use crate::audit::record::{Change, Denial, Object, Process};

const STANCE: Stance = Stance {
    mode: "enforce",
    state: "armed",
};

fn context() -> Context {
    Context {
        boot_id: "boot".into(),
        machine_id: "machine".into(),
        host: "db7".into(),
    }
}

fn denial(boot_ns: u64, repeats: u64) -> Body {
    let repeats: Vec<_> = (1..=repeats).map(|n| EventKey(boot_ns + n, 0, 7)).collect();
    Body::Denial(Box::new(Denial {
        decision: "deny".into(),
        reason: "protected-device".into(),
        hook: "file_open".into(),
        op: "raw-write".into(),
        object: Object {
            name: "nvme0n1".into(),
            ..Object::default()
        },
        process: Process {
            argv: vec!["dd".into(), "of=\n\u{1b}[2J".into()],
            ..Process::default()
        },
        database: Vec::new(),
        command: None,
        act: None,
        open: Some("O_WRONLY".into()),
        grant: None,
        count: repeats.len() as u64 + 1,
        key: EventKey(boot_ns, 0, 7),
        repeats,
    }))
}

fn change(to: &str) -> Body {
    Body::State(Change {
        from: "idle".into(),
        to: to.into(),
        why: "test".into(),
    })
}

fn draft(body: Body) -> Draft {
    Draft::now(STANCE, body)
}

fn records(path: &Path) -> Vec<Record> {
    std::fs::read_to_string(path)
        .expect("a log")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn sequence(path: &Path) -> Vec<u64> {
    records(path).iter().map(|record| record.seq).collect()
}

#[test]
fn records_survive_the_round_trip() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log/audit.jsonl");
    let mut log = Log::open(&path, context(), "e1").expect("opens").log;
    let bodies = vec![
        denial(100, 2),
        change("armed"),
        Body::Gap(Gap {
            what: "dropped".into(),
            lost: 4,
            detail: "ring full".into(),
        }),
    ];
    let written = log
        .append(bodies.into_iter().map(draft).collect())
        .expect("writes");
    assert_eq!(written, records(&path));
    assert_eq!(
        written[0].event.as_deref(),
        Some(event_id::encode(1).as_str())
    );
    assert_eq!(written[1].event, None);
    assert_eq!(written[2].account.recorded, 3);
    assert_eq!(written[2].account.dropped, 4);
    let mode = std::fs::metadata(&path).expect("is there").mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn opening_again_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.jsonl");
    let mut log = Log::open(&path, context(), "e1").expect("opens").log;
    log.append(vec![draft(denial(100, 2)), draft(denial(200, 0))])
        .expect("writes");
    drop(log);
    let opened = Log::open(&path, context(), "e1").expect("opens");
    assert!(opened.notes.is_empty());
    assert_eq!(opened.log.account().recorded, 4);
    let mut keys: Vec<_> = opened.known.into_iter().collect();
    keys.sort();
    assert_eq!(keys, [100, 101, 102, 200].map(|ns| EventKey(ns, 0, 7)));
    let mut log = opened.log;
    log.append(vec![draft(change("held"))]).expect("writes");
    assert_eq!(sequence(&path), [1, 2, 3]);
    // New maps count from zero.
    let opened = Log::open(&path, context(), "e2").expect("opens");
    assert_eq!(opened.log.account(), &Account::new("e2"));
}

/// The machine dies at any byte: no whole record is lost, none is counted twice, and the torn one
/// is told.
#[test]
fn cut_anywhere() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = dir.path().join("whole.jsonl");
    let mut log = Log::open(&whole, context(), "e1").expect("opens").log;
    log.append(vec![draft(denial(100, 1)), draft(change("held"))])
        .expect("writes");
    log.append(vec![draft(denial(200, 0))]).expect("writes");
    let bytes = std::fs::read(&whole).expect("a log");
    let path = dir.path().join("audit.jsonl");
    for cut in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..cut]).expect("written");
        let complete = bytes[..cut].split(|&byte| byte == b'\n').count() - 1;
        let torn = cut > 0 && bytes[cut - 1] != b'\n';
        let mut opened = Log::open(&path, context(), "e1").expect("opens");
        assert_eq!(opened.known.len(), [0, 2, 2, 3][complete], "cut at {cut}");
        assert_eq!(opened.log.account().recorded, [0, 2, 2, 3][complete]);
        assert_eq!(!opened.notes.is_empty(), torn);
        let mut drafts: Vec<_> = opened.notes.drain(..).map(draft).collect();
        drafts.push(draft(change("idle")));
        opened.log.append(drafts).expect("writes");
        let after = records(&path);
        assert_eq!(
            after.len(),
            complete + 1 + usize::from(torn),
            "cut at {cut}"
        );
        assert!(
            after
                .iter()
                .map(|record| record.seq)
                .eq(1..=after.len() as u64)
        );
        if torn {
            let Body::Recovered(recovered) = &after[complete].body else {
                panic!("cut at {cut}: {:?}", after[complete].body)
            };
            let line_start = bytes[..cut]
                .iter()
                .rposition(|&b| b == b'\n')
                .map_or(0, |at| at + 1);
            assert_eq!(recovered.torn_bytes as usize, cut - line_start);
        }
    }
}

/// The controller dies while the record about a torn line is being written over it.
#[test]
fn recovery_is_interrupted() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.jsonl");
    let mut torn = serde_json::to_vec(&"x".repeat(9_000)).expect("JSON");
    torn.truncate(8_000);
    std::fs::write(&path, &torn).expect("written");
    let mut opened = Log::open(&path, context(), "e1").expect("opens");
    // The record is written, the rest of the torn line is not cut off any more.
    let record = opened
        .log
        .number(1, draft(opened.notes.remove(0)), &mut Account::default());
    let mut line = Vec::new();
    write_line(&mut line, &record).expect("JSON");
    opened.log.file.write_all_at(&line, 0).expect("written");
    let mut opened = Log::open(&path, context(), "e1").expect("opens");
    assert_eq!(opened.notes.len(), 1);
    opened
        .log
        .append(vec![draft(opened.notes.remove(0))])
        .expect("writes");
    assert_eq!(sequence(&path), [1, 2]);
}

#[test]
fn a_line_that_is_no_record_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.jsonl");
    let mut log = Log::open(&path, context(), "e1").expect("opens").log;
    log.append(vec![draft(denial(100, 0))]).expect("writes");
    let mut bytes = std::fs::read(&path).expect("a log");
    bytes.extend_from_slice(b"\0\0\0\0\nnonsense\n");
    std::fs::write(&path, bytes).expect("written");
    let opened = Log::open(&path, context(), "e1").expect("opens");
    assert!(matches!(&opened.notes[..], [Body::Gap(gap)] if gap.lost == 2));
    assert_eq!(
        opened.log.next_seq, 4,
        "the numbers of the spoilt lines are not used again"
    );
}

#[test]
fn moved_removed_and_cut_by_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.jsonl");
    let mut log = Log::open(&path, context(), "e1").expect("opens").log;
    log.append(vec![draft(change("armed"))]).expect("writes");
    std::fs::rename(&path, dir.path().join("audit.jsonl.1")).expect("moved");
    log.append(vec![draft(denial(1, 0))]).expect("writes");
    assert_eq!(sequence(&path), [2, 3]);
    std::fs::remove_file(&path).expect("removed");
    log.append(vec![draft(denial(2, 0))]).expect("writes");
    assert_eq!(sequence(&path), [4, 5]);
    std::fs::write(&path, b"").expect("cut");
    log.append(vec![draft(denial(3, 0))]).expect("writes");
    assert_eq!(sequence(&path), [6, 7]);
    assert!(
        records(&path)
            .iter()
            .any(|record| matches!(record.body, Body::Gap(_)))
    );
    assert_eq!(log.account().recorded, 3);
}

/// A write that fails half way leaves the log as it was, and the next one works.
#[test]
fn a_failed_write_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.jsonl");
    let mut log = Log::open(&path, context(), "e1").expect("opens").log;
    log.append(vec![draft(change("armed"))]).expect("writes");
    let before = std::fs::read(&path).expect("a log");
    let working = std::mem::replace(&mut log.file, File::open(&path).expect("opens read-only"));
    let error = log
        .append(vec![draft(denial(1, 0))])
        .expect_err("a read-only file");
    assert!(error.to_string().contains("writing failed"), "{error}");
    assert_eq!(std::fs::read(&path).expect("a log"), before);
    assert_eq!(log.account().recorded, 0);
    // Half a batch that could not be cut off.
    working
        .write_all_at(b"{\"half\":", before.len() as u64)
        .expect("written");
    log.file = working;
    log.append(vec![draft(denial(1, 0))]).expect("writes");
    assert_eq!(sequence(&path), [1, 2]);
    assert_eq!(log.account().recorded, 1);
}

/// logrotate moves the file while no controller runs: the numbers and the balance go on.
#[test]
fn a_log_that_was_rotated_meanwhile_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let mut log = Log::open(&path, context(), "e").expect("opened").log;
    log.append(vec![draft(denial(1, 2)), draft(denial(9, 0))])
        .expect("written");
    drop(log);
    std::fs::rename(&path, directory.path().join("audit.jsonl-20261122")).expect("rotated");
    std::fs::write(directory.path().join("audit.jsonl.2.gz"), b"\x1f\x8b").expect("an old one");
    std::fs::write(directory.path().join("audit.jsonlike"), b"other").expect("another file");
    let mut opened = Log::open(&path, context(), "e").expect("opened");
    assert!(opened.known.contains(&EventKey(9, 0, 7)));
    assert!(matches!(&opened.notes[..], [Body::Gap(gap)] if gap.lost == 0));
    assert_eq!(opened.log.account().recorded, 4);
    opened
        .log
        .append(vec![draft(change("held"))])
        .expect("written");
    assert_eq!(records(&path)[0].seq, 3);
    // Another boot: the numbers go on, the balance begins again.
    std::fs::remove_file(&path).expect("removed");
    let other = Context {
        boot_id: "another".into(),
        ..context()
    };
    let opened = Log::open(&path, other, "e").expect("opened");
    assert_eq!(opened.log.account().recorded, 0);
    assert_eq!(opened.log.next_seq, 3);
}

/// Checks a log's chain from its bytes alone, as somebody without this program would.
fn assert_chained(path: &Path) {
    use sha2::{Digest as _, Sha256};

    let mut before = "0".repeat(64);
    for line in std::fs::read_to_string(path).expect("a log").lines() {
        let (hashed, rest) = line.rsplit_once(",\"hash\":\"").expect("a hash");
        let hash = rest.strip_suffix("\"}").expect("nothing behind the hash");
        assert_eq!(format!("{:x}", Sha256::digest(hashed)), hash, "{line}");
        assert!(
            hashed.ends_with(&format!(",\"prev_hash\":\"{before}\"")),
            "follows {before}: {line}"
        );
        hash.clone_into(&mut before);
    }
}

#[test]
fn records_are_chained_over_batches_and_restarts() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.jsonl");
    for _ in 0..2 {
        let mut log = Log::open(&path, context(), "e").expect("opens").log;
        let first = vec![draft(denial(5, 2)), draft(change("armed"))];
        log.append(first).expect("written");
        let batch = vec![draft(change("held"))];
        let written = log.append(batch).expect("written");
        assert_eq!(records(&path).last(), written.last(), "hashes included");
    }
    assert_eq!(records(&path).len(), 6);
    assert_chained(&path);
}
