//! Which guests a run boots: configurations are pairs of kernel and route, suites are shared out
//! among them.
//!
//! A case runs on every configuration unless its suite says that one is enough. So that each of
//! those still runs in every run, and the configurations take equally long, each suite is *whole*
//! on exactly one of them.

use std::fmt;

use anyhow::{Context, Result, bail};

use crate::guest::Route;
use crate::image::kernel::{Kernel, SERIES};

/// A kernel and how the guard is attached to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The kernel series.
    pub kernel: Kernel,
    /// The route.
    pub route: Route,
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kernel, self.route)
    }
}

/// The kernels that are tested on the other route too: those of Debian 12.
const ON_BOTH: &[&str] = &["6.1", "6.12"];

/// What a run without a choice boots: two kernels, and both routes.
const USUAL: &[(&str, Route)] = &[("6.1", Route::Lsm), ("6.12", Route::FmodRet)];

/// Every configuration: each kernel on the route that its own boot gives, and some on the other.
pub fn all() -> Vec<Configuration> {
    let mut all = Vec::new();
    for kernel in SERIES {
        for route in [Route::Lsm, Route::FmodRet] {
            if route == Route::of(*kernel) || ON_BOTH.contains(&kernel.name) {
                all.push(Configuration {
                    kernel: *kernel,
                    route,
                });
            }
        }
    }
    all
}

/// The configurations that `--kernels` and `--routes` name. Kernels without routes stand for their
/// own; routes without kernels for every configuration of these.
pub fn chosen(kernels: &[String], routes: &[Route]) -> Result<Vec<Configuration>> {
    let every = kernels.iter().any(|name| name == "all");
    if kernels.is_empty() && routes.is_empty() {
        let usual = |one: &Configuration| USUAL.contains(&(one.kernel.name, one.route));
        return Ok(all().into_iter().filter(usual).collect());
    }
    let mut named = Vec::new();
    for name in kernels.iter().filter(|name| *name != "all") {
        named.push(name.parse::<Kernel>().map_err(anyhow::Error::msg)?);
    }
    let wanted = |one: &Configuration| {
        let kernel = every || kernels.is_empty() || named.contains(&one.kernel);
        let route = match (routes, every) {
            ([], true) => true,
            ([], false) => one.route == Route::of(one.kernel),
            (routes, _) => routes.contains(&one.route),
        };
        kernel && route
    };
    let chosen: Vec<_> = all().into_iter().filter(wanted).collect();
    if chosen.is_empty() {
        let known: Vec<_> = all().iter().map(ToString::to_string).collect();
        bail!("no such configuration; there are {}", known.join(", "));
    }
    Ok(chosen)
}

/// What a guest must be for a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// The smallest that carries a database.
    Server,
    /// With EFI variables and a BMC, and the kernel flavour that has drivers for them.
    Boot,
}

/// A suite as `guest-suite --plan` tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub machine: Machine,
    /// Seconds of what runs on every configuration.
    pub every: u32,
    /// Seconds of the rest.
    pub once: u32,
}

/// Reads `suite NAME MACHINE EVERY ONCE` lines.
pub fn suites(text: &str) -> Result<Vec<Suite>> {
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ["suite", name, machine, every, once] = words[..] else {
                bail!("not a line of a plan: {line}");
            };
            let seconds = |word: &str| {
                let number = word.parse::<u32>();
                number.with_context(|| format!("no number of seconds: {line}"))
            };
            Ok(Suite {
                name: name.to_owned(),
                machine: match machine {
                    "server" => Machine::Server,
                    "boot" => Machine::Boot,
                    _ => bail!("no such machine: {line}"),
                },
                every: seconds(every)?,
                once: seconds(once)?,
            })
        })
        .collect()
}

/// One guest to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its configuration.
    pub configuration: Configuration,
    /// Its machine.
    pub machine: Machine,
    /// The suites it runs.
    pub suites: Vec<String>,
    /// Those of them that it runs whole.
    pub whole: Vec<String>,
    /// Its kernel is tested by its own route, too: what does not depend on the route is tried there.
    pub other_route: bool,
    /// About how long it takes, in seconds.
    pub seconds: u32,
}

/// About how long a guest takes to boot, in seconds.
const BOOT: u32 = 30;

/// Shares `suites` out among the configurations, into at least `side_by_side` guests where there
/// is enough to do, longest first.
pub fn plan(configurations: &[Configuration], suites: &[Suite], side_by_side: usize) -> Vec<Job> {
    let mut loads = vec![BOOT; configurations.len()];
    let every: u32 = suites.iter().map(|suite| suite.every).sum();
    for load in &mut loads {
        *load += every;
    }
    // The longest first, each to the configuration that has least to do.
    let mut order: Vec<&Suite> = suites.iter().collect();
    order.sort_by_key(|suite| std::cmp::Reverse(suite.once));
    let mut whole: Vec<Vec<&str>> = vec![Vec::new(); configurations.len()];
    for suite in order {
        let Some(least) = (0..loads.len()).min_by_key(|at| loads[*at]) else {
            return Vec::new();
        };
        loads[least] += suite.once;
        whole[least].push(&suite.name);
    }
    let mut jobs = Vec::new();
    for (configuration, whole) in configurations.iter().zip(&whole) {
        for machine in [Machine::Server, Machine::Boot] {
            jobs.extend(job(*configuration, machine, suites, whole));
        }
    }
    for job in &mut jobs {
        let own = Configuration {
            route: Route::of(job.configuration.kernel),
            ..job.configuration
        };
        job.other_route = own != job.configuration && configurations.contains(&own);
    }
    split(&mut jobs, suites, side_by_side);
    jobs.sort_by_key(|job| std::cmp::Reverse(job.seconds));
    jobs
}

/// The guest that runs the suites of one machine on one configuration.
fn job(
    configuration: Configuration,
    machine: Machine,
    suites: &[Suite],
    whole: &[&str],
) -> Option<Job> {
    let mut job = Job {
        configuration,
        machine,
        suites: Vec::new(),
        whole: Vec::new(),
        other_route: false,
        seconds: BOOT,
    };
    for suite in suites.iter().filter(|suite| suite.machine == machine) {
        let is_whole = whole.contains(&suite.name.as_str());
        if suite.every > 0 || is_whole {
            job.add(suite, is_whole);
        }
    }
    (!job.suites.is_empty()).then_some(job)
}

impl Job {
    fn add(&mut self, suite: &Suite, whole: bool) {
        self.suites.push(suite.name.clone());
        self.seconds += suite.every;
        if whole {
            self.whole.push(suite.name.clone());
            self.seconds += suite.once;
        }
    }
}

/// When the last of these guests ends, as many running side by side, the longest begun first.
fn end_of(jobs: &[Job], side_by_side: usize) -> u32 {
    let mut lengths: Vec<u32> = jobs.iter().map(|job| job.seconds).collect();
    lengths.sort_by_key(|seconds| std::cmp::Reverse(*seconds));
    let mut ends = vec![0; side_by_side.max(1)];
    for seconds in lengths {
        if let Some(first) = ends.iter_mut().min() {
            *first += seconds;
        }
    }
    ends.into_iter().max().unwrap_or(0)
}

/// Splits the longest guest in two until there are enough of them, and the last one ends not long
/// after the others. A half keeps the suites' order.
fn split(jobs: &mut Vec<Job>, suites: &[Suite], enough: usize) {
    loop {
        let total: u32 = jobs.iter().map(|job| job.seconds).sum();
        let share = total / u32::try_from(enough.max(1)).unwrap_or(u32::MAX);
        let is_even = jobs.len() >= enough && end_of(jobs, enough) <= share + 2 * BOOT;
        let longest = (0..jobs.len())
            .filter(|at| jobs[*at].suites.len() > 1 && !is_even)
            .max_by_key(|at| jobs[*at].seconds);
        let Some(at) = longest.filter(|at| jobs[*at].seconds > 4 * BOOT) else {
            return;
        };
        let old = jobs.swap_remove(at);
        let empty = Job {
            suites: Vec::new(),
            whole: Vec::new(),
            seconds: BOOT,
            ..old.clone()
        };
        let mut halves = [empty.clone(), empty];
        let mut parts: Vec<&Suite> = suites
            .iter()
            .filter(|suite| old.suites.contains(&suite.name))
            .collect();
        let is_whole = |suite: &Suite| old.whole.contains(&suite.name);
        let cost = |suite: &Suite| suite.every + if is_whole(suite) { suite.once } else { 0 };
        parts.sort_by_key(|suite| std::cmp::Reverse(cost(suite)));
        for suite in parts {
            let shorter = usize::from(halves[1].seconds < halves[0].seconds);
            halves[shorter].add(suite, is_whole(suite));
        }
        let place = |name: &String| suites.iter().position(|suite| suite.name == *name);
        for half in &mut halves {
            half.suites.sort_by_key(place);
        }
        jobs.extend(halves.into_iter().filter(|half| !half.suites.is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(name: &str, machine: Machine, every: u32, once: u32) -> Suite {
        Suite {
            name: name.into(),
            machine,
            every,
            once,
        }
    }

    fn names(kernels: &[&str], routes: &[Route]) -> Vec<String> {
        let kernels: Vec<String> = kernels.iter().map(|&name| name.to_owned()).collect();
        let chosen = chosen(&kernels, routes).unwrap();
        chosen.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn configurations_are_chosen_by_kernel_and_route() {
        assert_eq!(
            names(&["all"], &[]),
            [
                "5.10 fmod_ret",
                "6.1 lsm",
                "6.1 fmod_ret",
                "6.12 lsm",
                "6.12 fmod_ret",
                "7 lsm"
            ]
        );
        assert_eq!(names(&[], &[]).len(), USUAL.len());
        assert_eq!(names(&["5.10", "6.1"], &[]), ["5.10 fmod_ret", "6.1 lsm"]);
        assert_eq!(names(&["6.12"], &[Route::FmodRet]), ["6.12 fmod_ret"]);
        assert_eq!(names(&[], &[Route::Lsm]), ["6.1 lsm", "6.12 lsm", "7 lsm"]);
        assert!(chosen(&["5.10".into()], &[Route::Lsm]).is_err());
        assert!(chosen(&["4.19".into()], &[]).is_err());
    }

    #[test]
    fn every_suite_is_whole_exactly_once() {
        let suites = [
            suite("a", Machine::Server, 100, 300),
            suite("b", Machine::Server, 0, 200),
            suite("c", Machine::Server, 50, 10),
            suite("d", Machine::Boot, 60, 0),
        ];
        for (count, side_by_side) in [(1, 2), (2, 4), (6, 4)] {
            let jobs = plan(&all()[..count], &suites, side_by_side);
            for suite in &suites {
                let runs = |job: &&Job| job.suites.contains(&suite.name);
                let whole = |job: &&Job| job.whole.contains(&suite.name);
                assert_eq!(
                    jobs.iter().filter(whole).count(),
                    1,
                    "{} {jobs:?}",
                    suite.name
                );
                let on = jobs.iter().filter(runs).count();
                assert_eq!(
                    on,
                    if suite.every > 0 { count } else { 1 },
                    "{}",
                    suite.name
                );
                assert!(
                    jobs.iter()
                        .filter(runs)
                        .all(|job| job.machine == suite.machine)
                );
            }
            assert!(
                jobs.iter()
                    .all(|job| job.whole.iter().all(|name| job.suites.contains(name)))
            );
            assert!(
                jobs.windows(2)
                    .all(|pair| pair[0].seconds >= pair[1].seconds)
            );
        }
    }

    #[test]
    fn one_configuration_is_split_and_keeps_the_order() {
        let suites: Vec<Suite> = ["a", "b", "c", "d"]
            .iter()
            .map(|name| suite(name, Machine::Server, 100, 100))
            .collect();
        let jobs = plan(&all()[..1], &suites, 2);
        assert_eq!(jobs.len(), 2);
        for job in &jobs {
            assert_eq!(job.suites.len(), 2);
            assert!(job.suites.is_sorted());
        }
        let short = [
            suite("a", Machine::Server, 10, 0),
            suite("b", Machine::Server, 10, 0),
        ];
        assert_eq!(plan(&all()[..1], &short, 2).len(), 1);
    }

    #[test]
    fn plans_are_read() {
        let read = suites("suite live server 60 0\nsuite firmware boot 30 10\n").unwrap();
        assert_eq!(read[0], suite("live", Machine::Server, 60, 0));
        assert_eq!(read[1], suite("firmware", Machine::Boot, 30, 10));
        assert!(suites("suite live 60 0").is_err());
    }
}
