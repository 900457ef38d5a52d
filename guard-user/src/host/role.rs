//! Role of a database in replication, as far as it can be seen without asking the server: for messages,
//! and for who must sign. It never weakens what is guarded.

use std::fs;
use std::path::Path;

use guard_abi::Engine;

use super::CriticalProcess;
use crate::topology::Roots;

/// Nothing that can be seen tells.
pub const UNKNOWN: &str = "unknown";
/// The roles, the one that asks for most care first: others follow it, it follows another, or nothing
/// that can be seen tells.
pub const ROLES: [&str; 3] = ["primary", "replica", UNKNOWN];

/// The role of a running server.
///
/// PostgreSQL names its processes by what they do (backend/utils/misc/ps_status.c), and is a standby
/// while `standby.signal` is there. MariaDB, and MySQL up to 8.0, keep `master.info` in the data
/// directory of a replica. Whether others follow a MySQL server cannot be seen from outside.
pub fn role(roots: &Roots, server: &CriticalProcess) -> &'static str {
    let root = roots.proc.join(server.pid.to_string()).join("root");
    let size = |name: &str| {
        let directories = server.data_dirs.iter();
        let files = directories.map(|dir| super::exe::inside(&root, &dir.path).join(name));
        let sizes = files.filter_map(|file| fs::metadata(file).ok());
        sizes.map(|metadata| metadata.len()).max()
    };
    let has = |name| size(name).is_some();
    // MariaDB always has an empty one.
    let says = |name| size(name).is_some_and(|bytes| bytes > 0);
    match server.engine {
        Engine::Postgres => {
            let titles = titles_of_children(&roots.proc, server.pid);
            if titles.iter().any(|title| title.contains("walsender")) {
                "primary"
            } else if has("standby.signal")
                || titles.iter().any(|title| title.contains("walreceiver"))
            {
                "replica"
            } else {
                UNKNOWN
            }
        }
        Engine::Mysql if says("master.info") || says("multi-master.info") => "replica",
        _ => UNKNOWN,
    }
}

fn titles_of_children(proc: &Path, pid: u32) -> Vec<String> {
    let own = proc
        .join(pid.to_string())
        .join("task")
        .join(pid.to_string());
    let children = fs::read_to_string(own.join("children")).unwrap_or_default();
    let titles = children.split_whitespace();
    titles
        .filter_map(|child| fs::read_to_string(proc.join(child).join("cmdline")).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::DataDir;

    fn server(engine: Engine, data: &Path) -> CriticalProcess {
        CriticalProcess {
            pid: 7,
            engine,
            name: "server".into(),
            exe: "/server".into(),
            data_dirs: vec![DataDir {
                path: data.to_owned(),
                location: None,
                is_merely_open: false,
            }],
            names_data_in: Vec::new(),
            raw_devices: Vec::new(),
            worker_of: None,
            settled: true,
            container: None,
            unit: None,
            start_boot_ns: 1,
        }
    }

    #[test]
    fn what_files_and_titles_tell() {
        let tree = tempfile::tempdir().expect("a directory");
        let proc = tree.path().join("proc");
        let root = proc.join("7/root");
        let data = root.join("data");
        fs::create_dir_all(&data).expect("made");
        fs::create_dir_all(proc.join("7/task/7")).expect("made");
        fs::create_dir_all(proc.join("9")).expect("made");
        let roots = Roots {
            proc: proc.clone(),
            ..Roots::host()
        };
        let of = |engine| role(&roots, &server(engine, Path::new("/data")));
        assert_eq!(of(Engine::Postgres), UNKNOWN);
        assert_eq!(of(Engine::Mysql), UNKNOWN);
        fs::write(data.join("master.info"), "").expect("written");
        assert_eq!(of(Engine::Mysql), UNKNOWN);
        fs::write(data.join("master.info"), "33\n").expect("written");
        assert_eq!(of(Engine::Mysql), "replica");
        fs::write(data.join("standby.signal"), "").expect("written");
        assert_eq!(of(Engine::Postgres), "replica");
        fs::write(proc.join("7/task/7/children"), "8 9 ").expect("written");
        fs::write(
            proc.join("9/cmdline"),
            "postgres: main: walsender rep [local] streaming",
        )
        .expect("written");
        assert_eq!(of(Engine::Postgres), "primary");
        assert_eq!(of(Engine::Custom), UNKNOWN);
    }
}
