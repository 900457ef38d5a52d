//! What the kernel half tells: counters first, because they are the truth, then the event.

use core::arch::asm;
use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_probe_read_user,
    bpf_ringbuf_query,
};
use guard_abi::{
    ANCESTORS, ARGV_BYTES, Ancestor, ArmWord, CMDLINE_PARTIAL, Counter, Decision, DenialEvent,
    FILE_NAME_BYTES, LifecycleEvent, LifecycleKind, OBJECT_NAMES,
};

use crate::argv::opaque;
use crate::kernel::{AnyDentry, AnyTask, copy_name};
use crate::maps::{ARM, COUNTERS, DENIALS, LIFECYCLE};

/// Bytes of a page; argument strings are read up to a page's end where the whole fails.
const PAGE: u64 = 4096;

/// The opcode of a passed-through command, where there is one.
///
/// No `Option`: the byte of its `None` is undefined to the compiler, which then reads it from a place
/// on the stack that no path has written, and 5.10's verifier refuses that.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Opcode(u16);

impl Opcode {
    /// There is none.
    pub const NONE: Self = Self(0);

    /// This one.
    #[inline(always)]
    pub const fn of(byte: u8) -> Self {
        Self(1 << 8 | byte as u16)
    }
}

/// What a hook knows about an operation that it has judged.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Facts {
    pub dev: u32,
    pub device_flags: u32,
    pub cmd: u32,
    pub open_flags: u32,
    pub decision: u8,
    pub reason: u8,
    pub hook: u8,
    pub op: u8,
    pub device_kind: u8,
    pub device_class: u8,
    pub opcode: Opcode,
    pub object_fs: u8,
    /// Inode number of a file, 0 for anything else.
    pub object_ino: u64,
    /// `struct dentry *` of a file as a number, 0 for anything else.
    pub dentry: u64,
    /// The grant that lets it through; 0.
    pub grant: u32,
    /// Not to be told here where it is let through under a grant.
    pub told_later: bool,
}

/// Adds one.
#[inline(always)]
pub fn add_one(word: *mut u64) {
    add(word, 1);
}

/// Adds by BPF's oldest atomic instruction. A plain addition could lose one where the program is
/// preempted; and Rust has no atomic addition for this target, whose fetching kind is of BPF v3.
#[inline(always)]
pub fn add(word: *mut u64, number: u64) {
    // SAFETY: `word` points at an 8-byte map value, aligned, which the kernel half changes by this
    // function alone.
    unsafe {
        asm!("lock *(u64 *)({word} + 0) += {number}", word = in(reg) word, number = in(reg) number);
    };
}

/// Counts on this CPU.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(word) = COUNTERS.get_ptr_mut(counter as u32) {
        add_one(word);
    }
}

/// Raises an arm word.
#[inline(always)]
pub fn raise(word: ArmWord) {
    if let Some(word) = ARM.get_ptr_mut(word as u32) {
        add_one(word);
    }
}

/// Reserves a zeroed record, hands it to `fill`, and sends it; counts `dropped` where the ring is
/// full.
macro_rules! send {
    ($ring:ident, $event:ty, $dropped:expr, |$record:ident| $fill:block) => {
        match $ring.reserve_bytes(size_of::<$event>(), 0) {
            None => count($dropped),
            Some(mut bytes) => {
                let $record: *mut $event = bytes.as_mut_ptr().cast();
                $fill
                bytes.submit(0);
            }
        }
    };
}

/// Counts and tells what was decided. Out of line, so that the hooks' fast paths stay short.
#[inline(never)]
pub fn denial(facts: &Facts) -> u64 {
    diag!(
        (),
        "hook {} dev {:x} class {} cmd {:x}: decision {}, reason {}",
        facts.hook,
        facts.dev,
        facts.device_class,
        facts.cmd,
        facts.decision,
        facts.reason
    );
    count(match facts.decision {
        number if number == Decision::Deny as u8 => Counter::Denied,
        number if number == Decision::WouldDeny as u8 => Counter::WouldDeny,
        _ => Counter::Recorded,
    });
    send!(DENIALS, DenialEvent, Counter::Dropped, |event| {
        // SAFETY: `event` points at a reservation of exactly this size, 8-byte aligned
        // (kernel/bpf/ringbuf.c `__bpf_ringbuf_reserve`); zero is a value of every member.
        unsafe {
            zero(event);
            fill_operation(&mut *event, facts);
            fill_process(&mut *event);
        }
    });
    0
}

/// Zeroes an event, word by word: the compiler would make a loop over bytes of it.
///
/// # Safety
/// `event` can be written, is aligned to 8, and zero is a value of every member.
#[inline(always)]
unsafe fn zero(event: *mut DenialEvent) {
    const WORDS: usize = size_of::<DenialEvent>() / 8;
    const { assert!(WORDS * 8 == size_of::<DenialEvent>()) };
    for at in 0..WORDS {
        // SAFETY: in the event, as the caller promises.
        unsafe { event.cast::<u64>().add(at).write_volatile(0) };
    }
}

#[inline(always)]
fn fill_operation(event: &mut DenialEvent, facts: &Facts) {
    event.dev = facts.dev;
    event.device_flags = facts.device_flags;
    event.cmd = facts.cmd;
    event.open_flags = facts.open_flags;
    event.grant = facts.grant;
    event.decision = facts.decision;
    event.reason = facts.reason;
    event.hook = facts.hook;
    event.op = facts.op;
    event.device_kind = facts.device_kind;
    event.device_class = facts.device_class;
    event.opcode = facts.opcode.0 as u8;
    event.has_opcode = (facts.opcode.0 >> 8) as u8;
    event.object_fs = facts.object_fs;
    event.object_ino = facts.object_ino;
    if facts.dentry != 0 {
        fill_names(&mut event.object_names, AnyDentry::at(facts.dentry));
    }
}

#[inline(always)]
fn fill_names(names: &mut [[u8; FILE_NAME_BYTES]; OBJECT_NAMES], dentry: AnyDentry) {
    let mut at = dentry;
    for name in names {
        copy_name(at.name(), name);
        let parent = at.parent();
        if parent == at {
            break;
        }
        at = parent;
    }
}

/// By probed reads, not by the helpers that tell the same: a cgroup device program has none of them
/// on 5.10 (kernel/bpf/cgroup.c `cgroup_dev_func_proto`).
#[inline(always)]
fn fill_process(event: &mut DenialEvent) {
    let task = AnyTask::current();
    // SAFETY: helpers without arguments.
    unsafe {
        event.boot_ns = bpf_ktime_get_boot_ns();
        event.cpu = bpf_get_smp_processor_id();
    }
    event.cgroup_id = task.cgroup_id();
    event.pid = task.tgid();
    event.tid = task.tid();
    event.comm = task.comm();
    event.start_boot_ns = task.start_boot_ns();
    (event.uid, event.euid) = task.uids();
    event.auid = task.login_uid();
    event.session = task.session();
    event.tty = task.terminal();
    let (exe, name) = task.executable();
    event.exe_ino = exe.ino;
    event.exe_dev = exe.dev;
    copy_name(name, &mut event.exe_name);
    fill_ancestors(&mut event.ancestors, task);
    fill_command_line(event, task);
}

#[inline(always)]
fn fill_ancestors(ancestors: &mut [Ancestor; ANCESTORS], task: AnyTask) {
    let mut at = task;
    for ancestor in ancestors {
        at = at.parent();
        let pid = at.tgid();
        if pid == 0 {
            break;
        }
        ancestor.pid = pid;
        ancestor.comm = at.comm();
    }
}

#[inline(always)]
fn fill_command_line(event: &mut DenialEvent, task: AnyTask) {
    let (start, end) = task.command_line();
    let length = end.wrapping_sub(start);
    if start == 0 || length == 0 {
        return;
    }
    let mut bytes = length;
    if length > ARGV_BYTES as u64 {
        event.argv_state = CMDLINE_PARTIAL;
        bytes = ARGV_BYTES as u64;
    }
    if read_user(&mut event.argv, bytes, start) {
        event.argv_bytes = bytes as u16;
        return;
    }
    // Perhaps only a later page is not in memory.
    event.argv_state = CMDLINE_PARTIAL;
    let to_page_end = PAGE - (start & (PAGE - 1));
    if to_page_end < bytes && read_user(&mut event.argv, to_page_end, start) {
        event.argv_bytes = to_page_end as u16;
    }
}

/// Reads `bytes` (at most [`ARGV_BYTES`]) of user memory.
#[inline(always)]
fn read_user(into: &mut [u8; ARGV_BYTES], bytes: u64, from: u64) -> bool {
    // The callers keep this bound; the verifier has to see it on this very number.
    let bytes = opaque(bytes);
    if bytes > ARGV_BYTES as u64 {
        return false;
    }
    // SAFETY: at most `ARGV_BYTES` bytes are written; the helper checks the source itself.
    unsafe {
        bpf_probe_read_user(
            into.as_mut_ptr().cast(),
            bytes as u32,
            from as *const c_void,
        ) == 0
    }
}

/// Tells what happened to a critical process.
#[inline(never)]
pub fn lifecycle(kind: LifecycleKind, engine: u32, pid: u32) -> u64 {
    let arm_gen = ARM.get(ArmWord::ArmGen as u32).copied().unwrap_or(0);
    send!(
        LIFECYCLE,
        LifecycleEvent,
        Counter::LifecycleDropped,
        |event| {
            let mut comm = MaybeUninit::<[u8; 16]>::zeroed();
            // SAFETY: the helper writes the 16 bytes it is given; zero is a value of them. `event`
            // points at a reservation of exactly its size, 8-byte aligned.
            unsafe {
                bpf_get_current_comm(comm.as_mut_ptr().cast(), 16);
                event.write(LifecycleEvent {
                    boot_ns: bpf_ktime_get_boot_ns(),
                    arm_gen,
                    pid,
                    kind: kind as u8,
                    engine: engine as u8,
                    reserved: 0,
                    comm: comm.assume_init(),
                });
            }
        }
    );
    0
}

/// Says that a device was opened that will have to be looked at. One such event, or any other,
/// wakes the controller; more would only fill the ring.
#[inline(never)]
pub fn opened() -> u64 {
    /// `BPF_RB_AVAIL_DATA`, include/uapi/linux/bpf.h.
    const AVAILABLE: u64 = 0;
    // SAFETY: the ring's own address, as the ring itself passes it to helpers.
    if unsafe { bpf_ringbuf_query((&raw const LIFECYCLE).cast_mut().cast(), AVAILABLE) } != 0 {
        return 0;
    }
    lifecycle(LifecycleKind::Opened, 0, AnyTask::current().tgid())
}
