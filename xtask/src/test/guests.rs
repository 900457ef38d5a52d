//! Guest suites: guests run `guest-suite` with the guard enforcing beside a live MariaDB; the lines
//! it prints are the results.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::machines;
use super::matrix::{self, Configuration, Job, Machine};
use super::report::{Line, Tally, guest_line, show};
use crate::guest::{Firmware, Guard, Guest, Script};
use crate::image::root::Db;
use crate::{build, cmd};

/// Time limit of a guest; a whole run takes a good part of it when emulated beside others.
const LIMIT: Duration = Duration::from_mins(50);

/// How a guest ended.
pub struct JobResult {
    /// Its cases.
    pub tally: Tally,
    /// Its console log; the suite's output is beside it.
    pub log: Option<PathBuf>,
}

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only this suite, all of it on each configuration.
    pub suite: Option<String>,
    /// Only cases whose name contains this, on each configuration.
    pub filter: Option<String>,
}

impl Choice {
    /// Whether everything is to be run.
    fn is_whole(&self) -> bool {
        self.suite.is_none() && self.filter.is_none()
    }

    /// The arguments of `guest-suite` for a guest.
    fn arguments(&self, job: &Job) -> Vec<String> {
        let mut arguments = Vec::new();
        for suite in &job.suites {
            arguments.extend(["--suite".to_owned(), suite.clone()]);
        }
        if self.is_whole() {
            let whole = job.whole.join(",");
            let whole = if whole.is_empty() {
                "none".to_owned()
            } else {
                whole
            };
            arguments.extend(["--whole".to_owned(), whole]);
            if job.other_route {
                arguments.push("--other-route".to_owned());
            }
        }
        arguments.extend(self.filter.clone());
        arguments
    }
}

/// Decides which guests to boot: none when the filter matches no case.
pub fn plan(
    configurations: &[Configuration],
    choice: &Choice,
    side_by_side: usize,
) -> Result<Vec<Job>> {
    let mut arguments = Vec::new();
    if let Some(suite) = &choice.suite {
        arguments.extend(["--suite", suite]);
    }
    let mut suites = matrix::suites(&ask(&[&arguments[..], &["--plan"]].concat())?)?;
    if let Some(filter) = &choice.filter {
        let listed = ask(&[&arguments[..], &["--list", filter]].concat())?;
        let has = |suite: &str| {
            let of = |line: &str| line.split_once("::").is_some_and(|(name, _)| name == suite);
            listed.lines().any(of)
        };
        suites.retain(|suite| has(&suite.name));
    }
    if choice.suite.is_some() || choice.filter.is_some() {
        // Everything that is chosen is run on each configuration.
        for suite in &mut suites {
            suite.every += std::mem::take(&mut suite.once);
        }
        return Ok(matrix::plan(configurations, &suites, 1));
    }
    Ok(matrix::plan(configurations, &suites, side_by_side))
}

/// Asks the guest suites, on this machine, without performing anything.
fn ask(arguments: &[&str]) -> Result<String> {
    cmd::capture(
        Command::new(build::guest_program("guest-suite")).args(arguments),
        "asking the guest suites for their cases",
    )
}

/// What one thread does at a time.
enum Work<'a> {
    Suites(&'a Job),
    Machines(machines::Test, Configuration),
}

/// Runs the guests, `side_by_side` at a time.
pub fn run(jobs: &[Job], choice: &Choice, side_by_side: usize) -> Vec<JobResult> {
    // What takes machines of its own goes first: they follow each other.
    let own = choice.is_whole().then(|| jobs.first()).flatten();
    let own = own.map(|job| {
        let on = job.configuration;
        machines::ALL
            .iter()
            .map(move |test| Work::Machines(*test, on))
    });
    let work = own
        .into_iter()
        .flatten()
        .chain(jobs.iter().map(Work::Suites));
    let next = Mutex::new(work);
    let results = Mutex::new(Vec::new());
    // A thread of its own for each guest: QEMU is tied to the life of the thread that starts it.
    thread::scope(|scope| {
        for _ in 0..side_by_side.min(jobs.len() + machines::ALL.len()) {
            scope.spawn(|| {
                loop {
                    let work = next.lock().ok().and_then(|mut work| work.next());
                    let result = match work {
                        Some(Work::Suites(job)) => with_second_try(job, choice),
                        Some(Work::Machines(test, on)) => JobResult {
                            tally: test.run(on),
                            log: None,
                        },
                        None => break,
                    };
                    if let Ok(mut results) = results.lock() {
                        results.push(result);
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_default()
}

/// Runs a guest, and each suite that failed in it once more in a fresh guest.
///
/// An emulated guest is ten times slower than a machine, and some cases race against `udev`. What
/// fails twice has failed; what passes at the second try is counted and said aloud. A changed byte
/// on a protected device is never tried again.
fn with_second_try(job: &Job, choice: &Choice) -> JobResult {
    let mut first = perform(job, choice);
    let suites = failed_suites(&first.tally);
    if suites.is_empty() || suites.len() > SECOND_TRIES {
        return first;
    }
    for suite in suites {
        let mut alone = job.clone();
        alone.suites = vec![suite.clone()];
        alone.whole.retain(|name| *name == suite);
        let again = perform(&alone, choice);
        if again.tally.failed() {
            first.log = again.log;
            continue;
        }
        let before = first.tally.failures.len();
        first
            .tally
            .failures
            .retain(|failure| suite_of(failure) != Some(&suite));
        let mended = before - first.tally.failures.len();
        first.tally.passed += mended;
        println!(
            "guest {}: {suite}: {mended} cases passed at the second try",
            job.configuration
        );
    }
    first
}

/// More failed suites than this are no accident.
const SECOND_TRIES: usize = 4;

/// Suites to be tried again; none where a protected byte has changed.
fn failed_suites(tally: &Tally) -> Vec<String> {
    let mut suites = Vec::new();
    for failure in &tally.failures {
        let Some(suite) = suite_of(failure) else {
            return Vec::new();
        };
        if failure.contains(BYTES_CHANGED) {
            return Vec::new();
        }
        if !suites.iter().any(|known| known == suite) {
            suites.push(suite.to_owned());
        }
    }
    suites
}

/// What a suite says when a protected device is not as it was.
const BYTES_CHANGED: &str = "THE ACT SUCCEEDED";

/// The suite in `KERNEL: SUITE::CASE: REASON`.
fn suite_of(failure: &str) -> Option<&str> {
    let (_, rest) = failure.split_once(": ")?;
    let (suite, _) = rest.split_once("::")?;
    (!suite.contains(' ')).then_some(suite)
}

fn perform(job: &Job, choice: &Choice) -> JobResult {
    let on = job.configuration;
    eprintln!("test: guest {on} starts: {}", job.suites.join(", "));
    let mut cases = Cases::new(on);
    let mut log = PathBuf::from("(no guest was made)");
    if let Err(error) = boot(job, choice, &mut cases, &mut log) {
        cases.tally.fail(format!("{on}: {error:#}"));
        eprintln!("test: {on}: {error:#}");
    }
    println!("guest {on}: {}", cases.tally.line());
    JobResult {
        tally: cases.tally,
        log: Some(log),
    }
}

fn boot(job: &Job, choice: &Choice, cases: &mut Cases, log: &mut PathBuf) -> Result<()> {
    let on = job.configuration;
    let mut guest = Guest::new(on.kernel)
        .route(on.route)
        .guard(Guard::Enforce)
        .db(Db::Mariadb)
        .timeout(LIMIT);
    if job.machine == Machine::Boot {
        guest = guest.firmware(Firmware::Efi).bmc(true);
    }
    let mut machine = guest.prepare()?;
    *log = machine.dir().to_path_buf();
    let path = machine.dir().join("output.log");
    let mut file =
        File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let arguments = choice.arguments(job);
    let script = Script::text("exec /usr/lib/guest/bin/guest-suite \"$@\"")
        .args(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let outcome = machine.run(&script, &mut |bytes| {
        file.write_all(bytes).ok();
        cases.feed(bytes);
    })?;
    eprintln!(
        "test: guest {on} booted in {:.0} s, done after {:.0} s (about {} s at leisure)",
        outcome.boot.as_secs_f32(),
        outcome.total.as_secs_f32(),
        job.seconds
    );
    cases.end(outcome.status);
    Ok(())
}

/// The results of one guest as its lines come in.
struct Cases {
    on: Configuration,
    line: Vec<u8>,
    seen: usize,
    done: Option<usize>,
    tally: Tally,
}

impl Cases {
    fn new(on: Configuration) -> Self {
        Self {
            on,
            line: Vec::new(),
            seen: 0,
            done: None,
            tally: Tally::default(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                let line = String::from_utf8_lossy(&self.line).into_owned();
                self.line.clear();
                self.take(line.trim_end());
            } else {
                self.line.push(*byte);
            }
        }
    }

    fn take(&mut self, line: &str) {
        let on = self.on;
        match guest_line(line) {
            Line::Ok(name) => {
                self.tally.passed += 1;
                show(on, "ok", &name, "");
            }
            Line::Fail(name, reason) => {
                self.tally.fail(format!("{on}: {name}: {reason}"));
                show(on, "FAIL", &name, &reason);
            }
            Line::Skip(name, reason) => {
                self.tally.skipped += 1;
                show(on, "skip", &name, &reason);
            }
            Line::Done(count) => {
                if self.done.replace(count).is_some() {
                    self.tally.fail(format!("{on}: the suite ended twice"));
                }
                return;
            }
            Line::Other => return,
        }
        self.seen += 1;
    }

    /// Checks that the guest's own account agrees with what was read.
    fn end(&mut self, status: u8) {
        let on = self.on;
        match self.done {
            None => self
                .tally
                .fail(format!("{on}: the suite did not reach its end")),
            Some(count) if count != self.seen => self.tally.fail(format!(
                "{on}: the suite speaks of {count} cases, {} were seen",
                self.seen
            )),
            Some(_) => {}
        }
        if (status != 0) != self.tally.failed() {
            self.tally.fail(format!(
                "{on}: the suite's exit status {status} fits no case"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str, status: u8) -> Tally {
        let mut cases = Cases::new(matrix::all()[1]);
        for piece in output.as_bytes().chunks(3) {
            cases.feed(piece);
        }
        cases.end(status);
        cases.tally
    }

    #[test]
    fn only_a_named_suite_without_changed_bytes_is_tried_again() {
        let tally = |failures: &[&str]| Tally {
            failures: failures.iter().map(|&failure| failure.to_owned()).collect(),
            ..Tally::default()
        };
        let failed = |failures| failed_suites(&tally(failures));
        assert_eq!(failed(&["6.1: a::b: late", "6.1: a::c: late"]), ["a"]);
        assert_eq!(failed(&["6.1: a::b: late", "6.1: d::e: late"]), ["a", "d"]);
        assert!(failed(&["6.1: a::b: THE ACT SUCCEEDED: sector 0"]).is_empty());
        assert!(failed(&["6.1: the suite did not reach its end"]).is_empty());
    }

    #[test]
    fn a_guest_runs_its_suites_and_what_is_whole_of_them() {
        let job = Job {
            configuration: matrix::all()[0],
            machine: Machine::Server,
            suites: vec!["a".into(), "b".into()],
            whole: vec!["b".into()],
            other_route: false,
            seconds: 0,
        };
        let mut choice = Choice::default();
        assert_eq!(
            choice.arguments(&job),
            ["--suite", "a", "--suite", "b", "--whole", "b"]
        );
        choice.filter = Some("x".into());
        assert_eq!(
            choice.arguments(&job),
            ["--suite", "a", "--suite", "b", "x"]
        );
    }

    #[test]
    fn a_whole_account_is_counted() {
        let tally = tally("case a::b ok\nnoise\ncase a::c skip why\nsuite done 2\n", 0);
        assert_eq!(tally.line(), "1 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn an_account_that_does_not_add_up_fails() {
        for (output, status) in [
            ("case a::b ok\n", 0),
            ("case a::b ok\nsuite done 2\n", 0),
            ("case a::b ok\nsuite done 1\n", 1),
            ("case a::b FAIL x\nsuite done 1\n", 0),
            ("case a::b ok\nsuite done 1\nsuite done 1\n", 0),
        ] {
            assert!(tally(output, status).failed(), "{output:?} with {status}");
        }
    }
}
