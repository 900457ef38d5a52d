//! The table as docs/coverage.md.

use super::{LIMITS, Measured, Row, SECTIONS, Usual, WORK};

/// Where the document lies, from the repository's root.
pub const PATH: &str = "docs/coverage.md";

const HEAD: &str = "\
# Coverage

Made from the table in `tests/src/coverage/`: change that, then `cargo xtask coverage`. A host test
compares the two, and the table with the suites: every test named here exists, every destructive and
every legitimate case belongs to a row, every hook named is one that the loader attaches.

*Refused* means: while the host is armed or held, whoever asks. *Refused on devices* means: on every
device that is not known to be free. Where a rule is named (`ops.detach`), a site may choose in its
configuration between `refuse`, `observe` and `allow` for that class. *Observed* and *allowed*
operations are recorded. What is *let through and recorded* is not refused by that choice.
`cgroup_device` is the second layer: a device program at the root cgroup, which sees what the kernel
opens on a program's behalf too.

A test named without a suite is an act: it is performed on free devices, where it must succeed, and
on protected ones of several kinds, where it must change no byte and leave a record. `*` stands for
anything.
";

/// The whole document.
pub fn text() -> String {
    let mut parts = vec![HEAD.to_owned(), count()];
    for section in SECTIONS {
        parts.push(format!("\n## {}\n\n{ROWS}", section.title));
        parts.extend(section.rows.iter().map(line));
    }
    parts.push(WORK_HEAD.to_owned());
    parts.extend(WORK.iter().map(|work| {
        let cell = tests_cell(work.tests, work.left);
        format!("| {} | {} | {cell} |\n", work.id, work.what)
    }));
    parts.push(LIMITS_HEAD.to_owned());
    parts.extend(LIMITS.iter().map(|limit| {
        let measured = match limit.measured {
            Measured::By(tests) => code_list(tests),
            Measured::Not(why) => format!("not measured: {why}"),
        };
        let cells = [limit.id, limit.what, limit.reason, &measured];
        format!("| {} |\n", cells.join(" | "))
    }));
    parts.concat()
}

/// The headings of a section's columns.
const ROWS: &str = "\
| id | what, with what | where it exists | by default | hooks | tests |
|---|---|---|---|---|---|
";

const WORK_HEAD: &str = "
## L: work that goes on

Each is done in a guest while a database runs; it succeeds, its result is right, and nothing is
refused.

| id | work | tests |
|---|---|---|
";

const LIMITS_HEAD: &str = "
## Limitations

What this version does not do, why, and what measures it again.

| id | limitation | reason | measured by |
|---|---|---|---|
";

fn count() -> String {
    let rows = || SECTIONS.iter().flat_map(|section| section.rows);
    let covered = rows().filter(|row| row.is_covered()).count();
    format!(
        "\n{covered} of {} rows are covered, some of them in part; the others say `not covered`.\n",
        rows().count()
    )
}

fn line(row: &Row) -> String {
    let what = format!("{}. {}", row.what, row.tools);
    let hooks = if row.hooks.is_empty() {
        "–".to_owned()
    } else {
        code_list(row.hooks)
    };
    let cells = [
        row.id.to_owned(),
        what,
        row.exists.to_owned(),
        usual(row.usual),
        hooks,
        tests_cell(row.tests, row.left),
    ];
    format!("| {} |\n", cells.join(" | "))
}

fn usual(usual: Usual) -> String {
    match usual {
        Usual::Refused => "refused".to_owned(),
        Usual::RefusedOnDevice => "refused on devices".to_owned(),
        Usual::RefusedByRule(rule, why) => format!("refused, `ops.{rule}`: {why}"),
        Usual::RecordedByRule(rule, why) => {
            format!("let through and recorded, `ops.{rule}`: {why}")
        }
        Usual::Allowed(why) => format!("let through: {why}"),
    }
}

fn tests_cell(tests: &[&str], left: &str) -> String {
    match (tests.is_empty(), left.is_empty()) {
        (true, _) => format!("not covered: {left}"),
        (false, true) => code_list(tests),
        (false, false) => format!("{}. Not covered: {left}", code_list(tests)),
    }
}

fn code_list(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
