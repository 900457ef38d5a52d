//! The running machine as the kernel half knows it: the system calls that stop or replace it.

use crate::words::words;

words! {
    /// A system call that asks for `CAP_SYS_BOOT`, or for I/O ports. Except for
    /// [`SystemCall::Reboot`], it is [`crate::DenialEvent::cmd`] of such an event.
    SystemCall {
        /// reboot(2). The argument is its command, and so is the event's `cmd`.
        Reboot = 1 => "reboot",
        /// kexec_load(2) of something. The argument is its flags.
        KexecLoad = 2 => "kexec_load",
        /// kexec_load(2) of nothing, which takes away what was loaded.
        KexecUnload = 3 => "kexec_load of nothing",
        /// kexec_file_load(2). The argument is its flags.
        KexecFileLoad = 4 => "kexec_file_load",
        /// ioperm(2), iopl(2): the right to use I/O ports.
        IoPort = 5 => "ioperm",
    }
}

/// Commands of reboot(2), include/uapi/linux/reboot.h, with their names there.
pub mod reboot {
    /// Restarts.
    pub const RESTART: u32 = 0x0123_4567;
    /// Stops.
    pub const HALT: u32 = 0xCDEF_0123;
    /// Ctrl-Alt-Del restarts at once from now on.
    pub const CAD_ON: u32 = 0x89AB_CDEF;
    /// Ctrl-Alt-Del tells process 1 from now on.
    pub const CAD_OFF: u32 = 0;
    /// Stops, and cuts power.
    pub const POWER_OFF: u32 = 0x4321_FEDC;
    /// Restarts with a word for the firmware.
    pub const RESTART2: u32 = 0xA1B2_C3D4;
    /// Suspends to disk.
    pub const SW_SUSPEND: u32 = 0xD000_FCE2;
    /// Starts the kernel that kexec_load(2) has loaded.
    pub const KEXEC: u32 = 0x4558_4543;

    /// Every command that could be refused, with its name.
    pub const NAMES: &[(u32, &str)] = &[
        (RESTART, "LINUX_REBOOT_CMD_RESTART"),
        (HALT, "LINUX_REBOOT_CMD_HALT"),
        (POWER_OFF, "LINUX_REBOOT_CMD_POWER_OFF"),
        (RESTART2, "LINUX_REBOOT_CMD_RESTART2"),
        (SW_SUSPEND, "LINUX_REBOOT_CMD_SW_SUSPEND"),
        (KEXEC, "LINUX_REBOOT_CMD_KEXEC"),
    ];
}

/// Flags of the kexec system calls, include/uapi/linux/kexec.h.
pub mod kexec {
    /// kexec_load(2): for the crash kernel.
    pub const ON_CRASH: u32 = 1 << 0;
    /// kexec_file_load(2): take away what was loaded.
    pub const FILE_UNLOAD: u32 = 1 << 0;
    /// kexec_file_load(2): for the crash kernel.
    pub const FILE_ON_CRASH: u32 = 1 << 1;
}
