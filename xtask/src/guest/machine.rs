//! A guest's machine: its own disks and logs. It can be booted again and again with the same disks,
//! which is a reboot.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::disks::{self, Disk};
use super::qemu::{self, Accel, Boot};
use super::run::{self, Failure, Outcome};
use super::{Script, Spec, accel, new_run_dir, payload};
use crate::image::root::{self, Base};

/// A machine made ready. Its disks are removed when it is dropped; its logs stay.
pub struct Machine {
    spec: Spec,
    base: Base,
    dir: PathBuf,
    disks: Vec<Disk>,
    accel: Accel,
    boots: u32,
    keep: bool,
}

impl Machine {
    pub(super) fn prepare(spec: Spec) -> Result<Self> {
        if let Some(why) = spec.route.refused_by(spec.kernel) {
            bail!(why);
        }
        let base = root::base(spec.kernel, spec.flavour())?;
        let data = root::data_disk(spec.db)?;
        let accel = accel::choose(&base)?;
        let dir = new_run_dir()?;
        let disks = disks::make(&dir, &base.disk, &data)?;
        Ok(Self {
            spec,
            base,
            dir,
            disks,
            accel,
            boots: 0,
            keep: false,
        })
    }

    /// The directory of the run's logs and disks.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Leaves the disks when the machine is dropped.
    pub fn keep_disks(&mut self) {
        self.keep = true;
    }

    /// The image of a disk by role, for looking at while the machine is off.
    pub fn disk(&self, role: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.role == role)
    }

    /// Boots, runs `script` as root, gives its output to `output` as it comes, and stops the
    /// machine. The guest's failures come as [`Failure`] inside the error.
    pub fn run(&mut self, script: &Script, output: &mut dyn FnMut(&[u8])) -> Result<Outcome> {
        self.boots += 1;
        let serial = if self.boots == 1 {
            self.dir.join("serial.log")
        } else {
            self.dir.join(format!("serial-{}.log", self.boots))
        };
        let nonce = nonce()?;
        let initrd = self.dir.join("initrd.cpio");
        let mut bytes = fs::read(&self.base.initrd)
            .with_context(|| format!("cannot read {}", self.base.initrd.display()))?;
        bytes.extend(payload::make(&self.spec, script, &nonce)?.archive());
        fs::write(&initrd, bytes).with_context(|| format!("cannot write {}", initrd.display()))?;
        let command = qemu::command(
            &self.spec,
            &Boot {
                dir: &self.dir,
                vmlinuz: &self.base.vmlinuz,
                initrd: &initrd,
                disks: &self.disks,
                serial: &serial,
                accel: self.accel,
            },
        )?;
        let result = run::run(command, &self.spec, &nonce, &serial, output);
        fs::remove_file(&initrd).ok();
        match result {
            Ok(outcome) => Ok(outcome),
            Err(error) if error.is::<Failure>() => Err(error.context(format!(
                "guest failed, its console is in {}",
                serial.display()
            ))),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        for disk in &self.disks {
            fs::remove_file(&disk.image).ok();
        }
        fs::remove_file(self.dir.join("efivars.fd")).ok();
    }
}

/// 128 random bits in hexadecimal digits.
fn nonce() -> Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}
