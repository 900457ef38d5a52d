//! Attacks on the canary: harmless, each through one hook. See [`guard_abi::canary`].

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use guard_abi::{DeviceKey, canary, dev};
use io_uring::{IoUring, opcode, types};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::{bpf, pin};

/// Performs one attack.
pub type Attack = fn() -> Made;

/// What came of an attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// It was made; the kernel's answer.
    Answered(Result<(), Errno>),
    /// It could not be made.
    Impossible(String),
}

/// Makes a node of the canary on a file system of its own and opens it for writing. The file
/// system is never attached to a directory: nobody else can see the node, and mount options of
/// the host (`nodev`) do not apply.
pub(super) fn open() -> Made {
    open_node(canary::DEVICE)
}

/// The same of a device that the second layer alone refuses.
pub(super) fn open_below() -> Made {
    open_node(canary::LAYER_DEVICE)
}

fn open_node(device: DeviceKey) -> Made {
    let root = match private_file_system("tmpfs") {
        Ok(root) => root,
        Err(error) => return Made::Impossible(format!("mounting a private tmpfs: {error}")),
    };
    let number = device.dev;
    let number = rustix::fs::makedev(dev::major(number), dev::minor(number));
    let mode = Mode::RUSR | Mode::WUSR;
    if let Err(error) = mknodat(&root, "canary", FileType::BlockDevice, mode, number) {
        return Made::Impossible(format!("making a device node: {error}"));
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Made::Answered(openat(&root, "canary", flags, Mode::empty()).map(drop))
}

/// The root of a new instance of a file system that is mounted nowhere.
pub(super) fn private_file_system(kind: &str) -> rustix::io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

/// Writes into the map that is nobody's to write. What is proved beside the hook is the way from a
/// descriptor to its map, which the kernel half goes by probed loads.
pub(super) fn bpf() -> Made {
    let map = match bpf::open_pinned(&pin::map(guard_abi::maps::CANARY)) {
        Ok(map) => map,
        Err(error) => return Made::Impossible(format!("opening the map: {error}")),
    };
    Made::Answered(match bpf::update(map.as_fd(), &0_u32, &1_u32) {
        Ok(()) => Ok(()),
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    })
}

/// Sends the canary's ioctl to the first block device that can be opened for reading.
pub(super) fn ioctl() -> Made {
    match any_block_device() {
        Ok(device) => Made::Answered(send(&device)),
        Err(why) => Made::Impossible(why),
    }
}

fn send(device: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: the command takes no argument (`_IO`), the descriptor is open, and no driver knows
    // the number, so nothing reads or writes memory of ours.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::c_ulong::from(canary::IOCTL), 0) };
    if result >= 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
}

/// The same by a system call of a 32-bit program, which reaches the kernel's compat entry point.
#[cfg(target_arch = "x86_64")]
pub(super) fn ioctl_compat() -> Made {
    match any_block_device() {
        Ok(device) => compat::ioctl(&device),
        Err(why) => Made::Impossible(why),
    }
}

/// Other architectures have no system calls of another word size in the same program.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn ioctl_compat() -> Made {
    Made::Impossible("32-bit system calls cannot be made from this program".to_owned())
}

/// Opens for reading, without waiting, never a removable one: opening those can load a medium.
fn any_block_device() -> Result<OwnedFd, String> {
    let failed = |error: io::Error| format!("looking for a block device: {error}");
    for entry in fs::read_dir("/sys/block").map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let removable = fs::read_to_string(entry.path().join("removable")).unwrap_or_default();
        let size = fs::read_to_string(entry.path().join("size")).unwrap_or_default();
        if removable.trim() != "0" || size.trim() == "0" {
            continue;
        }
        // `!` stands for `/` in sysfs names.
        let name = entry.file_name().to_string_lossy().replace('!', "/");
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if let Ok(device) = openat(CWD, format!("/dev/{name}"), flags, Mode::empty()) {
            return Ok(device);
        }
    }
    Err("there is no block device to try it on".to_owned())
}

/// Sends the canary's command to `/dev/null` through io_uring. It takes any command and does
/// nothing, for tests of security modules (drivers/char/mem.c `uring_cmd_null`, Linux 6.0).
pub(super) fn uring_cmd() -> Made {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let null = match openat(CWD, "/dev/null", flags, Mode::empty()) {
        Ok(null) => null,
        Err(error) => return Made::Impossible(format!("opening /dev/null: {error}")),
    };
    match uring_answer(&null) {
        // sysctl kernel.io_uring_disabled, a seccomp filter, or no memory to be locked.
        Err(error) => Made::Impossible(format!("using io_uring: {error}")),
        Ok(result) if result >= 0 => Made::Answered(Ok(())),
        Ok(result) => match Errno::from_raw_os_error(-result) {
            Errno::OPNOTSUPP => {
                Made::Impossible("/dev/null of this kernel takes no io_uring command".to_owned())
            }
            error => Made::Answered(Err(error)),
        },
    }
}

fn uring_answer(file: &impl AsFd) -> io::Result<i32> {
    let mut ring = IoUring::new(2)?;
    let target = types::Fd(file.as_fd().as_raw_fd());
    let command = opcode::UringCmd16::new(target, canary::IOCTL).build();
    // SAFETY: the command points at nothing, and `file` is open until the answer has come.
    unsafe { ring.submission().push(&command) }.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    let answer = ring.completion().next().map(|answer| answer.result());
    answer.ok_or_else(|| io::Error::other("no answer came"))
}

#[cfg(target_arch = "x86_64")]
mod compat {
    use std::arch::asm;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::sync::atomic::{AtomicBool, Ordering};

    use guard_abi::canary;
    use rustix::io::Errno;

    use super::Made;

    /// i386's ioctl, arch/x86/entry/syscalls/syscall_32.tbl.
    const IOCTL: u32 = 54;

    /// There are no 32-bit system calls. Each further try would leave a line in its log.
    static NONE: AtomicBool = AtomicBool::new(false);

    /// A child makes the call: where the kernel has no 32-bit system calls (or
    /// `ia32_emulation=0`), or a seccomp filter forbids them (systemd's
    /// `SystemCallArchitectures=native`), it kills who makes one.
    pub(super) fn ioctl(device: &OwnedFd) -> Made {
        let none = || {
            Made::Impossible("32-bit system calls are not to be had: the kernel has none, or a seccomp filter forbids them".to_owned())
        };
        if NONE.load(Ordering::Relaxed) {
            return none();
        }
        // SAFETY: the child makes system calls alone before it ends, which is what a child of a
        // process with threads may do (signal-safety(7)).
        let child = unsafe { libc::fork() };
        if child < 0 {
            let error = std::io::Error::last_os_error();
            return Made::Impossible(format!("starting a process: {error}"));
        }
        if child == 0 {
            attack(device);
        }
        let mut status = 0;
        // SAFETY: `status` can be written; the child is ours and was not waited for.
        while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
            let error = std::io::Error::last_os_error();
            if error.kind() != std::io::ErrorKind::Interrupted {
                return Made::Impossible(format!("waiting for a process: {error}"));
            }
        }
        if !libc::WIFEXITED(status) {
            NONE.store(true, Ordering::Relaxed);
            return none();
        }
        match libc::WEXITSTATUS(status) {
            0 => Made::Answered(Ok(())),
            error => Made::Answered(Err(Errno::from_raw_os_error(error))),
        }
    }

    /// In the child: makes the call and ends with its error.
    fn attack(device: &OwnedFd) -> ! {
        // SAFETY: no argument points anywhere; a process that may not be dumped leaves no core.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
        let mut result = IOCTL;
        // SAFETY: the kernel saves every register but eax and, before 4.17, r8 to r11; rbx, which
        // Rust keeps for itself, is put back. The command takes no argument.
        unsafe {
            asm!(
                "xchg rbx, {fd}",
                "int 0x80",
                "xchg rbx, {fd}",
                fd = inout(reg) u64::from(device.as_raw_fd().cast_unsigned()) => _,
                inlateout("eax") result,
                in("ecx") canary::IOCTL,
                in("edx") 0,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        let error = result.cast_signed().min(0).unsigned_abs();
        // SAFETY: ends this process at once; nothing of the parent's is run or written.
        unsafe { libc::_exit(error.cast_signed()) }
    }
}
