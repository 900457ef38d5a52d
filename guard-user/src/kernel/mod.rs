//! The controller's side of the kernel half: finding out what the running kernel can do, loading
//! the programs, pinning them, and reading and writing their maps.
//!
//! ```text
//! probe   what this kernel and this process can do         never fails, names every problem
//! load    BTF → offsets → programs → links → pins          in a short-lived child
//! guard   the pinned maps, typed                           what stays resident
//! ```

mod bpf;
pub mod btf;
mod by_aya;
mod by_libbpf;
mod canary;
mod cgroup;
mod glass;
mod guard;
mod hooks;
mod load;
mod maps;
mod marks;
mod object;
mod on_demand;
mod own;
pub mod pin;
mod probe;
mod problem;
mod rings;
mod route;
mod selftest;
mod start;
mod sync;

pub use cgroup::is_there as second_layer_is_possible;
pub use guard::{Counters, Guard, Links};
pub use hooks::{Attach, Exercise, HOOKS, HookSpec, HookStatus, Presence, SECOND_LAYER};
pub use load::load_child;
pub use object::{digest as object_digest, is_built_in as object_is_built_in};
pub use on_demand::ON_DEMAND;
pub use probe::{Probe, probe};
pub use problem::{GuardError, Problem, ProblemKind, Result, StartError};
pub use rings::{Event, EventRing};
pub use route::Route;
pub use selftest::{HookTest, SelfTest, TestOutcome};
pub use start::{LOAD_VERB, LoadReport};
pub use sync::SyncReport;
