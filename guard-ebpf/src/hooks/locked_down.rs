//! LSM `locked_down`: what a locked-down kernel would refuse is about to be done. Asked for
//! ioperm(2) and iopl(2) (arch/x86/kernel/ioport.c), which no other hook sees.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{Decision, Hook, SystemCall};
use guard_ebpf::machine;

use crate::judge::ALLOW;
use crate::places;

/// `int locked_down(enum lockdown_reason what)`
///
/// What a program before this one has returned is not looked at, see `inode_unlink`.
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/locked_down")]
extern "C" fn locked_down(ctx: *mut c_void) -> i64 {
    let what: u32 = LsmContext::new(ctx).arg(0);
    let verdict = machine::locked_down(what);
    if matches!(verdict.decision, Decision::Allow) {
        return ALLOW;
    }
    places::system(Hook::LockedDown, SystemCall::IoPort as u32, |_| verdict)
}
