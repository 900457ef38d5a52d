//! Proof that the guard refuses: each hook that can be attacked without harm is attacked, see
//! [`guard_abi::canary`].

use guard_abi::{DeviceClass, DeviceEntry, canary as target, device_flag};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::canary::{Attack, Made};
use super::guard::Guard;
use super::hooks::{Exercise, HOOKS, HookSpec, HookStatus, Presence, SECOND_LAYER};
use super::problem::Result;

/// How one attack went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestOutcome {
    /// Refused by the guard: its counter moved.
    Refused,
    /// Let through, or refused by something else. The host is not guarded by this hook.
    NotRefused(String),
    /// The attack was not made.
    NotTried(String),
}

/// The attack on one hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookTest {
    /// The hook.
    pub hook: String,
    /// How it went.
    pub outcome: TestOutcome,
}

/// Outcome of [`Guard::self_test`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Each hook, in the order of [`HOOKS`].
    pub hooks: Vec<HookTest>,
}

impl SelfTest {
    /// The guard was seen to refuse, and nothing was seen to pass. Where an attack cannot be made
    /// (a host without any block device has nothing to try an ioctl on), that is no failure, as
    /// long as opening the canary was refused: that attack needs nothing of the host.
    pub fn passed(&self) -> bool {
        self.outcome("file_open") == Some(&TestOutcome::Refused) && self.failures().is_empty()
    }

    /// How the attack on a hook went.
    pub fn outcome(&self, hook: &str) -> Option<&TestOutcome> {
        let test = self.hooks.iter().find(|test| test.hook == hook)?;
        Some(&test.outcome)
    }

    /// Hooks that did not refuse, each with what happened instead.
    pub fn failures(&self) -> Vec<String> {
        let failed = |test: &HookTest| match &test.outcome {
            // Told of apart: the hooks before it stand without it.
            _ if test.hook == SECOND_LAYER => None,
            TestOutcome::NotRefused(why) => Some(format!("{}: {why}", test.hook)),
            TestOutcome::NotTried(why) if test.hook == "file_open" => {
                Some(format!("{}: not tried: {why}", test.hook))
            }
            TestOutcome::Refused | TestOutcome::NotTried(_) => None,
        };
        self.hooks.iter().filter_map(failed).collect()
    }
}

impl Guard {
    /// Attacks the canary through every hook that can be exercised without harm. Changes nothing,
    /// makes no event, and needs neither an armed host nor enforce mode. `status` is what
    /// [`Guard::links_intact`] says of each.
    pub fn self_test(&self, status: &[HookStatus]) -> Result<SelfTest> {
        self.set_canary()?;
        let absent = |hook: &HookSpec| {
            let of = |status: &&HookStatus| status.name == hook.program;
            status.iter().find(of).is_some_and(|hook| !hook.attached)
        };
        let mut hooks = Vec::with_capacity(HOOKS.len());
        for hook in HOOKS {
            let outcome = match hook.exercise {
                // A required one that is missing is attacked all the same.
                _ if absent(hook) && hook.presence != Presence::Required => {
                    TestOutcome::NotTried("it is not attached".to_owned())
                }
                Exercise::Attack(attack) => self.attack(attack)?,
                Exercise::NotTried(why) => TestOutcome::NotTried(why.to_owned()),
            };
            hooks.push(HookTest {
                hook: hook.program.to_owned(),
                outcome,
            });
        }
        Ok(SelfTest { hooks })
    }

    fn set_canary(&self) -> Result<()> {
        let entry = DeviceEntry {
            class: DeviceClass::Protected as u32,
            flags: device_flag::CANARY,
            ..DeviceEntry::default()
        };
        self.maps.devices.set(&target::DEVICE, &entry)
    }

    /// The one attack that needs nothing of the host.
    pub(super) fn attack_open(&self) -> Result<TestOutcome> {
        self.set_canary()?;
        self.attack(super::canary::open)
    }

    /// The refusal counts when it is `EPERM` and the guard's own counter has moved with it.
    fn attack(&self, attack: Attack) -> Result<TestOutcome> {
        // Each canary is refused by one layer alone, so that both counters may be looked at.
        let refusals = || self.counters().map(|now| now.canary + now.canary_layer);
        let before = refusals()?;
        let made = attack();
        let counted = refusals()? > before;
        Ok(match made {
            Made::Answered(Err(Errno::PERM)) if counted => TestOutcome::Refused,
            Made::Answered(Err(Errno::PERM)) => {
                TestOutcome::NotRefused("refused, but not by the guard".to_owned())
            }
            Made::Answered(Err(error)) => TestOutcome::NotRefused(error.to_string()),
            Made::Answered(Ok(())) => TestOutcome::NotRefused("it succeeded".to_owned()),
            Made::Impossible(why) => TestOutcome::NotTried(why),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(outcomes: &[(&str, TestOutcome)]) -> SelfTest {
        let hooks = outcomes.iter().map(|(hook, outcome)| HookTest {
            hook: (*hook).to_owned(),
            outcome: outcome.clone(),
        });
        SelfTest {
            hooks: hooks.collect(),
        }
    }

    #[test]
    fn one_hook_that_lets_through_is_a_failure() {
        let not_tried = || TestOutcome::NotTried("no device".into());
        let passed = || TestOutcome::NotRefused("it succeeded".into());
        let open = ("file_open", TestOutcome::Refused);
        assert!(test(&[open.clone(), ("file_ioctl", not_tried())]).passed());
        assert!(test(&[open.clone(), ("file_ioctl", TestOutcome::Refused)]).passed());
        let failed = test(&[open, ("uring_cmd", passed())]);
        assert!(!failed.passed());
        assert_eq!(failed.failures(), ["uring_cmd: it succeeded"]);
    }

    #[test]
    fn the_second_layer_is_told_of_apart() {
        let off = TestOutcome::NotRefused("it succeeded".into());
        let open = ("file_open", TestOutcome::Refused);
        let tested = test(&[open, (SECOND_LAYER, off.clone())]);
        assert!(tested.passed());
        assert_eq!(tested.outcome(SECOND_LAYER), Some(&off));
    }

    #[test]
    fn nothing_tried_proves_nothing() {
        assert!(!SelfTest::default().passed());
        let idle = test(&[("file_open", TestOutcome::NotTried("no tmpfs".into()))]);
        assert!(!idle.passed());
        assert_eq!(idle.failures().len(), 1);
    }
}
