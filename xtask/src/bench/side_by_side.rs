//! `cargo xtask bench --side-by-side`: the same acts on the same guests, guarded by nothing, by the
//! kernel's own switch, by an AppArmor profile, and by dbguard.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;

use crate::guest::{Guard, Guest, Script};
use crate::image::kernel::Kernel;
use crate::image::root::Db;
use crate::paths;

/// One boot with its script may take this long.
const LIMIT: Duration = Duration::from_mins(50);

/// Who guards.
struct Contender {
    /// Argument of the guest's script.
    name: &'static str,
    /// Head of the column.
    title: &'static str,
    guard: Guard,
    /// Words for the kernel's command line.
    append: Option<&'static str>,
}

const CONTENDERS: &[Contender] = &[
    Contender {
        name: "nothing",
        title: "nothing",
        guard: Guard::Off,
        append: None,
    },
    Contender {
        name: "kernel",
        title: "bdev_allow_write_mounted=0",
        guard: Guard::Off,
        append: Some("bdev_allow_write_mounted=0"),
    },
    Contender {
        name: "apparmor",
        title: "AppArmor profile",
        guard: Guard::Off,
        append: None,
    },
    Contender {
        name: "dbguard",
        title: "dbguard",
        guard: Guard::Enforce,
        append: None,
    },
];

/// What one contender's guest said.
#[derive(Debug, Default)]
struct Score {
    /// Acts by name: true where nothing was harmed.
    acts: BTreeMap<String, bool>,
    /// Legitimate work by name: true where it was done.
    work: BTreeMap<String, bool>,
    status: u8,
}

impl Score {
    fn take(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["@vector", name, outcome] => {
                self.acts.insert((*name).to_owned(), *outcome == "blocked");
                true
            }
            ["@work", name, outcome, ..] => {
                if *outcome != "skip" {
                    self.work.insert((*name).to_owned(), *outcome == "ok");
                }
                // The reasons of failures are worth seeing.
                *outcome == "ok"
            }
            _ => false,
        }
    }
}

/// Runs all contenders on one kernel, prints the table; gives the exit status: 0 where dbguard has
/// let no act harm and broken no work.
pub fn run(kernel: Kernel) -> Result<u8> {
    let mut scores = Vec::new();
    for contender in CONTENDERS {
        eprintln!("bench: kernel {kernel}: {}", contender.title);
        scores.push(measure(kernel, contender)?);
    }
    print!("{}", table(kernel, &scores));
    let whole = scores.last().is_some_and(|dbguard| {
        dbguard.status == 0
            && !dbguard.acts.is_empty()
            && dbguard.acts.values().all(|blocked| *blocked)
            && dbguard.work.values().all(|done| *done)
    });
    Ok(u8::from(!whole))
}

fn measure(kernel: Kernel, contender: &Contender) -> Result<Score> {
    let mut guest = Guest::new(kernel)
        .guard(contender.guard)
        .db(Db::Mariadb)
        .timeout(LIMIT);
    if let Some(words) = contender.append {
        guest = guest.append(words);
    }
    let mut machine = guest.prepare()?;
    let path = paths::root().join("tests/bench/side-by-side/run.sh");
    let script = Script::file(&path, &[])?.args(&[contender.name]);
    let mut output = Vec::new();
    let outcome = machine.run(&script, &mut |bytes| output.extend_from_slice(bytes))?;
    let mut score = Score {
        status: outcome.status,
        ..Score::default()
    };
    for line in String::from_utf8_lossy(&output).lines() {
        if !score.take(line) {
            eprintln!("    {line}");
        }
    }
    if outcome.status != 0 {
        eprintln!(
            "bench: {} ended with {} in the guest, what follows counts as not blocked",
            contender.title, outcome.status
        );
    }
    Ok(score)
}

/// The table: for each contender, acts blocked of all that any guest performed, and legitimate work
/// broken of what is done where nothing guards.
fn table(kernel: Kernel, scores: &[Score]) -> String {
    let acts: BTreeSet<&String> = scores.iter().flat_map(|score| score.acts.keys()).collect();
    // Work that fails in an unguarded guest says nothing about who guards.
    let sound: BTreeSet<&String> = scores.first().map_or_else(BTreeSet::new, |nothing| {
        nothing
            .work
            .iter()
            .filter_map(|(name, done)| done.then_some(name))
            .collect()
    });
    let mut text = String::new();
    // Infallible: a String takes every write.
    let _ = writeln!(
        text,
        "\nLinux {kernel}\n  {:<28} {:>16} {:>22}",
        "guarded by", "acts blocked", "legitimate work broken"
    );
    for (contender, score) in CONTENDERS.iter().zip(scores) {
        let blocked = acts
            .iter()
            .filter(|name| score.acts.get(**name) == Some(&true))
            .count();
        let broken = sound
            .iter()
            .filter(|name| score.work.get(**name) != Some(&true))
            .count();
        let _ = writeln!(
            text,
            "  {:<28} {:>16} {:>22}",
            contender.title,
            format!("{blocked} of {}", acts.len()),
            format!("{broken} of {}", sound.len())
        );
    }
    for (contender, score) in CONTENDERS.iter().zip(scores) {
        let lost: Vec<_> = sound
            .iter()
            .filter(|name| score.work.get(**name) != Some(&true))
            .map(|name| name.as_str())
            .collect();
        if !lost.is_empty() {
            let _ = writeln!(text, "  {} breaks {}", contender.title, lost.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(lines: &[&str]) -> Score {
        let mut score = Score::default();
        for line in lines {
            score.take(line);
        }
        score
    }

    #[test]
    fn counts_are_of_all_acts_and_of_sound_work() {
        let nothing = score(&[
            "@vector a harmed",
            "@vector b harmed",
            "@work legitimate::x ok",
            "@work legitimate::y FAIL: no such tool",
            "@work legitimate::z skip",
        ]);
        let dbguard = score(&["@vector a blocked", "@work legitimate::x FAIL: refused"]);
        let kernel = "6.12".parse().unwrap();
        let text = table(
            kernel,
            &[nothing, Score::default(), Score::default(), dbguard],
        );
        assert!(text.contains("0 of 2"), "{text}");
        assert!(text.contains("1 of 2"), "{text}");
        assert!(text.contains("1 of 1"), "{text}");
        assert!(text.contains("dbguard breaks legitimate::x"), "{text}");
    }
}
