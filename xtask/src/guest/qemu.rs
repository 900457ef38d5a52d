//! The QEMU command line of a guest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::disks::{self, Disk};
use super::emulator::Emulator;
use super::{Firmware, Route, Spec};

/// How the guest's processor is provided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// Emulation.
    Tcg,
    /// The machine's own virtualisation.
    Kvm,
}

/// The chips whose code and variable store the Debian package `ovmf` brings.
const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// What a boot needs beside the specification.
pub struct Boot<'a> {
    /// The run's directory.
    pub dir: &'a Path,
    /// The bootable kernel.
    pub vmlinuz: &'a Path,
    /// The initramfs with the run's files.
    pub initrd: &'a Path,
    /// The disks.
    pub disks: &'a [Disk],
    /// Where the console is logged.
    pub serial: &'a Path,
    /// How to run the processor.
    pub accel: Accel,
}

/// The command that boots the guest. It dies with us: `setpriv` has the kernel signal it when the
/// thread that starts it ends, however that happens.
pub fn command(spec: &Spec, boot: &Boot<'_>) -> Result<Command> {
    let qemu = Emulator::choose()?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]);
    command.arg(&qemu.program).args(qemu.args());
    command.args([
        "-name",
        "dbguard-guest",
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
    ]);
    command.args([
        "-machine",
        "q35,sata=off",
        "-display",
        "none",
        "-m",
        &spec.memory.to_string(),
    ]);
    processor(&mut command, spec, boot.accel);
    if spec.firmware == Firmware::Efi {
        firmware(&mut command, boot.dir)?;
    }
    command
        .arg("-kernel")
        .arg(boot.vmlinuz)
        .arg("-initrd")
        .arg(boot.initrd);
    command.args(["-append", &kernel_line(spec)]);
    command.args(["-device", "virtio-rng-pci"]);
    command.args(disks::qemu_args(boot.disks));
    if spec.bmc {
        command.args([
            "-device",
            "ipmi-bmc-sim,id=bmc0",
            "-device",
            "isa-ipmi-kcs,bmc=bmc0",
        ]);
    }
    console(&mut command, spec, boot.serial);
    Ok(command)
}

fn processor(command: &mut Command, spec: &Spec, accel: Accel) {
    if spec.icount {
        command.args([
            "-accel",
            "tcg",
            "-icount",
            "shift=0,sleep=off",
            "-cpu",
            "max",
            "-smp",
            "1",
        ]);
        return;
    }
    match accel {
        // One thread for all processors: with a thread each, QEMU before 8.1 now and then runs a
        // breakpoint that the kernel has just patched out ("Oops: int3"), and attaching BPF
        // programs patches code all the time. Two guests side by side use two cores just as well.
        //
        // Without ERMS the kernel and the C library move memory by words; QEMU emulates `rep movsb`
        // and `rep stosb` a byte at a time, which costs a guest an eighth of its speed. FSRM without
        // ERMS is a processor that Linux 6.1 does not boot on.
        Accel::Tcg => command.args([
            "-accel",
            "tcg,thread=single",
            "-cpu",
            "max,erms=off,fsrm=off,la57=off",
        ]),
        Accel::Kvm => command.args(["-accel", "kvm", "-cpu", "host"]),
    };
    command.args(["-smp", "2"]);
}

fn firmware(command: &mut Command, dir: &Path) -> Result<()> {
    let vars: PathBuf = dir.join("efivars.fd");
    if !vars.exists() {
        fs::copy(OVMF_VARS, &vars)
            .with_context(|| format!("cannot copy {OVMF_VARS}: apt-get install ovmf"))?;
    }
    command.args([
        "-drive",
        &format!("if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}"),
    ]);
    command.args([
        "-drive",
        &format!("if=pflash,format=raw,unit=1,file={}", vars.display()),
    ]);
    Ok(())
}

fn console(command: &mut Command, spec: &Spec, serial: &Path) {
    command.args(["-device", "virtio-serial-pci"]);
    let log = serial.display();
    if spec.shell {
        // The person gets the console; the guest's words go to a file.
        command.args([
            "-chardev",
            &format!("stdio,id=con,signal=off,logfile={log}"),
        ]);
        command.args(["-serial", "chardev:con"]);
        let words = serial.with_file_name("words.log");
        command.args(["-chardev", &format!("file,id=out,path={}", words.display())]);
    } else {
        command.args([
            "-chardev",
            &format!("file,id=con,path={log}"),
            "-serial",
            "chardev:con",
        ]);
        command.args(["-chardev", "stdio,id=out,signal=off"]);
    }
    command.args(["-device", "virtserialport,chardev=out,name=dbguard.out"]);
}

/// The LSMs of a guest in which `bpf` is none: what Ubuntu, SUSE and others start by default.
const WITHOUT_BPF: &str = "lsm=landlock,lockdown,yama,integrity,apparmor";

/// Guests with this many MiB set memory aside for a crash kernel, as kdump wants it.
const CRASH_MEMORY_FROM: u32 = 2048;

/// The kernel's command line. The list of LSMs is the kernel's own where its own gives the route.
pub fn kernel_line(spec: &Spec) -> String {
    let mut words = vec![
        "console=ttyS0".to_owned(),
        // errors and worse, so that the console log is short and lock-ups are in it
        "loglevel=4".to_owned(),
        "oops=panic panic=-1".to_owned(),
        // Emulated processors leak nothing, and page-table isolation costs them half their speed.
        "mitigations=off".to_owned(),
        // Debian's kernel clears each page that it hands out, a word at a time when it is emulated:
        // a tenth of a guest's time. Nor does a test look for bugs in the kernel's own copying.
        "init_on_alloc=0 hardened_usercopy=off".to_owned(),
        "rw net.ifnames=0 systemd.show_status=no".to_owned(),
        format!("systemd.hostname={}", spec.hostname),
    ];
    if spec.memory >= CRASH_MEMORY_FROM {
        words.push("crashkernel=128M".to_owned());
    }
    if spec.route != Route::of(spec.kernel) {
        words.push(WITHOUT_BPF.to_owned());
    }
    words.extend(spec.append.iter().cloned());
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::Guest;

    fn line(spec: &Spec, accel: Accel) -> String {
        let mut command = Command::new("x");
        processor(&mut command, spec, accel);
        command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned() + " ")
            .collect()
    }

    #[test]
    fn counting_instructions_means_one_emulated_processor() {
        let kernel = "6.1".parse().unwrap();
        let counted = Guest::new(kernel).icount(true);
        assert!(line(counted.spec(), Accel::Kvm).contains("-accel tcg -icount shift=0,sleep=off"));
        assert!(line(counted.spec(), Accel::Kvm).contains("-smp 1"));
        assert!(line(Guest::new(kernel).spec(), Accel::Kvm).contains("-accel kvm"));
    }

    #[test]
    fn the_kernel_keeps_its_own_list_of_lsms() {
        let guest = Guest::new("6.1".parse().unwrap());
        assert!(!kernel_line(guest.spec()).contains("lsm="));
        let other = guest.clone().route(Route::FmodRet);
        assert!(kernel_line(other.spec()).ends_with(WITHOUT_BPF));
        let old = Guest::new("5.10".parse().unwrap()).route(Route::FmodRet);
        assert!(!kernel_line(old.spec()).contains("lsm="));
        let guest = guest.append("lsm=lockdown");
        assert!(kernel_line(guest.spec()).ends_with(" lsm=lockdown"));
    }
}
