//! Tracepoint `sched_process_exit`: kernel/exit.c `do_exit`, once a thread.

use core::ffi::c_void;

use aya_ebpf::programs::BtfTracePointContext;
use guard_abi::LifecycleKind;

use crate::emit;
use crate::kernel::Task;
use crate::maps::{SCRIPTS, TASKS};

/// `void sched_process_exit(struct task_struct *task)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "tp_btf/sched_process_exit")]
extern "C" fn exit(ctx: *mut c_void) -> i64 {
    let ctx = BtfTracePointContext::new(ctx);
    let task = Task(ctx.arg(0));
    // It ended in the middle of execve(2).
    let _ = SCRIPTS.remove(task.pid());
    // `signal->live` is counted down before the tracepoint: zero means the last thread. Two last
    // threads can both see zero; the entry goes once.
    if task.live_threads() != 0 {
        return 0;
    }
    let pid = task.tgid();
    // SAFETY: the entry is copied at once.
    let Some(entry) = unsafe { TASKS.get(pid) }.copied() else {
        return 0;
    };
    let was_ours = TASKS.remove(pid).is_ok();
    if was_ours && entry.engine != 0 && !has_critical_parent(task) {
        emit::lifecycle(LifecycleKind::Ended, entry.engine, pid);
    }
    0
}

/// A worker that was forked by a database server: its end is nothing to tell.
#[inline(always)]
fn has_critical_parent(task: Task) -> bool {
    // SAFETY: the entry is read at once.
    unsafe { TASKS.get(task.parent_tgid()) }.is_some_and(|parent| parent.engine != 0)
}
