//! Block devices of the guest and the passthrough nodes that reach them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A block device: a whole disk, a partition, or one that is put together from others.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Its node, such as `/dev/sda`; links are resolved.
    pub node: PathBuf,
    /// Its kernel name, such as `sda`.
    pub name: String,
}

impl Disk {
    /// The device behind a node or a link to one.
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let node = fs::canonicalize(path).with_context(|| {
            format!("no device {}: is the guest's disk missing?", path.display())
        })?;
        let name = node
            .file_name()
            .with_context(|| format!("{} has no name", node.display()))?
            .to_string_lossy()
            .into_owned();
        Ok(Self { node, name })
    }

    /// The disk that plays a role in the guest: `data`, `spare1`, `data-part1`, ….
    pub fn role(role: &str) -> Result<Self> {
        Self::at(Path::new("/dev/disk/by-role").join(role))
    }

    /// Its node as text.
    pub fn path(&self) -> String {
        self.node.display().to_string()
    }

    /// `major:minor`.
    pub fn numbers(&self) -> Result<String> {
        numbers(&self.node)
    }

    /// Its size in bytes.
    pub fn size(&self) -> Result<u64> {
        let file = format!("/sys/class/block/{}/size", self.name);
        let sectors: u64 = fs::read_to_string(&file)
            .with_context(|| format!("cannot read {file}"))?
            .trim()
            .parse()
            .with_context(|| format!("{file} is not a number"))?;
        Ok(sectors * 512)
    }

    /// Partition `number` of this disk.
    pub fn partition(&self, number: u32) -> Result<Self> {
        Self::at(self.partition_path(number))
    }

    /// Where partition `number` is or will be.
    pub fn partition_path(&self, number: u32) -> PathBuf {
        let digit_last = self.name.ends_with(|c: char| c.is_ascii_digit());
        let separator = if digit_last { "p" } else { "" };
        self.node
            .with_file_name(format!("{}{separator}{number}", self.name))
    }

    /// The passthrough nodes that reach this whole disk.
    pub fn passthrough(&self) -> Passthrough {
        let device = PathBuf::from(format!("/sys/block/{}/device", self.name));
        let first = |dir: PathBuf, prefix: &str| -> Option<String> {
            let mut names: Vec<_> = fs::read_dir(dir)
                .ok()?
                .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
                .filter(|name| name.starts_with(prefix))
                .collect();
            names.sort();
            names.into_iter().next()
        };
        let dev = |name: String| PathBuf::from("/dev").join(name);
        if self.name.starts_with("nvme") {
            // nvme2n1 sits on controller nvme2 as long as native multipath has one path.
            let controller = self.name[4..]
                .split('n')
                .next()
                .map(|at| dev(format!("nvme{at}")));
            let generic = self
                .name
                .strip_prefix("nvme")
                .map(|rest| dev(format!("ng{rest}")));
            return Passthrough {
                controller: controller.filter(|node| node.exists()),
                generic: generic.filter(|node| node.exists()),
                ..Passthrough::default()
            };
        }
        Passthrough {
            sg: first(device.join("scsi_generic"), "sg").map(dev),
            bsg: first(device.join("bsg"), "").map(|name| PathBuf::from("/dev/bsg").join(name)),
            ..Passthrough::default()
        }
    }

    /// Waits until the device is gone or there, whichever `there` says.
    pub fn wait(path: &Path, there: bool) -> Result<()> {
        until(Duration::from_secs(15), || Ok(path.exists() == there)).with_context(|| {
            format!(
                "{} is still {}",
                path.display(),
                if there { "missing" } else { "there" }
            )
        })
    }
}

/// Character devices that pass commands to a disk.
#[derive(Clone, Debug, Default)]
pub struct Passthrough {
    /// `/dev/nvmeN`.
    pub controller: Option<PathBuf>,
    /// `/dev/ngNnM`.
    pub generic: Option<PathBuf>,
    /// `/dev/sgN`.
    pub sg: Option<PathBuf>,
    /// `/dev/bsg/H:C:T:L`.
    pub bsg: Option<PathBuf>,
}

impl Passthrough {
    /// All there are.
    pub fn nodes(&self) -> Vec<PathBuf> {
        [&self.controller, &self.generic, &self.sg, &self.bsg]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

/// `major:minor` of a device node.
pub fn numbers(node: &Path) -> Result<String> {
    let rdev = fs::metadata(node)
        .with_context(|| format!("cannot stat {}", node.display()))?
        .rdev();
    Ok(format!("{}:{}", libc::major(rdev), libc::minor(rdev)))
}

/// Asks every 50 ms until the answer is yes.
pub fn until(limit: Duration, mut ask: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    loop {
        if ask()? {
            return Ok(());
        }
        if start.elapsed() > limit {
            bail!("did not happen within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
