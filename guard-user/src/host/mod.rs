//! Which processes are databases, where their data lies, and which maintenance programs a live
//! database host depends on.
//!
//! The kernel half recognises a server by its executable alone, before its first instruction. What
//! is found here, from outside and a moment later, is where the data is.

mod boot_tools;
mod cgroup;
mod config_files;
mod datadir;
pub mod descriptors;
mod engines;
mod exe;
mod process;
mod role;
mod running;
mod tools;
mod verbs;

pub use engines::{EngineTable, ResolvedEngines};
pub use exe::{exe_id, own_program, resolve_in_root};
pub use process::start_boot_ns;
pub use role::{ROLES, UNKNOWN as UNKNOWN_ROLE, role};
pub use running::{RunningTool, running_tools};
pub use tools::{ResolvedTools, Tool, ToolTable, Verbs};
pub use verbs::Verb;

use std::path::PathBuf;

use guard_abi::Engine;

use crate::topology::{Location, Roots};

/// A directory with a database's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir {
    /// As the server sees it.
    pub path: PathBuf,
    /// What it lies on; `None` where its mount could not be found.
    pub location: Option<Location>,
    /// The server has files open there, and nothing that it was told or keeps names the place: data,
    /// but perhaps an export (`SELECT … INTO OUTFILE`) onto a disk for backups.
    pub is_merely_open: bool,
}

/// A running database server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriticalProcess {
    /// Process id.
    pub pid: u32,
    /// Which database.
    pub engine: Engine,
    /// Base name of the executable (`mariadbd`).
    pub name: String,
    /// The executable, as the process sees it.
    pub exe: PathBuf,
    /// Where its data is. Empty for a worker (see `worker_of`).
    pub data_dirs: Vec<DataDir>,
    /// Directories, by paths of ours, in which it names further ones when a table is made elsewhere.
    pub names_data_in: Vec<PathBuf>,
    /// Block devices that it has opened, kernel form.
    pub raw_devices: Vec<u32>,
    /// The process whose worker it is (a PostgreSQL backend): its parent, with the same executable.
    pub worker_of: Option<u32>,
    /// The server has opened its data: looking again will find no other directory. While false
    /// it has only just started, and what is known comes from its arguments and configuration.
    pub settled: bool,
    /// Container, where it runs in one.
    pub container: Option<String>,
    /// systemd unit.
    pub unit: Option<String>,
    /// Start, ns of CLOCK_BOOTTIME; from clock ticks, so exact to 10 ms only.
    pub start_boot_ns: u64,
}

impl CriticalProcess {
    /// Whether it keeps data where it kept some before, going by what names its directories: a file
    /// that is merely open at one of many looks does not tell.
    pub fn has_same_data(&self, before: &Self) -> bool {
        let named = |process: &Self| -> Vec<DataDir> {
            let dirs = process.data_dirs.iter();
            dirs.filter(|dir| !dir.is_merely_open).cloned().collect()
        };
        self.pid == before.pid
            && self.start_boot_ns == before.start_boot_ns
            && self.settled == before.settled
            && self.raw_devices == before.raw_devices
            && named(self) == named(before)
    }
}

/// Looks at one process that is known to be critical. `None` where it has ended.
pub fn inspect(roots: &Roots, pid: u32, engine: Engine) -> Option<CriticalProcess> {
    process::inspect(roots, pid, engine)
}

/// Every running process that the table recognises, workers included.
pub fn find_running(roots: &Roots, table: &EngineTable) -> Vec<CriticalProcess> {
    process::find_running(roots, table)
}
