//! One process, from `/proc/PID` (proc(5)).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use guard_abi::Engine;

use super::engines::{PROBE_ARGUMENTS, PROBE_DEPTH};
use super::{CriticalProcess, EngineTable, cgroup, datadir};
use crate::topology::Roots;

/// Command lines and environments beyond this are cut.
const TEXT_LIMIT: u64 = 1 << 20;

/// What is read of a process before its files are looked at.
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) dir: PathBuf,
    pub(super) arguments: Vec<String>,
    /// Working directory, as the process sees it.
    pub(super) cwd: Option<PathBuf>,
    /// Its root directory, where that is not the namespace's.
    chroot: Option<PathBuf>,
}

impl Process {
    fn read(roots: &Roots, pid: u32) -> Self {
        let dir = roots.proc.join(pid.to_string());
        let chroot = std::fs::read_link(dir.join("root"))
            .ok()
            .filter(|root| root != Path::new("/"));
        let mut process = Self {
            pid,
            arguments: words(&dir.join("cmdline")),
            dir,
            cwd: None,
            chroot,
        };
        process.cwd = std::fs::read_link(process.dir.join("cwd"))
            .ok()
            .and_then(|cwd| process.seen(&cwd));
        process
    }

    /// Where its root directory is for us.
    pub(super) fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// The target of a link in `/proc/PID` as the process itself names it. `None` for what is no
    /// path (`socket:[1]`), or lies outside its root.
    pub(super) fn seen(&self, target: &Path) -> Option<PathBuf> {
        if !target.is_absolute() {
            return None;
        }
        match &self.chroot {
            None => Some(target.to_owned()),
            // The link of a fixture's root points at a directory of the test.
            Some(root) => match target.strip_prefix(root) {
                Ok(inner) => Some(Path::new("/").join(inner)),
                Err(_) => Some(target.to_owned()),
            },
        }
    }

    pub(super) fn environment(&self, name: &str) -> Option<String> {
        words(&self.dir.join("environ"))
            .into_iter()
            .find_map(|entry| {
                entry
                    .strip_prefix(name)?
                    .strip_prefix('=')
                    .map(str::to_owned)
            })
    }

    /// `flags:` of `/proc/PID/fdinfo/N` in octal; the access mode in the lowest two bits.
    pub(super) fn is_open_for_writing(&self, fd: &OsStr) -> bool {
        let text = std::fs::read_to_string(self.dir.join("fdinfo").join(fd)).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.strip_prefix("flags:"))
            .filter_map(|flags| u32::from_str_radix(flags.trim(), 8).ok())
            .any(|flags| matches!(flags & 3, 1 | 2))
    }
}

/// NUL-separated words.
pub(super) fn words(path: &Path) -> Vec<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        // A process that ends meanwhile leaves what was read so far.
        let _ = file.take(TEXT_LIMIT).read_to_end(&mut bytes);
    }
    bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// Parent and start time (clock ticks since boot) from `/proc/PID/stat`, fields 4 and 22. The
/// second field is in brackets and may contain anything.
fn parse_stat(text: &str) -> Option<(u32, u64)> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some((parent, start))
}

fn stat(roots: &Roots, pid: u32) -> Option<(u32, u64)> {
    parse_stat(&std::fs::read_to_string(roots.proc.join(pid.to_string()).join("stat")).ok()?)
}

fn ticks_to_ns(ticks: u64) -> u64 {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    ticks.saturating_mul(1_000_000_000 / per_second)
}

/// Start of a process in ns of CLOCK_BOOTTIME, exact to a clock tick (10 ms) and rounded down.
/// `None` where it has ended.
pub fn start_boot_ns(roots: &Roots, pid: u32) -> Option<u64> {
    stat(roots, pid).map(|(_, start)| ticks_to_ns(start))
}

fn exe_path(roots: &Roots, pid: u32) -> Option<PathBuf> {
    let exe = std::fs::read_link(roots.proc.join(pid.to_string()).join("exe")).ok()?;
    // A server whose package was upgraded under it.
    match exe
        .to_str()
        .and_then(|text| text.strip_suffix(" (deleted)"))
    {
        Some(text) => Some(text.into()),
        None => Some(exe),
    }
}

/// The engine of a running process, by the same evidence as in the kernel.
fn recognise(roots: &Roots, table: &EngineTable, pid: u32) -> Option<(Engine, PathBuf)> {
    let exe = exe_path(roots, pid)?;
    let base = exe.file_name().and_then(OsStr::to_str).unwrap_or("");
    // The name that it was executed by, where that is a link to a file of another name.
    let by_comm = || {
        let comm = std::fs::read(roots.proc.join(pid.to_string()).join("comm")).ok()?;
        let comm = String::from_utf8_lossy(&comm);
        table.by_name(comm.trim_end_matches('\n'))
    };
    let engine = table
        .by_path(&exe)
        .or_else(|| table.by_name(base))
        .or_else(by_comm)?;
    let arguments = words(&roots.proc.join(pid.to_string()).join("cmdline"));
    let is_probe = arguments
        .iter()
        .skip(1)
        .take(PROBE_DEPTH)
        .any(|argument| PROBE_ARGUMENTS.contains(&argument.as_str()));
    (!is_probe).then_some((engine, exe))
}

pub(super) fn find_running(roots: &Roots, table: &EngineTable) -> Vec<CriticalProcess> {
    let mut engines = HashMap::new();
    for entry in std::fs::read_dir(&roots.proc)
        .into_iter()
        .flatten()
        .flatten()
    {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok());
        if let Some((pid, (engine, _))) =
            pid.and_then(|pid| recognise(roots, table, pid).map(|found| (pid, found)))
        {
            engines.insert(pid, engine);
        }
    }
    let mut pids: Vec<_> = engines
        .iter()
        .map(|(pid, engine)| (*pid, *engine))
        .collect();
    pids.sort_unstable_by_key(|(pid, _)| *pid);
    pids.into_iter()
        .filter_map(|(pid, engine)| inspect(roots, pid, engine))
        .collect()
}

/// The parent, where it runs the same executable: PostgreSQL's postmaster and its backends.
fn server_of(roots: &Roots, exe: &Path, parent: u32) -> Option<u32> {
    (exe_path(roots, parent)? == exe).then_some(parent)
}

pub(super) fn inspect(roots: &Roots, pid: u32, engine: Engine) -> Option<CriticalProcess> {
    let exe = exe_path(roots, pid)?;
    let (parent, start) = stat(roots, pid)?;
    let worker_of = server_of(roots, &exe, parent);
    let name = exe
        .file_name()
        .and_then(OsStr::to_str)
        .unwrap_or("?")
        .to_owned();
    let groups = std::fs::read_to_string(roots.proc.join(pid.to_string()).join("cgroup"));
    let place = cgroup::parse(&groups.unwrap_or_default());
    // A worker has its server's data; looking through every backend's files would only cost.
    let found = if worker_of.is_some() {
        datadir::Found {
            settled: true,
            ..datadir::Found::default()
        }
    } else {
        datadir::find(roots, &Process::read(roots, pid), engine)
    };
    Some(CriticalProcess {
        pid,
        engine,
        name,
        exe,
        data_dirs: found.dirs,
        names_data_in: found.names_data_in,
        raw_devices: found.raw_devices,
        worker_of,
        settled: found.settled,
        container: place.container,
        unit: place.unit,
        start_boot_ns: ticks_to_ns(start),
    })
}

#[cfg(test)]
mod tests {
    use super::parse_stat;

    #[test]
    fn stat_is_read_past_any_name() {
        let line = "812 (a) b (c) S 1 812 812 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 30 0 4242 1 2";
        assert_eq!(parse_stat(line), Some((1, 4242)));
        assert_eq!(parse_stat("812 (x"), None);
        assert_eq!(parse_stat(""), None);
    }
}
