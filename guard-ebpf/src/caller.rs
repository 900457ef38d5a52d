//! On whose behalf a block device is opened, told by the system call that the thread is in.
//!
//! The cgroup device hook learns a device number and nothing else, whether a program opens the
//! device's node, asks for permission alone, or has the kernel open the device for a table, an
//! array or a mount. The system call tells these apart.

use guard_abi::OPEN_FLAGS_UNKNOWN;

/// A system call as the registers at the kernel's entry have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemCall {
    /// Its number.
    pub number: u32,
    /// True for the 32-bit table (`int 0x80`), whatever the size of the program.
    pub compat: bool,
    /// Its first five arguments.
    pub arguments: [u64; 5],
}

/// Who opens the device, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A program opens the node itself.
    Program,
    /// A program asks whether it could: access(2). Nothing is opened.
    Question,
    /// mount(2) or fsconfig(2): the kernel opens the device for a file system.
    Mount,
    /// ioctl(2) with BLKRRPART: the kernel opens the device once more, as the program has it, to read its
    /// partition table (block/genhd.c `disk_scan_partitions`).
    Table,
    /// Any other system call: the kernel opens the device on the program's behalf.
    Kernel,
    /// The system call cannot be told: another architecture, or a worker thread of `io_uring`.
    Unknown,
}

/// What a system call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// On whose behalf.
    pub caller: Caller,
    /// `O_*` flags, [`OPEN_FLAGS_UNKNOWN`] where they are not among the arguments.
    pub open_flags: u32,
    /// Where the flags stand in user memory (`struct open_how`, its first member), 0 where not.
    pub flags_at: u64,
    /// The ioctl command, 0 for any other system call.
    pub ioctl: u32,
    /// swapon(2) or swapoff(2), which opens the device twice up to 6.11 (mm/swapfile.c
    /// `claim_swapfile`).
    pub swap: bool,
}

impl Call {
    /// A call that cannot be told.
    pub const UNKNOWN: Self = Self {
        caller: Caller::Unknown,
        open_flags: OPEN_FLAGS_UNKNOWN,
        flags_at: 0,
        ioctl: 0,
        swap: false,
    };

    const fn by(caller: Caller) -> Self {
        Self {
            caller,
            ..Self::UNKNOWN
        }
    }

    const fn open(flags: u64) -> Self {
        Self {
            caller: Caller::Program,
            open_flags: flags as u32,
            ..Self::UNKNOWN
        }
    }

    const fn open_how(flags_at: u64) -> Self {
        Self {
            caller: Caller::Program,
            flags_at,
            ..Self::UNKNOWN
        }
    }

    const fn ioctl(command: u64) -> Self {
        Self {
            caller: if command as u32 == BLKRRPART {
                Caller::Table
            } else {
                Caller::Kernel
            },
            ioctl: command as u32,
            ..Self::UNKNOWN
        }
    }

    const SWAP: Self = Self {
        caller: Caller::Program,
        swap: true,
        ..Self::UNKNOWN
    };
}

/// `_IO(0x12, 95)`, include/uapi/linux/fs.h.
const BLKRRPART: u32 = 0x125F;
/// `__X32_SYSCALL_BIT`, arch/x86/include/uapi/asm/unistd.h.
pub const X32: u32 = 0x4000_0000;
/// `O_WRONLY | O_CREAT | O_TRUNC`: what creat(2) stands for.
const CREAT_FLAGS: u64 = 0o1 | 0o100 | 0o1000;

/// The meaning of a system call of an x86 processor.
#[inline(always)]
pub const fn meaning(call: SystemCall) -> Call {
    if call.compat {
        meaning_32(call)
    } else {
        meaning_64(call)
    }
}

/// arch/x86/entry/syscalls/syscall_64.tbl
#[inline(always)]
const fn meaning_64(call: SystemCall) -> Call {
    let [_, second, third, ..] = call.arguments;
    match call.number & !X32 {
        2 => Call::open(second),                      // open
        257 | 304 => Call::open(third),               // openat, open_by_handle_at
        85 => Call::open(CREAT_FLAGS),                // creat
        437 => Call::open_how(third),                 // openat2
        426 => Call::by(Caller::Program),             // io_uring_enter
        167 | 168 => Call::SWAP,                      // swapon, swapoff
        21 | 269 | 439 => Call::by(Caller::Question), // access, faccessat, faccessat2
        165 | 431 => Call::by(Caller::Mount),         // mount, fsconfig
        16 | 514 => Call::ioctl(second),              // ioctl, x32's ioctl
        _ => Call::by(Caller::Kernel),
    }
}

/// arch/x86/entry/syscalls/syscall_32.tbl
#[inline(always)]
const fn meaning_32(call: SystemCall) -> Call {
    let [_, second, third, ..] = call.arguments;
    match call.number {
        5 => Call::open(second),
        295 | 342 => Call::open(third),
        8 => Call::open(CREAT_FLAGS),
        437 => Call::open_how(third),
        426 => Call::by(Caller::Program),
        87 | 115 => Call::SWAP,
        33 | 307 | 439 => Call::by(Caller::Question),
        21 | 431 => Call::by(Caller::Mount),
        54 => Call::ioctl(second),
        _ => Call::by(Caller::Kernel),
    }
}
