//! What a record holds. Field names are an interface: they may be added to, not changed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::account::Account;
pub use super::denial::{
    Ancestor, Command, Database, Denial, EventKey, GrantUsed, Object, Process,
};

/// Version of the record format.
pub const SCHEMA: u32 = 1;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the record format, [`SCHEMA`].
    pub v: u32,
    /// Number of the record, counted from 1 over the life of the log.
    pub seq: u64,
    /// Id of the event, for denials and for devices held open: [`super::event_id`] of `seq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Wall time, RFC 3339 in UTC.
    pub time: String,
    /// Nanoseconds of CLOCK_BOOTTIME.
    pub boot_ns: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// Node name.
    pub host: String,
    /// `observe` or `enforce`.
    pub mode: String,
    /// `idle`, `armed` or `held`.
    pub state: String,
    /// What the log accounts for, this record included.
    pub account: Account,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
    /// `hash` of the record before, 64 zeros at the beginning of a chain. Absent in records of
    /// versions that kept no chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_hash: Option<String>,
    /// SHA-256 of the line up to this member, see [`super::chain`]. Absent likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// What happened. Its name stands in `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Body {
    /// An operation was refused, would have been, or is worth a record.
    Denial(Box<Denial>),
    /// The host state changed.
    State(Change),
    /// The mode, or what becomes of an operation class, changed.
    Mode(ModeChange),
    /// The controller started.
    Start(Start),
    /// The controller stopped; the kernel half goes on.
    Stop(Stop),
    /// A critical process was started, found or ended.
    Process(CriticalProcess),
    /// The host, or a remembered device, was released.
    Release(Release),
    /// Something was marked.
    Mark(Mark),
    /// A part of the guard stopped working, or works again.
    Health(Health),
    /// Something happened that is not in the log.
    Gap(Gap),
    /// A line that was being written when the machine or the controller died was taken back.
    Recovered(Recovered),
    /// The configuration was read again.
    Config(ConfigRead),
    /// A device that is held open for writing from before that would have been refused.
    Descriptor(Descriptor),
    /// The kernel half was taken out, or that was refused.
    Unload(Unload),
    /// The glass: asked, opened, used, closed, or refused.
    Override(Box<Override>),
}

/// From one word to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Before.
    pub from: String,
    /// After.
    pub to: String,
    /// Why.
    pub why: String,
}

/// From one mode to another, with the operation classes that differ from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeChange {
    /// Mode before.
    pub from: String,
    /// Mode after.
    pub to: String,
    /// Operation classes that were handled otherwise before: class to handling.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub from_ops: BTreeMap<String, String>,
    /// Operation classes that are handled otherwise after.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub to_ops: BTreeMap<String, String>,
    /// Why.
    pub why: String,
}

/// The controller started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Version of dbguard.
    pub version: String,
    /// Process id of the controller.
    pub pid: u32,
    /// True where a running kernel half was found and taken over.
    pub adopted: bool,
    /// Enforcement route: `lsm`.
    pub route: String,
    /// Kernel release.
    pub kernel: String,
    /// Hooks that are attached.
    pub hooks: Vec<String>,
    /// Hooks that are not, with the reason.
    pub missing: Vec<String>,
    /// Operation classes that differ from the mode: class to handling.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ops: BTreeMap<String, String>,
}

/// The controller stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Why.
    pub why: String,
}

/// A critical process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriticalProcess {
    /// `started`, `found`, `marked`, `ended` or `not-tracked`.
    pub change: String,
    /// Process id.
    pub pid: u32,
    /// Engine.
    pub engine: String,
    /// Name of the process.
    pub comm: String,
    /// Data directories, as far as they are known at this moment.
    pub data: Vec<String>,
    /// The kernel's stamp of the event, 0 where there was none.
    pub event_boot_ns: u64,
}

/// Who used a privileged verb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Process id of the client.
    pub pid: u32,
    /// User id.
    pub uid: u32,
    /// Name of the user.
    pub user: Option<String>,
    /// Login user id, null without a login session.
    pub auid: Option<u32>,
    /// Name of the login user, or `no login session`.
    pub login: String,
    /// Controlling terminal.
    pub tty: Option<String>,
    /// SSH client address, best effort.
    pub ssh_peer: Option<String>,
}

/// A release, done or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Who.
    pub by: Actor,
    /// The remembered device that was forgotten; null for the whole host.
    pub device: Option<String>,
    /// What was forgotten with it.
    pub forgotten: Vec<String>,
    /// Why it was refused; null where it was done.
    pub refused: Option<String>,
}

/// A mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Who.
    pub by: Actor,
    /// `pid`, `data`, `device` or `exe`.
    pub what: String,
    /// Which.
    pub object: String,
}

/// Health of a part of the guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The part: `links`, `self-test`, `classification`, `audit`, `devices-map`, ….
    pub part: String,
    /// True where it works (again).
    pub healthy: bool,
    /// What is wrong and what to do, or how it was mended.
    pub detail: String,
}

/// Something happened that is not in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// `dropped` (ring full), `missing` (made, but neither dropped nor found), `lifecycle`, `log`.
    pub what: String,
    /// How many.
    pub lost: u64,
    /// In words.
    pub detail: String,
}

/// A torn last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// Its length in bytes.
    pub torn_bytes: u64,
    /// Its beginning, for a person to look at.
    pub torn: String,
}

/// The configuration was read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRead {
    /// True where the new one is in force.
    pub accepted: bool,
    /// The files, or the error, or what would have been weaker.
    pub detail: String,
    /// Who has confirmed it, where that was necessary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
}

/// The kernel half was taken out: nothing is refused on this host from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unload {
    /// Who.
    pub by: Actor,
    /// Why it was refused; null where it was done.
    pub refused: Option<String>,
}

/// A step in the life of an override, or one that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// `requested`, `opened`, `drilled`, `used`, `closed`.
    pub step: String,
    /// Who; null where the time did it.
    pub by: Option<Actor>,
    /// Why it was refused; null where it was done.
    pub refused: Option<RefusedOverride>,
    /// `G-19`; null before there is one.
    pub grant: Option<String>,
    /// Names the request.
    pub nonce: Option<String>,
    /// The refusal that it was about.
    pub event: Option<String>,
    /// Operation classes.
    pub opens: Vec<String>,
    /// What they are opened on.
    pub object: Option<String>,
    /// What lay on it.
    pub carries: Option<String>,
    /// Who asked.
    pub requester: Option<String>,
    /// Ticket.
    pub incident: Option<String>,
    /// Why it was asked for.
    pub reason: Option<String>,
    /// Life, minutes.
    pub minutes: Option<u32>,
    /// Commands that may be run.
    pub uses: Option<u32>,
    /// People who must sign.
    pub signers_needed: Option<u32>,
    /// Who signed.
    pub signers: Vec<OverrideSigner>,
    /// Process that runs under it.
    pub pid: Option<u32>,
    /// What it executes.
    pub argv: Vec<String>,
    /// Why it was closed.
    pub why: Option<String>,
}

/// Why a step was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedOverride {
    /// A word for programs: `other-host`, `expired`, `unknown-key`, ….
    pub code: String,
    /// In words.
    pub why: String,
}

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideSigner {
    /// The principal.
    pub person: String,
    /// Fingerprint of the key.
    pub key: String,
    /// Fingerprint of the authority that vouches for it.
    pub authority: Option<String>,
    /// The key is in hardware.
    pub hardware: bool,
    /// The key lies sealed for emergencies.
    pub emergency: bool,
}

/// A device that is held open for writing from before that would have been refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// `found`, `stopped` (its process) or `gone`.
    pub change: String,
    /// Who holds what, and how.
    #[serde(flatten)]
    pub held: HeldOpen,
}

/// Who holds a device open for writing, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOpen {
    /// Process id.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Path of its executable.
    pub exe: String,
    /// Command line.
    pub argv: Vec<String>,
    /// Name of its user.
    pub user: Option<String>,
    /// Name of the login user, or `no login session`.
    pub login: String,
    /// Controlling terminal.
    pub tty: Option<String>,
    /// systemd unit.
    pub unit: Option<String>,
    /// Container id.
    pub container: Option<String>,
    /// `descriptor 3`, `shared mapping at 0x7f…`, ….
    pub how: String,
    /// Kernel name of the device; null where it cannot be told which one it is.
    pub device: Option<String>,
    /// `major:minor`; null likewise.
    pub dev: Option<String>,
    /// When it was seen first. It was opened before that.
    pub since: String,
    /// Writes are refused: there is nothing to do.
    pub closed: bool,
    /// The process was stopped.
    pub stopped: bool,
}

impl fmt::Display for HeldOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = self
            .device
            .as_deref()
            .unwrap_or("perhaps a protected device");
        write!(
            f,
            "{} {} has {device} open for writing from before ({})",
            self.comm, self.pid, self.how
        )?;
        if let Some(place) = self.container.as_ref().or(self.unit.as_ref()) {
            write!(f, ", in {place}")?;
        }
        f.write_str(match (self.closed, self.stopped) {
            (true, _) => "; writes are refused",
            (false, true) => "; the process is stopped, end it: kill -KILL PID",
            (false, false) => "; OPEN: end the process",
        })
    }
}

impl Body {
    /// Adds what this record accounts for.
    pub fn book(&self, account: &mut Account) {
        match self {
            Self::Denial(denial) => account.recorded += denial.count,
            Self::Gap(gap) => match gap.what.as_str() {
                "dropped" => account.dropped += gap.lost,
                "missing" => account.missing += gap.lost,
                "lifecycle" => account.lifecycle_dropped += gap.lost,
                _ => {}
            },
            _ => {}
        }
    }
}
