use std::process::Command;

use super::super::search::filter_of;
use super::*;
use crate::audit::record::Record;
use crate::audit::sample::{self, HOSTILE, Sample};
use crate::audit::scan::peek;
use crate::audit::time::NANOS;

pub const START: u64 = 1_795_000_000 * NANOS;

/// A log of made-up records in a directory.
pub fn log(records: impl Iterator<Item = Record>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bytes = Vec::new();
    sample::write(&mut bytes, records).expect("records");
    fs::write(dir.path().join("audit.jsonl"), bytes).expect("written");
    dir
}

pub fn page(dir: &tempfile::TempDir, period: &Period) -> Page {
    let log = dir.path().join("audit.jsonl");
    let scan = Scan::find(&log).expect("found");
    let part = review(&scan, &scan.blocks(), period).expect("read");
    Page::put_together(&part, &scan, period, &log, START + 86_400 * NANOS)
}

/// What stands beside a count, typed into a shell, finds the records that the count is from.
#[test]
fn the_command_beside_a_count_finds_its_records() {
    let dir = log(Sample::new(7, START).take(250));
    let bytes = fs::read(dir.path().join("audit.jsonl")).expect("read");
    let period = Period {
        since: peek(
            &bytes[..bytes
                .iter()
                .position(|byte| *byte == b'\n')
                .expect("a line")],
        )
        .map(|seen| seen.time.into_owned()),
        until: Some("2026-11-19T00:00:00.000000Z".into()),
    };
    let page = page(&dir, &period);
    let rows = page.tables.iter().flat_map(|table| &table.rows);
    let counts = rows
        .flat_map(|row| [&row.refused, &row.observed])
        .chain(page.decisions.iter().map(|one| &one.count))
        .chain(
            page.overrides
                .iter()
                .flat_map(|one| one.through.iter().map(|one| &one.count)),
        );
    let counts: Vec<_> = counts.filter(|count| count.records > 0).collect();
    assert!(counts.len() > 80, "{}", counts.len());
    // One shell for all of them.
    let lines = counts
        .iter()
        .map(|count| format!("set -- {}; printf '%s\\0' \"$@\" ''", count.search));
    let script = lines.collect::<Vec<_>>().join("\n");
    let output = Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("sh");
    let text = String::from_utf8(output.stdout).expect("text");
    let typed: Vec<Vec<String>> = text
        .split("\0\0")
        .filter(|words| !words.is_empty())
        .map(|words| words.split('\0').map(str::to_owned).collect())
        .collect();
    assert_eq!(typed.len(), counts.len());
    for (words, count) in typed.iter().zip(counts) {
        assert_eq!(words[..3], ["dbguard", "audit", "search"]);
        let filter = filter_of(&words[3..]);
        let (mut records, mut operations) = (0, 0);
        filter.matcher().lines(&bytes, |line| {
            records += 1;
            let record: Record = serde_json::from_slice(line).expect("a record");
            if let crate::audit::record::Body::Denial(denial) = record.body {
                operations += denial.count;
            }
        });
        assert_eq!(
            (records, operations),
            (count.records, count.operations),
            "{}",
            count.search
        );
    }
}

#[test]
fn the_sums_of_all_parts_agree() {
    let dir = log(Sample::new(3, START).denials(800).take(700));
    let page = page(&dir, &Period::default());
    assert_eq!(page.doubts.len(), 1, "{:?}", page.doubts);
    assert!(page.doubts[0].contains("events are not in the log"));
    let of = |decision: &str| {
        let found = page.decisions.iter().find(|one| one.word == decision);
        found.map_or(0, |one| one.count.operations)
    };
    for table in &page.tables {
        let refused: u64 = table.rows.iter().map(|row| row.refused.operations).sum();
        let observed: u64 = table.rows.iter().map(|row| row.observed.operations).sum();
        assert_eq!(
            (refused, observed),
            (of("deny"), of("would-deny")),
            "{}",
            table.id
        );
    }
    let bins: u64 = page.timeline.bins.iter().map(|bin| bin.refused).sum();
    assert_eq!(bins, of("deny"));
    let listed: u64 = page.sections.iter().map(|section| section.count).sum();
    let kinds: u64 = page.kinds.values().sum();
    let others: u64 = ["denial", "override", "process"]
        .iter()
        .map(|kind| page.kinds[*kind])
        .sum();
    assert_eq!((listed, kinds), (kinds - others, 700));
    let modes = page.sections.iter().find(|section| section.id == "modes");
    assert_eq!(modes.map(|one| one.count), page.kinds.get("mode").copied());
    let opened = page
        .overrides
        .iter()
        .filter(|one| one.outcome == "opened")
        .count();
    assert!(opened > 0 && opened as u64 == page.summary.overrides_opened);
}

#[test]
fn what_is_not_whole_is_said_in_every_format() {
    let dir = log(Sample::new(1, START)
        .take(60)
        .filter(|record| !(20..30).contains(&record.seq) && record.seq > 3));
    fs::write(dir.path().join("audit.jsonl.1.gz"), [0x1F, 0x8B, 8, b'\n']).expect("written");
    let page = page(&dir, &Period::default());
    let all = [
        table::show(&page),
        html::show(&page),
        serde_json::to_string(&page).expect("JSON"),
    ];
    for text in all {
        assert!(
            text.contains("Records 20 to 29 (10) are in no file"),
            "{text}"
        );
        assert!(text.contains("records 1 to 3 are in none"), "{text}");
        assert!(text.contains("audit.jsonl.1.gz"), "{text}");
        assert!(!text.contains("is whole"), "{text}");
    }
}

#[test]
fn a_period_without_records() {
    let dir = log(Sample::new(1, START).take(5));
    let since = Some("2030-01-01T00:00:00.000000Z".to_owned());
    let page = page(&dir, &Period { since, until: None });
    assert_eq!((page.records, page.overrides.len()), (0, 0));
    assert!(table::show(&page).contains("the period has no record"));
    assert!(html::show(&page).contains("None in this period"));
}

/// Nothing of a record is markup, and nothing is loaded from anywhere.
#[test]
fn the_page_has_no_markup_but_its_own() {
    let dir = log(Sample::new(11, START).denials(600).take(900));
    let text = html::show(&page(&dir, &Period::default()));
    assert_eq!(text.matches("<script").count(), 1);
    assert_eq!(text.matches("</script").count(), 1);
    assert_eq!(text.matches("<style").count(), 1);
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for hostile in HOSTILE
        .iter()
        .filter(|text| text.contains(['<', '\u{202e}', '\u{1b}']))
    {
        assert!(!text.contains(hostile), "{hostile}");
    }
    assert!(text.contains("\\u{202e}gnp.exe") && text.contains("名前 ü 🦀"));
    let addresses = text
        .match_indices("href=\"")
        .map(|(at, _)| &text[at + 6..at + 7]);
    assert!(addresses.into_iter().all(|first| first == "#"));
    for word in [
        " src=",
        "url(",
        "@import",
        "javascript:",
        " onerror=\"",
        " style=\"",
    ] {
        let body = text.replace("&quot;&gt;&lt;img src=x onerror=alert(1)&gt;", "");
        assert!(!body.contains(word), "{word}");
    }
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("report.html");
    write_whole(&path, b"one").expect("written");
    write_whole(&path, b"two").expect("written again");
    assert_eq!(fs::read(&path).expect("read"), b"two");
    assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
    assert!(write_whole(dir.path(), b"x").is_err());
    assert!(write_whole(&dir.path().join("no/where"), b"x").is_err());
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
}
