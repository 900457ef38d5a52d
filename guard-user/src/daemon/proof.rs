//! Enforcement is proved, not assumed.

use std::time::{Duration, Instant};

use super::Daemon;
use crate::control::SecondLayer;
use crate::kernel::{self, HookStatus};

impl Daemon {
    /// Attacks the canary and looks at the links: enforcement is proved, not assumed.
    pub(super) fn prove(&mut self) {
        let tested = match self.guard.links_intact() {
            Ok(links) => {
                let tested = self.guard.self_test(&links.hooks);
                let holes = links.holes();
                let problem = (!holes.is_empty()).then(|| {
                    format!(
                        "hooks {} are not attached; run: systemctl restart dbguard",
                        holes.join(", ")
                    )
                });
                let lost = links.lost();
                let lost = (!lost.is_empty()).then(|| {
                    format!(
                        "hooks {} could not be attached, though the kernel has them: what they would tell is learnt later, and operations on devices that have just become free are refused until then; the journal of dbguard.service says why",
                        lost.join(", ")
                    )
                });
                let skipped = skipped(&self.report.hooks, &links.hooks);
                self.report.hooks = links.hooks;
                self.set_health("links", problem);
                self.set_health("conveniences", lost);
                self.set_health("misses", skipped);
                tested
            }
            Err(error) => {
                self.set_health("links", Some(error.to_string()));
                Err(error)
            }
        };
        match tested {
            Ok(test) => {
                let problem = (!test.passed()).then(|| {
                    format!("attacks on the canary were not refused ({}); run: systemctl restart dbguard, and look at sysctl kernel.ftrace_enabled", test.failures().join(", "))
                });
                self.set_health("self-test", problem);
                self.self_test = Some((Instant::now(), test));
            }
            Err(error) => self.set_health("self-test", Some(error.to_string())),
        }
        let layer = self.second_layer();
        // A host that has no place for it is told of in `status`; there is nothing to mend.
        let broken = !layer.works && kernel::second_layer_is_possible();
        self.set_health("second-layer", broken.then_some(layer.detail));
        self.prove_later();
    }

    /// What is known of the second layer.
    pub(super) fn second_layer(&self) -> SecondLayer {
        let test = self.self_test.as_ref();
        let outcome = test.and_then(|(_, test)| test.outcome(kernel::SECOND_LAYER));
        SecondLayer::told(&self.report.hooks, outcome)
    }

    /// Sets the next proof that needs no other reason.
    pub(super) fn prove_later(&mut self) {
        let minutes = u64::from(self.config.self_test_minutes);
        let last = self
            .self_test
            .as_ref()
            .map_or_else(Instant::now, |(when, _)| *when);
        self.due.prove = (minutes > 0).then(|| last + Duration::from_mins(minutes));
    }

    /// A wake-up is an opportunity: the canary is attacked if that was some time ago.
    pub(super) fn prove_sometimes(&mut self) {
        const SOME_TIME: Duration = Duration::from_mins(1);
        if self
            .self_test
            .as_ref()
            .is_none_or(|(when, _)| when.elapsed() > SOME_TIME)
        {
            self.prove();
        }
    }
}

/// Name of the program at the root of the cgroups, which refuses opens of devices as well, and
/// which the kernel never skips.
const SECOND_LAYER: &str = "device";

/// The trouble with programs that the kernel has skipped since the last look. Where the second
/// layer refuses the same, it is no more than a figure.
fn skipped(before: &[HookStatus], now: &[HookStatus]) -> Option<String> {
    let layered = |hook: &HookStatus| hook.name == SECOND_LAYER && hook.attached;
    if now.iter().any(layered) {
        return None;
    }
    let grown = |hook: &&HookStatus| {
        let known = before.iter().find(|known| known.name == hook.name);
        // A program that was not there before has begun at zero.
        let known = known.and_then(|known| known.misses).unwrap_or(0);
        hook.decides() && hook.misses.unwrap_or(0) > known
    };
    let names: Vec<&str> = now
        .iter()
        .filter(grown)
        .map(|hook| hook.name.as_str())
        .collect();
    (!names.is_empty()).then(|| {
        format!(
            "the kernel did not run {} for some operations, because another task was preempted inside it, and no program at the root of the cgroups refuses the same: they were not judged; the LSM route has no such loss: boot with bpf among lsm=",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::HOOKS;

    fn hooks(misses: &[(&str, u64)]) -> Vec<HookStatus> {
        let status = |(name, misses): &(&str, u64)| HookStatus {
            name: (*name).to_owned(),
            attached: true,
            required: true,
            absent: false,
            why_missing: None,
            opens: String::new(),
            covered_by: String::new(),
            misses: Some(*misses),
        };
        misses.iter().map(status).collect()
    }

    #[test]
    fn misses_that_grow_on_a_deciding_hook_are_trouble() {
        assert!(HOOKS.iter().any(|hook| hook.program == "file_open"));
        let before = hooks(&[("exec", 1), ("file_open", 2)]);
        assert_eq!(skipped(&before, &before), None);
        assert_eq!(
            skipped(&before, &hooks(&[("exec", 9), ("file_open", 2)])),
            None
        );
        let told = skipped(&before, &hooks(&[("exec", 1), ("file_open", 3)]));
        assert!(told.is_some_and(|told| told.contains("file_open")));
    }

    #[test]
    fn where_the_second_layer_stands_they_are_a_figure() {
        let before = hooks(&[("file_open", 2)]);
        let now = hooks(&[("file_open", 3), ("device", 0)]);
        assert_eq!(skipped(&before, &now), None);
    }
}
