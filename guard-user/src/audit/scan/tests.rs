use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;
use crate::audit::account::Account;
use crate::audit::record::{Body, Record, Stop};
use crate::audit::time::{NANOS, rfc3339};

fn line_with(seq: u64, at: u64, why: &str) -> String {
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
        body: Body::Stop(Stop { why: why.into() }),
        prev_hash: None,
        hash: None,
    };
    serde_json::to_string(&record).expect("JSON") + "\n"
}

fn lines_of(records: impl IntoIterator<Item = u64>) -> String {
    records
        .into_iter()
        .map(|seq| line_with(seq, 1_000 + seq, "x"))
        .collect()
}

fn log(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).expect("written");
    }
    dir
}

fn find(dir: &tempfile::TempDir) -> Scan {
    Scan::find(&dir.path().join("audit.jsonl")).expect("found")
}

fn seqs(mut forward: Forward<'_>) -> Vec<u64> {
    let mut seen = Vec::new();
    while let Some(line) = forward.next_line().expect("read") {
        seen.extend(peek(line).map(|peek| peek.seq));
    }
    seen
}

fn read(dir: &tempfile::TempDir) -> (Vec<u64>, Extent) {
    let scan = find(dir);
    let mut extent = Extent::default();
    let mut run = None;
    scan.in_order(
        &scan.blocks(),
        |_, bytes| {
            let mut extent = Extent::default();
            for line in lines(bytes) {
                match peek(line) {
                    Some(peek) => extent.take(&peek),
                    None => extent.not_records += 1,
                }
            }
            extent
        },
        |block, found| {
            extent.append(found, run.is_none_or(|run| run == block.run));
            run = Some(block.run);
            ControlFlow::Continue(())
        },
    )
    .expect("read");
    (seqs(scan.forward(scan.blocks())), extent)
}

#[test]
fn files_follow_each_other_whatever_they_are_called() {
    let dir = log(&[
        ("audit.jsonl", lines_of(7..10).as_bytes()),
        ("audit.jsonl-20261101", lines_of(1..4).as_bytes()),
        (
            "audit.jsonl.00000000000000000004",
            lines_of(4..7).as_bytes(),
        ),
        ("audit.jsonlx", lines_of(100..103).as_bytes()),
        ("audit.jsonl.empty", b""),
    ]);
    let (seen, extent) = read(&dir);
    assert_eq!(seen, (1..10).collect::<Vec<_>>());
    assert_eq!((extent.records, extent.not_records, extent.anew), (9, 0, 0));
    assert!(extent.holes.is_empty() && find(&dir).unread.is_empty());
}

#[test]
fn what_is_not_there_is_told() {
    let dir = log(&[
        ("audit.jsonl", (lines_of(8..10) + "torn").as_bytes()),
        (
            "audit.jsonl.1",
            ("no record\n".to_owned() + &lines_of(3..6)).as_bytes(),
        ),
        ("audit.jsonl.2.gz", &[0x1F, 0x8B, 8, b'\n', b'\n']),
        ("audit.jsonl.3", b"nothing of ours\n"),
        ("audit.jsonl.4", b"without a line feed"),
    ]);
    let (seen, extent) = read(&dir);
    assert_eq!(seen, [3, 4, 5, 8, 9]);
    assert_eq!(extent.not_records, 1);
    let holes: Vec<_> = extent
        .holes
        .iter()
        .map(|one| (one.first, one.last))
        .collect();
    assert_eq!(holes, [(6, 7)]);
    assert_eq!(extent.holes[0].from, Some(rfc3339(1_005 * NANOS)));
    let scan = find(&dir);
    let unread: Vec<_> = scan.unread.iter().map(|one| one.path.file_name()).collect();
    assert_eq!(
        unread,
        ["audit.jsonl.2.gz", "audit.jsonl.3", "audit.jsonl.4"].map(|name| Some(name.as_ref()))
    );
    assert!(scan.unread[0].why.contains("compressed"));
}

#[test]
fn a_copy_is_not_read_twice() {
    let dir = log(&[
        ("audit.jsonl", lines_of(4..8).as_bytes()),
        ("audit.jsonl.1", lines_of(1..6).as_bytes()),
        ("audit.jsonl.bak", lines_of(1..8).as_bytes()),
    ]);
    std::fs::hard_link(
        dir.path().join("audit.jsonl"),
        dir.path().join("audit.jsonl.link"),
    )
    .expect("linked");
    let (seen, extent) = read(&dir);
    assert_eq!(seen, (1..8).collect::<Vec<_>>());
    assert!(extent.holes.is_empty() && extent.out_of_order == 0);
}

/// The same number with something else in it is no copy, whatever the clock said.
#[test]
fn numbers_that_begin_anew_are_no_copy() {
    for later in [9_000, 1_000] {
        let new: String = (1..4)
            .map(|seq| line_with(seq, later + seq, "new"))
            .collect();
        let dir = log(&[
            ("audit.jsonl", new.as_bytes()),
            ("audit.jsonl.1", lines_of(1..6).as_bytes()),
        ]);
        let (mut seen, extent) = read(&dir);
        if later == 9_000 {
            assert_eq!(seen, [1, 2, 3, 4, 5, 1, 2, 3]);
        }
        seen.sort_unstable();
        assert_eq!(seen, [1, 1, 2, 2, 3, 3, 4, 5]);
        assert_eq!((extent.anew, extent.out_of_order), (1, 0));
        assert!(extent.holes.is_empty());
    }
}

#[test]
fn a_clock_that_was_set_back_changes_no_order() {
    let old: String = (1..4).map(|seq| line_with(seq, 9_000 + seq, "x")).collect();
    let dir = log(&[
        ("audit.jsonl", lines_of(4..6).as_bytes()),
        ("audit.jsonl.1", old.as_bytes()),
    ]);
    let (seen, extent) = read(&dir);
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    assert_eq!(extent.anew, 0);
}

#[test]
fn a_log_that_was_changed_shows_it() {
    let dir = log(&[(
        "audit.jsonl",
        [lines_of(1..4), lines_of(2..6)].concat().as_bytes(),
    )]);
    let (seen, extent) = read(&dir);
    assert_eq!(seen, [1, 2, 3, 2, 3, 4, 5], "everything is shown");
    assert_eq!(extent.out_of_order, 1);
}

/// Blocks are cut anywhere, also inside lines that are longer than a block.
#[test]
fn lines_across_blocks() {
    let long = "y".repeat(BLOCK as usize / 3);
    let mut text = String::new();
    for seq in 1..12 {
        text.push_str(&line_with(
            seq,
            1_000 + seq,
            if seq % 2 == 0 { &long } else { "x" },
        ));
    }
    let too_long = format!(
        "{}\n",
        "z".repeat(BLOCK as usize + LINE_MAX as usize + 70_000)
    );
    text.push_str(&too_long);
    text.push_str(&lines_of(12..14));
    let dir = log(&[("audit.jsonl", text.as_bytes())]);
    let (seen, extent) = read(&dir);
    assert_eq!(seen, (1..14).collect::<Vec<_>>());
    assert_eq!((extent.records, extent.not_records), (13, 1));
    let scan = find(&dir);
    for seq in 0..15 {
        let found = seqs(scan.from_seq(seq).expect("found"));
        assert_eq!(found, (seq.max(1)..14).collect::<Vec<_>>(), "from {seq}");
    }
}

#[test]
fn old_files_are_left_out() {
    let dir = log(&[
        ("audit.jsonl", lines_of(4..6).as_bytes()),
        ("audit.jsonl.1", lines_of(1..4).as_bytes()),
    ]);
    let scan = find(&dir);
    let since = |at: u64| seqs(scan.forward(scan.blocks_since(Some(&rfc3339(at * NANOS)))));
    assert_eq!(since(1_003), [1, 2, 3, 4, 5]);
    assert_eq!(since(1_004), [4, 5]);
    assert_eq!(since(1_006), [0; 0]);
}

#[test]
fn nothing_at_all() {
    assert!(find(&log(&[])).is_empty());
    let nowhere = Scan::find(Path::new("/nonexistent/audit.jsonl")).expect("found");
    assert!(nowhere.is_empty());
}

#[test]
fn a_line_is_looked_at_without_parsing_it() {
    let line = line_with(7, 1_007, r#","kind":"denial" \"#);
    let line = line.trim_end();
    let quick = peek(line.as_bytes()).expect("a record");
    assert_eq!((quick.seq, &*quick.kind), (7, "stop"));
    assert!(matches!(quick.time, std::borrow::Cow::Borrowed(_)));
    let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let again = serde_json::to_string_pretty(&value).expect("JSON");
    assert_eq!(peek(again.as_bytes()), Some(quick));
    for end in 0..line.len() {
        assert_eq!(peek(&line.as_bytes()[..end]), None, "cut at {end}");
    }
    assert_eq!(peek(line.replace("\"v\":1", "\"v\":2").as_bytes()), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a log is cut into files, and whatever they are called, it reads the same.
    #[test]
    fn cut_anywhere(cuts in prop::collection::btree_set(1_u64..40, 0..6), copy in 0_usize..7) {
        let mut bounds: Vec<u64> = std::iter::once(1).chain(cuts.into_iter().map(|at| at + 1)).collect();
        bounds.push(42);
        let files: Vec<(String, String)> = bounds
            .windows(2)
            .enumerate()
            .map(|(at, pair)| {
                let name = if at + 2 == bounds.len() { "audit.jsonl".into() } else { format!("audit.jsonl.{}", 99 - at) };
                (name, lines_of(pair[0]..pair[1]))
            })
            .collect();
        let mut all: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (&**name, text.as_bytes())).collect();
        if let Some((_, text)) = files.get(copy) {
            all.push(("audit.jsonl.copy", text.as_bytes()));
        }
        let dir = log(&all);
        let (seen, extent) = read(&dir);
        prop_assert_eq!(seen, (1..42).collect::<Vec<_>>());
        prop_assert!(extent.holes.is_empty());
        let scan = find(&dir);
        for seq in [1, 7, 40, 41, 42] {
            prop_assert_eq!(seqs(scan.from_seq(seq).expect("found")), (seq..42).collect::<Vec<_>>());
        }
    }
}
