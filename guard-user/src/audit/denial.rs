//! The record of one refused operation.

use serde::{Deserialize, Serialize};

/// What people read instead of the login user id 4294967295.
pub const NO_LOGIN: &str = "no login session";

/// Names an event of the kernel half: boot time in ns, CPU, thread id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventKey(pub u64, pub u32, pub u32);

/// An operation that was refused, would have been refused, or is worth a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Denial {
    /// `deny`, `would-deny`, `record`, `allowed` or `granted`.
    pub decision: String,
    /// Reason code.
    pub reason: String,
    /// The hook that saw it.
    pub hook: String,
    /// Operation class.
    pub op: String,
    /// What it was done to.
    pub object: Object,
    /// Who did it.
    pub process: Process,
    /// The databases that lived at the time.
    pub database: Vec<Database>,
    /// The ioctl or io_uring command; null for an open.
    pub command: Option<Command>,
    /// What was done to a file (`write`, `remove`, …); null for anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<String>,
    /// Open flags in words (`O_WRONLY|O_EXCL`); null for a command.
    pub open: Option<String>,
    /// The grant that let it through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantUsed>,
    /// Operations that this record stands for.
    pub count: u64,
    /// The kernel's name of the first of them.
    pub key: EventKey,
    /// The kernel's names of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeats: Vec<EventKey>,
}

impl Denial {
    /// Names of all events that the record stands for.
    pub fn keys(&self) -> impl Iterator<Item = EventKey> + '_ {
        std::iter::once(self.key).chain(self.repeats.iter().copied())
    }
}

/// A grant that let something through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantUsed {
    /// `G-19`.
    pub id: String,
    /// Fingerprints of the keys that signed it.
    pub signers: Vec<String>,
    /// Ticket of the incident; null where the grant is not known any more.
    pub incident: Option<String>,
}

/// A device, a file, or the system itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// `block`, `char`, `file` or `system`.
    pub kind: String,
    /// Kernel name, `nvme0n1p1`; the number again where the device is not known. Of a file its
    /// path.
    pub name: String,
    /// `major:minor`.
    pub dev: String,
    /// `free`, `protected` or `unknown`.
    pub class: String,
    /// What else the kernel half knew about it.
    pub flags: Vec<String>,
    /// Sequence number of the disk, 0 where the kernel has none.
    pub diskseq: u64,
    /// World-wide id.
    pub wwid: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// The devices it is stacked with, by name.
    pub stack: Vec<String>,
    /// Where it, or what lies above it, is mounted.
    pub mounts: Vec<String>,
    /// Why it is protected, in words.
    pub why: Vec<String>,
}

/// The process that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// When it was started, ns of CLOCK_BOOTTIME.
    pub start_boot_ns: u64,
    /// Name of the thread.
    pub comm: String,
    /// Path of the executable where it could still be read, otherwise its base name.
    pub exe: String,
    /// Inode number of the executable.
    pub exe_ino: u64,
    /// Device of the executable's file system, `major:minor`.
    pub exe_dev: String,
    /// Command line.
    pub argv: Vec<String>,
    /// True where the command line was longer than what is recorded.
    pub argv_truncated: bool,
    /// Working directory, where it could still be read.
    pub cwd: Option<String>,
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Name of the real user.
    pub user: Option<String>,
    /// Login user id; null without a login session.
    pub auid: Option<u32>,
    /// Name of the login user, its number without a name, or [`NO_LOGIN`].
    pub login: String,
    /// Audit session id; null without one.
    pub session: Option<u32>,
    /// Controlling terminal.
    pub tty: Option<String>,
    /// The process's ancestors, the parent first.
    pub ancestors: Vec<Ancestor>,
    /// SSH client address, best effort.
    pub ssh_peer: Option<String>,
    /// cgroup path.
    pub cgroup: Option<String>,
    /// systemd unit.
    pub unit: Option<String>,
    /// Container id.
    pub container: Option<String>,
}

/// One ancestor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Process id.
    pub pid: u32,
    /// Name.
    pub comm: String,
}

/// A database server that lived at the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Engine.
    pub engine: String,
    /// Process id.
    pub pid: u32,
    /// Name of the server's process or executable.
    pub name: String,
    /// Data directories.
    pub data: Vec<String>,
    /// Role in replication; `unknown`, because nothing reads it yet.
    pub role: String,
}

/// An ioctl or io_uring command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Number.
    pub number: u32,
    /// Number as headers write it, `0x1277`.
    pub hex: String,
    /// Name, where it is known.
    pub name: Option<String>,
    /// Passthrough opcode, where one was read.
    pub opcode: Option<u8>,
}
