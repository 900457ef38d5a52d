//! KVM or emulation: `/dev/kvm` being there does not mean that a guest boots with it. A boot is
//! tried once a machine.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::emulator::Emulator;
use super::qemu::Accel;
use crate::cache;
use crate::image::root::Base;

/// A kernel that runs under KVM gets this far in well under a second.
const PATIENCE: Duration = Duration::from_secs(12);

/// How guests run on this machine.
pub fn choose(base: &Base) -> Result<Accel> {
    if File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return Ok(Accel::Tcg);
    }
    let what = "trying whether a guest boots under KVM (once a machine, 12 s at most)";
    let qemu = Emulator::choose()?;
    let place = cache::ensure("kvm", &machine(qemu), what, |work| {
        let answer = if boots(qemu, base, work)? {
            "yes"
        } else {
            "no"
        };
        eprintln!(
            "set-up: KVM: {answer}{}",
            if answer == "no" {
                ", guests are emulated"
            } else {
                ""
            }
        );
        fs::write(work.join("answer"), answer).context("cannot write the answer")
    })?;
    let answer = fs::read_to_string(place.join("answer")).unwrap_or_default();
    Ok(if answer == "yes" {
        Accel::Kvm
    } else {
        Accel::Tcg
    })
}

/// What the answer depends on: the processor, the host's kernel, QEMU.
fn machine(qemu: &Emulator) -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .find(|line| line.starts_with("model name"))
        .unwrap_or_default();
    let kernel = fs::read_to_string("/proc/version").unwrap_or_default();
    let host = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let qemu = qemu.version().unwrap_or_default();
    cache::key(&["kvm 1", model, &kernel, &host, &qemu])
}

/// Boots the kernel without a root disk and waits for its first words.
fn boots(qemu: &Emulator, base: &Base, work: &Path) -> Result<bool> {
    let serial = work.join("serial.log");
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(&qemu.program)
        .args(qemu.args())
        .args([
            "-nodefaults",
            "-no-reboot",
            "-display",
            "none",
            "-m",
            "512",
            "-machine",
            "q35",
        ])
        .args([
            "-accel",
            "kvm",
            "-cpu",
            "host",
            "-append",
            "console=ttyS0 panic=-1",
        ])
        .args(["-serial", &format!("file:{}", serial.display())])
        .arg("-kernel")
        .arg(&base.vmlinuz)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(work.join("qemu.log")).context("cannot write a log")?)
        .spawn()
        .context("cannot start QEMU through setpriv")?;
    let started = Instant::now();
    let mut found = false;
    while !found && started.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(100));
        let said = fs::read(&serial).unwrap_or_default();
        found = String::from_utf8_lossy(&said).contains("Kernel panic - not syncing: VFS");
        if !found && !matches!(child.try_wait(), Ok(None)) {
            break;
        }
    }
    child.kill().ok();
    child.wait().ok();
    Ok(found)
}
