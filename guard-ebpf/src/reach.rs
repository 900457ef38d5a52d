//! The second layer's judgement: facts about the thread come by probed loads, the only way there is
//! for a cgroup device program on 5.10.

use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_probe_read_user};
use guard_abi::{
    ActKey, Counter, Decision, DeviceClass, Hook, OPEN_FLAGS_UNKNOWN, Told as HowFar, ToldAct,
    canary,
};
use guard_ebpf::caller::{self, Call, Caller};
use guard_ebpf::decide::{self, Access, Act, Verdict};
use guard_ebpf::told::{self, Judge};

use crate::emit::{self, Opcode};
use crate::judge::{ALLOW, Actor, REFUSE, Told, conclude, enforcing};
use crate::kernel::{AnyTask, O_ACCMODE};
use crate::maps::ACTS;
use crate::target::{Node, Target};

/// Judges what the second layer sees: an open for writing by the current thread, or by the kernel on
/// its behalf.
#[inline(always)]
pub fn reach(node: Node, access: Access) -> i64 {
    if node.key.dev == canary::LAYER_DEVICE.dev {
        emit::count(Counter::CanaryLayer);
        return REFUSE;
    }
    // The first canary is `file_open`'s to refuse.
    if node.key.dev == canary::DEVICE.dev {
        return ALLOW;
    }
    let Some(policy) = enforcing() else {
        return ALLOW;
    };
    let target = Target::of_any_process(node, &policy);
    if matches!(target.object.class, DeviceClass::Free) {
        return ALLOW;
    }
    let task = AnyTask::current();
    // The kernel's own threads: arrays that assemble, events of device-mapper.
    if task.is_kernel_thread() {
        return ALLOW;
    }
    let call = task.system_call().map_or(Call::UNKNOWN, caller::meaning);
    let open_flags = open_flags(call);
    let access = if open_flags != OPEN_FLAGS_UNKNOWN && open_flags & O_ACCMODE == O_ACCMODE {
        Access {
            write: false,
            ioctl_only: true,
        }
    } else {
        access
    };
    let act = Act::Reach(call.caller, access);
    let actor = Actor::of(task.tgid());
    let verdict = decide::decide(actor.subject, target.object, act);
    let verdict = verdict.under(&policy);
    if is_observed(verdict) && !is_due(Judge::CgroupDevice, node.key.dev, call.swap) {
        return ALLOW;
    }
    let told = Told {
        hook: Hook::CgroupDevice,
        cmd: call.ioctl,
        open_flags,
        opcode: Opcode::NONE,
        // The kernel's own opens pass no other hook.
        later: matches!(call.caller, Caller::Program),
        runs_under: actor.glass,
    };
    conclude(verdict, &policy, &target, told)
}

/// The flags of an open, from user memory where openat2(2) has them.
#[inline(always)]
fn open_flags(call: Call) -> u32 {
    if call.flags_at == 0 {
        return call.open_flags;
    }
    let mut flags = 0_u64;
    // SAFETY: the helper writes the 8 bytes it is given and checks the source itself.
    let failed = unsafe {
        bpf_probe_read_user(
            (&raw mut flags).cast(),
            size_of::<u64>() as u32,
            core::ptr::without_provenance(call.flags_at as usize),
        )
    };
    if failed == 0 {
        flags as u32
    } else {
        OPEN_FLAGS_UNKNOWN
    }
}

/// Whether the act goes on although the rule refuses it.
#[inline(always)]
pub const fn is_observed(verdict: Verdict) -> bool {
    matches!(verdict.decision, Decision::WouldDeny | Decision::Allowed)
}

/// Whether an event is due of an act that goes on and that other hooks see too, see
/// [`guard_ebpf::told`].
#[inline(always)]
pub fn is_due(judge: Judge, dev: u32, swap: bool) -> bool {
    /// An open that takes longer may be told twice.
    const FORGOTTEN_AFTER_NS: u64 = 10_000_000_000;
    let key = ActKey {
        tid: AnyTask::current().tid(),
        dev,
    };
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    // SAFETY: the entry is read at once.
    let before = match unsafe { ACTS.get(key) } {
        Some(act) if now.wrapping_sub(act.boot_ns) < FORGOTTEN_AFTER_NS => {
            if act.told == HowFar::ByCgroup as u32 {
                HowFar::ByCgroup
            } else if act.told == HowFar::ByFileOpen as u32 {
                HowFar::ByFileOpen
            } else {
                HowFar::Nothing
            }
        }
        _ => HowFar::Nothing,
    };
    let (due, after) = told::told(before, judge, swap);
    let act = ToldAct {
        boot_ns: now,
        told: after as u32,
        reserved: 0,
    };
    // No room: the act is told once more.
    let _ = ACTS.insert(key, act, 0);
    due
}
