//! LSM `capable`: kernel/capability.c `ns_capable_common`. Asked for every capability; all but one
//! leave at once. reboot(2), kexec_load(2) and kexec_file_load(2) ask for `CAP_SYS_BOOT` before
//! anything else, and nobody else does. The hook is not told by whom it is asked: the registers are.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{Hook, SystemCall};
use guard_ebpf::machine::{self, Called, Caller};

use crate::judge::ALLOW;
use crate::kernel::AnyTask;
use crate::places;

/// include/uapi/linux/capability.h
const CAP_SYS_BOOT: u32 = 22;

/// `int capable(const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts)`
///
/// What a program before this one has returned is not looked at, see `inode_unlink`.
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/capable")]
extern "C" fn capable(ctx: *mut c_void) -> i64 {
    let capability: u32 = LsmContext::new(ctx).arg(2);
    if capability != CAP_SYS_BOOT {
        return ALLOW;
    }
    boot()
}

/// Out of line: other capabilities must not pay for its registers and stack.
#[inline(never)]
fn boot() -> i64 {
    let task = AnyTask::current();
    let wanted = task.system_call().and_then(machine::called);
    let caller = Caller {
        init: task.tgid() == 1,
        contained: task.pid_namespace_level() != 0,
    };
    places::system(Hook::Capable, detail(wanted), |subject| {
        machine::boot(subject, caller, wanted)
    })
}

/// What the event says: the command of reboot(2), or the number of any other call.
#[inline(always)]
fn detail(wanted: Option<Called>) -> u32 {
    match wanted {
        None => 0,
        Some(Called {
            call: SystemCall::Reboot,
            argument,
        }) => argument,
        Some(Called { call, .. }) => call as u32,
    }
}
