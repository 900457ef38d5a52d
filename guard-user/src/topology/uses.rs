//! What the host and its databases use.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use guard_abi::Engine;

use super::mounts::{Location, Mount, MountTable, unescape};
use super::{Inventory, Roots, TopologyError, beside, namespaces};

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountUse {
    /// The file system.
    pub location: Location,
    /// Where the host sees it.
    pub point: PathBuf,
    /// ext2/3/4, mounted for writing.
    pub ext_writable: bool,
}

/// Active swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapUse {
    /// The partition or file.
    pub path: PathBuf,
    /// The swap area itself, or what the swap file lies on. `None` where it could not be found.
    pub location: Option<Location>,
    /// A swap file rather than a device.
    pub is_file: bool,
}

/// A directory with a database's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataUse {
    /// As the database sees it.
    pub path: PathBuf,
    /// What it lies on. `None` where it could not be found.
    pub location: Option<Location>,
    /// The database.
    pub engine: Engine,
    /// The server's name (`mariadbd`), or what the operator called it.
    pub name: String,
    /// The server's process, where it runs.
    pub pid: Option<u32>,
}

/// A block device that a database uses without a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawUse {
    /// The device.
    pub dev: u32,
    /// The database.
    pub engine: Engine,
    /// The server's name.
    pub name: String,
    /// The server's process, where it runs.
    pub pid: Option<u32>,
}

/// Everything that makes a device used.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    /// Mounted file systems of every mount namespace.
    pub mounts: Vec<MountUse>,
    /// What file systems keep on other devices than the one that they are known by: dev_t of the
    /// file system, and those of the others ([`super::beside`]).
    pub beside: BTreeMap<u32, Vec<u32>>,
    /// Swap areas and files.
    pub swaps: Vec<SwapUse>,
    /// Database directories.
    pub data: Vec<DataUse>,
    /// Devices that databases use raw.
    pub raw: Vec<RawUse>,
}

impl Uses {
    /// What the host itself uses: mounts (root, boot, EFI and all others, in every mount
    /// namespace) and swap. Databases are added by [`Uses::add_process`].
    pub fn of_host(roots: &Roots, inventory: &Inventory) -> Result<Self, TopologyError> {
        let table =
            MountTable::read(roots, "self").map_err(|source| TopologyError::Unreadable {
                path: roots.proc.join("self/mountinfo"),
                hint: "is /proc mounted?",
                source,
            })?;
        let mut uses = Self::default();
        let mut seen = HashMap::new();
        let mut beside = beside::Search::new(roots, inventory);
        let others = namespaces::other_tables(roots);
        for mount in std::iter::once(&table)
            .chain(&others)
            .flat_map(MountTable::mounts)
        {
            if uses.add_mount(mount, &mut seen) {
                beside.add(mount);
            }
        }
        uses.beside = beside.found();
        uses.swaps = read_swaps(roots, inventory, &table)?;
        Ok(uses)
    }

    /// Adds what a database server uses.
    pub fn add_process(&mut self, process: &crate::host::CriticalProcess) {
        for dir in &process.data_dirs {
            self.data.push(DataUse {
                path: dir.path.clone(),
                location: dir.location.clone(),
                engine: process.engine,
                name: process.name.clone(),
                pid: Some(process.pid),
            });
        }
        for dev in &process.raw_devices {
            self.raw.push(RawUse {
                dev: *dev,
                engine: process.engine,
                name: process.name.clone(),
                pid: Some(process.pid),
            });
        }
    }

    /// Adds a directory that the operator marked as critical.
    pub fn add_marked_path(&mut self, roots: &Roots, path: &Path) {
        let location = MountTable::read(roots, "self").ok().and_then(|table| {
            let real = crate::host::resolve_in_root(&roots.host_root(), path);
            table.locate(&table, &real)
        });
        self.data.push(DataUse {
            path: path.to_owned(),
            location,
            engine: Engine::Custom,
            name: super::reasons::MARKED.to_owned(),
            pid: None,
        });
    }

    /// `seen`: dev_t and source of the mounts that are there already, with their place. The same
    /// file system in another directory or namespace adds nothing but the flag. True for the first of
    /// a file system that may have a device.
    fn add_mount(&mut self, mount: &Mount, seen: &mut HashMap<(u32, String), usize>) -> bool {
        if !may_have_device(mount) {
            return false;
        }
        let ext_writable = mount.is_ext() && mount.is_writable();
        let next = self.mounts.len();
        let place = *seen
            .entry((mount.dev, mount.source.clone()))
            .or_insert(next);
        if let Some(known) = self.mounts.get_mut(place) {
            known.ext_writable |= ext_writable;
            return false;
        }
        self.mounts.push(MountUse {
            location: Location {
                dev: mount.dev,
                fs_type: mount.fs_type.clone(),
                source: mount.source.clone(),
            },
            point: mount.point.clone(),
            ext_writable,
        });
        true
    }
}

/// File systems with an anonymous dev_t that lie on block devices nonetheless.
pub(super) const MULTI_DEVICE: &[&str] = &["btrfs", "bcachefs", "zfs"];

fn may_have_device(mount: &Mount) -> bool {
    mount.dev >> guard_abi::dev::MINOR_BITS != 0
        || MULTI_DEVICE.contains(&mount.fs_type.as_str())
        || mount.source.starts_with("/dev/")
}

fn read_swaps(
    roots: &Roots,
    inventory: &Inventory,
    table: &MountTable,
) -> Result<Vec<SwapUse>, TopologyError> {
    let path = roots.proc.join("swaps");
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // A kernel without swap has no such file.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(TopologyError::Unreadable {
                path,
                hint: "is /proc mounted?",
                source,
            });
        }
    };
    Ok(text
        .lines()
        .skip(1)
        .filter_map(|line| swap_of(line, roots, inventory, table))
        .collect())
}

fn swap_of(
    line: &str,
    roots: &Roots,
    inventory: &Inventory,
    table: &MountTable,
) -> Option<SwapUse> {
    let mut fields = line.split_whitespace();
    let path = unescape(fields.next()?);
    let is_file = fields.next()? == "file";
    let location = if is_file {
        table.locate(table, Path::new(&path))
    } else {
        inventory.resolve(roots, &path).map(|dev| Location {
            dev,
            fs_type: "swap".to_owned(),
            source: path.clone(),
        })
    };
    Some(SwapUse {
        path: path.into(),
        location,
        is_file,
    })
}
