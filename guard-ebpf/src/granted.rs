//! Break glass where the maps are read: the grant that a process runs under, and how it comes by it.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use guard_abi::Op;
use guard_abi::glass::{GLASS_PENDING, GLASS_USES as USES, GlassUse, slot};
use guard_ebpf::glass::{GlassObject, HOST, opens};

use crate::kernel::AnyTask;
use crate::maps::{GLASS, GLASS_USES, TASKS};

/// The number of the grant by which the current process may do this; 0 where there is none. `object` is
/// the number of the grant that the device is the object of, or [`HOST`].
///
/// Out of line: it is rare, and the hooks are short of registers.
#[inline(never)]
pub fn open_for(object: u32, op: u8) -> u32 {
    if object == 0 {
        return 0;
    }
    // SAFETY: the entry is read at once.
    let number = match unsafe { TASKS.get(AnyTask::current().tgid()) } {
        Some(task) => task.glass,
        None => 0,
    };
    if number == 0 {
        return 0;
    }
    let (Some(entry), Some(op)) = (GLASS.get(slot(number)), Op::from_u8(op)) else {
        return 0;
    };
    let object = if object == HOST {
        GlassObject::Host
    } else {
        GlassObject::Device(object)
    };
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    if opens(entry, number, object, op, now) {
        number
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
