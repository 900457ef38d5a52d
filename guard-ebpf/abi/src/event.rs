//! What the kernel half tells.

use crate::words::words;

/// Bytes of `task_struct.comm` (include/linux/sched.h `TASK_COMM_LEN`).
pub const TASK_COMM_BYTES: usize = 16;
/// Bytes kept of the executable's base name.
pub const EXE_NAME_BYTES: usize = 32;
/// Bytes kept of the command line.
pub const ARGV_BYTES: usize = 256;
/// Ancestors kept, the parent first.
pub const ANCESTORS: usize = 6;

/// Names kept of a file and the directories above it, the file's own first.
pub const OBJECT_NAMES: usize = 6;

/// [`DenialEvent::argv_state`]: the command line was longer than [`ARGV_BYTES`], or could not be
/// read to its end.
pub const CMDLINE_PARTIAL: u8 = 1;

/// [`DenialEvent::open_flags`] of an open whose flags are not known.
pub const OPEN_FLAGS_UNKNOWN: u32 = u32::MAX;

/// One ancestor of the process that was refused.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Process id, 0 where the list has ended.
    pub pid: u32,
    /// `comm`, zero-padded.
    pub comm: [u8; TASK_COMM_BYTES],
}

/// An operation that was refused, would have been refused, or is worth a record. Travels in the
/// `DENIALS` ring.
///
/// `(boot_ns, cpu, tid)` names an event: a controller that was killed between writing a record and
/// moving on finds the event again and must know it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenialEvent {
    /// When, ns of CLOCK_BOOTTIME (CLOCK_MONOTONIC where the kernel has no boot-time helper).
    pub boot_ns: u64,
    /// When the process was started, ns of CLOCK_BOOTTIME.
    pub start_boot_ns: u64,
    /// cgroup v2 id (inode number of its directory), 0 where there is none.
    pub cgroup_id: u64,
    /// Inode number of the executable.
    pub exe_ino: u64,
    /// Inode number of a file that is the object, otherwise 0.
    pub object_ino: u64,
    /// `s_dev` of the executable's file system.
    pub exe_dev: u32,
    /// CPU the event was made on.
    pub cpu: u32,
    /// Object: dev_t in kernel form; of a file, its file system's `s_dev`; of the system, 0.
    pub dev: u32,
    /// Bits of [`crate::device_flag`], 0 for an unknown device.
    pub device_flags: u32,
    /// ioctl or io_uring command number, 0 for an open; of a file, a [`crate::FileAct`]; of the
    /// system, what the hook says.
    pub cmd: u32,
    /// Open flags (`O_*`) for an open, [`OPEN_FLAGS_UNKNOWN`] where they are not known, otherwise 0.
    pub open_flags: u32,
    /// Process id (tgid).
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Login user id (`loginuid`), 4294967295 without a login session.
    pub auid: u32,
    /// Audit session id, 4294967295 without one.
    pub session: u32,
    /// dev_t (kernel form) of the controlling terminal, 0 without one.
    pub tty: u32,
    /// The grant that let it through, otherwise 0.
    pub grant: u32,
    /// A [`crate::Decision`].
    pub decision: u8,
    /// A [`crate::Reason`].
    pub reason: u8,
    /// A [`crate::Hook`].
    pub hook: u8,
    /// An [`crate::Op`].
    pub op: u8,
    /// A [`crate::ObjectKind`].
    pub device_kind: u8,
    /// A [`crate::DeviceClass`].
    pub device_class: u8,
    /// The passthrough opcode (NVMe opcode, first byte of a CDB, ATA command), where one was read.
    pub opcode: u8,
    /// 1 where `opcode` holds one.
    pub has_opcode: u8,
    /// Bytes used in `argv`.
    pub argv_bytes: u16,
    /// 0, or [`CMDLINE_PARTIAL`].
    pub argv_state: u8,
    /// A [`crate::FileSystem`], where the object is a file.
    pub object_fs: u8,
    /// `comm` of the thread.
    pub comm: [u8; TASK_COMM_BYTES],
    /// Zero.
    pub reserved: u32,
    /// Base name of the executable file.
    pub exe_name: [u8; EXE_NAME_BYTES],
    /// Ancestors, the parent first.
    pub ancestors: [Ancestor; ANCESTORS],
    /// Names of the file that is the object and of the directories above it, its own first. A
    /// name `/` is the root of its file system.
    pub object_names: [[u8; crate::FILE_NAME_BYTES]; OBJECT_NAMES],
    /// The command line, arguments separated by zero bytes.
    pub argv: [u8; ARGV_BYTES],
}

words! {
    /// What happened to a critical process.
    LifecycleKind {
        /// A critical process was started (exec).
        Started = 1 => "started",
        /// A process that was critical by itself, not a forked worker, has ended.
        Ended = 2 => "ended",
        /// `TASKS` was full: the process is guarded (the host is armed) but not counted.
        NotTracked = 3 => "not-tracked",
        /// While the host is idle, a device was opened for writing that would be refused if it were
        /// not. Told only when nothing else waits in the ring: it means "look", not who or what.
        Opened = 10 => "opened",
    }
}

/// Travels in the `LIFECYCLE` ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifecycleEvent {
    /// When, ns of CLOCK_BOOTTIME.
    pub boot_ns: u64,
    /// `arm_gen` after the event.
    pub arm_gen: u64,
    /// Process id (tgid).
    pub pid: u32,
    /// A [`LifecycleKind`].
    pub kind: u8,
    /// An [`crate::Engine`].
    pub engine: u8,
    /// Zero.
    pub reserved: u16,
    /// `comm`.
    pub comm: [u8; TASK_COMM_BYTES],
}

/// Index into the per-CPU `COUNTERS` array. Counters are the truth; events are the detail.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Operations refused.
    Denied = 0,
    /// Operations that observe mode let pass.
    WouldDeny = 1,
    /// Allowed operations worth a record.
    Recorded = 2,
    /// Events of the three kinds above that did not fit into the ring.
    Dropped = 3,
    /// Lifecycle events that did not fit into their ring.
    LifecycleDropped = 4,
    /// Critical processes that did not fit into `TASKS`.
    TasksFull = 5,
    /// Self-tests refused, see [`crate::canary`]. No event goes with them.
    Canary = 6,
    /// Self-tests refused by the second layer, the cgroup device program.
    CanaryLayer = 7,
}

impl Counter {
    /// Number of counters.
    pub const COUNT: u32 = 8;
}

/// Key of the `ACTS` map: what one thread does to one block device.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActKey {
    /// Thread id.
    pub tid: u32,
    /// dev_t in kernel form.
    pub dev: u32,
}

words! {
    /// How far an act has been told; the value of [`ToldAct::told`].
    Told {
        /// Not at all.
        Nothing = 0 => "nothing",
        /// By the cgroup device hook, first of the hooks that see an open.
        ByCgroup = 1 => "by-cgroup",
        /// By `file_open`, or before it; the cgroup device hook is asked once more.
        ByFileOpen = 2 => "by-file-open",
    }
}

/// Value of the `ACTS` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldAct {
    /// When, ns of CLOCK_BOOTTIME.
    pub boot_ns: u64,
    /// A [`Told`].
    pub told: u32,
    /// Zero.
    pub reserved: u32,
}
