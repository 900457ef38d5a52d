//! The decision about the running machine: whether it may be stopped, or another kernel staged.

use guard_abi::{Op, Reason, SystemCall, kexec, reboot, tool_grant};

use crate::caller;
use crate::decide::{Subject, Verdict};

/// What a system call that has asked for `CAP_SYS_BOOT` wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called {
    /// Which it is.
    pub call: SystemCall,
    /// The command of reboot(2), the flags of any other.
    pub argument: u32,
}

/// Which call it is, by its number and arguments. `None`: none that is known to ask.
#[inline(always)]
pub const fn called(call: caller::SystemCall) -> Option<Called> {
    let [_, second, third, fourth, fifth] = call.arguments;
    // arch/x86/entry/syscalls/syscall_32.tbl, syscall_64.tbl
    let (call, argument) = match (call.compat, call.number & !caller::X32) {
        (true, 88) | (false, 169) => (SystemCall::Reboot, third),
        // Loading nothing takes away what was loaded.
        (true, 283) | (false, 246 | 528) if second == 0 => (SystemCall::KexecUnload, fourth),
        (true, 283) | (false, 246 | 528) => (SystemCall::KexecLoad, fourth),
        (false, 320) => (SystemCall::KexecFileLoad, fifth),
        _ => return None,
    };
    Some(Called {
        call,
        argument: argument as u32,
    })
}

/// Who calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Is process 1 of the host.
    pub init: bool,
    /// Is in a pid namespace of its own: what it reboots is that (kernel/pid_namespace.c
    /// `reboot_pid_ns`).
    pub contained: bool,
}

/// Decides about a system call that has asked for `CAP_SYS_BOOT` on a host that is armed or held.
/// `None`: which one it is cannot be told.
#[inline(always)]
pub fn boot(subject: Subject, caller: Caller, wanted: Option<Called>) -> Verdict {
    let Some(Called { call, argument }) = wanted else {
        return go_down(subject, caller);
    };
    match call {
        SystemCall::Reboot if caller.contained => Verdict::ALLOW,
        SystemCall::Reboot => match argument {
            reboot::CAD_ON | reboot::CAD_OFF => Verdict::ALLOW,
            reboot::KEXEC => STAGED,
            reboot::SW_SUSPEND => STOPPED,
            _ => go_down(subject, caller),
        },
        SystemCall::KexecUnload => Verdict::ALLOW,
        // The kernel that is started by a crash: kdump.
        SystemCall::KexecLoad if argument & kexec::ON_CRASH != 0 => Verdict::record(Op::Kexec),
        SystemCall::KexecFileLoad if argument & kexec::FILE_UNLOAD != 0 => Verdict::ALLOW,
        SystemCall::KexecFileLoad if argument & kexec::FILE_ON_CRASH != 0 => {
            Verdict::record(Op::Kexec)
        }
        SystemCall::KexecLoad | SystemCall::KexecFileLoad => STAGED,
        SystemCall::IoPort => STOPPED,
    }
}

const STAGED: Verdict = Verdict::deny(Op::Kexec, Reason::RunningSystem);
const STOPPED: Verdict = Verdict::deny(Op::Reset, Reason::RunningSystem);

/// systemd goes down in order, and then calls as process 1, or has a script of the initramfs call.
#[inline(always)]
const fn go_down(subject: Subject, caller: Caller) -> Verdict {
    if caller.init || subject.grants & tool_grant::SHUTDOWN != 0 {
        Verdict::ALLOW
    } else {
        STOPPED
    }
}

/// Decides about `ioperm(2)`, `iopl(2)` and the like, known by the reason for which a locked-down
/// kernel would refuse them (include/linux/security.h `enum lockdown_reason`; those up to
/// `LOCKDOWN_MSR` have had the same numbers since 5.4). None of the others says what is done to
/// which device.
#[inline(always)]
pub fn locked_down(what: u32) -> Verdict {
    /// `LOCKDOWN_IOPORT`.
    const IOPORT: u32 = 7;
    if what == IOPORT {
        STOPPED
    } else {
        Verdict::ALLOW
    }
}
