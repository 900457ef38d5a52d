//! The disks of one run: throw-away overlays of the cached root and data disks, and empty spares,
//! each on the controller that its role stands for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cmd;
use crate::image::disk;

/// The controller a disk sits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// An NVMe controller of its own, one namespace.
    Nvme,
    /// A LUN of the shared virtio-scsi controller.
    Scsi,
    /// virtio-blk.
    Virtio,
}

/// One disk of a guest. Its role is its serial number and its name in `/dev/disk/by-role`.
#[derive(Clone, Debug)]
pub struct Disk {
    /// `root`, `data`, `spare1`, ...
    pub role: String,
    /// Where it sits.
    pub bus: Bus,
    /// The image on this machine.
    pub image: PathBuf,
    /// The image's format, `qcow2` or `raw`.
    pub format: &'static str,
}

/// Size of a spare disk in mebibytes; its image is sparse.
pub const SPARE_MIB: u64 = 512;

/// The spares, each on a bus: a kind of controller never depends on one disk.
const SPARES: &[(&str, Bus)] = &[
    ("spare1", Bus::Scsi),
    ("spare2", Bus::Nvme),
    ("spare3", Bus::Virtio),
    ("spare4", Bus::Scsi),
];

/// Makes the disks of a run in `dir`.
pub fn make(dir: &Path, root: &Path, data: &Path) -> Result<Vec<Disk>> {
    let mut disks = vec![
        overlay(dir, "root", Bus::Virtio, root)?,
        overlay(dir, "data", Bus::Nvme, data)?,
    ];
    for (role, bus) in SPARES {
        let image = dir.join(format!("{role}.raw"));
        disk::sparse(&image, SPARE_MIB)?;
        disks.push(Disk {
            role: (*role).to_owned(),
            bus: *bus,
            image,
            format: "raw",
        });
    }
    Ok(disks)
}

fn overlay(dir: &Path, role: &str, bus: Bus, backing: &Path) -> Result<Disk> {
    let image = dir.join(format!("{role}.qcow2"));
    let qemu_img =
        cmd::which("qemu-img").context("qemu-img is missing: apt-get install qemu-utils")?;
    cmd::logged(
        Command::new(qemu_img)
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .arg(backing)
            .arg(&image),
        "making a disk overlay",
        &dir.join("qemu.log"),
    )?;
    Ok(Disk {
        role: role.to_owned(),
        bus,
        image,
        format: "qcow2",
    })
}

/// QEMU's arguments for the disks.
pub fn qemu_args(disks: &[Disk]) -> Vec<String> {
    let mut args = vec!["-device".to_owned(), "virtio-scsi-pci,id=scsi".to_owned()];
    for (at, disk) in disks.iter().enumerate() {
        let role = &disk.role;
        // The host's page cache is as durable as a throw-away disk needs.
        args.push("-drive".to_owned());
        args.push(format!(
            "if=none,id={role},file={},format={},cache=unsafe,discard=unmap",
            disk.image.display(),
            disk.format
        ));
        match disk.bus {
            Bus::Nvme => {
                args.push("-device".to_owned());
                args.push(format!("nvme,id=nvme-{role},serial={role}"));
                args.push("-device".to_owned());
                args.push(format!("nvme-ns,bus=nvme-{role},drive={role},nsid=1"));
            }
            Bus::Scsi => {
                args.push("-device".to_owned());
                args.push(format!(
                    "scsi-hd,bus=scsi.0,drive={role},serial={role},device_id={role},\
                     wwn=0x5000c500a0b0c{at:03x}"
                ));
            }
            Bus::Virtio => {
                args.push("-device".to_owned());
                args.push(format!("virtio-blk-pci,drive={role},serial={role}"));
            }
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bus_carries_a_spare_and_serials_are_roles() {
        for bus in [Bus::Nvme, Bus::Scsi, Bus::Virtio] {
            assert!(SPARES.iter().any(|(_, on)| *on == bus));
        }
        let disks: Vec<_> = SPARES
            .iter()
            .map(|(role, bus)| Disk {
                role: (*role).to_owned(),
                bus: *bus,
                image: PathBuf::from("x"),
                format: "raw",
            })
            .collect();
        let args = qemu_args(&disks).join(" ");
        for (role, _) in SPARES {
            assert!(args.contains(&format!("serial={role}")), "{role} in {args}");
        }
    }
}
