//! Typed access to the pinned maps.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use guard_abi::glass::{GlassEntry, GlassUse};
use guard_abi::maps as names;
use guard_abi::marks::Marks;
use guard_abi::{
    ArgumentName, BpfObject, DeviceEntry, DeviceKey, EngineName, ExeId, Policy, TaskEntry,
    ToolRule, Unclaimed, VerbKey, VerbRule,
};
use guard_abi::{FileId, FileName, FileRule, PlaceEntry};

use super::bpf::{self, Plain};
use super::pin;
use super::problem::{GuardError, Result};

/// One map whose keys and values have the sizes of `K` and `V`: checked when it is opened.
#[derive(Debug)]
pub(super) struct Map<K, V> {
    name: &'static str,
    fd: OwnedFd,
    types: PhantomData<(K, V)>,
}

/// Opens a pinned map and checks its shape.
pub(super) fn open(name: &'static str, key: usize, value: usize) -> Result<OwnedFd> {
    let path = pin::map(name);
    let opened = bpf::open_pinned(&path).and_then(|fd| Ok((bpf::map_info(fd.as_fd())?, fd)));
    let (info, fd) = opened.map_err(|source| GuardError::Open {
        name,
        path: path.display().to_string(),
        source,
    })?;
    if (info.key_size as usize, info.value_size as usize) == (key, value) {
        return Ok(fd);
    }
    Err(GuardError::Shape {
        name,
        found: format!(
            "keys of {} and values of {} bytes",
            info.key_size, info.value_size
        ),
        expected: format!("{key} and {value}"),
    })
}

impl<K: Plain, V: Plain> Map<K, V> {
    pub(super) fn open(name: &'static str) -> Result<Self> {
        let fd = open(name, size_of::<K>(), size_of::<V>())?;
        Ok(Self {
            name,
            fd,
            types: PhantomData,
        })
    }

    pub(super) fn get(&self, key: &K) -> Result<Option<V>> {
        bpf::lookup(self.fd.as_fd(), key).map_err(|source| self.failed("reading", source))
    }

    /// The value of the only entry, read into what is there: for one that is too large for the stack.
    pub(super) fn read_into(&self, key: &K, value: &mut V) -> Result<()> {
        bpf::lookup_into(self.fd.as_fd(), key, value)
            .map_err(|source| self.failed("reading", source))
    }

    pub(super) fn set(&self, key: &K, value: &V) -> Result<()> {
        bpf::update(self.fd.as_fd(), key, value).map_err(|source| self.failed("writing", source))
    }

    /// Like [`Map::set`]; `Ok(false)` where the map is full.
    pub(super) fn set_if_room(&self, key: &K, value: &V) -> Result<bool> {
        match bpf::update(self.fd.as_fd(), key, value) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::E2BIG) => Ok(false),
            Err(error) => Err(self.failed("writing", error)),
        }
    }

    pub(super) fn remove(&self, key: &K) -> Result<bool> {
        bpf::delete(self.fd.as_fd(), key).map_err(|source| self.failed("deleting", source))
    }

    /// Every entry. One that is added or removed meanwhile may or may not be there; a removal can
    /// make the kernel begin again, so an entry may also come twice.
    pub(super) fn entries(&self) -> Result<Vec<(K, V)>> {
        let mut found = Vec::new();
        let mut key: Option<K> = None;
        // A map that keeps changing under the walk must not keep it going for ever.
        for _ in 0..2 * names::DEVICES_MAX {
            key = bpf::next_key(self.fd.as_fd(), key.as_ref())
                .map_err(|source| self.failed("listing", source))?;
            let Some(key) = key else { break };
            if let Some(value) = self.get(&key)? {
                found.push((key, value));
            }
        }
        Ok(found)
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    fn failed(&self, act: &'static str, source: io::Error) -> GuardError {
        GuardError::Access {
            name: self.name,
            act,
            source,
        }
    }
}

impl<K, V> AsFd for Map<K, V> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// All maps that the controller reads or writes, except the rings.
#[derive(Debug)]
pub(super) struct Maps {
    pub devices: Map<DeviceKey, DeviceEntry>,
    pub unclaimed: Map<u32, Unclaimed>,
    pub char_majors: Map<u32, u32>,
    pub tasks: Map<u32, TaskEntry>,
    pub engine_names: Map<EngineName, u32>,
    pub engine_exes: Map<ExeId, u32>,
    pub tools: Map<ExeId, ToolRule>,
    pub verbs: Map<VerbKey, VerbRule>,
    pub arguments: Map<ArgumentName, u32>,
    pub places: Map<FileId, PlaceEntry>,
    pub file_names: Map<FileName, FileRule>,
    pub superblocks: Map<u32, u32>,
    pub marks: Map<u32, Marks>,
    pub handed_over: Map<u32, u64>,
    pub dm_names: Map<u64, u32>,
    pub own_objects: Map<BpfObject, u32>,
    pub glass: Map<u32, GlassEntry>,
    pub glass_uses: Map<GlassUse, u32>,
    pub arm: Map<u32, u64>,
    pub policy: Map<u32, Policy>,
    pub counters: Map<u32, u64>,
}

impl Maps {
    pub(super) fn open() -> Result<Self> {
        Ok(Self {
            devices: Map::open(names::DEVICES)?,
            unclaimed: Map::open(names::UNCLAIMED)?,
            char_majors: Map::open(names::CHAR_MAJORS)?,
            tasks: Map::open(names::TASKS)?,
            engine_names: Map::open(names::ENGINE_NAMES)?,
            engine_exes: Map::open(names::ENGINE_EXES)?,
            tools: Map::open(names::TOOLS)?,
            verbs: Map::open(names::VERBS)?,
            arguments: Map::open(names::ARGUMENTS)?,
            places: Map::open(names::PLACES)?,
            file_names: Map::open(names::FILE_NAMES)?,
            superblocks: Map::open(names::SUPERBLOCKS)?,
            marks: Map::open(names::MARKS)?,
            handed_over: Map::open(names::HANDED_OVER)?,
            dm_names: Map::open(names::DM_NAMES)?,
            own_objects: Map::open(names::OWN_OBJECTS)?,
            glass: Map::open(names::GLASS)?,
            glass_uses: Map::open(names::GLASS_USES)?,
            arm: Map::open(names::ARM)?,
            policy: Map::open(names::POLICY)?,
            counters: Map::open(names::COUNTERS)?,
        })
    }
}
