//! Answers for the command line.

use std::collections::HashMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use guard_abi::{DeviceClass, DeviceEntry, DeviceKey, DeviceKind, Op, device_flag};

use super::Daemon;
use super::actor;
use crate::audit::record::Actor;
use crate::audit::{enrich, log_path, names};
use crate::config::Modes;
use crate::control::{
    Answer, AuditStatus, Checked, Device, DeviceCounts, Protection, Request, Status, Verdict,
};
use crate::state::HostState;
use crate::sysexits::{INTERNAL, NOT_PERMITTED};
use crate::topology::{Changes, Classified, kernel_dev};

/// A self-test older than this is made again for a status.
const FRESH: Duration = Duration::from_secs(5);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub pid: u32,
    pub uid: u32,
}

impl Daemon {
    pub(super) fn answer(&mut self, request: &Request, client: Client) -> Answer {
        if request.is_privileged() && client.uid != 0 {
            return Answer::Refused {
                exit: NOT_PERMITTED,
                message: "only root may do this; run it as root".to_owned(),
            };
        }
        match request {
            Request::Status => Answer::Status(Box::new(self.status())),
            Request::Devices => self.devices(),
            Request::Check { op, objects } => self.check(op, objects),
            Request::Settle { devices } => self.settle_devices(devices),
            Request::Mark(target) => self.mark(target, self.actor(client)),
            Request::ApplyConfig { confirm_host } => {
                self.apply_config(confirm_host, self.actor(client))
            }
            Request::OverrideRequest(ask) => self.override_request(ask, self.actor(client)),
            Request::OverrideApply {
                request,
                signatures,
            } => self.override_apply(request, signatures, self.actor(client)),
            Request::OverrideUse { grant, command } => {
                self.override_use(*grant, command, self.actor(client))
            }
            Request::OverrideReset { confirm_host } => {
                self.override_reset(confirm_host, self.actor(client))
            }
            Request::OverrideList => self.override_list(),
            Request::OverrideRevoke { grant } => self.override_revoke(*grant, self.actor(client)),
            Request::Release {
                device,
                confirm_host,
            } => self.release(device.as_deref(), confirm_host, self.actor(client)),
        }
    }

    fn actor(&self, client: Client) -> Actor {
        actor::of_client(&self.sources, client.pid, client.uid)
    }

    fn status(&mut self) -> Status {
        if self
            .self_test
            .as_ref()
            .is_none_or(|(when, _)| when.elapsed() > FRESH)
        {
            self.prove();
        }
        self.settle("looked at for a status");
        if self.due.descriptors.is_some() {
            self.look_again_for_descriptors();
        }
        let account = self.recorder.account();
        let modes = self.config.modes();
        let problems = self.health.problems();
        let unprotected = self.health.is_bad("links") || self.health.is_bad("self-test");
        let shown = |device: &&Classified| {
            device.class() == DeviceClass::Protected && device.key.kind == DeviceKind::Block as u32
        };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: super::start::node_name(),
            controller: true,
            protection: match (unprotected, problems.is_empty()) {
                (true, _) => Protection::Unprotected,
                (false, true) => Protection::Guarding,
                (false, false) => Protection::Degraded,
            },
            mode: self.config.mode.as_str().to_owned(),
            ops: modes.all(),
            ops_set: modes.exceptions(),
            state: self.state.host.as_str().to_owned(),
            route: self.report.route.to_string(),
            route_why: self.report.route_why.clone(),
            kernel: self.report.kernel.clone(),
            hooks: self.report.hooks.clone(),
            second_layer: self.second_layer(),
            self_test: self
                .self_test
                .as_ref()
                .map_or_else(Vec::new, |(_, test)| test.hooks.clone()),
            problems,
            databases: self.databases(),
            devices: self.counts(),
            protected: self
                .surveyed
                .devices
                .iter()
                .filter(shown)
                .map(device)
                .collect(),
            audit: AuditStatus {
                path: log_path().to_owned(),
                recorded: account.recorded,
                lost: account.dropped + account.missing,
                failing: self.recorder.failure().is_some(),
            },
            counters: self.guard.counters().ok(),
            held_open: self.descriptors_held(),
            grants: self.open_grants(),
        }
    }

    /// What the kernel has said of devices is read before what clients ask (`events::Sources::next`),
    /// so it is known by now, unless surveys are made to wait. A device whose first event came before
    /// udev had looked at it may have been unknown then, and is looked at again.
    fn settle_devices(&mut self, names: &[String]) -> Answer {
        if self.state.host == HostState::Idle {
            return Answer::Done(String::new());
        }
        let is_known = |name: &&String| {
            self.surveyed.devices.iter().any(|device| {
                device.key.kind == DeviceKind::Block as u32
                    && *device.name == **name
                    && device.class() != DeviceClass::Unknown
            })
        };
        let mut unknown = names.iter().filter(|name| !is_known(name)).peekable();
        if unknown.peek().is_some() || self.due.survey.is_some() {
            let devices = unknown.map(|name| name.as_str().into()).collect();
            self.news.extend(Changes {
                devices,
                ..Changes::default()
            });
            self.survey("somebody waits for it");
        }
        Answer::Done(String::new())
    }

    fn counts(&self) -> DeviceCounts {
        let count = |class| {
            self.surveyed
                .devices
                .iter()
                .filter(|one| one.class() == class)
                .count()
        };
        DeviceCounts {
            protected: count(DeviceClass::Protected),
            free: count(DeviceClass::Free),
            unknown: count(DeviceClass::Unknown),
        }
    }

    fn devices(&self) -> Answer {
        let inventory = match self.current_inventory() {
            Ok(inventory) => inventory,
            Err(error) => {
                return Answer::Refused {
                    exit: INTERNAL,
                    message: error.to_string(),
                };
            }
        };
        let mut devices: Vec<Device> = self.surveyed.devices.iter().map(device).collect();
        let places: HashMap<String, usize> = devices
            .iter()
            .enumerate()
            .map(|(at, device)| (format!("{} {}", device.kind, device.dev), at))
            .collect();
        let name = |index: &u32| {
            inventory
                .devices()
                .get(*index as usize)
                .map(|below| below.name.to_string())
        };
        for block in inventory.devices() {
            let number = enrich::dev_text(block.dev);
            let at = places
                .get(&format!("block {number}"))
                .copied()
                .unwrap_or_else(|| {
                    devices.push(unknown(&block.name, number));
                    devices.len() - 1
                });
            devices[at].below = block.below.iter().filter_map(name).collect();
            devices[at].bytes = block.sectors.saturating_mul(512);
        }
        for node in inventory.nodes() {
            let key = format!("char {}", enrich::dev_text(node.dev));
            if let Some(at) = places.get(&key) {
                devices[*at].below = node.reaches.iter().filter_map(name).collect();
            }
        }
        Answer::Devices(devices)
    }

    fn check(&mut self, op: &str, objects: &[std::path::PathBuf]) -> Answer {
        let Some(op) = Op::parse(op) else {
            return Answer::Refused {
                exit: 3,
                message: format!("'{op}' is no operation class"),
            };
        };
        // What the kernel half says now, not what was last thought.
        self.settle("asked whether something would be allowed");
        if objects.is_empty() {
            return Answer::Check(vec![self.check_host(op)]);
        }
        Answer::Check(
            objects
                .iter()
                .map(|object| self.check_object(op, object))
                .collect(),
        )
    }

    fn check_host(&self, op: Op) -> Checked {
        let why = match self.state.host {
            HostState::Idle => "no database lives here and nothing is held".to_owned(),
            HostState::Armed => {
                let living: Vec<String> = self
                    .databases()
                    .iter()
                    .map(|database| format!("{} {}", database.name, database.pid))
                    .collect();
                format!("{} lives here", living.join(", "))
            }
            HostState::Held => "a database's data is still here".to_owned(),
        };
        self.unless_let_through(
            op,
            Checked {
                object: super::start::node_name(),
                verdict: self.while_in_force(),
                why: format!("{}: {why}", op.as_str()),
            },
        )
    }

    /// The verdict on what the kernel half would refuse.
    fn while_in_force(&self) -> Verdict {
        match self.state.host {
            HostState::Idle => Verdict::Allowed,
            HostState::Held => Verdict::Held,
            HostState::Armed => Verdict::Refused,
        }
    }

    fn check_object(&self, op: Op, path: &Path) -> Checked {
        let object = path.display().to_string();
        let unknown = |why: String| Checked {
            object: object.clone(),
            verdict: Verdict::Unknown,
            why,
        };
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return unknown(format!("cannot be looked at: {error}")),
        };
        let number = kernel_dev(metadata.rdev());
        let kind = metadata.file_type();
        let key = if kind.is_block_device() {
            DeviceKey::block(number)
        } else if kind.is_char_device() {
            DeviceKey::char(number)
        } else {
            return unknown("is not a device".to_owned());
        };
        let entry = match self.guard.device(key) {
            Ok(entry) => entry,
            Err(error) => return unknown(error.to_string()),
        };
        let known = self.surveyed.get(key);
        if key.kind == DeviceKind::Char as u32 && entry.is_none() && known.is_none() {
            return unknown("is not a device that passes commands to a drive".to_owned());
        }
        let reason = known
            .and_then(|device| device.why.first())
            .map(ToString::to_string);
        let (verdict, why) = if allowed(op, entry) {
            (
                Verdict::Allowed,
                reason.unwrap_or_else(|| "free".to_owned()),
            )
        } else {
            let word = if entry.is_none() {
                "not classified yet"
            } else {
                "protected"
            };
            (
                self.while_in_force(),
                reason.unwrap_or_else(|| word.to_owned()),
            )
        };
        self.unless_let_through(
            op,
            Checked {
                object,
                verdict,
                why,
            },
        )
    }

    /// The same, where the kernel half refuses operations of this class; otherwise that it would
    /// be let through. What it follows is asked, not what it was last told.
    fn unless_let_through(&self, op: Op, checked: Checked) -> Checked {
        if !matches!(checked.verdict, Verdict::Held | Verdict::Refused) {
            return checked;
        }
        match self.guard.policy() {
            Ok(policy) => let_through(&Modes::of_policy(&policy), op, checked),
            Err(error) => Checked {
                verdict: Verdict::Unknown,
                why: error.to_string(),
                ..checked
            },
        }
    }
}

fn let_through(modes: &Modes, op: Op, checked: Checked) -> Checked {
    match modes.instead_of_refusing(op) {
        None => checked,
        Some(instead) => Checked {
            verdict: Verdict::Allowed,
            why: format!("{} ({instead})", checked.why),
            ..checked
        },
    }
}

/// Whether the kernel half would let an operation class pass on a device while it enforces.
fn allowed(op: Op, entry: Option<DeviceEntry>) -> bool {
    let Some(entry) = entry else { return false };
    if entry.class != DeviceClass::Free as u32 {
        return false;
    }
    // On a free device of a protected drive, what reaches the whole drive is refused.
    let reaches_drive = matches!(
        op,
        Op::Passthrough | Op::Partition | Op::Firmware | Op::Detach
    );
    entry.flags & device_flag::DISK_PROTECTED == 0 || !reaches_drive
}

fn device(known: &Classified) -> Device {
    let name = match &known.stack_name {
        Some(stack) => format!("{} ({stack})", known.name),
        None => known.name.to_string(),
    };
    Device {
        name,
        kind: if known.key.kind == DeviceKind::Char as u32 {
            "char"
        } else {
            "block"
        }
        .to_owned(),
        dev: enrich::dev_text(known.key.dev),
        class: known.class().as_str().to_owned(),
        flags: names::device_flags(known.entry.flags),
        why: known.why.iter().map(ToString::to_string).collect(),
        below: Vec::new(),
        bytes: 0,
    }
}

fn unknown(name: &str, number: String) -> Device {
    Device {
        name: name.to_owned(),
        kind: "block".to_owned(),
        dev: number,
        class: DeviceClass::Unknown.as_str().to_owned(),
        flags: Vec::new(),
        why: vec!["not classified yet".to_owned()],
        below: Vec::new(),
        bytes: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_observed_would_be_let_through() {
        let modes = Modes::new(
            guard_abi::Mode::Enforce,
            &[(Op::Remap, guard_abi::Handling::Observe)].into(),
        );
        let refused = Checked {
            object: "/dev/sda".to_owned(),
            verdict: Verdict::Refused,
            why: "carries /srv".to_owned(),
        };
        assert_eq!(let_through(&modes, Op::RawWrite, refused.clone()), refused);
        let observed = let_through(&modes, Op::Remap, refused);
        assert_eq!(observed.verdict, Verdict::Allowed);
        assert_eq!(
            observed.why,
            "carries /srv (remap is observed here: it would be recorded, not refused)"
        );
    }

    #[test]
    fn what_is_free_is_allowed() {
        let entry = |class: DeviceClass, flags| {
            Some(DeviceEntry {
                class: class as u32,
                flags,
                ..DeviceEntry::default()
            })
        };
        let shares = entry(DeviceClass::Free, device_flag::DISK_PROTECTED);
        for op in Op::ALL.iter().copied() {
            assert!(allowed(op, entry(DeviceClass::Free, 0)), "{op:?}");
            assert!(!allowed(op, entry(DeviceClass::Protected, 0)), "{op:?}");
            assert!(!allowed(op, entry(DeviceClass::Unknown, 0)), "{op:?}");
            assert!(!allowed(op, None), "{op:?}");
        }
        assert!(allowed(Op::RawWrite, shares));
        assert!(!allowed(Op::Passthrough, shares));
    }
}
