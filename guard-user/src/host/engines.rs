//! Which executables are database servers.

use std::path::{Path, PathBuf};

use guard_abi::{Engine, EngineName, ExeId};

use super::exe::exe_id;
use crate::topology::MountTable;

/// Servers by the base name of their executable. Clients, exporters, proxies and wrapper scripts
/// are not among them: what arms a host must write the data itself.
const BUILT_IN: &[(&str, Engine)] = &[
    ("mariadbd", Engine::Mysql),
    ("mariadbd-debug", Engine::Mysql),
    ("mysqld", Engine::Mysql),
    ("mysqld-debug", Engine::Mysql),
    // Data nodes of MySQL Cluster.
    ("ndbd", Engine::Mysql),
    ("ndbmtd", Engine::Mysql),
    ("postgres", Engine::Postgres),
    ("postmaster", Engine::Postgres),
    ("edb-postgres", Engine::Postgres),
];

/// Bytes of a name that count; `EngineName` and a task's `comm` hold no more.
const NAME_BYTES: usize = 15;

/// A server that is asked for one of these prints something and ends (the kernel half knows the
/// same list).
pub(super) const PROBE_ARGUMENTS: &[&str] =
    &["--version", "-V", "--help", "-?", "--print-defaults"];

/// Arguments after `argv[0]` that are looked at for a probe.
pub(super) const PROBE_DEPTH: usize = 4;

/// The built-in servers and those of the configuration.
#[derive(Clone, Debug)]
pub struct EngineTable {
    names: Vec<(String, Engine)>,
    exes: Vec<(PathBuf, Engine)>,
}

/// What the kernel half is told.
#[derive(Clone, Debug, Default)]
pub struct ResolvedEngines {
    /// By name.
    pub names: Vec<(EngineName, Engine)>,
    /// By identity.
    pub exes: Vec<(ExeId, Engine)>,
    /// Files whose replacement makes [`EngineTable::resolve`] necessary again.
    pub watch: Vec<PathBuf>,
    /// Executables that are configured and not there; not an error, they may be installed later.
    pub problems: Vec<String>,
}

impl Default for EngineTable {
    fn default() -> Self {
        Self::built_in()
    }
}

impl EngineTable {
    /// MariaDB, MySQL and PostgreSQL.
    pub fn built_in() -> Self {
        let names = BUILT_IN
            .iter()
            .map(|(name, engine)| ((*name).to_owned(), *engine))
            .collect();
        Self {
            names,
            exes: Vec::new(),
        }
    }

    /// Adds a base name of an executable.
    pub fn add_name(&mut self, name: &str, engine: Engine) {
        self.names.push((name.to_owned(), engine));
    }

    /// Adds an executable by its path.
    pub fn add_exe(&mut self, path: &Path, engine: Engine) {
        self.exes.push((path.to_owned(), engine));
    }

    /// The engine of a base name or `comm`.
    pub fn by_name(&self, name: &str) -> Option<Engine> {
        let wanted = key_of(name);
        self.names
            .iter()
            .find(|(name, _)| key_of(name) == wanted)
            .map(|(_, engine)| *engine)
    }

    /// The engine of a configured executable.
    pub(super) fn by_path(&self, path: &Path) -> Option<Engine> {
        self.exes
            .iter()
            .find(|(exe, _)| exe == path)
            .map(|(_, engine)| *engine)
    }

    /// Looks the executables up.
    pub fn resolve(&self, mounts: &MountTable) -> ResolvedEngines {
        let mut resolved = ResolvedEngines::default();
        for (name, engine) in &self.names {
            resolved
                .names
                .push((EngineName { name: key_of(name) }, *engine));
        }
        for (path, engine) in &self.exes {
            resolved.watch.push(path.clone());
            match exe_id(mounts, path) {
                Ok(id) => resolved.exes.push((id, *engine)),
                Err(error) => resolved.problems.push(format!(
                    "engine {}: {error}; recognised by its name alone until it is there",
                    path.display()
                )),
            }
        }
        resolved
    }
}

fn key_of(name: &str) -> [u8; NAME_BYTES + 1] {
    let mut key = [0; NAME_BYTES + 1];
    let bytes = &name.as_bytes()[..name.len().min(NAME_BYTES)];
    key[..bytes.len()].copy_from_slice(bytes);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_not_their_clients() {
        let table = EngineTable::built_in();
        assert_eq!(table.by_name("mariadbd"), Some(Engine::Mysql));
        assert_eq!(table.by_name("postgres"), Some(Engine::Postgres));
        for other in [
            "mysql",
            "mysqld_exporter",
            "mysqld_safe",
            "psql",
            "pg_dump",
            "",
        ] {
            assert_eq!(table.by_name(other), None, "{other:?}");
        }
    }

    #[test]
    fn long_names_are_compared_as_the_kernel_does() {
        let mut table = EngineTable::built_in();
        table.add_name("a-very-long-server-name", Engine::Custom);
        assert_eq!(table.by_name("a-very-long-ser"), Some(Engine::Custom));
        let resolved = table.resolve(&MountTable::default());
        let last = resolved.names.last().unwrap();
        assert_eq!(&last.0.name, b"a-very-long-ser\0");
    }
}
