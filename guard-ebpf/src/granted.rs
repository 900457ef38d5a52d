//! Break glass where the maps are read: the grant that a process runs under, and how it comes by it.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use guard_abi::glass::{GLASS_PENDING, GLASS_USES as USES, GlassUse, slot};
use guard_ebpf::glass::opens;

use crate::kernel::AnyTask;
use crate::maps::{GLASS, GLASS_USES, TASKS};

/// In place of the number of a process's grant: it has not been looked up yet. No grant has this number.
pub const LOOK_UP: u64 = u64::MAX;

/// The number of the grant by which the current process may do this; 0 where there is none. `object` is
/// as in [`opens`], `runs_under` the process's grant, 0 for none, or [`LOOK_UP`].
///
/// Out of line: it is rare, and the hooks are short of registers.
#[inline(never)]
pub fn open_for(object: u64, runs_under: u64, op: u8) -> u32 {
    let number = if runs_under == LOOK_UP {
        // SAFETY: the entry is read at once.
        match unsafe { TASKS.get(AnyTask::current().tgid()) } {
            Some(task) => u64::from(task.glass),
            None => 0,
        }
    } else {
        runs_under
    };
    if number == 0 {
        return 0;
    }
    let Some(entry) = GLASS.get(slot(number as u32)) else {
        return 0;
    };
    // SAFETY: a helper without arguments.
    let now = || unsafe { bpf_ktime_get_boot_ns() };
    if opens(entry, number, object, op, now) {
        number as u32
    } else {
        0
    }
}

/// The grant of a process that has just executed something. One that is pending uses one use up, or
/// is none.
#[inline(never)]
pub fn after_exec(pid: u32) -> u32 {
    // SAFETY: the entry is read at once.
    let before = match unsafe { TASKS.get(pid) } {
        Some(task) => task.glass,
        None => 0,
    };
    if before & GLASS_PENDING == 0 {
        return before;
    }
    let number = before & !GLASS_PENDING;
    for at in 0..USES {
        if GLASS_USES.remove(GlassUse { number, at }).is_ok() {
            return number;
        }
    }
    0
}

/// The grant of a process that was forked: nobody is pending but who is about to execute.
#[inline(always)]
pub const fn of_child(parent: u32) -> u32 {
    if parent & GLASS_PENDING == 0 {
        parent
    } else {
        0
    }
}
