//! LSM `task_kill`: kernel/signal.c `check_kill_permission`, for signals that a process sends.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{Hook, tool_grant};
use guard_ebpf::itself;

use crate::judge::{self, ALLOW};
use crate::kernel::Task;
use crate::places;

/// `int task_kill(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred
/// *cred)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/task_kill")]
extern "C" fn task_kill(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let signal: u32 = args.arg(2);
    if itself::is_harmless_signal(signal) {
        return ALLOW;
    }
    let process = Task(args.arg(0)).tgid();
    if judge::grants_of(process) & tool_grant::CONTROLLER == 0 {
        return ALLOW;
    }
    places::system(Hook::TaskKill, signal, |subject| {
        itself::signal(subject, signal)
    })
}
