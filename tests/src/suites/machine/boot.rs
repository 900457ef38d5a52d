//! Reboots, other kernels, I/O ports.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use guard_abi::{kexec, reboot};

use super::{Act, How, Seen, act, quiet};
use crate::harness::case::Case;
use crate::native::{compat, machine};

const KEXEC: &[&str] = &["kexec"];
const RESET: &[&str] = &["reset"];

const LOADED: Seen = Seen::Script(
    "[ $(cat /sys/kernel/kexec_loaded) = 1 ]",
    How::Native(machine::kexec_unload),
);

pub(super) const ACTS: &[Act] = &[
    act(
        "kexec_load",
        KEXEC,
        How::Native(|| machine::kexec_load(0)),
        LOADED,
    ),
    act(
        "kexec_load-preserving",
        KEXEC,
        How::Native(|| machine::kexec_load(2)),
        LOADED,
    ),
    act(
        "compat-kexec_load",
        KEXEC,
        How::Native(|| compat::kexec_load(0)),
        LOADED,
    ),
    act(
        "kexec_file_load",
        KEXEC,
        How::Native(|| machine::kexec_file_load(&kernel()?, 0)),
        LOADED,
    ),
    act(
        "reboot-kexec",
        KEXEC,
        How::Native(|| machine::reboot(reboot::KEXEC)),
        Seen::Fatal,
    ),
    act(
        "reboot-restart",
        RESET,
        How::Native(|| machine::reboot(reboot::RESTART)),
        Seen::Fatal,
    ),
    act(
        "reboot-restart2",
        RESET,
        How::Native(|| machine::reboot(reboot::RESTART2)),
        Seen::Fatal,
    ),
    act(
        "reboot-halt",
        RESET,
        How::Native(|| machine::reboot(reboot::HALT)),
        Seen::Fatal,
    ),
    act(
        "reboot-power-off",
        RESET,
        How::Native(|| machine::reboot(reboot::POWER_OFF)),
        Seen::Fatal,
    ),
    act(
        "reboot-suspend",
        RESET,
        How::Native(|| machine::reboot(reboot::SW_SUSPEND)),
        Seen::Fatal,
    ),
    act(
        "compat-reboot",
        RESET,
        How::Native(|| compat::reboot(reboot::RESTART)),
        Seen::Fatal,
    ),
    act(
        "systemctl-reboot-force-force",
        RESET,
        How::Shell("systemctl reboot --force --force"),
        Seen::Fatal,
    ),
    act(
        "busybox-reboot",
        RESET,
        How::Shell("busybox reboot -f"),
        Seen::Fatal,
    ),
    act(
        "ioperm",
        RESET,
        How::Native(machine::io_port),
        Seen::Success,
    ),
    act("iopl", RESET, How::Native(machine::io_level), Seen::Success),
    act(
        "sysrq-boot",
        RESET,
        How::Shell("echo b >/proc/sysrq-trigger"),
        Seen::Fatal,
    ),
    act(
        "suspend",
        RESET,
        How::Shell("echo mem >/sys/power/state"),
        Seen::Fatal,
    ),
    act(
        "resume-device",
        RESET,
        How::Shell("cat $SCSI/dev >/sys/power/resume"),
        Seen::Fatal,
    ),
];

/// Work that must go on: a script that fails unless its result is right.
pub(super) const WORK: &[(&str, &str)] = &[(
    "container-reboots-itself",
    // The first process of a pid namespace is ended by SIGHUP (kernel/pid_namespace.c).
    "r=0; unshare --pid --fork busybox reboot -f || r=$?; [ $r -ge 128 ]",
)];

/// Work that is done by system calls.
pub(super) fn work() -> Vec<Case> {
    vec![
        Case::test("kexec-unload", || quiet(machine::kexec_unload)),
        Case::test("kdump-load", kdump),
        Case::test("ctrl-alt-del", || {
            quiet(|| {
                machine::reboot(reboot::CAD_OFF)?;
                machine::reboot(reboot::CAD_ON)?;
                machine::reboot(reboot::CAD_OFF)
            })
        }),
    ]
}

/// The kernel that runs.
fn kernel() -> Result<PathBuf> {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let path = PathBuf::from(format!("/boot/vmlinuz-{release}"));
    ensure!(path.exists(), "{} is not there", path.display());
    Ok(path)
}

/// A crash kernel may be loaded. Without memory set aside for it (`crashkernel=`) the kernel itself
/// says no, but not that it is not permitted.
fn kdump() -> Result<()> {
    quiet(|| {
        for load in [
            || machine::kexec_load(kexec::ON_CRASH),
            || machine::kexec_file_load(&kernel()?, kexec::FILE_ON_CRASH),
        ] {
            let Err(error) = load() else { continue };
            let code = error
                .downcast_ref::<std::io::Error>()
                .and_then(std::io::Error::raw_os_error);
            ensure!(
                code.is_some() && code != Some(libc::EPERM),
                "not permitted: {error:#}"
            );
        }
        Ok(())
    })
}
