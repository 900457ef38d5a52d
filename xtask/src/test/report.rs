//! Counting results, from what test programs print, and printing them.

use super::matrix::Configuration;

/// What ran and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that were skipped.
    pub skipped: usize,
    /// Tests that failed, each with its reason.
    pub failures: Vec<String>,
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        let Self {
            passed,
            skipped,
            failures,
        } = other;
        self.passed += passed;
        self.skipped += skipped;
        self.failures.extend(failures.iter().cloned());
    }

    /// Adds a failure.
    pub fn fail(&mut self, what: impl Into<String>) {
        self.failures.push(what.into());
    }

    /// Whether anything failed.
    pub fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// How many ran or were skipped.
    pub fn total(&self) -> usize {
        self.passed + self.skipped + self.failures.len()
    }

    /// The closing line.
    pub fn line(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failures.len(),
            self.skipped
        )
    }
}

/// Prints the result of a case on a configuration; `word` is `ok`, `FAIL` or `skip`.
pub fn show(on: Configuration, word: &str, name: &str, reason: &str) {
    let on = on.to_string();
    let line = format!("{on:<13} {word:<4} {name} {reason}");
    println!("{}", line.trim_end());
}

/// One line of a guest suite.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// `case NAME ok`
    Ok(String),
    /// `case NAME FAIL REASON`
    Fail(String, String),
    /// `case NAME skip REASON`
    Skip(String, String),
    /// `suite done N`
    Done(usize),
    /// Anything else.
    Other,
}

/// Reads a line of a guest suite.
pub fn guest_line(line: &str) -> Line {
    if let Some(count) = line.strip_prefix("suite done ") {
        return count.trim().parse().map_or(Line::Other, Line::Done);
    }
    let Some(rest) = line.strip_prefix("case ") else {
        return Line::Other;
    };
    let mut words = rest.splitn(3, ' ');
    let (name, word) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let reason = words.next().unwrap_or_default().trim().to_owned();
    match word.trim_end() {
        "ok" => Line::Ok(name.to_owned()),
        "FAIL" => Line::Fail(name.to_owned(), reason),
        "skip" => Line::Skip(name.to_owned(), reason),
        _ => Line::Other,
    }
}

/// Counts what a `cargo test` printed: its `test NAME ... RESULT` lines.
pub fn cargo_test(output: &str) -> Tally {
    let mut tally = Tally::default();
    for line in output.lines() {
        // Test names have no spaces, except doc tests' `file - item (line N)`.
        let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        else {
            continue;
        };
        match result.split([',', ' ']).next().unwrap_or_default() {
            "ok" => tally.passed += 1,
            "ignored" => tally.skipped += 1,
            "FAILED" => tally.fail(format!("host: {name}")),
            _ => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_lines_are_read() {
        assert_eq!(guest_line("case live::dd ok"), Line::Ok("live::dd".into()));
        assert_eq!(
            guest_line("case live::dd FAIL bytes 0..512 changed"),
            Line::Fail("live::dd".into(), "bytes 0..512 changed".into())
        );
        assert_eq!(
            guest_line("case a::b skip no io_uring"),
            Line::Skip("a::b".into(), "no io_uring".into())
        );
        assert_eq!(guest_line("suite done 12"), Line::Done(12));
        assert_eq!(guest_line("suite done soon"), Line::Other);
        assert_eq!(guest_line("case a::b maybe"), Line::Other);
        assert_eq!(guest_line("# a::b took 12 s"), Line::Other);
    }

    #[test]
    fn cargo_lines_are_counted() {
        let tally = cargo_test(
            "running 4 tests\ntest a::b ... ok\ntest a::c ... FAILED\n\
             test a::d ... ignored, needs a disk\ntest src/lib.rs - x (line 3) ... ok\n\
             test a::e - should panic ... ok\ntest result: FAILED. 3 passed; 1 failed\n",
        );
        assert_eq!((tally.passed, tally.skipped), (3, 1));
        assert_eq!(tally.failures, ["host: a::c"]);
        assert_eq!(tally.line(), "3 passed, 1 failed, 1 skipped");
    }
}
