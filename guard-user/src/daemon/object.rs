//! What is known about the object of an event, beyond what the event says.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use guard_abi::{DenialEvent, DeviceKey, ObjectKind};

use super::Daemon;
use crate::audit::enrich;
use crate::audit::record::Object;
use crate::topology::{MountTable, Roots};

/// Deeper than any stack; a loop in what the kernel tells ends here.
const STACK_MAX: usize = 64;

impl Daemon {
    /// The object of an event with its reasons, identity, stack and mounts.
    pub(super) fn object_of(&self, event: &DenialEvent) -> Object {
        let mut object = enrich::object(event);
        let kind = u32::from(event.device_kind);
        if let Some(known) = self.surveyed.get(DeviceKey {
            dev: event.dev,
            kind,
        }) {
            object.name = known.name.to_string();
            object.diskseq = known.entry.disk_seq;
            object.why = known.why.iter().map(ToString::to_string).collect();
            if let Some(identity) = &known.identity {
                object.wwid.clone_from(&identity.wwid);
                object.serial.clone_from(&identity.serial);
            }
        }
        if event.device_kind == ObjectKind::Block as u8 {
            read_block(&self.roots, &mut object);
        } else if event.device_kind == ObjectKind::File as u8 {
            complete_path(&self.roots, event.dev, &mut object);
        } else if object.name == object.dev {
            name_node(&self.roots, &mut object);
        }
        object
    }
}

/// Names a character device that is none of a disk's as its node is called: `mem`, `ipmi0`,
/// `mapper/control`.
fn name_node(roots: &Roots, object: &mut Object) {
    let file = roots.sys.join("dev/char").join(&object.dev).join("uevent");
    let text = fs::read_to_string(file).unwrap_or_default();
    if let Some(name) = text.lines().find_map(|line| line.strip_prefix("DEVNAME=")) {
        name.clone_into(&mut object.name);
    }
}

/// Puts the mount point before the path of a file that is known from the root of its file system.
fn complete_path(roots: &Roots, dev: u32, object: &mut Object) {
    let Ok(table) = MountTable::read(roots, "self") else {
        return;
    };
    // The mount of the whole file system, before those of parts of it.
    let mount = table
        .mounts()
        .iter()
        .filter(|mount| mount.dev == dev)
        .min_by_key(|mount| mount.root.len());
    let Some(mount) = mount else { return };
    let point = mount.point.display().to_string();
    object.name = format!("{}{}", point.trim_end_matches('/'), object.name);
    object.mounts = vec![point];
}

/// Fills in what sysfs and the mount table say about a block device.
fn read_block(roots: &Roots, object: &mut Object) {
    let Ok(directory) = fs::canonicalize(roots.sys.join("dev/block").join(&object.dev)) else {
        return;
    };
    if let Some(name) = directory.file_name() {
        object.name = name.to_string_lossy().replace('!', "/");
    }
    // A partition's disk is the directory above it.
    let is_partition = directory.join("partition").exists();
    let disk = if is_partition {
        directory.parent().unwrap_or(&directory)
    } else {
        &directory
    };
    let read = |name: &str| {
        let text = fs::read_to_string(disk.join(name)).ok()?;
        let text = text.trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    if object.wwid.is_none() {
        object.wwid = read("wwid").or_else(|| read("device/wwid"));
    }
    if object.serial.is_none() {
        object.serial = read("serial").or_else(|| read("device/serial"));
    }
    if object.diskseq == 0 {
        object.diskseq = read("diskseq")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
    }
    let stack = stack(roots, &directory);
    let numbers: HashSet<&str> = stack.iter().map(|(_, number)| number.as_str()).collect();
    object.mounts = mounts(roots, &numbers);
    object.stack = stack
        .iter()
        .map(|(name, _)| name.clone())
        .filter(|name| *name != object.name)
        .collect();
}

/// Name and number of the device, the disk it is a partition of or its own partitions, and all that
/// lies above and below; not its siblings.
fn stack(roots: &Roots, start: &Path) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut left = vec![start.to_owned()];
    while let Some(directory) = left.pop() {
        let Some(name) = directory.file_name() else {
            continue;
        };
        let name = name.to_string_lossy().replace('!', "/");
        let Ok(number) = fs::read_to_string(directory.join("dev")) else {
            continue;
        };
        if found.iter().any(|(known, _)| *known == name) || found.len() == STACK_MAX {
            continue;
        }
        found.push((name, number.trim().to_owned()));
        for kind in ["slaves", "holders"] {
            let Ok(entries) = fs::read_dir(directory.join(kind)) else {
                continue;
            };
            for entry in entries.flatten() {
                left.extend(fs::canonicalize(
                    roots.sys.join("class/block").join(entry.file_name()),
                ));
            }
        }
        if directory.join("partition").exists() {
            left.extend(directory.parent().map(Path::to_owned));
        } else if directory == start
            && let Ok(entries) = fs::read_dir(&directory)
        {
            let is_partition = |path: &Path| path.join("partition").exists();
            left.extend(
                entries
                    .flatten()
                    .map(|entry| entry.path())
                    .filter(|path| is_partition(path)),
            );
        }
    }
    found.sort();
    found
}

fn mounts(roots: &Roots, numbers: &HashSet<&str>) -> Vec<String> {
    let Ok(table) = MountTable::read(roots, "self") else {
        return Vec::new();
    };
    let mut points: Vec<String> = table
        .mounts()
        .iter()
        .filter(|mount| numbers.contains(enrich::dev_text(mount.dev).as_str()))
        .map(|mount| mount.point.display().to_string())
        .collect();
    points.sort();
    points.dedup();
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_partition_under_a_volume() {
        let root = tempfile::tempdir().expect("a directory");
        let sys = root.path().join("sys");
        let disk = sys.join("devices/pci/sda");
        for (path, dev) in [("", "8:0"), ("sda1", "8:1"), ("sda2", "8:2")] {
            fs::create_dir_all(disk.join(path)).expect("made");
            fs::write(disk.join(path).join("dev"), dev).expect("written");
            if !path.is_empty() {
                fs::write(disk.join(path).join("partition"), "1").expect("written");
            }
        }
        let volume = sys.join("devices/virtual/dm-0");
        for directory in [
            disk.join("sda1/holders"),
            volume.join("slaves"),
            sys.join("class/block"),
            sys.join("dev/block"),
            disk.join("device"),
        ] {
            fs::create_dir_all(directory).expect("made");
        }
        fs::write(volume.join("dev"), "253:0").expect("written");
        fs::write(disk.join("device/wwid"), "naa.5000\n").expect("written");
        fs::write(disk.join("diskseq"), "9\n").expect("written");
        symlink("../../dm-0", disk.join("sda1/holders/dm-0")).expect("linked");
        symlink("../../sda1", volume.join("slaves/sda1")).expect("linked");
        symlink(&volume, sys.join("class/block/dm-0")).expect("linked");
        symlink(disk.join("sda1"), sys.join("class/block/sda1")).expect("linked");
        symlink(disk.join("sda1"), sys.join("dev/block/8:1")).expect("linked");
        fs::create_dir_all(root.path().join("proc/self")).expect("made");
        fs::write(
            root.path().join("proc/self/mountinfo"),
            "22 1 253:0 / /srv/data rw - xfs /dev/dm-0 rw\n23 1 0:5 / /proc rw - proc proc rw\n",
        )
        .expect("written");
        let mut object = Object {
            dev: "8:1".into(),
            ..Object::default()
        };
        read_block(&Roots::under(root.path()), &mut object);
        assert_eq!(object.name, "sda1");
        assert_eq!(object.stack, ["dm-0", "sda"]);
        assert_eq!(object.mounts, ["/srv/data"]);
        assert_eq!(object.wwid.as_deref(), Some("naa.5000"));
        assert_eq!(object.diskseq, 9);
    }
}
