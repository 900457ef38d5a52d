//! Where a running server keeps its data: arguments, environment, configuration, working
//! directory, open files and held locks, in the terms of the server's own mount namespace.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use guard_abi::{Engine, dev};

use super::DataDir;
use super::config_files;
use super::exe::{inside, resolve_in_root};
use super::process::Process;
use crate::topology::{MountTable, Roots};

/// Directories whose files are never a database's data, whatever it holds open there: logs,
/// sockets, temporary tables.
const NOT_DATA: &[&str] = &[
    "/dev", "/proc", "/sys", "/run", "/var/run", "/tmp", "/var/tmp", "/var/log",
];

/// Links in a data directory that are looked at.
const MAX_ENTRIES: usize = 16 * 1024;

/// Name of a file without which MariaDB or MySQL has not opened its data.
const MYSQL_OPENED: &[&str] = &["ibdata1", "ib_logfile0", "aria_log_control", "mysql.ibd"];

/// What was found about one server.
#[derive(Default)]
pub(super) struct Found {
    pub(super) dirs: Vec<DataDir>,
    /// See [`super::CriticalProcess::names_data_in`].
    pub(super) names_data_in: Vec<PathBuf>,
    pub(super) raw_devices: Vec<u32>,
    pub(super) settled: bool,
}

pub(super) fn find(roots: &Roots, process: &Process, engine: Engine) -> Found {
    let tables = Tables {
        own: MountTable::read(roots, &process.pid.to_string()).unwrap_or_default(),
        host: MountTable::read(roots, "self").unwrap_or_default(),
        root: process.root(),
    };
    let files = OpenFiles::read(process);
    let paths = match engine {
        Engine::Mysql => mysql_paths(process, &tables),
        Engine::Postgres => postgres_paths(process, &tables),
        Engine::None | Engine::Custom => BTreeSet::new(),
    };
    let settled = match engine {
        Engine::Mysql => files
            .names
            .iter()
            .any(|name| MYSQL_OPENED.contains(&name.as_str())),
        Engine::Postgres => paths
            .iter()
            .any(|path| tables.exists(&path.join("postmaster.pid"))),
        Engine::None | Engine::Custom => !files.dirs.is_empty(),
    };
    // Of a server that says nothing about itself, its open files are all there is to go by.
    let is_merely_open = matches!(engine, Engine::Mysql | Engine::Postgres);
    let names_data_in = tables.directories_with_links(engine, &paths);
    let mut dirs: Vec<DataDir> = Vec::new();
    for path in paths {
        tables.add(&mut dirs, path, false);
    }
    for path in files.dirs {
        tables.add(&mut dirs, path, is_merely_open);
    }
    for lock_dev in locked_devices(roots, process.pid) {
        tables.add_locked(&mut dirs, lock_dev);
    }
    Found {
        dirs,
        names_data_in,
        raw_devices: files.devices.into_iter().collect(),
        settled,
    }
}

/// The server's view of the file system.
struct Tables {
    own: MountTable,
    host: MountTable,
    root: PathBuf,
}

impl Tables {
    fn exists(&self, path: &Path) -> bool {
        let real = resolve_in_root(&self.root, path);
        std::fs::symlink_metadata(inside(&self.root, &real)).is_ok()
    }

    /// Adds a directory unless one above it, on the same file system, is there already.
    fn add(&self, dirs: &mut Vec<DataDir>, path: PathBuf, is_merely_open: bool) {
        let real = resolve_in_root(&self.root, &path);
        let location = self.own.locate(&self.host, &real);
        let known = dirs.iter().any(|dir| {
            dir.location == location && (path.starts_with(&dir.path) || real.starts_with(&dir.path))
        });
        if !known {
            dirs.push(DataDir {
                path,
                location,
                is_merely_open,
            });
        }
    }

    /// A lock is held on a file of a file system that no directory found so far lies on.
    fn add_locked(&self, dirs: &mut Vec<DataDir>, number: u32) {
        let seen = |dir: &DataDir| dir.location.as_ref().is_some_and(|at| at.dev == number);
        if dirs.iter().any(seen) || dev::major(number) == 0 {
            return;
        }
        if let Some(mount) = self.own.mounts().iter().find(|mount| mount.dev == number) {
            let location = self.own.locate(&self.host, &mount.point);
            dirs.push(DataDir {
                path: mount.point.clone(),
                location,
                is_merely_open: true,
            });
        }
    }

    /// Where a server puts links and files that name further directories: in its data directory, in
    /// those of its databases, and, PostgreSQL, in `pg_tblspc`.
    fn directories_with_links(&self, engine: Engine, data: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for directory in data {
            let ours = inside(&self.root, &resolve_in_root(&self.root, directory));
            match engine {
                Engine::Mysql => found.extend(subdirectories(&ours)),
                Engine::Postgres => found.push(ours.join("pg_tblspc")),
                Engine::None | Engine::Custom => continue,
            }
            found.push(ours);
        }
        found.retain(|directory| directory.is_dir());
        found
    }

    /// Targets of the links in a directory: databases, tablespaces, logs that live elsewhere.
    fn links_of(&self, dir: &Path) -> Vec<PathBuf> {
        let real = resolve_in_root(&self.root, dir);
        let entries = std::fs::read_dir(inside(&self.root, &real))
            .into_iter()
            .flatten()
            .flatten();
        entries
            .take(MAX_ENTRIES)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()))
            .map(|entry| resolve_in_root(&self.root, &real.join(entry.file_name())))
            .collect()
    }
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .take(MAX_ENTRIES)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Directories of tables that lie elsewhere than their database: the server keeps a link beside each
/// of MyISAM's and Aria's (`DATA DIRECTORY`), and a file with the path of each of InnoDB's
/// (storage/innobase/fsp/fsp0file.cc, `RemoteDatafile`).
fn tables_elsewhere(tables: &Tables, datadir: &Path) -> BTreeSet<PathBuf> {
    let real = resolve_in_root(&tables.root, datadir);
    let entries_of = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.take(MAX_ENTRIES)
    };
    let mut left = MAX_ENTRIES;
    let mut found = BTreeSet::new();
    for database in entries_of(&inside(&tables.root, &real)) {
        if !database.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let own = real.join(database.file_name());
        for entry in entries_of(&database.path()).take(left) {
            left -= 1;
            let path = entry.path();
            let table = if path.extension().is_some_and(|kind| kind == "isl") {
                std::fs::read_to_string(&path).ok().map(|text| {
                    resolve_in_root(&tables.root, &own.join(text.trim_end_matches(['\n', '\0'])))
                })
            } else if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                Some(resolve_in_root(&tables.root, &own.join(entry.file_name())))
            } else {
                None
            };
            found.extend(table.as_deref().and_then(Path::parent).map(Path::to_owned));
        }
    }
    found
}

fn mysql_paths(process: &Process, tables: &Tables) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::new();
    let mut datadir = None;
    let mut others = Vec::new();
    for (key, value) in config_files::mysql(&tables.root, &process.arguments) {
        match key.as_str() {
            "datadir" => datadir = Some(PathBuf::from(value)),
            // These name a file: its directory counts.
            "log_bin" | "log_bin_basename" | "relay_log" => {
                others.extend(Path::new(&value).parent().map(Path::to_owned));
            }
            "innodb_directories" => others.extend(value.split(';').map(PathBuf::from)),
            _ => others.push(value.into()),
        }
    }
    if let Some(short) = short_option(&process.arguments, "-h") {
        datadir = Some(short.into());
    }
    // The server makes its data directory its working directory (sql/mysqld.cc).
    if let Some(cwd) = &process.cwd
        && MYSQL_OPENED
            .iter()
            .any(|name| tables.exists(&cwd.join(name)))
    {
        paths.insert(cwd.clone());
    }
    let default = || Some(PathBuf::from("/var/lib/mysql")).filter(|path| tables.exists(path));
    let datadir = datadir.or_else(|| paths.first().cloned()).or_else(default);
    if let Some(datadir) = datadir {
        paths.extend(others.iter().map(|other| datadir.join(other)));
        paths.extend(tables.links_of(&datadir));
        paths.extend(tables_elsewhere(tables, &datadir));
        paths.insert(datadir);
    } else {
        paths.extend(others.into_iter().filter(|other| other.is_absolute()));
    }
    paths
}

fn postgres_paths(process: &Process, tables: &Tables) -> BTreeSet<PathBuf> {
    let arguments = &process.arguments;
    let named = |prefix: &str| arguments.iter().find_map(|text| text.strip_prefix(prefix));
    let setting = named("--data_directory=")
        .or_else(|| named("--data-directory="))
        .or_else(|| named("data_directory="));
    let from_option = short_option(arguments, "-D").map(PathBuf::from);
    let from_environment = process.environment("PGDATA").map(PathBuf::from);
    let mut candidates: Vec<PathBuf> = setting.map(PathBuf::from).into_iter().collect();
    candidates.extend(from_option.or(from_environment));
    // The server makes its data directory its working directory (utils/init/miscinit.c).
    candidates.extend(process.cwd.clone());
    let mut paths = BTreeSet::new();
    for candidate in candidates {
        let candidate = match &process.cwd {
            Some(cwd) => cwd.join(candidate),
            None => candidate,
        };
        if tables.exists(&candidate.join("PG_VERSION")) {
            paths.insert(candidate);
        } else if let Some(data) =
            config_files::postgres_data_directory(&tables.root, &candidate.join("postgresql.conf"))
        {
            paths.insert(candidate.join(data));
        }
    }
    for dir in paths.clone() {
        paths.extend(tables.links_of(&dir));
        paths.extend(tables.links_of(&dir.join("pg_tblspc")));
    }
    paths
}

/// `-D value` and `-Dvalue`; the last one counts.
fn short_option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let mut found = None;
    let mut rest = arguments.iter().skip(1);
    while let Some(text) = rest.next() {
        if let Some(value) = text.strip_prefix(name) {
            found = if value.is_empty() {
                rest.next().map(String::as_str)
            } else {
                Some(value)
            };
        }
    }
    found
}

/// What a server has open.
#[derive(Default)]
struct OpenFiles {
    /// Directories of regular files that are open for writing.
    dirs: BTreeSet<PathBuf>,
    /// Base names of those.
    names: BTreeSet<String>,
    /// Block devices.
    devices: BTreeSet<u32>,
}

impl OpenFiles {
    /// One link a descriptor; a second look only at files that could be data.
    fn read(process: &Process) -> Self {
        let mut open = Self::default();
        let fds = process.dir.join("fd");
        for entry in std::fs::read_dir(&fds).into_iter().flatten().flatten() {
            let Ok(target) = std::fs::read_link(entry.path()) else {
                continue;
            };
            let Some(target) = process.seen(&target) else {
                continue;
            };
            if target.starts_with("/dev") {
                open.devices.extend(block_device(&entry.path()));
                continue;
            }
            let Some((dir, name)) = data_file(&target) else {
                continue;
            };
            let known = open.dirs.contains(dir);
            let special = MYSQL_OPENED.contains(&name);
            if (known && !special) || !process.is_open_for_writing(&entry.file_name()) {
                continue;
            }
            open.dirs.insert(dir.to_owned());
            open.names.insert(name.to_owned());
        }
        open
    }
}

fn data_file(target: &Path) -> Option<(&Path, &str)> {
    let text = target.to_str()?;
    if text.ends_with(" (deleted)") || NOT_DATA.iter().any(|dir| target.starts_with(dir)) {
        return None;
    }
    Some((target.parent()?, target.file_name()?.to_str()?))
}

fn block_device(fd: &Path) -> Option<u32> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let meta = std::fs::metadata(fd).ok()?;
    meta.file_type()
        .is_block_device()
        .then(|| crate::topology::kernel_dev(meta.rdev()))
}

/// Devices of the files that a process holds write locks on: `/proc/locks` (proc(5)), lines like
/// `1: POSIX  ADVISORY  WRITE 812 103:02:131 0 EOF`, major and minor in hex.
fn locked_devices(roots: &Roots, pid: u32) -> BTreeSet<u32> {
    let text = std::fs::read(roots.proc.join("locks")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .filter_map(|line| locked_device(line, pid))
        .collect()
}

fn locked_device(line: &str, pid: u32) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    // A waiter's line has `->` before the class; it holds nothing.
    let class = words.next()?;
    if class == "->" || words.nth(1)? != "WRITE" || words.next()?.parse() != Ok(pid) {
        return None;
    }
    let mut file = words.next()?.split(':');
    let major = u32::from_str_radix(file.next()?, 16).ok()?;
    let minor = u32::from_str_radix(file.next()?, 16).ok()?;
    Some(dev::make(major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_of_one_process() {
        let held = "1: POSIX  ADVISORY  WRITE 812 103:02:131 0 EOF";
        assert_eq!(locked_device(held, 812), Some(dev::make(0x103, 2)));
        assert_eq!(locked_device(held, 813), None);
        assert_eq!(
            locked_device("1: -> POSIX ADVISORY WRITE 812 103:02:131 0 EOF", 812),
            None
        );
        assert_eq!(
            locked_device("1: POSIX ADVISORY READ 812 103:02:131 0 EOF", 812),
            None
        );
        assert_eq!(locked_device("", 812), None);
    }

    #[test]
    fn the_last_option_counts() {
        let arguments = ["postgres", "-D", "/a", "-D/b"].map(str::to_owned);
        assert_eq!(short_option(&arguments, "-D"), Some("/b"));
        assert_eq!(short_option(&arguments[..2], "-D"), None);
    }
}
