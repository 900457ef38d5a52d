//! Tracepoint `sched_process_fork`: kernel/fork.c `kernel_clone`, before the child runs.

use core::ffi::c_void;

use aya_ebpf::programs::BtfTracePointContext;
use guard_abi::{Counter, TaskEntry};

use crate::emit;
use crate::granted;
use crate::kernel::Task;
use crate::maps::TASKS;

/// `void sched_process_fork(struct task_struct *parent, struct task_struct *child)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "tp_btf/sched_process_fork")]
extern "C" fn fork(ctx: *mut c_void) -> i64 {
    let ctx = BtfTracePointContext::new(ctx);
    let (parent, child) = (Task(ctx.arg(0)), Task(ctx.arg(1)));
    let pid = child.tgid();
    let parent_pid = parent.tgid();
    // A new thread belongs to a process that is known already.
    if pid == parent_pid {
        return 0;
    }
    // SAFETY: the entry is copied at once.
    let Some(entry) = (unsafe { TASKS.get(parent_pid) }) else {
        return 0;
    };
    let entry = TaskEntry {
        start_boot_ns: child.start_boot_ns(),
        glass: granted::of_child(entry.glass),
        ..*entry
    };
    if TASKS.insert(pid, entry, 0).is_err() {
        // The host stays armed. The child is not known as a database: it loses the right to a
        // raw device of its own, and nothing else.
        emit::count(Counter::TasksFull);
    }
    0
}
