//! Runs suites and reports one line a case.
//!
//! The lines are a protocol: `case SUITE::NAME ok`, `case SUITE::NAME FAIL REASON`,
//! `case SUITE::NAME skip REASON`, and at the end `suite done N`, N being the number of case lines.

use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::case::{Body, Breadth, Case, Machine, Skip, Stage, Suite};

/// What the command line asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Print names, run nothing.
    pub list: bool,
    /// Print the suites with their seconds, run nothing.
    pub plan: bool,
    /// Only these suites; all when empty.
    pub suites: Vec<String>,
    /// The suites of which everything is run; `None` for all of them. Of the others the cases run
    /// that every configuration gets.
    pub whole: Option<Vec<String>>,
    /// The kernel's own route is tested beside this one: cases of [`Breadth::Kernel`] run there.
    pub other_route: bool,
    /// Only cases whose `suite::name` contains this.
    pub filter: Option<String>,
}

impl Options {
    /// Reads the command line, without the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => options.list = true,
                "--plan" => options.plan = true,
                "--other-route" => options.other_route = true,
                "--suite" => {
                    options
                        .suites
                        .push(arguments.next().ok_or("--suite needs a NAME")?);
                }
                "--whole" => {
                    let names = arguments.next().ok_or("--whole needs NAMES or `none`")?;
                    let names = names.split(',').filter(|name| *name != "none");
                    options.whole = Some(names.map(str::to_owned).collect());
                }
                _ if argument.starts_with('-') => return Err(format!("unknown option {argument}")),
                _ if options.filter.is_some() => return Err("more than one FILTER".into()),
                _ => options.filter = Some(argument),
            }
        }
        Ok(options)
    }

    fn wants(&self, suite: &str, case: &str, breadth: Breadth) -> bool {
        let is_whole = || {
            let whole = self.whole.as_ref();
            whole.is_none_or(|whole| whole.iter().any(|name| name == suite))
        };
        let here = match breadth {
            Breadth::Every => true,
            Breadth::Kernel => !self.other_route || is_whole(),
            Breadth::Once => is_whole(),
        };
        here && self
            .filter
            .as_ref()
            .is_none_or(|filter| format!("{suite}::{case}").contains(filter))
    }

    /// A suite that is named and does not exist.
    fn unknown<'a>(&'a self, suites: &[Suite]) -> Option<&'a str> {
        self.suites
            .iter()
            .chain(self.whole.iter().flatten())
            .find(|wanted| !suites.iter().any(|suite| suite.name == **wanted))
            .map(String::as_str)
    }
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Ok,
    Fail(String),
    Skip(String),
}

/// Runs what is asked for, tells, and gives the exit status: 0 when nothing failed.
pub fn run(suites: &[Suite], options: &Options) -> ExitCode {
    if let Some(wanted) = options.unknown(suites) {
        let known: Vec<_> = suites.iter().map(|suite| suite.name).collect();
        eprintln!(
            "guest-suite: no suite {wanted}; there are {}",
            known.join(", ")
        );
        return ExitCode::from(64);
    }
    let mut tally = Tally::default();
    for suite in suites {
        if !options.suites.is_empty() && !options.suites.iter().any(|name| name == suite.name) {
            continue;
        }
        if options.plan {
            let (every, once) = suite.seconds;
            let machine = match suite.machine {
                Machine::Server => "server",
                Machine::Boot => "boot",
            };
            say(&format!("suite {} {machine} {every} {once}", suite.name));
        } else {
            let (started, before) = (Instant::now(), tally.cases);
            run_suite(suite, options, &mut tally);
            if tally.cases > before {
                say(&format!(
                    "# suite {} took {:.0} s",
                    suite.name,
                    started.elapsed().as_secs_f32()
                ));
            }
        }
    }
    if options.list || options.plan {
        return ExitCode::SUCCESS;
    }
    say(&format!("suite done {}", tally.cases));
    if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[derive(Default)]
struct Tally {
    cases: usize,
    failed: usize,
}

fn run_suite(suite: &Suite, options: &Options, tally: &mut Tally) {
    let cases = (suite.cases)();
    let wanted = |case: &Case| {
        case.stage == Stage::Test && options.wants(suite.name, &case.name, case.breadth)
    };
    if !cases.iter().any(wanted) {
        return;
    }
    let mut unprepared: Option<Outcome> = None;
    for case in cases {
        if case.stage == Stage::Test && !wanted(&case) {
            continue;
        }
        if options.list {
            say(&format!("{}::{}", suite.name, case.name));
            continue;
        }
        let stage = case.stage;
        let (name, started) = (case.name.clone(), Instant::now());
        let outcome = match &unprepared {
            Some(instead) if stage != Stage::CleanUp => instead.clone(),
            _ => perform(case.body, case.limit),
        };
        if stage == Stage::Prepare && unprepared.is_none() {
            unprepared = match &outcome {
                Outcome::Ok => None,
                Outcome::Fail(_) => Some(Outcome::Fail(format!(
                    "not performed: {name} did not succeed"
                ))),
                Outcome::Skip(_) => Some(outcome.clone()),
            };
        }
        tally.cases += 1;
        tally.failed += usize::from(matches!(outcome, Outcome::Fail(_)));
        report(suite.name, &name, &outcome, started.elapsed());
    }
}

fn report(suite: &str, case: &str, outcome: &Outcome, took: Duration) {
    if took > Duration::from_secs(5) {
        say(&format!(
            "# {suite}::{case} took {:.1} s",
            took.as_secs_f32()
        ));
    }
    say(&match outcome {
        Outcome::Ok => format!("case {suite}::{case} ok"),
        Outcome::Fail(reason) => format!("case {suite}::{case} FAIL {}", one_line(reason)),
        Outcome::Skip(reason) => format!("case {suite}::{case} skip {}", one_line(reason)),
    });
}

/// Runs the body in a thread of its own, so that a panic or a hang is one failed case. A thread
/// that hangs is left behind; the commands it started have time limits of their own.
fn perform(body: Body, limit: Duration) -> Outcome {
    let (tell, told) = mpsc::channel();
    let worker = thread::Builder::new().name("case".into()).spawn(move || {
        let result = panic::catch_unwind(AssertUnwindSafe(body));
        let _ = tell.send(match result {
            Ok(Ok(())) => Outcome::Ok,
            Ok(Err(error)) => match error.downcast_ref::<Skip>() {
                Some(skip) => Outcome::Skip(skip.0.clone()),
                None => Outcome::Fail(format!("{error:#}")),
            },
            Err(panic) => Outcome::Fail(format!("panicked: {}", panic_text(&*panic))),
        });
    });
    match worker {
        Ok(_) => told
            .recv_timeout(limit)
            .unwrap_or_else(|_| Outcome::Fail(format!("no result within {} s", limit.as_secs()))),
        Err(error) => Outcome::Fail(format!("cannot start a thread: {error}")),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "with something that is not text".into())
}

/// A reason is one line of bounded length.
fn one_line(reason: &str) -> String {
    let joined: Vec<_> = reason
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let text = joined.join(" | ");
    match text.char_indices().nth(1_500) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Prints a line at once; the host may be gone, which is its own business.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::case::skip;

    fn outcome(body: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> Outcome {
        perform(Box::new(body), Duration::from_secs(20))
    }

    #[test]
    fn each_ending_is_told_apart() {
        assert_eq!(outcome(|| Ok(())), Outcome::Ok);
        assert_eq!(
            outcome(|| Err(skip("no feature"))),
            Outcome::Skip("no feature".into())
        );
        assert_eq!(
            outcome(|| Err(anyhow::anyhow!("inner").context("outer"))),
            Outcome::Fail("outer: inner".into())
        );
        assert!(matches!(outcome(|| panic!("boom")), Outcome::Fail(why) if why.contains("boom")));
        let hang = || {
            thread::sleep(Duration::from_secs(5));
            Ok(())
        };
        let hang = perform(Box::new(hang), Duration::from_millis(300));
        assert!(matches!(hang, Outcome::Fail(why) if why.contains("no result")));
    }

    #[test]
    fn the_command_line_is_read() {
        let parse = |words: &[&str]| Options::parse(words.iter().map(|word| (*word).to_owned()));
        let options = parse(&["--suite", "storm", "exact"]).unwrap();
        assert_eq!(options.suites, ["storm"]);
        let wants = |case| options.wants("storm", case, Breadth::Once);
        assert!(wants("exact-count") && !wants("other"));
        assert!(
            parse(&["--suite"]).is_err() && parse(&["-x"]).is_err() && parse(&["a", "b"]).is_err()
        );
    }

    #[test]
    fn a_case_for_one_configuration_runs_where_its_suite_is_whole() {
        let wants = |words: &[&str], suite, breadth| {
            let options = Options::parse(words.iter().map(|word| (*word).to_owned())).unwrap();
            options.wants(suite, "case", breadth)
        };
        for words in [&["--whole", "none"][..], &["--whole", "a,b"], &[]] {
            assert!(wants(words, "c", Breadth::Every), "{words:?}");
        }
        assert!(wants(&[], "c", Breadth::Once));
        assert!(wants(&["--whole", "a,b"], "b", Breadth::Once));
        assert!(!wants(&["--whole", "a,b"], "c", Breadth::Once));
        assert!(!wants(&["--whole", "none"], "a", Breadth::Once));
        assert!(wants(&["--whole", "none"], "a", Breadth::Kernel));
        let other = ["--whole", "b", "--other-route"];
        assert!(!wants(&other, "a", Breadth::Kernel) && wants(&other, "b", Breadth::Kernel));
        assert!(wants(&other, "a", Breadth::Every));
    }

    #[test]
    fn reasons_stay_on_one_line() {
        assert_eq!(one_line("a\n\n  b\nc"), "a | b | c");
    }
}
