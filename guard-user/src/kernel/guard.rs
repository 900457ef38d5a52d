//! The running guard, through its pinned maps.

use std::os::fd::AsFd;
use std::path::Path;

use guard_abi::{
    ArmWord, ControlKind, Counter, DenialEvent, DeviceEntry, DeviceKey, LifecycleEvent,
    PassthroughKind, Policy, TaskEntry, maps as names,
};

use super::hooks::{Attach, EITHER, HOOKS, HookSpec, HookStatus, Presence};
use super::maps::Maps;
use super::problem::{GuardError, Problem, ProblemKind, Result, StartError};
use super::rings::EventRing;
use super::route::Route;
use super::{bpf, cgroup, pin};

/// A guard that is loaded. Cheap: descriptors of the pinned maps, nothing else.
#[derive(Debug)]
pub struct Guard {
    pub(super) maps: Maps,
    cpus: usize,
    /// See [`Guard::start`]; held, never read.
    pub(super) second_mount: Option<std::os::fd::OwnedFd>,
}

/// The kernel half's counters, summed over the CPUs. They only grow while the machine is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    /// Operations refused.
    pub denied: u64,
    /// Operations that observe mode let pass.
    pub would_deny: u64,
    /// Allowed operations worth a record.
    pub recorded: u64,
    /// Events of the three kinds above that did not fit into the ring.
    pub dropped: u64,
    /// Lifecycle events that did not fit into their ring.
    pub lifecycle_dropped: u64,
    /// Critical processes that did not fit into `TASKS`.
    pub tasks_full: u64,
    /// Self-tests refused; no event goes with them.
    pub canary: u64,
    /// Self-tests refused by the second layer; no event goes with them.
    pub canary_layer: u64,
}

impl Counters {
    /// Events that were made, whether or not they fitted into the ring.
    pub const fn events(&self) -> u64 {
        self.denied + self.would_deny + self.recorded
    }
}

impl Guard {
    /// Opens the pins of a guard that was loaded before, by this process or another.
    pub fn open() -> std::result::Result<Self, StartError> {
        Self::from_pins().map_err(|error| {
            Problem::fatal(
                ProblemKind::TryAgain,
                "opening the loaded guard",
                error,
                "start it with `systemctl start dbguard`, or run this as root",
            )
        })
    }

    pub(super) fn from_pins() -> Result<Self> {
        let cpus = bpf::possible_cpus().map_err(|source| GuardError::Io {
            what: "counting the CPUs".to_owned(),
            source,
        })?;
        Ok(Self {
            maps: Maps::open()?,
            cpus,
            second_mount: None,
        })
    }

    /// The policy that the kernel half follows.
    pub fn policy(&self) -> Result<Policy> {
        let none = Policy {
            released_gen: 0,
            enforced_ops: 0,
            ..Policy::STRICTEST
        };
        // An array map has all its entries.
        Ok(self.maps.policy.get(&0)?.unwrap_or(none))
    }

    /// Replaces the policy, all of it at once as far as any one decision can tell: the three
    /// members are independent of each other.
    pub fn set_policy(&self, policy: &Policy) -> Result<()> {
        self.maps.policy.set(&0, policy)
    }

    /// A word that the kernel half alone writes.
    pub fn arm_word(&self, word: ArmWord) -> Result<u64> {
        Ok(self.maps.arm.get(&(word as u32))?.unwrap_or(0))
    }

    /// Whether the host is armed or held: operations on devices that are not free are judged.
    pub fn is_enforcing(&self) -> Result<bool> {
        Ok(self.arm_word(ArmWord::ArmGen)? != self.policy()?.released_gen)
    }

    /// The entry of a device; `None` for one that is not classified.
    pub fn device(&self, key: DeviceKey) -> Result<Option<DeviceEntry>> {
        self.maps.devices.get(&key)
    }

    /// Every classified device.
    pub fn devices(&self) -> Result<Vec<(DeviceKey, DeviceEntry)>> {
        self.maps.devices.entries()
    }

    /// Says which character device majors pass commands through, or steer the machine. Majors that
    /// are not named stop being looked at, after the named ones have begun to be.
    pub fn set_char_majors(
        &self,
        drives: &[(u32, PassthroughKind)],
        controls: &[(u32, ControlKind)],
    ) -> Result<()> {
        let drives = drives.iter().map(|(major, kind)| (*major, *kind as u32));
        let controls = controls.iter().map(|(major, kind)| (*major, *kind as u32));
        let wanted: Vec<(u32, u32)> = drives.chain(controls).collect();
        for (major, kind) in &wanted {
            self.maps.char_majors.set(major, kind)?;
        }
        for major in 0..names::CHAR_MAJORS_MAX {
            let named = wanted.iter().any(|(wanted, _)| *wanted == major);
            if !named && self.maps.char_majors.get(&major)?.unwrap_or(0) != 0 {
                self.maps.char_majors.set(&major, &0)?;
            }
        }
        Ok(())
    }

    /// Tracked processes by pid.
    pub fn tasks(&self) -> Result<Vec<(u32, TaskEntry)>> {
        self.maps.tasks.entries()
    }

    /// Tracks a process that was there before the guard, or that someone has marked. `false`
    /// where the map is full: the process counts for the controller alone.
    pub fn track_task(&self, pid: u32, entry: TaskEntry) -> Result<bool> {
        self.maps.tasks.set_if_room(&pid, &entry)
    }

    /// Forgets a process: it has ended, or was marked by mistake. `true` where it was tracked.
    pub fn forget_task(&self, pid: u32) -> Result<bool> {
        self.maps.tasks.remove(&pid)
    }

    /// The counters.
    pub fn counters(&self) -> Result<Counters> {
        let sum = |counter: Counter| -> Result<u64> {
            bpf::lookup_per_cpu(self.maps.counters.as_fd(), counter as u32, self.cpus)
                .map(|values| values.iter().sum())
                .map_err(|source| GuardError::Access {
                    name: names::COUNTERS,
                    act: "reading",
                    source,
                })
        };
        Ok(Counters {
            denied: sum(Counter::Denied)?,
            would_deny: sum(Counter::WouldDeny)?,
            recorded: sum(Counter::Recorded)?,
            dropped: sum(Counter::Dropped)?,
            lifecycle_dropped: sum(Counter::LifecycleDropped)?,
            tasks_full: sum(Counter::TasksFull)?,
            canary: sum(Counter::Canary)?,
            canary_layer: sum(Counter::CanaryLayer)?,
        })
    }

    /// The ring of refusals.
    pub fn denials(&self) -> Result<EventRing<DenialEvent>> {
        EventRing::open(names::DENIALS)
    }

    /// The ring of starts and ends of critical processes.
    pub fn lifecycle(&self) -> Result<EventRing<LifecycleEvent>> {
        EventRing::open(names::LIFECYCLE)
    }

    /// Whether the programs are still attached, hook by hook. Without any complete set, every
    /// hook is reported as missing.
    pub fn links_intact(&self) -> Result<Links> {
        link_status().map_err(|source| GuardError::Io {
            what: format!("looking at the links in {}", pin::link_sets().display()),
            source,
        })
    }
}

/// The programs that are attached, by their pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// How; `None` where there is no complete set.
    pub route: Option<Route>,
    /// Each hook.
    pub hooks: Vec<HookStatus>,
}

impl Links {
    /// Names of hooks that are not attached although the kernel has them, and that the guard can do
    /// without.
    pub fn lost(&self) -> Vec<&str> {
        let lost = self.hooks.iter().filter(|hook| hook.is_lost());
        lost.map(|hook| hook.name.as_str()).collect()
    }

    /// Names of required hooks that are not attached.
    pub fn holes(&self) -> Vec<&str> {
        let holes = self.hooks.iter().filter(|hook| hook.is_hole());
        holes.map(|hook| hook.name.as_str()).collect()
    }
}

/// State of the hooks by the pins, best set first.
pub(super) fn link_status() -> std::io::Result<Links> {
    let mut best: Option<Links> = None;
    for set in pin::complete_sets()? {
        let links = Links {
            route: Some(pin::route_of(&set)),
            hooks: set_status(&set),
        };
        if best
            .as_ref()
            .is_none_or(|best| links.holes().len() < best.holes().len())
        {
            best = Some(links);
        }
    }
    Ok(best.unwrap_or_else(|| Links {
        route: None,
        hooks: set_status(Path::new("/nonexistent")),
    }))
}

/// State of the hooks of one set.
pub(super) fn set_status(set: &Path) -> Vec<HookStatus> {
    let status = |hook: &HookSpec| {
        let link = bpf::open_pinned(&set.join(hook.program)).ok();
        let attached = link.as_ref().is_some_and(|link| {
            // Such a link can be detached and leave its pin; the others cannot.
            hook.attach != Attach::CgroupDevice
                || bpf::cgroup_link_is_attached(link.as_fd()).unwrap_or(false)
        });
        let not_there = pin::absent(set).join(hook.program).is_dir();
        let required = match hook.presence {
            Presence::Required => true,
            Presence::WherePresent => !not_there,
            Presence::Convenience | Presence::SecondLayer => false,
        };
        let why_missing = match (attached, not_there) {
            (true, _) => None,
            (false, true) => Some("this kernel does not have the hook".to_owned()),
            (false, false) if hook.attach == Attach::CgroupDevice => {
                Some(cgroup::why_not_attached())
            }
            (false, false) => Some(format!("its link is not pinned in {}", set.display())),
        };
        HookStatus {
            name: hook.program.to_owned(),
            attached,
            required,
            absent: not_there,
            why_missing,
            opens: hook.opens.to_owned(),
            covered_by: hook.covered_by.to_owned(),
            // A figure: what cannot be read is not known.
            misses: link.and_then(|link| bpf::recursion_misses(link.as_fd()).ok().flatten()),
        }
    };
    let mut hooks: Vec<HookStatus> = HOOKS.iter().map(status).collect();
    let (one, other) = EITHER;
    let is_attached = |name: &str| hooks.iter().any(|hook| hook.name == name && hook.attached);
    let (one, other) = (
        is_attached(one).then_some(other),
        is_attached(other).then_some(one),
    );
    hooks.retain(|hook| hook.attached || ![one, other].contains(&Some(hook.name.as_str())));
    hooks
}
