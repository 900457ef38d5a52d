//! The system call that the current thread is in, from the registers that the kernel saved at its
//! entry.
//!
//! They lie at the top of the thread's kernel stack (arch/x86/include/asm/processor.h
//! `task_pt_regs`). The helper for this, `bpf_task_pt_regs`, is none of a cgroup device program's.
//! BTF tells the members of `struct pt_regs`, not where the stack ends, so each place that x86
//! kernels have used is tried, and believed only where it holds the segment selectors of user mode.
//! Where none does (a kernel thread, an `io_uring` worker, another architecture) there is no
//! system call.

use core::ffi::c_void;

use guard_abi::members::ABSENT;
use guard_ebpf::caller::SystemCall;

use super::offsets as at;
use super::{AnyTask, offset, probed, probed_pointer};

/// `THREAD_SIZE`, arch/x86/include/asm/page_64_types.h (a kernel with KASAN has twice as much).
const STACK_BYTES: usize = 16 << 10;
/// `TOP_OF_KERNEL_STACK_PADDING`, arch/x86/include/asm/thread_info.h: with CONFIG_X86_FRED,
/// otherwise nothing.
const FRED_PADDING: usize = 16;
/// Bytes of `struct pt_regs` from its last member on.
const LAST_MEMBER: usize = 8;

// arch/x86/include/asm/segment.h
const USER_CS: u16 = 0x33;
const USER32_CS: u16 = 0x23;
const USER_DS: u16 = 0x2b;

/// `TS_COMPAT`, arch/x86/include/asm/thread_info.h: a call by the 32-bit table.
const TS_COMPAT: u32 = 0x2;

impl AnyTask {
    /// The system call that the thread, which must be the current one, is in.
    #[inline(always)]
    pub fn system_call(self) -> Option<SystemCall> {
        if offset(&at::REGS_ORIG_AX) == ABSENT
            || offset(&at::REGS_SS) == ABSENT
            || offset(&at::TASK_THREAD_STATUS) == ABSENT
        {
            return None;
        }
        let stack = probed_pointer(self.0, &at::TASK_STACK);
        if stack.is_null() {
            return None;
        }
        let below_top = offset(&at::REGS_SS) as usize + LAST_MEMBER;
        let mut registers = stack.wrapping_byte_add(STACK_BYTES - below_top);
        if !of_user_mode(registers) {
            registers = registers.wrapping_byte_sub(FRED_PADDING);
            if !of_user_mode(registers) {
                return None;
            }
        }
        let compat = probed::<u32>(self.0, &at::TASK_THREAD_STATUS) & TS_COMPAT != 0;
        Some(SystemCall {
            number: probed::<u64>(registers, &at::REGS_ORIG_AX) as u32,
            compat,
            arguments: arguments(registers, compat),
        })
    }
}

/// The first five arguments, by the convention of either table
/// (arch/x86/include/asm/syscall_wrapper.h).
#[inline(always)]
fn arguments(registers: *const c_void, compat: bool) -> [u64; 5] {
    if compat {
        [
            probed(registers, &at::REGS_BX),
            probed(registers, &at::REGS_CX),
            probed(registers, &at::REGS_DX),
            probed(registers, &at::REGS_SI),
            probed(registers, &at::REGS_DI),
        ]
    } else {
        [
            probed(registers, &at::REGS_DI),
            probed(registers, &at::REGS_SI),
            probed(registers, &at::REGS_DX),
            probed(registers, &at::REGS_R10),
            probed(registers, &at::REGS_R8),
        ]
    }
}

/// Whether these can be registers of user mode. At a place 16 bytes off, `cs` is a stack pointer or
/// a call number and `ss` is not a selector.
#[inline(always)]
fn of_user_mode(registers: *const c_void) -> bool {
    let cs: u16 = probed(registers, &at::REGS_CS);
    let ss: u16 = probed(registers, &at::REGS_SS);
    matches!(cs, USER_CS | USER32_CS) && ss == USER_DS
}
