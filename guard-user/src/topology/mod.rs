//! Which block devices exist, how they are stacked, and which of them must not be touched.
//!
//! Three steps, each over data alone: [`Inventory::scan`] reads sysfs, [`Uses`] says what the host
//! and its databases use, [`classify`] joins the two into what the kernel half is told. Every path
//! is taken from [`Roots`], so that a recorded or generated tree is a test.
//!
//! The rule that everything else follows from: doubt protects. A device that cannot be read, a
//! holder that is not understood, a stack whose members cannot be named, all end as protected.

mod attributes;
mod beside;
mod changes;
mod classify;
mod identity;
mod inventory;
mod labels;
mod link;
mod lvm;
mod lvm_label;
mod lvm_metadata;
mod md;
mod memory;
mod mounts;
mod namespaces;
mod passthrough;
mod reasons;
mod scan;
mod udev;
mod uses;

pub use changes::Changes;
pub use classify::{Classification, Classified, classify};
pub use identity::HardwareIds;
pub use inventory::{BlockDevice, CharNode, Inventory, Kind, VolumeGroup};
pub use labels::Signature;
pub use lvm::split_dm_name;
pub use lvm_metadata::backups as lvm_backups;
pub use md::MdArray;
pub use memory::{DeviceIdentity, Memory, Scope};
pub use mounts::{Location, Mount, MountTable};
pub use reasons::{MARKED, Why};
pub use uses::{DataUse, MountUse, RawUse, SwapUse, Uses};

use std::path::{Path, PathBuf};

/// Where the kernel's and udev's files are. [`Roots::host`] for the machine itself.
#[derive(Clone, Debug)]
pub struct Roots {
    /// sysfs.
    pub sys: PathBuf,
    /// procfs. The host's files are reached through `1/root` below it.
    pub proc: PathBuf,
    /// `/run`: udev's database and LVM's list of physical volumes.
    pub run: PathBuf,
    /// Device nodes.
    pub dev: PathBuf,
}

impl Roots {
    /// The running machine.
    pub fn host() -> Self {
        Self {
            sys: "/sys".into(),
            proc: "/proc".into(),
            run: "/run".into(),
            dev: "/dev".into(),
        }
    }

    /// Everything below one directory, laid out like a machine's root.
    pub fn under(root: &Path) -> Self {
        Self {
            sys: root.join("sys"),
            proc: root.join("proc"),
            run: root.join("run"),
            dev: root.join("dev"),
        }
    }

    /// The file system root of process 1, which is the host's own.
    pub fn host_root(&self) -> PathBuf {
        self.proc.join("1/root")
    }
}

/// Why the topology could not be read at all. A single device that cannot be read is no error:
/// it is left out, so the kernel half treats it as unknown.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// A directory or file without which nothing is known.
    #[error("cannot read {path}: {source}; {hint}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What a person does about it.
        hint: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

/// The kernel form (`major << 20 | minor`) of a `dev_t` that stat(2) returned.
pub fn kernel_dev(stat_dev: u64) -> u32 {
    guard_abi::dev::make(rustix::fs::major(stat_dev), rustix::fs::minor(stat_dev))
}

/// `major:minor` as sysfs and mountinfo write it, in kernel form.
pub(crate) fn parse_dev(text: &str) -> Option<u32> {
    let (major, minor) = text.trim().split_once(':')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    (major < 1 << 12 && minor < 1 << guard_abi::dev::MINOR_BITS)
        .then(|| guard_abi::dev::make(major, minor))
}
