//! From what a hook was given to a returned value: the target, the subject, the decision, and what
//! follows from it.

use guard_abi::{
    ArmWord, Counter, Decision, DeviceClass, DeviceKey, Hook, Op, PassthroughKind, Policy, canary,
    device_flag, tool_grant,
};
use guard_ebpf::command::{self, Argument, Classified, Command, block};
use guard_ebpf::decide::{self, Access, Act, Object, Subject, Verdict};
use guard_ebpf::glass;
use guard_ebpf::told::Judge;

use crate::arguments::{self, Sent};
use crate::emit::{self, Facts, Opcode};
use crate::granted;
use crate::kernel::{AnyTask, FMODE_WRITE, File, Inode, S_IFBLK, S_IFCHR, S_IFMT, current_process};
use crate::maps::{ARM, DEVICES, POLICY, TASKS};
use crate::reach::{is_due, is_observed};
use crate::target::{Node, Target};

/// What a hook returns to let an operation go on.
pub const ALLOW: i64 = 0;
/// What it returns to refuse it: `-EPERM`.
pub const REFUSE: i64 = -1;

/// Whether a file of this mode can be a device of ours. Ordinary files leave here. `S_IFBLK` and
/// `S_IFCHR` differ in one bit, so one comparison tells them from all other kinds.
#[inline(always)]
pub const fn is_device(mode: u16) -> bool {
    const EITHER: u16 = S_IFBLK ^ S_IFCHR;
    const { assert!(EITHER.is_power_of_two()) };
    mode & (S_IFMT & !EITHER) == S_IFCHR & S_IFBLK
}

/// The policy.
///
/// Array maps have all their entries; if a lookup failed all the same, the host would count as
/// enforcing everything.
#[inline(always)]
fn policy() -> Policy {
    POLICY.get(0).copied().unwrap_or(Policy::STRICTEST)
}

/// Whether the host is armed or held.
#[inline(always)]
fn is_in_force(policy: &Policy) -> bool {
    let arm_gen = ARM.get(ArmWord::ArmGen as u32).copied().unwrap_or(0);
    arm_gen != policy.released_gen
}

/// The policy, while the host is armed or held.
#[inline(always)]
pub fn enforcing() -> Option<Policy> {
    let policy = policy();
    is_in_force(&policy).then_some(policy)
}

/// Who acts, and under which grant.
#[derive(Clone, Copy)]
pub struct Actor {
    pub subject: Subject,
    /// The number of the grant that the process runs under, 0 where there is none.
    pub glass: u64,
}

impl Actor {
    /// The current process as exec, fork and the controller have left it in `TASKS`.
    #[inline(always)]
    pub fn current() -> Self {
        Self::of(current_process())
    }

    /// The same of a process id.
    #[inline(always)]
    pub fn of(pid: u32) -> Self {
        if pid == 1 {
            // Process 1 runs under no grant: nobody executes it with one.
            return Self {
                subject: Subject {
                    critical: false,
                    grants: grants_of(pid) | tool_grant::INIT,
                },
                glass: 0,
            };
        }
        // SAFETY: the entry is copied at once.
        match unsafe { TASKS.get(pid) } {
            None => Self {
                subject: Subject::default(),
                glass: 0,
            },
            Some(task) => Self {
                subject: Subject {
                    critical: task.engine != 0,
                    grants: task.grants,
                },
                glass: u64::from(task.glass),
            },
        }
    }
}

/// Who acts, where no grant is asked about.
#[inline(always)]
pub fn subject() -> Subject {
    Actor::current().subject
}

/// Grants of a process, by its number in the initial namespace.
#[inline(always)]
pub fn grants_of(pid: u32) -> u32 {
    // SAFETY: the entry is read at once.
    unsafe { TASKS.get(pid) }.map_or(0, |task| task.grants)
}

/// Judges an open for writing, or with access mode 3.
#[inline(always)]
pub fn open(node: Node, access: Access, open_flags: u32) -> i64 {
    if node.is_block() && is_canary(node.key) {
        return refuse_canary();
    }
    // The second layer would have refused it; and there is no such device.
    if node.is_block() && node.key.dev == canary::LAYER_DEVICE.dev {
        return ALLOW;
    }
    let policy = policy();
    let target = Target::of(node, &policy);
    let actor = Actor::current();
    let verdict = decide::decide(actor.subject, target.object, Act::Open(access));
    if !is_in_force(&policy) {
        if access.write && matches!(verdict.decision, Decision::Deny) {
            // It must not outlive the moment in which the host is armed.
            emit::opened();
        }
        return ALLOW;
    }
    let verdict = verdict.under(&policy);
    if is_observed(verdict) && node.is_block() && !is_due(Judge::FileOpen, node.key.dev, false) {
        return ALLOW;
    }
    let told = Told {
        hook: Hook::FileOpen,
        cmd: 0,
        open_flags,
        opcode: Opcode::NONE,
        later: false,
        runs_under: actor.glass,
    };
    conclude(verdict, &policy, &target, told)
}

/// Judges a write through a file that is open already, by whatever descriptor, mapping or ring
/// holds it: as if the writer opened it now. The kernel's own threads write what lies on the
/// device (a loop device's, a target's); what they were given is judged where it was given.
#[inline(always)]
pub fn write(hook: Hook, file: File) -> i64 {
    if file.mode() & FMODE_WRITE == 0 {
        return ALLOW;
    }
    let Some(node) = Node::of(file.inode()) else {
        return ALLOW;
    };
    let Some(policy) = enforcing() else {
        return ALLOW;
    };
    let target = Target::of(node, &policy);
    let access = Access {
        write: true,
        ioctl_only: false,
    };
    let actor = Actor::current();
    let verdict = decide::decide(actor.subject, target.object, Act::Open(access));
    if matches!(verdict.decision, Decision::Allow) || AnyTask::current().is_kernel_thread() {
        return ALLOW;
    }
    let told = Told {
        hook,
        cmd: 0,
        open_flags: file.flags(),
        opcode: Opcode::NONE,
        // Its open was told; a grant's writes are not told one by one.
        later: true,
        runs_under: actor.glass,
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
        Classified::Known(meaning) => (meaning, Opcode::NONE),
        Classified::Needs(argument) => {
            arguments::judge(argument, node.passthrough, sent, target.partitions)
        }
    };
    // Nothing else asks who sends it: what a drive is told to do does not depend on it.
    let subject = match meaning {
        Command::Harm(Op::Discard | Op::Detach) | Command::Assemble(_) => subject(),
        _ => Subject::default(),
    };
    let verdict = decide::decide(subject, target.object, Act::Command(meaning));
    if matches!(meaning, Command::LoseMember) && !matches!(verdict.decision, Decision::Deny) {
        use_redundancy_up(target.key.dev);
    }
    conclude(
        verdict,
        &policy,
        &target,
        Told {
            hook,
            cmd: sent.cmd,
            open_flags: 0,
            opcode,
            later: false,
            runs_under: granted::LOOK_UP,
        },
    )
}

/// An array loses a member: whether it can do without another is told by the controller, once it has
/// looked at the array again. Until then it cannot.
///
/// Out of line: it is rare, and `command` is short of registers.
#[inline(never)]
fn use_redundancy_up(array: u32) {
    if let Some(entry) = DEVICES.get_ptr_mut(DeviceKey::block(array)) {
        // SAFETY: a map value, aligned. An entry that the controller writes meanwhile is another one,
        // and then this is as if the controller had been the later one.
        unsafe { (*entry).flags &= !device_flag::MD_REDUNDANT };
    }
}

/// The object is the device that becomes a member, whatever array it is added to: a free array
/// must not swallow a protected disk.
#[inline(always)]
fn new_member(hook: Hook, array: Node, argument: Argument, sent: Sent, policy: &Policy) -> i64 {
    let told = Told {
        hook,
        cmd: sent.cmd,
        open_flags: 0,
        opcode: Opcode::NONE,
        later: false,
        runs_under: granted::LOOK_UP,
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
pub struct Told {
    pub hook: Hook,
    pub cmd: u32,
    pub open_flags: u32,
    pub opcode: Opcode,
    /// Another hook sees the same act: what it lets through under a grant it tells.
    pub later: bool,
    /// The grant that the process runs under, where it has been looked up: 0 for none, or
    /// [`granted::LOOK_UP`].
    pub runs_under: u64,
}

/// Applies the mode, tells, and returns. A refusal stands whether or not it can be told.
#[inline(always)]
pub fn conclude(verdict: Verdict, policy: &Policy, target: &Target, told: Told) -> i64 {
    let verdict = verdict.under(policy);
    if matches!(verdict.decision, Decision::Allow) {
        return ALLOW;
    }
    let mut facts = Facts {
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
        opcode: told.opcode,
        object_fs: 0,
        object_ino: 0,
        dentry: 0,
        grant: 0,
        told_later: told.later,
    };
    // Another's grant is none.
    let is_other = told.runs_under != granted::LOOK_UP && told.runs_under != target.glass;
    let object = if is_other { 0 } else { target.glass };
    tell(&mut facts, object, told.runs_under)
}

/// Tells, and returns what the kernel is to do. Every refusal but those of the canary comes through
/// here, and so does every grant that lifts one. `object` and `runs_under` are as
/// [`granted::open_for`] has them; an `object` of 0 is no grant's.
#[inline(always)]
pub fn tell(facts: &mut Facts, object: u64, runs_under: u64) -> i64 {
    if facts.decision == Decision::Deny as u8 {
        if object != 0 {
            facts.grant = granted::open_for(object, runs_under, facts.op);
        }
        if facts.grant == 0 {
            emit::denial(facts);
            return REFUSE;
        }
        facts.decision = Decision::Granted as u8;
        if facts.told_later {
            return ALLOW;
        }
    }
    emit::denial(facts);
    ALLOW
}

/// The same of an act on the host itself: what it boots from, its firmware, the running system.
#[inline(always)]
pub fn tell_of_host(facts: &mut Facts) -> i64 {
    tell(facts, glass::HOST, granted::LOOK_UP)
}

/// FIFREEZE, `_IOWR('X', 119, int)` (include/uapi/linux/fs.h).
const FREEZE: u32 = 0xC004_5877;
/// XFS_IOC_GOINGDOWN, EXT4_IOC_SHUTDOWN, F2FS_IOC_SHUTDOWN, BTRFS_IOC_SHUTDOWN:
/// `_IOR('X', 125, __u32)`.
const GO_DOWN: u32 = 0x8004_587D;

/// `FS_IOC_SETFSLABEL` (include/uapi/linux/fs.h): what the next boot may know it by.
const SET_LABEL: u32 = 0x4100_9432;
/// `EXT4_IOC_SETFSUUID` (include/uapi/linux/ext4.h): the same.
const SET_UUID: u32 = 0x4008_662C;

/// Whether an ioctl on any file of a file system is about the whole of it.
#[inline(always)]
pub const fn is_of_file_system(cmd: u32) -> bool {
    matches!(cmd, FREEZE | GO_DOWN | SET_LABEL | SET_UUID)
}

/// Judges such an ioctl. Backups freeze, and what only the next boot notices can be put back;
/// nothing shuts a file system down but tests.
#[inline(always)]
pub fn file_system(hook: Hook, inode: Inode, cmd: u32) -> i64 {
    let Some(policy) = enforcing() else {
        return ALLOW;
    };
    let node = Node {
        key: DeviceKey::block(inode.superblock_dev()),
        passthrough: PassthroughKind::None,
    };
    let target = Target::of(node, &policy);
    let meaning = if cmd == GO_DOWN {
        Command::Harm(Op::Detach)
    } else {
        Command::Notable(Op::Detach)
    };
    let verdict = decide::decide(Subject::default(), target.object, Act::Command(meaning));
    let told = Told {
        hook,
        cmd,
        open_flags: 0,
        opcode: Opcode::NONE,
        later: false,
        runs_under: granted::LOOK_UP,
    };
    conclude(verdict, &policy, &target, told)
}
