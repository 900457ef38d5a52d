//! Making a request: what is asked for, in words that whoever signs can judge.

use guard_abi::{DeviceKey, Op};

use super::{Daemon, NO_INPUT, Refusal, TRY_AGAIN, USAGE, record_of};
use crate::audit::record::Actor;
use crate::audit::time;
use crate::control::{Answer, Ask, Asked, Target};
use crate::daemon::start::{log_context, node_name};
use crate::grant::approve::{Data, Situation, signers_needed};
use crate::grant::ledger::Entry;
use crate::grant::request::{
    self, Device, MAX_USES, MINUTES, NONCE_BYTES, Object, Request, digest, hex,
};
use crate::session;
use crate::topology::{BlockDevice, Inventory, Kind, Why};

/// Life of a request where nothing is said, minutes.
const USUAL_MINUTES: u32 = 30;
/// Requests that wait at one time: a job in a loop must not fill the ledger.
const MAX_WAITING: usize = 200;
/// Reasons that are told about an object.
const REASONS: usize = 3;
/// What writing a device's content comes to: tools that do one of them do the others.
const CONTENT: [Op; 3] = [Op::RawWrite, Op::Discard, Op::Partition];

/// What is asked about, with what lies on it.
struct Meant {
    object: Object,
    carries: String,
    data: Data,
}

impl Daemon {
    pub(in crate::daemon) fn override_request(&mut self, ask: &Ask, by: Actor) -> Answer {
        match self.try_request(ask, &by) {
            Ok(asked) => Answer::Asked(asked),
            Err(refusal) => {
                let mut record = record_of("requested", None, Some(by));
                record.event.clone_from(&ask.event);
                record.incident = Some(request::plain(&ask.incident));
                record.reason = Some(request::plain(&ask.reason));
                self.refuse_step(record, refusal)
            }
        }
    }

    fn try_request(&mut self, ask: &Ask, by: &Actor) -> Result<Asked, Refusal> {
        let ops = ops_of(ask)?;
        let minutes = self.minutes_of(ask)?;
        if !(1..=MAX_USES).contains(&ask.uses) {
            let what = format!("--uses: {} is not between 1 and {MAX_USES}", ask.uses);
            return Err(Refusal::new(USAGE, "usage", what));
        }
        for (option, text) in [("--incident", &ask.incident), ("--reason", &ask.reason)] {
            if text.trim().is_empty() {
                let what = format!("{option} says nothing: whoever signs wants to know");
                return Err(Refusal::new(USAGE, "usage", what));
            }
        }
        let (signers, policy) = self.signers()?;
        let waiting = self.overrides.ledger()?.book().waiting();
        if waiting >= MAX_WAITING {
            let what =
                format!("{waiting} requests wait already; apply one of them, or restart this host");
            return Err(Refusal::new(TRY_AGAIN, "too-many", what));
        }
        let meant = self.meant(&ask.target)?;
        let role = self.role();
        let state = self.state.host.as_str();
        let situation = Situation {
            ops: &ops,
            state,
            data: meant.data,
            role,
        };
        let signers_needed = signers_needed(&self.config.overrides.rules, situation);
        let (context, _) = log_context();
        let mut nonce = [0; NONCE_BYTES];
        getrandom(&mut nonce)?;
        let request = Request {
            host: node_name(),
            machine_id: context.machine_id,
            boot_id: context.boot_id,
            nonce,
            event: ask.event.clone().unwrap_or_default(),
            requester: requester(by),
            requester_id: by.auid.map_or_else(String::new, |auid| auid.to_string()),
            ops,
            object: meant.object,
            carries: meant.carries,
            state: state.to_owned(),
            role: role.to_owned(),
            uses: ask.uses,
            minutes,
            asked_boot_s: time::boot_ns() / time::NANOS,
            asked: time::rfc3339(time::wall_ns()),
            incident: ask.incident.clone(),
            reason: ask.reason.clone(),
            policy,
            signers: signers_needed,
        };
        let text = request.render();
        // What is recorded is what is read: cut and plain, as it will be signed.
        let request =
            Request::parse(text.as_bytes()).map_err(crate::grant::approve::Refused::from)?;
        self.record_step(record_of("requested", Some(&request), Some(by.clone())))?;
        self.overrides.ledger()?.add(&Entry::Issued {
            nonce: hex(&request.nonce),
            digest: digest(text.as_bytes()),
        })?;
        let remarks = signers.problems().iter().map(ToString::to_string).collect();
        Ok(Asked { text, remarks })
    }

    fn minutes_of(&self, ask: &Ask) -> Result<u32, Refusal> {
        let most = self.config.overrides.max_minutes;
        let minutes = ask.minutes.unwrap_or(USUAL_MINUTES.min(most));
        if (*MINUTES.start()..=most).contains(&minutes) {
            return Ok(minutes);
        }
        let what = format!(
            "--minutes: {minutes} is not between 1 and {most} (override.max_minutes of this host)"
        );
        Err(Refusal::new(USAGE, "usage", what))
    }

    fn meant(&self, target: &Target) -> Result<Meant, Refusal> {
        match target {
            Target::Drill => Ok(Meant {
                object: Object::Drill,
                carries: "nothing is opened: this is a drill".to_owned(),
                data: Data::None,
            }),
            Target::Host => Ok(self.host_meant()),
            Target::Device {
                is_char,
                dev,
                diskseq,
            } => self.device_meant(*is_char, *dev, *diskseq),
        }
    }

    fn host_meant(&self) -> Meant {
        let databases = self.databases();
        let names = databases
            .iter()
            .map(|one| format!("{} {}, running", one.name, one.pid));
        let names: Vec<String> = names.take(REASONS).collect();
        let data = match (names.is_empty(), self.state.data_seen) {
            (false, _) => Data::Running,
            (true, true) => Data::Critical,
            (true, false) => Data::System,
        };
        Meant {
            object: Object::Host,
            carries: if names.is_empty() {
                "no database runs on it".to_owned()
            } else {
                names.join("; ")
            },
            data,
        }
    }

    fn device_meant(
        &self,
        is_char: bool,
        dev: u32,
        diskseq: Option<u64>,
    ) -> Result<Meant, Refusal> {
        let inventory = self.current_inventory().map_err(|error| {
            let what = format!("the devices cannot be read now ({error}); try again");
            Refusal::new(TRY_AGAIN, "devices", what)
        })?;
        let device = if is_char {
            inventory.drive_of_node(dev)
        } else {
            inventory.by_dev(dev)
        };
        let gone = |what: &str| {
            let what = format!(
                "{} is {what}; `dbguard devices` shows what is there",
                Inventory::show_dev(dev)
            );
            Refusal::new(NO_INPUT, "no-device", what)
        };
        let device =
            device.ok_or_else(|| gone("no device of this host, or reaches several drives"))?;
        if diskseq.is_some_and(|wanted| wanted != 0 && wanted != device.disk_seq) {
            return Err(gone("another device than the one of that refusal"));
        }
        let known = self.surveyed.get(DeviceKey::block(device.dev));
        let why: &[Why] = known.map_or(&[], |known| &known.why);
        let words: Vec<String> = why.iter().take(REASONS).map(ToString::to_string).collect();
        Ok(Meant {
            object: Object::Device(described(&inventory, device)),
            carries: if words.is_empty() {
                "nothing that dbguard knows of".to_owned()
            } else {
                words.join("; ")
            },
            data: data_of(why),
        })
    }

    /// Role of the host's databases: of the one whose loss would be felt most.
    fn role(&self) -> &'static str {
        let roles = self.processes.iter();
        let roles: Vec<&str> = roles
            .map(|process| crate::host::role(&self.roots, process))
            .collect();
        let known = crate::host::ROLES.iter();
        known
            .copied()
            .find(|role| roles.contains(role))
            .unwrap_or(crate::host::UNKNOWN_ROLE)
    }

    /// A device as a request has it, by its kernel name.
    pub(super) fn device_now(&self, name: &str) -> Option<Device> {
        let inventory = self.current_inventory().ok()?;
        inventory
            .by_name(name)
            .map(|device| described(&inventory, device))
    }
}

/// A device by everything that tells it from others; of a partition that is its disk's, and its own
/// number, of a stacked one its UUID.
fn described(inventory: &Inventory, device: &BlockDevice) -> Device {
    let disk = device
        .parent_name()
        .and_then(|name| inventory.by_name(name))
        .unwrap_or(device);
    let text = |id: Option<&str>| request::plain(id.unwrap_or_default());
    let stacked = match &device.kind {
        Kind::DeviceMapper { uuid, .. } if !uuid.is_empty() => Some(&**uuid),
        _ => device
            .content_uuid
            .as_deref()
            .filter(|_| matches!(device.kind, Kind::Md(_))),
    };
    Device {
        name: request::plain(&device.name),
        dev: Inventory::show_dev(device.dev),
        wwid: text(stacked.or(disk.ids.wwid.as_deref())),
        serial: text(disk.ids.serial.as_deref()),
        diskseq: device.disk_seq,
        bytes: device.sectors * 512,
    }
}

fn data_of(why: &[Why]) -> Data {
    let of = |why: &Why| match why {
        Why::Data { pid: Some(_), .. } | Why::RawData { pid: Some(_), .. } => Data::Running,
        Why::Data { .. } | Why::RawData { .. } | Why::Remembered { .. } => Data::Critical,
        Why::Mount { .. } | Why::Swap | Why::Boot => Data::System,
        _ => Data::None,
    };
    why.iter().map(of).max().unwrap_or(Data::None)
}

/// What is asked for, each once and in order. Of what is done to a device's content, all: nobody knows
/// which of them a tool will use.
fn ops_of(ask: &Ask) -> Result<Vec<Op>, Refusal> {
    let mut ops = Vec::new();
    for word in &ask.ops {
        let op = Op::parse(word).ok_or_else(|| {
            let known: Vec<&str> = Op::ALL.iter().map(|op| op.as_str()).collect();
            let what = format!(
                "'{word}' is no operation class; they are: {}",
                known.join(", ")
            );
            Refusal::new(USAGE, "usage", what)
        })?;
        ops.push(op);
    }
    let is_drill = matches!(ask.target, Target::Drill);
    if is_drill != ops.is_empty() {
        let what = "name the operation classes with --op, or the refusal by its event id";
        return Err(Refusal::new(USAGE, "usage", what));
    }
    if matches!(ask.target, Target::Device { .. }) && ops.iter().any(|op| CONTENT.contains(op)) {
        ops.extend(CONTENT);
    }
    ops.sort_unstable();
    ops.dedup();
    Ok(ops)
}

/// Who asks, in words.
fn requester(by: &Actor) -> String {
    let mut text = by.login.clone();
    if by.auid != Some(by.uid)
        && let Some(user) = &by.user
    {
        text = format!("{text}, as {user}");
    }
    if let Some(session) = session::id_of(by.pid) {
        text = format!("{text}, session {session}");
    }
    if let Some(tty) = &by.tty {
        text = format!("{text}, on {tty}");
    }
    match &by.ssh_peer {
        Some(peer) => format!("{text}, from {peer}"),
        None => text,
    }
}

fn getrandom(bytes: &mut [u8]) -> Result<(), Refusal> {
    let read = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty());
    match read {
        Ok(count) if count == bytes.len() => Ok(()),
        // Up to 256 bytes come whole or not at all (getrandom(2)).
        _ => Err(Refusal::new(
            TRY_AGAIN,
            "random",
            "the kernel has no random numbers yet; try again",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(target: Target, ops: &[&str]) -> Ask {
        Ask {
            event: None,
            target,
            ops: ops.iter().map(|op| (*op).to_owned()).collect(),
            incident: "I".into(),
            reason: "R".into(),
            minutes: None,
            uses: 1,
        }
    }

    fn device() -> Target {
        Target::Device {
            is_char: false,
            dev: 1,
            diskseq: None,
        }
    }

    #[test]
    fn content_is_asked_for_as_a_whole_and_the_rest_by_name() {
        let asked =
            |target, ops: &[&str]| ops_of(&ask(target, ops)).map_err(|refusal| refusal.code);
        let content = vec![Op::RawWrite, Op::Discard, Op::Partition];
        assert_eq!(asked(device(), &["discard"]), Ok(content.clone()));
        assert_eq!(asked(device(), &["partition", "raw-write"]), Ok(content));
        assert_eq!(asked(device(), &["passthrough"]), Ok(vec![Op::Passthrough]));
        assert_eq!(
            asked(Target::Host, &["kexec", "kexec"]),
            Ok(vec![Op::Kexec])
        );
        assert_eq!(asked(Target::Host, &["raw-write"]), Ok(vec![Op::RawWrite]));
        assert_eq!(asked(device(), &[]), Err("usage"));
        assert_eq!(asked(Target::Drill, &[]), Ok(Vec::new()));
        assert_eq!(asked(Target::Drill, &["kexec"]), Err("usage"));
        assert_eq!(asked(device(), &["everything"]), Err("usage"));
    }

    #[test]
    fn the_weightiest_reason_says_what_lies_there() {
        let data = |pid| Why::Data {
            path: "/srv".into(),
            server: "mariadbd".into(),
            pid,
        };
        let below = Why::Below {
            name: "dm-0".into(),
        };
        assert_eq!(data_of(&[]), Data::None);
        assert_eq!(data_of(&[below.clone(), Why::Swap]), Data::System);
        assert_eq!(data_of(&[data(None), Why::Swap]), Data::Critical);
        assert_eq!(data_of(&[data(None), data(Some(7)), below]), Data::Running);
    }
}
