//! From what a hook was given to a returned value: the device's entry, the subject, the decision,
//! and what follows from it.

use aya_ebpf::helpers::generated::bpf_get_current_pid_tgid;
use guard_abi::{
    ArmWord, Counter, Decision, DeviceClass, DeviceKey, Hook, Op, PassthroughKind, Policy, canary,
    dev, device_flag,
};
use guard_ebpf::command::{self, Argument, Classified, Command, block};
use guard_ebpf::decide::{self, Access, Act, Driver, Object, Subject, Verdict};

use crate::arguments::{self, Sent};
use crate::emit::{self, Facts};
use crate::kernel::{Inode, S_IFBLK, S_IFCHR, S_IFMT};
use crate::maps::{ARM, CHAR_MAJORS, DEVICES, POLICY, TASKS};

/// What a hook returns to let an operation go on.
pub const ALLOW: i64 = 0;
/// What it returns to refuse it: `-EPERM`.
const REFUSE: i64 = -1;

/// Whether a file of this mode can be a device of ours. Ordinary files leave here. `S_IFBLK` and
/// `S_IFCHR` differ in one bit, so one comparison tells them from all other kinds.
#[inline(always)]
pub const fn is_device(mode: u16) -> bool {
    const EITHER: u16 = S_IFBLK ^ S_IFCHR;
    const { assert!(EITHER.is_power_of_two()) };
    mode & (S_IFMT & !EITHER) == S_IFCHR & S_IFBLK
}

/// The policy, while the host is armed or held.
///
/// Array maps have all their entries; if a lookup failed all the same, the host would count as
/// enforcing everything.
#[inline(always)]
pub fn enforcing() -> Option<Policy> {
    let policy = POLICY.get(0).copied().unwrap_or(Policy::STRICTEST);
    let arm_gen = ARM.get(ArmWord::ArmGen as u32).copied().unwrap_or(0);
    (arm_gen != policy.released_gen).then_some(policy)
}

/// A device node: what it is, before anything is known about the device.
#[derive(Clone, Copy)]
pub struct Node {
    key: DeviceKey,
    passthrough: PassthroughKind,
}

impl Node {
    /// The node behind an inode; `None` for an ordinary file, and for a character device that
    /// passes nothing through.
    #[inline(always)]
    pub fn of(inode: Inode) -> Option<Self> {
        let rdev = inode.rdev();
        if inode.mode() & S_IFMT == S_IFBLK {
            return Some(Self {
                key: DeviceKey::block(rdev),
                passthrough: PassthroughKind::None,
            });
        }
        let passthrough = match CHAR_MAJORS.get(dev::major(rdev)).copied().unwrap_or(0) {
            1 => PassthroughKind::NvmeController,
            2 => PassthroughKind::NvmeGeneric,
            3 => PassthroughKind::ScsiGeneric,
            4 => PassthroughKind::Bsg,
            5 => PassthroughKind::Raw,
            _ => return None,
        };
        Some(Self {
            key: DeviceKey::char(rdev),
            passthrough,
        })
    }

    /// Whether it is a block device.
    #[inline(always)]
    fn is_block(self) -> bool {
        matches!(self.passthrough, PassthroughKind::None)
    }
}

/// A device and what is known about it.
#[derive(Clone, Copy)]
struct Target {
    key: DeviceKey,
    object: Object,
    /// As in its entry; of an unknown device each partition may exist.
    partitions: u64,
}

impl Target {
    #[inline(always)]
    fn of(node: Node, policy: &Policy) -> Self {
        // SAFETY: an entry is only ever replaced as a whole; it is copied at once.
        let (class, flags, partitions) = match unsafe { DEVICES.get(node.key) } {
            None => (DeviceClass::Unknown, 0, u64::MAX),
            Some(entry) => (class(entry.class), entry.flags, entry.partitions),
        };
        let passthrough = node.passthrough;
        Self {
            key: node.key,
            object: Object {
                class,
                flags,
                passthrough,
                driver: driver(node, policy),
            },
            partitions,
        }
    }
}

/// The driver of a block device, by its major number.
#[inline(always)]
fn driver(node: Node, policy: &Policy) -> Driver {
    let major = dev::major(node.key.dev);
    if !node.is_block() {
        Driver::Other
    } else if major == dev::MD_MAJOR {
        Driver::Md
    } else if major == policy.dm_major && major != 0 {
        Driver::DeviceMapper
    } else {
        Driver::Other
    }
}

/// Any number that is no class is read as unknown.
#[inline(always)]
const fn class(number: u32) -> DeviceClass {
    if number == DeviceClass::Free as u32 {
        DeviceClass::Free
    } else if number == DeviceClass::Protected as u32 {
        DeviceClass::Protected
    } else {
        DeviceClass::Unknown
    }
}

/// Who acts: the current process as exec, fork and the controller have left it in `TASKS`.
#[inline(always)]
pub fn subject() -> Subject {
    // SAFETY: a helper without arguments.
    let pid = (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32;
    // SAFETY: the entry is copied at once.
    match unsafe { TASKS.get(pid) } {
        None => Subject::default(),
        Some(task) => Subject {
            critical: task.engine != 0,
            grants: task.grants,
        },
    }
}

/// Judges an open for writing, or with access mode 3.
#[inline(always)]
pub fn open(node: Node, access: Access, open_flags: u32) -> i64 {
    if node.is_block() && is_canary(node.key) {
        return refuse_canary();
    }
    let Some(policy) = enforcing() else {
        return ALLOW;
    };
    let target = Target::of(node, &policy);
    let verdict = decide::decide(subject(), target.object, Act::Open(access));
    let told = Told {
        hook: Hook::FileOpen,
        cmd: 0,
        open_flags,
        opcode: None,
    };
    conclude(verdict, &policy, &target, told)
}

/// Judges an ioctl or an io_uring command.
#[inline(always)]
pub fn command(hook: Hook, node: Node, sent: Sent) -> i64 {
    let classified = match hook {
        Hook::UringCmd => command::uring(node.passthrough, sent.cmd),
        _ if node.is_block() && sent.cmd == canary::IOCTL => return refuse_canary(),
        _ => command::ioctl(node.passthrough, sent.cmd),
    };
    if matches!(classified, Classified::Known(Command::Query)) {
        return ALLOW;
    }
    let Some(policy) = enforcing() else {
        return ALLOW;
    };
    if let Classified::Needs(argument @ (Argument::MdNewMember | Argument::MdHotAdd)) = classified {
        return new_member(hook, node, argument, sent, &policy);
    }
    let target = Target::of(node, &policy);
    if decide::is_plainly_free(target.object) {
        return ALLOW;
    }
    let (meaning, opcode) = match classified {
        Classified::Known(meaning) => (meaning, None),
        Classified::Needs(argument) => {
            arguments::judge(argument, node.passthrough, sent, target.partitions)
        }
    };
    // Nothing else asks who sends it: what a drive is told to do does not depend on it.
    let subject = match meaning {
        Command::Harm(Op::Discard | Op::Detach) => subject(),
        _ => Subject::default(),
    };
    let verdict = decide::decide(subject, target.object, Act::Command(meaning));
    conclude(
        verdict,
        &policy,
        &target,
        Told {
            hook,
            cmd: sent.cmd,
            open_flags: 0,
            opcode,
        },
    )
}

/// The object is the device that becomes a member, whatever array it is added to: a free array
/// must not swallow a protected disk.
#[inline(always)]
fn new_member(hook: Hook, array: Node, argument: Argument, sent: Sent, policy: &Policy) -> i64 {
    let told = Told {
        hook,
        cmd: sent.cmd,
        open_flags: 0,
        opcode: None,
    };
    let Some(member) = arguments::member(argument, sent) else {
        let target = Target::of(array, policy);
        let act = Act::Command(Command::Unreadable);
        let object = Object {
            class: DeviceClass::Unknown,
            ..target.object
        };
        return conclude(
            decide::decide(Subject::default(), object, act),
            policy,
            &target,
            told,
        );
    };
    let member = Node {
        key: DeviceKey::block(member),
        passthrough: PassthroughKind::None,
    };
    let target = Target::of(member, policy);
    if !matches!(target.object.class, DeviceClass::Free) {
        // An array that began free (`bdev_add`) is so no longer, whatever becomes of this.
        let _ = DEVICES.remove(array.key);
    }
    let act = Act::Command(block::new_member(target.object.flags));
    conclude(
        decide::decide(Subject::default(), target.object, act),
        policy,
        &target,
        told,
    )
}

#[inline(always)]
fn is_canary(key: DeviceKey) -> bool {
    if key.dev != canary::DEVICE.dev {
        return false;
    }
    // SAFETY: the entry is read at once.
    unsafe { DEVICES.get(key) }.is_some_and(|entry| entry.flags & device_flag::CANARY != 0)
}

/// Refuses an attack of the self-test.
#[inline(always)]
pub fn refuse_canary() -> i64 {
    emit::count(Counter::Canary);
    REFUSE
}

/// What the event says beside the device and the verdict.
#[derive(Clone, Copy)]
struct Told {
    hook: Hook,
    cmd: u32,
    open_flags: u32,
    opcode: Option<u8>,
}

/// Applies the mode, tells, and returns. A refusal stands whether or not it can be told.
#[inline(always)]
fn conclude(verdict: Verdict, policy: &Policy, target: &Target, told: Told) -> i64 {
    let verdict = verdict.under(policy);
    if matches!(verdict.decision, Decision::Allow) {
        return ALLOW;
    }
    let facts = Facts {
        dev: target.key.dev,
        device_flags: target.object.flags,
        cmd: told.cmd,
        open_flags: told.open_flags,
        decision: verdict.decision as u8,
        reason: verdict.reason as u8,
        hook: told.hook as u8,
        op: verdict.op as u8,
        device_kind: target.key.kind as u8,
        device_class: target.object.class as u8,
        opcode: told.opcode.unwrap_or(0),
        has_opcode: u8::from(told.opcode.is_some()),
        object_fs: 0,
        object_ino: 0,
        dentry: 0,
    };
    tell(&facts)
}

/// Tells, and returns what the kernel is to do.
#[inline(always)]
pub fn tell(facts: &Facts) -> i64 {
    emit::denial(facts);
    if facts.decision == Decision::Deny as u8 {
        REFUSE
    } else {
        ALLOW
    }
}
