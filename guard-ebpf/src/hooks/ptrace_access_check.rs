//! LSM `ptrace_access_check`: kernel/ptrace.c `__ptrace_may_access`.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{Hook, tool_grant};
use guard_ebpf::itself;

use crate::judge::{self, ALLOW};
use crate::kernel::Task;
use crate::places;

/// `int ptrace_access_check(struct task_struct *child, unsigned int mode)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/ptrace_access_check")]
extern "C" fn ptrace_access_check(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let mode: u32 = args.arg(1);
    if mode & itself::PTRACE_MODE_ATTACH == 0 {
        return ALLOW;
    }
    let process = Task(args.arg(0)).tgid();
    if judge::grants_of(process) & tool_grant::GUARD == 0 {
        return ALLOW;
    }
    places::system(Hook::PtraceAccessCheck, process, itself::trace)
}
