//! The control socket: what the command line asks the controller.
//!
//! One request, one line of JSON; one answer, one line of JSON; then the connection ends. Whoever
//! is on the other side is known by `SO_PEERCRED`. Reading the state is open to every user of the
//! host, so that automation can ask without privilege; changing it is root's.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::record::Database;
pub use crate::audit::record::HeldOpen;
use crate::kernel::{Counters, HookStatus, HookTest, SECOND_LAYER, TestOutcome};

/// The socket.
pub const SOCKET_PATH: &str = "/run/dbguard/control.sock";
/// Longest request.
pub const MAX_REQUEST: usize = 64 * 1024;
/// Longest answer that a client reads: 10,000 devices with their reasons are some megabytes.
const MAX_ANSWER: u64 = 64 << 20;
/// A client waits so long for an answer. A rescan of 10,000 devices stays far below.
const PATIENCE: Duration = Duration::from_secs(20);

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// The state of everything.
    Status,
    /// Every device with its protection.
    Devices,
    /// Would these operations be allowed?
    Check {
        /// Operation class.
        op: String,
        /// Device paths.
        objects: Vec<PathBuf>,
    },
    /// Answered when what has happened before to devices is known to the kernel half.
    Settle {
        /// Block devices that must be known by then, by the names that `/dev` has.
        devices: Vec<String>,
    },
    /// Marks something as critical.
    Mark(MarkTarget),
    /// Reads the configuration again, and accepts it also where it guards less.
    ApplyConfig {
        /// The name the operator has typed.
        confirm_host: String,
    },
    /// Makes a request for an override.
    OverrideRequest(Ask),
    /// Opens what a signed request asks for.
    OverrideApply {
        /// Its text, as it was issued.
        request: String,
        /// Armoured signatures over it.
        signatures: Vec<String>,
    },
    /// Has the client's process run under a grant from the next program on that it executes.
    OverrideUse {
        /// Number of the grant.
        grant: u32,
        /// What it will execute, for the log.
        command: Vec<String>,
    },
    /// The grants of this boot.
    OverrideList,
    /// Closes a grant.
    OverrideRevoke {
        /// Its number.
        grant: u32,
    },
    /// Sets a damaged ledger aside and closes all grants.
    OverrideReset {
        /// The name the operator has typed.
        confirm_host: String,
    },
    /// Releases the host, or forgets a remembered device.
    Release {
        /// The device; the whole host where there is none.
        device: Option<String>,
        /// The name the operator has typed.
        confirm_host: String,
    },
}

impl Request {
    /// True where only root may ask.
    pub const fn is_privileged(&self) -> bool {
        matches!(
            self,
            Self::Mark(_)
                | Self::Settle { .. }
                | Self::Release { .. }
                | Self::ApplyConfig { .. }
                | Self::OverrideRequest(_)
                | Self::OverrideApply { .. }
                | Self::OverrideUse { .. }
                | Self::OverrideRevoke { .. }
                | Self::OverrideReset { .. }
        )
    }
}

/// What can be marked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkTarget {
    /// A running process.
    Pid(u32),
    /// A directory with critical data.
    Data(PathBuf),
    /// A block device with critical data.
    Device(PathBuf),
    /// An executable that is a database server.
    Exe(PathBuf),
}

/// What the controller answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Devices`].
    Devices(Vec<Device>),
    /// To [`Request::Check`].
    Check(Vec<Checked>),
    /// To [`Request::OverrideRequest`].
    Asked(Asked),
    /// To [`Request::OverrideApply`].
    Opened(Box<Grant>),
    /// To [`Request::OverrideList`].
    Overrides(Overrides),
    /// It was done; what is so now.
    Done(String),
    /// It was not.
    Refused {
        /// Exit code for the client.
        exit: u8,
        /// Why, and what to do next.
        message: String,
    },
}

/// What an override is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ask {
    /// The refusal that it is about.
    pub event: Option<String>,
    /// What is to be opened.
    pub target: Target,
    /// Operation classes.
    pub ops: Vec<String>,
    /// Ticket.
    pub incident: String,
    /// Why.
    pub reason: String,
    /// Life, minutes; as long as this host allows where nothing is said.
    pub minutes: Option<u32>,
    /// Commands that may be run.
    pub uses: u32,
}

/// What is to be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A block device, or the drive behind a passthrough node.
    Device {
        /// True for the number of a character device.
        is_char: bool,
        /// dev_t, kernel form.
        dev: u32,
        /// Its disk's sequence number, where the caller knows which it must be.
        diskseq: Option<u64>,
    },
    /// The host.
    Host,
    /// Nothing.
    Drill,
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The text to be signed.
    pub text: String,
    /// What the host has to say beside it, a line each.
    pub remarks: Vec<String>,
}

/// The grants of this boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// Each with what has become of it.
    pub grants: Vec<Grant>,
    /// Requests that were made and not applied.
    pub waiting: usize,
    /// What keeps this host from opening anything, or some people from signing.
    pub problems: Vec<String>,
}

/// A grant with what has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// `G-19`.
    pub id: String,
    /// Operation classes that it opens.
    pub opens: Vec<String>,
    /// What it opens them on.
    pub object: String,
    /// What lay on that when it was asked for.
    pub carries: String,
    /// Ticket.
    pub incident: String,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub requester: String,
    /// Who signed.
    pub signers: Vec<String>,
    /// Commands that may be run.
    pub uses: u32,
    /// Commands that were run.
    pub used: u32,
    /// Seconds until it ends.
    pub seconds_left: u64,
    /// Why it opens nothing any more; null while it does.
    pub closed: Option<String>,
}

/// How well the host is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// Everything works.
    Guarding,
    /// The kernel half guards, but something beside it does not work.
    Degraded,
    /// Nothing, or not all of it, is guarded.
    Unprotected,
}

/// The state of everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of what answers.
    pub version: String,
    /// Node name.
    pub host: String,
    /// True where the controller runs.
    pub controller: bool,
    /// How well the host is protected.
    pub protection: Protection,
    /// `observe` or `enforce`.
    pub mode: String,
    /// What becomes of each operation class: `refuse`, `observe` or `allow`.
    #[serde(default)]
    pub ops: BTreeMap<String, String>,
    /// Those of them that differ from the mode.
    #[serde(default)]
    pub ops_set: BTreeMap<String, String>,
    /// `idle`, `armed` or `held`.
    pub state: String,
    /// Enforcement route: `lsm`, `fmod_ret`, or `none`.
    pub route: String,
    /// Why this one; empty where the controller, which chose it, does not run.
    pub route_why: String,
    /// Kernel release.
    pub kernel: String,
    /// Each hook.
    pub hooks: Vec<HookStatus>,
    /// The second layer: the device program at the root cgroup.
    pub second_layer: SecondLayer,
    /// How the last attacks on the canary went, hook by hook.
    pub self_test: Vec<HookTest>,
    /// What does not work, one sentence each with the next step.
    pub problems: Vec<Problem>,
    /// Critical processes.
    pub databases: Vec<Database>,
    /// Counts of devices.
    pub devices: DeviceCounts,
    /// Protected block devices with their reasons.
    pub protected: Vec<Device>,
    /// The log.
    pub audit: AuditStatus,
    /// The kernel half's counters.
    pub counters: Option<Counters>,
    /// Devices that are held open for writing from before that would have been refused.
    #[serde(default)]
    pub held_open: Vec<HeldOpen>,
    /// Grants that are open.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// Whether the second layer refuses what the hooks before it do not see, or no longer refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondLayer {
    /// It is attached and was not seen to fail.
    pub works: bool,
    /// How that is known, or why it does not.
    pub detail: String,
}

impl SecondLayer {
    /// From the state of the hooks and, where there was one, a self-test.
    pub fn told(hooks: &[HookStatus], test: Option<&TestOutcome>) -> Self {
        let hook = hooks.iter().find(|hook| hook.name == SECOND_LAYER);
        let attached = hook.is_some_and(|hook| hook.attached);
        let detail = match (attached, test) {
            (false, _) => hook
                .and_then(|hook| hook.why_missing.clone())
                .unwrap_or_else(|| "it is not attached".to_owned()),
            (true, None | Some(TestOutcome::NotTried(_))) => "attached".to_owned(),
            (true, Some(TestOutcome::Refused)) => "attached, and seen to refuse".to_owned(),
            (true, Some(TestOutcome::NotRefused(why))) => {
                format!(
                    "an attack on its canary was not refused: {why}; run: systemctl restart dbguard"
                )
            }
        };
        Self {
            works: attached && !matches!(test, Some(TestOutcome::NotRefused(_))),
            detail,
        }
    }
}

/// Something that does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The part: `links`, `self-test`, `classification`, `audit`, `state`, `config`, ….
    pub part: String,
    /// What is wrong and what to do.
    pub detail: String,
}

/// How many devices are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCounts {
    /// Protected.
    pub protected: usize,
    /// Free.
    pub free: usize,
    /// Not classified.
    pub unknown: usize,
}

/// The log in a status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditStatus {
    /// Its file.
    pub path: PathBuf,
    /// Kernel events in it since the kernel half was loaded.
    pub recorded: u64,
    /// Kernel events that gap records stand for.
    pub lost: u64,
    /// The last write failed.
    pub failing: bool,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Kernel name.
    pub name: String,
    /// `block` or `char`.
    pub kind: String,
    /// `major:minor`.
    pub dev: String,
    /// `free`, `protected` or `unknown`.
    pub class: String,
    /// Further properties.
    pub flags: Vec<String>,
    /// Why it is what it is.
    pub why: Vec<String>,
    /// Names of the devices it lies on, as far as they are known.
    pub below: Vec<String>,
    /// Size in bytes, 0 for a passthrough node.
    pub bytes: u64,
}

/// Outcome of one preflight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It would be allowed.
    Allowed,
    /// It would be refused, because the host is held (in observe mode: recorded).
    Held,
    /// It would be refused, because a database lives here.
    Refused,
    /// The object is not known.
    Unknown,
}

/// One preflight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What was asked about.
    pub object: String,
    /// Outcome.
    pub verdict: Verdict,
    /// In words.
    pub why: String,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens.
    #[error("the controller is not running ({0})")]
    NotRunning(io::Error),
    /// This user may not connect.
    #[error("{SOCKET_PATH}: not permitted")]
    NotPermitted,
    /// The controller did not answer in time, or not in its language.
    #[error("the controller did not answer: {0}")]
    NoAnswer(io::Error),
}

/// Asks the controller.
pub fn ask(request: &Request) -> Result<Answer, ControlError> {
    ask_within(PATIENCE, request)
}

/// Asks the controller, and waits so long for each step.
pub fn ask_within(patience: Duration, request: &Request) -> Result<Answer, ControlError> {
    let stream = UnixStream::connect(SOCKET_PATH).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => ControlError::NotPermitted,
        _ => ControlError::NotRunning(error),
    })?;
    talk(stream, patience, request).map_err(ControlError::NoAnswer)
}

fn talk(mut stream: UnixStream, patience: Duration, request: &Request) -> io::Result<Answer> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream)
        .take(MAX_ANSWER)
        .read_until(b'\n', &mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it closed the connection",
        ));
    }
    serde_json::from_slice(&answer).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_the_line() {
        for request in [
            Request::Status,
            Request::Check {
                op: "raw-write".into(),
                objects: vec!["/dev/sda".into()],
            },
            Request::Mark(MarkTarget::Pid(7)),
            Request::Mark(MarkTarget::Data("/srv/x\ny".into())),
            Request::Release {
                device: None,
                confirm_host: "db7".into(),
            },
        ] {
            let line = serde_json::to_string(&request).expect("JSON");
            assert!(!line.contains('\n'));
            assert_eq!(
                serde_json::from_str::<Request>(&line).expect("reads back"),
                request
            );
        }
    }

    #[test]
    fn verdicts_are_ordered_by_what_a_caller_must_heed() {
        assert!(Verdict::Allowed < Verdict::Held && Verdict::Held < Verdict::Refused);
        assert!(Verdict::Refused < Verdict::Unknown);
    }
}
