//! Enforcement is proved, not assumed.

use std::time::{Duration, Instant};

use super::Daemon;

impl Daemon {
    /// Attacks the canary and looks at the links: enforcement is proved, not assumed.
    pub(super) fn prove(&mut self) {
        match self.guard.links_intact() {
            Ok(links) => {
                let holes = links.holes();
                let problem = (!holes.is_empty()).then(|| {
                    format!(
                        "hooks {} are not attached; run: systemctl restart dbguard",
                        holes.join(", ")
                    )
                });
                self.report.hooks = links.hooks;
                self.set_health("links", problem);
            }
            Err(error) => self.set_health("links", Some(error.to_string())),
        }
        match self.guard.self_test() {
            Ok(test) => {
                let problem = (!test.passed()).then(|| {
                    format!("attacks on the canary were not refused ({}); run: systemctl restart dbguard, and look at sysctl kernel.ftrace_enabled", test.failures().join(", "))
                });
                self.set_health("self-test", problem);
                self.self_test = Some((Instant::now(), test));
            }
            Err(error) => self.set_health("self-test", Some(error.to_string())),
        }
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
