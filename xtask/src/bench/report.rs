//! What was measured, the bars, and the table.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// The configurations, in the order of the columns.
const CONFIGURATIONS: [&str; 3] = ["bare", "empty", "dbguard"];

/// The most that an operation may cost above the empty programs, in instructions. Operations that
/// are not listed are shown and have no bar.
const BARS: &[(&str, f64)] = &[
    ("open+close", 30.0),
    // A bar of our own. Where the kernel does not trust the pointers that a program follows (Linux 6.1,
    // and fmod_ret programs anywhere), it checks the range of each: seven instructions a load, five loads.
    ("open-to-write+close", 60.0),
    // No hook of ours is on these: what is left is the error of measurement.
    ("read", 2.0),
    ("write", 2.0),
    ("fsync", 2.0),
];

/// The most that grants may add to a refused open, in instructions: to one of a device that none is
/// about, and the whole check.
const GRANT_CHECK: f64 = 40.0;

/// The longest from the command `override apply` to a grant that is open, with the start of the
/// program, in ns of a processor of one instruction a ns.
const APPLY_NS: f64 = 50e6;

/// The most the controller may keep resident, in KiB.
const RESIDENT_KIB: f64 = 15.0 * 1024.0;

/// The measurements of one kernel.
#[derive(Debug, Default)]
pub struct Report {
    /// By operation, in the order they came: the least instructions by configuration.
    costs: Vec<(String, BTreeMap<String, f64>)>,
    /// Single numbers by name.
    numbers: BTreeMap<String, f64>,
    /// What the guard did when a write to the data disk was tried while measuring.
    refuses: Vec<String>,
    status: Option<Value>,
}

impl Report {
    /// Takes a line of a guest if it is a report of it.
    pub fn take(&mut self, line: &str) -> bool {
        let Some(rest) = line.strip_prefix('@') else {
            return false;
        };
        let words: Vec<&str> = rest.split(' ').collect();
        match words.as_slice() {
            ["cost", configuration, operation, least, _median] => {
                let Ok(least) = least.parse() else {
                    return false;
                };
                self.cost(operation, configuration, least);
                true
            }
            ["refuses", answer] => {
                self.refuses.push((*answer).to_owned());
                true
            }
            ["status", ..] => {
                self.status = rest
                    .split_once(' ')
                    .and_then(|(_, json)| serde_json::from_str(json).ok());
                self.status.is_some()
            }
            [name, number] => {
                let Ok(number) = number.parse() else {
                    return false;
                };
                self.numbers.insert((*name).to_owned(), number);
                true
            }
            _ => false,
        }
    }

    fn cost(&mut self, operation: &str, configuration: &str, least: f64) {
        let at = self
            .costs
            .iter()
            .position(|(name, _)| name == operation)
            .unwrap_or_else(|| {
                self.costs.push((operation.to_owned(), BTreeMap::new()));
                self.costs.len() - 1
            });
        self.costs[at].1.insert(configuration.to_owned(), least);
    }

    /// True where every bar is kept, and everything that a bar is about was measured.
    pub fn kept(&self) -> bool {
        self.bars().iter().all(|(kept, _)| *kept)
    }

    fn number(&self, name: &str) -> f64 {
        self.numbers.get(name).copied().unwrap_or(f64::NAN)
    }

    fn above(&self, operation: &str, base: &str) -> f64 {
        let cost = |configuration: &str| {
            let (_, costs) = self.costs.iter().find(|(name, _)| name == operation)?;
            costs.get(configuration).copied()
        };
        match (cost("dbguard"), cost(base)) {
            (Some(ours), Some(base)) => ours - base,
            _ => f64::NAN,
        }
    }

    /// Each bar: whether it is kept (a missing number never is), and what was found.
    fn bars(&self) -> Vec<(bool, String)> {
        let mut bars = Vec::new();
        for (operation, most) in BARS {
            let above = self.above(operation, "empty");
            bars.push((
                above <= *most,
                format!("{operation}: {above:+.1} instructions above the empty programs (at most {most})"),
            ));
        }
        let added = |name: &str| self.number(name) - self.number(&format!("{name}_base"));
        for (name, what) in [
            ("refused_of_a_grant", "of a device that a grant is about"),
            (
                "refused_under_another",
                "the same, from under another grant",
            ),
            (
                "refused_other_class",
                "under its own grant, which does not open that",
            ),
            ("refused_ended", "under its own grant, which has ended"),
        ] {
            let above = added(name);
            bars.push((
                above <= GRANT_CHECK,
                format!("a refused open {what}: {above:+.1} instructions (at most {GRANT_CHECK})"),
            ));
        }
        let apply = self.number("apply_ns");
        bars.push((
            apply < APPLY_NS,
            format!(
                "from `override apply` to an open grant: {:.1} million instructions (below {})",
                apply / 1e6,
                APPLY_NS / 1e6
            ),
        ));
        let devices = self.number("devices");
        let refuses = !self.refuses.is_empty() && self.refuses.iter().all(|answer| answer == "yes");
        bars.push((
            refuses && devices >= 10_000.0,
            format!("measured with {devices} devices in the map, while writes were refused"),
        ));
        let (resident, blocks) = (self.number("rss_kib"), self.number("block_devices"));
        bars.push((
            resident < RESIDENT_KIB && blocks >= 10_000.0,
            format!(
                "controller resident with {blocks} block devices: {:.1} MiB (below 15)",
                resident / 1024.0
            ),
        ));
        let woken = self.number("wakeups");
        bars.push((
            woken == 0.0,
            format!("wake-ups of the controller while nothing happened: {woken} (none)"),
        ));
        bars
    }
}

/// The part of a report that is being shown.
pub struct Costs<'a>(pub &'a Report);

impl fmt::Display for Costs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<21}{:>11}{:>11}{:>11}{:>14}{:>13}",
            "instructions", "bare", "empty", "dbguard", "above empty", "above bare"
        )?;
        for (operation, costs) in &self.0.costs {
            write!(f, "{operation:<21}")?;
            for configuration in CONFIGURATIONS {
                match costs.get(configuration) {
                    Some(cost) => write!(f, "{cost:>11.0}")?,
                    None => write!(f, "{:>11}", "?")?,
                }
            }
            writeln!(
                f,
                "{:>+14.0}{:>+13.0}",
                self.0.above(operation, "empty"),
                self.0.above(operation, "bare")
            )?;
        }
        Ok(())
    }
}

/// The controller and the bars.
pub struct Rest<'a>(pub &'a Report);

impl fmt::Display for Rest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(
            f,
            "controller        started in {:.1} s; with {} block devices in {:.1} s (emulated)",
            report.number("start_ms") / 1000.0,
            report.number("block_devices"),
            report.number("restart_ms") / 1000.0,
        )?;
        writeln!(
            f,
            "                  resident {:.1} MiB, of that its own {:.1} MiB; at most {:.1} MiB\n",
            report.number("rss_kib") / 1024.0,
            report.number("anon_kib") / 1024.0,
            report.number("peak_kib") / 1024.0,
        )?;
        for (kept, text) in report.bars() {
            writeln!(f, "  {} {text}", if kept { "kept  " } else { "BROKEN" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[&str] = &[
        "@cost empty open+close 1000.0 1001.0",
        "@cost dbguard open+close 1029.5 1031.0",
        "@cost empty open-to-write+close 1000.0 1001.0",
        "@cost dbguard open-to-write+close 1029.5 1031.0",
        "@cost empty read 5.0 5.0",
        "@cost dbguard read 5.0 5.0",
        "@cost empty write 5.0 5.0",
        "@cost dbguard write 5.0 5.0",
        "@cost empty fsync 5.0 5.0",
        "@cost dbguard fsync 5.0 5.0",
        "@refused_of_a_grant_base 900.0",
        "@refused_of_a_grant 930.0",
        "@refused_under_another_base 900.0",
        "@refused_under_another 940.0",
        "@refused_other_class_base 900.0",
        "@refused_other_class 940.0",
        "@refused_ended_base 900.0",
        "@refused_ended 940.0",
        "@apply_ns 20000000",
        "@devices 10012",
        "@refuses yes",
        "@block_devices 10020",
        "@rss_kib 9000",
        "@wakeups 0",
    ];

    fn report(lines: &[&str]) -> Report {
        let mut report = Report::default();
        for line in lines {
            assert!(report.take(line), "{line}");
        }
        report
    }

    #[test]
    fn a_good_run_keeps_the_bars_and_nothing_may_be_missing() {
        assert!(report(GOOD).kept());
        for (at, left_out) in GOOD.iter().enumerate() {
            let mut lines = GOOD.to_vec();
            lines.remove(at);
            assert!(!report(&lines).kept(), "without {left_out}");
        }
    }

    #[test]
    fn each_bar_can_be_broken() {
        for worse in [
            "@cost dbguard open+close 1030.5 1031.0",
            "@cost dbguard write 9.0 9.0",
            "@refused_of_a_grant 941.0",
            "@refused_under_another 941.0",
            "@refused_other_class 941.0",
            "@refused_ended 941.0",
            "@apply_ns 50000000",
            "@devices 9999",
            "@refuses no",
            "@rss_kib 15360",
            "@wakeups 1",
        ] {
            let mut report = report(GOOD);
            assert!(report.take(worse));
            assert!(!report.kept(), "{worse}");
        }
    }

    #[test]
    fn other_lines_are_not_taken() {
        for line in ["", "@", "cost a b 1 2", "@cost a b x 2", "@note two words"] {
            assert!(!Report::default().take(line), "{line}");
        }
    }
}
